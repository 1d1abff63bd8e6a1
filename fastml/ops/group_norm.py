"""Group and instance normalisation and their gradients."""

from .._kernels import group_norm as _kernel


def group_norm(x, num_groups, weight=None, bias=None, *, eps=1e-5, out=None):
    r"""The values of each group of channels of a sample shifted and scaled to mean 0 and variance 1, then channel by
    channel by weight and bias.

    .. math:: y = \frac{x - \mu_{n,g}}{\sqrt{\sigma_{n,g}^2 + \epsilon}} \, w_c + b_c

    :math:`\mu_{n,g}` and :math:`\sigma_{n,g}^2` are mean and (biased) variance over the channels of group g of sample n
    and over all further axes. The groups are num_groups runs of C / num_groups channels each; one group is layer
    normalisation with a weight per channel, C groups are instance normalisation.

    Parameters
    ----------
    x : array_like, (N, C, ...)
        float32 and float64 compute in their own precision; integers and bool are taken as float32.
    num_groups : int
        At least 1, a divisor of C.
    weight, bias : array_like (C,), optional
        None stands for ones and zeros.
    eps : float
        Added to the variance, at least 0.
    out : ndarray, optional
        x's shape and dtype, writable; may be x itself.

    Returns
    -------
    y : ndarray of x's shape
    mean, inv_std : ndarray (N, num_groups) of x's dtype
        What was subtracted, and :math:`1 / \sqrt{\sigma_{n,g}^2 + \epsilon}`: what `group_norm_backward` takes. NaN
        where nothing is normalised.

    Raises
    ------
    ValueError
        Channels that num_groups does not divide; one value in all of a group; negative eps; an x without channels; an
        argument of another shape, read-only where it is written, or overlapping out.
    TypeError
        An argument of a kind that is not taken.

    Source: Y. Wu, K. He, Group normalization, 2018, https://arxiv.org/abs/1803.08494.

    Examples
    --------
    >>> import fastml
    >>> x = [[0.0, 2.0, 10.0, 10.0], [1.0, 3.0, 6.0, 2.0]]
    >>> y, mean, inv_std = fastml.group_norm(x, 2, eps=0.01)
    >>> y.round(3)
    array([[-0.995,  0.995,  0.   ,  0.   ],
           [-0.995,  0.995,  0.999, -0.999]])
    >>> mean
    array([[ 1., 10.],
           [ 2.,  4.]])
    """
    return _kernel.group_norm(x, num_groups, weight, bias, eps, out)


def group_norm_backward(grad, x, num_groups, weight, mean, inv_std, *, out=None):
    r"""Gradients of group_norm: from dL/dy to dL/dx, dL/dweight and dL/dbias.

    With :math:`\hat x = (x - \mu_{n,g}) \, s_{n,g}`, s = inv_std, means over a group of a sample and sums over all the
    values of a channel:

    .. math:: dw_c = \sum g \hat x, \quad db_c = \sum g, \quad
              dx = s_{n,g} \left(g w - \overline{g w} - \hat x \, \overline{g w \hat x}\right)

    Parameters
    ----------
    grad, x : array_like of one shape
        The loss's gradient by y, and group_norm's input.
    num_groups : int
        As in the forward call.
    weight : array_like (C,) or None
    mean, inv_std : array_like (N, num_groups)
        As `group_norm` returned them.
    out : ndarray, optional
        grad's shape and dtype, writable; may be grad or x itself.

    Returns
    -------
    dx : ndarray of grad's shape
    dweight, dbias : ndarray (C,) of grad's dtype
        Also where there was no weight or bias. Zeros for an empty batch.

    Raises ValueError and TypeError as `group_norm` does, and ValueError where the shapes differ.

    Source: as `group_norm`.

    Examples
    --------
    >>> import fastml
    >>> x = [[0.0, 2.0, 4.0, 5.0]]
    >>> y, mean, inv_std = fastml.group_norm(x, 1)
    >>> dx, dweight, dbias = fastml.group_norm_backward([[1.0, 0.0, 0.0, 0.0]], x, 1, None, mean, inv_std)
    >>> dx.round(3), dweight.round(3), dbias
    (array([[ 0.124, -0.203, -0.009,  0.088]]), array([-1.432,  0.   ,  0.   ,  0.   ]), array([1., 0., 0., 0.]))
    """
    return _kernel.group_norm_backward(grad, x, num_groups, weight, mean, inv_std, out)


def instance_norm(x, weight=None, bias=None, *, eps=1e-5, out=None):
    r"""The values of each channel of a sample shifted and scaled to mean 0 and variance 1, then by weight and bias.

    .. math:: y = \frac{x - \mu_{n,c}}{\sqrt{\sigma_{n,c}^2 + \epsilon}} \, w_c + b_c

    `group_norm` with a group for every channel, to the bit; mean and variance are over the axes after the second.

    Parameters
    ----------
    x : array_like, (N, C, ...)
        With more than one element along the axes after the second.
    weight, bias : array_like (C,), optional
    eps : float
    out : ndarray, optional
        All as in `group_norm`.

    Returns
    -------
    y : ndarray of x's shape
    mean, inv_std : ndarray (N, C) of x's dtype
        What `instance_norm_backward` takes.

    Raises
    ------
    ValueError
        One spatial element; and as `group_norm` does.
    TypeError
        An argument of a kind that is not taken.

    Source: D. Ulyanov, A. Vedaldi, V. Lempitsky, Instance normalization: the missing ingredient for fast stylization,
    2016, https://arxiv.org/abs/1607.08022.

    Examples
    --------
    >>> import fastml
    >>> y, mean, inv_std = fastml.instance_norm([[[0.0, 2.0, 4.0], [1.0, 1.0, 1.0]]], eps=0.01)
    >>> y.round(3)
    array([[[-1.222,  0.   ,  1.222],
            [ 0.   ,  0.   ,  0.   ]]])
    >>> mean, inv_std.round(3)
    (array([[2., 1.]]), array([[ 0.611, 10.   ]]))
    """
    return _kernel.group_norm(x, None, weight, bias, eps, out, True)


def instance_norm_backward(grad, x, weight, mean, inv_std, *, out=None):
    r"""Gradients of instance_norm: from dL/dy to dL/dx, dL/dweight and dL/dbias.

    `group_norm_backward` with a group for every channel, to the bit:

    .. math:: dw_c = \sum g \hat x, \quad db_c = \sum g, \quad
              dx = w_c s_{n,c} \left(g - \overline{g} - \hat x \, \overline{g \hat x}\right)

    Parameters
    ----------
    grad, x : array_like of one shape
    weight : array_like (C,) or None
    mean, inv_std : array_like (N, C)
        As `instance_norm` returned them.
    out : ndarray, optional
        All as in `group_norm_backward`.

    Returns
    -------
    dx : ndarray of grad's shape
    dweight, dbias : ndarray (C,) of grad's dtype

    Raises ValueError and TypeError as `instance_norm` does, and ValueError where the shapes differ.

    Source: as `instance_norm`.

    Examples
    --------
    >>> import fastml
    >>> x = [[[0.0, 2.0, 4.0]]]
    >>> y, mean, inv_std = fastml.instance_norm(x)
    >>> dx, dweight, dbias = fastml.instance_norm_backward([[[1.0, 0.0, 0.0]]], x, None, mean, inv_std)
    >>> dx.round(3), dweight.round(3), dbias
    (array([[[ 0.102, -0.204,  0.102]]]), array([-1.225]), array([1.]))
    """
    return _kernel.group_norm_backward(grad, x, None, weight, mean, inv_std, out, True)
