"""How exact the functions are: the largest error in units in the last place (ulp), PyTorch's beside it.

    python -m benchmarks.accuracy [WORD …]   # functions with a WORD in their names; needs mpmath for the
                                                    # float64 rows, torch for its column

Element-wise functions in float32 are swept over every 997th of all finite floats, denormals and both signs included,
and compared with fastml.reference in float64; in float64 over points spread evenly in their logarithm, compared with
mpmath. A slope is the backward of a gradient of ones. Softmax's family and the losses on it are swept over lengths,
scales and offsets, and rows of one dominating entry, and compared with the formula in extended precision, taken where
it is exact: log(count + sum) through log1p, and a label's own gradient from the other terms.

An ulp is the spacing of floats at the exact result, the smallest denormal at least. Where a result is the small
difference of large terms (a slope near its root, logsumexp near 0), no evaluation in the same precision has few ulp;
those rows count in ulp of the larger term, which the table calls "of terms".
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import fastml
from fastml import reference

STRIDE = 997
LENGTHS = (2, 3, 4, 10, 16, 17, 31, 32, 64, 100, 512, 1000, 4096, 32000)
SCALES = (0, 0.01, 0.3, 1, 2, 5, 10, 40, 200)
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
    Function(
        "hard_swish", lambda x, torch: torch.nn.functional.hardswish(x),
        lambda x, m: x * min(max(x + 3, 0), 6) / 6, cancels=True,
    ),
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


def worst(got, exact, dtype, terms=0, least=0):
    """The largest error in ulp; results beyond the range, undefined ones and those below `least` do not count."""
    with np.errstate(over="ignore", invalid="ignore"):
        size = np.maximum(np.abs(exact), terms).astype(dtype)
        counts = np.isfinite(size) & (np.abs(exact) >= least)
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


def drawn(n, dtype):
    """Rows of n entries."""
    rng = np.random.default_rng(n)
    draws = rng.standard_normal((max(4, 60000 // n), n))
    for scale in SCALES:
        for offset in OFFSETS:
            yield (draws * scale + offset).astype(dtype)
    draws[:, rng.integers(n)] += rng.uniform(0, 30, len(draws))
    yield draws.astype(dtype)


def log_sum(x):
    """Of each row: the maximum, how many entries equal it, the sum of e^(x - max) of the others, and the logarithm."""
    top = x.max(axis=1, keepdims=True)
    count = (x == top).sum(axis=1, keepdims=True).astype(EXTENDED)
    below = np.where(x == top, 0, np.exp(x - top)).sum(axis=1, keepdims=True)
    return top, count, below, np.log(count) + np.log1p(below / count)


def family(name, x):
    """The exact result and, for logsumexp, the larger of its terms."""
    x = x.astype(EXTENDED)
    top, count, below, log = log_sum(x)
    if name == "softmax":
        return np.exp(x - top) / (count + below), 0
    if name == "log_softmax":
        return x - top - log, 0
    return (top + log)[:, 0], np.abs(top[:, 0])


def sweep_family(name, axis, dtype, torch):
    ours = theirs = 0.0
    turn = (lambda y: y) if name == "logsumexp" else (lambda y: np.moveaxis(y, axis, -1))
    for n in LENGTHS:
        for x in drawn(n, dtype):
            exact, terms = family(name, x)
            x = np.ascontiguousarray(np.moveaxis(x, -1, axis))
            ours = max(ours, worst(turn(getattr(fastml, name)(x, axis)), exact, dtype, terms))
            if torch is not None:
                got = getattr(torch, name)(torch.from_numpy(x), axis).numpy()
                theirs = max(theirs, worst(turn(got), exact, dtype, terms))
    return ours, theirs


def cross_entropy(x, target):
    """The exact losses and their gradients."""
    x, rows = x.astype(EXTENDED), np.arange(len(x))
    top, count, below, log = log_sum(x)
    own = x[rows, target][:, None]
    gradient = np.exp(x - top) / (count + below)
    others = np.where(own == top, count - 1 + below, count + below - np.exp(own - top))
    gradient[rows, target] = -(others / (count + below))[:, 0]
    return (top - own + log)[:, 0], gradient


def nll_loss(x, target):
    rows, gradient = np.arange(len(x)), np.zeros(x.shape, EXTENDED)
    gradient[rows, target] = -1
    return -x[rows, target].astype(EXTENDED), gradient


def by_identity(x, target, axis, reduction):
    """linear_cross_entropy_with_grad of a product that is exact: its gradient by x is that by the logits."""
    return fastml.linear_cross_entropy_with_grad(x, np.eye(x.shape[1], dtype=x.dtype), target, reduction=reduction)[:2]


REDUCTIONS = {"none": np.asarray, "sum": np.sum, "mean": np.mean}
LOSSES = {
    "cross_entropy": (cross_entropy, fastml.cross_entropy_with_grad),
    "nll_loss": (nll_loss, fastml.nll_loss_with_grad),
    "linear_cross_entropy": (cross_entropy, by_identity),
}


def torch_loss(name, x, target, axis, reduction, torch):
    x = torch.from_numpy(np.ascontiguousarray(np.moveaxis(x, axis, -1))).requires_grad_()
    loss = getattr(torch.nn.functional, name.removeprefix("linear_"))(x, torch.from_numpy(target), reduction=reduction)
    loss.sum().backward()
    return loss.detach().numpy(), np.moveaxis(x.grad.numpy(), -1, axis)


def sweep_loss(name, axis, dtype, torch):
    """The largest errors of values and of gradients: [ours, theirs] each, over the three reductions."""
    value, slope = [0.0, 0.0], [0.0, 0.0]
    exactly, kernel = LOSSES[name]
    least = 2 * np.finfo(dtype).tiny if name == "linear_cross_entropy" else 0  # products flush denormal numbers
    for n in LENGTHS if name != "linear_cross_entropy" else [n for n in LENGTHS if n <= 512]:
        for x in drawn(n, dtype):
            target = np.random.default_rng(n).integers(0, n, len(x))
            losses, gradient = exactly(x, target)
            x = np.ascontiguousarray(np.moveaxis(x, -1, axis))
            for reduction, reduced in REDUCTIONS.items():
                share = EXTENDED(1) / len(target) if reduction == "mean" else 1
                terms = reduced(np.abs(losses)) if name == "nll_loss" else 0
                ways = [kernel(x, target, axis=axis, reduction=reduction)]
                if torch is not None:
                    ways.append(torch_loss(name, x, target, axis, reduction, torch))
                for i, (loss, dx) in enumerate(ways):
                    value[i] = max(value[i], worst(np.asarray(loss, dtype), reduced(losses), dtype, terms))
                    dx = np.moveaxis(dx, axis, -1)
                    slope[i] = max(slope[i], worst(dx, gradient * share, dtype, least=least))
    return value, slope


def figure(error):
    return f"{error:.1f}" if error < 1000 else f"{error:.2g}"


def row(label, dtype, errors, torch, note=""):
    ours, theirs = errors
    print(f"| {label} | {dtype} | {figure(ours)} | {figure(theirs) if torch else '–'} | {note} |", flush=True)


def main(words):
    torch, mpmath = found("torch"), found("mpmath")

    def wanted(label):
        return not words or any(word in label for word in words)

    print("| function | dtype | fastml | torch | |\n| :-- | :-- | --: | --: | :-- |")
    for function in filter(lambda f: wanted(f.label), FUNCTIONS):
        row(function.label, "float32", sweep_float32(function, False, torch), torch)
        if mpmath is not None:
            row(function.label, "float64", sweep_float64(function, torch, mpmath), torch)
    for function in filter(lambda f: wanted(f"slope of {f.label}"), FUNCTIONS):
        note = "of terms" if function.cancels else ""
        row(f"slope of {function.label}", "float32", sweep_float32(function, True, torch), torch, note)
    for name in filter(wanted, FAMILY):
        for axis, way in ((-1, "rows"), (0, "columns")):
            for dtype in (np.float32, np.float64):
                errors = sweep_family(name, axis, dtype, torch)
                row(f"{name}, {way}", dtype.__name__, errors, torch, "of terms" if name == "logsumexp" else "")
    for name in filter(wanted, LOSSES):
        for axis, way in ((-1, "rows"), (0, "columns"))[: 1 if name == "linear_cross_entropy" else 2]:
            for dtype in (np.float32, np.float64):
                value, slope = sweep_loss(name, axis, dtype, torch)
                row(f"{name}, {way}", dtype.__name__, value, torch, "of terms" if name == "nll_loss" else "")
                row(f"gradient of {name}, {way}", dtype.__name__, slope, torch)


if __name__ == "__main__":
    main(sys.argv[1:])
