"""Linear: a product's element is a sum of chains of fused multiply-adds, cut at fixed places, whatever is beside it."""

import math
from fractions import Fraction

import numpy as np
import pytest

import fastml
from fastml import _simd

from .common import assert_same_bits, assert_same_for_any_threads, assert_same_on_fma_targets, normal, with_threads
from .test_linear import LARGE, both_ways, every_dtype, operands

# Where a sum over in is cut (src_c/gemm.h), here and in test_products.py.
PART, SPAN = 64, 4096

fused = pytest.mark.skipif(
    _simd.target == "baseline", reason="baseline x86-64 has no FMA: its multiply-add rounds twice"
)


def rounded(exact, dtype):
    """The nearest number of this dtype to a fraction, ties to even; no overflow, no denormals."""
    if exact == 0:
        return Fraction(0)
    bits = np.finfo(dtype).nmant
    exponent = math.frexp(float(abs(exact)))[1] - 1
    if Fraction(2) ** exponent > abs(exact):
        exponent -= 1
    unit = Fraction(2) ** (exponent - bits)
    return round(exact / unit) * unit


@fused
@every_dtype
def test_an_element_is_a_sum_of_chains_of_fused_multiply_adds(dtype):
    """Every PART of in is a chain, which a tile, a block or memory adds to those before it; the bias comes last."""
    x, weight, bias = operands(9, 34, 530, dtype)
    y = fastml.linear(x, weight, bias)
    for i, j in ((0, 0), (4, 17), (8, 33)):
        total = part = Fraction(0)
        for p, (a, b) in enumerate(zip(x[i].tolist(), weight[j].tolist(), strict=True), 1):
            part = rounded(Fraction(a) * Fraction(b) + part, dtype)
            if p % PART == 0 or p == x.shape[1]:
                total, part = rounded(total + part, dtype), Fraction(0)
        assert float(y[i, j]) == float(rounded(total + Fraction(float(bias[j])), dtype))


def chains(a, b, bias=None):
    """a b in float32: a chain for each PART of k; the chains of a SPAN are added, then the spans, then the bias.

    A product of two float32 is exact in longdouble; the sum would have to fall on a tie to be rounded twice.
    """
    wide = np.longdouble
    total = span = part = np.zeros((a.shape[0], b.shape[1]), np.float32)
    for p in range(a.shape[1]):
        part = (a[:, p, None].astype(wide) * b[p].astype(wide) + part).astype(np.float32)
        last = p + 1 == a.shape[1]
        if (p + 1) % PART == 0 or last:
            span, part = span + part, np.zeros_like(part)
        if (p + 1) % SPAN == 0 or last:
            total, span = total + span, np.zeros_like(part)
    return total if bias is None else total + bias


@fused
@pytest.mark.parametrize("outputs", [1, 2, 3, 4, 7, 8, 9, 10, 15, 16, 17, 20, 31, 32, 33, 50])
def test_small_products_are_chains(outputs):
    """Narrow, short and thin: columns by squares that reach back, B in place, one column as a row."""
    for rows in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 15, 16, 17, 24, 32, 33, 65):
        for inputs in (1, 2, 3, 4, 7, 8, 9, 12, 16, 17, 30):
            x, weight, bias = operands(rows, outputs, inputs, np.float32)
            y = chains(x, weight.T, bias)
            name = f"{rows} {inputs}"
            assert_same_bits(fastml.linear(x, weight, bias), y, name)
            got = fastml.linear_backward(y, x, weight)
            assert_same_bits(got[0], chains(y, weight), name)
            assert_same_bits(got[1], chains(y.T, x), name)


@fused
@pytest.mark.parametrize("rows", [1, 2, 31, 32, 33, 70, 600])
def test_one_output_is_chains(rows):
    """Also with several blocks of in, the one bias and the activation."""
    for inputs in (5, 300, 400, 784):
        x, weight, bias = operands(rows, 1, inputs, np.float32)
        y = chains(x, weight.T, bias)
        assert_same_bits(fastml.linear(x, weight, bias), y)
        assert_same_bits(fastml.linear(x, weight, bias, activation="relu"), np.where(y < 0, np.float32(0), y))
        assert_same_bits(fastml.linear(np.asfortranarray(x), weight), chains(x, weight.T))


@every_dtype
@pytest.mark.parametrize("rows", [8, 63, 64, 65, 66, 130])
def test_far_rows_give_the_same_bits(rows, dtype):
    """Rows of B that span more than L2: in place for few rows of A, packed for more."""
    grad, x = normal((rows, 40), dtype), normal((rows, 100), dtype, 1)
    weight = normal((40, 8192), dtype, 2)
    for columns in (slice(0, 100), slice(3, 103)):
        far, near = weight[:, columns], weight[:, columns].copy()
        for got, want in zip(fastml.linear_backward(grad, x, far), fastml.linear_backward(grad, x, near), strict=True):
            assert_same_bits(got, want)


@every_dtype
def test_an_element_does_not_depend_on_the_others(dtype):
    """Any part of the batch and any part of the outputs give the same bits as the whole."""
    x, weight, bias = operands(600, 300, 530, dtype)
    want = fastml.linear(x, weight, bias)
    for rows in (slice(0, 1), slice(3, 10), slice(17, 600), slice(None, None, 7)):
        for columns in (slice(0, 1), slice(5, 38), slice(None, None, 3)):
            got = fastml.linear(x[rows], weight[columns], bias[columns])
            assert_same_bits(got, want[rows, columns], f"{rows} {columns}")


@every_dtype
def test_same_bits_for_any_number_of_threads(dtype):
    for shape in (*LARGE, (2000, 17, 700), (17, 2000, 700)):
        x, weight, bias = operands(*shape, dtype)
        assert_same_for_any_threads(both_ways, x, weight, bias, activation="relu")


CODE = f"""
import hashlib
from tests.test_linear import *
result = {{}}
for dtype in DTYPES:
    for shape in {(*LARGE, (7, 33, 257), (13, 15, 18))}:
        x, weight, bias = operands(*shape, dtype)
        arrays = *both_ways(x, weight, bias), fastml.linear(np.asfortranarray(x), weight)
        digests = [list(hashlib.sha256(a.tobytes()).digest()) for a in arrays]
        result[f"{{shape}} {{np.dtype(dtype)}}"] = np.array(digests)
"""


def test_same_bits_on_every_fma_target():
    assert_same_on_fma_targets(CODE)


@fused
@pytest.mark.parametrize("rows, outputs", [(1, 1), (1, 40), (40, 1), (9, 33), (130, 70)])
def test_long_sums_are_cut_at_fixed_places(rows, outputs):
    """One row, one column, tails and several pieces of the result; in place, packed, by rows and by columns."""
    for inputs in (129, 255, 257, 300, 384, 640, 785) if rows == 130 else (256, 1000, 4095, 4097, 8300):
        x, weight, bias = operands(rows, outputs, inputs, np.float32)
        want, name = chains(x, weight.T, bias), str(inputs)
        assert_same_bits(fastml.linear(x, weight, bias), want, name)
        assert_same_bits(
            fastml.linear(x, weight, bias, activation="relu"), np.where(want < 0, np.float32(0), want), name
        )
        want = chains(x, weight.T)
        columns, rows_ = (np.ascontiguousarray(v.T) for v in (x, weight))
        nothing = np.zeros((rows, outputs), np.float32)
        assert_same_bits(fastml.linear_backward(x, nothing, rows_)[0], want, name)
        assert_same_bits(fastml.linear_backward(columns, rows_, nothing)[1], want, name)


@every_dtype
def test_long_sums_of_large_products(dtype):
    """A is packed here, and the sums of a span lie behind it, where single rows and columns have them on the stack."""
    x, weight, bias = operands(300, 530, 8500, dtype)
    want = fastml.linear(x, weight, bias)
    for i in (0, 255, 299):
        assert_same_bits(fastml.linear(x[i], weight, bias), want[i])
    assert_same_bits(fastml.linear(x, weight[500:], bias[500:]), want[:, 500:])
    assert_same_bits(with_threads(1, fastml.linear, x, weight, bias), want)


@fused
@pytest.mark.parametrize("off", [0, 16, 32, 4], ids="{} bytes off a line".format)
def test_sums_wherever_b_lies(off):
    """More rows than read B in place where it straddles lines: the first strip packs it, whole panels and tails."""
    for rows, inner, outputs in ((66, 31, 32), (66, 33, 64), (130, 65, 100), (81, 300, 48), (600, 129, 70)):
        x, weight, _ = operands(rows, outputs, inner, np.float32)
        room = np.empty(inner * outputs + 32, np.float32)
        start = (off - room.ctypes.data) % 64 // 4
        b = room[start : start + inner * outputs].reshape(inner, outputs)
        assert b.ctypes.data % 64 == off
        b[...] = weight.T
        want, name = chains(x, weight.T), f"{rows} {inner} {outputs}"
        nothing = np.zeros((rows, outputs), np.float32)
        assert_same_bits(fastml.linear_backward(x, nothing, b)[0], want, name)
        assert_same_bits(fastml.linear(x, b.T), want, name)
