"""Whether threads pay wherever they are used: single calls on one thread and on all, size by size.

    python -m fastml.benchmarks.steadiness [OP ...] [--sizes N,N] [--conditions NAME,NAME] [--samples N]

Training is rarely one call after the other and nothing else: batches come late, NumPy and PyTorch compute in between
with threads of their own, and other programs run. So every operation is timed call by call at sizes around those where
a team begins to pay, in conditions which take turns:

    row      back to back
    pause    after 5 ms of sleep: the threads sleep
    matmul   np.matmul before every call, whose threads still spin; timed together
    torch    the same with PyTorch's softmax, whose runtime is another OpenMP
    busy     beside a process that keeps one CPU busy

"ratio" is the mean on all threads over that on one, above 1 where one thread would be faster: a team that waits for one
of its threads has a good median. "to sum" compares the two calls of matmul and torch with the sum of both, each back to
back, by their medians. Lines whose ratio is above 1.05 are marked.
"""

from __future__ import annotations

import argparse
import gc
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

import numpy as np

import fastml
from fastml import get_num_threads, nn, num_threads, optim
from fastml._check import choice
from fastml.cli.options import integer

from .common import normal
from .table import microseconds

PAUSE = 5e-3
TURNS = 4
BUDGET = 120e-3  # seconds of a turn's calls for one figure, after which they are enough
LOST = 1.05  # over one thread's mean: a line to look at
CONDITIONS = ("row", "pause", "matmul", "torch", "busy")
SIZES = tuple(4**k for k in range(5, 12))
COLUMNS = 256

Call = Callable[[], Any]


def _matrix(n: int, columns: int = COLUMNS) -> np.ndarray:
    return normal((max(1, n // columns), columns), "float32")


def _of_matrix(function: Callable[..., Any]) -> Callable[[int], Call]:
    """function(x, out=) of about n elements in rows of 256."""

    def build(n: int) -> Call:
        x = _matrix(n)
        out = np.empty_like(x)
        return lambda: function(x, out=out)

    return build


def _cross_entropy(n: int) -> Call:
    x = _matrix(n)
    labels, out = np.arange(len(x)) % COLUMNS, np.empty_like(x)
    return lambda: fastml.cross_entropy_with_grad(x, labels, out=out)


def _batch_norm(n: int) -> Call:
    x, out = _matrix(n), np.empty_like(_matrix(n))
    return lambda: fastml.batch_norm(x, out=out)


def _adam(n: int) -> Call:
    param, grad = normal((n,), "float32"), normal((n,), "float32", 1)
    mean, square = np.zeros_like(param), np.zeros_like(param)
    return lambda: fastml.adam_step([param], [grad], [mean], [square], 1)


def _linear(n: int) -> Call:
    """n multiply-adds, 64 for each element of x."""
    x = _matrix(n // 64, 64)
    weight, out = normal((64, 64), "float32", 1), np.empty_like(x)
    return lambda: fastml.linear(x, weight, out=out)


def _step(n: int) -> Call:
    """A training step of 256-64-10 of n multiply-adds, or eight rows."""
    rows = max(8, n // (3 * 64 * 266))
    model = nn.Sequential(nn.Linear(256, 64, seed=0), nn.ReLU(), nn.Linear(64, 10, seed=1))
    step = nn.compile_step(model, nn.CrossEntropyLoss(), optim.SGD(model.parameters(), lr=1e-3, momentum=0.9))
    x, labels = normal((rows, 256), "float32"), np.arange(rows) % 10
    return lambda: step(x, labels)


#: A call of about n elements; of n multiply-adds in linear and step.
OPS: dict[str, Callable[[int], Call]] = {
    "relu": _of_matrix(fastml.relu),
    "gelu": _of_matrix(fastml.gelu),
    "softmax": _of_matrix(fastml.softmax),
    "cross_entropy": _cross_entropy,
    "layer_norm": _of_matrix(fastml.layer_norm),
    "batch_norm": _batch_norm,
    "dropout": _of_matrix(lambda x, out: fastml.dropout(x, 0.5, seed=0, out=out)),
    "adam": _adam,
    "linear": _linear,
    "step": _step,
}


def _other(condition: str) -> Call | None:
    """The call of another library that precedes every one of fastml's."""
    if condition == "matmul":
        a = normal((256, 256), "float32")
        out = np.empty_like(a)
        return lambda: np.matmul(a, a, out=out)
    if condition == "torch":
        import torch

        x = torch.randn(512, 512)
        return lambda: torch.softmax(x, 1)
    return None


@contextmanager
def busy_cpu() -> Iterator[None]:
    """Another process that computes without end."""
    endless = "print(flush=True)\nwhile True: pass"
    process = subprocess.Popen([sys.executable, "-c", endless], stdout=subprocess.PIPE)
    try:
        process.stdout.readline()
        yield
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def single_calls(call: Call, n: int, pause: float = 0.0) -> list[float]:
    """Seconds of each of n calls, or as many as the budget allows, after a few untimed ones."""
    for _ in range(3):
        call()
    seconds = []
    gc.disable()
    stop = time.perf_counter() + BUDGET
    while len(seconds) < n and (len(seconds) < 3 or time.perf_counter() < stop):
        if pause:
            time.sleep(pause)
        start = time.perf_counter_ns()
        call()
        seconds.append((time.perf_counter_ns() - start) * 1e-9)
    gc.enable()
    return seconds


@dataclass
class Line:
    """One operation at one size in one condition: seconds of single calls on one thread and on all.

    `apart` is the sum of what fastml on all threads and the other library take alone, where there is one.
    """

    op: str
    size: int
    condition: str
    one: list[float] = field(default_factory=list)
    all: list[float] = field(default_factory=list)
    apart: float | None = None

    def ratio(self) -> float:
        return float(np.mean(self.all) / np.mean(self.one))

    def __str__(self) -> str:
        texts = [f"{self.op:<13}  {self.size:>8}  {self.condition:<9}"]
        for seconds in (self.one, self.all):
            texts += [f"{microseconds(float(f(seconds))):>9}" for f in (np.median, np.mean)]
        texts.append(f"{self.ratio():>6.2f}")
        texts.append(f"{np.median(self.all) / self.apart:>6.2f}" if self.apart else "      ")
        return "  ".join(texts) + ("  slower than one thread" if self.ratio() > LOST else "")


HEADER = "op                 size  condition    one µs   mean µs    all µs   mean µs   ratio  to sum"


def measure(op: str, size: int, conditions: list[str], samples: int) -> list[Line]:
    """The lines of one operation at one size: in turns, one thread and all one after the other in each condition."""
    call, found = OPS[op](size), [Line(op, size, condition) for condition in conditions]
    others = {condition: _other(condition) for condition in conditions}
    alone: dict[str, list[float]] = {condition: [] for condition, other in others.items() if other}
    each = -(-samples // TURNS)
    for _ in range(TURNS):
        for line in found:
            other = others[line.condition]
            if other:
                alone[line.condition] += single_calls(other, each)
            for threads, seconds in ((1, line.one), (get_num_threads(), line.all)):
                with num_threads(threads), busy_cpu() if line.condition == "busy" else nullcontext():
                    timed = (lambda other=other: (other(), call())) if other else call
                    calls = each if other or line.condition == "pause" else 20 * each
                    seconds += single_calls(timed, calls, PAUSE if line.condition == "pause" else 0.0)
    row = next((line for line in found if line.condition == "row"), None)
    for line in found:
        if line.condition in alone and row:
            line.apart = float(np.median(row.all) + np.median(alone[line.condition]))
    return found


def summary(found: list[Line]) -> str:
    lost = [line for line in found if line.ratio() > LOST]
    return f"{len(found)} lines: all threads are slower than one by more than {LOST - 1:.0%} in {len(lost)}"


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser("python -m fastml.benchmarks.steadiness", description=__doc__.split("\n")[0])
    parser.add_argument("ops", nargs="*", metavar="OP", help=f"of {', '.join(OPS)} (default: all)")
    parser.add_argument("--sizes", type=_words, default=[*map(str, SIZES)], metavar="N,N", help="elements a call")
    parser.add_argument("--conditions", type=_words, default=[*CONDITIONS], metavar="NAME,NAME")
    parser.add_argument("--samples", type=integer(1), default=40, metavar="N", help="calls a figure (default: 40)")
    given = parser.parse_args(arguments)
    try:
        for name in given.ops:
            choice(name, "OP", tuple(OPS))
        for name in given.conditions:
            choice(name, "--conditions", CONDITIONS)
        sizes = [integer(1)(size) for size in given.sizes]
    except (ValueError, argparse.ArgumentTypeError) as error:
        parser.error(str(error))
    conditions = [name for name in given.conditions if name != "torch" or find_spec("torch")]
    found = []
    print(f"{get_num_threads()} threads\n{HEADER}", flush=True)
    for op in given.ops or OPS:
        for size in sizes:
            lines = measure(op, size, conditions, given.samples)
            found += lines
            print(*lines, sep="\n", flush=True)
    print(summary(found))


if __name__ == "__main__":
    main()
