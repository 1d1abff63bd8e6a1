"""Where fastml's arrays lie: on a cache line, in memory that is NumPy's to resize and free, and kept to a bound."""

import os
import pickle
import sys
import tracemalloc
import weakref
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

import numpy as np
import pytest

import fastml
from fastml import _memory, data, nn, optim

from .common import DTYPES, OPS, map_arrays, run_script

SIZES = [0, 1, 15, 16, 17, 1000, 1024, 1025, 100_000, 1_048_560, 1_048_576, 1_100_000]
LARGE_KEPT, MIDDLE_KEPT, SMALL_KEPT = 64 << 20, 16 << 20, 2 << 20
every_size = pytest.mark.parametrize("size", SIZES)


def on_a_line(*arrays):
    return all(a.ctypes.data % 64 == 0 for a in arrays)


def new(size):
    """An array of floats as a kernel makes it."""
    return fastml.relu(np.ones(size, np.float32))


@pytest.mark.parametrize("dtype", DTYPES, ids=["float32", "float64"])
@pytest.mark.parametrize("op", OPS, ids=lambda op: op.id)
def test_results_begin_on_a_line(op, dtype):
    for shape in filter(op.valid, ((37, 5), (300, 40), (4, 3, 8, 8))):
        for layout in (np.ascontiguousarray, np.asfortranarray):
            args = map_arrays(op.make(shape, dtype, seed=0), op.arrays, layout)
            updated = [args.get(name) for name in op.mutated]
            updated = [a for value in updated for a in (value if isinstance(value, list) else [value])]
            for k, y in enumerate(op.run(args)):
                if isinstance(y, np.ndarray) and not any(y is a for a in updated):
                    assert on_a_line(y), (k, shape, layout)


@every_size
def test_any_size(size):
    assert all(on_a_line(new(size)) for _ in range(20))
    kept = [new(size) for _ in range(20)]
    assert on_a_line(*kept)
    for k, x in enumerate(kept):
        x[...] = k
    assert all((x == k).all() for k, x in enumerate(kept))


@pytest.mark.parametrize("name", [name for name, it in vars(optim).items() if hasattr(it, "_advance")])
def test_what_training_keeps_begins_on_a_line(name):
    model = nn.Sequential(nn.Linear(20, 33, seed=0), nn.BatchNorm(33), nn.LayerNorm(33), nn.Linear(33, 7, seed=1))
    options = {"momentum": 0.9} if name in ("SGD", "RMSprop") else {}
    opt = getattr(optim, name)(model.parameters(), lr=0.01, **options)
    ema = optim.EMA(model.parameters(), decay=0.9)
    x, y = next(iter(data.batches(np.ones((9, 20), np.float32), np.arange(9) % 7, batch_size=9, seed=0)))
    logits = model(x)
    _, grad = nn.CrossEntropyLoss()(logits, y)
    model.backward(grad)
    opt.step()
    ema.update()
    lists = [opt._velocities] if name == "SGD" else [a for a in opt._arrays.values() if a]
    assert lists
    for array in chain([x, logits, grad, model[1].running_mean, model[1].running_var], ema._averages, *lists):
        assert on_a_line(array)
    for p in model.parameters():
        assert on_a_line(p.value, p.grad)


@every_size
def test_an_array_owns_its_memory(size):
    x = new(size)
    assert x.flags.owndata and x.base is None and x.flags.writeable and sys.getsizeof(x) >= x.nbytes
    gone = weakref.ref(x)
    same = pickle.loads(pickle.dumps(x))
    assert np.array_equal(same, x) and not np.shares_memory(same, x)
    view = x[1:]
    del x
    assert gone() is not None or size == 0
    assert (view == 1).all()
    del view
    assert gone() is None


@every_size
def test_resize(size):
    x = new(size)
    for wanted in (2 * size + 3, size // 3, size + 1, 0, 5000):
        before = x.copy()
        x.resize(wanted, refcheck=False)
        both = min(len(before), wanted)
        assert np.array_equal(x[:both], before[:both]) and not x[both:].any() and on_a_line(x)
        x[...] = wanted + 1


def test_a_changed_dtype_or_shape_is_freed_as_it_was_made():
    for _ in range(50):
        x = new(1000)
        x.dtype = np.uint8
        x.shape = (40, 100)
        y = new(1000)
        y.resize(10, refcheck=False)
        del x, y
        a, b = new(1000), new(10)
        a[...], b[...] = 1, 2
        assert (a == 1).all() and (b == 2).all()


@every_size
def test_tracemalloc_sees_it(size):
    new(size)  # so that its memory is kept
    tracemalloc.start()
    try:
        x = new(size)
        domain = [tracemalloc.DomainFilter(inclusive=True, domain=np.lib.tracemalloc_domain)]
        seen = [t.size for t in tracemalloc.take_snapshot().filter_traces(domain).traces]
        assert max(x.nbytes, 1) in seen or (size == 0 and 0 in seen)
        del x
        assert size == 0 or 4 * size not in [t.size for t in tracemalloc.take_snapshot().filter_traces(domain).traces]
    finally:
        tracemalloc.stop()


def assert_within_bounds():
    small, middle, large, lent = _memory.kept()
    assert small <= SMALL_KEPT and middle <= MIDDLE_KEPT and large <= LARGE_KEPT
    if sys.platform == "linux":
        assert lent <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 16
    else:
        assert lent == 0


def test_what_is_kept_has_a_bound():
    rng = np.random.default_rng(0)
    for _ in range(300):
        size = int(np.exp(rng.uniform(0, np.log(6_000_000))))
        held = [_memory.empty(size, np.float32) for _ in range(int(rng.integers(1, 12)))]
        assert on_a_line(*held)
        del held
        assert_within_bounds()
    first = _memory.empty(LARGE_KEPT, np.uint8).ctypes.data
    assert _memory.empty(LARGE_KEPT, np.uint8).ctypes.data == first
    _memory.empty(LARGE_KEPT + 1, np.uint8)
    assert_within_bounds()


def test_memory_is_used_again():
    for bytes_ in (1, 64, 4096, 4097, 400_000, 4_000_000, 5_000_000, 60_000_000):
        _memory.empty(bytes_, np.uint8)
        assert len({_memory.empty(bytes_, np.uint8).ctypes.data for _ in range(5)}) == 1, bytes_


def test_threads():
    def work(seed):
        rng = np.random.default_rng(seed)
        held = []
        for k in range(400):
            size = int(rng.choice(SIZES[1:-2])) + int(rng.integers(0, 3))
            x = new(size)
            x[...] = seed * 1000 + k
            held.append((x, seed * 1000 + k))
            if len(held) > 5:
                x, value = held.pop(int(rng.integers(0, 6)))
                if not ((x == value).all() and on_a_line(x)):
                    return False
        return True

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(work, range(6)))
    assert_within_bounds()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_has_its_own():
    run_script("""
        import os, numpy as np, fastml
        ones = np.ones(2_000_000, np.float32)
        for _ in range(3):
            fastml.relu(ones), fastml.relu(ones[:100])
        held = fastml.relu(ones)
        child = os.fork()
        for size in (100, 5000, 2_000_000):
            x = fastml.relu(ones[:size])
            x[...] = 2 if child else 3
            assert (x == (2 if child else 3)).all()
        held[...] = 5 if child else 6
        if not child:
            os._exit(0 if (held == 6).all() else 1)
        assert os.waitpid(child, 0)[1] == 0 and (held == 5).all()
    """)


@pytest.mark.parametrize("keeps", [True, False])
def test_pythonmalloc_keeps_nothing(keeps):
    run_script(
        f"""
        import numpy as np, fastml
        from fastml import _memory
        for size in (10, 10_000, 2_000_000):
            assert fastml.relu(np.ones(size, np.float32)).ctypes.data % 64 == 0
        assert any(_memory.kept()) == {keeps}
        """,
        PYTHONMALLOC="pymalloc" if keeps else "malloc",
    )


@pytest.mark.parametrize("dtype", [object, [("a", "f4"), ("b", "O")]])
def test_no_memory_for_pythons_objects(dtype):
    with pytest.raises(TypeError, match="dtype must hold no Python objects, not "):
        _memory.empty((2, 3), dtype)


def test_too_much_is_refused_as_numpy_refuses_it():
    labels = np.zeros(10, np.int64)
    with pytest.raises(ValueError, match="too big"):
        fastml.one_hot(labels, 2**62)
    with pytest.raises(MemoryError, match="Unable to allocate"):
        fastml.one_hot(labels, 2**50)


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_what_is_kept_is_given_back_where_there_is_no_more():
    run_script("""
        import resource, numpy as np, fastml
        from fastml import _memory
        ones = np.ones(4 << 20, np.float32)
        fastml.relu(ones), fastml.relu(ones[: 1 << 18])
        held = sum(_memory.kept())
        assert held >= 17 << 20
        size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + (4 << 20),) * 2)
        y = fastml.dropout_mask(10 << 20, 0.0, seed=0)  # no kept one fits
        assert y.all() and sum(_memory.kept()) < held - (16 << 20)
        np.testing.assert_raises(MemoryError, fastml.dropout_mask, 64 << 20, 0.0, seed=0)
    """)


@pytest.mark.skipif(sys.platform != "linux", reason="lends none")
def test_large_results_that_take_turns_are_kept():
    if os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") < 6e9:
        pytest.skip("a sixteenth of this machine's memory is less")
    run_script(f"""
        import numpy as np, fastml
        from fastml import _memory
        sizes = [40 << 20, 50 << 20, 60 << 20, 100 << 20]
        def turn():
            return [_memory.empty(size, np.uint8).ctypes.data for size in sizes]
        turn()
        first = turn()
        assert all(turn() == first for _ in range(5))
        held = [_memory.empty(8 << 20, np.uint8) for _ in range(30)]
        places = {{x.ctypes.data for x in held}}
        del held
        again = [_memory.empty(8 << 20, np.uint8) for _ in range(30)]
        assert {{x.ctypes.data for x in again}} == places
        small, middle, large, lent = _memory.kept()
        assert large <= {LARGE_KEPT} and lent > 100 << 20
    """)


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_what_is_lent_is_never_in_the_way():
    """Half of the address space is held, in ever other sizes: what is kept of them must not fill the rest."""
    run_script("""
        import resource, numpy as np
        from fastml import _memory
        _memory.empty(1, np.uint8)
        size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + (600 << 20),) * 2)
        rng, held = np.random.default_rng(0), []
        for _ in range(400):
            held.append(_memory.empty(int(rng.integers(1 << 20, 90 << 20)), np.uint8))
            held[-1][:: 1 << 12] = 7
            while sum(x.nbytes for x in held) > 300 << 20:
                x = held.pop(int(rng.integers(0, len(held))))
                assert (x[:: 1 << 12] == 7).all()
    """)


@pytest.mark.skipif(sys.platform != "linux", reason="keeps none of this size")
@pytest.mark.parametrize("limit", [None, 8 << 30])
def test_of_a_bounded_address_space_a_sixteenth_is_kept(limit):
    """600 MB are more than that of 8 GiB."""
    if limit is None and os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") < 10e9:
        pytest.skip("a sixteenth of this machine's memory is less")
    run_script(f"""
        import resource
        if {limit}:
            resource.setrlimit(resource.RLIMIT_AS, ({limit},) * 2)
        from fastml import _memory
        _memory.empty(600_000_000, bool)
        assert (_memory.kept()[3] > 0) == {limit is None}
    """)
