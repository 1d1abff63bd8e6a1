"""Valid arguments of every public function for a shape, a dtype and a seed, and the size of its results' terms.

The shape is the first array's, with the classes, channels or features last.
"""

import numpy as np

from fastml import reference

from .arrays import normal


def plain_x(shape, dtype, seed):
    return {"x": normal(shape, dtype, seed, 3)}


def softmax_grad(shape, dtype, seed):
    return {"grad": normal(shape, dtype, seed), "y": reference.softmax(normal(shape, dtype, seed + 1))}


def log_softmax_grad(shape, dtype, seed):
    return {"grad": normal(shape, dtype, seed), "y": reference.log_softmax(normal(shape, dtype, seed + 1))}


def labels(**options):
    def make(shape, dtype, seed):
        labels = np.random.default_rng(seed).integers(0, max(shape[-1], 1), shape[:-1])
        weight = np.random.default_rng(seed + 1).uniform(0.5, 2, shape[-1]).astype(dtype)
        args = {"logits": normal(shape, dtype, seed, 3), "target": labels, "axis": -1, **options}
        return {**args, "weight": weight} if "ignore_index" in options else args

    return make


def classes(**options):
    """Labels of one_hot, some of them unknown where the options allow it."""

    def make(shape, dtype, seed):
        low, high = (-2, 9) if options.get("unknown") == "zeros" else (0, 7)
        labels = np.random.default_rng(seed).integers(low, high, shape)
        return {"labels": labels, "num_classes": 7, "dtype": dtype, **options}

    return make


def probabilities(**options):
    def make(shape, dtype, seed):
        target = reference.softmax(normal(shape, dtype, seed + 1, 2))
        weight = np.random.default_rng(seed + 2).uniform(0.5, 2, shape[-1]).astype(dtype)
        return {"logits": normal(shape, dtype, seed, 3), "target": target, "axis": -1, "weight": weight, **options}

    return make


def batch_norm(channel_axis=-1, **options):
    def make(shape, dtype, seed):
        rng = np.random.default_rng(seed + 1)
        per_channel = {
            "weight": rng.uniform(0.5, 2, shape[-1]),
            "bias": rng.normal(size=shape[-1]),
            "running_mean": rng.normal(size=shape[-1]),
            "running_var": rng.uniform(0.5, 2, shape[-1]),
        }
        x = np.ascontiguousarray(np.moveaxis(normal(shape, dtype, seed), -1, channel_axis))
        per_channel = {name: value.astype(dtype) for name, value in per_channel.items()}
        return {"x": x, **per_channel, "channel_axis": channel_axis, **options}

    return make


def batch_norm_grad(channel_axis=-1, **options):
    def make(shape, dtype, seed):
        args = batch_norm(channel_axis)(shape, dtype, seed)
        _, mean, inv_std = reference.batch_norm(args["x"], channel_axis=channel_axis)
        grad = normal(args["x"].shape, dtype, seed + 2)
        made = {"grad": grad, "x": args["x"], "weight": args["weight"], "mean": mean, "inv_std": inv_std}
        return {**made, "channel_axis": channel_axis, **options}

    return make


def norm_piece(*names):
    """Arguments of these names for a piece of a batch whose statistics and sums are another batch's."""

    def make(shape, dtype, seed):
        args = batch_norm(1)(shape, dtype, seed)
        x = args["x"]
        other = batch_norm(1)((7, *shape[1:]), dtype, seed + 5)["x"]
        count, mean, m2 = reference.batch_norm_stats(other)
        inv_std = 1 / np.sqrt(m2 / max(count, 1) + 0.1)
        grad = normal(x.shape, dtype, seed + 2)
        dweight, dbias = reference.batch_norm_backward_stats(grad, x, mean, inv_std)
        made = {**args, "grad": grad, "mean": mean, "inv_std": inv_std, "dweight": dweight, "dbias": dbias}
        vectors = {k: made[k].astype(dtype) for k in ("mean", "inv_std", "dweight", "dbias")}
        return {
            k: v for k, v in {**made, **vectors, "count": max(1, 2 * count)}.items() if k in (*names, "channel_axis")
        }

    return make


def dropout(name):
    return lambda shape, dtype, seed: {name: normal(shape, dtype, seed), "p": 0.3, "seed": 2**40 + 5, "offset": 7}


def gelu(**options):
    return lambda shape, dtype, seed: {"x": normal(shape, dtype, seed, 3), **options}


def gelu_grad(**options):
    return lambda shape, dtype, seed: {
        "grad": normal(shape, dtype, seed),
        "x": normal(shape, dtype, seed + 1, 3),
        **options,
    }


def groups_of(channels):
    """The largest proper divisor of the channels, so that groups have some each."""
    return next((g for g in range(channels // 2, 0, -1) if channels % g == 0), 1)


def group_norm(each=False):
    """In groups, or with `each` channel a group, on one further axis."""

    def make(shape, dtype, seed):
        rng = np.random.default_rng(seed + 1)
        shape = (shape[0], shape[-1], *shape[1:-1], *((9,) if each else ()))
        made = {"x": normal(shape, dtype, seed), "weight": rng.uniform(0.5, 2, shape[1]).astype(dtype)}
        made["bias"] = rng.normal(size=shape[1]).astype(dtype)
        return made if each else {**made, "num_groups": groups_of(shape[1])}

    return make


def group_norm_grad(each=False):
    def make(shape, dtype, seed):
        args = group_norm(each)(shape, dtype, seed)
        del args["bias"]
        forward = reference.instance_norm if each else reference.group_norm
        _, mean, inv_std = forward(**args)
        return {"grad": normal(args["x"].shape, dtype, seed + 2), **args, "mean": mean, "inv_std": inv_std}

    return make


def layer_norm(axes=1):
    """Over the last axis, or over as many of the last ones as there are up to `axes`."""

    def make(shape, dtype, seed):
        part = shape[-axes:]
        weight = np.random.default_rng(seed + 1).uniform(0.5, 2, part).astype(dtype)
        axis = -1 if axes == 1 else tuple(range(-len(part), 0))
        return {"x": normal(shape, dtype, seed), "weight": weight, "bias": normal(part, dtype, seed + 2), "axis": axis}

    return make


def layer_norm_grad(axes=1):
    def make(shape, dtype, seed):
        args = layer_norm(axes)(shape, dtype, seed)
        _, mean, inv_std = reference.layer_norm(args["x"], axis=args["axis"])
        grad = normal(shape, dtype, seed + 2)
        return {
            "grad": grad,
            "x": args["x"],
            "weight": args["weight"],
            "mean": mean,
            "inv_std": inv_std,
            "axis": args["axis"],
        }

    return make


def rms_norm(axes=1):
    def make(shape, dtype, seed):
        args = layer_norm(axes)(shape, dtype, seed)
        return {name: args[name] for name in ("x", "weight", "axis")}

    return make


def rms_norm_grad(axes=1):
    def make(shape, dtype, seed):
        args = rms_norm(axes)(shape, dtype, seed)
        _, inv_rms = reference.rms_norm(args["x"], axis=args["axis"])
        return {"grad": normal(shape, dtype, seed + 2), **args, "inv_rms": inv_rms}

    return make


def linear(**options):
    def make(shape, dtype, seed):
        features = shape[-1]
        weight = normal((features + 3, features), dtype, seed + 1)
        return {"x": normal(shape, dtype, seed), "weight": weight, "bias": normal(features + 3, dtype, 2), **options}

    return make


def linear_grad(shape, dtype, seed):
    args = linear()(shape, dtype, seed)
    grad = normal((*shape[:-1], shape[-1] + 3), dtype, seed + 3)
    return {"grad": grad, "x": args["x"], "weight": args["weight"]}


def linear_cross_entropy(hard=True, **options):
    def make(shape, dtype, seed):
        args = linear()(shape, dtype, seed)
        classes = len(args["bias"])
        make_target = labels() if hard else probabilities()
        target = make_target((*shape[:-1], classes), dtype, seed)["target"]
        weight = args["weight"] * dtype(max(shape[-1], 1) ** -0.5)
        class_weight = np.random.default_rng(seed + 1).uniform(0.5, 2, classes).astype(dtype)
        return {**args, "weight": weight, "target": target, "class_weight": class_weight, **options}

    return make


def relu_grad(shape, dtype, seed):
    return {"grad": normal(shape, dtype, seed), "x": normal(shape, dtype, seed + 1)}


def sgd(**options):
    def make(shape, dtype, seed):
        lists = {
            name: [normal(shape, dtype, seed + k), normal((3,), dtype, seed + k + 10)]
            for k, name in enumerate(("params", "grads", "velocities"))
        }
        return {**lists, "lr": 0.05, **options}

    return make


def adam(**options):
    def make(shape, dtype, seed):
        args = sgd()(shape, dtype, seed)
        exp_avgs = args.pop("velocities")
        exp_avg_sqs = [np.asarray(m * m + 0.25, dtype) for m in exp_avgs]
        return {**args, "exp_avgs": exp_avgs, "exp_avg_sqs": exp_avg_sqs, "step": 3, **options}

    return make


def amsgrad(shape, dtype, seed):
    args = adam()(shape, dtype, seed)
    return {**args, "max_exp_avg_sqs": [np.asarray(v * 1.125, dtype) for v in args["exp_avg_sqs"]]}


def rmsprop(**options):
    """States as after some steps: the mean square is above the square of the mean."""

    def make(shape, dtype, seed):
        args = sgd()(shape, dtype, seed)
        buffers = args.pop("velocities")
        averages = [np.asarray(b / 8, dtype) for b in buffers]
        squares = [np.asarray(a * a + 0.25, dtype) for a in averages]
        states = {"square_avgs": squares, "grad_avgs": averages, "momentum_buffers": buffers}
        return {**args, **states, **options}

    return make


def adagrad(**options):
    def make(shape, dtype, seed):
        args = adam()(shape, dtype, seed)
        args["state_sums"] = args.pop("exp_avg_sqs")
        del args["exp_avgs"]
        return {**args, **options}

    return make


def lion(**options):
    def make(shape, dtype, seed):
        args = sgd()(shape, dtype, seed)
        args["exp_avgs"] = args.pop("velocities")
        return {**args, **options}

    return make


def ema(shape, dtype, seed):
    args = sgd()(shape, dtype, seed)
    return {"averages": args["params"], "params": args["grads"], "decay": 0.9}


def grads(**options):
    def make(shape, dtype, seed):
        return {"grads": [normal(shape, dtype, seed), normal((3,), dtype, seed + 1)], **options}

    return make


def log_probabilities(make, **options):
    """What `make` gives for logits, as arguments of a loss of log-probabilities."""

    def renamed(shape, dtype, seed):
        args = make(shape, dtype, seed)
        log_probs = reference.log_softmax(args.pop("logits"))
        return {"log_probs": log_probs, **args, **options}

    return renamed


def divergence(log_target=False, **options):
    """Log-probabilities, and a target with zeros among it."""

    def make(shape, dtype, seed):
        rng = np.random.default_rng(seed + 1)
        target = rng.uniform(-0.25, 2, shape).clip(0)
        with np.errstate(divide="ignore"):
            target = np.asarray(np.log(target) if log_target else target).astype(dtype)
        return {"input": normal(shape, dtype, seed, 3), "target": target, "log_target": log_target, **options}

    return make


def predictions(shape, dtype, seed, **options):
    return {"input": normal(shape, dtype, seed, 3), "target": normal(shape, dtype, seed + 1, 3), **options}


def answers(weight=None, **options):
    """Logits and answers, a third of them certain; weight: (shape, rng) -> numbers that broadcast to shape."""

    def make(shape, dtype, seed):
        rng = np.random.default_rng(seed + 1)
        target = np.clip(rng.uniform(-0.25, 1.25, shape), 0, 1).astype(dtype)
        made = {"input": normal(shape, dtype, seed, 3), "target": target, **options}
        if weight:
            made["pos_weight"] = np.asarray(rng.uniform(0.5, 4, shape[-1:])).astype(dtype)
            made["weight"] = np.asarray(rng.uniform(0.5, 2, weight(shape))).astype(dtype)
        return made

    return make


def has_classes(shape):
    return shape[-1] > 0 or 0 in shape[:-1]


def several_in_groups(shape):
    return 0 in shape or np.prod(shape) != groups_of(shape[-1])


def several_values(shape):
    return np.prod(shape[:-1]) != 1
