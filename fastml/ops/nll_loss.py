"""Negative log-likelihood of class labels or probabilities under log-probabilities, alone and with its gradient."""

from .._kernels import cross_entropy as _kernel


def nll_loss(log_probs, target, axis=-1, *, weight=None, ignore_index=None, label_smoothing=0.0, reduction="mean"):
    r"""Negative log-likelihood of the target classes: cross-entropy of logits that log_softmax has been through.

    .. math:: \ell = -\sum_c q_c\, x_c, \quad q_c = w_c \left((1 - \varepsilon)\, t_c + \varepsilon / C\right)

    with x the log-probabilities, t the class probabilities, or 1 at the label and 0 elsewhere; w the class weights
    (1 where not given), :math:`\varepsilon` the label smoothing and C the number of classes. Of an unsmoothed label
    one number is read and no other. Where the logits are at hand, `cross_entropy` is faster than the two in a row.

    Parameters
    ----------
    log_probs : array_like, at least one dimension
        Logarithms of probabilities. float32 and float64 compute in their own precision; integers and bool are taken
        as float32.
    target : array_like
        Labels: integers 0 ... C - 1 in the shape of log_probs without `axis`; or class probabilities: floating point
        in the shape of log_probs.
    axis, weight, ignore_index, label_smoothing, reduction
        As in `cross_entropy`.

    Returns
    -------
    A NumPy scalar of log_probs' dtype; with "none" an ndarray in the shape of log_probs without `axis`.

    Raises IndexError, ValueError and TypeError as `cross_entropy` does.

    Source: as torch.nn.functional.nll_loss, which takes labels only and no smoothing.

    Examples
    --------
    >>> import numpy as np, fastml
    >>> log_probs = np.log([[0.5, 0.5], [0.25, 0.75]])
    >>> fastml.nll_loss(log_probs, [1, 0], reduction="none")
    array([0.69314718, 1.38629436])
    """
    return _kernel.cross_entropy(
        log_probs, target, axis, weight, ignore_index, label_smoothing, reduction, False, None,
        name="log_probs", nll=True,
    )  # fmt: skip


def nll_loss_with_grad(
    log_probs, target, axis=-1, *, weight=None, ignore_index=None, label_smoothing=0.0, reduction="mean", out=None
):
    r"""Negative log-likelihood and its gradient with respect to the log-probabilities.

    .. math:: \frac{\partial \ell}{\partial x_c} = -q_c

    with q as in `nll_loss`. The gradient is that of the reduced loss; with reduction="none", of the sum of the losses.

    Parameters
    ----------
    log_probs, target, axis, weight, ignore_index, label_smoothing, reduction
        As in `nll_loss`.
    out : ndarray, optional
        Where the gradient goes: log_probs' shape and dtype, writable; may be log_probs itself, or class probabilities
        in target.

    Returns
    -------
    (loss, dlog_probs) : the loss as `nll_loss` returns it, and an ndarray of log_probs' shape and dtype. Ignored
    samples have gradient 0. Where all are ignored the mean loss is NaN and the gradient 0.

    Raises IndexError, ValueError and TypeError as `nll_loss` does, and for an out that does not fit or overlaps an
    input in part. Nothing is written then. Source: as in `nll_loss`.

    Examples
    --------
    >>> import numpy as np, fastml
    >>> loss, dlog_probs = fastml.nll_loss_with_grad(np.log([[0.5, 0.5], [0.25, 0.75]]), [1, 0], weight=[3.0, 1.0])
    >>> float(loss), dlog_probs.tolist()
    (1.2130075659799042, [[0.0, -0.25], [-0.75, 0.0]])
    """
    return _kernel.cross_entropy(
        log_probs, target, axis, weight, ignore_index, label_smoothing, reduction, True, out,
        name="log_probs", nll=True,
    )  # fmt: skip
