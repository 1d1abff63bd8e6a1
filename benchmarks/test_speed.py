"""The same cases under pytest-benchmark: `pytest benchmarks --benchmark-only [-k "softmax and fastml"]`.

One process times all peers in turn here, so their thread pools disturb one another; `fastml bench` is the
fair run.
"""

from importlib.util import find_spec

import pytest

from fastml import get_num_threads

from .common import PEERS, load, stems
from .worker import set_threads

pytest.importorskip("pytest_benchmark")


def pytest_generate_tests(metafunc):
    found = {"fastml", *(peer for peer in PEERS if find_spec(peer))}
    rows = [
        (case, peer, f"{case.label} {peer}")
        for stem in stems()
        for case in load(stem)
        for peer in ("fastml", *case.peers)
        if peer in found
    ]
    metafunc.parametrize(("case", "peer"), [row[:2] for row in rows], ids=[row[2] for row in rows])


def test_speed(benchmark, case, peer):
    set_threads(peer, case.threads or get_num_threads())
    call = case.setup().checked(peer)
    benchmark.group = case.label
    benchmark(call)
