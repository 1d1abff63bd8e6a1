"""fastml: train small and mid-size networks on a CPU straight from NumPy."""

# First of all, in this order: what Ctrl-C does during these imports, and the OpenMP runtime.
from . import _interrupt as _interrupt

# isort: split
from ._threads import get_num_threads, num_threads, set_num_threads

# isort: split
from typing import TYPE_CHECKING

from ._info import show_config
from .ops.activations import (
    elu,
    elu_backward,
    hard_swish,
    hard_swish_backward,
    leaky_relu,
    leaky_relu_backward,
    relu,
    relu_backward,
)
from .ops.activations_smooth import (
    gelu,
    gelu_backward,
    sigmoid,
    sigmoid_backward,
    silu,
    silu_backward,
    softplus,
    softplus_backward,
    tanh,
    tanh_backward,
)
from .ops.adagrad import adagrad_step
from .ops.adam import adam_step
from .ops.batch_norm import batch_norm, batch_norm_backward
from .ops.clip import clip_grad_norm, clip_grad_value, unscale_grads
from .ops.cross_entropy import cross_entropy, cross_entropy_with_grad
from .ops.dropout import dropout, dropout_backward, dropout_mask
from .ops.ema import ema_step
from .ops.group_norm import group_norm, group_norm_backward, instance_norm, instance_norm_backward
from .ops.layer_norm import layer_norm, layer_norm_backward
from .ops.linear import linear, linear_backward
from .ops.linear_cross_entropy import linear_cross_entropy_with_grad
from .ops.lion import lion_step
from .ops.losses import (
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
from .ops.nll_loss import nll_loss, nll_loss_with_grad
from .ops.norm_stats import (
    batch_norm_apply,
    batch_norm_backward_apply,
    batch_norm_backward_stats,
    batch_norm_stats,
    merge_norm_stats,
)
from .ops.one_hot import one_hot
from .ops.rms_norm import rms_norm, rms_norm_backward
from .ops.rmsprop import rmsprop_step
from .ops.sgd import sgd_step
from .ops.softmax import log_softmax, log_softmax_backward, logsumexp, softmax, softmax_backward

__version__ = "0.2.0.dev0"

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
    "gelu",
    "gelu_backward",
    "get_num_threads",
    "group_norm",
    "group_norm_backward",
    "hard_swish",
    "hard_swish_backward",
    "huber_loss",
    "huber_loss_with_grad",
    "instance_norm",
    "instance_norm_backward",
    "kl_div_loss",
    "kl_div_loss_with_grad",
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
    "merge_norm_stats",
    "mse_loss",
    "mse_loss_with_grad",
    "nll_loss",
    "nll_loss_with_grad",
    "num_threads",
    "one_hot",
    "relu",
    "relu_backward",
    "rms_norm",
    "rms_norm_backward",
    "rmsprop_step",
    "set_num_threads",
    "sgd_step",
    "show_config",
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
    "unscale_grads",
]

# These load on first use: submodules, and what needs scikit-learn, which is an optional dependency.
_SUBMODULES = ("capi", "data", "estimators", "metrics", "nn", "optim", "preprocessing", "reference")
_ESTIMATORS = ("MLPClassifier", "MLPRegressor")

if TYPE_CHECKING:
    from . import capi as capi
    from . import data as data
    from . import estimators as estimators
    from . import metrics as metrics
    from . import nn as nn
    from . import optim as optim
    from . import preprocessing as preprocessing
    from . import reference as reference
    from .estimators import MLPClassifier as MLPClassifier
    from .estimators import MLPRegressor as MLPRegressor
else:

    def __getattr__(name):
        if name in _SUBMODULES:
            from importlib import import_module

            return import_module(f".{name}", __name__)
        if name in _ESTIMATORS:
            from . import estimators

            return getattr(estimators, name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__():
        return sorted({*globals(), *_SUBMODULES, *_ESTIMATORS})
