"""The size of the terms that a result is the sum of, from a function's arguments: what its error is measured by."""

import numpy as np

from fastml import reference

from .arrays import finite, largest


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


def nll_terms(args):
    """The largest term of each sample's loss, and the gradient, one term each."""
    axis, weight = args["axis"], np.abs(args.get("weight", np.ones(1)))
    top = np.max(weight, initial=0) * largest(args["log_probs"], axis)
    if args.get("reduction", "mean") == "none":
        return (np.squeeze(top, axis),)
    return (np.max(top, initial=0) * (top.size if args.get("reduction") == "sum" else 1),)


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


def by_channel(args):
    """Return the other axes, and the arguments in a form that broadcasts along the channels."""
    axis = args["channel_axis"] % args["x"].ndim
    shape = [-1 if i == axis else 1 for i in range(args["x"].ndim)]
    vectors = {name: np.abs(v, dtype=np.float64).reshape(shape) for name, v in args.items() if np.ndim(v) == 1}
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
