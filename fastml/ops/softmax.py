"""Softmax, log-softmax, log-sum-exp and their gradients."""

from .._kernels import softmax as _kernel


def softmax(x, axis=-1, *, out=None):
    r"""Exponentials scaled to sum 1 along an axis.

    .. math:: y_i = e^{x_i - m} / \sum_j e^{x_j - m}, \quad m = \max_j x_j

    Parameters
    ----------
    x : array_like, any shape
        float32 and float64 compute in their own precision; integers and bool are taken as float32.
    axis : int
        The axis whose entries sum to 1. A 0-d array counts as one entry.
    out : ndarray, optional
        The result's shape and dtype, writable; may be x itself.

    Returns
    -------
    ndarray of x's shape. A NaN, a +inf or nothing but -inf along the axis makes all of its entries NaN.

    Raises
    ------
    ValueError
        axis out of range; out of another shape, read-only, or overlapping x in part.
    TypeError
        x or out of a kind that is not taken; axis not an integer.

    Source: J. S. Bridle, Probabilistic interpretation of feedforward classification network outputs, 1990.

    Examples
    --------
    >>> import fastml
    >>> fastml.softmax([[0.0, 0.0], [1000.0, 0.0]])
    array([[0.5, 0.5],
           [1. , 0. ]])
    """
    return _kernel.softmax(x, axis, out)


def softmax_backward(grad, y, axis=-1, *, out=None):
    r"""Gradient of softmax: from dL/dy and y = softmax(x) to dL/dx.

    .. math:: dx_i = y_i \left(g_i - \sum_j g_j y_j\right)

    Parameters
    ----------
    grad, y : array_like of one shape
        The loss's gradient by y, and y itself.
    axis : int
        The axis that softmax ran along.
    out : ndarray, optional
        As in `softmax`; may be grad or y itself.

    Raises ValueError and TypeError as `softmax` does, and where the shapes differ.

    Examples
    --------
    >>> import fastml
    >>> y = fastml.softmax([0.0, 0.0])
    >>> fastml.softmax_backward([1.0, 0.0], y)
    array([ 0.25, -0.25])
    """
    return _kernel.softmax_backward(grad, y, axis, out)


def log_softmax(x, axis=-1, *, out=None):
    r"""Logarithm of softmax, accurate where the probability is near 1 or far below the smallest float.

    .. math:: y_i = (x_i - m) - \log \sum_j e^{x_j - m}, \quad m = \max_j x_j

    The logarithm is taken as log1p of the terms below the maximum, so a result near 0 keeps its digits.
    Parameters, result and errors as in `softmax`.

    Examples
    --------
    >>> import fastml
    >>> fastml.log_softmax([1000.0, 0.0])
    array([    0., -1000.])
    """
    return _kernel.log_softmax(x, axis, out)


def log_softmax_backward(grad, y, axis=-1, *, out=None):
    r"""Gradient of log-softmax: from dL/dy and y = log_softmax(x) to dL/dx.

    .. math:: dx_i = g_i - e^{y_i} \sum_j g_j

    Parameters and errors as in `softmax_backward`.

    Examples
    --------
    >>> import fastml
    >>> y = fastml.log_softmax([0.0, 0.0])
    >>> fastml.log_softmax_backward([1.0, 0.0], y)
    array([ 0.5, -0.5])
    """
    return _kernel.log_softmax_backward(grad, y, axis, out)


def logsumexp(x, axis=-1, *, keepdims=False):
    r"""Logarithm of the sum of exponentials along one axis, several or all.

    .. math:: y = m + \log \sum_j e^{x_j - m}, \quad m = \max_j x_j

    Parameters
    ----------
    x : array_like, any shape
    axis : int, tuple of ints or None
        The axes to sum over; None sums over all of them.
    keepdims : bool
        Keep the axes with length 1.

    Returns
    -------
    ndarray, or a NumPy scalar where no axis is left. -inf for an empty sum or one of -inf alone; +inf where
    an entry is +inf; NaN where one is NaN.

    Raises ValueError (axis out of range or named twice) and TypeError (kind of argument).

    Examples
    --------
    >>> import fastml
    >>> float(fastml.logsumexp([1000.0, 1000.0]))
    1000.6931471805599
    """
    return _kernel.logsumexp(x, axis, keepdims)
