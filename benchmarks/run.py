"""A run: one process per peer, interleaved rounds, one table.

Every round asks each peer for one sample, in an order that rotates; a time is the median over the rounds, a
ratio the median of the rounds' ratios, so that what slows the machine for a while slows both sides of it. The
limit takes part as one more peer: as many multiply-adds in registers, then moving as many bytes, in the same
cache or in memory.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Self

from .common import PEERS, Case
from .worker import LIMIT

BUSY = 0.05  # a share of the CPUs for other programs above which a row is not to be trusted
BLAS_SETTINGS = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")


class Worker:
    """A peer's process, spoken to by lines of JSON; a context manager that ends it."""

    def __init__(self, peer: str, threads: int):
        # The library comes before fastml, whose settings for its own OpenMP runtime it must not see.
        first = "" if peer == LIMIT else f"import {peer}; "
        code = (
            f"import signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); sys.path[:] = {sys.path!r}; "
            f"{first}from {__package__}.worker import serve; serve({peer!r}, {threads})"
        )
        self.peer = peer
        self.process = subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc) -> None:
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            self.process.wait(2)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()

    def ask(self, **request) -> None:
        with suppress(BrokenPipeError):  # answer() finds the end of the output and says so
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()

    def answer(self) -> dict:
        line = self.process.stdout.readline()
        return json.loads(line) if line else {"error": f"process ended with code {self.process.wait()}"}


@dataclass
class Row:
    """One case: seconds by peer (medians), ratios peer / fastml (medians of ratios), and what went wrong."""

    stem: str
    op: str
    shape: str
    dtype: str
    threads: int
    nbytes: int
    flops: int
    rounds: int = 0
    others: float = 0.0  # the share of the CPUs that other programs used meanwhile
    seconds: dict[str, float] = field(default_factory=dict)
    ratios: dict[str, float] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)

    def best(self) -> tuple[str, float] | None:
        """The fastest peer and fastml's lead over it (above 1: fastml is faster)."""
        if not self.ratios:
            return None
        peer = min(self.ratios, key=self.ratios.__getitem__)
        return peer, self.ratios[peer]

    def limit_share(self) -> float | None:
        """The limit's time over fastml's: 1 is a kernel as fast as the multiply-adds and the memory are."""
        if LIMIT in self.seconds and "fastml" in self.seconds:
            return self.seconds[LIMIT] / self.seconds["fastml"]
        return None


class Run:
    """The processes of one run, a context manager.

    `machine` describes it; `rows()` times one case after the other. cases: (stem, index, case), as
    `common.select` gives them. Peers in `against` that are not installed are in `missing`, those that have
    one of the operations in `peers`.
    """

    def __init__(
        self,
        cases: list[tuple[str, int, Case]],
        against: list[str],
        threads: int,
        rounds: int,
        seconds_per_case: float = 4.0,
    ):
        self.cases, self.threads, self.rounds, self.budget = cases, threads, rounds, seconds_per_case
        wanted = [peer for peer in against if any(peer in case.peers for _, _, case in cases)]
        self.missing = [peer for peer in wanted if find_spec(peer) is None]
        self.peers = [peer for peer in wanted if peer not in self.missing]
        self.machine: dict = {}

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.workers = [stack.enter_context(Worker(peer, self.threads)) for peer in ("fastml", *self.peers, LIMIT)]
            about = {worker.peer: worker.answer() for worker in self.workers}
            self._stack = stack.pop_all()
        self.machine = machine(self.threads, about)
        self.workers = [worker for worker in self.workers if "error" not in about[worker.peer]]
        return self

    def __exit__(self, *exc) -> None:
        self._stack.close()

    def rows(self) -> Iterator[Row]:
        for stem, index, case in self.cases:
            row = Row(stem, case.op, case.shape, case.dtype, case.threads or self.threads, case.nbytes, case.flops)
            ready = []
            for worker in self.workers:
                worker.ask(do="prepare", stem=stem, index=index)
                answer = worker.answer()
                if "error" in answer:
                    row.errors[worker.peer] = answer["error"]
                elif not answer.get("skip"):
                    ready.append(worker)
            self._time(row, ready)
            yield row

    def _time(self, row: Row, ready: list[Worker]) -> None:
        used_before, start = self._used_by_others(), time.monotonic()
        self._rounds(row, ready, start)
        share = (self._used_by_others() - used_before) / (time.monotonic() - start) / os.cpu_count()
        row.others = max(0.0, round(share, 3))

    def _used_by_others(self) -> float:
        """CPU seconds since boot of all programs but this run's; 0 where there is no /proc."""
        try:
            busy = sum(map(int, Path("/proc/stat").read_text().splitlines()[0].split()[1:4]))
            for pid in (os.getpid(), *(worker.process.pid for worker in self.workers)):
                busy -= sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]))
        except OSError:
            return 0.0
        return busy / os.sysconf("SC_CLK_TCK")

    def _rounds(self, row: Row, ready: list[Worker], start: float) -> None:
        samples: dict[str, list[float]] = {worker.peer: [] for worker in ready}
        while row.rounds < self.rounds and ready:
            if row.rounds >= 5 and time.monotonic() - start > self.budget:
                break
            turn = row.rounds % len(ready)
            answers = {}
            for worker in ready[turn:] + ready[:turn]:
                worker.ask(do="sample")
                answers[worker.peer] = worker.answer()
            failed = {peer: answer["error"] for peer, answer in answers.items() if "error" in answer}
            if failed:
                row.errors |= failed
                return
            for peer, answer in answers.items():
                samples[peer].append(answer["seconds"])
            row.rounds += 1
        row.seconds = {peer: median(times) for peer, times in samples.items()}
        if "fastml" in samples:
            row.ratios = {
                peer: median(theirs / ours for theirs, ours in zip(times, samples["fastml"], strict=True))
                for peer, times in samples.items()
                if peer in PEERS
            }


def machine(threads: int, about: dict[str, dict]) -> dict:
    """What the figures depend on: CPU, threads, instruction set in use, BLAS, versions."""
    fastml = about["fastml"]
    return {
        "cpu": fastml.get("cpu", ""),
        "threads": threads,
        "isa": fastml.get("isa", ""),
        "blas": fastml.get("blas", ""),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": {peer: told["version"] for peer, told in about.items() if "version" in told},
        "settings": {name: os.environ[name] for name in BLAS_SETTINGS if name in os.environ},
        "failed": {peer: told["error"] for peer, told in about.items() if "error" in told},
    }


def to_json(machine: dict, rows: list[Row]) -> str:
    return json.dumps({"machine": machine, "rows": [asdict(row) for row in rows]}, indent=1) + "\n"
