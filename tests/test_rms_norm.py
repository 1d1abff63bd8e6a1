"""rms_norm and its gradient against the reference, PyTorch and finite differences; the kernel is layer_norm's."""

import numpy as np
import pytest

import fastml
from fastml import nn, reference

from .common import (
    DTYPES,
    assert_same_bits,
    assert_same_for_any_threads,
    assert_same_past_the_caches,
    assert_within,
    normal,
)
from .gradients import assert_gradients
from .pytorch import assert_layer_as_pytorchs
from .test_layer_norm import BIG, every_case, every_dtype, make


@every_dtype
@every_case
def test_forward(shape, axis, dtype):
    x, weight, *_ = make(shape, axis, dtype, 0.5, 3)
    for given in (weight, None):
        got = fastml.rms_norm(x, given, axis=axis, eps=1e-3)
        want = reference.rms_norm(x, given, axis=axis, eps=1e-3)
        for g, w in zip(got, want, strict=True):
            assert_within(g, w, dtype, 0.1, 8)


@every_dtype
@every_case
def test_backward(shape, axis, dtype):
    x, weight, _, grad = make(shape, axis, dtype, 0.5)
    _, inv_rms = reference.rms_norm(x, axis=axis, eps=1e-2)
    for given in (weight, None):
        got = fastml.rms_norm_backward(grad, x, given, inv_rms, axis=axis)
        want = reference.rms_norm_backward(grad, x, given, inv_rms, axis=axis)
        assert_within(got[0], want[0], dtype, 8 * np.abs(inv_rms).max())
        assert_within(got[1], want[1], dtype, 4 * np.sqrt(inv_rms.size))


@every_case
def test_as_pytorch(shape, axis):
    torch = pytest.importorskip("torch")
    if isinstance(axis, int) and axis % len(shape) != len(shape) - 1:
        pytest.skip("PyTorch normalises the last axes")
    x, weight, _, grad = make(shape, axis, np.float64, 1.5)
    tensors = [torch.tensor(a, requires_grad=True) for a in (x, weight)]
    want = torch.nn.functional.rms_norm(tensors[0], weight.shape, tensors[1], 1e-3)
    want.backward(torch.tensor(grad))
    y, inv_rms = fastml.rms_norm(x, weight, axis=axis, eps=1e-3)
    np.testing.assert_allclose(y, want.detach().numpy(), rtol=1e-11, atol=1e-11)
    got = fastml.rms_norm_backward(grad, x, weight, inv_rms, axis=axis)
    for g, t in zip(got, tensors, strict=True):
        np.testing.assert_allclose(g, t.grad.numpy(), rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize(("shape", "axis"), [((5, 3), -1), ((2, 3, 4), (-2, -1)), ((3, 2, 3), 0)])
def test_gradient_is_the_difference_quotient(shape, axis):
    x, weight, _, grad = make(shape, axis)
    args = {"x": x, "weight": weight}

    def loss(**changed):
        return (fastml.rms_norm(**{**args, **changed}, axis=axis)[0] * grad).sum()

    _, inv_rms = fastml.rms_norm(**args, axis=axis)
    got = fastml.rms_norm_backward(grad, x, weight, inv_rms, axis=axis)
    assert_gradients(got, loss, args)


@pytest.mark.parametrize("scale", [1e-30, 1e-20, 1e19, 1e30, 1e38])
def test_squares_neither_overflow_nor_vanish(scale):
    x = (normal((4, 700), np.float32, 1).clip(-3, 3) * scale).astype(np.float32)
    y, inv_rms = fastml.rms_norm(x, eps=0.0)
    want = reference.rms_norm(x, eps=0.0)
    assert_within(y, want[0], np.float32, 1e-3, 8)
    np.testing.assert_allclose(inv_rms, want[1], rtol=1e-6)
    grad = normal((4, 700), np.float32, 2)
    got, want = (m.rms_norm_backward(grad, x, None, inv_rms) for m in (fastml, reference))
    if (inv_rms < np.finfo(np.float32).tiny).all():  # counts as 0 in gradients
        assert not got[0].any() and not got[1].any()
    else:
        assert_within(got[0] * np.float32(scale), want[0] * scale, np.float32, 8)
        assert_within(got[1], want[1], np.float32, 8)


def test_rows_that_are_not_finite():
    x = normal((4, 50), np.float32, 1)
    want, inv_want = fastml.rms_norm(x)
    x[1, 7], x[2, 3] = np.nan, np.inf
    y, inv_rms = fastml.rms_norm(x)
    assert np.isnan(y[1]).all() and np.isnan(y[2, 3]) and inv_rms[2] == 0 and not np.delete(y[2], 3).any()
    assert_same_bits(y[::3], want[::3])
    assert_same_bits(inv_rms[::3], inv_want[::3])


def test_empty():
    for shape, axis, part in (
        ((0, 3), -1, (3,)),
        ((3, 0), -1, (0,)),
        ((0, 2, 3), (1, 2), (2, 3)),
        ((2, 0, 3), 1, (0,)),
    ):
        y, inv_rms = fastml.rms_norm(np.ones(shape), axis=axis)
        assert y.shape == shape and np.isnan(inv_rms).all()
        dx, dweight = fastml.rms_norm_backward(np.ones(shape), np.ones(shape), None, inv_rms, axis=axis)
        assert dx.shape == shape and dweight.shape == part and not dweight.any()


def every_bit(shape, dtype):
    """All results, forward and backward."""
    x, weight, _, grad = make(shape, -1, dtype, 2.0)
    y, inv_rms = fastml.rms_norm(x, weight)
    return y, inv_rms, *fastml.rms_norm_backward(grad, x, weight, inv_rms)


@pytest.mark.parametrize("dtype", DTYPES)
def test_threads_show_in_no_bit(dtype):
    for shape in BIG:
        assert_same_for_any_threads(every_bit, shape, dtype)


def test_stores_past_the_caches():
    assert_same_past_the_caches("""
        import numpy as np
        from tests.test_rms_norm import BIG, every_bit
        shapes = [*BIG, (7, 513), (39, 272), (9, 5000), (6, 20_000)]
        result = {f"{s} {k}": a for s in shapes for k, a in enumerate(every_bit(s, np.float32))}
    """)


# --- errors --------------------------------------------------------------------------------------------------

WRONG = [
    (ValueError, "eps", {"eps": -1e-5}),
    (TypeError, "eps", {"eps": None}),
    (ValueError, "weight", {"weight": np.ones(4, np.float32)}),
    (ValueError, "axis", {"axis": 3}),
    (ValueError, "axis", {"axis": (0, 1)}),
    (TypeError, "axis", {"axis": None}),
    (ValueError, "axis", {"x": np.float32(1), "out": None}),
]


@pytest.mark.parametrize("module", [fastml, reference], ids=["fastml", "reference"])
@pytest.mark.parametrize(("error", "match", "changed"), WRONG)
def test_errors_write_nothing(error, match, changed, module):
    x, weight, *_ = make((6, 4, 5), -1, np.float32)
    out = np.full((6, 4, 5), 7, np.float32)
    with pytest.raises(error, match=match):
        module.rms_norm(**{"x": x, "weight": weight, "out": out, **changed})
    assert (out == 7).all()


@pytest.mark.parametrize("module", [fastml, reference], ids=["fastml", "reference"])
def test_backward_errors(module):
    x, weight, _, grad = make((6, 5), -1, np.float32)
    _, inv_rms = reference.rms_norm(x)
    out = np.full((6, 5), 7, np.float32)
    for error, match, args in (
        (ValueError, "x must have the shape of grad|grad must have the shape of x", (grad, x[:5], weight, inv_rms)),
        (ValueError, "weight", (grad, x, weight[:4], inv_rms)),
        (ValueError, "inv_rms", (grad, x, weight, inv_rms.ravel())),
        (TypeError, "inv_rms", (grad, x, weight, None)),
        (ValueError, "out overlaps inv_rms", (grad, x, weight, out[:, :1])),
    ):
        with pytest.raises(error, match=match):
            module.rms_norm_backward(*args, out=out)
    assert (out == 7).all()


# --- the layer -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{"eps": 1e-6}, {"eps": 0.1, "elementwise_affine": False}])
@pytest.mark.parametrize("shape", [5, (5,), (3, 5)])
def test_layer_as_pytorchs(shape, options):
    layer, theirs = assert_layer_as_pytorchs("RMSNorm", (4, 3, 5), shape, **options)
    assert repr(layer) == repr(theirs)


def test_wrong_layers():
    for error, make_layer in (
        (ValueError, lambda: nn.RMSNorm(0)),
        (TypeError, lambda: nn.RMSNorm(2.0)),
        (ValueError, lambda: nn.RMSNorm(3, eps=-1)),
        (ValueError, lambda: nn.RMSNorm((3, 5))(np.ones((5, 3)))),
        (RuntimeError, lambda: nn.RMSNorm(3).backward(np.ones(3))),
    ):
        with pytest.raises(error):
            make_layer()
