"""What all tests share: arrays in every layout, tolerances, and OPS, the table of the public functions.

A promise that all functions keep is written once, over OPS, in test_contract.py; what is special to one
function is in test_<stem>.py. A new function gets one row here (or one for each way of calling it).
"""

import hashlib
import os
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

import fastml
from fastml import _openmp, reference

ROOT = Path(__file__).resolve().parent.parent
DTYPES = (np.float32, np.float64)
# Lengths around the 16-float and 8-double vectors, their multiples and the empty one.
LENGTHS = (0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 66, 67)
THREADS = (1, 2, 3, 7)
LAYOUTS = ("C", "F", "strided", "reversed", "transposed", "field", "swapped")
ADVERSARIAL = ("inf", "-inf", "all -inf", "nan", "1e30", "equal", "denormal")


# --- arrays --------------------------------------------------------------------------------------------------


def normal(shape, dtype=np.float32, seed=0, scale=1.0):
    """Return standard normal numbers times scale, C-contiguous."""
    return np.asarray(np.random.default_rng(seed).standard_normal(shape) * scale).astype(dtype)


def relayout(x, layout):
    """Return an array with the elements of x and another layout in memory."""
    if layout == "C":
        return np.array(x, order="C")
    if layout == "F":
        return np.array(x, order="F")
    if layout == "swapped":
        return x.astype(x.dtype.newbyteorder())
    if layout == "transposed":  # the axes lie in memory in another order, neither C nor F
        order = [*range(1, x.ndim), 0][: x.ndim]
        return np.array(x.transpose(order), order="C").transpose(np.argsort(order).tolist())
    if layout == "field":  # unaligned, and the strides are no multiples of the item
        view = np.zeros(x.shape, [("before", "u1"), ("x", x.dtype)])["x"]
        view[...] = x
        return view
    step = {"strided": 2, "reversed": -1}[layout]
    memory = np.zeros([n * abs(step) for n in x.shape], x.dtype)
    view = memory[(*(slice(None, None, step) for _ in x.shape), ...)]
    view[...] = x
    return view


def adversarial(shape, kind, dtype=np.float32, seed=0):
    """Return normal numbers with rows (last axis) that a naive formula fails on."""
    x = normal(shape, dtype, seed)
    tiny = np.finfo(dtype).smallest_subnormal
    if kind == "inf":
        x[..., ::3] = np.inf
    elif kind == "-inf":
        x[..., 1::3] = -np.inf
    elif kind == "all -inf":
        x[...] = -np.inf
    elif kind == "nan":
        x[..., 2::5] = np.nan
    elif kind == "1e30":
        x[..., ::2] *= 1e30
    elif kind == "equal":
        x[...] = 2.5
    elif kind == "denormal":
        x[...] = np.round(x * 100) * tiny
    else:
        raise ValueError(kind)
    return x


# --- comparing -----------------------------------------------------------------------------------------------


def assert_same_bits(got, want, what=""):
    """Same shape, dtype and bits; all NaN count as one."""
    got, want = np.asarray(got), np.asarray(want)
    assert got.dtype == want.dtype and got.shape == want.shape, what
    np.testing.assert_array_equal(got, want, err_msg=what)
    np.testing.assert_array_equal(
        np.signbit(got) & ~np.isnan(got), np.signbit(want) & ~np.isnan(want), err_msg=what
    )


def ulp_error(got, want, scale=0.0):
    """Return the largest |got - want| in units in the last place of max(|want|, scale), in got's dtype."""
    got, want = np.asarray(got), np.asarray(want)
    finite = np.isfinite(want) & np.isfinite(got)
    unit = np.spacing(np.broadcast_to(np.maximum(np.abs(want), scale), want.shape)[finite].astype(got.dtype))
    error = np.abs(got[finite].astype(np.float64) - want[finite].astype(np.float64)) / unit
    return float(error.max(initial=0.0))


def assert_close(got, want, ulp=8, scale=0.0, what=""):
    """Same kind, dtype, shape, NaN and infinities; finite values within ulp units of max(|want|, scale)."""
    assert isinstance(got, np.ndarray) == isinstance(want, np.ndarray), f"{what} {type(got)} {type(want)}"
    got, want = np.asarray(got), np.asarray(want)
    assert got.dtype == want.dtype, f"{what} {got.dtype} {want.dtype}"
    assert got.shape == want.shape, f"{what} {got.shape} {want.shape}"
    np.testing.assert_array_equal(np.isnan(got), np.isnan(want), err_msg=what)
    infinite = np.isinf(got) | np.isinf(want)
    np.testing.assert_array_equal(got[infinite], want[infinite], err_msg=what)
    error = ulp_error(got, want, scale)
    assert error <= ulp, f"{what} {error:.3g} ulp, allowed {ulp}"


def largest(x, axis=-1):
    """Return the largest finite magnitude along an axis, kept: the scale of a difference of such terms."""
    x = np.abs(np.asarray(x, np.float64))
    return finite(x).max(axis=axis, keepdims=True, initial=0) if x.ndim else x


def finite(x):
    return np.where(np.isfinite(x), x, 0)


# --- the table -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Op:
    """One public function, called in one way."""

    name: str
    make: Callable  # (shape, dtype, seed) -> arguments by name; shape is the first array's, classes last
    arrays: tuple  # arguments that are arrays or lists of arrays; the first one is the input proper
    case: str = ""
    out: int | None = None  # which result `out` holds, None without out=
    in_place: str | None = None  # the argument that out may be
    axis: str | None = None
    mutated: tuple = ()  # arguments that are updated in place
    min_ndim: int = 0
    accepts: Callable = field(default=lambda shape: True)
    ulp: int = 16
    # (args) -> the magnitude of the terms of each result; where one lacks or is None, the largest in its row.
    scales: Callable = field(default=lambda args: ())
    big: tuple = ((1031, 517), (3, 200_003), (100_003, 5))  # shapes worth more than one thread

    @property
    def id(self):
        return f"{self.name}[{self.case}]" if self.case else self.name

    def valid(self, shape):
        return len(shape) >= self.min_ndim and self.accepts(shape)

    def run(self, args, module=fastml):
        """Call the function; return its results and then the arguments that it updated, flat."""
        result = getattr(module, self.name)(**args)
        results = () if result is None else result if isinstance(result, tuple) else (result,)
        for name in self.mutated:
            value = args.get(name)
            results += tuple(value) if isinstance(value, list) else () if value is None else (value,)
        return results

    def assert_close(self, got, want, args, ulp=None, what=""):
        """Compare two answers of run within the function's tolerance."""
        assert len(got) == len(want), f"{self.id} {what}"
        scales = self.scales(args)
        scales += (None,) * (len(want) - len(scales))
        for k, (g, w, scale) in enumerate(zip(got, want, scales, strict=True)):
            scale = largest(w) if scale is None else scale
            assert_close(g, w, self.ulp if ulp is None else ulp, scale, f"{self.id} {what} result {k}")


def map_arrays(args, names, function):
    """Return args with function applied to every array of these names, also within lists."""
    changed = dict(args)
    for name in names:
        value = args.get(name)
        if isinstance(value, list):
            changed[name] = [function(v) for v in value]
        elif isinstance(value, np.ndarray):
            changed[name] = function(value)
    return changed


def at_axis(op, args, axis):
    """Return args with the axis moved there from the end, or None where the op has no axis to move."""
    if op.axis is None or args.get(op.axis, -1) != -1:
        return None
    shape = args[op.arrays[0]].shape
    same_shape = [name for name in op.arrays if np.shape(args.get(name)) == shape]
    moved = map_arrays(args, same_shape, lambda a: np.array(np.moveaxis(a, -1, axis), order="C"))
    return {**moved, op.axis: axis}


def copy_args(args):
    return map_arrays(args, tuple(args), np.array)


def _x(shape, dtype, seed):
    return {"x": normal(shape, dtype, seed, 3)}


def _softmax_backward(shape, dtype, seed):
    return {"grad": normal(shape, dtype, seed), "y": reference.softmax(normal(shape, dtype, seed + 1))}


def _log_softmax_backward(shape, dtype, seed):
    return {"grad": normal(shape, dtype, seed), "y": reference.log_softmax(normal(shape, dtype, seed + 1))}


def _labels(**options):
    def make(shape, dtype, seed):
        labels = np.random.default_rng(seed).integers(0, max(shape[-1], 1), shape[:-1])
        weight = np.random.default_rng(seed + 1).uniform(0.5, 2, shape[-1]).astype(dtype)
        args = {"logits": normal(shape, dtype, seed, 3), "target": labels, "axis": -1, **options}
        return {**args, "weight": weight} if "ignore_index" in options else args

    return make


def _probabilities(**options):
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


def _batch_norm(channel_axis=-1, **options):
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


def _batch_norm_backward(channel_axis=-1, **options):
    def make(shape, dtype, seed):
        args = _batch_norm(channel_axis)(shape, dtype, seed)
        _, mean, inv_std = reference.batch_norm(args["x"], channel_axis=channel_axis)
        grad = normal(args["x"].shape, dtype, seed + 2)
        made = {"grad": grad, "x": args["x"], "weight": args["weight"], "mean": mean, "inv_std": inv_std}
        return {**made, "channel_axis": channel_axis, **options}

    return make


def _dropout(name):
    return lambda shape, dtype, seed: {
        name: normal(shape, dtype, seed),
        "p": 0.3,
        "seed": 2**40 + 5,
        "offset": 7,
    }


def _linear(**options):
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


def _linear_backward(shape, dtype, seed):
    args = _linear()(shape, dtype, seed)
    grad = normal((*shape[:-1], shape[-1] + 3), dtype, seed + 3)
    return {"grad": grad, "x": args["x"], "weight": args["weight"]}


def _relu_backward(shape, dtype, seed):
    return {"grad": normal(shape, dtype, seed), "x": normal(shape, dtype, seed + 1)}


def _sgd(**options):
    def make(shape, dtype, seed):
        lists = {
            name: [normal(shape, dtype, seed + k), normal((3,), dtype, seed + k + 10)]
            for k, name in enumerate(("params", "grads", "velocities"))
        }
        return {**lists, "lr": 0.05, **options}

    return make


def _gradient_terms(args):
    return (largest(args["grad"], args.get("axis", -1)),)


def _softmax_terms(args):
    return (np.abs(args["y"]) * _gradient_terms(args)[0],)


def _cross_entropy_terms(args):
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


def _by_channel(args):
    """Return the other axes, and the arguments in a form that broadcasts along the channels."""
    axis = args["channel_axis"] % args["x"].ndim
    shape = [-1 if i == axis else 1 for i in range(args["x"].ndim)]
    vectors = {
        name: np.abs(v, dtype=np.float64).reshape(shape) for name, v in args.items() if np.ndim(v) == 1
    }
    return tuple(i for i in range(args["x"].ndim) if i != axis), vectors


def _batch_norm_terms(args):
    others, v = _by_channel(args)
    top = largest(args["x"], others)
    if args.get("training", True):
        _, _, inv_std = reference.batch_norm(args["x"], channel_axis=args["channel_axis"])
        center, inv_std = top, inv_std.reshape(top.shape)
    else:
        center, inv_std = v["running_mean"], 1 / np.sqrt(v["running_var"])
    return finite((top + center) * inv_std * v["weight"]) + v["bias"], top.ravel(), 0.0


def _batch_norm_backward_terms(args):
    others, v = _by_channel(args)
    grad, x = (np.abs(args[name], dtype=np.float64) for name in ("grad", "x"))
    xhat = finite((x + v["mean"]) * v["inv_std"])
    dweight, dbias = finite(grad * xhat).sum(axis=others), finite(grad).sum(axis=others)
    factor = v["weight"] * v["inv_std"] * largest(grad, others)
    dx = factor * (1 + xhat.max(axis=others, keepdims=True, initial=0) ** 2)
    return finite(dx), dweight, dbias


def _has_classes(shape):
    return shape[-1] > 0 or 0 in shape[:-1]


def _several_values(shape):
    return np.prod(shape[:-1]) != 1


_OUT = {"out": 0, "in_place": "x", "axis": "axis"}
_GRAD_OUT = {"out": 0, "in_place": "grad", "axis": "axis"}
_CE = {"arrays": ("logits", "target", "weight"), "axis": "axis", "min_ndim": 1, "accepts": _has_classes}
_CE_OUT = {**_CE, "out": 1, "in_place": "logits", "scales": _cross_entropy_terms}
_BN = {
    "arrays": ("x", "weight", "bias", "running_mean", "running_var"),
    "out": 0, "in_place": "x", "axis": "channel_axis", "min_ndim": 2, "accepts": _several_values,
    "scales": _batch_norm_terms, "ulp": 32,
}  # fmt: skip
_BN_BACKWARD = {
    **_BN,
    "arrays": ("grad", "x", "weight", "mean", "inv_std"),
    "in_place": "grad",
    "scales": _batch_norm_backward_terms,
}
_RUNNING = ("running_mean", "running_var")
_SMOOTH = {"label_smoothing": 0.1, "ignore_index": 1}
_SGD = {"arrays": ("params", "grads", "velocities"), "mutated": ("params", "velocities")}
_LINEAR = {"arrays": ("x", "weight", "bias"), "out": 0, "min_ndim": 1, "ulp": 64}
_IMAGES = {"big": ((32, 14, 14, 67), (4, 97, 131, 5), (1031, 517))}
_LINEAR_BIG = ((517, 259), (4099, 67), (33, 1031))

OPS = (
    Op("softmax", _x, ("x",), **_OUT),
    Op("log_softmax", _x, ("x",), **_OUT),
    Op("logsumexp", _x, ("x",), axis="axis"),
    Op("softmax_backward", _softmax_backward, ("grad", "y"), **_GRAD_OUT, scales=_softmax_terms),
    Op("log_softmax_backward", _log_softmax_backward, ("grad", "y"), **_GRAD_OUT, scales=_gradient_terms),
    Op("cross_entropy", _labels(), **_CE),
    Op("cross_entropy", _labels(reduction="none", **_SMOOTH), **_CE, case="smooth"),
    Op("cross_entropy", _probabilities(), **_CE, case="probabilities"),
    Op("cross_entropy_with_grad", _labels(), **_CE_OUT),
    Op("cross_entropy_with_grad", _labels(**_SMOOTH), **_CE_OUT, case="smooth"),
    Op("cross_entropy_with_grad", _probabilities(reduction="sum"), **_CE_OUT, case="probabilities"),
    Op("batch_norm", _batch_norm(), **_BN, mutated=_RUNNING),
    Op("batch_norm", _batch_norm(1), **_BN, **_IMAGES, mutated=_RUNNING, case="axis 1"),
    Op("batch_norm", _batch_norm(1, training=False), **_BN, **_IMAGES, case="eval"),
    Op("batch_norm_backward", _batch_norm_backward(), **_BN_BACKWARD),
    Op("batch_norm_backward", _batch_norm_backward(1), **_BN_BACKWARD, **_IMAGES, case="axis 1"),
    Op(
        "batch_norm_backward", _batch_norm_backward(1, training=False), **_BN_BACKWARD, **_IMAGES, case="eval"
    ),
    Op("dropout", _dropout("x"), ("x",), out=0, in_place="x", ulp=0),
    Op("dropout_backward", _dropout("grad"), ("grad",), out=0, in_place="grad", ulp=0),
    Op("dropout_mask", lambda shape, dtype, seed: {"shape": shape, "seed": seed, "offset": 2**63}, (), ulp=0),
    Op("linear", _linear(), **_LINEAR, big=_LINEAR_BIG),
    Op("linear", _linear(activation="relu"), **_LINEAR, big=_LINEAR_BIG, case="relu"),
    Op("linear_backward", _linear_backward, ("grad", "x", "weight"), min_ndim=1, ulp=64, big=_LINEAR_BIG),
    Op("relu", _x, ("x",), out=0, in_place="x", ulp=0),
    Op("relu_backward", _relu_backward, ("grad", "x"), out=0, in_place="grad", ulp=0),
    Op("sgd_step", _sgd(), **_SGD),
    Op(
        "sgd_step", _sgd(momentum=0.9, dampening=0.1, weight_decay=0.01, maximize=True), **_SGD, case="damped"
    ),
    Op("sgd_step", _sgd(momentum=0.9, nesterov=True), **_SGD, case="nesterov"),
)


# --- threads and targets -------------------------------------------------------------------------------------


def with_threads(n, function, *args, **kwargs):
    """Call the function with teams of n threads, also where a team does not pay."""
    before = _openmp.get_threshold()
    _openmp.set_threshold(0)
    try:
        with fastml.num_threads(n):
            return function(*args, **kwargs)
    finally:
        _openmp.set_threshold(before)


def run_script(code, timeout=120, **environment):
    """Run code in a new interpreter; return what it printed and what went to stderr. None unsets a variable."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    env = {name: value for name, value in env.items() if value is not None}
    command = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(
        command, check=False, env=env, cwd=ROOT, timeout=timeout, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{environment} {done.returncode}:\n{done.stderr}"
    return done.stdout, done.stderr


def run_python(code, timeout=120, **environment):
    """Run code in a new interpreter; return the arrays of its dict `result`."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "result.npz")
        code = f"{textwrap.dedent(code)}\nimport numpy\nnumpy.savez({path!r}, **result)\n"
        run_script(code, timeout, **environment)
        with np.load(path) as file:
            return dict(file)


def run_on_target(target, code, timeout=120):
    """Run code in a new interpreter with the kernels of one target: "baseline", "v3", "v4" or "neon"."""
    return run_python(code, timeout, FASTML_ISA=target)


def compute(op, shape, dtype):
    """Return the results of one call, and of one along axis 0, as arrays by name."""
    label = f"{op.id} {'x'.join(map(str, shape))} {np.dtype(dtype)}"
    args = op.make(shape, dtype, seed=1)
    moved = at_axis(op, args, 0)
    results = op.run(args) + (op.run(moved) if moved else ())
    return {f"{label} {k}": np.asarray(value) for k, value in enumerate(results)}


def digests(op, dtype):
    """Return the SHA-256 of every result on the op's big shapes, by name."""
    results = [item for shape in op.big for item in compute(op, shape, dtype).items()]
    return {name: hashlib.sha256(np.ascontiguousarray(value)).hexdigest() for name, value in results}


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
