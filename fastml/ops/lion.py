"""Lion over lists of arrays."""

from .._kernels import adaptive as _kernel


def lion_step(params, grads, exp_avgs, *, lr=1e-4, betas=(0.9, 0.99), weight_decay=0.0, maximize=False):
    r"""One step of Lion on all arrays of a list at once and in place.

    .. math::
        u &= \operatorname{sign}(\beta_1 m + (1 - \beta_1) d), \quad d = \pm g \\
        p &\leftarrow p - \eta \, (u + \lambda p) \\
        m &\leftarrow \beta_2 m + (1 - \beta_2) d

    with the gradient g (- where `maximize`), weight decay λ and learning rate η. The sign of 0 is 0.

    Parameters
    ----------
    params : list or tuple of ndarrays, float32 or float64
        Updated in place; any shapes, also mixed dtypes. Strided arrays work, through copies. An array must not
        be listed twice nor share memory with another one of the list: the result would then depend on chance.
    grads : list or tuple of array_like
        For every parameter its gradient, of its shape; taken in its dtype (another one costs a copy).
    exp_avgs : list or tuple of ndarrays
        The averages m: for every parameter an array like it, updated in place; zeros before the first step.
    lr, weight_decay : float
        Finite and >= 0. Every element moves by lr. So lr is 3 to 10 times smaller than Adam's, the decay as much
        larger.
    betas : pair of floats
        In [0, 1).
    maximize : bool

    Returns
    -------
    None

    Notes
    -----
    1 - η λ is computed in double; every factor is rounded once to the array's dtype.

    Raises
    ------
    ValueError
        Lists of different length; a gradient or average of another shape; read-only arrays; arrays of one parameter
        that overlap; an option out of range.
    TypeError
        Lists, arrays, dtypes or options of a kind that is not taken.

    Nothing is written when it raises.

    Source: X. Chen et al., Symbolic Discovery of Optimization Algorithms, NeurIPS 2023,
    https://arxiv.org/abs/2302.06675.

    Examples
    --------
    >>> import fastml
    >>> import numpy as np
    >>> w, m = np.array([1.0, 2.0]), np.zeros(2)
    >>> for _ in range(2):
    ...     fastml.lion_step([w], [np.array([3.0, 0.0])], [m], lr=0.1)
    >>> w.round(6)
    array([0.8, 2. ])
    """
    _kernel.lion_step(params, grads, exp_avgs, lr, betas, weight_decay, maximize)
