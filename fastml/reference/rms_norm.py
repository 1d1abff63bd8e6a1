"""RMS normalisation: Zhang, Sennrich (2019), https://arxiv.org/abs/1910.07467."""

import numpy as np

from ._arrays import as_float64, as_float64s, check_out, check_range, check_same_shape, finish
from .layer_norm import _as_shape, _check_axes, _shapes


def rms_norm(x, weight=None, *, axis=-1, eps=1e-6, out=None):
    """y = x * inv_rms * weight, inv_rms = 1 / sqrt(mean(x ** 2) + eps) over the axes, kept."""
    x64, dtype = as_float64(x, "x")
    axes = _check_axes(axis, x64.ndim)
    part, spread, _ = _shapes(x64, axes)
    eps = check_range(eps, "eps", 0)
    gamma = 1.0 if weight is None else _as_shape(weight, "weight", part, spread)
    check_out(out, x64.shape, dtype, x=x, weight=weight)

    with np.errstate(all="ignore"):
        n = np.float64(np.prod(part))
        inv_rms = 1 / np.sqrt((x64**2).sum(axis=axes, keepdims=True) / n + eps)
        y = x64 * inv_rms * gamma
    return finish(y, dtype, out), finish(inv_rms, dtype)


def rms_norm_backward(grad, x, weight, inv_rms, *, axis=-1, out=None):
    """With xhat = x * inv_rms, the sum over the other axes and the mean over the normalised ones:

    dweight = sum grad * xhat,  dx = inv_rms * (grad * weight - xhat * mean(grad * weight * xhat)).
    """
    grad64, x64, dtype = as_float64s(grad=grad, x=x)
    check_same_shape(grad64, "grad", x64, "x")
    axes = _check_axes(axis, x64.ndim)
    part, spread, kept = _shapes(x64, axes)
    gamma = 1.0 if weight is None else _as_shape(weight, "weight", part, spread)
    s = _as_shape(inv_rms, "inv_rms", kept)
    check_out(out, grad64.shape, dtype, grad=grad, x=x, weight=weight, inv_rms=inv_rms)

    with np.errstate(all="ignore"):
        others = tuple(i for i in range(x64.ndim) if i not in axes)
        n = np.float64(np.prod(part))
        xhat = x64 * s
        dweight = (grad64 * xhat).sum(axis=others)
        g = grad64 * gamma
        slope = (g * xhat).sum(axis=axes, keepdims=True) / n
        dx = s * (g - xhat * slope)
    return finish(dx, dtype, out), finish(dweight, dtype)
