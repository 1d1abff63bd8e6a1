"""Layer normalisation: Ba, Kiros, Hinton (2016), https://arxiv.org/abs/1607.06450."""

import numpy as np

from ._arrays import as_float64, as_float64s, check_axis, check_out, check_range, check_same_shape, finish


def _check_axes(axis, ndim):
    """Return the normalised axes counted from the front: one, or the last ones in order."""
    if not isinstance(axis, (tuple, list)):
        return (check_axis(axis, ndim),)
    axes = tuple(check_axis(a, ndim) for a in axis)
    if not axes or axes != tuple(range(ndim - len(axes), ndim)):
        raise ValueError(f"axis must name the last axes of {ndim}, in order, not {axis}")
    return axes


def _as_shape(array, name, shape, spread=None):
    """Return an array of this shape as float64, in the shape `spread`, in which it broadcasts along x."""
    array, _ = as_float64(array, name)
    if array.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, not {array.shape}")
    return array if spread is None else array.reshape(spread)


def _shapes(x, axes):
    """The normalised part of x's shape, that part with 1 elsewhere, and the rest with 1 in its place."""
    part = tuple(x.shape[i] for i in axes)
    spread = tuple(n if i in axes else 1 for i, n in enumerate(x.shape))
    kept = tuple(1 if i in axes else n for i, n in enumerate(x.shape))
    return part, spread, kept


def layer_norm(x, weight=None, bias=None, *, axis=-1, eps=1e-5, out=None):
    """y = (x - mean) * inv_std * weight + bias, mean and inv_std = 1 / sqrt(var + eps) over the axes, kept."""
    x64, dtype = as_float64(x, "x")
    axes = _check_axes(axis, x64.ndim)
    part, spread, _ = _shapes(x64, axes)
    eps = check_range(eps, "eps", 0)
    gamma = 1.0 if weight is None else _as_shape(weight, "weight", part, spread)
    beta = 0.0 if bias is None else _as_shape(bias, "bias", part, spread)
    check_out(out, x64.shape, dtype, x=x, weight=weight, bias=bias)

    with np.errstate(all="ignore"):
        n = np.float64(np.prod(part))
        mean = x64.sum(axis=axes, keepdims=True) / n
        var = ((x64 - mean) ** 2).sum(axis=axes, keepdims=True) / n
        inv_std = 1 / np.sqrt(var + eps)
        y = (x64 - mean) * inv_std * gamma + beta
    return finish(y, dtype, out), finish(mean, dtype), finish(inv_std, dtype)


def layer_norm_backward(grad, x, weight, mean, inv_std, *, axis=-1, out=None):
    """With xhat = (x - mean) * inv_std, sums over the other axes and means over the normalised ones:

    dweight = sum grad * xhat,  dbias = sum grad,
    dx = inv_std * (grad * weight - mean(grad * weight) - xhat * mean(grad * weight * xhat)).
    """
    grad64, x64, dtype = as_float64s(grad=grad, x=x)
    check_same_shape(grad64, "grad", x64, "x")
    axes = _check_axes(axis, x64.ndim)
    part, spread, kept = _shapes(x64, axes)
    gamma = 1.0 if weight is None else _as_shape(weight, "weight", part, spread)
    mu = _as_shape(mean, "mean", kept)
    s = _as_shape(inv_std, "inv_std", kept)
    check_out(out, grad64.shape, dtype, grad=grad, x=x, weight=weight, mean=mean, inv_std=inv_std)

    with np.errstate(all="ignore"):
        others = tuple(i for i in range(x64.ndim) if i not in axes)
        n = np.float64(np.prod(part))
        xhat = (x64 - mu) * s
        dweight = (grad64 * xhat).sum(axis=others)
        dbias = grad64.sum(axis=others)
        g = grad64 * gamma
        center = g.sum(axis=axes, keepdims=True) / n
        slope = (g * xhat).sum(axis=axes, keepdims=True) / n
        dx = s * (g - center - xhat * slope)
    return finish(dx, dtype, out), finish(dweight, dtype), finish(dbias, dtype)
