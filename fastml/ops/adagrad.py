"""Adagrad over lists of arrays."""

from .._kernels import adaptive as _kernel


def adagrad_step(
    params, grads, state_sums, step, *, lr=1e-2, lr_decay=0.0, weight_decay=0.0, eps=1e-10, maximize=False
):
    r"""One step of Adagrad on all arrays of a list at once and in place.

    .. math::
        d &= \pm g + \lambda p \\
        s &\leftarrow s + d^2 \\
        p &\leftarrow p - \frac{\eta}{1 + (t - 1) \gamma} \frac{d}{\sqrt{s} + \varepsilon}

    with the gradient g (- where `maximize`), weight decay λ, learning rate η, its decay γ and the number t of this
    step.

    Parameters
    ----------
    params : list or tuple of ndarrays, float32 or float64
        Updated in place; any shapes, also mixed dtypes. Strided arrays work, through copies. An array must not
        be listed twice nor share memory with another one of the list: the result would then depend on chance.
    grads : list or tuple of array_like
        For every parameter its gradient, of its shape; taken in its dtype (another one costs a copy).
    state_sums : list or tuple of ndarrays
        The sums s: for every parameter an array like it, updated in place; before the first step zeros or a small
        number.
    step : int
        The number of this step, from 1.
    lr, lr_decay, weight_decay, eps : float
        Finite and >= 0.
    maximize : bool

    Returns
    -------
    None

    Notes
    -----
    The decayed learning rate is computed in double; every factor is rounded once to the array's dtype. Without weight
    decay p does not enter d.

    Raises
    ------
    ValueError
        Lists of different length; a gradient or sum of another shape; read-only arrays; arrays of one parameter that
        overlap; an option out of range.
    TypeError
        Lists, arrays, dtypes or options of a kind that is not taken.

    Nothing is written when it raises.

    Source: J. Duchi, E. Hazan and Y. Singer, Adaptive subgradient methods for online learning and stochastic
    optimization, JMLR 12, 2011, in the form that PyTorch uses.

    Examples
    --------
    >>> import fastml
    >>> import numpy as np
    >>> w, s = np.array([1.0, 2.0]), np.zeros(2)
    >>> for step in (1, 2):
    ...     fastml.adagrad_step([w], [np.array([3.0, 0.0])], [s], step, lr=0.1)
    >>> w.round(6)
    array([0.829289, 2.      ])
    """
    _kernel.adagrad_step(params, grads, state_sums, step, lr, lr_decay, weight_decay, eps, maximize)
