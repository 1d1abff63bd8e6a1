"""Rows of a few classes are worked on a vector of rows at once where there are so many, else one by one."""

import numpy as np
import pytest

import fastml as fm

ROWS = 37  # two vectors of floats or four of doubles, and a rest
WIDTHS = [1, 2, 3, 4, 5, 7, 8, 9, 10, 12, 13, 15, 16, 17]


def logits(n, dtype):
    rng = np.random.default_rng(n)
    x = (rng.standard_normal((ROWS, n)) * rng.choice([0.1, 3, 40], (ROWS, 1))).astype(dtype)
    x[1] = x[1, 0]  # ties
    x[3, -1] = np.nan
    x[6, n // 2] = np.inf
    x[9] = -np.inf
    x[12, 0] = -np.inf
    x[15] += 1000
    x[18] *= np.finfo(dtype).tiny / 16
    x[20, n // 2] = np.finfo(dtype).max
    x[22] = -0.0
    return x, rng


def same_alone(f, *arrays):
    """f(rows of the arrays) at once and row by row."""
    at_once = f(*arrays)
    alone = [f(*(a[i : i + 1] for a in arrays)) for i in range(ROWS)]
    for got, *rows in zip(at_once, *alone, strict=True):
        want = np.concatenate(rows)
        assert np.array_equal(np.isnan(got), np.isnan(want))
        a, b = (np.where(np.isnan(v), 0, v).tobytes() for v in (got, want))
        assert a == b


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", WIDTHS)
def test_softmax_family(n, dtype):
    x, rng = logits(n, dtype)
    g = rng.standard_normal(x.shape).astype(dtype)
    same_alone(lambda x: (fm.softmax(x), fm.log_softmax(x), fm.logsumexp(x)), x)
    same_alone(lambda g, x: (fm.softmax_backward(g, fm.softmax(x)),), g, x)
    same_alone(lambda g, x: (fm.log_softmax_backward(g, fm.log_softmax(x)),), g, x)
    in_place = x.copy()
    fm.softmax(in_place, out=in_place)
    np.testing.assert_array_equal(in_place, fm.softmax(x))
    in_place = g.copy()
    fm.softmax_backward(in_place, x, out=in_place)
    np.testing.assert_array_equal(in_place, fm.softmax_backward(g, x))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", WIDTHS)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weighted", [False, True])
def test_cross_entropy(n, dtype, smoothing, weighted):
    x, rng = logits(n, dtype)
    labels = rng.integers(0, n, ROWS)
    labels[[2, 6, 30]] = -100
    soft = rng.random(x.shape).astype(dtype)
    soft /= soft.sum(axis=1, keepdims=True)
    weight = rng.random(n).astype(dtype) + 0.5 if weighted else None
    options = {"reduction": "none", "label_smoothing": smoothing, "weight": weight}
    same_alone(lambda x, t: fm.cross_entropy_with_grad(x, t, ignore_index=-100, **options), x, labels)
    same_alone(lambda x, t: (fm.cross_entropy(x, t, ignore_index=-100, z_loss=0.01, **options),), x, labels)
    same_alone(lambda x, t: fm.cross_entropy_with_grad(x, t, z_loss=0.01, **options), x, soft)
    loss, grad = fm.cross_entropy_with_grad(x, labels, ignore_index=-100, **options)
    assert not loss[6]
    assert not grad[[2, 6, 30]].any()
    in_place = x.copy()
    fm.cross_entropy_with_grad(in_place, labels, ignore_index=-100, out=in_place, **options)
    np.testing.assert_array_equal(in_place, grad)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [2, 10, 16])
def test_the_losses_sum_does_not_depend_on_the_way(n, dtype):
    x, rng = logits(n, dtype)
    x = np.nan_to_num(x, nan=0, posinf=5, neginf=-5)
    labels = rng.integers(0, n, ROWS)
    rows = [slice(i, i + 8) for i in range(0, ROWS, 8)]  # a sum each, and too few for the vector's way
    parts = [float(fm.cross_entropy(x[r].astype(dtype), labels[r], reduction="sum")) for r in rows]
    got = float(fm.cross_entropy(x, labels, reduction="sum"))
    assert got == pytest.approx(sum(parts), rel=float(4 * np.finfo(dtype).eps))
