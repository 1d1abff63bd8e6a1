"""The counts below every score: dtypes, strides, ranges and cuts of the kernel, same bits for any team."""

import sys

import numpy as np
import pytest

from fastml import metrics
from fastml._kernels import classification as kernel
from fastml._kernels import scores as scores_kernel
from fastml.metrics._targets import tabulate
from fastml.reference import classification as reference

from .common import THREADS, assert_same_bits, with_threads

INTEGERS = ("bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "longlong")
LENGTHS = (1, 2, 3, 4, 5, 7, 100, 511, 512, 513, 1023, 1024, 1025, 4097, 8192, 70_001)


def labels(n, k, seed=0):
    rng = np.random.default_rng(seed)
    true = rng.integers(0, k, n)
    return true, np.where(rng.random(n) < 0.7, true, rng.integers(0, k, n))


@pytest.mark.parametrize("n", LENGTHS)
def test_lengths(n):
    for k in (1, 2, 10, 33):
        true, pred = labels(n, k)
        assert_same_bits(tabulate(true, pred)[1], reference.confusion_matrix(true, pred))


@pytest.mark.parametrize("pred_dtype", INTEGERS)
@pytest.mark.parametrize("true_dtype", INTEGERS)
def test_dtypes(true_dtype, pred_dtype):
    true, pred = labels(1500, 2)
    want = reference.confusion_matrix(true, pred)
    assert_same_bits(metrics.confusion_matrix(true.astype(true_dtype), pred.astype(pred_dtype)), want)


@pytest.mark.parametrize("dtype", INTEGERS[1:])
def test_strides(dtype):
    true, pred = labels(1500, 10)
    want = reference.confusion_matrix(true, pred)
    for spread in (
        lambda y: np.repeat(y, 3)[::3],
        lambda y: y[::-1].copy()[::-1],
        lambda y: np.stack([y, y]).T[:, 1],
        lambda y: y.astype(y.dtype.newbyteorder()),
        lambda y: np.frombuffer(b"x" + y.tobytes(), np.uint8)[1:].view(y.dtype),
    ):
        assert_same_bits(metrics.confusion_matrix(spread(true.astype(dtype)), pred.astype(dtype)), want)
        assert_same_bits(metrics.confusion_matrix(true, spread(pred.astype(dtype))), want)


def test_negative_labels_of_every_width():
    true, pred = labels(1500, 7)
    want = reference.confusion_matrix(true, pred)
    for dtype in ("int8", "int16", "int32", "int64"):
        assert_same_bits(metrics.confusion_matrix(true.astype(dtype) - 5, pred.astype(dtype) - 5), want)


@pytest.mark.parametrize("place", [1, 2, 2047, 4998])
@pytest.mark.parametrize("label", [-1, -90, 10, 95, 2**31, 2**40, -(2**63), 2**63 - 1])
@pytest.mark.parametrize("which", [0, 1])
def test_a_label_that_the_first_look_misses(which, label, place):
    """Every fourth sample is looked at for the range; these stand between them."""
    pair = labels(5000, 10)
    pair[which][place] = label
    for k in THREADS:
        found, table = with_threads(k, tabulate, *pair)
        assert found.tolist() == sorted([*range(10), label] if label != 10 else range(11))
        assert_same_bits(table, reference.confusion_matrix(*pair))


def test_unsigned_beyond_int64():
    true = labels(3000, 3)[0]
    big = true.astype(np.uint64) + np.uint64(2**63 - 1)
    assert kernel.count(big, big, None) is None  # its range would seem to end at -2^63
    found, table = tabulate(big, big)
    assert found.tolist() == [2**63 - 1, 2**63, 2**63 + 1]
    assert_same_bits(table, np.diag(np.bincount(true)))
    minus = np.where(true == 0, -1, true)
    assert kernel.count(big + np.uint64(2**62), minus, None) is None
    assert metrics.accuracy_score(np.array([2**64 - 1], np.uint64), np.array([-1])) == 0


@pytest.mark.parametrize("weights", ["none", "int", "float"])
@pytest.mark.parametrize("k", [1, 2, 10, 32, 33, 100, 300])
def test_same_bits_for_any_number_of_threads(k, weights):
    true, pred = labels(100_003, k)
    rng = np.random.default_rng(1)
    weight = {"none": None, "int": rng.integers(-9, 9, len(true)), "float": rng.standard_normal(len(true))}
    counted = [with_threads(n, kernel.count, true, pred, weight[weights]) for n in THREADS]
    want = np.zeros((k, k), np.float64 if weights == "float" else np.int64)
    np.add.at(want, (true, pred), 1 if weight[weights] is None else weight[weights])
    for low, table, occurs in counted:
        assert low == 0 and occurs is None
        assert_same_bits(table, counted[0][1])
        np.testing.assert_allclose(table, want, rtol=0, atol=1e-9 if weights == "float" else 0)


def test_a_weight_of_zero_still_makes_a_class():
    found, table = tabulate([1, 5], [1, 5], [1.0, 0.0])
    assert found.tolist() == [1, 5] and table.tolist() == [[1, 0], [0, 0]]


def test_many_classes():
    """Tables larger than the samples are counted after the labels have been numbered."""
    rng = np.random.default_rng(0)
    true, pred = rng.integers(-(10**6), 10**6, (2, 3000))
    values, table = tabulate(true, pred)
    assert values.tolist() == sorted({*true.tolist(), *pred.tolist()})
    assert table.sum() == 3000 and table.dtype == np.int64
    assert table[np.searchsorted(values, true[7]), np.searchsorted(values, pred[7])] >= 1
    chosen = [int(true[0]), int(pred[0]), 5 * 10**6]
    want = reference.confusion_matrix(true, pred, labels=chosen)
    assert_same_bits(metrics.confusion_matrix(true, pred, labels=chosen), want)
    for weight in (None, rng.random(3000)):
        p, r, f, support = metrics.precision_recall_fscore(true, pred, sample_weight=weight, zero_division=0)
        assert len(p) == len(r) == len(f) == len(values)
        assert support.sum() == pytest.approx(3000 if weight is None else weight.sum(), rel=1e-12)
    # A table of all of these classes would take 13 GB.
    true = np.arange(40_000) * 3
    names = np.char.add("c", true.astype(str))
    assert metrics.f1_score(names, names, average="macro") == 1
    assert metrics.confusion_matrix(names, names, labels=["c3", "c7", "c9"]).tolist() == np.diag([1, 0, 1]).tolist()
    assert metrics.log_loss(true[:300] // 9, np.full((300, 100), 0.01)) == pytest.approx(np.log(100), rel=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", LENGTHS)
def test_scores_of_rows(n, dtype):
    rng = np.random.default_rng(0)
    for classes in (2, 3, 17):
        scores = rng.integers(0, 4, (n, classes)).astype(dtype)
        codes = rng.integers(0, classes, n)
        own = scores[np.arange(n), codes]
        want = np.array([np.argsort(s, kind="stable")[-2:] for s in scores])
        for threads in THREADS:
            hits, strange = with_threads(threads, scores_kernel.top_k_hits, scores, codes, 2)
            assert hits.tolist() == (want == codes[:, None]).any(axis=1).tolist() and strange == 0
            picked, outside, uneven = with_threads(threads, scores_kernel.pick, scores, codes, 0.25, 1e-3)
            assert_same_bits(picked, np.clip(own.astype(np.float64), 0.25, 0.75))
            assert outside == (scores > 1).any()
            assert uneven == np.sum(scores.sum(axis=1) != 1)


@pytest.mark.parametrize("dtype", ["int8", "uint16", "int32", "int64", "uint64"])
@pytest.mark.parametrize("n", [1, 7, 8, 9, 65, 4096, 4097, 30001])
def test_few_labels(n, dtype):
    """Labels around the 32 below which they are counted as they lie; the largest one is seen by no look ahead."""
    rng = np.random.default_rng(n)
    for top in (1, 2, 15, 16, 31, 32, 33):
        true, pred = (rng.integers(0, 2, n).astype(dtype) for _ in range(2))
        pred[n // 2 | (n > 8)] = top
        want = np.zeros((top + 1,) * 2, np.int64)
        np.add.at(want, (true.astype(int), pred.astype(int)), 1)
        occurs = np.union1d(true, pred).astype(int)
        if len(occurs) > 1:
            assert_same_bits(metrics.confusion_matrix(true, pred), want[np.ix_(occurs, occurs)])
        stream = metrics.ConfusionMatrix(top + 1)
        stream.update(true, pred)
        assert_same_bits(stream.compute(), want)
        small = metrics.ConfusionMatrix(top)
        with pytest.raises(IndexError):
            small.update(true, pred)
        assert small.compute().sum() == 0
        some = int(true[0])
        for labels in ([1 - some, some], [some, top, 1 - some, 99, -1], [some, 1 - some, some], [7, some, 5, 7]):
            chosen = np.zeros((len(labels),) * 2, np.int64)
            last = {label: i for i, label in enumerate(labels) if 0 <= label <= top}
            for label, i in last.items():
                for other, j in last.items():
                    chosen[i, j] = want[label, other]
            for given in (labels, np.array(labels), np.array(labels * 2)[: len(labels)], np.array(labels, np.int32)):
                assert_same_bits(metrics.confusion_matrix(true, pred, labels=given), chosen)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [*range(11, 40), 127, 128, 129, 136, 137, 1000, 4097, 70001])
def test_log_loss_at_once(n, dtype):
    """Where no class is named, one call of the kernel does it all: to the bits of the way with every check."""
    rng = np.random.default_rng(n)
    for classes in (2, 3, 10, 11):
        true = np.concatenate([np.arange(classes), rng.integers(0, classes, n - classes)])
        proba = rng.random((n, classes)) ** 9
        proba = (proba / proba.sum(axis=1, keepdims=True)).astype(dtype)
        proba[n // 2] = np.eye(classes)[n % classes]
        for given in (proba, *([np.ascontiguousarray(proba[:, 1])] if classes == 2 else [])):
            loss = metrics.log_loss(true, given)
            assert type(loss) is float
            assert loss == metrics.log_loss(true, given, labels=np.arange(classes))
            assert loss == metrics.log_loss((true * 3).tolist(), given)
            for wrong in (-0.1, 1.5, np.nan, np.inf, -np.inf):
                bad = given.copy()
                bad[n - 1] = wrong
                with pytest.raises(ValueError, match=r"must lie in \[0, 1\]"):
                    metrics.log_loss(true, bad)
        zero = np.eye(classes)[true].astype(dtype)
        assert metrics.log_loss(true, np.where(zero == 0, np.array(-0.0, dtype), zero)) == metrics.log_loss(true, zero)
        with pytest.warns(UserWarning, match="do not sum to 1") as caught:
            metrics.log_loss(true, proba * np.array(0.9, dtype))
        assert {w.filename for w in caught} == {__file__}
        with pytest.raises(ValueError, match="one column for each"):
            metrics.log_loss(true, np.pad(proba, ((0, 0), (0, 1))))


@pytest.mark.parametrize("dtype", INTEGERS)
def test_equal_pairs(dtype):
    """Lengths around vectors and around what a lane of bytes counts to; a value that differs in its highest byte."""
    rng = np.random.default_rng(0)
    for n in (1, 2, 7, 15, 16, 17, 33, 255 * 16 - 1, 255 * 16, 255 * 16 + 17, 10000, 10001, 70001):
        true = rng.integers(0, 2, n).astype(dtype)
        for pred in (true.copy(), rng.integers(0, 2, n).astype(dtype), (1 - true.astype(int)).astype(dtype)):
            if dtype != "bool":
                pred.view(np.uint8)[-1 if sys.byteorder == "little" else -pred.itemsize] ^= 64
            hits = int(sum(a == b for a, b in zip(true.tolist(), pred.tolist(), strict=True)))
            assert metrics.accuracy_score(true, pred) == hits / n
            assert metrics.accuracy_score(true, pred, normalize=False) == hits
            assert metrics.accuracy_score(true[::-1], pred[::-1]) == hits / n
    signed, unsigned = np.array([-1, 1], np.int8), np.array([255, 1], np.uint8)
    assert metrics.accuracy_score(signed, unsigned) == 0.5
