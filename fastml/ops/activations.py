"""Activation functions in pieces and their gradients; those without a corner are in activations_smooth.py."""

from .._check import number as _number
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

    So the gradient at 0 is 0, and where x is NaN it is g, as in PyTorch. Denormals count as 0 (docs/numerics.md).

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


def leaky_relu(x, *, negative_slope=0.01, out=None):
    r"""Leaky rectified linear unit: negative numbers are scaled down.

    .. math:: y_i = \begin{cases} x_i & x_i > 0 \\ s \, x_i & \text{otherwise} \end{cases}

    Parameters
    ----------
    x : array_like, any shape
        float32 and float64 compute in their own precision; integers and bool are taken as float32.
    negative_slope : real number, the s above
    out : ndarray, optional
        The result's shape and dtype, writable; may be x itself.

    Returns
    -------
    ndarray of x's shape. NaN stays NaN.

    Raises ValueError (out of another shape, read-only, or overlapping x in part; a parameter that is NaN) and TypeError
    (an argument of a kind that is not taken).

    Source: A. Maas, A. Hannun, A. Ng, Rectifier nonlinearities improve neural network
    acoustic models, ICML 2013.

    Examples
    --------
    >>> import fastml
    >>> fastml.leaky_relu([-2.0, 0.0, 2.0]).round(4)
    array([-0.02,  0.  ,  2.  ])
    """
    return _kernel.unary(_kernel.LEAKY_RELU, x, out, _number(negative_slope, "negative_slope"))


def leaky_relu_backward(grad, x, *, negative_slope=0.01, out=None):
    r"""Gradient of leaky_relu: from dL/dy and x to dL/dx.

    .. math:: dx_i = \begin{cases} g_i & x_i > 0 \\ s \, g_i & \text{otherwise} \end{cases}

    grad and x are array_like of one shape, x being the input of leaky_relu; parameters and out as
    there, out may be grad or x itself. Raises ValueError and TypeError as `leaky_relu` does, and where the
    shapes differ.

    >>> import fastml
    >>> fastml.leaky_relu_backward([1.0, 1.0, 1.0], [-2.0, 0.0, 2.0]).round(4)
    array([0.01, 0.01, 1.  ])
    """
    return _kernel.unary_backward(_kernel.LEAKY_RELU, grad, x, out, _number(negative_slope, "negative_slope"))


def elu(x, *, alpha=1.0, out=None):
    r"""Exponential linear unit: negative numbers approach -alpha.

    .. math:: y_i = \begin{cases} x_i & x_i > 0 \\ \alpha \, (e^{x_i} - 1) & \text{otherwise} \end{cases}

    Parameters
    ----------
    x : array_like, any shape
        float32 and float64 compute in their own precision; integers and bool are taken as float32.
    alpha : real number
    out : ndarray, optional
        The result's shape and dtype, writable; may be x itself.

    Returns
    -------
    ndarray of x's shape. Within 4 units in the last place, also where it is tiny (expm1); NaN stays NaN.

    Raises ValueError (out of another shape, read-only, or overlapping x in part; a parameter that is NaN) and TypeError
    (an argument of a kind that is not taken).

    Source: D.-A. Clevert, T. Unterthiner, S. Hochreiter, Fast and accurate deep network
    learning by exponential linear units, ICLR 2016, https://arxiv.org/abs/1511.07289.

    Examples
    --------
    >>> import fastml
    >>> fastml.elu([-2.0, 0.0, 2.0]).round(4)
    array([-0.8647,  0.    ,  2.    ])
    """
    return _kernel.unary(_kernel.ELU, x, out, _number(alpha, "alpha"))


def elu_backward(grad, x, *, alpha=1.0, out=None):
    r"""Gradient of elu: from dL/dy and x to dL/dx.

    .. math:: dx_i = \begin{cases} g_i & x_i > 0 \\ \alpha \, e^{x_i} g_i & \text{otherwise} \end{cases}

    grad and x are array_like of one shape, x being the input of elu; parameters and out as
    there, out may be grad or x itself. Raises ValueError and TypeError as `elu` does, and where the
    shapes differ.

    >>> import fastml
    >>> fastml.elu_backward([1.0, 1.0, 1.0], [-2.0, 0.0, 2.0]).round(4)
    array([0.1353, 1.    , 1.    ])
    """
    return _kernel.unary_backward(_kernel.ELU, grad, x, out, _number(alpha, "alpha"))


def hard_swish(x, *, out=None):
    r"""Piecewise form of swish: x times a sigmoid made of three straight lines.

    .. math:: y_i = x_i \, \frac{\min(\max(x_i + 3, 0), 6)}{6}

    Parameters
    ----------
    x : array_like, any shape
        float32 and float64 compute in their own precision; integers and bool are taken as float32.
    out : ndarray, optional
        The result's shape and dtype, writable; may be x itself.

    Returns
    -------
    ndarray of x's shape. Within 1 unit in the last place, also near -3; NaN stays NaN, and -infinity gives NaN
    (infinity times 0).

    Raises ValueError (out of another shape, read-only, or overlapping x in part) and TypeError (an argument of a
    kind that is not taken).

    Source: A. Howard et al., Searching for MobileNetV3, ICCV 2019, https://arxiv.org/abs/1905.02244; as
    torch.nn.functional.hardswish.

    Examples
    --------
    >>> import fastml
    >>> fastml.hard_swish([-4.0, -1.0, 0.0, 2.0, 4.0]).round(4)
    array([-0.    , -0.3333,  0.    ,  1.6667,  4.    ])
    """
    return _kernel.unary(_kernel.HARD_SWISH, x, out)


def hard_swish_backward(grad, x, *, out=None):
    r"""Gradient of hard_swish: from dL/dy and x to dL/dx.

    .. math:: dx_i = g_i \begin{cases} 0 & x_i \le -3 \\ 1 & x_i \ge 3 \\ (2 x_i + 3) / 6 & \text{otherwise} \end{cases}

    grad and x are array_like of one shape, x being the input of hard_swish; out as there, it may be grad or
    x itself. Raises ValueError and TypeError as `hard_swish` does, and where the shapes differ.

    >>> import fastml
    >>> fastml.hard_swish_backward([1.0, 1.0, 1.0], [-4.0, 0.0, 4.0])
    array([0. , 0.5, 1. ])
    """
    return _kernel.unary_backward(_kernel.HARD_SWISH, grad, x, out)
