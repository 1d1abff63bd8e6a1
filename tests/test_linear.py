"""Linear: error bounds, views of every stride, activations, errors; test_linear_chains.py has the order of its sums."""

import math
import os
import subprocess
import sys

import numpy as np
import pytest

import fastml
from fastml import _simd, reference
from fastml.reference.linear import _ACTIVATIONS

from .common import DTYPES, ROOT, assert_same_bits, normal, relayout

# (rows, out, in): tails of every tile (6 and 8 rows, 8, 16 and 32 columns), of vectors, and of blocks of in.
TAILS = (0, 1, 2, 3, 5, 6, 7, 8, 9, 13, 15, 16, 17, 31, 32, 33, 47, 65)
DEPTHS = (0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 33, 255, 256, 257, 383, 384, 385, 512, 639, 640, 777)
# The products of an MLP 784-256-128-10 at batch 128, and shapes that take several blocks of rows and of in.
LARGE = ((128, 256, 784), (128, 10, 128), (1, 256, 784), (1100, 10, 33), (600, 300, 600), (530, 1031, 259))

every_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=["float32", "float64"])


def operands(rows, outputs, inputs, dtype, seed=1):
    return normal((rows, inputs), dtype, seed), normal((outputs, inputs), dtype, seed + 1), normal(outputs, dtype, 3)


def both_ways(x, weight, bias, **options):
    y = fastml.linear(x, weight, bias, **options)
    return y, *fastml.linear_backward(y, x, weight)


def assert_within_bound(got, a, b, bias=0.0):
    """got = a b + bias within gamma_{k+1} (|a| |b| + |bias|), whatever the order of the sum (Higham, section 3.1).

    Random rounding errors grow with the square root of k, so half of the bound's k also holds from k = 16 on.
    """
    wide = np.longdouble if np.finfo(np.longdouble).nmant > 60 else np.float64
    a, b, bias = (np.asarray(v, wide) for v in (a, b, bias))
    want, size = a @ b + bias, np.abs(a) @ np.abs(b) + np.abs(bias)
    k, unit = a.shape[1], float(np.finfo(got.dtype).eps) / 2
    terms = min(k + 1, 8 * math.sqrt(k + 1))
    error = np.abs(got - want)
    assert got.shape == want.shape
    assert np.all(error <= 1.01 * terms * unit * size), (error / np.maximum(unit * size, 1e-300)).max()


# --- values --------------------------------------------------------------------------------------------------


@every_dtype
@pytest.mark.parametrize("rows", TAILS)
def test_tails_of_rows_and_columns(dtype, rows):
    for outputs in TAILS:
        x, weight, bias = operands(rows, outputs, 19, dtype)
        y = fastml.linear(x, weight, bias)
        assert_within_bound(y, x, weight.T, bias)
        assert_same_bits(fastml.linear(x, weight, bias, activation="relu"), np.where(y < 0, dtype(0), y))
        dx, dweight, dbias = fastml.linear_backward(y, x, weight)
        assert_within_bound(dx, y, weight)
        assert_within_bound(dweight, y.T, x)
        assert_within_bound(dbias[None], np.ones((1, rows)), y)


@every_dtype
@pytest.mark.parametrize("inputs", DEPTHS)
def test_tails_of_the_sum(dtype, inputs):
    for rows, outputs in ((1, 1), (9, 33), (33, 9)):
        x, weight, bias = operands(rows, outputs, inputs, dtype)
        assert_within_bound(fastml.linear(x, weight, bias), x, weight.T, bias)
        grad = normal((rows, outputs), dtype)
        dx, dweight, dbias = fastml.linear_backward(grad, x, weight)
        assert_within_bound(dx, grad, weight)
        assert_within_bound(dweight, grad.T, x)
        # the sum over a batch of this size
        grad, x = normal((inputs, outputs), dtype, 5), normal((inputs, rows), dtype, 6)
        dx, dweight, dbias = fastml.linear_backward(grad, x, normal((outputs, rows), dtype))
        assert_within_bound(dweight, grad.T, x)
        assert_within_bound(dbias[None], np.ones((1, inputs)), grad)


@every_dtype
@pytest.mark.parametrize("shape", LARGE, ids=str)
def test_large(dtype, shape):
    x, weight, bias = operands(*shape, dtype)
    y = fastml.linear(x, weight, bias)
    assert_within_bound(y, x, weight.T, bias)
    dx, dweight, dbias = fastml.linear_backward(y, x, weight)
    assert_within_bound(dx, y, weight)
    assert_within_bound(dweight, y.T, x)
    assert_within_bound(dbias[None], np.ones((1, len(x))), y)


@every_dtype
def test_no_inputs_give_the_bias_and_no_rows_nothing(dtype):
    x, weight, bias = operands(5, 4, 0, dtype)
    assert_same_bits(fastml.linear(x, weight, bias), np.tile(bias, (5, 1)))
    assert_same_bits(fastml.linear(x, weight), np.zeros((5, 4), dtype))
    x, weight, bias = operands(0, 4, 3, dtype)
    assert fastml.linear(x, weight, bias).shape == (0, 4)
    dx, dweight, dbias = fastml.linear_backward(np.zeros((0, 4), dtype), x, weight)
    assert dx.shape == (0, 3)
    assert_same_bits(dweight, np.zeros((4, 3), dtype))
    assert_same_bits(dbias, np.zeros(4, dtype))


def test_nan_and_infinity_stay_in_their_row():
    x, weight, bias = operands(20, 40, 30, np.float32)
    clean = fastml.linear(x, weight, bias, activation="relu")
    x[7, 3], x[11, 29] = np.nan, np.inf
    got = fastml.linear(x, weight, bias, activation="relu")
    assert np.all(np.isnan(got[7]))
    assert_same_bits(got[11], np.where(weight[:, 29] > 0, np.float32(np.inf), np.float32(0)))
    others = [i for i in range(20) if i not in (7, 11)]
    assert_same_bits(got[others], clean[others])


def test_column_sums_of_many_rows_keep_their_digits():
    grad = np.full((300_000, 3), 0.1, np.float32)
    _, _, dbias = fastml.linear_backward(grad, np.ones((300_000, 1), np.float32), np.ones((3, 1), np.float32))
    np.testing.assert_allclose(dbias, 300_000 * np.float64(np.float32(0.1)), rtol=1e-6)


@pytest.mark.parametrize("rows", [16, 32, 64, 100, 128, 256, 1000, 4096])
@pytest.mark.parametrize("draw", ["random", "standard_normal"])
def test_column_sums_in_short_runs(rows, draw):
    """Errors of a chain of 16 at any length; one of 64 leaves twice as much."""
    errors = []
    for seed in range(20):
        grad = getattr(np.random.default_rng(seed), draw)((rows, 40), np.float32)
        want = grad.sum(0, dtype=np.float64)
        ones = np.ones((rows, 1), np.float32)
        got = fastml.linear_backward(grad, ones, np.ones((40, 1), np.float32), input_grad=False)[2]
        errors.append(np.abs(got - want).max() / np.abs(want).max())
    assert max(errors) <= 3.5 * 2.0**-24, max(errors)


@pytest.mark.skipif("baseline" not in _simd.built_targets(), reason="no baseline in this build")
def test_baseline_is_as_accurate():
    tests = [f"{__file__}::{name}" for name in ("test_tails_of_rows_and_columns", "test_tails_of_the_sum")]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests],
        check=False,
        cwd=ROOT,
        env={**os.environ, "FASTML_ISA": "baseline"},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stdout


# --- layouts and out -----------------------------------------------------------------------------------------


@every_dtype
@pytest.mark.parametrize("shape", [(9, 33, 40), (70, 70, 300)], ids=str)
def test_any_view_gives_the_same_bits(dtype, shape):
    x, weight, bias = operands(*shape, dtype)
    want = fastml.linear(x, weight, bias)
    gradients = fastml.linear_backward(want, x, weight)
    layouts = ("C", "F", "strided", "reversed", "field", "swapped")
    for first in layouts:
        for second in layouts:
            a, w = relayout(x, first), relayout(weight, second)
            assert_same_bits(fastml.linear(a, w, relayout(bias, first)), want, f"{first} {second}")
            for got, g in zip(fastml.linear_backward(relayout(want, second), a, w), gradients, strict=True):
                assert_same_bits(got, g, f"{first} {second} backward")


def test_large_operands_in_fortran_order_give_the_same_bits():
    """A is packed by rows or by columns here."""
    x, weight, bias = operands(700, 520, 600, np.float32)
    want = fastml.linear(x, weight, bias)
    assert_same_bits(fastml.linear(np.asfortranarray(x), weight, bias), want)
    assert_same_bits(fastml.linear(x, np.asfortranarray(weight), bias), want)


def test_broadcast_and_single_axes():
    x, weight, bias = operands(6, 35, 20, np.float32)
    row = fastml.linear(x[0], weight, bias)
    assert row.shape == (35,)
    assert_same_bits(fastml.linear(np.broadcast_to(x[0], (6, 20)), weight, bias), np.tile(row, (6, 1)))
    assert_same_bits(fastml.linear(x.reshape(2, 1, 3, 20), weight, bias).reshape(6, 35), fastml.linear(x, weight, bias))
    narrow = np.broadcast_to(weight[:, :1], weight.shape)
    assert_same_bits(fastml.linear(x, narrow, bias), fastml.linear(x, narrow.copy(), bias))


@every_dtype
def test_out_is_written_and_nothing_beside_it(dtype):
    x, weight, bias = operands(10, 33, 20, dtype)
    want = fastml.linear(x, weight, bias)
    memory = np.full(10 * 33 + 64, 99, dtype)
    out = memory[32:-32].reshape(10, 33)
    assert fastml.linear(x, weight, bias, out=out) is out
    assert_same_bits(out, want)
    assert np.all(memory[:32] == 99) and np.all(memory[-32:] == 99)


def test_out_may_be_an_operand_of_the_same_shape():
    for name in ("x", "weight"):
        args = {"x": normal((20, 20)), "weight": normal((20, 20), seed=1), "bias": normal(20, seed=2)}
        want = fastml.linear(**args)
        assert fastml.linear(**args, out=args[name]) is args[name]
        assert_same_bits(args[name], want)


# --- errors --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", _ACTIVATIONS)
def test_every_activation_gives_the_bits_of_two_calls(name, dtype):
    rng = np.random.default_rng(0)
    x, weight, bias = (rng.standard_normal(shape).astype(dtype) for shape in ((3, 7, 33), (19, 33), 19))
    y = fastml.linear(x, weight, bias)
    options = {"approximate": "tanh"} if name == "gelu_tanh" else {}
    wanted = getattr(fastml, name.removesuffix("_tanh"))(y, **options)
    assert_same_bits(fastml.linear(x, weight, bias, activation=name), wanted)
    out = np.empty((7, 3, 19), dtype).transpose(1, 0, 2)
    assert fastml.linear(x, weight, bias, activation=name, out=out) is out
    assert_same_bits(out, wanted)
    square = rng.standard_normal((33, 33)).astype(dtype)
    wanted = fastml.linear(x, square, activation=name)
    assert_same_bits(fastml.linear(x, square, activation=name, out=x), wanted)
    x = rng.standard_normal((3, 7, 33)).astype(dtype)
    ours, wanted = (module.linear(x, weight, bias, activation=name) for module in (fastml, reference))
    np.testing.assert_allclose(ours, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("module", [fastml, reference], ids=["fastml", "reference"])
@pytest.mark.parametrize(
    "error, match, change",
    [
        (ValueError, "x", {"x": np.ones((3, 4))}),
        (ValueError, "x", {"x": np.float64(1)}),
        (ValueError, "weight", {"weight": np.ones(5)}),
        (ValueError, "weight", {"weight": np.ones((2, 5, 1))}),
        (ValueError, "bias", {"bias": np.ones(3)}),
        (ValueError, "bias", {"bias": np.ones((1, 2))}),
        (ValueError, "activation", {"activation": "sine"}),
        (ValueError, "activation", {"activation": ["relu"]}),
        (TypeError, "x", {"x": np.ones((3, 5), complex)}),
        (TypeError, "weight", {"weight": np.ones((2, 5), np.float16)}),
        (TypeError, "bias", {"bias": np.ones(2, complex)}),
        (ValueError, "out", {"out": np.ones((3, 3))}),
        (TypeError, "out", {"out": np.ones((3, 2), np.float32)}),
    ],
)
def test_errors_name_the_argument_and_write_nothing(module, error, match, change):
    out = np.full((3, 2), 99.0)
    args = {"x": np.ones((3, 5)), "weight": np.ones((2, 5)), "bias": np.ones(2), "out": out, **change}
    with pytest.raises(error, match=match):
        module.linear(**args)
    assert np.all(out == 99)


@pytest.mark.parametrize("module", [fastml, reference], ids=["fastml", "reference"])
@pytest.mark.parametrize("shape", [(2,), (4, 2), (3, 3), (1, 3, 2), ()])
def test_grad_of_another_shape(module, shape):
    with pytest.raises(ValueError, match="grad"):
        module.linear_backward(np.ones(shape), np.ones((3, 5)), np.ones((2, 5)))


@pytest.mark.parametrize("module", [fastml, fastml.reference], ids=lambda m: m.__name__)
def test_backward_without_dx(module):
    grad, x, weight = normal((40, 7)), normal((40, 9), seed=1), normal((7, 9), seed=2)
    _, dweight, dbias = module.linear_backward(grad, x, weight)
    nothing, *same = module.linear_backward(grad, x, weight, input_grad=False)
    assert nothing is None
    assert np.array_equal(same[0], dweight) and np.array_equal(same[1], dbias)
