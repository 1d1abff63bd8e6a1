"""The affine map of a fully connected layer and its gradient."""

from functools import partial

from .._check import choice as _choice
from .._kernels import linear as _kernel
from . import activations, activations_smooth

#: What may follow a linear map, by name; the rectifier is applied in the product's own kernel.
_ACTIVATIONS = {
    "relu": activations.relu,
    "leaky_relu": activations.leaky_relu,
    "elu": activations.elu,
    "gelu": activations_smooth.gelu,
    "gelu_tanh": partial(activations_smooth.gelu, approximate="tanh"),
    "silu": activations_smooth.silu,
    "hard_swish": activations.hard_swish,
    "sigmoid": activations_smooth.sigmoid,
    "tanh": activations_smooth.tanh,
    "softplus": activations_smooth.softplus,
}


def linear(x, weight, bias=None, *, activation=None, out=None):
    r"""Affine map of the last axis, with an activation behind it where asked for.

    .. math:: y_{ij} = \phi\Big(\sum_k x_{ik} W_{jk} + b_j\Big), \quad \phi(z) = z \text{ without activation}

    Each sum is taken in chains of 64 fused multiply-adds, whatever the shape, so its bits depend neither on the
    number of threads nor on the other rows; its error is at most (128 + in / 4096) · eps · sum|x W|, and at most
    in · eps of it.

    Parameters
    ----------
    x : array_like, shape (..., in)
        float32 and float64 compute in their own precision, float64 where x or weight is; integers and bool are
        taken as float32.
    weight : array_like, shape (out, in)
        Rows are the outputs' weights; a transposed view is taken without a copy.
    bias : array_like, shape (out,), optional
    activation : None, "relu", "leaky_relu", "elu", "gelu", "gelu_tanh", "silu", "hard_swish", "sigmoid", "tanh" or
        "softplus"
        The function of that name (``gelu(approximate="tanh")`` for "gelu_tanh") with its default arguments: the bits
        are those of the two calls. "relu" is applied to the sums on their way to memory.
    out : ndarray, optional
        Shape (..., out) and the result's dtype, writable. Where it is x itself the product goes through a copy.

    Returns
    -------
    ndarray, shape (..., out). Where in = 0 every row is the bias.

    Raises
    ------
    ValueError
        Shapes that do not fit each other; an unknown activation; out of another shape, read-only, or overlapping
        an input in part.
    TypeError
        An array of a kind that is not taken.

    Source: torch.nn.functional.linear for the layout; K. Goto, R. van de Geijn, Anatomy of high-performance matrix
    multiplication, ACM TOMS 34, 2008, for packed panels.

    Examples
    --------
    >>> import fastml
    >>> fastml.linear([[1.0, 2.0]], [[3.0, 4.0], [-5.0, 0.0]], [0.5, 0.5])
    array([[11.5, -4.5]])
    >>> fastml.linear([[1.0, 2.0]], [[3.0, 4.0], [-5.0, 0.0]], [0.5, 0.5], activation="relu")
    array([[11.5,  0. ]])
    """
    if activation is None:
        return _kernel.linear(x, weight, bias, None, out)
    if not isinstance(activation, str) or activation not in _ACTIVATIONS:
        _choice(activation, "activation", (*_ACTIVATIONS, None))
    if activation == "relu":
        return _kernel.linear(x, weight, bias, activation, out)
    y = _kernel.linear(x, weight, bias, None, out)
    return _ACTIVATIONS[activation](y, out=y)


def linear_backward(grad, x, weight, *, input_grad=True):
    r"""Gradients of linear without activation: from dL/dy to dL/dx, dL/dW and dL/db.

    .. math:: dx = g W, \qquad dW = g^\top x, \qquad db_j = \sum_i g_{ij}

    The leading axes count as one.

    Parameters
    ----------
    grad : array_like, shape (..., out)
        The loss's gradient by y. After activation="relu" pass relu_backward(grad, y), after
        another one its backward of the sums, which a call without activation returns.
    x : array_like, shape (..., in)
    weight : array_like, shape (out, in)
    input_grad : bool
        False leaves dx out, half of the arithmetic: None is returned in its place.

    Returns
    -------
    dx, dweight, dbias : ndarrays of shapes (..., in), (out, in) and (out,). With no rows dweight and dbias are 0.

    Raises
    ------
    ValueError
        Shapes that do not fit each other.
    TypeError
        An array of a kind that is not taken.

    Source: I. Goodfellow, Y. Bengio, A. Courville, Deep Learning, 2016, section 6.5.6.

    Examples
    --------
    >>> import fastml
    >>> dx, dweight, dbias = fastml.linear_backward([[1.0, 2.0]], [[3.0, 4.0]], [[1.0, 0.0], [0.0, 1.0]])
    >>> dx, dbias
    (array([[1., 2.]]), array([1., 2.]))
    >>> dweight
    array([[3., 4.],
           [6., 8.]])
    """
    return _kernel.linear_backward(grad, x, weight, input_grad)
