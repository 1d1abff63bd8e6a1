"""Softmax, log-softmax, log-sum-exp and their gradients: accuracy, special values, gradients, targets."""

import hashlib

import numpy as np
import pytest
from fastml._simd import available_targets

import fastml
from fastml import _simd, reference

from .common import (
    ADVERSARIAL,
    DTYPES,
    LENGTHS,
    adversarial,
    assert_close,
    assert_same_bits,
    assert_same_for_any_threads,
    assert_same_on_fma_targets,
    normal,
    run_on_target,
    ulp_error,
)

FORWARD = ("softmax", "log_softmax")
# Largest errors against the exact result, as the cards in src_c/fm.h have them.
ULP = {"softmax": (2, 3), "log_softmax": (4, 4), "logsumexp": (2, 4)}  # float32, float64
# A multiply-add that rounds twice costs up to an ulp more.
TWICE = _simd.target == "baseline"
# What a call is cut into: rows in one vector, groups of rows, long rows, panels of columns short and long.
SHAPES = (
    ((64, 5), 1),
    ((64, 16), 1),
    ((33, 100), 1),
    ((9, 513), 1),
    ((2, 5000), 1),
    ((3, 7, 130), 1),
    ((2, 600, 37), 1),
)


def exact(name, x, axis):
    """The result in extended precision."""
    x = x.astype(np.longdouble)
    m = x.max(axis=axis, keepdims=True)
    e = np.exp(x - m)
    others = e.copy()
    np.put_along_axis(others, x.argmax(axis=axis, keepdims=True), 0, axis)
    log_sum = np.log1p(others.sum(axis=axis, keepdims=True))
    if name == "softmax":
        return e / e.sum(axis=axis, keepdims=True)
    return (x - m) - log_sum if name == "log_softmax" else np.squeeze(m + log_sum, axis)


@pytest.mark.parametrize("shift", [0, 7.3, -90.7, 255.4, 256.6, -3000.1, 40_000])
@pytest.mark.parametrize("shape, axis", SHAPES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FORWARD)
def test_accuracy(name, dtype, shape, axis, shift):
    """Within the cards' bounds wherever the logits lie, terms far below the maximum included."""
    for scale in (0.1, 3, 30):
        x = normal(shape, dtype, seed=int(scale * 10), scale=scale) + dtype(shift)
        want = exact(name, x, axis)
        got = getattr(fastml, name)(x, axis)
        normal_range = np.abs(want) > np.finfo(dtype).tiny * 16
        if name == "softmax":
            got, want = got[normal_range], want[normal_range]
        error = np.abs(got.astype(np.longdouble) - want) / np.spacing(np.abs(want).astype(dtype))
        assert error.max() <= ULP[name][dtype is np.float64] + TWICE, f"scale {scale}"


@pytest.mark.parametrize("axis, lengths", [(1, (2, 3, 5, 10, 15, 16)), (0, (2, 3))])
def test_softmax_of_few_entries_is_within_an_ulp(axis, lengths):
    for n in lengths:
        for scale, shift in ((0.01, 0), (1, 0), (10, 3.3), (40, 0), (1, -1000)):
            x = normal((30_000, n), np.float32, seed=n, scale=scale) + np.float32(shift)
            want = exact("softmax", x, 1)
            got = fastml.softmax(np.ascontiguousarray(np.moveaxis(x, 1, axis)), axis)
            error = np.abs(np.moveaxis(got, axis, 1).astype(np.longdouble) - want) / np.spacing(want.astype(np.float32))
            assert error.max() <= 1 + TWICE, f"{n} entries, scale {scale}"


@pytest.mark.parametrize("name", FORWARD)
def test_rows_of_any_length_are_within_two_ulp(name):
    """Where roundings meet: several entries of the size of the sum, and a tail."""
    for n in (17, 31, 64, 100, 512, 1000, 4999):
        for scale, shift in ((1, 3.3), (5, 3.3), (10, 0), (40, 3.3)):
            x = normal((100_000 // n, n), np.float32, seed=n, scale=scale) + np.float32(shift)
            want = exact(name, x, 1)
            error = np.abs(getattr(fastml, name)(x).astype(np.longdouble) - want) / np.spacing(
                np.abs(want).astype(np.float32)
            )
            assert error.max() <= 1.75 + TWICE, f"{n} entries, scale {scale}"


@pytest.mark.parametrize("dtype", DTYPES)
def test_logsumexp_accuracy(dtype):
    for shape, axis in SHAPES:
        x = normal(shape, dtype, scale=3)
        want = exact("logsumexp", x, axis)
        assert ulp_error(fastml.logsumexp(x, axis), want, scale=1) <= ULP["logsumexp"][dtype is np.float64] + TWICE


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("axis", [0, 1])
def test_log_softmax_keeps_the_digits_of_a_sure_result(dtype, axis):
    """Next to a dominating entry the result is -log1p(the others), tiny and not rounded to 0."""
    for gap in np.linspace(1, 80, 159):
        x = np.zeros((40, 40), dtype)
        x[np.arange(40), np.arange(40)] = gap
        got = np.diagonal(fastml.log_softmax(x, axis))
        want = -np.log1p(39 * np.exp(-np.longdouble(dtype(gap))))
        assert ulp_error(got, np.full(40, want)) <= 4, gap


@pytest.mark.parametrize("dtype", DTYPES)
def test_ties_are_counted(dtype):
    for n in (2, 3, 16, 17, 513):
        x = np.full((3, n), 4.25, dtype)
        assert_close(fastml.log_softmax(x), np.full((3, n), -np.log(n), dtype), 4)
        assert_close(fastml.log_softmax(x.T, 0), np.full((n, 3), -np.log(n), dtype), 4)
        assert_close(fastml.softmax(x), np.full((3, n), 1 / n, dtype), 4)


@pytest.mark.parametrize("kind", ADVERSARIAL)
@pytest.mark.parametrize("dtype", DTYPES)
def test_special_values_in_rows_and_columns(dtype, kind):
    for n in (1, 5, 16, 33, 600):
        x = adversarial((4, n), kind, dtype)
        for name in (*FORWARD, "logsumexp"):
            want = getattr(reference, name)(x)
            assert_close(getattr(fastml, name)(x), want, 4, scale=1, what=f"{name} row of {n}")
            got = getattr(fastml, name)(np.ascontiguousarray(x.T), 0)
            assert_close(got, want if name == "logsumexp" else want.T, 4, scale=1, what=f"{name} column of {n}")


@pytest.mark.parametrize("n", LENGTHS[1:])
@pytest.mark.parametrize("place", [0, -1])
def test_one_special_entry_anywhere(n, place):
    """A NaN makes the whole row NaN, +inf too; -inf takes no part. The next row is not touched."""
    for dtype in DTYPES:
        x = normal((3, n), dtype)
        clean = fastml.softmax(x)
        for value in (np.nan, np.inf):
            x[1, place] = value
            y = fastml.softmax(x)
            assert np.isnan(y[1]).all()
            assert_same_bits(y[[0, 2]], clean[[0, 2]])
            assert np.isnan(fastml.log_softmax(x)[1]).all()
            lse = fastml.logsumexp(x)[1]
            assert np.isnan(lse) if np.isnan(value) else lse == np.inf
        x[1, place] = -np.inf
        y = fastml.softmax(x)[1]
        if n > 1:
            assert y[place] == 0
            assert_close(np.delete(y, place), fastml.softmax(np.delete(x[1], place)), 4)


@pytest.mark.parametrize("name", FORWARD)
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_gradient_by_finite_differences(name, axis):
    x, grad = normal((3, 4, 5), np.float64, 1), normal((3, 4, 5), np.float64, 2)
    function = getattr(fastml, name)
    got = getattr(fastml, name + "_backward")(grad, function(x, axis), axis)
    step = 1e-6
    for index in np.ndindex(x.shape):
        moved = np.zeros_like(x)
        moved[index] = step
        slope = ((function(x + moved, axis) - function(x - moved, axis)) * grad).sum() / (2 * step)
        assert abs(slope - got[index]) < 1e-8


@pytest.mark.parametrize("name", FORWARD)
@pytest.mark.parametrize("dtype", DTYPES)
def test_as_torch(name, dtype):
    torch = pytest.importorskip("torch")
    for shape, axis in (((5, 17), 1), ((5, 17), 0), ((3, 4, 70), 1), ((2, 700), -1), ((0, 3), 1), ((3,), 0)):
        x = normal(shape, dtype, scale=4)
        tx = torch.from_numpy(x.copy()).requires_grad_()
        ty = getattr(torch, name)(tx, axis)
        grad = normal(shape, dtype, 3)
        ty.backward(torch.from_numpy(grad))
        y = getattr(fastml, name)(x, axis)
        eps = np.finfo(dtype).eps
        np.testing.assert_allclose(y, ty.detach().numpy(), rtol=32 * eps, atol=eps)
        dx = getattr(fastml, name + "_backward")(grad, y, axis)
        np.testing.assert_allclose(dx, tx.grad.numpy(), rtol=64 * eps, atol=32 * eps)


@pytest.mark.parametrize("axis", [None, (0, 2), (1,), -1, (2, 0, 1)])
@pytest.mark.parametrize("keepdims", [False, True])
def test_logsumexp_over_several_axes(axis, keepdims):
    x = normal((3, 5, 7), np.float32, scale=3)
    got = fastml.logsumexp(x, axis, keepdims=keepdims)
    assert_close(got, reference.logsumexp(x, axis, keepdims=keepdims), 4, scale=1)


def test_empty():
    assert fastml.softmax(np.zeros((3, 0))).shape == (3, 0)
    assert fastml.log_softmax(np.zeros((0, 3)), 1).shape == (0, 3)
    assert_same_bits(fastml.logsumexp(np.zeros((2, 0))), np.full(2, -np.inf))
    assert fastml.logsumexp(np.zeros(0)) == -np.inf


def test_probabilities_sum_to_one():
    for n in (2, 10, 50_257):
        y = fastml.softmax(normal((8, n), np.float32, scale=2))
        np.testing.assert_allclose(y.sum(axis=1, dtype=np.float64), 1, rtol=3e-7)
        assert (y >= 0).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_do_not_depend_on_their_neighbours(dtype):
    """The same bits for a row alone, in a group and in a block."""
    for n in (10, 100, 600):
        x = normal((300, n), dtype)
        for name in FORWARD:
            y = getattr(fastml, name)(x)
            for i in (0, 7, 8, 299):
                assert_same_bits(getattr(fastml, name)(x[i]), y[i])


@pytest.mark.parametrize("name", FORWARD)
def test_same_bits_for_any_number_of_threads(name):
    for shape, axis in (((2000, 100), 1), ((40, 3000), 1), ((8, 10, 4096), 1)):
        x = normal(shape, np.float32)
        assert_same_for_any_threads(getattr(fastml, name), x, axis)


CODE = """
import numpy, fastml
result = {}
for dtype in (numpy.float32, numpy.float64):
    for shape, axis in (((64, 5), 1), ((33, 100), 1), ((9, 1500), 1), ((3, 7, 130), 1), ((2, 600, 37), 1)):
        for scale in (1, 30, 1000):
            x = (numpy.random.default_rng(0).standard_normal(shape) * scale).astype(dtype)
            g = numpy.random.default_rng(1).standard_normal(shape).astype(dtype)
            s, l = fastml.softmax(x, axis), fastml.log_softmax(x, axis)
            parts = (s, l, fastml.logsumexp(x, axis), fastml.softmax_backward(g, s, axis),
                     fastml.log_softmax_backward(g, l, axis))
            for k, y in enumerate(parts):
                result[f"{k} {dtype.__name__} {shape} {scale}"] = y
"""


def test_same_bits_on_every_target_with_fma():
    assert_same_on_fma_targets(CODE)


def test_baseline_is_as_accurate():
    code = """
    import numpy, fastml
    x = (numpy.random.default_rng(0).standard_normal((50, 77)) * 5).astype("f4")
    result = {"rows": fastml.log_softmax(x), "cols": fastml.log_softmax(x, 0)}
    """
    if "baseline" not in available_targets():
        pytest.skip("no baseline target in this build")
    got = run_on_target("baseline", code)
    x = (np.random.default_rng(0).standard_normal((50, 77)) * 5).astype(np.float32)
    assert ulp_error(got["rows"], exact("log_softmax", x, 1)) <= 8
    assert ulp_error(got["cols"], exact("log_softmax", x, 0)) <= 8


def test_the_digest_of_a_result_is_stable():
    """A call repeated gives the same bits."""
    x = normal((700, 300), np.float32)
    assert len({hashlib.sha256(fastml.softmax(x).tobytes()).hexdigest() for _ in range(5)}) == 1


@pytest.mark.parametrize("shape", [(1, 1 << 26), (1 << 26, 1), (1 << 25, 2)])
def test_long_sums_of_floats(shape):
    """Sums of so many terms that what rounding takes from them needs more digits than a float has."""
    x = np.ones(shape, np.float32)
    axis = int(shape[0] > 1)
    x[(0, -1) if axis == 0 else (-1, slice(None))] = 5
    x = x if axis == 0 else x.copy()
    axis = 1 if shape[0] == 1 else 0
    n = shape[axis]
    want = np.longdouble(n - 1) * np.exp(np.longdouble(1)) + np.exp(np.longdouble(5))
    np.testing.assert_allclose(fastml.logsumexp(x, axis), np.log(want).astype(np.float32), rtol=1.3e-7)
    got = fastml.softmax(x, axis, out=x)
    np.testing.assert_allclose(got.reshape(-1)[0], float(np.exp(np.longdouble(1)) / want), rtol=2e-7)
