"""Stochastic gradient descent over lists of arrays."""

from .._kernels import sgd as _kernel


def sgd_step(
    params, grads, velocities=None, *, lr, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False, maximize=False
):
    r"""One step of gradient descent with momentum, on all arrays of a list at once and in place.

    .. math::
        d &= \pm g + \lambda p \\
        v &\leftarrow \mu v + (1 - \tau) d \\
        p &\leftarrow p - \eta \begin{cases} d & \mu = 0 \\ d + \mu v & \text{Nesterov} \\ v & \text{otherwise}
        \end{cases}

    with the gradient g (- where `maximize`), weight decay λ, momentum μ, dampening τ and learning rate η.

    Parameters
    ----------
    params : list or tuple of ndarrays, float32 or float64
        Updated in place; any shapes, also mixed dtypes. Strided arrays work, through copies. An array must not
        be listed twice nor share memory with another one of the list: the result would then depend on chance.
    grads : list or tuple of array_like
        For every parameter its gradient, of its shape; taken in its dtype (another one costs a copy).
    velocities : list or tuple of ndarrays, optional
        For every parameter an array like it, updated in place; needed with momentum, untouched without it.
    lr, momentum, weight_decay : float
        Finite and >= 0.
    dampening : float
        Finite. Applies to every step, the first included; zero velocities do not mean a first step.
    nesterov, maximize : bool

    Returns
    -------
    None

    Notes
    -----
    Rounded as written above, except that λp + (±g), μv + (1 - τ) d, d + μv and p - η (...) are each one fused
    multiply-add. The options are rounded once to the array's dtype. Without weight decay p does not enter d.

    Raises
    ------
    ValueError
        Lists of different length; a gradient or velocity of another shape; read-only arrays; arrays of one
        parameter that overlap; an option out of range; momentum without velocities; Nesterov without momentum
        or with dampening.
    TypeError
        Lists, arrays, dtypes or options of a kind that is not taken.

    Nothing is written when it raises.

    Source: B. T. Polyak, Some methods of speeding up the convergence of iteration methods, 1964; I. Sutskever
    et al., On the importance of initialization and momentum in deep learning, ICML 2013, in the form that PyTorch
    uses.

    Examples
    --------
    >>> import fastml
    >>> import numpy as np
    >>> w, v = np.array([1.0, 2.0]), np.zeros(2)
    >>> for _ in range(2):
    ...     fastml.sgd_step([w], [np.array([1.0, 0.0])], [v], lr=0.5, momentum=0.5)
    >>> w
    array([-0.25,  2.  ])
    """
    _kernel.sgd_step(params, grads, velocities, lr, momentum, dampening, weight_decay, nesterov, maximize)
