"""Bounding gradients, and undoing their scale."""

from .._kernels import clip as _kernel


def clip_grad_norm(grads, max_norm):
    r"""Scale a list of gradients in place so that their common norm is at most `max_norm`; return the norm before.

    .. math::
        n = \sqrt{\textstyle\sum g^2}, \qquad g \leftarrow g \min\left(1, \frac{c}{n + 10^{-6}}\right)

    with the sum over all elements of all arrays and c = `max_norm`.

    Parameters
    ----------
    grads : list or tuple of ndarrays, float32 or float64
        Scaled in place; any shapes, also mixed dtypes. Strided arrays work, through copies. An array must not be
        listed twice nor share memory with another one of the list.
    max_norm : float
        >= 0; with infinity the norm is only measured.

    Returns
    -------
    float
        The norm n, taken in double; 0.0 for no elements.

    Notes
    -----
    A norm that is infinite or NaN is returned as such and its factor is not held back, as in PyTorch: with
    infinity among the gradients, finite ones become 0 and infinite ones NaN; with NaN, all become NaN. Squares do not
    overflow or vanish: where those of float64 would, norms are taken in units of a power of two.

    Raises
    ------
    ValueError
        Read-only arrays; `max_norm` negative or NaN.
    TypeError
        Lists, arrays, dtypes or `max_norm` of a kind that is not taken.

    Nothing is written when it raises.

    Source: R. Pascanu, T. Mikolov and Y. Bengio, On the difficulty of training recurrent neural networks, ICML
    2013, with the factor of ``torch.nn.utils.clip_grad_norm_``.

    Examples
    --------
    >>> import fastml
    >>> import numpy as np
    >>> grads = [np.array([3.0]), np.array([0.0, 4.0])]
    >>> fastml.clip_grad_norm(grads, 1.0)
    5.0
    >>> [g.round(5).tolist() for g in grads]
    [[0.6], [0.0, 0.8]]
    """
    return _kernel.clip_grad_norm(grads, max_norm)


def clip_grad_value(grads, clip_value):
    r"""Bound every element of a list of gradients, in place.

    .. math:: g \leftarrow \min(\max(g, -c), c)

    with c = `clip_value`. NaN stays NaN, infinities become ±c.

    Parameters
    ----------
    grads : list or tuple of ndarrays, float32 or float64
        Bounded in place, as in :func:`clip_grad_norm`.
    clip_value : float
        >= 0.

    Returns
    -------
    None

    Raises
    ------
    ValueError
        Read-only arrays; `clip_value` negative or NaN.
    TypeError
        Lists, arrays, dtypes or `clip_value` of a kind that is not taken.

    Nothing is written when it raises.

    Source: ``torch.nn.utils.clip_grad_value_``.

    Examples
    --------
    >>> import fastml
    >>> import numpy as np
    >>> grads = [np.array([3.0]), np.array([-0.5, -4.0])]
    >>> fastml.clip_grad_value(grads, 1.0)
    >>> [g.tolist() for g in grads]
    [[1.0], [-0.5, -1.0]]
    """
    _kernel.clip_grad_value(grads, clip_value)


def unscale_grads(grads, scale):
    r"""Divide a list of gradients by the scale of their loss, in place; return whether all of them are finite.

    .. math:: g \leftarrow g \cdot \frac{1}{c}

    with c = `scale`, in one pass; a scale that is a power of two shows in no bit.

    Parameters
    ----------
    grads : list or tuple of ndarrays, float32 or float64
        Scaled in place, as in :func:`clip_grad_norm`.
    scale : float
        Positive and finite.

    Returns
    -------
    bool
        False where a gradient had an element that is infinite or NaN.

    Raises
    ------
    ValueError
        Read-only arrays; `scale` out of range.
    TypeError
        Lists, arrays, dtypes or `scale` of a kind that is not taken.

    Nothing is written when it raises.

    Source: P. Micikevicius et al., Mixed precision training, ICLR 2018; ``torch.amp.GradScaler``.

    Examples
    --------
    >>> import fastml
    >>> import numpy as np
    >>> grads = [np.array([3.0]), np.array([-0.5, 4.0])]
    >>> fastml.unscale_grads(grads, 4.0)
    True
    >>> grads[1].tolist()
    [-0.125, 1.0]
    >>> fastml.unscale_grads([np.array([np.inf])], 4.0)
    False
    """
    return _kernel.unscale_grads(grads, scale)
