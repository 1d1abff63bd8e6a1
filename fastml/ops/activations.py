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


def gelu(x, *, approximate="none", out=None):
    r"""Gaussian error linear unit: x times the probability that a standard normal variable is smaller.

    .. math:: y_i = x_i \, \Phi(x_i), \quad \Phi(x) = \tfrac12 \operatorname{erfc}(-x / \sqrt 2)

    and with approximate="tanh"

    .. math:: y_i = \tfrac12 x_i \left(1 + \tanh\left(\sqrt{2 / \pi} \, (x_i + 0.044715 \, x_i^3)\right)\right)

    Parameters
    ----------
    x : array_like, any shape
        float32 and float64 compute in their own precision; integers and bool are taken as float32.
    approximate : "none" or "tanh"
    out : ndarray, optional
        The result's shape and dtype, writable; may be x itself.

    Returns
    -------
    ndarray of x's shape. Within 4 units in the last place, also far below 0 where y is tiny; NaN stays NaN, and
    -infinity gives NaN (infinity times 0).

    Raises
    ------
    ValueError
        approximate unknown; out of another shape, read-only, or overlapping x in part.
    TypeError
        x, approximate or out of a kind that is not taken.

    Source: D. Hendrycks, K. Gimpel, Gaussian error linear units, 2016, https://arxiv.org/abs/1606.08415.

    Examples
    --------
    >>> import fastml
    >>> fastml.gelu([-2.0, 0.0, 2.0]).round(4)
    array([-0.0455,  0.    ,  1.9545])
    """
    return _kernel.gelu(x, approximate, out)


def gelu_backward(grad, x, *, approximate="none", out=None):
    r"""Gradient of GELU: from dL/dy and x to dL/dx.

    .. math:: dx_i = g_i \left(\Phi(x_i) + x_i \, \varphi(x_i)\right), \quad
              \varphi(x) = e^{-x^2 / 2} / \sqrt{2 \pi}

    and with approximate="tanh" the derivative of that form. An infinite x gives NaN (infinity times 0).

    Parameters
    ----------
    grad, x : array_like of one shape
        The loss's gradient by y, and GELU's input.
    approximate : "none" or "tanh"
        As in the forward call.
    out : ndarray, optional
        As in `gelu`; may be grad or x itself.

    Raises ValueError and TypeError as `gelu` does, and where the shapes differ. Source: as in `gelu`.

    Examples
    --------
    >>> import fastml
    >>> fastml.gelu_backward([1.0, 1.0, 1.0], [-2.0, 0.0, 2.0]).round(4)
    array([-0.0852,  0.5   ,  1.0852])
    """
    return _kernel.gelu_backward(grad, x, approximate, out)
