"""How steady a step is: quantiles of single calls, on one thread and on all.

    python -m fastml.benchmarks.steadiness [OP] [--row N] [--samples N]

Training is rarely one step after the other and nothing else: batches come late, and other programs run. So the
first row of OP (default: step, the training step of the 784-256-128-10 network) is timed call by call in three
conditions, which take turns: back to back, after a pause in which the threads go to sleep, and beside a process
that keeps one CPU busy. "to alone" compares a median with that of one thread, back to back.
"""

from __future__ import annotations

import argparse
import gc
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np

from fastml import get_num_threads, num_threads
from fastml.cli.options import integer

from .common import Case, select
from .table import microseconds

PAUSE = 5e-3
TURNS = 5
CONDITIONS = ("back to back", "paused", "busy CPU")


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


def single_calls(call: Callable[[], Any], n: int, pause: float = 0.0) -> list[float]:
    """Seconds of each of n calls, after a few untimed ones."""
    for _ in range(5):
        call()
    seconds = []
    gc.disable()
    for _ in range(n):
        if pause:
            time.sleep(pause)
        start = time.perf_counter_ns()
        call()
        seconds.append((time.perf_counter_ns() - start) * 1e-9)
    gc.enable()
    return seconds


def measure(case: Case, samples: int) -> dict[tuple[int, str], list[float]]:
    """Seconds of single calls by (threads, condition)."""
    counts = sorted({1, get_num_threads()})
    times = {(threads, condition): [] for threads in counts for condition in CONDITIONS}
    call = case.setup().checked("fastml")
    for _ in range(TURNS):
        for (threads, condition), seconds in times.items():
            with num_threads(threads), busy_cpu() if condition == "busy CPU" else nullcontext():
                seconds += single_calls(call, -(-samples // TURNS), PAUSE if condition == "paused" else 0.0)
    return times


def lines(times: dict[tuple[int, str], list[float]]) -> Iterator[str]:
    yield "threads  condition     median µs   q10 µs   q90 µs  q90/median  to alone"
    alone = np.median(times[1, CONDITIONS[0]])
    for (threads, condition), seconds in times.items():
        low, middle, high = np.quantile(seconds, (0.1, 0.5, 0.9))
        yield (
            f"{threads:>7}  {condition:<12}  {microseconds(middle):>9}  {microseconds(low):>7}  "
            f"{microseconds(high):>7}  {high / middle:>10.2f}  {middle / alone:>8.2f}"
        )


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser("python -m fastml.benchmarks.steadiness", description=__doc__.split("\n")[0])
    parser.add_argument("op", nargs="?", default="step", metavar="OP", help="an operation (default: step)")
    parser.add_argument("--row", type=integer(0), default=0, metavar="N", help="which of its rows (default: 0)")
    parser.add_argument("--samples", type=integer(1), default=500, metavar="N", help="calls a line (default: 500)")
    given = parser.parse_args(arguments)
    try:
        cases = [case for _, _, case in select([given.op]) if case.threads is None]
        case = cases[given.row]
    except ValueError as error:
        parser.error(str(error))
    except IndexError:
        parser.error(f"{given.op} has {len(cases)} rows, there is no row {given.row}")
    print(case.label)
    for line in lines(measure(case, given.samples)):
        print(line)


if __name__ == "__main__":
    main()
