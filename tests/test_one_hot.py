"""one_hot: any labels, axis and dtype, equal to the reference; unknown labels; memory that is used again."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastml
from fastml import reference

from .common import LAYOUTS, relayout, with_threads

LABELS = [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64, ">i4", ">i8"]
RESULTS = [
    "?",
    "b",
    "B",
    "h",
    "H",
    "i",
    "I",
    "l",
    "L",
    "q",
    "Q",
    "e",
    "f",
    "d",
    "g",
    "F",
    "D",
    "G",
    ">f4",
    ">i2",
    ">c16",
]


def check(labels, *args, **options):
    got = fastml.one_hot(labels, *args, **options)
    want = reference.one_hot(labels, *args, **options)
    assert got.dtype == want.dtype and got.shape == want.shape
    assert np.array_equal(got, want), f"{np.shape(labels)} {args} {options}"
    assert got.flags.c_contiguous and got.flags.aligned and got.flags.writeable
    return got


@pytest.mark.parametrize("kind", LABELS)
def test_kinds_of_labels(kind):
    labels = np.random.default_rng(0).integers(0, 7, (3, 50)).astype(kind)
    check(labels)
    check(labels, 9)
    for layout in LAYOUTS:
        if labels.dtype.isnative or layout != "swapped":
            check(relayout(labels, layout), 7, axis=0)


@pytest.mark.parametrize("dtype", RESULTS)
@pytest.mark.parametrize("axis", [-1, 0, 1])
def test_kinds_of_results(dtype, axis):
    labels = np.random.default_rng(1).integers(-1, 12, (41, 67))
    got = check(labels, 11, axis=axis, dtype=dtype, unknown="zeros")
    assert got.dtype == np.dtype(dtype)
    assert (got != 0).sum() == ((labels >= 0) & (labels < 11)).sum()


def test_bfloat16():
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    assert np.array_equal(fastml.one_hot([1, 0], dtype=bfloat16), np.eye(2, dtype=bfloat16)[[1, 0]])


def test_every_axis():
    labels = np.random.default_rng(2).integers(0, 5, (2, 3, 4))
    for axis in range(-4, 4):
        got = check(labels, 6, axis=axis)
        assert np.array_equal(got.argmax(axis=axis), labels)


@pytest.mark.parametrize("shape", [(), (0,), (1,), (0, 3), (3, 0), (2, 1, 3)])
@pytest.mark.parametrize("classes", [1, 3, 70])
def test_shapes(shape, classes):
    labels = np.random.default_rng(3).integers(0, classes, shape)
    for axis in range(-len(shape) - 1, len(shape) + 1):
        check(labels, classes, axis=axis)
    assert check(np.zeros((4, 0), int), 0).shape == (4, 0, 0)
    assert check(np.arange(4), 0, unknown="zeros").shape == (4, 0)


# Results of a few bytes, of one block and of many, in rows longer than a block, in panels, beyond the caches.
BIG = [((5000,), 3), ((7,), 40_000), ((3001, 9), 101), ((2,), 3_000_001), ((10_000,), 1000), ((33, 5, 401), 37)]


@pytest.mark.parametrize(("shape", "classes"), BIG)
@pytest.mark.parametrize("dtype", ["f4", "u1", "c16"])
def test_big_with_any_number_of_threads(shape, classes, dtype):
    labels = np.random.default_rng(4).integers(-1, classes + 1, shape)
    for axis in (-1, 0, len(shape) // 2):
        want = reference.one_hot(labels, classes, axis=axis, dtype=dtype, unknown="zeros")
        for threads in (1, 2, 3, 7):
            got = with_threads(threads, fastml.one_hot, labels, classes, axis=axis, dtype=dtype, unknown="zeros")
            assert np.array_equal(got.view("u1"), want.view("u1")), (axis, threads)
            got[...] = 1  # whoever gets this memory next must not see it


def test_kept_memory_belongs_to_one_result():
    labels = np.random.default_rng(5).integers(0, 100, 20_000)  # 8 MB
    first = fastml.one_hot(labels, 100)
    second = fastml.one_hot(labels, 100)
    assert not np.shares_memory(first, second)
    view = first[7:9]
    del first
    kept = view.copy()
    third = fastml.one_hot(labels[::-1], 100)
    assert np.array_equal(view, kept) and not np.shares_memory(view, third)
    where = third.ctypes.data
    del third, view
    assert fastml.one_hot(labels, 100).ctypes.data % 64 == 0
    fourth = fastml.one_hot(labels, 100)
    fifth = fastml.one_hot(labels[:19_000], 100)
    assert where % 64 == fourth.ctypes.data % 64 == fifth.ctypes.data % 64 == 0
    assert np.array_equal(fifth, np.eye(100, dtype="f")[labels[:19_000]])
    assert np.array_equal(second, fourth)


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_like_the_reference(data):
    shape = tuple(data.draw(st.lists(st.integers(0, 6), max_size=4)))
    classes = data.draw(st.integers(0, 9))
    seed = data.draw(st.integers(0, 99))
    labels = np.random.default_rng(seed).integers(-2, classes + 2, shape)
    options = {
        "axis": data.draw(st.integers(-len(shape) - 1, len(shape))),
        "dtype": data.draw(st.sampled_from(RESULTS)),
        "unknown": data.draw(st.sampled_from(["error", "zeros"])),
    }
    try:
        reference.one_hot(labels, classes, **options)
    except IndexError:
        with pytest.raises(IndexError, match="labels must lie in"):
            fastml.one_hot(labels, classes, **options)
    else:
        check(labels, classes, **options)


@pytest.mark.parametrize("module", [fastml, reference], ids=["fastml", "reference"])
@pytest.mark.parametrize(
    ("labels", "options", "error", "match"),
    [
        ([0, 3, 1], {"num_classes": 3}, IndexError, r"0 \.\. 2, \w+ 3"),
        ([0, -1, 1], {"num_classes": 3}, IndexError, "-1"),
        ([0, -1, 1], {}, IndexError, "-1"),
        (np.array([2**63 + 5], np.uint64), {"num_classes": 3}, IndexError, str(2**63 + 5)),
        ([[0, 1], [2, -7]], {"num_classes": 3}, IndexError, "-7"),
        (5, {"num_classes": 3}, IndexError, "5"),
        ([0], {"num_classes": 0}, IndexError, "labels"),
        (np.zeros(0, int), {}, ValueError, "num_classes"),
        ([0], {"num_classes": -1}, ValueError, "num_classes"),
        ([0], {"num_classes": 3.0}, TypeError, "num_classes"),
        ([0], {"num_classes": True}, TypeError, "num_classes"),
        ([0], {"num_classes": 3, "axis": 2}, ValueError, "axis"),
        ([0], {"num_classes": 3, "axis": -3}, ValueError, "axis"),
        ([0], {"num_classes": 3, "axis": 0.0}, TypeError, "axis"),
        ([0], {"num_classes": 3, "unknown": "ignore"}, ValueError, "unknown"),
        ([0], {"num_classes": 3, "unknown": None}, ValueError, "unknown"),
        ([0.0], {"num_classes": 3}, TypeError, "labels"),
        ([True], {"num_classes": 3}, TypeError, "labels"),
        (["a"], {"num_classes": 3}, TypeError, "labels"),
        ([0], {"num_classes": 3, "dtype": object}, TypeError, "dtype"),
        ([0], {"num_classes": 3, "dtype": "U1"}, TypeError, "dtype"),
        ([0], {"num_classes": 3, "dtype": "M8[s]"}, TypeError, "dtype"),
        ([0], {"num_classes": 3, "dtype": [("a", "f4")]}, TypeError, "dtype"),
    ],
)
def test_errors(module, labels, options, error, match):
    with pytest.raises(error, match=match):
        module.one_hot(labels, **options)


def test_the_place_of_a_wrong_label():
    with pytest.raises(IndexError, match=r"not 9 at index 3$"):
        fastml.one_hot([0, 1, 2, 9, 9], 4)
    with pytest.raises(IndexError, match=r"not -2 at index \(1, 0\)$"):
        fastml.one_hot([[0, 1], [-2, 9]], 4)
    with pytest.raises(IndexError, match=r"not -1 at index 1$"):
        fastml.one_hot([0, -1])


def test_unknown_labels_without_a_number_of_classes():
    assert np.array_equal(fastml.one_hot([-1, 1], unknown="zeros"), [[0, 0], [0, 1]])
    assert fastml.one_hot([-1, -3], unknown="zeros").shape == (2, 0)


def test_results_too_large_for_memory():
    for labels, classes in ((np.zeros(3, int), 2**62), (np.zeros(2**20, int), 2**43), ([2**62], None)):
        with pytest.raises((MemoryError, ValueError)):
            fastml.one_hot(labels, classes)
