"""Every function of fastml in plain NumPy, in double precision, written to be read.

The kernels are tested against these. Names and signatures are fastml's own.
"""

from .activations import (
    elu,
    elu_backward,
    gelu,
    gelu_backward,
    hard_swish,
    hard_swish_backward,
    leaky_relu,
    leaky_relu_backward,
    relu,
    relu_backward,
    sigmoid,
    sigmoid_backward,
    silu,
    silu_backward,
    softplus,
    softplus_backward,
    tanh,
    tanh_backward,
)
from .adagrad import adagrad_step
from .adam import adam_step
from .batch_norm import batch_norm, batch_norm_backward
from .clip import clip_grad_norm, clip_grad_value, unscale_grads
from .cross_entropy import cross_entropy, cross_entropy_with_grad
from .distances import (
    energy_distance,
    entropy,
    js_divergence,
    kl_divergence,
    total_variation,
    wasserstein_distance,
    wasserstein_distance_histogram,
)
from .dropout import dropout, dropout_backward, dropout_mask
from .ema import ema_step
from .group_norm import group_norm, group_norm_backward, instance_norm, instance_norm_backward
from .layer_norm import layer_norm, layer_norm_backward
from .linear import linear, linear_backward
from .linear_cross_entropy import linear_cross_entropy_with_grad
from .lion import lion_step
from .losses import (
    binary_cross_entropy_with_logits,
    binary_cross_entropy_with_logits_with_grad,
    huber_loss,
    huber_loss_with_grad,
    kl_div_loss,
    kl_div_loss_with_grad,
    l1_loss,
    l1_loss_with_grad,
    log_cosh_loss,
    log_cosh_loss_with_grad,
    mse_loss,
    mse_loss_with_grad,
)
from .nll_loss import nll_loss, nll_loss_with_grad
from .norm_stats import batch_norm_apply, batch_norm_backward_apply, batch_norm_backward_stats, batch_norm_stats
from .one_hot import one_hot
from .rms_norm import rms_norm, rms_norm_backward
from .rmsprop import rmsprop_step
from .sgd import sgd_step
from .softmax import log_softmax, log_softmax_backward, logsumexp, softmax, softmax_backward

__all__ = [
    "adagrad_step",
    "adam_step",
    "batch_norm",
    "batch_norm_apply",
    "batch_norm_backward",
    "batch_norm_backward_apply",
    "batch_norm_backward_stats",
    "batch_norm_stats",
    "binary_cross_entropy_with_logits",
    "binary_cross_entropy_with_logits_with_grad",
    "clip_grad_norm",
    "clip_grad_value",
    "cross_entropy",
    "cross_entropy_with_grad",
    "dropout",
    "dropout_backward",
    "dropout_mask",
    "elu",
    "elu_backward",
    "ema_step",
    "energy_distance",
    "entropy",
    "gelu",
    "gelu_backward",
    "group_norm",
    "group_norm_backward",
    "hard_swish",
    "hard_swish_backward",
    "huber_loss",
    "huber_loss_with_grad",
    "instance_norm",
    "instance_norm_backward",
    "js_divergence",
    "kl_div_loss",
    "kl_div_loss_with_grad",
    "kl_divergence",
    "l1_loss",
    "l1_loss_with_grad",
    "layer_norm",
    "layer_norm_backward",
    "leaky_relu",
    "leaky_relu_backward",
    "linear",
    "linear_backward",
    "linear_cross_entropy_with_grad",
    "lion_step",
    "log_cosh_loss",
    "log_cosh_loss_with_grad",
    "log_softmax",
    "log_softmax_backward",
    "logsumexp",
    "mse_loss",
    "mse_loss_with_grad",
    "nll_loss",
    "nll_loss_with_grad",
    "one_hot",
    "relu",
    "relu_backward",
    "rms_norm",
    "rms_norm_backward",
    "rmsprop_step",
    "sgd_step",
    "sigmoid",
    "sigmoid_backward",
    "silu",
    "silu_backward",
    "softmax",
    "softmax_backward",
    "softplus",
    "softplus_backward",
    "tanh",
    "tanh_backward",
    "total_variation",
    "unscale_grads",
    "wasserstein_distance",
    "wasserstein_distance_histogram",
]
