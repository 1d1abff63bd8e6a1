"""Smooth activation functions and their gradients; those with a corner are in activations.py."""

from .._check import nonzero as _nonzero
from .._check import number as _number
from .._kernels import activations as _kernel


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


def silu(x, *, out=None):
    r"""Sigmoid linear unit, also called swish: x times its sigmoid.

    .. math:: y_i = x_i \, \sigma(x_i) = \frac{x_i}{1 + e^{-x_i}}

    Parameters
    ----------
    x : array_like, any shape
        float32 and float64 compute in their own precision; integers and bool are taken as float32.
    out : ndarray, optional
        The result's shape and dtype, writable; may be x itself.

    Returns
    -------
    ndarray of x's shape. Within 4 units in the last place, also where it is tiny; NaN stays NaN, and -infinity
    gives NaN (infinity times 0).

    Raises ValueError (out of another shape, read-only, or overlapping x in part) and TypeError (an argument of a
    kind that is not taken).

    Source: S. Elfwing, E. Uchibe, K. Doya, Sigmoid-weighted linear units for neural
    network function approximation in reinforcement learning, 2017, https://arxiv.org/abs/1702.03118.

    Examples
    --------
    >>> import fastml
    >>> fastml.silu([-2.0, 0.0, 2.0]).round(4)
    array([-0.2384,  0.    ,  1.7616])
    """
    return _kernel.unary(_kernel.SILU, x, out)


def silu_backward(grad, x, *, out=None):
    r"""Gradient of silu: from dL/dy and x to dL/dx.

    .. math:: dx_i = g_i \, \sigma(x_i) \left(1 + x_i \, \sigma(-x_i)\right)

    grad and x are array_like of one shape, x being the input of silu; out as there, it may be grad or
    x itself. An infinite x gives NaN (infinity times 0).
    Raises ValueError and TypeError as `silu` does, and where the shapes differ.

    >>> import fastml
    >>> fastml.silu_backward([1.0, 1.0, 1.0], [-2.0, 0.0, 2.0]).round(4)
    array([-0.0908,  0.5   ,  1.0908])
    """
    return _kernel.unary_backward(_kernel.SILU, grad, x, out)


def sigmoid(x, *, out=None):
    r"""Logistic function: any number to a probability.

    .. math:: y_i = \sigma(x_i) = \frac{1}{1 + e^{-x_i}}

    Parameters
    ----------
    x : array_like, any shape
        float32 and float64 compute in their own precision; integers and bool are taken as float32.
    out : ndarray, optional
        The result's shape and dtype, writable; may be x itself.

    Returns
    -------
    ndarray of x's shape. Within 4 units in the last place, also where it is tiny: e^x far below 0. NaN stays NaN.

    Raises ValueError (out of another shape, read-only, or overlapping x in part) and TypeError (an argument of a
    kind that is not taken).

    Source: P.-F. Verhulst, Recherches mathématiques sur la loi d'accroissement de
    la population, 1845.

    Examples
    --------
    >>> import fastml
    >>> fastml.sigmoid([-2.0, 0.0, 2.0]).round(4)
    array([0.1192, 0.5   , 0.8808])
    """
    return _kernel.unary(_kernel.SIGMOID, x, out)


def sigmoid_backward(grad, x=None, *, y=None, out=None):
    r"""Gradient of sigmoid: from dL/dy and x, or y, to dL/dx.

    .. math:: dx_i = g_i \, \sigma(x_i) \, \sigma(-x_i) = g_i \, y_i (1 - y_i)

    grad and x are array_like of one shape, x being the input of sigmoid; out as there, it may be grad or
    x itself. With y, the result of sigmoid, x is not looked at and may be left out: that saves the exponential, and
    loses digits where y is near 1, as 1 - y has those of y's rounding (none are left at 1).
    Raises ValueError and TypeError as `sigmoid` does, and where the shapes differ.

    >>> import fastml
    >>> fastml.sigmoid_backward([1.0, 1.0, 1.0], [-2.0, 0.0, 2.0]).round(4)
    array([0.105, 0.25 , 0.105])
    """
    return _kernel.by_result(_kernel.SIGMOID, grad, x, y, out)


def tanh(x, *, out=None):
    r"""Hyperbolic tangent.

    .. math:: y_i = \frac{e^{x_i} - e^{-x_i}}{e^{x_i} + e^{-x_i}}

    Parameters
    ----------
    x : array_like, any shape
        float32 and float64 compute in their own precision; integers and bool are taken as float32.
    out : ndarray, optional
        The result's shape and dtype, writable; may be x itself.

    Returns
    -------
    ndarray of x's shape. Within 4 units in the last place, also where it is tiny; NaN stays NaN and -0 stays -0.

    Raises ValueError (out of another shape, read-only, or overlapping x in part) and TypeError (an argument of a
    kind that is not taken).

    Source: Y. LeCun, L. Bottou, G. Orr, K.-R. Müller, Efficient BackProp, 1998.

    Examples
    --------
    >>> import fastml
    >>> fastml.tanh([-2.0, 0.0, 2.0]).round(4)
    array([-0.964,  0.   ,  0.964])
    """
    return _kernel.unary(_kernel.TANH, x, out)


def tanh_backward(grad, x=None, *, y=None, out=None):
    r"""Gradient of tanh: from dL/dy and x, or y, to dL/dx.

    .. math:: dx_i = g_i \left(1 - \tanh^2 x_i\right) = \frac{4 g_i}{(e^{x_i} + e^{-x_i})^2}
              = g_i (1 - y_i) (1 + y_i)

    grad and x are array_like of one shape, x being the input of tanh; out as there, it may be grad or
    x itself. With y, the result of tanh, x is not looked at and may be left out: that saves the exponential, and
    loses digits where y is near 1 or -1, as 1 - y has those of y's rounding (none are left at 1).
    Raises ValueError and TypeError as `tanh` does, and where the shapes differ.

    >>> import fastml
    >>> fastml.tanh_backward([1.0, 1.0, 1.0], [-2.0, 0.0, 2.0]).round(4)
    array([0.0707, 1.    , 0.0707])
    """
    return _kernel.by_result(_kernel.TANH, grad, x, y, out)


def softplus(x, *, beta=1.0, threshold=20.0, out=None):
    r"""A smooth rectified linear unit.

    .. math:: y_i = \tfrac1\beta \log\left(1 + e^{\beta x_i}\right), \quad
              y_i = x_i \text{ where } \beta x_i > \text{threshold}

    Parameters
    ----------
    x : array_like, any shape
        float32 and float64 compute in their own precision; integers and bool are taken as float32.
    beta, threshold : real numbers, beta other than 0
    out : ndarray, optional
        The result's shape and dtype, writable; may be x itself.

    Returns
    -------
    ndarray of x's shape. Within 4 units in the last place, also where it is tiny (log1p); NaN stays NaN.

    Raises ValueError (out of another shape, read-only, or overlapping x in part; a threshold that is NaN, a beta of 0)
    and TypeError (an argument of a kind that is not taken).

    Source: C. Dugas et al., Incorporating second-order functional knowledge for better
    option pricing, NeurIPS 2000.

    Examples
    --------
    >>> import fastml
    >>> fastml.softplus([-2.0, 0.0, 2.0]).round(4)
    array([0.1269, 0.6931, 2.1269])
    """
    return _kernel.unary(_kernel.SOFTPLUS, x, out, _nonzero(beta, "beta"), _number(threshold, "threshold"))


def softplus_backward(grad, x, *, beta=1.0, threshold=20.0, out=None):
    r"""Gradient of softplus: from dL/dy and x to dL/dx.

    .. math:: dx_i = g_i \, \sigma(\beta x_i), \quad dx_i = g_i \text{ where } \beta x_i > \text{threshold}

    grad and x are array_like of one shape, x being the input of softplus; parameters and out as
    there, out may be grad or x itself. Raises ValueError and TypeError as `softplus` does, and where the
    shapes differ.

    >>> import fastml
    >>> fastml.softplus_backward([1.0, 1.0, 1.0], [-2.0, 0.0, 2.0]).round(4)
    array([0.1192, 0.5   , 0.8808])
    """
    return _kernel.unary_backward(
        _kernel.SOFTPLUS, grad, x, out, _nonzero(beta, "beta"), _number(threshold, "threshold")
    )
