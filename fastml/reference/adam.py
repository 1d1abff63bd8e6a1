"""Adam and AdamW.

Formula: Kingma and Ba, "Adam: A method for stochastic optimization" (ICLR 2015), with eps beside the corrected
root as in torch.optim.Adam; decoupled weight decay after Loshchilov and Hutter, "Decoupled weight decay
regularization" (ICLR 2019); AMSGrad after Reddi, Kale and Kumar, "On the convergence of Adam and beyond" (ICLR 2018).
"""

import numpy as np

from ._arrays import LARGEST, as_float64, check_integer, check_range, check_update_lists, finish


def adam_step(
    params,
    grads,
    exp_avgs,
    exp_avg_sqs,
    step,
    *,
    max_exp_avg_sqs=None,
    lr=1e-3,
    betas=(0.9, 0.999),
    eps=1e-8,
    weight_decay=0.0,
    decoupled=False,
    maximize=False,
):
    """Update params, exp_avgs (m) and exp_avg_sqs (v) in place, per array, step = 1, 2, ...:

    g = -grad if maximize else grad
    g = g + weight_decay * p                        (not if decoupled; weight_decay = 0: g stays)
    p = (1 - lr * weight_decay) * p                 (if decoupled)
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g^2
    v_max = max(v_max, v)                           (given max_exp_avg_sqs; it stands in for v in the next line)
    p = p - lr * (m / (1 - beta1^step)) / (sqrt(v / (1 - beta2^step)) + eps)
    """
    step = check_integer(step, "step", 1, 2**53)
    lr = check_range(lr, "lr", 0, LARGEST)
    if not isinstance(betas, (tuple, list)):
        raise TypeError(f"betas must be a pair of numbers, not {type(betas).__name__}")
    if len(betas) != 2:
        raise ValueError(f"betas must be a pair of numbers, not {len(betas)} of them")
    beta1, beta2 = (check_range(beta, "betas", 0, np.nextafter(1, 0)) for beta in betas)
    eps = check_range(eps, "eps", 0, LARGEST)
    weight_decay = check_range(weight_decay, "weight_decay", 0, LARGEST)
    largest = {} if max_exp_avg_sqs is None else {"max_exp_avg_sqs": max_exp_avg_sqs}
    check_update_lists(params, grads, exp_avgs=exp_avgs, exp_avg_sqs=exp_avg_sqs, **largest)

    for i, p in enumerate(params):
        g, _ = as_float64(grads[i], f"grads[{i}]")
        p64, m, v = (a.astype(np.float64) for a in (p, exp_avgs[i], exp_avg_sqs[i]))
        with np.errstate(all="ignore"):
            if maximize:
                g = -g
            if weight_decay != 0:
                if decoupled:
                    p64 = (1 - lr * weight_decay) * p64
                else:
                    g = g + weight_decay * p64
            m = beta1 * m + (1 - beta1) * g
            v = beta2 * v + (1 - beta2) * g**2
            m_hat = m / (1 - beta1**step)
            top = v
            if max_exp_avg_sqs is not None:
                top = np.maximum(max_exp_avg_sqs[i].astype(np.float64), v)
                finish(top, p.dtype, max_exp_avg_sqs[i])
            v_hat = top / (1 - beta2**step)
            finish(p64 - lr * m_hat / (np.sqrt(v_hat) + eps), p.dtype, p)
        finish(m, p.dtype, exp_avgs[i])
        finish(v, p.dtype, exp_avg_sqs[i])
