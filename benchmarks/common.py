"""What every benchmark is made of: a case, its inputs, its peers and its check.

A bench_<stem>.py holds a list CASES. A case is data (operation, shape, dtype, the fewest bytes it must move
or its FLOPs) and a function `setup()` that draws the inputs from a fixed seed and returns a `Setup`: one
builder per peer, and a check against fastml.reference. A builder imports its library and allocates what it
needs, so a process that times one peer pays for that peer alone; the call it returns does the operation once,
into memory given beforehand where the peer can.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from time import perf_counter_ns
from typing import Any

import numpy as np

from fastml._check import choice

PEERS = ("torch", "numpy", "scipy", "jax", "sklearn")
TOLERANCE = {"float32": 2e-5, "float64": 1e-11}


@dataclass(frozen=True)
class Setup:
    """Builders by peer ("fastml" is one of them) and `check(result, peer)`, which raises AssertionError.

    Where the timed call draws random numbers, `trials` has builders of the same without them, to be checked.
    """

    builders: dict[str, Callable[[], Callable[[], Any]]]
    check: Callable[[Any, str], None]
    trials: dict[str, Callable[[], Callable[[], Any]]] = field(default_factory=dict)

    def trial(self, peer: str) -> Callable[[], Any]:
        """The call whose result `check` judges."""
        return (self.trials or self.builders)[peer]()

    def checked(self, peer: str) -> Callable[[], Any]:
        """The call to be timed, once a result has been judged."""
        call = self.trial(peer)
        self.check(call(), peer)
        return self.builders[peer]() if self.trials else call


@dataclass(frozen=True)
class Case:
    """One row of the table.

    `peers` have the operation; `threads` is set where a row wants a number of its own.
    """

    op: str
    shape: str
    dtype: str
    setup: Callable[[], Setup]
    nbytes: int = 0
    flops: int = 0
    threads: int | None = None
    peers: tuple[str, ...] = ("torch", "numpy", "jax")

    @property
    def label(self) -> str:
        return f"{self.op} {self.shape} {self.dtype}"


def stems() -> list[str]:
    """The stems that have a benchmark, in alphabetical order."""
    return sorted(path.stem.removeprefix("bench_") for path in Path(__file__).parent.glob("bench_*.py"))


def load(stem: str) -> list[Case]:
    """The cases of one stem."""
    return importlib.import_module(f".bench_{stem}", __package__).CASES


def select(names: list[str]) -> list[tuple[str, int, Case]]:
    """(stem, index, case) of every case whose stem or operation is named; all of them for no name.

    ValueError names the first word that is neither.
    """
    found = [(stem, i, case) for stem in stems() for i, case in enumerate(load(stem))]
    known = sorted({stem for stem, _, _ in found} | {case.op for _, _, case in found})
    for name in names:
        choice(name, "OP", known)
    return [row for row in found if not names or row[0] in names or row[2].op in names]


def shape_label(shape: tuple[int, ...]) -> str:
    """(32, 10) → '32×10'; round powers of ten of one dimension stay readable: (10000000,) → '1e7'."""
    if len(shape) == 1 and shape[0] >= 1000 and 10 ** round(math.log10(shape[0])) == shape[0]:
        return f"1e{round(math.log10(shape[0]))}"
    return "×".join(map(str, shape))


def normal(shape: tuple[int, ...], dtype: str, seed: int = 0, scale: float = 1.0, shift: float = 0.0) -> np.ndarray:
    """Normal numbers from a fixed seed."""
    x = np.random.default_rng(seed).standard_normal(shape, dtype=np.float32).astype(dtype, copy=False)
    x *= scale
    x += shift
    return x


def to_numpy(value: Any) -> np.ndarray:
    """A peer's array (or number) as a NumPy array."""
    return value.detach().numpy() if hasattr(value, "detach") else np.asarray(value)


def sample_rows(n: int, most: int = 64) -> np.ndarray:
    """At most `most` row numbers from 0 to n−1, both ends among them: where huge results are checked."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).astype(np.intp))


def assert_close(result: Any, expected: Any, dtype: str, what: str) -> None:
    """AssertionError unless max |result − expected| ≤ tolerance · max |expected|; shapes equal, finite."""
    result, expected = to_numpy(result), np.asarray(expected, dtype=np.float64)
    if result.shape != expected.shape:
        raise AssertionError(f"{what}: shape {result.shape}, expected {expected.shape}")
    if result.size == 0:
        return
    error = float(np.max(np.abs(result - expected)))
    bound = TOLERANCE[dtype] * float(np.max(np.abs(expected)))
    if not error <= bound:
        raise AssertionError(f"{what}: differs from the reference by {error:.3g}, allowed {bound:.3g}")


def each_close(names: tuple[str, ...], expected: Any, dtype: str, rows: Any = ...) -> Callable[[Any, str], None]:
    """The check of several results, each in these rows, by what they are called."""

    def check(result: Any, peer: str) -> None:
        for name, got, want in zip(names, result, expected, strict=True):
            assert_close(to_numpy(got)[rows], want, dtype, f"{peer} {name}")

    return check


def jax_call(function: Callable[..., Any], *arrays: np.ndarray) -> Callable[[], Callable[[], Any]]:
    """The builder of function(jax.numpy, *arrays), compiled."""

    def build() -> Callable[[], Any]:
        import jax

        kernel, given = jax.jit(partial(function, jax.numpy)), [jax.numpy.asarray(a) for a in arrays]
        return lambda: jax.block_until_ready(kernel(*given))

    return build


def calls_per_sample(call: Callable[[], Any], at_least: float = 1e-3) -> int:
    """How often to repeat a call so that one sample takes `at_least` seconds; the call is warm afterwards."""
    call()
    n = 1
    while True:
        seconds = time_calls(call, n) * n
        if seconds >= at_least:
            return n
        n = max(2 * n, math.ceil(n * at_least / max(seconds, 1e-7)) if n > 1 else 2)


def time_calls(call: Callable[[], Any], n: int) -> float:
    """Seconds per call, over n calls in a row."""
    start = perf_counter_ns()
    for _ in range(n):
        call()
    return (perf_counter_ns() - start) / n * 1e-9
