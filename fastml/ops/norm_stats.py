"""Batch normalisation in pieces: statistics that can be merged, and what is done with them."""

import math

import numpy as np

from .. import _check
from .._kernels import batch_norm as _kernel


def batch_norm_stats(x, *, channel_axis=1):
    r"""Number, mean and sum of squared deviations of the values of each channel.

    .. math:: \mu_c = \tfrac{1}{m} \sum x, \quad m_2 = \sum (x - \mu_c)^2

    The variance is m2 / count. `merge_norm_stats` joins those of pieces of a batch to those of the batch, wherever the
    pieces were. So batch normalisation synchronised over processes takes these statistics of each piece, sends them
    (count, mean and m2 are 2 C + 1 numbers), merges them in one order everywhere, and calls `batch_norm_apply`.
    Backward it takes `batch_norm_backward_stats`, adds those of the pieces, and calls `batch_norm_backward_apply`.

    Parameters
    ----------
    x : array_like, (N, C), (N, C, ...) or any shape with the channels on channel_axis
        float32 and float64 compute in their own precision; integers and bool are taken as float32.
    channel_axis : int

    Returns
    -------
    count : int
        Values per channel, m.
    mean, m2 : float64 ndarray (C,)
        As `batch_norm` finds them, before they are rounded to x's dtype. Zeros for an empty x.

    Raises
    ------
    ValueError
        channel_axis out of range.
    TypeError
        An argument of a kind that is not taken.

    Source: T. F. Chan, G. H. Golub, R. J. LeVeque, Updating formulae and a pairwise algorithm for computing sample
    variances, 1979; synchronised as in ``torch.nn.SyncBatchNorm``.

    Examples
    --------
    >>> import fastml
    >>> import numpy as np
    >>> fastml.batch_norm_stats(np.array([[0.0, 1.0], [4.0, 1.0]]))
    (2, array([2., 1.]), array([8., 0.]))

    Two workers with a part of a batch each; here a list is the transport:

    >>> x, grad = np.random.default_rng(0).normal(size=(2, 6, 3))
    >>> weight, bias, eps = np.ones(3), np.zeros(3), 1e-5
    >>> parts = [(x[:2], grad[:2]), (x[2:], grad[2:])]
    >>> sent = [fastml.batch_norm_stats(x) for x, _ in parts]
    >>> count, mean, m2 = fastml.merge_norm_stats(sent)
    >>> inv_std = 1 / np.sqrt(m2 / count + eps)
    >>> y = [fastml.batch_norm_apply(x, mean, inv_std, weight, bias) for x, _ in parts]
    >>> whole = fastml.batch_norm(x, weight, bias, eps=eps)
    >>> np.allclose(np.concatenate(y), whole[0], atol=1e-14)
    True

    and the way back, with the sums over both of the sums of each:

    >>> sent = [fastml.batch_norm_backward_stats(grad, x, mean, inv_std) for x, grad in parts]
    >>> dweight, dbias = np.sum(sent, axis=0)
    >>> dx = [
    ...     fastml.batch_norm_backward_apply(grad, x, weight, mean, inv_std, dweight, dbias, count) for x, grad in parts
    ... ]
    >>> np.allclose(np.concatenate(dx), fastml.batch_norm_backward(grad, x, weight, *whole[1:])[0], atol=1e-14)
    True
    """
    return _kernel.batch_norm_stats(x, channel_axis)


def merge_norm_stats(stats):
    r"""The statistics of a batch from those of its pieces, as `batch_norm_stats` returns them.

    Two at a time, in the order of the list, with :math:`\delta = \mu_b - \mu_a`:

    .. math:: m = m_a + m_b, \quad \mu = \mu_a + \delta \, \tfrac{m_b}{m}, \quad
              m_2 = m_{2,a} + m_{2,b} + \delta^2 \, \tfrac{m_a m_b}{m}

    Nothing is lost but the rounding of these sums in float64; merging in the same order gives the same bits.

    Parameters
    ----------
    stats : sequence of (count, mean, m2)
        At least one; empty pieces count for nothing.

    Returns
    -------
    count : int
    mean, m2 : float64 ndarray (C,)

    Raises
    ------
    ValueError
        No pieces; a negative count; mean and m2 that are not one-dimensional or not of one length throughout.
    TypeError
        An argument of a kind that is not taken.

    Source: as `batch_norm_stats`.

    Examples
    --------
    >>> import fastml
    >>> import numpy as np
    >>> fastml.merge_norm_stats([(1, np.array([0.0]), np.array([0.0])), (2, np.array([3.0]), np.array([2.0]))])
    (3, array([2.]), array([8.]))
    """
    stats = _check.each(stats, "stats")
    pieces = [_piece(piece, k) for k, piece in enumerate(stats)]
    if not pieces:
        raise ValueError("stats must have at least one (count, mean, m2), not none")
    count, mean, m2 = pieces[0]
    for k, (_, other, _) in enumerate(pieces):
        if other.shape != mean.shape:
            raise ValueError(f"stats[{k}] must have the shape of stats[0], {mean.shape}, not {other.shape}")
    mean, m2 = mean.copy(), m2.copy()
    for n, other, squares in pieces[1:]:
        if n == 0:
            continue
        delta, total = other - mean, count + n
        mean += delta * (n / total)
        m2 += squares + delta * delta * (count * n / total)
        count = total
    return count, mean, m2


def _piece(piece, k):
    """(count, mean, m2) after their checks."""
    try:
        count, mean, m2 = piece
    except (TypeError, ValueError):
        raise TypeError(f"stats[{k}] must be (count, mean, m2), not {type(piece).__name__}") from None
    count = _check.integer(count, f"the count of stats[{k}]", 0, math.inf)
    mean, m2 = _check.as_array(mean, f"the mean of stats[{k}]"), _check.as_array(m2, f"the m2 of stats[{k}]")
    for a in (mean, m2):
        if a.dtype.kind not in "fiu":
            raise TypeError(f"stats[{k}] must hold real numbers, not {a.dtype}")
    if mean.ndim != 1 or m2.shape != mean.shape:
        raise ValueError(f"stats[{k}] must have mean and m2 of one shape (C,), not {mean.shape} and {m2.shape}")
    return count, mean.astype(np.float64), m2.astype(np.float64)


def batch_norm_apply(x, mean, inv_std, weight=None, bias=None, *, channel_axis=1, out=None):
    r"""Values of each channel normalised by given statistics, then by weight and bias.

    .. math:: y = (x - \mu_c) \, s_c \, w_c + b_c

    With the mean of `batch_norm_stats` and inv_std = 1 / sqrt(m2 / count + eps), both in float64, these are the bits of
    `batch_norm` of the same x.

    Parameters
    ----------
    x : array_like, (N, C), (N, C, ...) or any shape with the channels on channel_axis
    mean, inv_std : array_like (C,)
        In float64 they are not rounded to x's dtype.
    weight, bias : array_like (C,), optional
        None stands for ones and zeros.
    channel_axis : int
    out : ndarray, optional
        x's shape and dtype, writable; may be x itself.

    Returns
    -------
    y : ndarray of x's shape and dtype

    Raises
    ------
    ValueError
        channel_axis out of range; an argument of another shape, read-only where it is written, or overlapping out.
    TypeError
        An argument of a kind that is not taken.

    Source: as `batch_norm_stats`, with an example of both.

    Examples
    --------
    >>> import fastml
    >>> fastml.batch_norm_apply([[0.0, 2.0], [4.0, 2.0]], [2.0, 0.0], [0.5, 1.0])
    array([[-1.,  2.],
           [ 1.,  2.]])
    """
    return _kernel.batch_norm_apply(x, mean, inv_std, weight, bias, channel_axis, out)


def batch_norm_backward_stats(grad, x, mean, inv_std, *, channel_axis=1):
    r"""The sums over a piece of a batch from which its gradient follows: dL/dweight and dL/dbias of this piece.

    .. math:: dw_c = \sum g \hat x, \quad db_c = \sum g, \quad \hat x = (x - \mu_c) \, s_c

    Those of the batch are the sums over its pieces.

    Parameters
    ----------
    grad, x : array_like of one shape
        The loss's gradient by y, and the piece of the batch.
    mean, inv_std : array_like (C,)
        Those of the whole batch.
    channel_axis : int

    Returns
    -------
    dweight, dbias : float64 ndarray (C,)
        Zeros for an empty piece.

    Raises ValueError and TypeError as `batch_norm_backward` does.

    Source: as `batch_norm_stats`, with an example of both.

    Examples
    --------
    >>> import fastml
    >>> fastml.batch_norm_backward_stats([[1.0], [2.0]], [[0.0], [4.0]], [1.0], [0.5])
    (array([2.5]), array([3.]))
    """
    return _kernel.batch_norm_backward_stats(grad, x, mean, inv_std, channel_axis)


def batch_norm_backward_apply(grad, x, weight, mean, inv_std, dweight, dbias, count, *, channel_axis=1, out=None):
    r"""dL/dx of a piece of a batch, from the sums over the whole batch.

    .. math:: dx = w_c s_c \left(g - \tfrac{1}{m} db_c - \hat x \, \tfrac{1}{m} dw_c\right)

    With the sums of `batch_norm_backward_stats` these are the bits of `batch_norm_backward` of the same arrays.

    Parameters
    ----------
    grad, x : array_like of one shape
        The loss's gradient by y, and the piece of the batch.
    weight : array_like (C,) or None
    mean, inv_std : array_like (C,)
        Those of the whole batch.
    dweight, dbias : array_like (C,)
        The sums over the whole batch.
    count : int
        Values per channel in the whole batch, m; at least 1.
    channel_axis : int
    out : ndarray, optional
        grad's shape and dtype, writable; may be grad or x itself.

    Returns
    -------
    dx : ndarray of grad's shape

    Raises ValueError and TypeError as `batch_norm_backward` does.

    Source: as `batch_norm_stats`, with an example of both.

    Examples
    --------
    >>> import fastml
    >>> fastml.batch_norm_backward_apply([[1.0], [2.0]], [[0.0], [4.0]], None, [1.0], [0.5], [2.0], [4.0], 4)
    array([[0.125],
           [0.125]])
    """
    return _kernel.batch_norm_backward_apply(grad, x, weight, mean, inv_std, dweight, dbias, count, channel_axis, out)
