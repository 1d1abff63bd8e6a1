"""Adam over lists of arrays."""

from .._kernels import adaptive as _kernel


def adam_step(
    params,
    grads,
    exp_avgs,
    exp_avg_sqs,
    step,
    *,
    max_exp_avg_sqs=None,
    lr=1e-3,
    betas=(0.9, 0.999),
    eps=1e-8,
    weight_decay=0.0,
    decoupled=False,
    maximize=False,
):
    r"""One step of Adam, or with `decoupled` of AdamW, on all arrays of a list at once and in place.

    .. math::
        d &= \pm g + \lambda p \\
        m &\leftarrow \beta_1 m + (1 - \beta_1) d \\
        v &\leftarrow \beta_2 v + (1 - \beta_2) d^2 \\
        p &\leftarrow p - \frac{\eta}{1 - \beta_1^t} \frac{m}{\sqrt{v} / \sqrt{1 - \beta_2^t} + \varepsilon}

    with the gradient g (- where `maximize`), the decay rates β, weight decay λ, learning rate η and the number t of
    this step. Decoupled weight decay is λ = 0 in d, and (1 - ηλ) p in the place of p in the last line. AMSGrad is the
    largest v so far, v̂ ← max(v̂, v), in the place of v there.

    Parameters
    ----------
    params : list or tuple of ndarrays, float32 or float64
        Updated in place; any shapes, also mixed dtypes. Strided arrays work, through copies. An array must not
        be listed twice nor share memory with another one of the list: the result would then depend on chance.
    grads : list or tuple of array_like
        For every parameter its gradient, of its shape; taken in its dtype (another one costs a copy).
    exp_avgs, exp_avg_sqs : list or tuple of ndarrays
        The averages m and v: for every parameter an array like it, updated in place; zeros before the first step.
    step : int
        The number of this step, from 1.
    max_exp_avg_sqs : list or tuple of ndarrays, optional
        The largest averages v̂, like the others; where it is given the step is one of AMSGrad.
    lr, eps, weight_decay : float
        Finite and >= 0.
    betas : pair of floats
        Each in [0, 1).
    decoupled, maximize : bool

    Returns
    -------
    None

    Notes
    -----
    Bias corrections are computed in double; every factor is rounded once to the array's dtype. Without weight
    decay p does not enter d.

    Raises
    ------
    ValueError
        Lists of different length; a gradient or average of another shape; read-only arrays; arrays of one
        parameter that overlap; an option out of range.
    TypeError
        Lists, arrays, dtypes or options of a kind that is not taken.

    Nothing is written when it raises.

    Source: D. P. Kingma and J. Ba, Adam: A method for stochastic optimization, ICLR 2015; I. Loshchilov and
    F. Hutter, Decoupled weight decay regularization, ICLR 2019; AMSGrad: S. J. Reddi, S. Kale and S. Kumar, On the
    convergence of Adam and beyond, ICLR 2018; in the form that PyTorch uses.

    Examples
    --------
    >>> import fastml
    >>> import numpy as np
    >>> w, m, v = np.array([1.0, 2.0]), np.zeros(2), np.zeros(2)
    >>> for step in (1, 2):
    ...     fastml.adam_step([w], [np.array([3.0, 0.0])], [m], [v], step, lr=0.1)
    >>> w.round(6)
    array([0.8, 2. ])
    """
    _kernel.adam_step(
        params, grads, exp_avgs, exp_avg_sqs, step, max_exp_avg_sqs, lr, betas, eps, weight_decay, decoupled, maximize
    )
