"""The same bits for every number of threads, from many Python threads, after a fork and on every FMA target."""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from fastml import _simd

from .common import (
    DTYPES,
    OPS,
    THREADS,
    assert_close,
    assert_same_bits,
    compute,
    compute_all,
    copy_args,
    digests,
    largest,
    run_on_target,
    run_python,
    with_threads,
)

every_op = pytest.mark.parametrize("op", OPS, ids=lambda op: op.id)
every_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=["float32", "float64"])


@every_dtype
@every_op
def test_same_bits_for_every_number_of_threads(op, dtype):
    """Teams of any size, forced also where they do not pay: sizes from a few blocks to many."""

    def run():
        found = digests(op, dtype)
        shapes = [(67, 259), (9001, 2), (7, 33, 65), *([] if op.name.startswith("linear") else [(2, 9001)])]
        for shape in filter(op.valid, shapes):
            found |= {name: np.asarray(value).tobytes() for name, value in compute(op, shape, dtype).items()}
        return found

    want = with_threads(THREADS[0], run)
    for n in THREADS[1:]:
        got = with_threads(n, run)
        assert [name for name in want if got[name] != want[name]] == [], f"{n} threads"


@every_op
def test_many_python_threads_at_once(op):
    jobs = [op.make(op.big[0], np.float32, seed) for seed in range(6)]
    want = [op.run(copy_args(args)) for args in jobs]
    with ThreadPoolExecutor(len(jobs)) as pool:
        for got, wanted in zip(pool.map(op.run, jobs), want, strict=True):
            for g, w in zip(got, wanted, strict=True):
                assert_same_bits(g, w, op.id)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_forked_children_compute_the_same():
    """A child forked after a parallel region works, also from a child of its own, and ends with the same bits."""
    code = """
        import os
        from tests.common import DTYPES, OPS, digests, with_threads

        def run():
            found = {op.id: digests(op, DTYPES[0]) for op in OPS if op.name in ("softmax", "linear", "dropout")}
            return {f"{op} {k}": v for op, values in found.items() for k, v in values.items()}

        def generation(depth):
            same = with_threads(2, run) == here
            if depth < 2:
                child = os.fork()
                if child == 0:
                    os._exit(generation(depth + 1))
                same = os.waitpid(child, 0)[1] == 0 and same
            return 0 if same else 1

        here = with_threads(2, run)
        result = {"status": generation(0)}
    """
    assert run_python(code, timeout=60)["status"] == 0


TARGET_SHAPES = [(5, 17), (3, 2, 67), (64, 33)]


@pytest.fixture(scope="module")
def on_targets():
    """Return the results of all functions for every target that this CPU runs."""
    code = f"from tests.common import *; result = compute_all({TARGET_SHAPES}) | digest_all()"
    return {target: run_on_target(target, code) for target in _simd.available_targets()}


def test_same_bits_on_every_fma_target(on_targets):
    targets = [target for target in on_targets if target != "baseline"]
    if len(targets) < 2:
        pytest.skip(f"this CPU runs {targets}")
    first, *others = (on_targets[target] for target in targets)
    for other in others:
        assert first.keys() == other.keys()
        different = [name for name in first if first[name].tobytes() != other[name].tobytes()]
        assert not different


def test_every_target_is_accurate(on_targets):
    here = compute_all(TARGET_SHAPES)
    ulp = {op.id: op.ulp for op in OPS}
    for target, results in on_targets.items():
        for name, want in here.items():
            allowed = 2 * ulp[name.rsplit(" ", 3)[0]]
            scale = largest(want) if want.dtype.kind == "f" else 0
            if want.dtype == np.float64:  # statistics of floats, too, whose terms are floats
                allowed *= np.finfo(name.rsplit(" ", 2)[1]).eps / np.finfo(np.float64).eps
            assert_close(results[name], want, allowed, scale, f"{target} {name}")
