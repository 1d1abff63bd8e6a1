"""Layer normalisation and its gradient."""

from .._kernels import layer_norm as _kernel


def layer_norm(x, weight=None, bias=None, *, axis=-1, eps=1e-5, out=None):
    r"""The values of each sample shifted and scaled to mean 0 and variance 1, then by weight and bias.

    .. math:: y = \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} \odot w + b

    :math:`\mu` and :math:`\sigma^2` are mean and (biased) variance over the normalised axes, one of each for every
    place along the other axes.

    Parameters
    ----------
    x : array_like, at least 1-d
        float32 and float64 compute in their own precision; integers and bool are taken as float32.
    weight, bias : array_like of the shape of the normalised axes, optional
        None stands for ones and zeros.
    axis : int or tuple of ints
        The normalised axes: one axis, or the last ones, as in (-2, -1).
    eps : float
        Added to the variance, at least 0.
    out : ndarray, optional
        x's shape and dtype, writable; may be x itself.

    Returns
    -------
    y : ndarray of x's shape
    mean, inv_std : ndarray of x's dtype and shape, 1 along the normalised axes
        What was subtracted, and :math:`1 / \sqrt{\sigma^2 + \epsilon}`: what `layer_norm_backward` takes. NaN where
        nothing is normalised.

    Raises
    ------
    ValueError
        Negative eps; axis out of range, or a tuple that is not of the last axes; an argument of another shape,
        read-only where it is written, or overlapping out.
    TypeError
        An argument of a kind that is not taken.

    Source: J. L. Ba, J. R. Kiros, G. E. Hinton, Layer normalization, 2016, https://arxiv.org/abs/1607.06450.

    Examples
    --------
    >>> import fastml
    >>> y, mean, inv_std = fastml.layer_norm([[0.0, 2.0, 4.0], [1.0, 1.0, 1.0]], eps=0.01)
    >>> y.round(3)
    array([[-1.222,  0.   ,  1.222],
           [ 0.   ,  0.   ,  0.   ]])
    >>> mean.ravel(), inv_std.ravel().round(3)
    (array([2., 1.]), array([ 0.611, 10.   ]))
    """
    return _kernel.layer_norm(x, weight, bias, axis, eps, out)


def layer_norm_backward(grad, x, weight, mean, inv_std, *, axis=-1, out=None):
    r"""Gradients of layer_norm: from dL/dy to dL/dx, dL/dweight and dL/dbias.

    With :math:`\hat x = (x - \mu) \, s`, s = inv_std, means over the normalised axes and sums over the others:

    .. math:: dw = \sum g \hat x, \quad db = \sum g, \quad
              dx = s \left(g w - \overline{g w} - \hat x \, \overline{g w \hat x}\right)

    Parameters
    ----------
    grad, x : array_like of one shape
        The loss's gradient by y, and layer_norm's input.
    weight : array_like of the shape of the normalised axes, or None
    mean, inv_std : array_like
        As `layer_norm` returned them.
    axis : int or tuple of ints
        As in the forward call.
    out : ndarray, optional
        grad's shape and dtype, writable; may be grad or x itself.

    Returns
    -------
    dx : ndarray of grad's shape
    dweight, dbias : ndarray of grad's dtype, of the shape of the normalised axes
        Also where there was no weight or bias. Zeros for an empty batch.

    Raises ValueError and TypeError as `layer_norm` does, and ValueError where the shapes differ.

    Source: as `layer_norm`.

    Examples
    --------
    >>> import fastml
    >>> x = [[0.0, 2.0, 4.0]]
    >>> y, mean, inv_std = fastml.layer_norm(x)
    >>> dx, dweight, dbias = fastml.layer_norm_backward([[1.0, 0.0, 0.0]], x, None, mean, inv_std)
    >>> dx.round(3), dweight.round(3), dbias
    (array([[ 0.102, -0.204,  0.102]]), array([-1.225,  0.   ,  0.   ]), array([1., 0., 0.]))
    """
    return _kernel.layer_norm_backward(grad, x, weight, mean, inv_std, axis, out)
