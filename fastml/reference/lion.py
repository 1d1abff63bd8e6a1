"""Lion.

Formula: Chen et al., "Symbolic discovery of optimization algorithms" (NeurIPS 2023), https://arxiv.org/abs/2302.06675,
algorithm 2.
"""

import numpy as np

from ._arrays import LARGEST, as_float64, check_range, check_update_lists, finish


def lion_step(params, grads, exp_avgs, *, lr=1e-4, betas=(0.9, 0.99), weight_decay=0.0, maximize=False):
    """Update params and exp_avgs (m) in place, per array:

    g = -grad if maximize else grad
    u = sign(beta1 * m + (1 - beta1) * g)
    p = p - lr * (u + weight_decay * p)
    m = beta2 * m + (1 - beta2) * g
    """
    lr = check_range(lr, "lr", 0, LARGEST)
    if not isinstance(betas, (tuple, list)):
        raise TypeError(f"betas must be a pair of numbers, not {type(betas).__name__}")
    if len(betas) != 2:
        raise ValueError(f"betas must be a pair of numbers, not {len(betas)} of them")
    beta1, beta2 = (check_range(beta, "betas", 0, np.nextafter(1, 0)) for beta in betas)
    weight_decay = check_range(weight_decay, "weight_decay", 0, LARGEST)
    check_update_lists(params, grads, exp_avgs=exp_avgs)

    for i, p in enumerate(params):
        g, _ = as_float64(grads[i], f"grads[{i}]")
        p64, m = (a.astype(np.float64) for a in (p, exp_avgs[i]))
        with np.errstate(all="ignore"):
            if maximize:
                g = -g
            u = np.sign(beta1 * m + (1 - beta1) * g)
            m = beta2 * m + (1 - beta2) * g
            finish((1 - lr * weight_decay) * p64 - lr * u, p.dtype, p)
        finish(m, p.dtype, exp_avgs[i])
