"""Exponential moving averages.

Formula: torch.optim.swa_utils.get_ema_multi_avg_fn; averaging of iterates after Polyak and Juditsky, "Acceleration of
stochastic approximation by averaging" (SIAM J. Control Optim. 30, 1992).
"""

import numpy as np

from ._arrays import as_float64, check_range, check_same_shape, check_updated, finish


def ema_step(averages, params, *, decay=0.999):
    """Update averages (e) in place, per array: e = e + (1 - decay) * (p - e) = decay * e + (1 - decay) * p."""
    decay = check_range(decay, "decay", 0, 1)
    for name, arrays in (("averages", averages), ("params", params)):
        if not isinstance(arrays, (list, tuple)):
            raise TypeError(f"{name} must be a list of arrays, not {type(arrays).__name__}")
    if len(params) != len(averages):
        raise ValueError(f"params must have one array for each of averages, {len(averages)}, not {len(params)}")
    arrays = []
    for i, e in enumerate(averages):
        check_updated(e, f"averages[{i}]")
        arrays.append(as_float64(params[i], f"params[{i}]")[0])
        check_same_shape(arrays[i], f"params[{i}]", e, f"averages[{i}]")
    with np.errstate(all="ignore"):
        for e, p in zip(averages, arrays, strict=True):
            finish(e + (1 - decay) * (p - e.astype(np.float64)), e.dtype, e)
