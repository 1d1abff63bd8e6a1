"""clip_grad_norm: against the reference and PyTorch, exactly the documented sum, and what it does with infinity."""

import numpy as np
import pytest

import fastml
from fastml import reference

from .arrays import tally
from .common import DTYPES, LAYOUTS, LENGTHS, assert_close, assert_same_bits, normal, relayout, with_threads

MIXED = [(3,), (), (64, 65), (0, 4), (2,), (100_003,), (5, 3, 2), (16,)]
BLOCK = 16384  # bytes


def clipped(grads, max_norm, module=fastml):
    """The norm, and the gradients afterwards."""
    copies = [np.array(g) for g in grads]
    norm = module.clip_grad_norm(copies, max_norm)
    assert type(norm) is float
    return norm, copies


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("max_norm", [0, 0.5, 3.0, 1e6, np.inf])
def test_lengths(max_norm, dtype):
    for n in (*LENGTHS, 4095, 4096, 4097, 8200):
        grads = [normal((n,), dtype, n)]
        norm, got = clipped(grads, max_norm)
        want_norm, want = clipped(grads, max_norm, reference)
        np.testing.assert_allclose(norm, want_norm, rtol=1e-15)
        assert_close(got[0], want[0], ulp=2, what=f"{n}")


def block_sum(x):
    """Sum of squares of one block, in runs of 2048: 32 lanes of doubles, 16 for the rest, folded half onto half.
    Squares of floats are exact."""
    if x.size > 2048:
        return tally(block_sum(x[start : start + 2048]) for start in range(0, x.size, 2048))
    lanes, whole = np.zeros(32), x.size // 32 * 32
    for start in [*range(0, whole, 32), *range(whole, x.size, 16)]:
        part = x[start : start + (32 if start < whole else 16)].astype(np.float64)
        lanes[: part.size] += part**2
    while lanes.size > 1:
        lanes = lanes[: lanes.size // 2] + lanes[lanes.size // 2 :]
    return lanes[0]


def test_the_sum_is_the_documented_one():
    """To the bit: blocks from each array's start, a tally for each array and one of all arrays."""
    for seed in range(0, 300, 10):
        grads = [normal(n, np.float32, seed + i) for i, n in enumerate((9000, 3, 0, 4096, 15_000, 4097, 13_000))]
        total = tally(
            tally(block_sum(g[start : start + BLOCK // 4]) for start in range(0, g.size, BLOCK // 4)) for g in grads
        )
        assert clipped(grads, np.inf)[0] == np.sqrt(total)


@pytest.mark.parametrize("grads", [[], [np.zeros((0, 3))], [np.zeros(5, np.float32), np.zeros(2)]])
def test_nothing_to_clip(grads):
    norm, got = clipped(grads, 1.0)
    assert norm == 0.0
    for a, b in zip(got, grads, strict=True):
        assert_same_bits(a, b)


@pytest.mark.parametrize("count", [1, 32, 33, 200])
def test_many_arrays_of_both_dtypes(count):
    grads = [normal(MIXED[i % len(MIXED)], DTYPES[i % 2], i) for i in range(count)]
    norm, got = clipped(grads, 1.0)
    want_norm, want = clipped(grads, 1.0, reference)
    np.testing.assert_allclose(norm, want_norm, rtol=1e-14)
    for g, w in zip(got, want, strict=True):
        assert_close(g, w, ulp=2)


def test_below_the_bound_nothing_is_touched():
    grads = [normal((1000,))]
    _, got = clipped(grads, 1e3)
    assert_same_bits(got[0], grads[0])


@pytest.mark.parametrize("max_norm", [0.0, 0.7, 1.0, 1e9, np.inf])
@pytest.mark.parametrize("values", [[0.6, 0.8], [np.inf, 1, -2], [-np.inf], [np.nan, 1], [np.inf, np.nan], [0.0]])
def test_as_pytorch(values, max_norm):
    torch = pytest.importorskip("torch")
    grads = [np.array(values), normal((3, 4), np.float64)]
    tensors = [torch.nn.Parameter(torch.zeros(g.shape, dtype=torch.float64)) for g in grads]
    for tensor, g in zip(tensors, grads, strict=True):
        tensor.grad = torch.tensor(g)
    want = torch.nn.utils.clip_grad_norm_(tensors, max_norm)
    norm, got = clipped(grads, max_norm)
    np.testing.assert_allclose(norm, want.item(), rtol=1e-14)
    for g, tensor in zip(got, tensors, strict=True):
        np.testing.assert_allclose(g, tensor.grad.numpy(), rtol=1e-14)


def test_large_floats_do_not_overflow():
    norm, (got,) = clipped([np.full(10_000, 1e30, np.float32)], 1.0)
    np.testing.assert_allclose(norm, 1e32, rtol=1e-6)
    np.testing.assert_allclose(got, 0.01, rtol=1e-6)
    norm, _ = clipped([np.full(100, 1e-30, np.float32)], 1.0)
    np.testing.assert_allclose(norm, 1e-29, rtol=1e-6)


def test_threads():
    shapes = [(300_007,), *MIXED, (4099,), *[(16,)] * 50, (3_000_000,)]
    grads = [normal(s, DTYPES[i % 2], i) for i, s in enumerate(shapes)]
    want_norm, want = with_threads(1, clipped, grads, 2.0)
    for threads in (2, 3, 7):
        for _ in range(5):
            norm, got = with_threads(threads, clipped, grads, 2.0)
            assert norm == want_norm
            for g, w in zip(got, want, strict=True):
                assert_same_bits(g, w)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(layout):
    grads = [normal((6, 5, 7)), normal((9,), np.float64)]
    norm, want = clipped(grads, 1.0)
    given = tuple(relayout(g, layout) for g in grads)
    assert fastml.clip_grad_norm(given, 1.0) == norm
    for got, w in zip(given, want, strict=True):
        assert_same_bits(got.astype(got.dtype.newbyteorder("=")), w)


def read_only():
    a = np.ones(8, np.float32)
    a.flags.writeable = False
    return a


ONES = np.ones(8, np.float32)
WRONG = [
    (TypeError, "grads", ONES, 1.0),
    (TypeError, "grads", (a for a in [ONES]), 1.0),
    (TypeError, r"grads\[1\]", [ONES.copy(), None], 1.0),
    (TypeError, r"grads\[1\]", [ONES.copy(), ONES.tolist()], 1.0),
    (TypeError, r"grads\[1\]", [ONES.copy(), np.ones(3, int)], 1.0),
    (ValueError, r"grads\[1\]", [ONES.copy(), read_only()], 1.0),
    (ValueError, "max_norm", [ONES], -1.0),
    (ValueError, "max_norm", [ONES], np.nan),
    (TypeError, "max_norm", [ONES], "1"),
    (TypeError, "max_norm", [ONES], None),
]


@pytest.mark.parametrize("module", [fastml, reference], ids=["fastml", "reference"])
@pytest.mark.parametrize("error, name, grads, max_norm", WRONG)
def test_errors_write_nothing(error, name, grads, max_norm, module):
    with pytest.raises(error, match=name):
        module.clip_grad_norm(grads, max_norm)
    np.testing.assert_array_equal(ONES, 1)
    if isinstance(grads, list):
        np.testing.assert_array_equal(grads[0], 1)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("clip_value", [0, 0.5, 1e6, np.inf])
def test_clip_value(clip_value, dtype):
    grads = [normal(n, dtype, i) for i, n in enumerate((*LENGTHS, 5000))]
    got, want = [np.array(g) for g in grads], [np.array(g) for g in grads]
    assert fastml.clip_grad_value(got, clip_value) is None
    reference.clip_grad_value(want, clip_value)
    for g, w in zip(got, want, strict=True):
        np.testing.assert_array_equal(g, w)


@pytest.mark.parametrize("n", [4, 70])
def test_clip_value_as_pytorch(n):
    torch = pytest.importorskip("torch")
    g = np.resize(np.array([np.inf, -np.inf, np.nan, -0.0, 2.0, -3.0, 0.25], np.float32), n)
    tensor = torch.nn.Parameter(torch.zeros(n))
    tensor.grad = torch.tensor(g)
    torch.nn.utils.clip_grad_value_([tensor], 1.5)
    fastml.clip_grad_value([g], 1.5)
    np.testing.assert_array_equal(g, tensor.grad.numpy())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [1, 7, 33, 4096, 4097, 20_000])
def test_unscale(n, dtype):
    g = normal(n, dtype, n)
    other = normal(5, np.float64)
    want = g * dtype(0.125)
    assert fastml.unscale_grads([g, other], 8.0) is True
    assert_same_bits(g, want)
    for k in {0, n // 2, n - 1}:
        for bad in (np.inf, -np.inf, np.nan):
            broken = g.copy()
            broken[k] = bad
            assert fastml.unscale_grads([other, broken], 8.0) is False
            assert reference.unscale_grads([other, broken], 8.0) is False
            np.testing.assert_array_equal(broken[:k], want[:k] / 64)


def test_unscale_of_numbers_whose_squares_overflow():
    for g in (np.full(100, 1e300), np.full(100, 3e38, np.float32)):
        assert fastml.unscale_grads([g], 2.0) is True
    g[3] = np.inf
    assert fastml.unscale_grads([g], 2.0) is False


def test_unscale_on_threads():
    grads = [normal(s, DTYPES[i % 2], i) for i, s in enumerate([(300_007,), *MIXED, (4099,)])]
    for bad in (False, True):
        if bad:
            grads[0][200_000] = np.nan
        for threads in (1, 2, 7):
            assert with_threads(threads, fastml.unscale_grads, [g.copy() for g in grads], 3.0) is not bad


@pytest.mark.parametrize("module", [fastml, reference], ids=["fastml", "reference"])
@pytest.mark.parametrize("name, argument", [("clip_grad_value", "clip_value"), ("unscale_grads", "scale")])
@pytest.mark.parametrize(
    "error, value", [(ValueError, -1.0), (ValueError, np.nan), (TypeError, "1"), (TypeError, None)]
)
def test_other_options(module, name, argument, error, value):
    with pytest.raises(error, match=argument):
        getattr(module, name)([ONES], value)
    np.testing.assert_array_equal(ONES, 1)
    for scale in (0, np.inf) if name == "unscale_grads" else ():
        with pytest.raises(ValueError, match="scale"):
            module.unscale_grads([ONES], scale)
