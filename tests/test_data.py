"""Digits, mini-batches and splits."""

import itertools
import os
import threading

import numpy as np
import pytest
from fastml._kernels.gather import gather

from fastml import data
from fastml.data import minibatches

from .common import LAYOUTS, relayout, run_script, with_threads


def test_digits_as_published():
    X, y = data.load_digits()
    assert X.shape == (1797, 64) and X.dtype == np.float32
    assert y.shape == (1797,) and y.dtype == np.int64
    assert np.bincount(y).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert X[0, :8].tolist() == [0, 0, 5, 13, 9, 1, 0, 0]
    assert X.sum() == 561718 and np.array_equal(X, np.round(X)) and X.max() == 16


def test_digits_equal_scikit_learns():
    theirs = pytest.importorskip("sklearn.datasets").load_digits()
    X, y = data.load_digits()
    np.testing.assert_array_equal(X, theirs.data)
    np.testing.assert_array_equal(y, theirs.target)


def test_digits_are_new_arrays_on_every_call():
    X, y = data.load_digits()
    X[:] = -1
    y[:] = -1
    X, y = data.load_digits()
    assert X.min() == 0 and y.min() == 0


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("batch_size", [1, 3, 7, 10, 11, None, "auto"])
@pytest.mark.parametrize("n", [0, 1, 7, 10])
def test_every_row_once_and_rows_stay_together(n, batch_size, drop_last, shuffle):
    X, y = np.arange(2.0 * n).reshape(n, 2), np.arange(n)
    passes = data.batches(X, y, batch_size=batch_size, shuffle=shuffle, drop_last=drop_last)
    batches = list(passes)
    size = batch_size if isinstance(batch_size, int) else max(n, 1)
    assert len(passes) == len(batches) == (n // size if drop_last else -(-n // size))
    assert all(isinstance(batch, tuple) and len(batch) == 2 for batch in batches)
    assert all(len(yb) == size for _, yb in batches[:-1])
    for xb, yb in batches:
        np.testing.assert_array_equal(xb[:, 0], 2 * yb)
    seen = [label for _, yb in batches for label in yb.tolist()]
    assert len(set(seen)) == len(seen) == (n // size * size if drop_last else n)
    if not shuffle:
        assert seen == list(range(len(seen)))


def order(batches):
    return np.concatenate([batch[0] for batch in batches]).tolist()


def test_order_depends_on_seed_and_pass():
    x = np.arange(100)
    first = data.batches(x, batch_size=8, seed=3)
    again = data.batches(x, batch_size=8, seed=3)
    orders = [order(first) for _ in range(3)]
    assert orders == [order(again) for _ in range(3)]
    assert orders[0] != orders[1] != orders[2] != orders[0]
    assert orders[0] != list(range(100))
    assert order(data.batches(x, batch_size=8, seed=4)) != orders[0]
    resumed = data.batches(x, batch_size=8, seed=3)
    resumed.epoch = 2
    assert order(resumed) == orders[2]
    # The batch size cuts the order and does not change it.
    assert order(data.batches(x, batch_size=None, seed=3)) == orders[0]
    assert sorted(order(data.batches(x, seed=None))) == list(range(100))


def test_passes_may_overlap():
    x = np.arange(50)
    expected = [order(one) for one in itertools.repeat(data.batches(x, batch_size=4, seed=0), 2)]
    both = data.batches(x, batch_size=4, seed=0)
    a, b = iter(both), iter(both)
    b_first = list(b)
    assert [order(a), order(b_first)] == expected


def test_no_copy_of_the_data_set():
    x = np.arange(1000.0).reshape(100, 10)
    for (xb,) in data.batches(x, batch_size=8, shuffle=False):
        assert np.shares_memory(xb, x)
    for (xb,) in data.batches(x, batch_size=8):
        assert xb.base is None and len(xb) <= 8
    changed = data.batches(x, batch_size=8)
    x[:] = 5
    assert all((xb == 5).all() for (xb,) in changed)


@pytest.mark.parametrize(("n", "size"), [(1, 1), (1999, 1999), (2000, 64), (10_000, 128), (60_000, 256), (10**6, 512)])
def test_auto(n, size):
    assert data.batches(np.broadcast_to(0, n)).batch_size == size


# One seed's order, as it always was: numpy's generator from [seed, pass].
def test_the_order_of_a_seed():
    x = np.arange(1000)
    want = np.random.default_rng([7, 1]).permutation(1000)
    passes = data.batches(x, batch_size=64, seed=7)
    iter(passes)
    assert order(passes) == want.tolist()


KINDS = ["?", "u1", "i2", "f4", "f8", "c16", ">f4", "U3", "S5", "M8[s]", "O", [("a", "f4"), ("b", "u1", 3)]]


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("shape", [(50,), (50, 1), (50, 3), (50, 7, 11), (50, 300), (50, 0), (50, 2, 0)])
def test_rows_of_every_kind(shape, kind):
    x = np.random.default_rng(0).integers(0, 100, shape).astype("f8").astype(kind)
    rows = np.random.default_rng(1).integers(0, 50, 70)
    for layout in LAYOUTS if np.dtype(kind).kind in "?uifc" else ["C", "F", "reversed"]:
        laid = relayout(x, layout)
        (got,) = minibatches._take(minibatches._ways([laid]), rows)
        want = laid[rows]
        assert got.dtype == want.dtype and got.shape == want.shape and got.flags.c_contiguous
        assert got.base is None and got.flags.writeable
        assert np.array_equal(got, want)


@pytest.mark.parametrize(("n", "width"), [(60_000, 1), (60_000, 10), (3000, 784), (40, 100_003)])
@pytest.mark.parametrize("kind", ["u1", "f4", "f8"])
def test_big_rows_with_any_number_of_threads(n, width, kind):
    x = np.random.default_rng(0).integers(0, 200, (n, width)).astype(kind)
    for rows in (np.random.default_rng(1).permutation(n), np.random.default_rng(1).permutation(n)[: n // 3]):
        want = x[rows]
        for source in (x, x[:, : width // 2 + 1], x[::-1], np.broadcast_to(x[0], x.shape)):
            want = source[rows]
            for threads in (1, 2, 3, 7):
                assert np.array_equal(with_threads(threads, gather, source, rows), want)


def test_gather_refuses_rows_that_are_not_there():
    x = np.zeros((5, 3))
    for row in (5, -1, 2**62, -(2**63)):
        with pytest.raises(IndexError, match=f"rows must lie in 0 .. 4, not {row}"):
            gather(x, np.array([0, row]))
    with pytest.raises(IndexError):
        gather(x[:0], np.array([0]))
    assert gather(x[:0], np.zeros(0, np.int64)).shape == (0, 3)


# Prefetching


@pytest.mark.parametrize("prefetch", [1, 2, 50])
@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("batch_size", [1, 7, None])
def test_prefetched_batches_are_the_same(batch_size, drop_last, shuffle, prefetch):
    X, y = np.random.default_rng(0).random((40, 3)), np.arange(40)
    options = {"batch_size": batch_size, "drop_last": drop_last, "shuffle": shuffle}
    plain, ahead = data.batches(X, y, **options), data.batches(X, y, **options, prefetch=prefetch)
    for _ in range(2):
        for one, other in zip(plain, ahead, strict=True):
            assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def batch_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("fastml-batches")]


def test_a_pass_left_early_leaves_no_thread():
    x = np.arange(100_000.0).reshape(-1, 10)
    for taken in (0, 1, 3):
        passing = iter(data.batches(x, batch_size=16, prefetch=4))
        for _ in range(taken):
            next(passing)
        passing.close()
    for _ in data.batches(x, batch_size=16, prefetch=4):
        break
    for thread in batch_threads():
        thread.join(5)
    assert not batch_threads()


def test_what_prefetching_raises_comes_out_in_its_place(monkeypatch):
    def failing(ways, rows, take=minibatches._take):
        if 8 in rows:
            raise MemoryError("no room")
        return take(ways, rows)

    monkeypatch.setattr(minibatches, "_take", failing)
    x = np.arange(20)
    passing = iter(data.batches(x, batch_size=2, prefetch=3))
    seen = 0
    with pytest.raises(MemoryError, match="no room"):
        for _ in passing:
            seen += 1
    place = np.random.default_rng([0, 0]).permutation(20).tolist().index(8)
    assert seen == place // 2
    assert list(passing) == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_prefetching_and_fork():
    """A pass begun before the fork goes on in parent and child, and a new one begins in the child."""
    code = """
        import os, signal
        import numpy as np
        from fastml import data

        signal.alarm(60)
        x = np.random.default_rng(0).random((50_000, 20))
        whole = [b[0] for b in data.batches(x, batch_size=512, seed=3)]
        passing = iter(data.batches(x, batch_size=512, seed=3, prefetch=2))
        seen = [next(passing)[0] for _ in range(5)]
        child = os.fork()
        seen += [b[0] for b in passing]
        same = len(seen) == len(whole) and all(np.array_equal(a, b) for a, b in zip(seen, whole))
        if child == 0:
            again = [b[0] for b in data.batches(x, batch_size=512, seed=3, prefetch=2)]
            same = same and all(np.array_equal(a, b) for a, b in zip(again, whole))
            os._exit(0 if same else 1)
        assert same and os.waitpid(child, 0)[1] == 0
        left = iter(data.batches(x, batch_size=8, prefetch=2))  # never finished, at the interpreter's end
        next(left)
    """
    run_script(code, timeout=90)


def test_many_passes_at_once():
    x = np.arange(3000)
    passes = [iter(data.batches(x, batch_size=100, seed=s, prefetch=2)) for s in range(8)]
    for count, batches in enumerate(zip(*passes, strict=True)):
        for seed, (batch,) in enumerate(batches):
            rows = np.random.default_rng([seed, 0]).permutation(3000)[100 * count : 100 * count + 100]
            assert np.array_equal(batch, rows)


def test_lists_and_more_axes():
    names, image = ["a", "b", "c"], np.zeros((3, 2, 5), np.uint8)
    batch = next(iter(data.batches(names, image, batch_size=2)))
    assert batch[0].shape == (2,) and batch[1].shape == (2, 2, 5) and batch[1].dtype == np.uint8


@pytest.mark.parametrize(
    ("arrays", "options", "error", "text"),
    [
        ((), {}, TypeError, "at least one"),
        ((np.zeros(3), np.zeros(4)), {}, ValueError, r"\[3, 4\]"),
        ((np.float32(3),), {}, ValueError, r"arrays\[0\]"),
        ((np.zeros(3),), {"batch_size": 0}, ValueError, "batch_size must be at least 1, .* not 0"),
        ((np.zeros(3),), {"batch_size": -2}, ValueError, "batch_size must be at least 1, .* not -2"),
        ((np.zeros(3),), {"batch_size": 2.0}, TypeError, "2.0"),
        ((np.zeros(3),), {"batch_size": True}, TypeError, "True"),
        ((np.zeros(3),), {"batch_size": "all"}, ValueError, "'all'"),
        ((np.zeros(3),), {"seed": -1}, ValueError, "-1"),
        ((np.zeros(3),), {"seed": 0.5}, TypeError, "0.5"),
        ((np.zeros(3),), {"prefetch": -1}, ValueError, "prefetch.*-1"),
        ((np.zeros(3),), {"prefetch": 0.5}, TypeError, "prefetch.*0.5"),
    ],
)
def test_errors_of_batches(arrays, options, error, text):
    with pytest.raises(error, match=text):
        data.batches(*arrays, **options)


@pytest.mark.parametrize(("test_size", "n_test"), [(0.2, 3), (0.25, 3), (1, 1), (10, 10), (np.float32(0.5), 6)])
def test_split(test_size, n_test):
    X, y = np.arange(22).reshape(11, 2), np.arange(11)
    X_train, X_test, y_train, y_test = data.split(X, y, test_size=test_size, seed=5)
    assert len(y_test) == n_test and len(y_train) == 11 - n_test
    assert sorted([*y_train, *y_test]) == list(range(11))
    np.testing.assert_array_equal(X_train[:, 0], 2 * y_train)
    np.testing.assert_array_equal(X_test[:, 0], 2 * y_test)
    again = data.split(X, y, test_size=test_size, seed=5)
    np.testing.assert_array_equal(again[3], y_test)
    assert y_test.tolist() != data.split(X, y, test_size=test_size, seed=6)[3].tolist()


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"test_size": 0.0}, ValueError),
        ({"test_size": 1.0}, ValueError),
        ({"test_size": float("nan")}, ValueError),
        ({"test_size": 0}, ValueError),
        ({"test_size": 5}, ValueError),
        ({"test_size": 0.9}, ValueError),
        ({"test_size": "0.2"}, TypeError),
        ({"test_size": True}, TypeError),
        ({"seed": -1}, ValueError),
    ],
)
def test_errors_of_split(options, error):
    with pytest.raises(error):
        data.split(np.arange(5), **options)
