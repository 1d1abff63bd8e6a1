"""Losses of one term an element and their gradients: squared, absolute, Huber and log-cosh error, binary cross-entropy
of logits, Kullback-Leibler divergence.

All follow torch.nn.functional: the terms are averaged, added or listed, and the gradient is that of the reduced
loss, or of the terms' sum where they are listed.
"""

import numpy as np

from ._arrays import as_float64, check_out, check_positive, check_same_shape, finish


def _arrays(input, target, reduction, reductions=("mean", "sum", "none")):
    """Return input and target in double precision and the dtype of the results."""
    if reduction not in reductions:
        raise ValueError(f"reduction must be one of {reductions}, not {reduction!r}")
    x, dtype = as_float64(input, "input")
    t, _ = as_float64(target, "target")
    check_same_shape(t, "target", x, "input")
    return x, t, dtype


def _reduce(terms, slopes, reduction, dtype, out):
    """Return the reduced loss and its gradient; the mean of no terms is 0 / 0 = NaN."""
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        if reduction == "mean":
            loss, slopes = terms.sum() / np.float64(terms.size), slopes / terms.size
        elif reduction == "batchmean":
            rows = np.float64(len(terms) if terms.ndim else 1)
            loss, slopes = terms.sum() / rows, slopes / rows
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


def l1_loss(input, target, *, reduction="mean"):
    """loss = |input - target|, reduced over all elements."""
    return l1_loss_with_grad(input, target, reduction=reduction)[0]


def l1_loss_with_grad(input, target, *, reduction="mean", out=None):
    """Return the loss and dinput = sign(input - target), 0 where they are equal, divided as the loss is."""
    x, t, dtype = _arrays(input, target, reduction)
    check_out(out, x.shape, dtype, input=input, target=target)
    with np.errstate(invalid="ignore"):
        terms, slopes = np.abs(x - t), np.sign(x - t)
    return _reduce(terms, slopes, reduction, dtype, out)


def huber_loss(input, target, *, delta=1.0, reduction="mean"):
    """loss = d^2 / 2 where |d| <= delta, and delta (|d| - delta / 2) elsewhere, d = input - target."""
    return huber_loss_with_grad(input, target, delta=delta, reduction=reduction)[0]


def huber_loss_with_grad(input, target, *, delta=1.0, reduction="mean", out=None):
    """Return the loss and dinput = d clipped to -delta .. delta, divided as the loss is."""
    x, t, dtype = _arrays(input, target, reduction)
    delta = check_positive(delta, "delta")
    check_out(out, x.shape, dtype, input=input, target=target)
    with np.errstate(invalid="ignore", over="ignore", under="ignore"):
        d = x - t
        terms = np.where(np.abs(d) <= delta, d**2 / 2, delta * (np.abs(d) - delta / 2))
        slopes = np.clip(d, -delta, delta)
    return _reduce(terms, slopes, reduction, dtype, out)


def log_cosh_loss(input, target, *, reduction="mean"):
    """loss = log(cosh(input - target)), reduced over all elements."""
    return log_cosh_loss_with_grad(input, target, reduction=reduction)[0]


def log_cosh_loss_with_grad(input, target, *, reduction="mean", out=None):
    """Return the loss and dinput = tanh(input - target), divided as the loss is.

    cosh d = 1 + 2 sinh(d / 2)^2 keeps the digits of a small loss; a large d would overflow there.
    """
    x, t, dtype = _arrays(input, target, reduction)
    check_out(out, x.shape, dtype, input=input, target=target)
    with np.errstate(invalid="ignore", over="ignore", under="ignore"):
        size = np.abs(x - t)
        large = size + np.log1p(np.exp(-2 * size)) - np.log(2)
        terms = np.where(size < 1, np.log1p(2 * np.sinh(size / 2) ** 2), large)
        slopes = np.tanh(x - t)
    return _reduce(terms, slopes, reduction, dtype, out)


def _beside(x, name, shape):
    """Return x in double precision, broadcast to shape; ones for None."""
    if x is None:
        return np.ones(shape)
    array, _ = as_float64(x, name)
    try:
        return np.broadcast_to(array, shape)
    except ValueError:
        raise ValueError(f"{name} must broadcast to {shape}, not {array.shape}") from None


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


def kl_div_loss(input, target, *, log_target=False, reduction="mean"):
    """loss = t (log t - input), 0 where t is 0; t is target or its exponential; "batchmean" divides by len(input)."""
    return kl_div_loss_with_grad(input, target, log_target=log_target, reduction=reduction)[0]


def kl_div_loss_with_grad(input, target, *, log_target=False, reduction="mean", out=None):
    """Return the loss and dinput = -t, divided as the loss is."""
    x, t, dtype = _arrays(input, target, reduction, ("batchmean", "mean", "sum", "none"))
    check_out(out, x.shape, dtype, input=input, target=target)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore", under="ignore"):
        t, log_t = (np.exp(t), t) if log_target else (t, np.log(t))
        terms = np.where((t == 0) & ~np.isnan(x), 0, t * (log_t - x))
    return _reduce(terms, -t, reduction, dtype, out)
