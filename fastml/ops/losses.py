"""Losses of one term an element, alone and with their gradients."""

from .._kernels import losses as _kernel


def mse_loss(input, target, *, reduction="mean"):
    r"""Mean squared error.

    .. math:: \ell_i = (x_i - t_i)^2

    Parameters
    ----------
    input : array_like, any shape
        The predictions x. float32 and float64 compute in their own precision; integers and bool are taken as
        float32.
    target : array_like
        The values t to be met, in input's shape (nothing is broadcast); taken in input's dtype.
    reduction : {"mean", "sum", "none"}
        "mean" divides the sum by the number of elements; of none it is NaN.

    Returns
    -------
    A NumPy scalar of input's dtype; with "none" an ndarray of input's shape.

    Raises
    ------
    ValueError
        target in another shape, an unknown reduction.
    TypeError
        An argument of a kind that is not taken.

    Source: as torch.nn.functional.mse_loss.

    Examples
    --------
    >>> import fastml
    >>> float(fastml.mse_loss([1.0, 2.0, 5.0], [1.0, 3.0, 3.0], reduction="sum"))
    5.0
    """
    return _kernel.mse(input, target, reduction, False, None)


def mse_loss_with_grad(input, target, *, reduction="mean", out=None):
    r"""Mean squared error and its gradient with respect to input, in one pass.

    .. math:: \frac{\partial \ell_i}{\partial x_i} = 2 (x_i - t_i)

    divided by the number of elements for the mean. With reduction="none" the gradient is that of the losses' sum.

    Parameters
    ----------
    input, target, reduction
        As in `mse_loss`.
    out : ndarray, optional
        Where the gradient goes: input's shape and dtype, writable; may be input or target itself.

    Returns
    -------
    (loss, dinput) : the loss as `mse_loss` returns it, and an ndarray of input's shape and dtype.

    Raises ValueError and TypeError as `mse_loss` does, and for an out that does not fit or overlaps an input in part.
    Nothing is written then. Source: as in `mse_loss`.

    Examples
    --------
    >>> import fastml
    >>> loss, dinput = fastml.mse_loss_with_grad([1.0, 2.0, 5.0, 0.0], [1.0, 3.0, 3.0, 0.0])
    >>> float(loss), dinput.tolist()
    (1.25, [0.0, -0.5, 1.0, 0.0])
    """
    return _kernel.mse(input, target, reduction, True, out)


def l1_loss(input, target, *, reduction="mean"):
    r"""Mean absolute error.

    .. math:: \ell_i = |x_i - t_i|

    Parameters
    ----------
    input, target, reduction
        As in `mse_loss`.

    Returns
    -------
    A NumPy scalar of input's dtype; with "none" an ndarray of input's shape.

    Raises ValueError and TypeError as `mse_loss` does. Source: as torch.nn.functional.l1_loss.

    Examples
    --------
    >>> import fastml
    >>> float(fastml.l1_loss([1.0, 2.0, 5.0], [1.0, 3.0, 3.0]))
    1.0
    """
    return _kernel.l1(input, target, reduction, False, None)


def l1_loss_with_grad(input, target, *, reduction="mean", out=None):
    r"""Mean absolute error and its gradient with respect to input, in one pass.

    .. math:: \frac{\partial \ell_i}{\partial x_i} = \mathrm{sign}(x_i - t_i)

    which is 0 where both are equal; divided by the number of elements for the mean. With reduction="none" the
    gradient is that of the losses' sum.

    Parameters
    ----------
    input, target, reduction, out
        As in `mse_loss_with_grad`.

    Returns
    -------
    (loss, dinput) : the loss as `l1_loss` returns it, and an ndarray of input's shape and dtype.

    Raises ValueError and TypeError as `mse_loss_with_grad` does. Source: as in `l1_loss`.

    Examples
    --------
    >>> import fastml
    >>> loss, dinput = fastml.l1_loss_with_grad([1.0, 2.0, 5.0, 0.0], [1.0, 3.0, 3.0, 0.0])
    >>> float(loss), dinput.tolist()
    (0.75, [0.0, -0.25, 0.25, 0.0])
    """
    return _kernel.l1(input, target, reduction, True, out)


def huber_loss(input, target, *, delta=1.0, reduction="mean"):
    r"""Huber loss: half the squared error within delta of the target, and linear beyond.

    .. math::

        \ell_i = \begin{cases} d_i^2 / 2 & |d_i| \le \delta \\
        \delta\, (|d_i| - \delta / 2) & \text{otherwise} \end{cases}, \quad d_i = x_i - t_i

    Parameters
    ----------
    input, target, reduction
        As in `mse_loss`.
    delta : positive float
        Where the loss turns from quadratic to linear, in the units of input.

    Returns
    -------
    A NumPy scalar of input's dtype; with "none" an ndarray of input's shape.

    Raises ValueError and TypeError as `mse_loss` does, and ValueError for a delta that is not positive. Source: P. J.
    Huber, Robust estimation of a location parameter, Annals of Mathematical Statistics 35, 1964; as
    torch.nn.functional.huber_loss.

    Examples
    --------
    >>> import fastml
    >>> fastml.huber_loss([1.0, 2.0, 5.0], [1.0, 3.0, 3.0], reduction="none")
    array([0. , 0.5, 1.5])
    """
    return _kernel.huber(input, target, delta, reduction, False, None)


def huber_loss_with_grad(input, target, *, delta=1.0, reduction="mean", out=None):
    r"""Huber loss and its gradient with respect to input, in one pass.

    .. math:: \frac{\partial \ell_i}{\partial x_i} = \min(\max(x_i - t_i, -\delta), \delta)

    divided by the number of elements for the mean. With reduction="none" the gradient is that of the losses' sum.

    Parameters
    ----------
    input, target, delta, reduction
        As in `huber_loss`.
    out
        As in `mse_loss_with_grad`.

    Returns
    -------
    (loss, dinput) : the loss as `huber_loss` returns it, and an ndarray of input's shape and dtype.

    Raises ValueError and TypeError as `huber_loss` and `mse_loss_with_grad` do. Source: as in `huber_loss`.

    Examples
    --------
    >>> import fastml
    >>> loss, dinput = fastml.huber_loss_with_grad([1.0, 2.0, 5.0, 0.0], [1.0, 3.0, 3.0, 0.0])
    >>> float(loss), dinput.tolist()
    (0.5, [0.0, -0.25, 0.25, 0.0])
    """
    return _kernel.huber(input, target, delta, reduction, True, out)


def log_cosh_loss(input, target, *, reduction="mean"):
    r"""Logarithm of the hyperbolic cosine of the error: half its square where it is small, its size where it is large.

    .. math:: \ell_i = \log \cosh d_i = |d_i| + \log\left(1 + e^{-2 |d_i|}\right) - \log 2, \quad d_i = x_i - t_i

    and below 0.6 in a form that does not cancel, so that a tiny error keeps the digits of its loss.

    Parameters
    ----------
    input, target, reduction
        As in `mse_loss`.

    Returns
    -------
    A NumPy scalar of input's dtype; with "none" an ndarray of input's shape.

    Raises ValueError and TypeError as `mse_loss` does. Source: R. Neuneier and H. G. Zimmermann, How to train neural
    networks, Neural Networks: Tricks of the Trade, 1998; as tf.keras.losses.LogCosh.

    Examples
    --------
    >>> import fastml
    >>> fastml.log_cosh_loss([1.0, 2.0, 50.0], [1.0, 3.0, 0.0], reduction="none").round(4)
    array([ 0.    ,  0.4338, 49.3069])
    """
    return _kernel.log_cosh(input, target, reduction, False, None)


def log_cosh_loss_with_grad(input, target, *, reduction="mean", out=None):
    r"""Log-cosh loss and its gradient with respect to input, in one pass.

    .. math:: \frac{\partial \ell_i}{\partial x_i} = \tanh(x_i - t_i)

    divided by the number of elements for the mean. With reduction="none" the gradient is that of the losses' sum.

    Parameters
    ----------
    input, target, reduction, out
        As in `mse_loss_with_grad`.

    Returns
    -------
    (loss, dinput) : the loss as `log_cosh_loss` returns it, and an ndarray of input's shape and dtype.

    Raises ValueError and TypeError as `mse_loss_with_grad` does. Source: as in `log_cosh_loss`.

    Examples
    --------
    >>> import fastml
    >>> loss, dinput = fastml.log_cosh_loss_with_grad([1.0, 2.0], [1.0, 3.0])
    >>> round(float(loss), 4), dinput.round(4).tolist()
    (0.2169, [0.0, -0.3808])
    """
    return _kernel.log_cosh(input, target, reduction, True, out)


def binary_cross_entropy_with_logits(input, target, *, weight=None, pos_weight=None, reduction="mean"):
    r"""Binary cross-entropy between logits and the probability of "yes".

    .. math::

        \ell_i = -w_i \left( p_i\, t_i \log \sigma(x_i) + (1 - t_i) \log(1 - \sigma(x_i)) \right), \quad
        \sigma(x) = \frac{1}{1 + e^{-x}}

    with t the target, w the weight and p the weight of the positive answer (1 where not given). The logarithms are
    taken as max(±x, 0) + log1p(exp(-abs(x))), which neither overflows nor cancels: a well classified element keeps
    the digits of its tiny loss.

    Parameters
    ----------
    input : array_like, any shape
        The logits x, one for each independent question. float32 and float64 compute in their own precision;
        integers and bool are taken as float32.
    target : array_like
        Numbers in 0 ... 1 in input's shape (nothing is broadcast); taken in input's dtype.
    weight : array_like, optional
        A factor for each loss; broadcast to input's shape.
    pos_weight : array_like, optional
        A factor for the part of target that is positive, usually one for each entry of the last axis (negative
        over positive samples balances rare answers); broadcast to input's shape.
    reduction : {"mean", "sum", "none"}
        "mean" divides the sum by the number of elements, whatever the weights; of none it is NaN.

    Returns
    -------
    A NumPy scalar of input's dtype; with "none" an ndarray of input's shape.

    Raises
    ------
    ValueError
        target in another shape, weights that do not broadcast, an unknown reduction.
    TypeError
        An argument of a kind that is not taken.

    Source: as torch.nn.functional.binary_cross_entropy_with_logits, except that x = -inf with t = 1 costs infinity,
    not NaN.

    Examples
    --------
    >>> import fastml
    >>> fastml.binary_cross_entropy_with_logits([0.0, 40.0, -3.0], [1.0, 1.0, 1.0], reduction="none")
    array([6.93147181e-01, 4.24835426e-18, 3.04858735e+00])
    """
    return _kernel.binary_cross_entropy_with_logits(input, target, weight, pos_weight, reduction, False, None)


def binary_cross_entropy_with_logits_with_grad(
    input, target, *, weight=None, pos_weight=None, reduction="mean", out=None
):
    r"""Binary cross-entropy and its gradient with respect to the logits, in one pass.

    .. math::

        \frac{\partial \ell_i}{\partial x_i} =
        w_i \left( (1 - t_i)\, \sigma(x_i) - p_i\, t_i\, \sigma(-x_i) \right)

    which without weights is :math:`\sigma(x_i) - t_i`, and keeps its digits where the two are close. It is divided by
    the number of elements for the mean; with reduction="none" it is the gradient of the losses' sum.

    Parameters
    ----------
    input, target, weight, pos_weight, reduction
        As in `binary_cross_entropy_with_logits`.
    out : ndarray, optional
        Where the gradient goes: input's shape and dtype, writable; may be input or target itself.

    Returns
    -------
    (loss, dinput) : the loss as `binary_cross_entropy_with_logits` returns it, and an ndarray of input's shape and
    dtype.

    Raises ValueError and TypeError as `binary_cross_entropy_with_logits` does, and for an out that does not fit or
    overlaps an input in part. Nothing is written then. Source: as there.

    Examples
    --------
    >>> import fastml
    >>> loss, dinput = fastml.binary_cross_entropy_with_logits_with_grad([0.0, 0.0], [1.0, 0.0])
    >>> float(loss), dinput.tolist()
    (0.6931471805599453, [-0.25, 0.25])
    """
    return _kernel.binary_cross_entropy_with_logits(input, target, weight, pos_weight, reduction, True, out)


def kl_div_loss(input, target, *, log_target=False, reduction="mean"):
    r"""Kullback-Leibler divergence of log-probabilities from a target distribution, term by term.

    .. math:: \ell_i = t_i\, (\log t_i - x_i)

    A target of 0 contributes 0, whatever x is (also -inf). Nothing is normalised: x are log-probabilities, as
    `log_softmax` gives them.

    Parameters
    ----------
    input : array_like, any shape
        The logarithms x of the model's probabilities. float32 and float64 compute in their own precision; integers
        and bool are taken as float32.
    target : array_like
        The probabilities t, in input's shape (nothing is broadcast); taken in input's dtype.
    log_target : bool
        Whether target holds the logarithms of t.
    reduction : {"mean", "batchmean", "sum", "none"}
        "batchmean" divides the sum by the length of the first axis: the mean divergence of the samples. "mean"
        divides it by the number of all elements, as for the other losses.

    Returns
    -------
    A NumPy scalar of input's dtype; with "none" an ndarray of input's shape.

    Raises ValueError and TypeError as `mse_loss` does. Source: as torch.nn.functional.kl_div, except that t = 0 with
    x = -inf costs 0, not NaN; S. Kullback and R. A. Leibler, On information and sufficiency, Annals of Mathematical
    Statistics 22, 1951.

    Examples
    --------
    >>> import numpy as np, fastml
    >>> float(fastml.kl_div_loss(np.log([[0.5, 0.5]]), [[1.0, 0.0]], reduction="batchmean"))
    0.6931471805599453
    """
    return _kernel.kl_div(input, target, log_target, reduction, False, None)


def kl_div_loss_with_grad(input, target, *, log_target=False, reduction="mean", out=None):
    r"""Kullback-Leibler divergence and its gradient with respect to input, in one pass.

    .. math:: \frac{\partial \ell_i}{\partial x_i} = -t_i

    divided as the loss is. With reduction="none" the gradient is that of the losses' sum.

    Parameters
    ----------
    input, target, log_target, reduction
        As in `kl_div_loss`.
    out
        As in `mse_loss_with_grad`.

    Returns
    -------
    (loss, dinput) : the loss as `kl_div_loss` returns it, and an ndarray of input's shape and dtype.

    Raises ValueError and TypeError as `mse_loss_with_grad` does. Source: as in `kl_div_loss`.

    Examples
    --------
    >>> import numpy as np, fastml
    >>> loss, dinput = fastml.kl_div_loss_with_grad(np.log([[0.5, 0.5]]), [[1.0, 0.0]], reduction="batchmean")
    >>> float(loss), (dinput + 0).tolist()
    (0.6931471805599453, [[-1.0, 0.0]])
    """
    return _kernel.kl_div(input, target, log_target, reduction, True, out)
