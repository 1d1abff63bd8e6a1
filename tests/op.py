"""A row of the table OPS (common.py): one public function, how it is called, and what is asked of its results."""

import copy
import hashlib
import pickle
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

import fastml

from .arrays import assert_close, largest

FLUSHING = (
    *("linear", "linear_backward", "linear_cross_entropy_with_grad", "relu_backward", "dropout", "dropout_backward"),
    "clip_grad_value",
)


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
    def flushes(self):
        """Whether denormals count as zeros in it, operands and results (docs/numerics.md)."""
        return self.name.endswith("_step") or "norm_backward" in self.name or self.name in FLUSHING

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


def copies_by(way, things):
    """The things in a copy of their own, by "pickle" or "deepcopy"."""
    return pickle.loads(pickle.dumps(things)) if way == "pickle" else copy.deepcopy(things)


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
