"""Sixteen threads at once: the number of threads, seeds, batches and imports, which all of them share."""

import itertools
import os

import numpy as np
import pytest

import fastml
from fastml import _openmp, data, nn

from .at_once import ROUNDS, THREADS, at_once, switching
from .common import run_script

pytestmark = pytest.mark.usefixtures(switching.__name__)


def test_the_number_of_threads():
    before, chosen = fastml.get_num_threads(), _openmp.chosen_threads()

    def inside(k):
        for _ in range(20 * ROUNDS):
            with fastml.num_threads(1 + k):
                assert fastml.get_num_threads() == 1 + k
                with fastml.num_threads(3):
                    assert fastml.get_num_threads() == 3
            assert fastml.get_num_threads() in (before, 2)

    def set_it(k):
        for n in (2, before) * (10 * ROUNDS):
            fastml.set_num_threads(n)

    try:
        at_once(inside, set_it)
    finally:
        _openmp.set_threads(chosen)


def test_layers_without_a_seed_draw_from_one_stream():
    nn.manual_seed(0)
    want = sorted(nn.Dropout().seed for _ in range(THREADS * 50))
    nn.manual_seed(0)
    got = at_once(lambda k: [nn.Dropout().seed for _ in range(50)])
    assert sorted(itertools.chain(*got)) == want


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_child_of_fork_finds_the_locks_open():
    seen, _ = run_script(
        """
        import os, signal, threading
        import numpy as np
        from fastml import data, nn
        ended, shared = threading.Event(), data.batches(np.arange(1000), batch_size=10)
        def draw():
            while not ended.is_set():
                nn.Dropout(), iter(shared)
        others = [threading.Thread(target=draw) for _ in range(3)]
        for t in others: t.start()
        codes = []
        for _ in range(20):
            if not (child := os.fork()):
                signal.alarm(20)
                nn.Dropout(), next(iter(shared))
                os._exit(0)
            codes.append(os.waitpid(child, 0)[1])
        ended.set()
        for t in others: t.join()
        print(codes == [0] * 20)
        """,
    )
    assert seen.strip() == "True"


@pytest.mark.parametrize("options", [{}, {"shuffle": False}, {"prefetch": 2}], ids=str)
def test_batches_and_their_passes_are_shared(options):
    given = data.batches(np.arange(400), batch_size=3, **options)

    def pass_alone(k):
        one = iter(given)
        return one.epoch, sorted(itertools.chain.from_iterable(rows.tolist() for (rows,) in one))

    passes = at_once(pass_alone)
    assert sorted(epoch for epoch, _ in passes) == list(range(THREADS))
    assert all(rows == list(range(400)) for _, rows in passes)
    for _ in range(ROUNDS):
        one = iter(given)
        parts = at_once(lambda k, one=one: [rows for (rows,) in one])
        assert sorted(np.concatenate(list(itertools.chain(*parts))).tolist()) == list(range(400))
        assert one.over and one.batch == len(given)


def test_imports_at_once():
    seen, _ = run_script(
        """
        import sys, threading
        from importlib import import_module
        sys.setswitchinterval(5e-6)
        names = ["", ".nn", ".optim", ".data", ".metrics", ".preprocessing", ".reference", ".verify"] * 2
        start, errors = threading.Barrier(len(names)), []
        def load(name):
            start.wait()
            try:
                module = import_module("fastml" + name)
                import numpy as np, fastml
                assert (fastml.softmax(np.zeros((1, 4))) == 0.25).all() and module
            except BaseException as error:
                errors.append(error)
        threads = [threading.Thread(target=load, args=(name,)) for name in names]
        for t in threads: t.start()
        for t in threads: t.join()
        print(errors)
        """
    )
    assert seen.strip() == "[]"
