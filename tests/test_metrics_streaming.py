"""ConfusionMatrix: pieces and shards give what one call over all samples gives."""

import itertools
import math
import os
import pickle
import sys
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from fastml import metrics
from fastml.reference import classification as reference

from .common import assert_same_bits
from .processes import run_script

RNG = np.random.default_rng(0)
TRUE = RNG.integers(0, 7, 5000)
PRED = np.where(RNG.random(5000) < 0.6, TRUE, RNG.integers(0, 7, 5000))
NAMES = np.array(["b", "a", "e", "d", "c", "f", "ä"])


def fed(stream, true, pred, weight=None, cuts=(0, 3, 3000, 3001, 5000)):
    for first, last in itertools.pairwise(cuts):
        piece = slice(first, last)
        stream.update(true[piece], pred[piece], None if weight is None else weight[piece])
    return stream


@pytest.mark.parametrize("weight", [None, RNG.integers(-5, 5, 5000), RNG.integers(0, 9, 5000) / 8])
@pytest.mark.parametrize("names", [np.arange(7), np.arange(7) - 3, NAMES, np.array([5, -(2**62), 8, 0, 1, 9, 2**62])])
def test_pieces_equal_the_whole(names, weight):
    """The float weights are eighths, whose sums are exact."""
    true, pred = names[TRUE], names[PRED]
    for given in (None, names):
        want = metrics.confusion_matrix(true, pred, labels=given, sample_weight=weight)
        whole = fed(metrics.ConfusionMatrix(labels=given), true, pred, weight)
        assert_same_bits(whole.compute(), want)
        shards = [
            fed(metrics.ConfusionMatrix(labels=given), true, pred, weight, cuts)
            for cuts in ((3000, 5000), (0, 1, 20), (20, 3000))
        ]
        total = metrics.ConfusionMatrix(labels=given)
        for shard in shards:
            total.merge(pickle.loads(pickle.dumps(shard)))
        assert_same_bits(total.compute(), want)
        assert total.labels.tolist() == (sorted(names.tolist()) if given is None else names.tolist())
        for normalize in ("true", "pred", "all"):
            want = metrics.confusion_matrix(true, pred, labels=given, sample_weight=weight, normalize=normalize)
            assert_same_bits(total.compute(normalize), want)


@hypothesis.settings(max_examples=50, deadline=None)
@hypothesis.given(st.lists(st.lists(st.tuples(st.integers(-4, 4), st.integers(-4, 4)), min_size=1), min_size=1))
def test_any_cut(pieces):
    stream = metrics.ConfusionMatrix()
    for piece in pieces:
        stream.update(*zip(*piece, strict=True))
    true, pred = zip(*itertools.chain(*pieces), strict=True)
    want = reference.confusion_matrix(true, pred, labels=stream.labels)
    assert_same_bits(stream.compute(), want)
    assert stream.labels.tolist() == sorted({*true, *pred})


def test_scores_of_a_stream():
    stream = fed(metrics.ConfusionMatrix(7), TRUE, PRED)
    assert stream.accuracy() == metrics.accuracy_score(TRUE, PRED)
    for adjusted in (False, True):
        want = metrics.balanced_accuracy_score(TRUE, PRED, adjusted=adjusted)
        assert stream.balanced_accuracy(adjusted=adjusted) == want
    for weights in (None, "linear", "quadratic"):
        assert stream.cohen_kappa(weights=weights) == metrics.cohen_kappa_score(TRUE, PRED, weights=weights)
    assert stream.matthews_corrcoef() == metrics.matthews_corrcoef(TRUE, PRED)
    assert stream.classification_report() == metrics.classification_report(TRUE, PRED)
    for options in ({}, {"average": "macro", "beta": 2}, {"labels": [3, 9], "zero_division": 1}):
        got = stream.precision_recall_fscore(**options)
        for g, w in zip(got, metrics.precision_recall_fscore(TRUE, PRED, **options), strict=True):
            assert np.array_equal(g, w)


def test_classes_that_have_not_come():
    stream = metrics.ConfusionMatrix(10)
    assert math.isnan(stream.accuracy()) and stream.matthews_corrcoef() == 0
    with pytest.warns(metrics.UndefinedMetricWarning):
        assert math.isnan(stream.cohen_kappa())
    with pytest.warns(metrics.UndefinedMetricWarning, match="0 classes"):
        assert math.isnan(stream.balanced_accuracy())
    fed(stream, TRUE, PRED)
    assert stream.balanced_accuracy() == metrics.balanced_accuracy_score(TRUE, PRED)
    assert stream.cohen_kappa() == pytest.approx(metrics.cohen_kappa_score(TRUE, PRED), rel=1e-14)
    for score in (stream.precision_recall_fscore, stream.classification_report):
        with pytest.warns(metrics.UndefinedMetricWarning, match="Precision|Recall|F-score") as caught:
            result = score()
        assert {w.filename for w in caught} == {__file__}
        assert len(result) == 4 if isinstance(result, tuple) else len(result.splitlines()) == 16
    assert repr(stream) == "ConfusionMatrix(10 classes, total 5000)"


@pytest.mark.parametrize(
    ("classes", "n", "calls"),
    [(7, 5, 4000), (7, 5000, 300), (200, 50, 1000), (200, 50000, 20)],  # each way in which the kernel counts
)
@pytest.mark.parametrize("how", ["num_classes", "open", "weights"])
def test_threads_lose_no_count(how, classes, n, calls):
    """Every thread brings a class of its own, by which an open stream grows while the others count."""
    rng = np.random.default_rng(n)
    threads, calls = 4, calls if how != "weights" else calls // 10
    stream = metrics.ConfusionMatrix(classes if how == "num_classes" else None)
    totals, start = metrics.ConfusionMatrix(classes), threading.Barrier(threads)
    pieces = [rng.integers(0, classes - threads, (2, n)) for _ in range(threads)]
    for k, piece in enumerate(pieces):
        piece[:, 0] = classes - 1 - k

    def feed(piece):
        start.wait()
        for _ in range(calls):
            stream.update(*piece, np.ones(n, np.int64) if how == "weights" else None)
            assert stream.compute().sum() % n == 0  # whole pieces only

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(feed, pieces))
    finally:
        sys.setswitchinterval(before)
    for piece in pieces:
        totals.merge(fed(metrics.ConfusionMatrix(classes), *piece, cuts=(0, n)))
    found = totals.compute()[np.ix_(stream.labels, stream.labels)]
    assert found.sum() == threads * n
    np.testing.assert_array_equal(stream.compute(), calls * found)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_child_of_fork_counts_on():
    """While other threads hold the lock, mostly: more cells than samples, so the counting is within."""
    run_script(
        """
        import os, signal, threading
        import numpy as np
        from fastml import metrics
        stream, piece, ended = metrics.ConfusionMatrix(300), np.arange(20000) % 300, threading.Event()
        def feed():
            while not ended.is_set():
                stream.update(piece, piece)
        others = [threading.Thread(target=feed) for _ in range(3)]
        for t in others: t.start()
        for _ in range(50):
            child = os.fork()
            if not child:
                signal.alarm(20)  # which ends it
                stream.update(piece, piece)
                os._exit(0 if stream.compute().sum() % 20000 == 0 else 1)
            assert os.waitpid(child, 0)[1] == 0
        ended.set()
        for t in others: t.join()
        """
    )


def test_what_compute_returns_is_a_copy():
    stream = fed(metrics.ConfusionMatrix(7), TRUE, PRED)
    stream.compute()[:] = 0
    assert stream.compute().sum() == 5000


def test_counts_become_sums_with_float_weights():
    stream = metrics.ConfusionMatrix(2)
    stream.update([0, 1], [0, 0])
    stream.update([1], [1], [0.5])
    stream.update([1], [1], [2])
    assert_same_bits(stream.compute(), np.array([[1.0, 0], [1, 2.5]]))
    counts = metrics.ConfusionMatrix(2)
    counts.merge(stream)
    assert_same_bits(counts.compute(), stream.compute())


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: metrics.ConfusionMatrix(2, labels=[0, 1]), ValueError, "pass one"),
        (lambda: metrics.ConfusionMatrix(2.0), TypeError, "num_classes must be an integer, not 2.0"),
        (lambda: metrics.ConfusionMatrix(True), TypeError, "num_classes"),
        (lambda: metrics.ConfusionMatrix(0), ValueError, "num_classes must be at least 1, not 0"),
        (lambda: metrics.ConfusionMatrix(labels=[1, 2, 1]), ValueError, "distinct"),
        (lambda: metrics.ConfusionMatrix(labels=[]), ValueError, "at least one label"),
        (lambda: metrics.ConfusionMatrix(labels=3), TypeError, "labels must be an array"),
        (lambda: metrics.ConfusionMatrix(2).merge([[1]]), TypeError, "other must be a ConfusionMatrix"),
        (
            lambda: metrics.ConfusionMatrix(2).merge(metrics.ConfusionMatrix(3)),
            ValueError,
            "other must have the classes",
        ),
        (lambda: metrics.ConfusionMatrix(2).compute("x"), ValueError, "'x'"),
        (lambda: metrics.ConfusionMatrix(2).update([0], [0, 1]), ValueError, "same number of samples"),
        (lambda: metrics.ConfusionMatrix(2).update([[0, 1]], [[0, 1]]), ValueError, "multilabel"),
    ],
)
def test_errors(call, error, text):
    with pytest.raises(error, match=text):
        call()


def test_a_label_out_of_range_counts_nothing():
    for stream in (metrics.ConfusionMatrix(3), metrics.ConfusionMatrix(labels=[2, 0, 1])):
        for true, pred in (([0, 3], [0, 1]), ([0, 1], [0, -1]), (["a"], ["a"])):
            with pytest.raises(IndexError, match="among the classes"):
                stream.update(true, pred)
        assert stream.compute().sum() == 0
    stream = metrics.ConfusionMatrix()
    stream.update([1, 2], [1, 2])
    with pytest.raises(ValueError, match="all strings or all numbers"):
        stream.update(["a"], ["a"])
    assert stream.compute().tolist() == [[1, 0], [0, 1]]


@pytest.mark.parametrize("classes", [2**31, 2**31 + 2**30, 2**62, 10**30, np.int64(2**31)])
def test_too_many_classes_are_refused_at_once(classes):
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=f"num_classes must be .*, not {classes}"):
            metrics.ConfusionMatrix(classes)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8, np.int8, np.uint64])
@pytest.mark.parametrize("n, classes", [(1, 3), (100, 10), (4096, 100), (5000, 7), (5000, 100), (20_000, 10)])
def test_labels_of_known_classes(n, classes, dtype):
    """They are counted where they lie, into the table or into others beside it, and nothing where one is outside."""
    rng = np.random.default_rng(n)
    true, pred = rng.integers(0, classes, (2, n)).astype(dtype)
    stream = metrics.ConfusionMatrix(classes)
    for _ in range(2):
        stream.update(true, pred)
    stream.update(np.repeat(true, 2)[::2], pred)
    want = np.zeros((classes, classes), np.int64)
    np.add.at(want, (true.astype(np.intp), pred.astype(np.intp)), 3)
    assert_same_bits(stream.compute(), want)
    for at, labels in itertools.product((0, n // 2, n - 1), (true, pred)):
        kept, labels[at] = labels[at], classes
        with pytest.raises(IndexError, match=f"not .*{classes}"):
            stream.update(true, pred)
        labels[at] = kept
    assert_same_bits(stream.compute(), want)


def test_counts_stay_within_int64():
    stream, ones = metrics.ConfusionMatrix(2), np.ones(1000, int)
    stream.update(np.array([0]), np.array([1]), np.array([2**62 - 1024]))
    stream.update(ones, ones)
    assert stream.compute().dtype == np.int64
    stream.update(ones[:100], ones[:100])
    assert stream.compute().tolist() == [[0, 2.0**62 - 1024], [0, 1100]] and stream.compute().dtype == np.float64
