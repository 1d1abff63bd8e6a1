"""RMSprop over lists of arrays."""

from .._kernels import adaptive as _kernel


def rmsprop_step(
    params,
    grads,
    square_avgs,
    grad_avgs=None,
    momentum_buffers=None,
    *,
    lr=1e-2,
    alpha=0.99,
    eps=1e-8,
    weight_decay=0.0,
    momentum=0.0,
    centered=False,
    maximize=False,
):
    r"""One step of RMSprop on all arrays of a list at once and in place.

    .. math::
        d &= \pm g + \lambda p \\
        s &\leftarrow \alpha s + (1 - \alpha) d^2 \\
        u &= \frac{d}{\sqrt{s} + \varepsilon} \\
        p &\leftarrow p - \eta u

    with the gradient g (- where `maximize`), weight decay λ, decay rate α and learning rate η. Centred, s - m² with
    the average m ← α m + (1 - α) d stands in for s under the root; with momentum μ, b ← μ b + u for u in the last line.

    Parameters
    ----------
    params : list or tuple of ndarrays, float32 or float64
        Updated in place; any shapes, also mixed dtypes. Strided arrays work, through copies. An array must not
        be listed twice nor share memory with another one of the list: the result would then depend on chance.
    grads : list or tuple of array_like
        For every parameter its gradient, of its shape; taken in its dtype (another one costs a copy).
    square_avgs : list or tuple of ndarrays
        The averages s: for every parameter an array like it, updated in place; zeros before the first step.
    grad_avgs, momentum_buffers : list or tuple of ndarrays, optional
        The averages m and the momenta b, in the same way; needed with `centered` and with momentum, untouched without.
    lr, eps, weight_decay, momentum : float
        Finite and >= 0.
    alpha : float
        In [0, 1].
    centered, maximize : bool

    Returns
    -------
    None

    Notes
    -----
    Every factor is rounded once to the array's dtype. Without weight decay p does not enter d. A variance s - m²
    counts as 2⁻²⁰ s (float64: 2⁻⁴⁹ s) where it is less: that much the roundings of s and m make of none. Steps so
    stay below 1024 η (2.4e7 η) where gradients hardly vary; PyTorch's are NaN or thousands of times too long there.

    Raises
    ------
    ValueError
        Lists of different length; a gradient or state of another shape; read-only arrays; arrays of one parameter
        that overlap; an option out of range; `centered` without `grad_avgs`, momentum without `momentum_buffers`.
    TypeError
        Lists, arrays, dtypes or options of a kind that is not taken.

    Nothing is written when it raises.

    Source: T. Tieleman and G. Hinton, Neural networks for machine learning, lecture 6e, 2012; centred: A. Graves,
    Generating sequences with recurrent neural networks, arXiv 1308.0850, 2013; in the form that PyTorch uses.

    Examples
    --------
    >>> import fastml
    >>> import numpy as np
    >>> w, s = np.array([1.0, 2.0]), np.zeros(2)
    >>> for _ in range(2):
    ...     fastml.rmsprop_step([w], [np.array([3.0, 0.0])], [s], lr=0.1, alpha=0.75)
    >>> w.round(6)
    array([0.648814, 2.      ])
    """
    _kernel.rmsprop_step(
        params,
        grads,
        square_avgs,
        grad_avgs,
        momentum_buffers,
        lr,
        alpha,
        eps,
        weight_decay,
        momentum,
        centered,
        maximize,
    )
