"""Cross-entropy of a linear map and its gradients: the composition of linear and cross_entropy, all logits at once."""

from ._arrays import as_float64s, as_vector, finish
from .cross_entropy import cross_entropy_with_grad
from .linear import linear, linear_backward


def linear_cross_entropy_with_grad(
    x, weight, target, *, bias=None, class_weight=None, ignore_index=None, label_smoothing=0.0, reduction="mean"
):
    """Return the loss of z = x W^T + b, and with dz its gradient dx = dz W, dW = dz^T x and db = sum dz."""
    x64, w, dtype = as_float64s(x=x, weight=weight)
    if w.ndim == 2 and len(w) == 0 and x64.size > 0:
        raise ValueError(f"weight must have at least one class, not shape {w.shape}")
    if class_weight is not None and w.ndim == 2:
        class_weight = as_vector(class_weight, "class_weight", len(w))
    z = linear(x64, w, bias)
    loss, dz = cross_entropy_with_grad(
        z, target, weight=class_weight, ignore_index=ignore_index, label_smoothing=label_smoothing, reduction=reduction
    )
    gradients = [finish(d, dtype) for d in linear_backward(dz, x64, w)]
    loss = finish(loss, dtype)
    return loss if reduction == "none" else loss[()], *gradients
