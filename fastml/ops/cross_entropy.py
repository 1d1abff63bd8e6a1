"""Cross-entropy between logits and class labels or probabilities, alone and with its gradient."""

from .._kernels import cross_entropy as _kernel


def cross_entropy(
    logits, target, axis=-1, *, weight=None, ignore_index=None, label_smoothing=0.0, z_loss=0.0, reduction="mean"
):
    r"""Negative log-likelihood of the target classes under softmax(logits).

    .. math::

        \ell = -\sum_c q_c \log p_c + z\, w \log^2 \Big(\sum_c e^{x_c}\Big), \quad
        p = \mathrm{softmax}(x), \quad q_c = w_c \left((1 - \varepsilon)\, t_c + \varepsilon / C\right)

    with t the class probabilities, or 1 at the label and 0 elsewhere; w the class weights (1 where not given),
    :math:`\varepsilon` the label smoothing and C the number of classes. In the z-loss, which keeps the logits from
    drifting, w is what the sample counts in the mean: the label's weight, and 1 with class probabilities. The
    logarithm is taken as log1p of the terms below the largest, so the tiny loss of a well classified sample keeps its
    digits.

    Parameters
    ----------
    logits : array_like, at least one dimension
        Unnormalised log-probabilities. float32 and float64 compute in their own precision; integers and bool
        are taken as float32.
    target : array_like
        Labels: integers 0 ... C - 1 in the shape of logits without `axis`; or class probabilities: floating point
        in the shape of logits.
    axis : int
        The class axis.
    weight : array_like of shape (C,), optional
        A weight for each class.
    ignore_index : int, optional
        Samples of this label count for nothing: loss 0, gradient 0. None ignores nothing.
    label_smoothing : float in [0, 1]
        The share of the target that is spread evenly over the classes.
    z_loss : non-negative float
        The coefficient z of the squared log-sum-exp.
    reduction : {"mean", "sum", "none"}
        "mean" divides the sum by the weights of the labels that are not ignored (their number, without weight),
        or by the number of samples for class probabilities. All samples ignored, or none there: the mean is NaN.

    Returns
    -------
    A NumPy scalar of the logits' dtype; with "none" an ndarray in the shape of logits without `axis`.

    Raises
    ------
    IndexError
        A label outside 0 ... C - 1 that is not ignore_index.
    ValueError
        A shape that does not fit, no classes, axis out of range, label_smoothing outside [0, 1], a negative z_loss,
        an unknown reduction, ignore_index with class probabilities.
    TypeError
        An argument of a kind that is not taken; target of bool, or of floating point in the labels' shape.

    Source: label smoothing and the weighted mean as in torch.nn.functional.cross_entropy; C. Szegedy et al.,
    Rethinking the Inception architecture for computer vision, 2016, section 7; z-loss: A. Chowdhery et al., PaLM:
    scaling language modeling with pathways, 2022, section 5, where z is 1e-4.

    Examples
    --------
    >>> import numpy as np, fastml
    >>> logits = np.array([[0.0, 0.0], [0.0, 40.0]])
    >>> fastml.cross_entropy(logits, [1, 1], reduction="none")
    array([6.93147181e-01, 4.24835426e-18])
    >>> float(fastml.cross_entropy(logits, [1, 1]))
    0.34657359027997264
    """
    return _kernel.cross_entropy(
        logits, target, axis, weight, ignore_index, label_smoothing, reduction, False, None, z_loss
    )


def cross_entropy_with_grad(
    logits,
    target,
    axis=-1,
    *,
    weight=None,
    ignore_index=None,
    label_smoothing=0.0,
    z_loss=0.0,
    reduction="mean",
    out=None,
):
    r"""Cross-entropy and its gradient with respect to the logits, in one pass.

    .. math::

        \frac{\partial \ell}{\partial x_c} =
        \Big(\sum_k q_k + 2 z\, w \log \sum_k e^{x_k}\Big)\, p_c - q_c

    with q, z and w as in `cross_entropy`: softmax minus target for unweighted labels. The gradient is that of the
    reduced loss; with reduction="none", of the sum of the losses. At an unsmoothed label it is taken from the other
    classes' terms and keeps its digits where p is near 1.

    Parameters
    ----------
    logits, target, axis, weight, ignore_index, label_smoothing, z_loss, reduction
        As in `cross_entropy`.
    out : ndarray, optional
        Where the gradient goes: logits' shape and dtype, writable; may be logits itself, or class probabilities in
        target.

    Returns
    -------
    (loss, dlogits) : the loss as `cross_entropy` returns it, and an ndarray of logits' shape and dtype. Ignored
    samples have gradient 0. Where all are ignored the mean loss is NaN and the gradient 0.

    Raises IndexError, ValueError and TypeError as `cross_entropy` does, and for an out that does not fit or
    overlaps an input in part. Nothing is written then.

    Examples
    --------
    >>> import numpy as np, fastml
    >>> loss, dlogits = fastml.cross_entropy_with_grad(np.zeros((1, 4)), [2])
    >>> float(loss)
    1.3862943611198906
    >>> dlogits
    array([[ 0.25,  0.25, -0.75,  0.25]])
    """
    return _kernel.cross_entropy(
        logits, target, axis, weight, ignore_index, label_smoothing, reduction, True, out, z_loss
    )
