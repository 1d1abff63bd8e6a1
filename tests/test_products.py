"""Products of any length, forward, both gradients, cross-entropy, compiled steps: errors beside NumPy's, same bits."""

import numpy as np
import pytest

import fastml
from fastml import _simd, nn

from .common import DTYPES, THREADS, assert_same_bits, normal, run_on_target, with_threads
from .steps import assert_same_training

# (rows, columns, length); the last one takes four million of each row.
SHAPES = (
    *((40, 40, k) for k in (63, 64, 65, 100, 127, 128, 129, 256, 257, 384, 1000, 4096, 4097, 8193)),
    (20, 20, 20_000),
    (12, 16, 50_257),
    (4, 6, 1_000_000),
    (2, 3, 4_000_000),
)
KINDS = {
    "uniform": lambda rng, shape, dtype: rng.random(shape, dtype),
    "normal": lambda rng, shape, dtype: rng.standard_normal(shape, dtype),
    "constant": lambda rng, shape, dtype: np.full(shape, 0.1, dtype),
}

every_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=["float32", "float64"])


def operands(kind, rows, columns, length, dtype, seed=0):
    """a of rows and b of columns, both along the length: the product is a bᵀ."""
    rng = np.random.default_rng(seed)
    return KINDS[kind](rng, (rows, length), dtype), KINDS[kind](rng, (columns, length), dtype)


def exact(a, b):
    """a bᵀ in the next precision, a hundred thousand terms at a time."""
    wide = np.float64 if a.dtype == np.float32 else np.longdouble
    step = 100_000
    parts = (a[:, p : p + step].astype(wide) @ b[:, p : p + step].T.astype(wide) for p in range(0, a.shape[1], step))
    return sum(parts)


def error(got, want):
    """The largest error by the largest element."""
    return float(np.abs(got.astype(want.dtype) - want).max() / np.abs(want).max())


def products(a, b):
    """a bᵀ as linear makes it, and as both gradients of it."""
    zeros = np.zeros((len(a), len(b)), a.dtype)
    columns, rows = np.ascontiguousarray(a.T), np.ascontiguousarray(b.T)
    return {
        "forward": fastml.linear(a, b),
        "dx": fastml.linear_backward(a, zeros, rows)[0],
        "dweight": fastml.linear_backward(columns, rows, zeros, input_grad=False)[1],
    }


@pytest.mark.skipif(
    np.finfo(np.longdouble).nmant < 60, reason="the exact product of float64 needs an extended longdouble"
)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
@every_dtype
def test_errors_are_at_most_twice_numpys(dtype, kind, shape):
    """Also of a row or a column alone, which has the bits it has among others: NumPy's there are a dot's."""
    if dtype == np.float64 and shape[2] > 100_000:
        pytest.skip("the exact product would take a minute")
    ours, numpys = [], []
    for seed in range(3 if shape[2] < 1000 else 1):
        a, b = operands(kind, *shape, dtype, seed)
        want, got = exact(a, b), products(a, b)
        for name, value in got.items():
            assert_same_bits(value, got["forward"], name)
        assert_same_bits(fastml.linear(a[1], b), got["forward"][1], "row")
        assert_same_bits(fastml.linear(a, b[1:2]), got["forward"][:, 1:2], "column")
        ours.append(error(got["forward"], want))
        numpys.append(error(a @ b.T, want))
    assert max(ours) <= 2 * max(max(numpys), np.finfo(dtype).eps / 2), (ours, numpys)


@pytest.mark.parametrize("kind", ["uniform", "normal"])
@pytest.mark.parametrize("length", [64, 100, 128, 200, 256, 400, 784, 1000, 4096, 50_257])
def test_errors_of_a_row_or_a_column_alone(length, kind):
    """NumPy's row is a dot, whose sums run in many lanes: shorter chains than ours below a few hundred terms."""
    ours, numpys = [], []
    for seed in range(20 if length < 5000 else 5):
        a, b = operands(kind, 1, 40, length, np.float32, seed)
        want = exact(a, b)
        row = fastml.linear(a, b)
        assert_same_bits(fastml.linear(b, a).T, row)
        ours.append(error(row, want))
        numpys.append(error(a @ b.T, want))
    assert max(ours) <= (2 if length >= 400 else 3.5) * max(numpys), (ours, numpys)


@every_dtype
@pytest.mark.parametrize("samples", [255, 257, 700, 4096, 4097, 4160, 20_000])
def test_cross_entropy_of_many_samples_has_the_bits_of_the_functions_in_a_row(samples, dtype):
    """Blocks of samples are whole parts of dweight's sums, and from 4097 samples on there are several spans."""
    x, weight = normal((samples, 5), dtype), normal((7, 5), dtype, 1)
    target = np.arange(samples) % 7
    dlogits = fastml.cross_entropy_with_grad(fastml.linear(x, weight), target)[1]
    want = fastml.linear_backward(dlogits, x, weight)
    for threads in THREADS:
        got = with_threads(threads, fastml.linear_cross_entropy_with_grad, x, weight, target)
        assert_same_bits(got[1], want[0], "dx")
        assert_same_bits(got[2], want[1], "dweight")


def test_cross_entropy_of_many_classes():
    """dx is a sum over the classes; blocks of 256 samples, and of fewer than a part."""
    for samples, classes in ((300, 50_257), (150, 120_000)):
        x, weight = normal((samples, 4)), normal((classes, 4), seed=1, scale=0.1)
        target = np.arange(samples)
        dlogits = fastml.cross_entropy_with_grad(fastml.linear(x, weight), target)[1]
        _, dx, dweight, _ = fastml.linear_cross_entropy_with_grad(x, weight, target)
        assert_same_bits(dx, fastml.linear_backward(dlogits, x, weight)[0])
        wide = dlogits.astype(np.float64)
        assert error(dx, wide @ weight) <= 2 * error(dlogits @ weight, wide @ weight)
        assert error(dweight, wide.T @ x) <= 2 * error(dlogits.T @ x, wide.T @ x)


@every_dtype
def test_compiled_steps_of_many_rows_have_the_bits_of_explicit_calls(dtype):
    """Forward sums of 8200 terms and gradients of 9000 rows."""
    for rows, inputs in ((9000, 3), (40, 8200)):
        model = nn.Sequential(
            nn.Linear(inputs, 4, seed=0, dtype=dtype), nn.ReLU(), nn.Linear(4, 4, seed=1, dtype=dtype)
        )
        assert_same_training(model, [(normal((rows, inputs), dtype), np.arange(rows) % 4)] * 2, threads=2)


CODE = """
from tests.test_products import *
result = {}
for kind in KINDS:
    for dtype in DTYPES:
        for shape in ((1, 40, 1000), (40, 1, 1000), (17, 35, 300), (3, 5, 20_000), (300, 260, 8200)):
            a, b = operands(kind, *shape, dtype)
            result |= {f"{kind} {np.dtype(dtype)} {shape} {name}": v for name, v in products(a, b).items()}
"""


def test_same_bits_for_threads_and_targets():
    def run():
        a, b = operands("normal", 300, 260, 8300, np.float32)
        return products(a, b)

    want = with_threads(THREADS[0], run)
    for n in THREADS[1:]:
        for name, got in with_threads(n, run).items():
            assert_same_bits(got, want[name], f"{name} {n} threads")
    targets = [target for target in _simd.available_targets() if target != "baseline"]
    first, *others = (run_on_target(target, CODE) for target in targets)
    for other in others:
        for name, value in first.items():
            assert_same_bits(other[name], value, name)


@every_dtype
def test_a_part_of_a_product_has_the_bits_of_the_whole(dtype):
    """1000 rows of 390: A is packed, two blocks of k one after the other for each panel of columns."""
    a, b = operands("normal", 1000, 300, 390, dtype)
    for name, whole in products(a, b).items():
        for i, j in ((0, 0), (500, 31), (992, 290)):
            part = products(a[i : i + 8], b[j : j + 10])[name]
            assert_same_bits(whole[i : i + 8, j : j + 10], part, f"{name} {i} {j}")


@every_dtype
@pytest.mark.parametrize("columns", (2, 3, 7, 10, 16, 17, 24, 25))
@pytest.mark.parametrize("rows", (16, 33, 70, 300))
def test_few_columns_have_the_bits_they_have_among_others(dtype, rows, columns):
    """Rows of C are lanes there, with NaN, infinities and -0 as anywhere."""
    a, b = operands("normal", rows, 40, 200, dtype)
    a[1, 5], a[2, 7], b[3, :] = np.nan, np.inf, -0.0
    for name, whole in products(a, b).items():
        assert_same_bits(products(a, b[:columns])[name], whole[:, :columns], name)
    bias = np.linspace(-1, 1, 40).astype(dtype)
    for activation in (None, "relu"):
        whole = fastml.linear(a, b, bias=bias, activation=activation)
        assert_same_bits(
            fastml.linear(a, b[:columns], bias=bias[:columns], activation=activation), whole[:, :columns], activation
        )
