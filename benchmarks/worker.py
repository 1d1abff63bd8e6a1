"""One process per peer: builds a case, checks its result, then times it whenever it is told to.

Thread pools keep their workers spinning for milliseconds after a call, on the cores that the next peer wants.
With a process per library each has the environment it would have alone, and a sample is answered only once
the process has gone quiet, so that the next one starts on an idle machine.

Requests and answers are lines of JSON on standard input and output; end of input ends the process.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from fastml import _simd

from .common import Case, calls_per_sample, load, time_calls

LIMIT = "limit"

# Threads that slept for long take milliseconds of work until they wake fast again and sit on cores of their own, and
# the peers have had the caches meanwhile: seconds of untimed calls before each sample, and how many calls at least,
# unless that takes too long.
WARM, WARM_CALLS, WARM_MOST = 3e-3, 30, 50e-3


class Peer:
    """The callables of one peer, in this process."""

    def __init__(self, name: str, threads: int):
        self.name = name
        self.threads = threads
        self.call = None
        self.n = 1
        if name == "jax":
            # XLA sizes its pool by the CPUs it may use; float64 rows need x64, float32 rows do not change.
            if hasattr(os, "sched_setaffinity"):
                os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
            importlib.import_module("jax").config.update("jax_enable_x64", True)

    def about(self) -> dict:
        """Version of the library; fastml's process knows the machine too."""
        if self.name == LIMIT:
            return {}
        told = {"version": importlib.import_module(self.name).__version__}
        if self.name == "fastml":
            from fastml._info import config

            known = config()
            told |= {"cpu": known["CPU"], "isa": known["target in use"].split()[0], "blas": known["NumPy's BLAS"]}
        return told

    def prepare(self, stem: str, index: int) -> dict:
        """Build, check, warm up. {"skip": True} where the peer does not have it."""
        self.call = None
        case = load(stem)[index]
        threads = case.threads or self.threads
        if self.name == LIMIT:
            limit = Limit(case, threads)
            self.call = limit if limit.parts else None
            return {} if limit.parts else {"skip": True}
        if self.name not in ("fastml", *case.peers):
            return {"skip": True}
        set_threads(self.name, threads)
        call = case.setup().checked(self.name)
        self.n = calls_per_sample(call)
        self.call = call
        return {}

    def sample(self) -> dict:
        """Seconds per call in a row of calls, after untimed ones that wake the threads, fill the caches."""
        if self.name == LIMIT:
            return {"seconds": self.call()}
        gc.disable()
        start = time.perf_counter()
        calls, spent = 0, 0.0
        while spent < WARM or (calls < WARM_CALLS and spent < WARM_MOST):
            time_calls(self.call, self.n)
            calls, spent = calls + self.n, time.perf_counter() - start
        seconds = time_calls(self.call, self.n)
        gc.enable()
        settle()
        return {"seconds": seconds}


class Limit:
    """Seconds that a case takes at best: its multiply-adds at their peak rate, then its bytes moved."""

    def __init__(self, case: Case, threads: int):
        self.parts: list[Callable[[], float]] = []
        if case.flops:
            self.parts.append(Arithmetic(case.flops, case.dtype, threads))
        if case.nbytes >= Transfer.LEAST:
            self.parts.append(Transfer(case.nbytes, threads))

    def __call__(self) -> float:
        return sum(part() for part in self.parts)


class Arithmetic:
    """Seconds that `flops` take on `threads` threads which do nothing but multiply-adds in registers.

    The best of a few spans of a millisecond, in which all threads run.
    """

    SPANS = 5

    def __init__(self, flops: int, dtype: str, threads: int):
        self.flops, self.double, self.threads = flops, dtype == "float64", threads
        self.n = 1000 * calls_per_sample(lambda: _simd.fma_chains(1000, self.double))
        self.together = threading.Barrier(threads)
        self.pool = ThreadPoolExecutor(threads)

    def __call__(self) -> float:
        def spans(_):
            self.together.wait()
            return [self._seconds_per_flop() for _ in range(self.SPANS)]

        slowest = map(max, zip(*self.pool.map(spans, range(self.threads)), strict=True))
        return min(slowest) * self.flops / self.threads

    def _seconds_per_flop(self) -> float:
        start = time.perf_counter()
        flops = _simd.fma_chains(self.n, self.double)
        return (time.perf_counter() - start) / flops


class Transfer:
    """Seconds that moving `nbytes` takes at best: a plain copy (half read, half written) or a plain read.

    Every thread moves its own piece, in the level of memory where an operation on as many bytes has its data. A
    piece that fits a cache is moved over and over by one NumPy call, in which each pass starts one cache line
    later, so that no interpreter time is between the passes.
    """

    LEAST = 1 << 16
    LINE = 16

    def __init__(self, nbytes: int, threads: int):
        n = nbytes // 8 // threads
        self.passes = max(1, min(int(1e8 / nbytes), n // (4 * self.LINE)))
        self.pieces = [(self._windows(n), self._windows(n), self._windows(2 * n)) for _ in range(threads)]
        self.pool = ThreadPoolExecutor(threads)

    def _windows(self, n: int) -> np.ndarray:
        base = np.ones(n + self.passes * self.LINE, np.float32)
        return np.lib.stride_tricks.as_strided(base, (self.passes, n), (4 * self.LINE, 4))

    def __call__(self) -> float:
        def copy(piece):
            return self._second_time(lambda: np.copyto(piece[0], piece[1]))

        def read(piece):
            return self._second_time(piece[2].max)

        return min(max(self.pool.map(move, self.pieces)) for move in (copy, read)) / self.passes

    @staticmethod
    def _second_time(call: Callable[[], Any]) -> float:
        call()
        return time_calls(call, 1)


def set_threads(peer: str, n: int) -> None:
    """The library's own switch; NumPy, SciPy and scikit-learn have their BLAS's, through threadpoolctl."""
    if peer in ("fastml", "torch"):
        importlib.import_module(peer).set_num_threads(n)
    elif peer in ("numpy", "scipy", "sklearn"):
        try:
            from threadpoolctl import threadpool_limits
        except ImportError:
            return
        threadpool_limits(n)


def settle(most: float = 0.06, nap: float = 5e-4) -> None:
    """Sleep until this process uses next to no CPU time: its pool's workers have gone to sleep."""
    deadline = time.perf_counter() + most
    while time.perf_counter() < deadline:
        before = time.process_time()
        time.sleep(nap)
        if time.process_time() - before < 0.2 * nap:
            return


def serve(name: str, threads: int) -> None:
    """Answer requests until standard input ends; any failure is an answer too, the next case may work.

    What the library prints goes to standard error.
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    try:
        peer = Peer(name, threads)
        print(json.dumps(peer.about()), file=answers, flush=True)
    except Exception as error:  # noqa: BLE001
        print(json.dumps({"error": f"{type(error).__name__}: {error}"}), file=answers, flush=True)
        return
    for line in sys.stdin:
        request = json.loads(line)
        try:
            sample = request["do"] == "sample"
            answer = peer.sample() if sample else peer.prepare(request["stem"], request["index"])
        except Exception as error:  # noqa: BLE001
            answer = {"error": f"{type(error).__name__}: {error}".splitlines()[0]}
        print(json.dumps(answer), file=answers, flush=True)
