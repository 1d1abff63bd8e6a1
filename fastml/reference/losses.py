"""Losses of one term an element and their gradients: mean squared error, binary cross-entropy of logits.

Both follow torch.nn.functional: the terms are averaged, added or listed, and the gradient is that of the reduced
loss, or of the terms' sum where they are listed.
"""

import numpy as np

from ._arrays import as_float64, check_out, check_same_shape, finish


def _arrays(input, target, reduction):
    """Return input and target in double precision and the dtype of the results."""
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"reduction must be 'mean', 'sum' or 'none', got {reduction!r}")
    x, dtype = as_float64(input, "input")
    t, _ = as_float64(target, "target")
    check_same_shape(t, "target", x, "input")
    return x, t, dtype


def _reduce(terms, slopes, reduction, dtype, out):
    """Return the reduced loss and its gradient; the mean of no terms is 0 / 0 = NaN."""
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        if reduction == "mean":
            loss, slopes = terms.sum() / np.float64(terms.size), slopes / terms.size
        else:
            loss = terms.sum() if reduction == "sum" else terms
    loss = finish(loss, dtype)
    return (loss if reduction == "none" else loss[()]), finish(slopes, dtype, out)


def mse_loss(input, target, *, reduction="mean"):
    """loss = (input - target)^2, reduced over all elements."""
    return mse_loss_with_grad(input, target, reduction=reduction)[0]


def mse_loss_with_grad(input, target, *, reduction="mean", out=None):
    """Return the loss and dinput = 2 (input - target), divided as the loss is."""
    x, t, dtype = _arrays(input, target, reduction)
    check_out(out, x.shape, dtype, input=input, target=target)
    with np.errstate(invalid="ignore", over="ignore", under="ignore"):
        terms, slopes = (x - t) ** 2, 2 * (x - t)
    return _reduce(terms, slopes, reduction, dtype, out)


def _beside(x, name, shape):
    """Return x in double precision, broadcast to shape; ones for None."""
    if x is None:
        return np.ones(shape)
    array, _ = as_float64(x, name)
    try:
        return np.broadcast_to(array, shape)
    except ValueError:
        raise ValueError(f"{name} must broadcast to {shape}, got {array.shape}") from None


def binary_cross_entropy_with_logits(input, target, *, weight=None, pos_weight=None, reduction="mean"):
    """loss = weight (pos_weight t log(1 + e^-x) + (1 - t) log(1 + e^x)), reduced over all elements.

    These are -log(sigmoid(x)) and -log(1 - sigmoid(x)). Without pos_weight the loss is also
    weight (max(x, 0) - x t + log1p(e^-|x|)), in which terms cancel.
    """
    loss, _ = binary_cross_entropy_with_logits_with_grad(
        input, target, weight=weight, pos_weight=pos_weight, reduction=reduction
    )
    return loss


def binary_cross_entropy_with_logits_with_grad(
    input, target, *, weight=None, pos_weight=None, reduction="mean", out=None
):
    """Return the loss and dinput = weight ((1 - t) sigmoid(x) - pos_weight t sigmoid(-x)), divided as the loss is.

    Without weights that is sigmoid(x) - t, whose digits are lost where the sigmoid is near the target.
    """
    x, t, dtype = _arrays(input, target, reduction)
    w = _beside(weight, "weight", x.shape)
    p = _beside(pos_weight, "pos_weight", x.shape)
    check_out(out, x.shape, dtype, input=input, target=target, weight=weight, pos_weight=pos_weight)
    with np.errstate(invalid="ignore", over="ignore", under="ignore"):
        terms = w * (p * t * np.logaddexp(0, -x) + (1 - t) * np.logaddexp(0, x))
        slopes = w * ((1 - t) / (1 + np.exp(-x)) - p * t / (1 + np.exp(x)))
    return _reduce(terms, slopes, reduction, dtype, out)
