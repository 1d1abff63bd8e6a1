"""Statistics of pieces of a batch: merged they are the batch's, and what is made of them is batch_norm."""

import numpy as np
import pytest

import fastml
from fastml import reference

from .common import DTYPES, THREADS, assert_same_bits, normal, with_threads
from .gradients import assert_gradient

SHAPES = [
    ((2, 3), 1),
    ((130, 67), 1),
    ((5000, 20), 1),
    ((6, 5, 9), 1),
    ((4, 3, 3000), 1),
    ((7, 8, 9), -1),
    ((3, 700, 2), 0),
]
EPS = 1e-5


def make(shape, axis, dtype):
    """x, a gradient, weight and bias."""
    rng = np.random.default_rng(7)
    weight, bias = rng.uniform(0.5, 2, shape[axis]).astype(dtype), rng.normal(size=shape[axis]).astype(dtype)
    return normal(shape, dtype, 1, 2) + dtype(0.5), normal(shape, dtype, 2), weight, bias


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("shape", "axis"), SHAPES)
def test_of_the_whole_batch_they_are_batch_norm_to_the_bit(shape, axis, dtype, threads):
    x, grad, weight, bias = make(shape, axis, dtype)

    def compute():
        count, mean, m2 = fastml.batch_norm_stats(x, channel_axis=axis)
        assert isinstance(count, int) and count * shape[axis] == x.size and mean.dtype == m2.dtype == np.float64
        inv_std = 1 / np.sqrt(m2 / count + EPS)
        y = fastml.batch_norm_apply(x, mean, inv_std, weight, bias, channel_axis=axis)
        sums = fastml.batch_norm_backward_stats(grad, x, mean, inv_std, channel_axis=axis)
        assert sums[0].dtype == sums[1].dtype == np.float64
        dx = fastml.batch_norm_backward_apply(grad, x, weight, mean, inv_std, *sums, count, channel_axis=axis)
        return y, mean.astype(dtype), inv_std.astype(dtype), dx, *(s.astype(dtype) for s in sums)

    want = fastml.batch_norm(x, weight, bias, eps=EPS, channel_axis=axis)
    want += fastml.batch_norm_backward(grad, x, weight, *want[1:], channel_axis=axis)
    for k, (got, w) in enumerate(zip(with_threads(threads, compute), want, strict=True)):
        assert_same_bits(got, w, k)
    plain = fastml.batch_norm(x, channel_axis=axis)
    _, mean, m2 = fastml.batch_norm_stats(x, channel_axis=axis)
    inv_std = 1 / np.sqrt(m2 / (x.size // shape[axis]) + EPS)
    assert_same_bits(fastml.batch_norm_apply(x, mean, inv_std, channel_axis=axis), plain[0])


@pytest.mark.parametrize("cuts", [[1], [3, 4], [0, 0, 5], [1, 2, 3, 4, 5, 6], [10]])
@pytest.mark.parametrize("dtype", DTYPES)
def test_merged_pieces_are_the_whole(cuts, dtype):
    """Also where pieces are far apart, empty or of one value."""
    x = normal((10, 4), dtype, 3) + np.arange(10, dtype=dtype)[:, None] * dtype(100)
    pieces = [fastml.batch_norm_stats(part) for part in np.split(x, cuts)]
    count, mean, m2 = fastml.merge_norm_stats(pieces)
    want = reference.batch_norm_stats(x)
    assert count == want[0] == 10
    np.testing.assert_allclose(mean, want[1], rtol=4 * np.finfo(dtype).eps)
    np.testing.assert_allclose(m2, want[2], rtol=40 * np.finfo(dtype).eps)
    again = fastml.merge_norm_stats([fastml.merge_norm_stats(pieces[:1]), *pieces[1:]])
    for a, b in zip((count, mean, m2), again, strict=True):
        np.testing.assert_array_equal(a, b)
    assert all(p[1] is not mean for p in pieces)


def test_synchronised_over_pieces_as_the_whole_batch():
    x, grad, weight, bias = make((12, 5, 6), 1, np.float64)
    y, mean, inv_std = fastml.batch_norm(x, weight, bias)
    want = fastml.batch_norm_backward(grad, x, weight, mean, inv_std)
    parts = [slice(0, 1), slice(1, 7), slice(7, 7), slice(7, 12)]
    count, mean, m2 = fastml.merge_norm_stats([fastml.batch_norm_stats(x[p]) for p in parts])
    inv_std = 1 / np.sqrt(m2 / count + EPS)
    sums = np.sum([fastml.batch_norm_backward_stats(grad[p], x[p], mean, inv_std) for p in parts], axis=0)
    for p in parts:
        got = fastml.batch_norm_apply(x[p], mean, inv_std, weight, bias)
        np.testing.assert_allclose(got, y[p], rtol=1e-13, atol=1e-13)
        dx = fastml.batch_norm_backward_apply(grad[p], x[p], weight, mean, inv_std, *sums, count)
        np.testing.assert_allclose(dx, want[0][p], rtol=1e-12, atol=1e-13)
    for got, w in zip(sums, want[1:], strict=True):
        np.testing.assert_allclose(got, w, rtol=1e-12)


def test_the_gradient_of_a_piece_is_the_difference_quotient():
    """One loss over two pieces that share statistics; the reference's and the kernel's gradients of the first."""
    x, grad, weight, bias = make((5, 3), 1, np.float64)

    def loss(first):
        whole = np.concatenate([first, x[2:]])
        return (fastml.batch_norm(whole, weight, bias)[0] * grad).sum()

    for module in (fastml, reference):
        count, mean, m2 = fastml.merge_norm_stats([module.batch_norm_stats(part) for part in (x[:2], x[2:])])
        inv_std = 1 / np.sqrt(m2 / count + EPS)
        sums = [module.batch_norm_backward_stats(grad[p], x[p], mean, inv_std) for p in (slice(2), slice(2, 5))]
        dx = module.batch_norm_backward_apply(grad[:2], x[:2], weight, mean, inv_std, *np.sum(sums, axis=0), count)
        assert_gradient(dx, loss, x[:2])


def test_empty_pieces():
    for shape in ((0, 3), (4, 3, 0)):
        x = np.zeros(shape, np.float32)
        count, mean, m2 = fastml.batch_norm_stats(x)
        assert count == 0 and mean.tolist() == m2.tolist() == [0, 0, 0]
        assert fastml.batch_norm_apply(x, mean, mean).shape == shape
        dweight, dbias = fastml.batch_norm_backward_stats(x, x, mean, mean)
        assert dweight.tolist() == dbias.tolist() == [0, 0, 0]
        assert fastml.batch_norm_backward_apply(x, x, None, mean, mean, dweight, dbias, 5).shape == shape
    assert fastml.merge_norm_stats([(0, np.zeros(2), np.zeros(2))])[0] == 0


def test_wrong_pieces():
    good = (2, np.zeros(3), np.ones(3))
    for stats, error, match in [
        ([], ValueError, "at least one"),
        ([good, (2, np.zeros(3))], TypeError, r"stats\[1\] must be \(count"),
        ([good, None], TypeError, r"stats\[1\]"),
        ([(2.0, *good[1:])], TypeError, "integer"),
        ([(True, *good[1:])], TypeError, "integer"),
        ([(-1, *good[1:])], ValueError, "count of stats"),
        ([good, (2, np.zeros(4), np.ones(4))], ValueError, r"stats\[1\] must have the shape"),
        ([(2, np.zeros(3), np.ones(4))], ValueError, "one shape"),
        ([(2, np.float64(0), np.float64(1))], ValueError, "one shape"),
        ([(2, np.zeros(3, complex), np.ones(3))], TypeError, "complex"),
    ]:
        with pytest.raises(error, match=match):
            fastml.merge_norm_stats(stats)


@pytest.mark.parametrize("module", [fastml, reference], ids=["fastml", "reference"])
def test_wrong_arguments(module):
    x, grad, weight, _ = make((6, 5), 1, np.float32)
    v, out = np.ones(5), np.full_like(x, 7)
    for call, error, match in [
        (lambda: module.batch_norm_stats(x, channel_axis=2), ValueError, "channel_axis"),
        (lambda: module.batch_norm_stats(x, channel_axis=1.0), TypeError, "channel_axis"),
        (lambda: module.batch_norm_stats(np.float32(1)), ValueError, "channel_axis"),
        (lambda: module.batch_norm_apply(x, None, v, out=out), TypeError, "mean"),
        (lambda: module.batch_norm_apply(x, v, v[:4], out=out), ValueError, "inv_std"),
        (lambda: module.batch_norm_backward_stats(grad, x[:4], v, v), ValueError, "must have the shape of"),
        (lambda: module.batch_norm_backward_apply(grad, x, weight, v, v, v, v, 0, out=out), ValueError, "count"),
        (lambda: module.batch_norm_backward_apply(grad, x, weight, v, v, v, v, "3", out=out), TypeError, "count"),
        (lambda: module.batch_norm_backward_apply(grad, x, weight, v, v, None, v, 3, out=out), TypeError, "dweight"),
        (lambda: module.batch_norm_backward_apply(grad, x, weight, v, v, v, out[0], 3, out=out), ValueError, "out"),
    ]:
        with pytest.raises(error, match=match):
            call()
    assert (out == 7).all()


def test_as_pytorchs_synchronised_kernels():
    torch = pytest.importorskip("torch")
    x, _, weight, bias = make((8, 5, 3), 1, np.float64)
    count, mean, m2 = fastml.merge_norm_stats([fastml.batch_norm_stats(x[:3]), fastml.batch_norm_stats(x[3:])])
    got = fastml.batch_norm_apply(x, mean, 1 / np.sqrt(m2 / count + EPS), weight, bias)
    want = torch.nn.functional.batch_norm(*map(torch.tensor, (x, mean, m2 / count, weight, bias)), eps=EPS)
    np.testing.assert_allclose(got, want.numpy(), rtol=1e-12, atol=1e-12)
