"""Batch normalisation and its gradient."""

from .._kernels import batch_norm as _kernel


def batch_norm(
    x,
    weight=None,
    bias=None,
    running_mean=None,
    running_var=None,
    *,
    training=True,
    momentum=0.1,
    eps=1e-5,
    channel_axis=1,
    unbiased=True,
    out=None,
):
    r"""Values of each channel shifted and scaled to mean 0 and variance 1, then by weight and bias.

    .. math:: y = \frac{x - \mu_c}{\sqrt{\sigma_c^2 + \epsilon}} \, w_c + b_c

    In training :math:`\mu_c` and :math:`\sigma_c^2` are mean and (biased) variance of the channel's m values in
    the batch, and the running statistics are moved towards the batch's:

    .. math:: r \leftarrow (1 - \text{momentum}) \, r + \text{momentum} \cdot s,
              \quad s = \mu_c, \; \tfrac{m}{m - 1} \sigma_c^2 \; (\sigma_c^2 \text{ with unbiased=False})

    In evaluation (training=False) the running statistics take the batch's place and stay as they are.

    Parameters
    ----------
    x : array_like, (N, C), (N, C, ...) or any shape with the channels on channel_axis
        float32 and float64 compute in their own precision; integers and bool are taken as float32.
    weight, bias : array_like (C,), optional
        None stands for ones and zeros.
    running_mean, running_var : (C,), optional
        In training float32 or float64 arrays, updated in place; in evaluation required, array_like, not changed.
    training : bool
    momentum : float
        The share of the batch in the running statistics.
    eps : float
        Added to the variance, at least 0.
    channel_axis : int
        The axis of the channels; -1 for channels last.
    unbiased : bool
        Whether running_var moves towards the unbiased variance, as PyTorch's does, or the biased one, as ONNX's.
    out : ndarray, optional
        x's shape and dtype, writable; may be x itself.

    Returns
    -------
    y : ndarray of x's shape
    mean, inv_std : ndarray (C,) of x's dtype
        What was subtracted, and :math:`1 / \sqrt{\sigma_c^2 + \epsilon}`: what `batch_norm_backward` takes. NaN
        for an empty batch in training, which leaves the running statistics alone.

    Raises
    ------
    ValueError
        One value per channel in training; evaluation without running statistics; negative eps; channel_axis out
        of range; an argument of another shape, read-only where it is written, or overlapping out.
    TypeError
        An argument of a kind that is not taken.

    Source: S. Ioffe, C. Szegedy, Batch Normalization: Accelerating Deep Network Training by Reducing Internal
    Covariate Shift, 2015, https://arxiv.org/abs/1502.03167, Algorithms 1 and 2.

    Examples
    --------
    >>> import fastml
    >>> import numpy as np
    >>> running_mean, running_var = np.zeros(2), np.ones(2)
    >>> x = np.array([[0.0, 2.0], [4.0, 2.0]])
    >>> y, mean, inv_std = fastml.batch_norm(x, None, None, running_mean, running_var, eps=0.01)
    >>> y.round(3)
    array([[-0.999,  0.   ],
           [ 0.999,  0.   ]])
    >>> mean, running_mean, running_var
    (array([2., 2.]), array([0.2, 0.2]), array([1.7, 0.9]))
    """
    return _kernel.batch_norm(
        x, weight, bias, running_mean, running_var, training, momentum, eps, channel_axis, unbiased, out
    )


def batch_norm_backward(grad, x, weight, mean, inv_std, *, training=True, channel_axis=1, out=None):
    r"""Gradients of batch_norm: from dL/dy to dL/dx, dL/dweight and dL/dbias.

    With :math:`\hat x = (x - \mu_c) \, s_c`, :math:`s_c` = inv_std, and sums and means over the channel's values:

    .. math:: dw_c = \sum g \hat x, \quad db_c = \sum g, \quad
              dx = w_c s_c \left(g - \overline{g} - \hat x \, \overline{g \hat x}\right)

    and in evaluation, where the statistics do not depend on x, :math:`dx = w_c s_c g`.

    Parameters
    ----------
    grad, x : array_like of one shape
        The loss's gradient by y, and batch_norm's input.
    weight : array_like (C,) or None
    mean, inv_std : array_like (C,)
        As `batch_norm` returned them.
    training : bool
        As in the forward call.
    channel_axis : int
    out : ndarray, optional
        grad's shape and dtype, writable; may be grad or x itself.

    Returns
    -------
    dx : ndarray of grad's shape
    dweight, dbias : ndarray (C,) of grad's dtype
        Also where there was no weight or bias. Zeros for an empty batch.

    Raises ValueError and TypeError as `batch_norm` does, and ValueError where the shapes differ.

    Source: as `batch_norm`, section 3.

    Examples
    --------
    >>> import fastml
    >>> import numpy as np
    >>> x = np.array([[0.0], [2.0], [4.0]])
    >>> y, mean, inv_std = fastml.batch_norm(x)
    >>> dx, dweight, dbias = fastml.batch_norm_backward(np.array([[1.0], [0.0], [0.0]]), x, None, mean, inv_std)
    >>> dx.round(3).ravel(), dweight.round(3), dbias
    (array([ 0.102, -0.204,  0.102]), array([-1.225]), array([1.]))
    """
    return _kernel.batch_norm_backward(grad, x, weight, mean, inv_std, training, channel_axis, out)
