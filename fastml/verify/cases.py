"""What `fastml verify` calls: every function with arguments for a shape and a dtype, made of inputs.py alone.

A case is a function of (shape, dtype) that gives the arguments by name. What a backward takes from its forward is
computed by the forward, which has a hash of its own.
"""

import numpy as np

import fastml

from .. import metrics, preprocessing
from .inputs import labels, normal, positive, share

#: Three that fit no vector, and one that is worth several threads.
SHAPES = ((40, 10), (5, 17), (67, 33), (517, 259))


def forward(**options):
    return lambda s, d: {"x": 2 * normal(s, d, 1), **options}


def backward(**options):
    return lambda s, d: {"grad": normal(s, d, 2), "x": 2 * normal(s, d, 1), **options}


def of_result(function):
    return lambda s, d: {"grad": normal(s, d, 2), "y": function(2 * normal(s, d, 1))}


def classes(name="logits", make=lambda s, d: 2 * normal(s, d, 1), **options):
    return lambda s, d: {
        name: make(s, d),
        "target": labels(s[:-1], s[-1], 3),
        "weight": positive(s[-1:], d, 4),
        **options,
    }


def soft(name="logits", make=lambda s, d: 2 * normal(s, d, 1), **options):
    return lambda s, d: {name: make(s, d), "target": fastml.softmax(normal(s, d, 5)), **options}


def log_probs(s, d):
    return fastml.log_softmax(2 * normal(s, d, 1))


def terms(**options):
    return lambda s, d: {"input": 2 * normal(s, d, 1), "target": normal(s, d, 6), **options}


def answers(**options):
    return lambda s, d: {"input": 2 * normal(s, d, 1), "target": np.minimum(share(s, d, 7), 1), **options}


def batch_norm(s, d):
    n = s[1:2]
    vectors = {"weight": positive(n, d, 8), "bias": normal(n, d, 9)}
    return {"x": normal(s, d, 1), **vectors, "running_mean": normal(n, d, 10), "running_var": positive(n, d, 11)}


def evaluation(s, d):
    return {**batch_norm(s, d), "training": False}


def images(make, **options):
    """The same with the channels before further axes."""
    return lambda s, d: {**make((s[0], 6, max(s[1] // 6, 2)), d), **options}


def norm_gradient(function, *given, **options):
    """What a norm's backward takes: the forward's statistics, by the forward."""

    def make(s, d):
        x, made = normal(s, d, 1), {}
        if "weight" in given:
            made["weight"] = positive(s[-1:] if options.get("axis") == -1 else s[1:2], d, 8)
        _, *statistics = function(x, **options)
        return {"grad": normal(s, d, 2), "x": x, **made, **dict(zip(given[1:], statistics, strict=True)), **options}

    return make


def last_axis(*given):
    fill = {"weight": (positive, 8), "bias": (normal, 9)}
    return lambda s, d: {"x": normal(s, d, 1), **{k: fill[k][0](s[-1:], d, fill[k][1]) for k in given}}


def grouped(**options):
    return lambda s, d: {
        "x": normal(s, d, 1),
        "weight": positive(s[1:2], d, 8),
        "bias": normal(s[1:2], d, 9),
        **options,
    }


def piece(*names):
    """Statistics and sums of a piece of a batch."""

    def make(s, d):
        x, grad = normal(s, d, 1), normal(s, d, 2)
        count, mean, m2 = fastml.batch_norm_stats(x)
        inv_std = 1 / np.sqrt(m2 / d(count) + d(0.125))
        dweight, dbias = fastml.batch_norm_backward_stats(grad, x, mean, inv_std)
        made = {"x": x, "grad": grad, "mean": mean, "inv_std": inv_std, "dweight": dweight, "dbias": dbias}
        return {k: v for k, v in {**made, "count": count, "weight": positive(s[1:2], d, 8)}.items() if k in names}

    return make


def linear(**options):
    return lambda s, d: {
        "x": normal(s, d, 1),
        "weight": normal((s[1] + 3, s[1]), d, 12),
        "bias": normal(s[1] + 3, d, 9),
        **options,
    }


def linear_gradient(s, d):
    return {"grad": normal((s[0], s[1] + 3), d, 2), "x": normal(s, d, 1), "weight": normal((s[1] + 3, s[1]), d, 12)}


def linear_classes(**options):
    def make(s, d):
        args = linear()(s, d)
        return {**args, "weight": args["weight"] / 8, "target": labels(s[:1], s[1] + 3, 3), **options}

    return make


def update(*states, **options):
    """An update of two arrays; a state that ends in "sq", "sqs" or "sums" is positive."""

    def make(s, d):
        def pair(fill, seed):
            return [fill(s, d, seed), fill((3,), d, seed + 1)]

        made = {"params": pair(normal, 20), "grads": pair(normal, 22)}
        for k, name in enumerate(states):
            squares = name.startswith("square") or name.endswith(("sqs", "sums"))
            made[name] = pair(positive if squares else share, 24 + 2 * k)
        return {**made, **options}

    return make


def gradients(**options):
    return lambda s, d: {"grads": [normal(s, d, 22), normal((3,), d, 23)], **options}


def averages(s, d):
    return {"averages": [normal(s, d, 20)], "params": [normal(s, d, 22)], "decay": 0.875}


def measures(s, d):
    return {"p": share(s, d, 7), "q": positive(s, d, 8)}


def samples(s, d):
    return {"u_values": normal(s[0], d, 1), "v_values": normal(s[1], d, 2)}


def scaled(scaler):
    """A scaler's statistics and what it makes of the data, as a function of x."""

    def run(x):
        fitted = scaler().fit(x)
        return fitted.transform(x), fitted.inverse_transform(x)

    return run


_DROPPED = {"p": 0.25, "seed": 2**40 + 5, "offset": 7}
_ACTIVATIONS = ("relu", "leaky_relu", "elu", "gelu", "silu", "hard_swish", "sigmoid", "tanh", "softplus")

#: (name, case, arguments); the names are those of fastml, or of fastml.metrics.
CASES = [
    ("softmax", "", forward()),
    ("softmax", "axis 0", forward(axis=0)),
    ("softmax", "denormal numbers", lambda s, d: {"x": normal(s, d, 1) * (32 if d is np.float32 else 256)}),
    ("log_softmax", "", forward()),
    ("log_softmax", "axis 0", forward(axis=0)),
    ("logsumexp", "", forward()),
    ("logsumexp", "axis 0", forward(axis=0)),
    ("softmax_backward", "", of_result(fastml.softmax)),
    ("log_softmax_backward", "", of_result(fastml.log_softmax)),
    *((name, "", classes()) for name in ("cross_entropy", "cross_entropy_with_grad")),
    *(
        (name, "smooth", classes(label_smoothing=0.125, ignore_index=1, z_loss=0.01))
        for name in ("cross_entropy", "cross_entropy_with_grad")
    ),
    *((name, "probabilities", soft(reduction="none")) for name in ("cross_entropy", "cross_entropy_with_grad")),
    *((name, "", classes("log_probs", log_probs)) for name in ("nll_loss", "nll_loss_with_grad")),
    *((name, "probabilities", soft("log_probs", log_probs)) for name in ("nll_loss", "nll_loss_with_grad")),
    *(
        (f"{name}_loss{grad}", "", terms())
        for name in ("mse", "l1", "huber", "log_cosh")
        for grad in ("", "_with_grad")
    ),
    *((f"binary_cross_entropy_with_logits{grad}", "", answers()) for grad in ("", "_with_grad")),
    *((f"kl_div_loss{grad}", "", answers()) for grad in ("", "_with_grad")),
    *((f"kl_div_loss{grad}", "logarithms", terms(log_target=True)) for grad in ("", "_with_grad")),
    ("linear_cross_entropy_with_grad", "", linear_classes()),
    ("linear", "", linear()),
    ("linear", "relu", linear(activation="relu")),
    ("linear_backward", "", linear_gradient),
    *((name, "", forward()) for name in _ACTIVATIONS),
    *((f"{name}_backward", "", backward()) for name in _ACTIVATIONS),
    ("gelu", "tanh", forward(approximate="tanh")),
    ("gelu_backward", "tanh", backward(approximate="tanh")),
    ("softplus", "beta", forward(beta=1.75, threshold=2.5)),
    ("softplus_backward", "beta", backward(beta=1.75, threshold=2.5)),
    ("batch_norm", "", batch_norm),
    ("batch_norm", "evaluation", evaluation),
    ("batch_norm", "channels first", images(batch_norm)),
    ("batch_norm_backward", "", norm_gradient(fastml.batch_norm, "weight", "mean", "inv_std")),
    ("batch_norm_backward", "channels first", images(norm_gradient(fastml.batch_norm, "weight", "mean", "inv_std"))),
    ("batch_norm_stats", "", piece("x")),
    ("batch_norm_apply", "", piece("x", "mean", "inv_std", "weight")),
    ("batch_norm_backward_stats", "", piece("grad", "x", "mean", "inv_std")),
    ("batch_norm_backward_apply", "", piece("grad", "x", "weight", "mean", "inv_std", "dweight", "dbias", "count")),
    ("layer_norm", "", last_axis("weight", "bias")),
    ("layer_norm_backward", "", norm_gradient(fastml.layer_norm, "weight", "mean", "inv_std", axis=-1)),
    ("rms_norm", "", last_axis("weight")),
    ("rms_norm_backward", "", norm_gradient(fastml.rms_norm, "weight", "inv_rms", axis=-1)),
    ("group_norm", "", images(grouped(num_groups=3))),
    ("group_norm_backward", "", images(norm_gradient(fastml.group_norm, "weight", "mean", "inv_std", num_groups=3))),
    ("instance_norm", "", images(grouped())),
    ("instance_norm_backward", "", images(norm_gradient(fastml.instance_norm, "weight", "mean", "inv_std"))),
    ("dropout", "", lambda s, d: {"x": normal(s, d, 1), **_DROPPED}),
    ("dropout_backward", "", lambda s, d: {"grad": normal(s, d, 2), **_DROPPED}),
    ("dropout_mask", "", lambda s, d: {"shape": s, **_DROPPED}),
    ("one_hot", "", lambda s, d: {"labels": labels(s, 7, 3), "num_classes": 7, "dtype": d}),
    ("sgd_step", "", update(lr=0.05)),
    ("sgd_step", "momentum", update("velocities", lr=0.05, momentum=0.875, weight_decay=0.01, dampening=0.125)),
    ("sgd_step", "nesterov", update("velocities", lr=0.05, momentum=0.875, nesterov=True)),
    ("adam_step", "", update("exp_avgs", "exp_avg_sqs", step=3)),
    ("adam_step", "decoupled", update("exp_avgs", "exp_avg_sqs", step=3, weight_decay=0.1, decoupled=True)),
    ("adam_step", "amsgrad", update("exp_avgs", "exp_avg_sqs", "max_exp_avg_sqs", step=3, weight_decay=0.1)),
    ("rmsprop_step", "", update("square_avgs", weight_decay=0.1)),
    ("rmsprop_step", "centered", update("square_avgs", "grad_avgs", "momentum_buffers", centered=True, momentum=0.875)),
    ("adagrad_step", "", update("state_sums", step=3, lr_decay=0.125)),
    ("lion_step", "", update("exp_avgs", weight_decay=0.1)),
    ("lion_step", "ascent", update("exp_avgs", betas=(0.25, 0.5), maximize=True)),
    ("ema_step", "", averages),
    ("clip_grad_norm", "", gradients(max_norm=1.5)),
    ("clip_grad_value", "", gradients(clip_value=0.5)),
    ("unscale_grads", "", gradients(scale=3.0)),
    *((name, "", measures) for name in ("kl_divergence", "js_divergence", "total_variation")),
    ("entropy", "", lambda s, d: {"p": share(s, d, 7)}),
    ("wasserstein_distance", "", samples),
    ("energy_distance", "", samples),
    ("wasserstein_distance_histogram", "", lambda s, d: {"u_counts": positive(s, d, 7), "v_counts": positive(s, d, 8)}),
]
#: Classes that are called as a function of x.
SCALERS = [
    (name, scaled(getattr(preprocessing, name)))
    for name in ("StandardScaler", "MinMaxScaler", "RobustScaler", "MaxAbsScaler")
]


def called(name, arguments):
    """The arrays that a call returns, and those that it may have moved."""
    value = (getattr(fastml, name, None) or getattr(metrics, name))(**arguments)
    found = list(value) if isinstance(value, tuple) else [] if value is None else [value]
    for argument in arguments.values():
        found += argument if isinstance(argument, list) else [argument] if isinstance(argument, np.ndarray) else []
    return found


def results(dtype):
    """(name, arrays of all shapes) of every case."""
    for name, case, make in CASES:
        found = [array for shape in SHAPES for array in called(name, make(shape, dtype))]
        yield f"{name}[{case}]" if case else name, found
    for name, run in SCALERS:
        yield name, [array for shape in SHAPES for array in run(4 + normal(shape, dtype, 1))]
