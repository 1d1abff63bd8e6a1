"""Valid arguments of every public function for a shape, a dtype and a seed, and the size of its results' terms.

The shape is the first array's, with the classes, channels or features last.
"""

import numpy as np

from fastml import reference

from .arrays import finite, largest, normal


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
        return {
            "logits": normal(shape, dtype, seed, 3),
            "target": target,
            "axis": -1,
            "weight": weight,
            **options,
        }

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
        return {k: v for k, v in {**made, **vectors, "count": max(1, 2 * count)}.items() if k in (*names, "channel_axis")}

    return make


def dropout(name):
    return lambda shape, dtype, seed: {
        name: normal(shape, dtype, seed),
        "p": 0.3,
        "seed": 2**40 + 5,
        "offset": 7,
    }


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
        return {"grad": grad, "x": args["x"], "weight": args["weight"], "mean": mean, "inv_std": inv_std, "axis": args["axis"]}

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
        return {
            "x": normal(shape, dtype, seed),
            "weight": weight,
            "bias": normal(features + 3, dtype, 2),
            **options,
        }

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


def ema(shape, dtype, seed):
    args = sgd()(shape, dtype, seed)
    return {"averages": args["params"], "params": args["grads"], "decay": 0.9}


def grads(**options):
    def make(shape, dtype, seed):
        return {"grads": [normal(shape, dtype, seed), normal((3,), dtype, seed + 1)], **options}

    return make


def gradient_terms(args):
    return (largest(args["grad"], args.get("axis", -1)),)


def softmax_terms(args):
    return (np.abs(args["y"]) * gradient_terms(args)[0],)


def cross_entropy_terms(args):
    """The loss, and the two terms of dlogits = (p - q) * weight / total."""
    logits, target, axis = args["logits"], args["target"], args["axis"]
    classes = logits.shape[axis]
    p = finite(reference.softmax(logits.astype(np.float64), axis))
    q = target
    if q.dtype.kind in "iu":
        q = np.moveaxis(np.arange(classes) == target[..., None], -1, axis)
    smoothing = args.get("label_smoothing", 0)
    q = q * (1 - smoothing) + smoothing / max(classes, 1)
    total = 1.0
    if args.get("reduction", "mean") == "mean":
        weight = args.get("weight", np.ones(classes))
        total = weight[target].sum() if target.dtype.kind in "iu" else p.size / classes
    return None, np.max(args.get("weight", 1.0), initial=0) * (p + q) / total


def linear_cross_entropy_terms(args):
    """The loss of the largest logits, and the terms of the sums over classes and over samples.

    A rounding error of a logit, which grows with its own terms, moves the gradient by as much, at most by 1.
    """
    x, w = (finite(np.abs(args[name], dtype=np.float64)) for name in ("x", "weight"))
    samples = x.reshape(int(np.prod(x.shape[:-1])), x.shape[-1])
    size = 1 + (samples @ w.T).max(axis=1, keepdims=True, initial=0) + np.abs(args["bias"]).max(initial=0)
    loss = np.max(args["class_weight"]) * size.max(initial=0)
    size = np.minimum(size, 1 / np.finfo(args["x"].dtype).eps)
    weight, total = np.max(args["class_weight"]), 1.0
    if args.get("reduction", "mean") == "mean":
        hard = args["target"].dtype.kind in "iu"
        total = args["class_weight"][args["target"]].sum() if hard else len(samples)
    dz = np.broadcast_to(weight * size / max(total, 1e-300), (len(samples), len(w)))
    return loss, (dz @ w).reshape(x.shape), dz.T @ samples, dz.sum(axis=0)


def log_probabilities(make, **options):
    """What `make` gives for logits, as arguments of a loss of log-probabilities."""

    def renamed(shape, dtype, seed):
        args = make(shape, dtype, seed)
        log_probs = reference.log_softmax(args.pop("logits"))
        return {"log_probs": log_probs, **args, **options}

    return renamed


def nll_terms(args):
    """The largest term of each sample's loss, and the gradient, one term each."""
    axis, weight = args["axis"], np.abs(args.get("weight", np.ones(1)))
    top = np.max(weight, initial=0) * largest(args["log_probs"], axis)
    if args.get("reduction", "mean") == "none":
        return (np.squeeze(top, axis),)
    return (np.max(top, initial=0) * (top.size if args.get("reduction") == "sum" else 1),)


def divergence(log_target=False, **options):
    """Log-probabilities, and a target with zeros among it."""

    def make(shape, dtype, seed):
        rng = np.random.default_rng(seed + 1)
        target = rng.uniform(-0.25, 2, shape).clip(0)
        with np.errstate(divide="ignore"):
            target = np.asarray(np.log(target) if log_target else target).astype(dtype)
        return {"input": normal(shape, dtype, seed, 3), "target": target, "log_target": log_target, **options}

    return make


def divergence_terms(args):
    """The larger part of each term: t log t and t x."""
    x, t = (np.asarray(args[name], np.float64) for name in ("input", "target"))
    with np.errstate(all="ignore"):
        t, log_t = (np.exp(t), t) if args["log_target"] else (t, np.log(t))
        terms = finite(np.abs(t) * np.maximum(np.abs(x), np.abs(finite(log_t))))
    if args.get("reduction", "mean") == "none":
        return (terms,)
    total = {"mean": max(x.size, 1), "batchmean": len(x) if x.ndim else 1}.get(args.get("reduction", "mean"), 1)
    return (np.sum(terms) / max(total, 1),)


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


def by_channel(args):
    """Return the other axes, and the arguments in a form that broadcasts along the channels."""
    axis = args["channel_axis"] % args["x"].ndim
    shape = [-1 if i == axis else 1 for i in range(args["x"].ndim)]
    vectors = {
        name: np.abs(v, dtype=np.float64).reshape(shape) for name, v in args.items() if np.ndim(v) == 1
    }
    return tuple(i for i in range(args["x"].ndim) if i != axis), vectors


def batch_norm_terms(args):
    others, v = by_channel(args)
    top = largest(args["x"], others)
    if args.get("training", True):
        _, _, inv_std = reference.batch_norm(args["x"], channel_axis=args["channel_axis"])
        center, inv_std = top, inv_std.reshape(top.shape)
    else:
        center, inv_std = v["running_mean"], 1 / np.sqrt(v["running_var"])
    return finite((top + center) * inv_std * v["weight"]) + v["bias"], top.ravel(), 0.0


def batch_norm_backward_terms(args):
    others, v = by_channel(args)
    grad, x = (np.abs(args[name], dtype=np.float64) for name in ("grad", "x"))
    xhat = finite((x + v["mean"]) * v["inv_std"])
    dweight, dbias = finite(grad * xhat).sum(axis=others), finite(grad).sum(axis=others)
    factor = v["weight"] * v["inv_std"] * largest(grad, others)
    dx = factor * (1 + xhat.max(axis=others, keepdims=True, initial=0) ** 2)
    return finite(dx), dweight, dbias


def norm_stats_terms(args):
    """Both are doubles, summed in the precision of x, whose denormals are rounded too."""
    others, _ = by_channel(args)
    unit = np.finfo(args["x"].dtype)
    coarse, top = unit.eps / np.finfo(np.float64).eps, largest(args["x"], others).ravel()
    m2 = finite(reference.batch_norm_stats(args["x"], channel_axis=args["channel_axis"])[2])
    return 0.0, (top + unit.tiny) * coarse, (m2 + unit.tiny) * coarse


def norm_apply_terms(args):
    others, v = by_channel(args)
    return (finite((largest(args["x"], others) + v["mean"]) * v["inv_std"] * v["weight"]) + v["bias"],)


def norm_backward_stats_terms(args):
    others, v = by_channel(args)
    unit = np.finfo(np.result_type(args["grad"], args["x"]))
    coarse = unit.eps / np.finfo(np.float64).eps
    grad, x = (np.abs(args[name], dtype=np.float64) + unit.tiny for name in ("grad", "x"))
    xhat = finite((x + v["mean"]) * v["inv_std"])
    return finite(grad * xhat).sum(axis=others) * coarse, finite(grad).sum(axis=others) * coarse


def norm_backward_apply_terms(args):
    others, v = by_channel(args)
    xhat = finite((largest(args["x"], others) + v["mean"]) * v["inv_std"])
    terms = largest(args["grad"], others) + (v["dbias"] + xhat * v["dweight"]) / args["count"]
    return (finite(v["weight"] * v["inv_std"] * terms),)


def gelu_terms(args):
    """The two terms of the gradient of GELU: the share of x in y, and x times that share's derivative."""
    x = finite(np.asarray(args["x"], np.float64))
    slope = reference.gelu_backward(np.ones(x.shape), x, approximate=args.get("approximate", "none"))
    return (np.abs(finite(args["grad"])) * np.maximum(np.abs(slope), np.exp(-np.abs(x))),)


def gradient_terms_of_x(args):
    """The two terms of the gradient of SiLU, as in gelu_terms."""
    x = np.abs(finite(np.asarray(args["x"], np.float64)))
    share = reference.sigmoid(-x)
    return (np.abs(finite(args["grad"])) * np.maximum(share, x * share * (1 - share)),)


def over_axes(args):
    """The axes of args as a tuple, those of the other axes, and weight in a form that broadcasts."""
    ndim = args["x"].ndim
    axis = args["axis"] if isinstance(args["axis"], tuple) else (args["axis"],)
    axes = tuple(a % ndim for a in axis)
    weight = np.abs(args["weight"], dtype=np.float64)
    return axes, tuple(i for i in range(ndim) if i not in axes), weight


def by_group(args):
    """Return the array as (sample, group, channel, place), and the weight of each channel in a form like it."""
    n, c, *places = args["x"].shape
    groups = args.get("num_groups", c)
    shape = (n, groups, c // max(groups, 1), int(np.prod(places)))
    return shape, np.abs(args["weight"], dtype=np.float64).reshape(*shape[1:3], 1)


def group_norm_terms(args):
    shape, weight = by_group(args)
    top = largest(args["x"].reshape(shape), (2, 3))
    forward = reference.group_norm if "num_groups" in args else reference.instance_norm
    inv_std = forward(**{**args, "weight": None, "bias": None})[2][..., None, None]
    terms = np.broadcast_to(finite(2 * top * inv_std * weight), shape).reshape(args["x"].shape)
    bias = np.abs(args["bias"]).reshape(-1, *(1,) * (args["x"].ndim - 2))
    return terms + bias, top[..., 0, 0], 0.0


def group_norm_backward_terms(args):
    shape, weight = by_group(args)
    grad, x = (np.abs(args[k], dtype=np.float64).reshape(shape) for k in ("grad", "x"))
    mean, inv_std = (np.abs(args[k], dtype=np.float64)[..., None, None] for k in ("mean", "inv_std"))
    xhat = finite((x + mean) * inv_std)
    top = largest(grad * weight, (2, 3)) * inv_std
    # inv_std multiplies what denormals were rounded by
    terms = finite(top * (1 + largest(xhat, (2, 3)) ** 2)) + finite(inv_std) * np.finfo(args["x"].dtype).tiny
    dx = np.broadcast_to(terms, shape).reshape(args["x"].shape)
    sums = (finite(grad * xhat).sum(axis=(0, 3)), finite(grad).sum(axis=(0, 3)))
    return dx, *(s.reshape(args["x"].shape[1]) for s in sums)


def layer_norm_terms(args):
    axes, _, weight = over_axes(args)
    top = largest(args["x"], axes)
    _, _, inv_std = reference.layer_norm(args["x"], axis=args["axis"])
    return finite(2 * top * inv_std * weight) + np.abs(args["bias"]), top, 0.0


def layer_norm_backward_terms(args):
    axes, others, weight = over_axes(args)
    grad, x, mean, inv_std = (np.abs(args[k], dtype=np.float64) for k in ("grad", "x", "mean", "inv_std"))
    xhat = finite((x + mean) * inv_std)
    top = largest(grad * weight, axes) * largest(inv_std, axes)
    dx = finite(top * (1 + largest(xhat, axes) ** 2))
    return dx, finite(grad * xhat).sum(axis=others), finite(grad).sum(axis=others)


def rms_norm_backward_terms(args):
    axes, others, weight = over_axes(args)
    grad, x, inv_rms = (np.abs(args[k], dtype=np.float64) for k in ("grad", "x", "inv_rms"))
    xhat = finite(x * inv_rms)
    top = largest(grad * weight, axes) * largest(inv_rms, axes)
    return finite(top * (1 + largest(xhat, axes) ** 2)), finite(grad * xhat).sum(axis=others)


def has_classes(shape):
    return shape[-1] > 0 or 0 in shape[:-1]


def several_in_groups(shape):
    return 0 in shape or np.prod(shape) != groups_of(shape[-1])


def several_values(shape):
    return np.prod(shape[:-1]) != 1
