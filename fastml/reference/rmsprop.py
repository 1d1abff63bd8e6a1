"""RMSprop.

Formula: Tieleman and Hinton, "Neural networks for machine learning", lecture 6e (2012), with eps beside the root;
centred and with momentum as in Graves, "Generating sequences with recurrent neural networks" (2013) and in
torch.optim.RMSprop.
"""

import numpy as np

from ._arrays import LARGEST, as_float64, check_range, check_update_lists, finish


def rmsprop_step(
    params,
    grads,
    square_avgs,
    grad_avgs=None,
    momentum_buffers=None,
    *,
    lr=1e-2,
    alpha=0.99,
    eps=1e-8,
    weight_decay=0.0,
    momentum=0.0,
    centered=False,
    maximize=False,
):
    """Update params, square_avgs (s), grad_avgs (m) and momentum_buffers (b) in place, per array:

    g = -grad if maximize else grad
    g = g + weight_decay * p                        (weight_decay = 0: g stays)
    s = alpha * s + (1 - alpha) * g^2
    m = alpha * m + (1 - alpha) * g                 (if centered)
    u = g / (sqrt(s - m^2 if centered else s) + eps)
    b = momentum * b + u                            (momentum = 0: b = u, the buffers are not touched)
    p = p - lr * b
    """
    lr = check_range(lr, "lr", 0, LARGEST)
    alpha = check_range(alpha, "alpha", 0, 1)
    eps = check_range(eps, "eps", 0, LARGEST)
    weight_decay = check_range(weight_decay, "weight_decay", 0, LARGEST)
    momentum = check_range(momentum, "momentum", 0, LARGEST)
    if centered and grad_avgs is None:
        raise ValueError("grad_avgs must be given with centered, not None")
    if momentum != 0 and momentum_buffers is None:
        raise ValueError("momentum_buffers must be given with momentum, not None")
    states = {"square_avgs": square_avgs, "grad_avgs": grad_avgs, "momentum_buffers": momentum_buffers}
    optional = ("grad_avgs", "momentum_buffers")
    check_update_lists(params, grads, **{k: v for k, v in states.items() if v is not None or k not in optional})

    for i, p in enumerate(params):
        g, _ = as_float64(grads[i], f"grads[{i}]")
        p64, s = (a.astype(np.float64) for a in (p, square_avgs[i]))
        with np.errstate(all="ignore"):
            if maximize:
                g = -g
            if weight_decay != 0:
                g = g + weight_decay * p64
            s = alpha * s + (1 - alpha) * g**2
            variance = s
            if centered:
                m = alpha * grad_avgs[i].astype(np.float64) + (1 - alpha) * g
                variance = np.maximum(s - m**2, 8 * np.finfo(p.dtype).eps * s)  # what rounding leaves is none
                finish(m, p.dtype, grad_avgs[i])
            update = g / (np.sqrt(variance) + eps)
            if momentum != 0:
                update = momentum * momentum_buffers[i].astype(np.float64) + update
                finish(update, p.dtype, momentum_buffers[i])
            finish(p64 - lr * update, p.dtype, p)
        finish(s, p.dtype, square_avgs[i])
