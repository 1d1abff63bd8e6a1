"""RMS normalisation and its gradient; the kernel is layer_norm's."""

from .._kernels import layer_norm as _kernel


def rms_norm(x, weight=None, *, axis=-1, eps=1e-6, out=None):
    r"""The values of each sample divided by their root mean square, then times weight.

    .. math:: y = \frac{x}{\sqrt{\overline{x^2} + \epsilon}} \odot w

    :math:`\overline{x^2}` is the mean of the squares over the normalised axes, one for every place along the other
    axes; squares are summed in double precision, so that float32 as large as 1e38 do not overflow.

    Parameters
    ----------
    x : array_like, at least 1-d
        float32 and float64 compute in their own precision; integers and bool are taken as float32.
    weight : array_like of the shape of the normalised axes, optional
        None stands for ones.
    axis : int or tuple of ints
        The normalised axes: one axis, or the last ones, as in (-2, -1).
    eps : float
        Added to the mean of the squares, at least 0. (PyTorch's None is the dtype's ``np.finfo(dtype).eps``.)
    out : ndarray, optional
        x's shape and dtype, writable; may be x itself.

    Returns
    -------
    y : ndarray of x's shape
    inv_rms : ndarray of x's dtype and shape, 1 along the normalised axes
        :math:`1 / \sqrt{\overline{x^2} + \epsilon}`: what `rms_norm_backward` takes. NaN where nothing is normalised.

    Raises
    ------
    ValueError
        Negative eps; axis out of range, or a tuple that is not of the last axes; an argument of another shape,
        read-only where it is written, or overlapping out.
    TypeError
        An argument of a kind that is not taken.

    Source: B. Zhang, R. Sennrich, Root mean square layer normalization, NeurIPS 2019,
    https://arxiv.org/abs/1910.07467.

    Examples
    --------
    >>> import fastml
    >>> y, inv_rms = fastml.rms_norm([[3.0, 4.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0]], eps=0.0)
    >>> y
    array([[1.2, 1.6, 0. , 0. ],
           [1. , 1. , 1. , 1. ]])
    >>> inv_rms.ravel()
    array([0.4, 1. ])
    """
    return _kernel.rms_norm(x, weight, axis, eps, out)


def rms_norm_backward(grad, x, weight, inv_rms, *, axis=-1, out=None):
    r"""Gradients of rms_norm: from dL/dy to dL/dx and dL/dweight.

    With :math:`\hat x = x s`, s = inv_rms, the mean over the normalised axes and the sum over the others:

    .. math:: dw = \sum g \hat x, \quad dx = s \left(g w - \hat x \, \overline{g w \hat x}\right)

    Parameters
    ----------
    grad, x : array_like of one shape
        The loss's gradient by y, and rms_norm's input.
    weight : array_like of the shape of the normalised axes, or None
    inv_rms : array_like
        As `rms_norm` returned it.
    axis : int or tuple of ints
        As in the forward call.
    out : ndarray, optional
        grad's shape and dtype, writable; may be grad or x itself.

    Returns
    -------
    dx : ndarray of grad's shape
    dweight : ndarray of grad's dtype, of the shape of the normalised axes
        Also where there was no weight. Zeros for an empty batch.

    Raises ValueError and TypeError as `rms_norm` does, and ValueError where the shapes differ.

    Source: as `rms_norm`.

    Examples
    --------
    >>> import fastml
    >>> x = [[3.0, 4.0, 0.0, 0.0]]
    >>> y, inv_rms = fastml.rms_norm(x, eps=0.0)
    >>> dx, dweight = fastml.rms_norm_backward([[1.0, 0.0, 0.0, 1.0]], x, None, inv_rms)
    >>> dx.round(3), dweight
    (array([[ 0.256, -0.192,  0.   ,  0.4  ]]), array([1.2, 0. , 0. , 0. ]))
    """
    return _kernel.rms_norm_backward(grad, x, weight, inv_rms, axis, out)
