"""Bounding gradients, and undoing their scale.

Formula: Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks" (ICML 2013), with
the factor of torch.nn.utils.clip_grad_norm_; torch.nn.utils.clip_grad_value_; torch.amp.GradScaler.
"""

import numpy as np

from ._arrays import LARGEST, check_range, check_updated, finish


def clip_grad_norm(grads, max_norm):
    """norm = sqrt(sum of g^2 over all arrays); grads = grads * min(1, max_norm / (norm + 1e-6)); return norm."""
    max_norm = check_range(max_norm, "max_norm", 0)
    check_grads(grads)
    with np.errstate(all="ignore"):
        top = max((float(np.abs(g).max(initial=0)) for g in grads), default=0.0)
        power = np.frexp(top)[1] if np.isfinite(top) else 0  # squares neither overflow nor vanish
        norm = np.ldexp(
            float(np.sqrt(sum(np.sum(np.ldexp(g.astype(np.longdouble), -power) ** 2) for g in grads))), power
        )
        factor = max_norm / (norm + 1e-6)
        if not factor >= 1:
            for g in grads:
                finish(g.astype(np.float64) * factor, g.dtype, g)
    return float(norm)


def clip_grad_value(grads, clip_value):
    """grads = min(max(grads, -clip_value), clip_value); NaN stays."""
    clip_value = check_range(clip_value, "clip_value", 0)
    check_grads(grads)
    for g in grads:
        finish(np.clip(g.astype(np.float64), -clip_value, clip_value), g.dtype, g)


def unscale_grads(grads, scale):
    """grads = grads / scale; return whether all were finite."""
    scale = check_range(scale, "scale", np.finfo(np.float64).tiny, LARGEST)
    check_grads(grads)
    finite = all(np.isfinite(g).all() for g in grads)
    with np.errstate(all="ignore"):
        for g in grads:
            finish(g.astype(np.float64) / scale, g.dtype, g)
    return bool(finite)


def check_grads(grads):
    """Check a list of arrays that are updated in place."""
    if not isinstance(grads, (list, tuple)):
        raise TypeError(f"grads must be a list of arrays, not {type(grads).__name__}")
    for i, g in enumerate(grads):
        check_updated(g, f"grads[{i}]")
