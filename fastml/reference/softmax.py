"""Softmax, log-softmax and logsumexp with their gradients.

Formulas: Blanchard, Higham, Higham, "Accurately computing the log-sum-exp and softmax functions",
IMA J. Numer. Anal. 41 (2021), https://doi.org/10.1093/imanum/draa038, eqs. (1.3) and (3.1): subtract the
largest element, and take log1p of the other terms' sum so that a dominating element loses nothing.
"""

import numpy as np

from ._arrays import as_float64, as_float64s, check_axis, check_out, check_same_shape, finish


def _last(x, axis):
    """Return x with its class axis last and contiguous (NumPy sums pairwise then); 0-d counts as one class."""
    if x.ndim == 0:
        check_axis(axis, 1)
        return x.reshape(1)
    return np.ascontiguousarray(np.moveaxis(x, check_axis(axis, x.ndim), -1))


def _back(y, axis, shape):
    """Undo _last."""
    return y.reshape(shape) if shape == () else np.moveaxis(y, -1, axis)


def _exp_shifted(x):
    """Return max, exp(x - max) and log(sum(exp(x - max))) over the last axis, each with that axis kept.

    The largest term is exp(0) = 1, so the log of the sum is log1p of the sum of the other terms. Where
    the maximum is infinite the term is NaN, and so are both results, as inf - inf is.
    """
    if x.shape[-1] == 0:
        return np.full((*x.shape[:-1], 1), -np.inf), x, np.full((*x.shape[:-1], 1), -np.inf)
    with np.errstate(invalid="ignore", under="ignore"):
        largest = x.max(axis=-1, keepdims=True)
        e = np.exp(x - largest)
        where = x.argmax(axis=-1, keepdims=True)
        others = e.copy()
        np.put_along_axis(others, where, np.take_along_axis(e, where, axis=-1) - 1, axis=-1)
        return largest, e, np.log1p(others.sum(axis=-1, keepdims=True))


def softmax(x, axis=-1, *, out=None):
    """y_i = exp(x_i - m) / sum_j exp(x_j - m) with m = max_j x_j along axis."""
    x64, dtype = as_float64(x, "x")
    rows = _last(x64, axis)
    check_out(out, x64.shape, dtype, x=x)
    _, e, _ = _exp_shifted(rows)
    with np.errstate(invalid="ignore", under="ignore"):
        y = e / e.sum(axis=-1, keepdims=True)
    return finish(_back(y, axis, x64.shape), dtype, out)


def softmax_backward(grad, y, axis=-1, *, out=None):
    """dx_i = y_i (grad_i - sum_j grad_j y_j), where y = softmax(x)."""
    grad64, y64, dtype = as_float64s(grad=grad, y=y)
    check_same_shape(grad64, "grad", y64, "y")
    g, p = _last(grad64, axis), _last(y64, axis)
    check_out(out, grad64.shape, dtype, grad=grad, y=y)
    with np.errstate(invalid="ignore", over="ignore", under="ignore"):
        dx = p * (g - (g * p).sum(axis=-1, keepdims=True))
    return finish(_back(dx, axis, grad64.shape), dtype, out)


def log_softmax(x, axis=-1, *, out=None):
    """y_i = (x_i - m) - log sum_j exp(x_j - m) with m = max_j x_j along axis."""
    x64, dtype = as_float64(x, "x")
    rows = _last(x64, axis)
    check_out(out, x64.shape, dtype, x=x)
    largest, _, log_sum = _exp_shifted(rows)
    with np.errstate(invalid="ignore"):
        y = (rows - largest) - log_sum
    return finish(_back(y, axis, x64.shape), dtype, out)


def log_softmax_backward(grad, y, axis=-1, *, out=None):
    """dx_i = grad_i - exp(y_i) sum_j grad_j, where y = log_softmax(x)."""
    grad64, y64, dtype = as_float64s(grad=grad, y=y)
    check_same_shape(grad64, "grad", y64, "y")
    g, log_p = _last(grad64, axis), _last(y64, axis)
    check_out(out, grad64.shape, dtype, grad=grad, y=y)
    with np.errstate(invalid="ignore", over="ignore", under="ignore"):
        dx = g - np.exp(log_p) * g.sum(axis=-1, keepdims=True)
    return finish(_back(dx, axis, grad64.shape), dtype, out)


def logsumexp(x, axis=-1, *, keepdims=False):
    """y = m + log sum_j exp(x_j - m) with m = max_j x_j over axis: an int, a tuple of ints, or None for all.

    An infinite maximum is the result itself; no elements at all give -inf.
    """
    x64, dtype = as_float64(x, "x")
    named = range(x64.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    axes = tuple(check_axis(a, max(x64.ndim, 1)) for a in named)
    if len(set(axes)) != len(axes):
        raise ValueError(f"axis must name each axis once, not {axis}")
    if x64.ndim == 0:
        axes = ()
    kept = tuple(a for a in range(x64.ndim) if a not in axes)
    kept_shape = tuple(x64.shape[a] for a in kept)
    terms = int(np.prod([x64.shape[a] for a in axes]))
    rows = x64.transpose(kept + axes).reshape((*kept_shape, terms))
    largest, _, log_sum = _exp_shifted(rows)
    with np.errstate(invalid="ignore"):
        y = np.where(np.isfinite(largest), largest + log_sum, largest)[..., 0]
    if keepdims:
        y = y.reshape([1 if a in axes else n for a, n in enumerate(x64.shape)])
    return finish(y, dtype)[()]
