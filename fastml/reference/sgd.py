"""Stochastic gradient descent with momentum.

Formula and order of operations: torch.optim.SGD; momentum and Nesterov's form after Sutskever et al., "On the
importance of initialization and momentum in deep learning" (ICML 2013).
"""

import numpy as np

from ._arrays import as_float64, check_number, check_range, check_update_lists, finish


def sgd_step(
    params, grads, velocities=None, *, lr, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False, maximize=False
):
    """Update params (and velocities) in place, per array:

    g = -grad if maximize else grad
    g = g + weight_decay * p                        (weight_decay = 0: g stays, also where p is infinite)
    v = momentum * v + (1 - dampening) * g          (momentum = 0: velocities are not touched, the step is g)
    p = p - lr * (g + momentum * v if nesterov else v)
    """
    lr = check_range(lr, "lr", 0)
    momentum = check_range(momentum, "momentum", 0)
    dampening = check_number(dampening, "dampening")
    weight_decay = check_range(weight_decay, "weight_decay", 0)
    if nesterov and (momentum == 0 or dampening != 0):
        raise ValueError("nesterov must be False without momentum or with dampening, not True")
    if momentum != 0 and velocities is None:
        raise ValueError("velocities must be given with momentum, not None")
    check_update_lists(params, grads, **({} if velocities is None else {"velocities": velocities}))

    for i, p in enumerate(params):
        g, _ = as_float64(grads[i], f"grads[{i}]")
        p64 = p.astype(np.float64)
        with np.errstate(all="ignore"):
            if maximize:
                g = -g
            if weight_decay != 0:
                g = g + weight_decay * p64
            step = g
            if momentum != 0:
                v = momentum * velocities[i].astype(np.float64) + (1 - dampening) * g
                step = g + momentum * v if nesterov else v
                finish(v, p.dtype, velocities[i])
            finish(p64 - lr * step, p.dtype, p)
