"""Activation functions and their gradients."""

from .._kernels import activations as _kernel


def relu(x, *, out=None):
    r"""Rectified linear unit: negative numbers become 0.

    .. math:: y_i = \max(x_i, 0)

    Parameters
    ----------
    x : array_like, any shape
        float32 and float64 stay; integers and bool are taken as float32.
    out : ndarray, optional
        The result's shape and dtype, writable; may be x itself.

    Returns
    -------
    ndarray of x's shape. NaN stays NaN and -0 stays -0, as in PyTorch.

    Raises
    ------
    ValueError
        out of another shape, read-only, or overlapping x in part.
    TypeError
        x or out of a kind that is not taken.

    Source: V. Nair, G. E. Hinton, Rectified linear units improve restricted Boltzmann machines, ICML 2010.

    Examples
    --------
    >>> import fastml
    >>> fastml.relu([-1.0, 0.0, 2.0])
    array([0., 0., 2.])
    """
    return _kernel.relu(x, out)


def relu_backward(grad, x, *, out=None):
    r"""Gradient of ReLU: from dL/dy and x to dL/dx.

    .. math:: dx_i = \begin{cases} 0 & x_i \le 0 \\ g_i & \text{otherwise} \end{cases}

    So the gradient at 0 is 0, and where x is NaN it is g, as in PyTorch.

    Parameters
    ----------
    grad, x : array_like of one shape
        The loss's gradient by y, and ReLU's input (or its result: both have the same sign).
    out : ndarray, optional
        As in `relu`; may be grad or x itself.

    Raises ValueError and TypeError as `relu` does, and where the shapes differ. Source: as in `relu`.

    Examples
    --------
    >>> import fastml
    >>> fastml.relu_backward([5.0, 5.0, 5.0], [-1.0, 0.0, 2.0])
    array([0., 0., 5.])
    """
    return _kernel.relu_backward(grad, x, out)
