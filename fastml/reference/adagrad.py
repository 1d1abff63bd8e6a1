"""Adagrad.

Formula: Duchi, Hazan and Singer, "Adaptive subgradient methods for online learning and stochastic optimization"
(JMLR 12, 2011), with eps beside the root as in torch.optim.Adagrad.
"""

import numpy as np

from ._arrays import LARGEST, as_float64, check_integer, check_range, check_update_lists, finish


def adagrad_step(
    params, grads, state_sums, step, *, lr=1e-2, lr_decay=0.0, weight_decay=0.0, eps=1e-10, maximize=False
):
    """Update params and state_sums (s) in place, per array, step = 1, 2, ...:

    g = -grad if maximize else grad
    g = g + weight_decay * p                        (weight_decay = 0: g stays)
    s = s + g^2
    p = p - lr / (1 + (step - 1) * lr_decay) * g / (sqrt(s) + eps)
    """
    step = check_integer(step, "step", 1, 2**53)
    lr = check_range(lr, "lr", 0, LARGEST)
    lr_decay = check_range(lr_decay, "lr_decay", 0, LARGEST)
    eps = check_range(eps, "eps", 0, LARGEST)
    weight_decay = check_range(weight_decay, "weight_decay", 0, LARGEST)
    check_update_lists(params, grads, state_sums=state_sums)

    for i, p in enumerate(params):
        g, _ = as_float64(grads[i], f"grads[{i}]")
        p64, s = (a.astype(np.float64) for a in (p, state_sums[i]))
        with np.errstate(all="ignore"):
            if maximize:
                g = -g
            if weight_decay != 0:
                g = g + weight_decay * p64
            s = s + g**2
            finish(p64 - lr / (1 + (step - 1) * lr_decay) * g / (np.sqrt(s) + eps), p.dtype, p)
        finish(s, p.dtype, state_sums[i])
