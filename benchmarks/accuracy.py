"""How exact the functions are: the largest error in units in the last place (ulp), PyTorch's beside it.

    python -m fastml.benchmarks.accuracy            # needs mpmath for the float64 rows, torch for its column

Element-wise functions in float32 are swept over every 997th of all finite floats, denormals and both signs included,
and compared with fastml.reference in float64; in float64 over points spread evenly in their logarithm, compared with
mpmath. A slope is the backward of a gradient of ones. Softmax's family is swept over lengths, scales and offsets and
compared with the formula in extended precision, taken where it is exact: log(count + sum) through log1p.

An ulp is the spacing of floats at the exact result, the smallest denormal at least. Where a result is the small
difference of large terms (a slope near its root, logsumexp near 0), no evaluation in the same precision has few ulp;
those rows count in ulp of the larger term, which the table calls "of terms".
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import fastml
from fastml import reference

STRIDE = 997
LENGTHS = (2, 3, 10, 16, 17, 31, 100, 512, 1000, 4096, 32000)
SCALES = (0, 0.01, 1, 10, 40, 200)
OFFSETS = (0, 3.3, -1000)
EXTENDED = np.longdouble


@dataclass(frozen=True)
class Function:
    """One function: fastml's name and options, PyTorch's way to it, the exact one in mpmath's terms (x and m, the
    module), and whether its slope is a difference of terms."""

    name: str
    torch: Callable[[Any, Any], Any]
    exact: Callable[[Any, Any], Any]
    options: tuple = ()
    cancels: bool = False

    def of(self, module):
        return lambda x: getattr(module, self.name)(x, **dict(self.options))

    def slope_of(self, module):
        return lambda x: getattr(module, f"{self.name}_backward")(np.ones_like(x), x, **dict(self.options))

    def torch_slope(self, x, torch):
        x = x.clone().requires_grad_()
        self.torch(x, torch).sum().backward()
        return x.grad

    @property
    def label(self):
        return ", ".join([self.name, *(f"{k}={v!r}" for k, v in self.options)])


def _logistic(x, m):
    return 1 / (1 + m.exp(-x))


def _phi(x, m):
    return m.erfc(-x / m.sqrt(2)) / 2


def _tanh_share(x, m):
    return _logistic(2 * m.sqrt(2 / m.pi) * (x + m.mpf("0.044715") * x**3), m)


FUNCTIONS = (
    Function("sigmoid", lambda x, torch: torch.sigmoid(x), _logistic),
    Function("tanh", lambda x, torch: torch.tanh(x), lambda x, m: m.tanh(x)),
    Function("silu", lambda x, torch: torch.nn.functional.silu(x), lambda x, m: x * _logistic(x, m), cancels=True),
    Function("gelu", lambda x, torch: torch.nn.functional.gelu(x), lambda x, m: x * _phi(x, m), cancels=True),
    Function(
        "gelu", lambda x, torch: torch.nn.functional.gelu(x, approximate="tanh"),
        lambda x, m: x * _tanh_share(x, m), (("approximate", "tanh"),), cancels=True,
    ),
    Function(
        "softplus", lambda x, torch: torch.nn.functional.softplus(x),
        lambda x, m: x if x > 20 else m.log1p(m.exp(x)),
    ),
    Function("elu", lambda x, torch: torch.nn.functional.elu(x), lambda x, m: x if x > 0 else m.expm1(x)),
)  # fmt: skip
FAMILY = ("softmax", "log_softmax", "logsumexp")


def found(name):
    return importlib.import_module(name) if importlib.util.find_spec(name) else None


def worst(got, exact, dtype, terms=0):
    """The largest error in ulp, and where; results beyond the range and undefined ones do not count."""
    with np.errstate(over="ignore", invalid="ignore"):
        size = np.maximum(np.abs(exact), terms).astype(dtype)
        counts = np.isfinite(size)
        ulp = np.spacing(np.where(counts, size, dtype(1)))
        error = np.where(counts, np.abs(got.astype(EXTENDED) - exact) / ulp, 0)
    error = np.where(np.isnan(error), np.inf, error)
    return float(error.max())


def floats():
    """Every STRIDE-th finite float32, a million at a time."""
    for start in range(0, 1 << 32, STRIDE << 20):
        bits = np.arange(start, min(start + (STRIDE << 20), 1 << 32), STRIDE, dtype=np.uint64).astype(np.uint32)
        x = bits.view(np.float32)
        yield x[np.isfinite(x)]


def sweep_float32(function, slope, torch):
    ours = theirs = 0.0
    wanted = function.slope_of(reference) if slope else function.of(reference)
    kernel = function.slope_of(fastml) if slope else function.of(fastml)
    for x in floats():
        wide = x.astype(np.float64)
        exact, terms = wanted(wide), 0
        if slope and function.cancels:
            with np.errstate(all="ignore"):
                share = np.where(wide == 0, 0.5, function.of(reference)(wide) / wide)
            terms = np.maximum(np.abs(share), np.abs(exact - share))
        ours = max(ours, worst(kernel(x), exact, np.float32, terms))
        if torch is not None:
            take = function.torch_slope if slope else function.torch
            theirs = max(theirs, worst(take(torch.from_numpy(x), torch).numpy(), exact, np.float32, terms))
    return ours, theirs


def sweep_float64(function, torch, mpmath):
    mpmath.mp.prec = 200
    size = np.concatenate([np.logspace(-300, -3, 500), np.logspace(-3, 2.87, 8000)])
    x = np.concatenate([-size, size])
    exact = np.array([EXTENDED(mpmath.nstr(function.exact(mpmath.mpf(v), mpmath), 25)) for v in x.tolist()])
    theirs = 0.0 if torch is None else worst(function.torch(torch.from_numpy(x), torch).numpy(), exact, np.float64)
    return worst(function.of(fastml)(x), exact, np.float64), theirs


def family(name, x, axis):
    """The exact result and, for logsumexp, the larger of its terms."""
    x = x.astype(EXTENDED)
    top = x.max(axis, keepdims=True)
    e = np.exp(x - top)
    count = (x == top).sum(axis, keepdims=True).astype(EXTENDED)
    log_sum = np.log(count) + np.log1p(np.where(x == top, 0, e).sum(axis, keepdims=True) / count)
    if name == "softmax":
        return e / e.sum(axis, keepdims=True), 0
    if name == "log_softmax":
        return x - top - log_sum, 0
    return np.squeeze(top + log_sum, axis), np.abs(np.squeeze(top, axis))


def sweep_family(name, axis, dtype, torch):
    ours = theirs = 0.0
    for n in LENGTHS:
        draws = np.random.default_rng(n).standard_normal((max(2, 20000 // n), n))
        for scale in SCALES:
            for offset in OFFSETS:
                x = np.ascontiguousarray(np.moveaxis((draws * scale + offset).astype(dtype), -1, axis))
                exact, terms = family(name, x, axis)
                ours = max(ours, worst(getattr(fastml, name)(x, axis), exact, dtype, terms))
                if torch is not None:
                    got = getattr(torch, name)(torch.from_numpy(x), axis).numpy()
                    theirs = max(theirs, worst(got, exact, dtype, terms))
    return ours, theirs


def figure(error):
    return f"{error:.1f}" if error < 1000 else f"{error:.2g}"


def row(label, dtype, errors, torch, note=""):
    ours, theirs = errors
    print(f"| {label} | {dtype} | {figure(ours)} | {figure(theirs) if torch else '–'} | {note} |", flush=True)


def main():
    torch, mpmath = found("torch"), found("mpmath")
    print("| function | dtype | fastml | torch | |\n| :-- | :-- | --: | --: | :-- |")
    for function in FUNCTIONS:
        row(function.label, "float32", sweep_float32(function, False, torch), torch)
        if mpmath is not None:
            row(function.label, "float64", sweep_float64(function, torch, mpmath), torch)
    for function in FUNCTIONS:
        note = "of terms" if function.cancels else ""
        row(f"slope of {function.label}", "float32", sweep_float32(function, True, torch), torch, note)
    for name in FAMILY:
        for axis, way in ((-1, "rows"), (0, "columns")):
            for dtype in (np.float32, np.float64):
                errors = sweep_family(name, axis, dtype, torch)
                row(f"{name}, {way}", dtype.__name__, errors, torch, "of terms" if name == "logsumexp" else "")


if __name__ == "__main__":
    main()
