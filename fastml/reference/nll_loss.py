"""Negative log-likelihood under log-probabilities, and its gradient: the second half of the cross-entropy.

With q the target distribution times the class weights, the loss of one sample is -sum_c q_c log_probs_c and its
gradient -q. Weights and the weighted mean follow torch.nn.functional.nll_loss, smoothing the cross-entropy's.
"""

from .cross_entropy import loss_and_grad


def nll_loss(log_probs, target, axis=-1, *, weight=None, ignore_index=None, label_smoothing=0.0, reduction="mean"):
    """loss = -sum_c q_c log_probs_c, reduced over the samples as cross_entropy does."""
    return loss_and_grad(
        log_probs, target, axis, weight, ignore_index, label_smoothing, 0, reduction, None, "log_probs"
    )[0]


def nll_loss_with_grad(
    log_probs, target, axis=-1, *, weight=None, ignore_index=None, label_smoothing=0.0, reduction="mean", out=None
):
    """Return the loss and dlog_probs = -q, divided as the loss is; 0 for ignored samples."""
    return loss_and_grad(log_probs, target, axis, weight, ignore_index, label_smoothing, 0, reduction, out, "log_probs")
