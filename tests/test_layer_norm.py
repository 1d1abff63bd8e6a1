"""layer_norm and its gradient against the reference, PyTorch and finite differences."""

import numpy as np
import pytest

import fastml
from fastml import nn, optim, reference

from .common import (
    DTYPES,
    LENGTHS,
    assert_same_bits,
    assert_same_for_any_threads,
    assert_same_on_fma_targets,
    assert_same_past_the_caches,
    assert_within,
    normal,
)
from .gradients import assert_gradients
from .pytorch import assert_layer_as_pytorchs
from .steps import assert_same_training

# (shape, axis): rows of every tail length, several groups and blocks of rows, long rows, several and other axes
CASES = [
    *[((rows, n), -1) for n in LENGTHS[1:] for rows in (1, 3, 4, 5)],
    *[((rows, 33), -1) for rows in (31, 32, 33, 64, 67, 2049, 4100)],
    ((3, 511), -1), ((3, 513), 1), ((5, 1030), -1), ((3, 4096), -1), ((6, 20_000), -1), ((2, 70_001), -1),
    ((9,), -1), ((2, 3, 4, 5), -1), ((2, 3, 4, 5), (-1,)), ((2, 3, 4, 5), (2, 3)), ((2, 3, 4, 5), (-3, -2, -1)),
    ((2, 3, 4, 5), (0, 1, 2, 3)), ((6, 5, 7), 0), ((6, 5, 7), 1), ((6, 5, 7), -2),
]  # fmt: skip
every_case = pytest.mark.parametrize(("shape", "axis"), CASES, ids=[f"{s} {a}" for s, a in CASES])
every_dtype = pytest.mark.parametrize("dtype", DTYPES)


def make(shape, axis, dtype=np.float64, offset=0.0, spread=1.0):
    """x, weight, bias and a gradient."""
    axes = axis if isinstance(axis, tuple) else (axis,)
    part = tuple(shape[a] for a in axes)
    weight = np.random.default_rng(7).uniform(0.5, 2, part).astype(dtype)
    x = normal(shape, dtype, 1, spread) + dtype(offset)
    return x, weight, normal(part, dtype, 2), normal(shape, dtype, 3)


@every_dtype
@every_case
def test_forward(shape, axis, dtype):
    x, weight, bias, _ = make(shape, axis, dtype, 0.5, 3)
    for given in ((weight, bias), (weight, None), (None, bias), (None, None)):
        got = fastml.layer_norm(x, *given, axis=axis, eps=1e-3)
        want = reference.layer_norm(x, *given, axis=axis, eps=1e-3)
        for g, w in zip(got, want, strict=True):
            assert_within(g, w, dtype, 5)


@every_dtype
@every_case
def test_backward(shape, axis, dtype):
    x, weight, _, grad = make(shape, axis, dtype, 0.5)
    _, mean, inv_std = reference.layer_norm(x, axis=axis, eps=1e-2)
    for given in (weight, None):
        got = fastml.layer_norm_backward(grad, x, given, mean, inv_std, axis=axis)
        want = reference.layer_norm_backward(grad, x, given, mean, inv_std, axis=axis)
        assert_within(got[0], want[0], dtype, 8 * np.abs(inv_std).max())
        for g, w in zip(got[1:], want[1:], strict=True):
            assert_within(g, w, dtype, 4 * np.sqrt(mean.size))


@every_case
def test_as_pytorch(shape, axis):
    torch = pytest.importorskip("torch")
    if isinstance(axis, int) and axis % len(shape) != len(shape) - 1:
        pytest.skip("PyTorch normalises the last axes")
    x, weight, bias, grad = make(shape, axis, np.float64, 1.5)
    tensors = [torch.tensor(a, requires_grad=True) for a in (x, weight, bias)]
    want = torch.nn.functional.layer_norm(tensors[0], weight.shape, *tensors[1:], 1e-3)
    want.backward(torch.tensor(grad))
    y, mean, inv_std = fastml.layer_norm(x, weight, bias, axis=axis, eps=1e-3)
    np.testing.assert_allclose(y, want.detach().numpy(), rtol=1e-11, atol=1e-11)
    got = fastml.layer_norm_backward(grad, x, weight, mean, inv_std, axis=axis)
    for g, t in zip(got, tensors, strict=True):
        np.testing.assert_allclose(g, t.grad.numpy(), rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize(("shape", "axis"), [((5, 3), -1), ((2, 3, 4), (-2, -1)), ((3, 2, 3), 0)])
def test_gradient_is_the_difference_quotient(shape, axis):
    x, weight, bias, grad = make(shape, axis)
    args = {"x": x, "weight": weight, "bias": bias}

    def loss(**changed):
        return (fastml.layer_norm(**{**args, **changed}, axis=axis)[0] * grad).sum()

    _, mean, inv_std = fastml.layer_norm(**args, axis=axis)
    got = fastml.layer_norm_backward(grad, x, weight, mean, inv_std, axis=axis)
    assert_gradients(got, loss, args)


@pytest.mark.parametrize("n", [5, 64, 700, 9000])
def test_offset_keeps_its_digits(n):
    """Mean 1e4 and standard deviation 1 in float32: as exact as a float64 computation of the same values."""
    x, weight, bias, _ = make((30, n), -1, np.float32, 1e4)
    got, want = (m.layer_norm(x, weight, bias, eps=0.0) for m in (fastml, reference))
    assert_within(got[0], want[0], np.float32, 4)
    np.testing.assert_allclose(got[2], 1 / x.std(axis=1, dtype=np.float64, keepdims=True), rtol=1e-6)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_row_that_is_not_finite_spoils_no_other(value):
    x, weight, bias, _ = make((6, 50), -1, np.float32)
    want, *_ = fastml.layer_norm(x, weight, bias)
    x[2, 7] = value
    y, _, _ = fastml.layer_norm(x, weight, bias)
    assert np.isnan(y[2]).all()
    assert_same_bits(np.delete(y, 2, 0), np.delete(want, 2, 0))


def test_empty():
    for shape, axis, part in (
        ((0, 3), -1, (3,)),
        ((3, 0), -1, (0,)),
        ((0, 2, 3), (1, 2), (2, 3)),
        ((2, 0, 3), 1, (0,)),
    ):
        y, mean, inv_std = fastml.layer_norm(np.ones(shape), axis=axis)
        assert y.shape == shape and np.isnan(mean).all() and np.isnan(inv_std).all()
        dx, dweight, dbias = fastml.layer_norm_backward(np.ones(shape), np.ones(shape), None, mean, inv_std, axis=axis)
        assert dx.shape == shape and dweight.shape == part and not dweight.any() and not dbias.any()


def test_in_place_and_out():
    for shape, axis in (((67, 130), -1), ((5, 6, 7), (1, 2)), ((5, 6, 7), 0)):
        x, weight, bias, grad = make(shape, axis, np.float32)
        want, mean, inv_std = fastml.layer_norm(x, weight, bias, axis=axis)
        place = x.copy()
        assert fastml.layer_norm(place, weight, bias, axis=axis, out=place)[0] is place
        assert_same_bits(place, want)
        want, *_ = fastml.layer_norm_backward(grad, x, weight, mean, inv_std, axis=axis)
        for which in (0, 1):
            pair = [grad.copy(), x.copy()]
            got, *_ = fastml.layer_norm_backward(*pair, weight, mean, inv_std, axis=axis, out=pair[which])
            assert got is pair[which]
            assert_same_bits(got, want)


# --- the same bits -------------------------------------------------------------------------------------------

BIG = [(129, 260), (4200, 70), (70, 3000), (5, 30_000), (2100, 33)]


def every_bit(shape, dtype):
    """All results, forward and backward."""
    x, weight, bias, grad = make(shape, -1, dtype, 2.0)
    forward = fastml.layer_norm(x, weight, bias)
    return *forward, *fastml.layer_norm_backward(grad, x, weight, *forward[1:])


@every_dtype
def test_threads_show_in_no_bit(dtype):
    for shape in BIG:
        assert_same_for_any_threads(every_bit, shape, dtype)


@every_dtype
def test_rows_do_not_know_their_neighbours(dtype):
    """Some rows alone give the bits of the whole; the sums of chunks of 32 rows add up to those of the whole."""
    x, weight, bias, grad = make((128, 67), -1, dtype, 2.0)
    y, mean, inv_std = fastml.layer_norm(x, weight, bias)
    dx, dweight, dbias = fastml.layer_norm_backward(grad, x, weight, mean, inv_std)
    totals = np.zeros((2, 67))
    for start in range(0, 128, 32):
        rows = slice(start, start + 32)
        assert_same_bits(fastml.layer_norm(x[rows], weight, bias)[0], y[rows])
        part = fastml.layer_norm_backward(grad[rows], x[rows], weight, mean[rows], inv_std[rows])
        assert_same_bits(part[0], dx[rows])
        totals += part[1:]
    assert_same_bits(totals.astype(dtype), np.array([dweight, dbias]))


@every_dtype
def test_rows_together_have_the_bits_of_each_alone(dtype):
    """Short rows are worked on several at a time: a lane each, or sharing their roots. A single row never is."""
    info = np.finfo(dtype)
    odd = [np.nan, np.inf, -np.inf, info.max, info.tiny / 4, np.sqrt(info.max), -0.0, info.smallest_subnormal]
    for n in (*range(1, 36), 64, 129, 256, 300):
        for spoiled in (False, True):
            x, weight, bias, grad = make((37, n), -1, dtype, 1e3)
            x[:9] -= 1e3
            x[9:12] = [[0], [-0.0], [7]]
            if spoiled:
                for row, value in enumerate(odd):
                    x[4 * row, (7 * row) % n] = value
            y, mean, inv_std = fastml.layer_norm(x, weight, bias)
            dx, *_ = fastml.layer_norm_backward(grad, x, weight, mean, inv_std)
            z, inv_rms = fastml.rms_norm(x, weight)
            for row in range(37):
                i = slice(row, row + 1)
                alone = *fastml.layer_norm(x[i], weight, bias), *fastml.rms_norm(x[i], weight)
                alone += fastml.layer_norm_backward(grad[i], x[i], weight, mean[i], inv_std[i])[:1]
                for one, all_ in zip(alone, (y, mean, inv_std, z, inv_rms, dx), strict=True):
                    assert_same_bits(one, all_[i])
            assert_same_bits(fastml.layer_norm(x, None, None, out=x.copy())[0], fastml.layer_norm(x, None, None)[0])


CODE = """
import numpy as np
from tests.test_layer_norm import BIG, every_bit
result = {}
for shape in [*BIG, (5, 3), (45, 3), (45, 10), (45, 16), (67, 33), (7, 513), (39, 272)]:
    for dtype in (np.float32, np.float64):
        result |= {f"{shape} {dtype.__name__} {k}": a for k, a in enumerate(every_bit(shape, dtype))}
"""


def test_targets_show_in_no_bit():
    assert_same_on_fma_targets(CODE)


def test_stores_past_the_caches():
    assert_same_past_the_caches(CODE)


# --- errors --------------------------------------------------------------------------------------------------

WRONG = [
    (ValueError, "eps", {"eps": -1e-5}),
    (ValueError, "eps", {"eps": float("nan")}),
    (TypeError, "eps", {"eps": None}),
    (ValueError, "weight", {"weight": np.ones(4, np.float32)}),
    (ValueError, "bias", {"bias": np.ones((1, 5), np.float32)}),
    (TypeError, "weight", {"weight": np.ones(5, complex)}),
    (ValueError, "axis", {"axis": 3}),
    (ValueError, "axis", {"axis": (0, 1)}),
    (ValueError, "axis", {"axis": (2, 1)}),
    (ValueError, "axis", {"axis": ()}),
    (TypeError, "axis", {"axis": 1.0}),
    (TypeError, "axis", {"axis": (1, "2")}),
    (TypeError, "axis", {"axis": None}),
    (ValueError, "axis", {"x": np.float32(1), "out": None}),
]


@pytest.mark.parametrize("module", [fastml, reference], ids=["fastml", "reference"])
@pytest.mark.parametrize(("error", "match", "changed"), WRONG)
def test_errors_write_nothing(error, match, changed, module):
    x, weight, bias, _ = make((6, 4, 5), -1, np.float32)
    out = np.full((6, 4, 5), 7, np.float32)
    with pytest.raises(error, match=match):
        module.layer_norm(**{"x": x, "weight": weight, "bias": bias, "out": out, **changed})
    assert (out == 7).all()


@pytest.mark.parametrize("module", [fastml, reference], ids=["fastml", "reference"])
def test_backward_errors(module):
    x, weight, _, grad = make((6, 5), -1, np.float32)
    _, mean, inv_std = reference.layer_norm(x)
    out = np.full((6, 5), 7, np.float32)
    backward = module.layer_norm_backward
    for error, match, args in (
        (
            ValueError,
            "x must have the shape of grad|grad must have the shape of x",
            (grad, x[:5], weight, mean, inv_std),
        ),
        (ValueError, "weight", (grad, x, weight[:4], mean, inv_std)),
        (ValueError, "mean", (grad, x, weight, mean[:4], inv_std)),
        (ValueError, "inv_std", (grad, x, weight, mean, inv_std.ravel())),
        (TypeError, "inv_std", (grad, x, weight, mean, None)),
        (ValueError, "out overlaps mean", (grad, x, weight, out[:, :1], inv_std)),
    ):
        with pytest.raises(error, match=match):
            backward(*args, out=out)
    assert (out == 7).all()


# --- the layers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"bias": False}, {"elementwise_affine": False}, {"eps": 0.1}])
@pytest.mark.parametrize("shape", [5, (5,), (3, 5)])
def test_layer_as_pytorchs(shape, options):
    assert_layer_as_pytorchs("LayerNorm", (4, 3, 5), shape, **options)


@every_dtype
@pytest.mark.parametrize("max_norm", [None, 0.5])
def test_a_step_normalises_samples_of_several_axes(dtype, max_norm):
    shape = (3, 4, 5)
    nn.manual_seed(4)
    model = nn.Sequential(
        nn.LayerNorm(shape, dtype=dtype), nn.GELU(), nn.RMSNorm(shape, dtype=dtype),
        nn.LayerNorm(shape, bias=False, dtype=dtype), nn.RMSNorm(shape, elementwise_affine=False), nn.Flatten(),
        nn.Linear(60, 5, dtype=dtype),
    )  # fmt: skip
    rng = np.random.default_rng(5)
    data = [(rng.standard_normal((n, *shape)).astype(dtype), rng.integers(0, 5, n)) for n in (40, 7, 100, 1)]
    assert_same_training(model, data, threads=2, max_norm=max_norm)
    wrong = nn.Sequential(nn.LayerNorm((4, 5)), nn.Flatten(), nn.Linear(60, 5))
    step = nn.compile_step(wrong, nn.CrossEntropyLoss(), optim.SGD(wrong.parameters(), lr=0.1))
    with pytest.raises(ValueError, match=r"0: LayerNorm normalises \(4, 5\), the layer before gives \(3, 4, 5\)"):
        step(data[0][0].astype(np.float32), data[0][1])


@pytest.mark.parametrize("approximate", ["none", "tanh"])
def test_gelu_layer_as_pytorchs(approximate):
    torch = pytest.importorskip("torch")
    layer, theirs = nn.GELU(approximate), torch.nn.GELU(approximate)
    assert repr(layer) == repr(theirs)
    x, grad = normal((4, 9), np.float64, 8), normal((4, 9), np.float64, 9)
    t = torch.tensor(x, requires_grad=True)
    want = theirs(t)
    want.backward(torch.from_numpy(grad))
    np.testing.assert_allclose(layer(x), want.detach(), rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(layer.backward(grad), t.grad, rtol=1e-10, atol=1e-14)


def test_wrong_layers():
    for error, make_layer in (
        (ValueError, lambda: nn.LayerNorm(0)),
        (ValueError, lambda: nn.LayerNorm(())),
        (TypeError, lambda: nn.LayerNorm(2.0)),
        (ValueError, lambda: nn.LayerNorm(3, eps=-1)),
        (ValueError, lambda: nn.LayerNorm((3, 5))(np.ones((5, 3)))),
        (ValueError, lambda: nn.LayerNorm(3)(np.ones(()))),
        (ValueError, lambda: nn.GELU("erf")),
        (RuntimeError, lambda: nn.LayerNorm(3).backward(np.ones(3))),
    ):
        with pytest.raises(error):
            make_layer()
