"""Batch normalisation in pieces. Source of the merge: T. F. Chan, G. H. Golub, R. J. LeVeque, Updating formulae and a
pairwise algorithm for computing sample variances, 1979."""

import numpy as np

from ._arrays import as_float64, as_float64s, as_vector, check_axis, check_out, check_range, check_same_shape, finish


def _spread(x, axis, **vectors):
    """Return the axis from the front, the others, and the vectors per channel in a form that broadcasts along x."""
    axis = check_axis(axis, x.ndim, "channel_axis")
    shape = [-1 if i == axis else 1 for i in range(x.ndim)]
    channels = x.shape[axis]
    return axis, tuple(i for i in range(x.ndim) if i != axis), [
        as_vector(v, name, channels).reshape(shape) for name, v in vectors.items()
    ]  # fmt: skip


def batch_norm_stats(x, *, channel_axis=1):
    """count values per channel, their mean, and m2 = sum (x - mean)^2; float64."""
    x64, _ = as_float64(x, "x")
    axis, others, _ = _spread(x64, channel_axis)
    count = int(np.prod([x64.shape[i] for i in others]))
    with np.errstate(all="ignore"):
        mean = x64.sum(axis=others, keepdims=True) / max(count, 1)
        m2 = ((x64 - mean) ** 2).sum(axis=others)
    return count, mean.reshape(x64.shape[axis]), m2


def batch_norm_apply(x, mean, inv_std, weight=None, bias=None, *, channel_axis=1, out=None):
    """y = (x - mean) * inv_std * weight + bias per channel."""
    x64, dtype = as_float64(x, "x")
    _, _, (mu, s) = _spread(x64, channel_axis, mean=mean, inv_std=inv_std)
    _, _, gamma = _spread(x64, channel_axis, **({} if weight is None else {"weight": weight}))
    _, _, beta = _spread(x64, channel_axis, **({} if bias is None else {"bias": bias}))
    check_out(out, x64.shape, dtype, x=x, mean=mean, inv_std=inv_std, weight=weight, bias=bias)

    with np.errstate(all="ignore"):
        y = (x64 - mu) * s * (gamma[0] if gamma else 1.0) + (beta[0] if beta else 0.0)
    return finish(y, dtype, out)


def batch_norm_backward_stats(grad, x, mean, inv_std, *, channel_axis=1):
    """dweight = sum grad * xhat,  dbias = sum grad,  with xhat = (x - mean) * inv_std; float64."""
    grad64, x64, _ = as_float64s(grad=grad, x=x)
    check_same_shape(grad64, "grad", x64, "x")
    _, others, (mu, s) = _spread(x64, channel_axis, mean=mean, inv_std=inv_std)
    with np.errstate(all="ignore"):
        return (grad64 * ((x64 - mu) * s)).sum(axis=others), grad64.sum(axis=others)


def batch_norm_backward_apply(grad, x, weight, mean, inv_std, dweight, dbias, count, *, channel_axis=1, out=None):
    """dx = weight * inv_std * (grad - dbias / count - xhat * dweight / count), with sums over the whole batch."""
    grad64, x64, dtype = as_float64s(grad=grad, x=x)
    check_same_shape(grad64, "grad", x64, "x")
    vectors = {"mean": mean, "inv_std": inv_std, "dweight": dweight, "dbias": dbias}
    _, _, (mu, s, dot, total) = _spread(x64, channel_axis, **vectors)
    _, _, gamma = _spread(x64, channel_axis, **({} if weight is None else {"weight": weight}))
    count = check_range(count, "count", 1)
    check_out(out, grad64.shape, dtype, grad=grad, x=x, weight=weight, **vectors)

    with np.errstate(all="ignore"):
        dx = grad64 - total / count - (x64 - mu) * s * (dot / count)
        dx = s * (gamma[0] if gamma else 1.0) * dx
    return finish(dx, dtype, out)
