"""Cross-entropy between logits and integer labels or class probabilities, and its gradient.

With p = softmax(logits) and q the target distribution times the class weights, the loss of one sample is
-sum_c q_c log p_c and its gradient (sum_c q_c) p - q. Weights, smoothing and the weighted mean follow
torch.nn.functional.cross_entropy; label smoothing is Szegedy et al., "Rethinking the Inception
architecture" (2016), section 7, https://arxiv.org/abs/1512.00567; z_loss is Chowdhery et al., "PaLM" (2022),
section 5, https://arxiv.org/abs/2204.02311.
"""

import numpy as np

from ._arrays import (
    LARGEST,
    as_array,
    as_float64,
    as_vector,
    check_axis,
    check_out,
    check_range,
    check_same_shape,
    finish,
)
from .softmax import _exp_shifted


def _check_labels(target, shape, classes, ignore_index, name):
    """Return the labels as int64 (0 where ignored) and the mask of the samples that count."""
    if target.shape != shape:
        raise ValueError(f"target must have the shape of {name} without the class axis, {shape}, not {target.shape}")
    counted = np.ones(shape, bool) if ignore_index is None else target != ignore_index
    wrong = counted & ((target < 0) | (target >= classes))
    if wrong.any():
        raise IndexError(f"target must lie in 0 .. {classes - 1}, not {target[wrong].flat[0]}")
    return np.where(counted, target, 0).astype(np.int64), counted


def _check_target(target, logits, axis, ignore_index, name):
    """Return the labels or None, the probabilities or None, classes last, and the mask of the samples that count."""
    labels = as_array(target, "target")
    samples = logits.shape[:axis] + logits.shape[axis + 1 :]
    if labels.dtype.kind in "iu":
        labels, counted = _check_labels(labels, samples, logits.shape[axis], ignore_index, name)
        return labels, None, counted
    if labels.dtype.kind != "f":
        raise TypeError(f"target must be integers or floating point, not dtype {labels.dtype}")
    probabilities, _ = as_float64(target, "target")
    if ignore_index is not None:
        raise ValueError("ignore_index must be None where target holds class probabilities")
    check_same_shape(probabilities, "target", logits, name)
    return None, np.ascontiguousarray(np.moveaxis(probabilities, axis, -1)), np.ones(samples, bool)


def loss_and_grad(logits, target, axis, weight, ignore_index, label_smoothing, z_loss, reduction, out, name="logits"):
    """Return the loss and its gradient; where the first argument goes by the name of "log_probs", of those."""
    logits64, dtype = as_float64(logits, name)
    axis = check_axis(axis, logits64.ndim)
    z = np.ascontiguousarray(np.moveaxis(logits64, axis, -1))
    classes = z.shape[-1]
    if classes == 0 and np.prod(z.shape[:-1]) > 0:
        raise ValueError(f"{name} must have at least one class along axis {axis}, not {logits64.shape}")
    smoothing = check_range(label_smoothing, "label_smoothing", 0, 1)
    z_loss = check_range(z_loss, "z_loss", 0, LARGEST)
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"reduction must be 'mean', 'sum' or 'none', not {reduction!r}")
    if ignore_index is not None and (
        isinstance(ignore_index, (bool, np.bool_)) or not isinstance(ignore_index, (int, np.integer))
    ):
        raise TypeError(f"ignore_index must be an integer or None, not {ignore_index!r}")
    w = np.ones(classes) if weight is None else as_vector(weight, "weight", classes)
    labels, q, counted = _check_target(target, logits64, axis, ignore_index, name)
    check_out(out, logits64.shape, dtype, target=target, weight=weight, **{name: logits})

    with np.errstate(invalid="ignore", divide="ignore", over="ignore", under="ignore"):
        largest, e, log_sum = _exp_shifted(z)
        log_p = (z - largest) - log_sum
        p = e / e.sum(axis=-1, keepdims=True)
        lse = largest + log_sum
        if name == "log_probs":
            log_p, p = z, np.zeros(z.shape)
        count = np.ones(z.shape[:-1])  # what a sample counts in the mean
        if labels is not None:
            one_hot = np.arange(classes) == labels[..., None]
            q = w * (1 - smoothing) * one_hot + w * smoothing / max(classes, 1)
            # Only the label's own term is read, so that 0 * inf of the other classes does not arise.
            loss = -((1 - smoothing) * w * np.where(one_hot, log_p, 0)).sum(axis=-1)
            if smoothing > 0:
                loss -= (w * log_p).sum(axis=-1) * smoothing / classes
            loss = np.where(counted, loss, 0)
            count = (w * one_hot).sum(axis=-1)
            total = count[counted].sum()
        else:
            q = w * (q * (1 - smoothing) + smoothing / max(classes, 1))
            loss = -(q * log_p).sum(axis=-1)
            total = np.float64(loss.size)
        # (sum q) p - q with 1 - p from log p, which is exact where p is near 1.
        dlogits = (q.sum(axis=-1, keepdims=True) - q) * p + q * np.expm1(log_p)
        if name == "log_probs":
            dlogits = -q
        if z_loss > 0:
            loss = np.where(counted, loss + z_loss * count * lse[..., 0] ** 2, 0)
            dlogits = dlogits + 2 * z_loss * count[..., None] * lse * p
        if reduction == "mean":
            loss = loss.sum() / total
            dlogits = dlogits / total
        elif reduction == "sum":
            loss = loss.sum()
        dlogits = np.where(counted[..., None], dlogits, 0)
    loss = finish(loss, dtype)
    return (loss if reduction == "none" else loss[()]), finish(np.moveaxis(dlogits, -1, axis), dtype, out)


def cross_entropy(
    logits, target, axis=-1, *, weight=None, ignore_index=None, label_smoothing=0.0, z_loss=0.0, reduction="mean"
):
    """loss = -sum_c q_c log p_c + z_loss w lse^2, reduced over the samples; "mean" divides by the sum of the labels'
    weights. lse is log(sum_c e^logits_c), w the label's weight, or 1 with class probabilities.

    Class probabilities are divided by the number of samples instead. If all samples are ignored (or there
    are none) the mean is 0 / 0 = NaN.
    """
    loss, _ = loss_and_grad(logits, target, axis, weight, ignore_index, label_smoothing, z_loss, reduction, None)
    return loss


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
    """Return the loss and dlogits = (sum_c q_c + 2 z_loss w lse) p - q, divided as the loss is; 0 for ignored samples.

    With reduction="none", dlogits is the gradient of the sum of the losses.
    """
    return loss_and_grad(logits, target, axis, weight, ignore_index, label_smoothing, z_loss, reduction, out)
