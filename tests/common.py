"""What all tests share: OPS, the table of the public functions, and ways to run them; the arrays are in arrays.py.

A promise that all functions keep is written once, over OPS: values and out= in test_contract.py, determinism in
test_same_bits.py, wrong arguments in test_errors.py, random strides in test_layouts.py. What is special to one
function is in test_<stem>.py. A new function gets one row here (or one for each way of calling it).
"""

from functools import partial

from . import arguments, terms
from .arrays import (
    ADVERSARIAL,
    DTYPES,
    LAYOUTS,
    LENGTHS,
    adversarial,
    assert_all_same_bits,
    assert_close,
    assert_same_bits,
    assert_within,
    finite,
    flushed,
    largest,
    normal,
    relayout,
    ulp_error,
)
from .op import Op, at_axis, compute, copies_by, copy_args, digests, map_arrays
from .processes import (
    ROOT,
    THREADS,
    assert_same_for_any_threads,
    assert_same_on_fma_targets,
    assert_same_past_the_caches,
    run_on_target,
    run_python,
    run_script,
    with_threads,
)

__all__ = [
    "ADVERSARIAL",
    "DTYPES",
    "LAYOUTS",
    "LENGTHS",
    "OPS",
    "ROOT",
    "THREADS",
    "Op",
    "adversarial",
    "assert_all_same_bits",
    "assert_close",
    "assert_same_bits",
    "assert_same_for_any_threads",
    "assert_same_on_fma_targets",
    "assert_same_past_the_caches",
    "assert_within",
    "at_axis",
    "compute",
    "compute_all",
    "copies_by",
    "copy_args",
    "digest_all",
    "digests",
    "finite",
    "flushed",
    "largest",
    "map_arrays",
    "normal",
    "relayout",
    "run_on_target",
    "run_python",
    "run_script",
    "ulp_error",
    "with_threads",
]

# --- the table -----------------------------------------------------------------------------------------------

_OUT = {"out": 0, "in_place": "x", "axis": "axis"}
_GRAD_OUT = {"out": 0, "in_place": "grad", "axis": "axis"}
_CE = {"arrays": ("logits", "target", "weight"), "axis": "axis", "min_ndim": 1, "accepts": arguments.has_classes}
_CE_OUT = {**_CE, "out": 1, "in_place": "logits", "scales": terms.cross_entropy_terms}
_IMAGES = {"big": ((32, 14, 14, 67), (4, 97, 131, 5), (1031, 517))}
_BN = {
    "arrays": ("x", "weight", "bias", "running_mean", "running_var"),
    "out": 0, "in_place": "x", "axis": "channel_axis", "min_ndim": 2, "accepts": arguments.several_values,
    "scales": terms.batch_norm_terms, "ulp": 32,
}  # fmt: skip
_BN_BACKWARD = {
    **_BN,
    "arrays": ("grad", "x", "weight", "mean", "inv_std"),
    "in_place": "grad",
    "scales": terms.batch_norm_backward_terms,
}
_PIECE = {"min_ndim": 2, "ulp": 32, **_IMAGES}
_PIECE_OUT = {**_PIECE, "out": 0}
_LOSS_OUT = {"out": 1, "in_place": "input"}
_NLL = {
    "arrays": ("log_probs", "target", "weight"),
    "axis": "axis", "min_ndim": 1, "accepts": arguments.has_classes, "scales": terms.nll_terms,
}  # fmt: skip
_NLL_OUT = {**_NLL, "out": 1, "in_place": "log_probs"}
_KL = {"arrays": ("input", "target"), "scales": terms.divergence_terms}
_BCE_ARRAYS = ("input", "target", "weight", "pos_weight")
_GELU_BACKWARD = {"out": 0, "in_place": "grad", "scales": terms.gelu_terms}
_UNARY_BACKWARD = {"out": 0, "in_place": "grad", "ulp": 6}
_SOFTPLUS = {"beta": 1.7, "threshold": 2.5}
_LN = {
    "arrays": ("x", "weight", "bias"),
    "out": 0, "in_place": "x", "min_ndim": 1, "scales": terms.layer_norm_terms, "ulp": 32,
}  # fmt: skip
_LN_BACKWARD = {
    **_LN,
    "arrays": ("grad", "x", "weight", "mean", "inv_std"),
    "in_place": "grad",
    "scales": terms.layer_norm_backward_terms,
}
_RMS = {"arrays": ("x", "weight"), "out": 0, "in_place": "x", "min_ndim": 1}
_RMS_BACKWARD = {
    **_RMS,
    "arrays": ("grad", "x", "weight", "inv_rms"),
    "in_place": "grad",
    "scales": terms.rms_norm_backward_terms,
    "ulp": 32,
}
_LN_AXES = {"big": ((1031, 11, 47), (3, 200_003))}
_GN = {
    "arrays": ("x", "weight", "bias"),
    "out": 0, "in_place": "x", "min_ndim": 2, "accepts": arguments.several_in_groups,
    "scales": terms.group_norm_terms, "ulp": 32, "big": ((33, 14, 14, 64), (4, 97, 131, 6), (1030, 516)),
}  # fmt: skip
_GN_BACKWARD = {
    **_GN,
    "arrays": ("grad", "x", "weight", "mean", "inv_std"),
    "in_place": "grad",
    "scales": terms.group_norm_backward_terms,
}
_EACH = {"accepts": lambda shape: True, "big": ((33, 7, 7, 67), (3, 97, 31, 5), (2, 30_001, 3))}
_RUNNING = ("running_mean", "running_var")
_SMOOTH = {"label_smoothing": 0.1, "ignore_index": 1}
_SGD = {"arrays": ("params", "grads", "velocities"), "mutated": ("params", "velocities")}
_ADAM = {"arrays": ("params", "grads", "exp_avgs", "exp_avg_sqs"), "mutated": ("params", "exp_avgs", "exp_avg_sqs")}
_AMSGRAD = {name: (*arrays, "max_exp_avg_sqs") for name, arrays in _ADAM.items()}
_RMSPROP = {
    "arrays": ("params", "grads", "square_avgs", "grad_avgs", "momentum_buffers"),
    "mutated": ("params", "square_avgs", "grad_avgs", "momentum_buffers"),
}
_ADAGRAD = {"arrays": ("params", "grads", "state_sums"), "mutated": ("params", "state_sums")}
_LION = {"arrays": ("params", "grads", "exp_avgs"), "mutated": ("params", "exp_avgs")}
_LINEAR = {"arrays": ("x", "weight", "bias"), "out": 0, "min_ndim": 1, "ulp": 64}
_LINEAR_CE = {
    "arrays": ("x", "weight", "target", "bias", "class_weight"),
    "min_ndim": 1, "scales": terms.linear_cross_entropy_terms, "big": ((517, 259), (1031, 67), (33, 1031)),
}  # fmt: skip
_LINEAR_BIG = ((517, 259), (4099, 67), (33, 1031))

OPS = (
    Op("softmax", arguments.plain_x, ("x",), **_OUT),
    Op("log_softmax", arguments.plain_x, ("x",), **_OUT),
    Op("logsumexp", arguments.plain_x, ("x",), axis="axis"),
    Op("softmax_backward", arguments.softmax_grad, ("grad", "y"), **_GRAD_OUT, scales=terms.softmax_terms),
    Op("log_softmax_backward", arguments.log_softmax_grad, ("grad", "y"), **_GRAD_OUT, scales=terms.gradient_terms),
    Op("cross_entropy", arguments.labels(), **_CE),
    Op("cross_entropy", arguments.labels(reduction="none", **_SMOOTH), **_CE, case="smooth"),
    Op("cross_entropy", arguments.probabilities(), **_CE, case="probabilities"),
    Op("cross_entropy_with_grad", arguments.labels(), **_CE_OUT),
    Op("cross_entropy_with_grad", arguments.labels(**_SMOOTH), **_CE_OUT, case="smooth"),
    Op("cross_entropy_with_grad", arguments.probabilities(reduction="sum"), **_CE_OUT, case="probabilities"),
    Op("cross_entropy", arguments.labels(z_loss=0.01), **_CE, case="z-loss"),
    Op("cross_entropy_with_grad", arguments.labels(z_loss=0.01, **_SMOOTH), **_CE_OUT, case="z-loss"),
    Op("nll_loss", arguments.log_probabilities(arguments.labels()), **_NLL),
    Op("nll_loss", arguments.log_probabilities(arguments.labels(reduction="none", **_SMOOTH)), **_NLL, case="smooth"),
    Op("nll_loss", arguments.log_probabilities(arguments.probabilities()), **_NLL, case="probabilities"),
    Op("nll_loss_with_grad", arguments.log_probabilities(arguments.labels()), **_NLL_OUT),
    Op("nll_loss_with_grad", arguments.log_probabilities(arguments.labels(**_SMOOTH)), **_NLL_OUT, case="smooth"),
    Op(
        "nll_loss_with_grad",
        arguments.log_probabilities(arguments.probabilities(reduction="sum")),
        **_NLL_OUT,
        case="probabilities",
    ),
    Op("mse_loss", arguments.predictions, ("input", "target")),
    Op("mse_loss_with_grad", arguments.predictions, ("input", "target"), **_LOSS_OUT),
    Op("l1_loss", arguments.predictions, ("input", "target")),
    Op("l1_loss_with_grad", arguments.predictions, ("input", "target"), **_LOSS_OUT),
    Op("huber_loss", arguments.predictions, ("input", "target")),
    Op("huber_loss_with_grad", partial(arguments.predictions, delta=2.5), ("input", "target"), **_LOSS_OUT),
    Op("log_cosh_loss", arguments.predictions, ("input", "target")),
    Op("log_cosh_loss_with_grad", arguments.predictions, ("input", "target"), **_LOSS_OUT),
    Op("kl_div_loss", arguments.divergence(), **_KL),
    Op("kl_div_loss", arguments.divergence(True, reduction="none"), **_KL, case="logarithms"),
    Op("kl_div_loss_with_grad", arguments.divergence(reduction="batchmean"), **_KL, **_LOSS_OUT),
    Op("kl_div_loss_with_grad", arguments.divergence(True, reduction="sum"), **_KL, **_LOSS_OUT, case="logarithms"),
    Op("binary_cross_entropy_with_logits", arguments.answers(), ("input", "target")),
    Op(
        "binary_cross_entropy_with_logits",
        arguments.answers(weight=lambda shape: (*shape[:-1], 1)[: len(shape)], reduction="none"),
        _BCE_ARRAYS,
        case="weights",
    ),
    Op("binary_cross_entropy_with_logits_with_grad", arguments.answers(), ("input", "target"), **_LOSS_OUT),
    Op(
        "binary_cross_entropy_with_logits_with_grad",
        arguments.answers(weight=lambda shape: shape, reduction="sum"),
        _BCE_ARRAYS,
        **_LOSS_OUT,
        case="weights",
    ),
    Op("batch_norm", arguments.batch_norm(), **_BN, mutated=_RUNNING),
    Op("batch_norm", arguments.batch_norm(1), **_BN, **_IMAGES, mutated=_RUNNING, case="axis 1"),
    Op("batch_norm", arguments.batch_norm(1, unbiased=False), **_BN, **_IMAGES, mutated=_RUNNING, case="biased"),
    Op("batch_norm", arguments.batch_norm(1, training=False), **_BN, **_IMAGES, case="eval"),
    Op("batch_norm_backward", arguments.batch_norm_grad(), **_BN_BACKWARD),
    Op("batch_norm_backward", arguments.batch_norm_grad(1), **_BN_BACKWARD, **_IMAGES, case="axis 1"),
    Op("batch_norm_backward", arguments.batch_norm_grad(1, training=False), **_BN_BACKWARD, **_IMAGES, case="eval"),
    Op("batch_norm_stats", arguments.norm_piece("x"), ("x",), **_PIECE, scales=terms.norm_stats_terms),
    Op(
        "batch_norm_apply",
        arguments.norm_piece("x", "mean", "inv_std", "weight", "bias"),
        ("x", "mean", "inv_std", "weight", "bias"),
        **_PIECE_OUT,
        in_place="x",
        scales=terms.norm_apply_terms,
    ),
    Op(
        "batch_norm_backward_stats",
        arguments.norm_piece("grad", "x", "mean", "inv_std"),
        ("grad", "x", "mean", "inv_std"),
        **_PIECE,
        scales=terms.norm_backward_stats_terms,
    ),
    Op(
        "batch_norm_backward_apply",
        arguments.norm_piece("grad", "x", "weight", "mean", "inv_std", "dweight", "dbias", "count"),
        ("grad", "x", "weight", "mean", "inv_std", "dweight", "dbias"),
        **_PIECE_OUT,
        in_place="grad",
        scales=terms.norm_backward_apply_terms,
    ),
    Op("dropout", arguments.dropout("x"), ("x",), out=0, in_place="x", ulp=0),
    Op("dropout_backward", arguments.dropout("grad"), ("grad",), out=0, in_place="grad", ulp=0),
    Op("dropout_mask", lambda shape, dtype, seed: {"shape": shape, "seed": seed, "offset": 2**63}, (), ulp=0),
    Op("linear", arguments.linear(), **_LINEAR, big=_LINEAR_BIG),
    Op("linear", arguments.linear(activation="relu"), **_LINEAR, big=_LINEAR_BIG, case="relu"),
    Op("linear_backward", arguments.linear_grad, ("grad", "x", "weight"), min_ndim=1, ulp=64, big=_LINEAR_BIG),
    Op("linear_cross_entropy_with_grad", arguments.linear_cross_entropy(), **_LINEAR_CE),
    Op(
        "linear_cross_entropy_with_grad",
        arguments.linear_cross_entropy(reduction="none", **_SMOOTH),
        **_LINEAR_CE,
        case="smooth",
    ),
    Op(
        "linear_cross_entropy_with_grad",
        arguments.linear_cross_entropy(hard=False, reduction="sum"),
        **_LINEAR_CE,
        case="probabilities",
    ),
    Op("one_hot", arguments.classes(), (), ulp=0),
    Op("one_hot", arguments.classes(axis=0, unknown="zeros"), (), ulp=0, case="axis 0"),
    Op("relu", arguments.plain_x, ("x",), out=0, in_place="x", ulp=0),
    Op("relu_backward", arguments.relu_grad, ("grad", "x"), out=0, in_place="grad", ulp=0),
    Op("gelu", arguments.gelu(), ("x",), out=0, in_place="x", ulp=4),
    Op("gelu", arguments.gelu(approximate="tanh"), ("x",), out=0, in_place="x", ulp=4, case="tanh"),
    Op("gelu_backward", arguments.gelu_grad(), ("grad", "x"), **_GELU_BACKWARD),
    Op("gelu_backward", arguments.gelu_grad(approximate="tanh"), ("grad", "x"), **_GELU_BACKWARD, case="tanh"),
    Op("group_norm", arguments.group_norm(), **_GN),
    Op("group_norm_backward", arguments.group_norm_grad(), **_GN_BACKWARD),
    Op("instance_norm", arguments.group_norm(each=True), **{**_GN, **_EACH}),
    Op("instance_norm_backward", arguments.group_norm_grad(each=True), **{**_GN_BACKWARD, **_EACH}),
    *(
        Op(name, arguments.gelu(), ("x",), out=0, in_place="x", ulp=4)
        for name in ("silu", "hard_swish", "sigmoid", "tanh", "softplus")
    ),
    *(
        Op(f"{name}_backward", arguments.gelu_grad(), ("grad", "x"), **_UNARY_BACKWARD)
        for name in ("hard_swish", "sigmoid", "tanh", "softplus")
    ),
    Op("silu_backward", arguments.gelu_grad(), ("grad", "x"), out=0, in_place="grad", scales=terms.gradient_terms_of_x),
    Op("elu", arguments.gelu(alpha=0.7), ("x",), out=0, in_place="x", ulp=4),
    Op("elu_backward", arguments.gelu_grad(alpha=0.7), ("grad", "x"), **_UNARY_BACKWARD),
    Op("leaky_relu", arguments.gelu(negative_slope=0.1), ("x",), out=0, in_place="x", ulp=1),
    Op("leaky_relu_backward", arguments.gelu_grad(negative_slope=0.1), ("grad", "x"), out=0, in_place="grad", ulp=1),
    Op("softplus", arguments.gelu(**_SOFTPLUS), ("x",), out=0, in_place="x", ulp=6, case="beta"),
    Op("softplus_backward", arguments.gelu_grad(**_SOFTPLUS), ("grad", "x"), **_UNARY_BACKWARD, case="beta"),
    Op("layer_norm", arguments.layer_norm(), **_LN),
    Op("layer_norm", arguments.layer_norm(2), **_LN, **_LN_AXES, case="two axes"),
    Op("layer_norm_backward", arguments.layer_norm_grad(), **_LN_BACKWARD),
    Op("layer_norm_backward", arguments.layer_norm_grad(2), **_LN_BACKWARD, **_LN_AXES, case="two axes"),
    Op("rms_norm", arguments.rms_norm(), **_RMS),
    Op("rms_norm", arguments.rms_norm(2), **_RMS, **_LN_AXES, case="two axes"),
    Op("rms_norm_backward", arguments.rms_norm_grad(), **_RMS_BACKWARD),
    Op("rms_norm_backward", arguments.rms_norm_grad(2), **_RMS_BACKWARD, **_LN_AXES, case="two axes"),
    Op("sgd_step", arguments.sgd(), **_SGD),
    Op("sgd_step", arguments.sgd(momentum=0.9, dampening=0.1, weight_decay=0.01, maximize=True), **_SGD, case="damped"),
    Op("sgd_step", arguments.sgd(momentum=0.9, nesterov=True), **_SGD, case="nesterov"),
    Op("adam_step", arguments.adam(), **_ADAM),
    Op("adam_step", arguments.adam(betas=(0.3, 0.9), weight_decay=0.1, maximize=True), **_ADAM, case="decay"),
    Op("adam_step", arguments.adam(weight_decay=0.1, decoupled=True), **_ADAM, case="decoupled"),
    Op("adam_step", arguments.amsgrad, **_AMSGRAD, case="amsgrad"),
    Op("rmsprop_step", arguments.rmsprop(), **_RMSPROP),
    Op("rmsprop_step", arguments.rmsprop(momentum=0.9, centered=True, maximize=True), **_RMSPROP, case="centered"),
    Op("rmsprop_step", arguments.rmsprop(weight_decay=0.1), **_RMSPROP, case="decay"),
    Op("adagrad_step", arguments.adagrad(), **_ADAGRAD),
    Op("adagrad_step", arguments.adagrad(lr_decay=0.1, weight_decay=0.1, maximize=True), **_ADAGRAD, case="decay"),
    Op("lion_step", arguments.lion(), **_LION),
    Op("lion_step", arguments.lion(betas=(0.3, 0.9), weight_decay=0.1, maximize=True), **_LION, case="decay"),
    Op("ema_step", arguments.ema, ("averages", "params"), mutated=("averages",)),
    Op("clip_grad_norm", arguments.grads(max_norm=1.5), ("grads",), mutated=("grads",)),
    Op("clip_grad_norm", arguments.grads(max_norm=1e9), ("grads",), mutated=("grads",), case="small"),
    Op("clip_grad_value", arguments.grads(clip_value=0.5), ("grads",), mutated=("grads",), ulp=0),
    Op("unscale_grads", arguments.grads(scale=3.0), ("grads",), mutated=("grads",)),
)


def compute_all(shapes):
    """Return the results of every row of OPS in both dtypes on these shapes, by name."""
    results = {}
    for op in OPS:
        for shape in filter(op.valid, shapes):
            for dtype in DTYPES:
                results |= compute(op, shape, dtype)
    return results


def digest_all():
    """Return the digests of every row of OPS in both dtypes."""
    return {name: value for op in OPS for dtype in DTYPES for name, value in digests(op, dtype).items()}
