"""Exponential moving averages of lists of arrays."""

from .._kernels import sgd as _kernel


def ema_step(averages, params, *, decay=0.999):
    r"""Move the averages of a list of arrays towards the arrays, all at once and in place.

    .. math:: e \leftarrow e + (1 - \delta) (p - e) = \delta e + (1 - \delta) p

    with the decay δ.

    Parameters
    ----------
    averages : list or tuple of ndarrays, float32 or float64
        The averages e, updated in place; any shapes, also mixed dtypes. Strided arrays work, through copies. An array
        must not be listed twice nor share memory with another one of the list.
    params : list or tuple of array_like
        For every average its array p, of its shape; taken in its dtype (another one costs a copy).
    decay : float
        In [0, 1].

    Returns
    -------
    None

    Notes
    -----
    Rounded as in the middle: the difference once, the factor once, the sum with one fused multiply-add. An average
    that has reached p stays there.

    Raises
    ------
    ValueError
        Lists of different length; shapes that differ; read-only or overlapping arrays; `decay` out of range.
    TypeError
        Lists, arrays, dtypes or `decay` of a kind that is not taken.

    Nothing is written when it raises.

    Source: B. T. Polyak and A. B. Juditsky, Acceleration of stochastic approximation by averaging, SIAM J. Control
    Optim. 30, 1992; the form of ``torch.optim.swa_utils.get_ema_multi_avg_fn``.

    Examples
    --------
    >>> import fastml
    >>> import numpy as np
    >>> average = np.zeros(2)
    >>> for _ in range(2):
    ...     fastml.ema_step([average], [np.array([1.0, 2.0])], decay=0.5)
    >>> average
    array([0.75, 1.5 ])
    """
    _kernel.ema_step(averages, params, decay)
