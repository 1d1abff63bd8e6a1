"""batch_norm and its gradient against the reference, PyTorch and finite differences."""

import numpy as np
import pytest

import fastml
from fastml import reference

from .common import (
    DTYPES,
    LAYOUTS,
    assert_same_bits,
    assert_same_for_any_threads,
    assert_same_on_fma_targets,
    assert_same_past_the_caches,
    assert_within,
    normal,
    relayout,
)
from .gradients import assert_gradients

# (shape, channel axis): columns and runs of every tail length, several blocks of 64 rows, one run in pieces
CASES = [
    *[((n, c), 1) for n in (2, 3, 7, 8, 9) for c in (1, 2, 15, 16, 17, 31, 33, 63, 65, 67)],
    *[((n, c), 1) for n in (63, 64, 65, 73, 127, 129, 200) for c in (1, 5, 16, 67, 130)],
    ((2100, 3), 1), ((70, 1100), 1), ((3, 600), -1), ((4200, 40), 1),
    *[((1, 3, n), 1) for n in (2, 3, 7, 8, 15, 16, 17, 31, 32, 33, 63, 65, 67)],
    ((5, 3, 1), 1), ((4, 5, 6, 7), 1), ((4, 5, 6, 7), -1), ((4, 5, 6, 7), 0), ((4, 5, 6, 7), 2),
    ((9, 40, 49), 1), ((70, 2, 130), 1), ((1, 2, 70_001), 1), ((3, 2, 5000), 1), ((3, 1, 130, 129), 1),
    ((6,), 0),
]  # fmt: skip
IDS = [f"{'x'.join(map(str, s))}@{a}" for s, a in CASES]
TRAINS = [(s, a) for s, a in CASES if len(s) > 1]
TRAIN_IDS = IDS[: len(TRAINS)]


def make(shape, axis, dtype=np.float64, offset=0.0, spread=1.0):
    """Arguments of the forward by name, and a gradient."""
    c = shape[axis]
    rng = np.random.default_rng(7)
    args = {
        "x": normal(shape, dtype, 1, spread) + dtype(offset),
        "weight": rng.uniform(0.5, 2, c).astype(dtype),
        "bias": rng.normal(size=c).astype(dtype),
        "running_mean": rng.normal(size=c).astype(dtype),
        "running_var": rng.uniform(0.5, 2, c).astype(dtype),
        "channel_axis": axis,
    }
    return args, normal(shape, dtype, 2)


def copied(args):
    return {k: v.copy() if isinstance(v, np.ndarray) else v for k, v in args.items()}


def both(args, **options):
    """Results and running statistics of the kernel and of the reference."""
    answers = []
    for module in (fastml, reference):
        a = copied(args)
        results = module.batch_norm(**a, **options)
        answers.append((*results, a.get("running_mean"), a.get("running_var")))
    return answers


def gradients(module, args, grad, **options):
    _, mean, inv_std = reference.batch_norm(**copied(args), training=options.get("training", True))
    return module.batch_norm_backward(
        grad, args["x"], args["weight"], mean, inv_std, channel_axis=args["channel_axis"], **options
    )


# --- against the reference -----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("shape", "axis"), CASES, ids=IDS)
def test_forward(shape, axis, dtype):
    args, _ = make(shape, axis, dtype, 0.5, 3)
    for training in (True, False) if len(shape) > 1 else (False,):
        for got, want in zip(*both(args, training=training, momentum=0.3, eps=1e-3), strict=True):
            assert_within(got, want, dtype, 5)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("shape", "axis"), TRAINS, ids=TRAIN_IDS)
def test_backward(shape, axis, dtype, training):
    args, grad = make(shape, axis, dtype, 0.5)
    got, want = (gradients(m, args, grad, training=training) for m in (fastml, reference))
    # Two values a channel cancel nearly all of the gradient: errors are in units of its terms.
    assert_within(got[0], want[0], dtype, 2 * np.abs(reference.batch_norm(**copied(args))[2]).max())
    terms = np.sqrt(grad.size / shape[axis]) * 4
    for g, w in zip(got[1:], want[1:], strict=True):
        assert_within(g, w, dtype, terms)


@pytest.mark.parametrize("missing", ["weight", "bias", "running_mean", "running_var"])
@pytest.mark.parametrize(("shape", "axis"), [((33, 17), 1), ((3, 5, 9), 1)])
def test_optional_arguments(shape, axis, missing):
    args, grad = make(shape, axis)
    given = {**args, missing: None}
    for got, want in zip(*both(given), strict=True):
        assert (got is None) == (want is None)
        if got is not None:
            assert_within(got, want, np.float64)
    got, want = (gradients(m, given, grad) for m in (fastml, reference))
    for g, w in zip(got, want, strict=True):
        assert_within(g, w, np.float64, 20)


@pytest.mark.parametrize("channels", [3, 16, 700])
@pytest.mark.parametrize("inner", [1, 6])
def test_offset_keeps_its_digits(channels, inner):
    """Mean 1e4 and standard deviation 1 in float32: as exact as a float64 computation of the same values."""
    args, _ = make((300, channels, inner), 1, np.float32, 1e4)
    got, want = both(args, eps=0.0)
    assert_within(got[0], want[0], np.float32, 4)
    assert_within(got[2], want[2], np.float32)
    np.testing.assert_allclose(got[2], 1 / args["x"].std(axis=(0, 2), dtype=np.float64), rtol=1e-6)


@pytest.mark.parametrize("shape", [(640, 20), (64, 3), (2, 3, 4096), (40, 3, 500)])
@pytest.mark.parametrize("kind", ["sorted", "steps", "first rows apart", "outlier"])
def test_variance_of_unlike_parts(shape, kind):
    """A block whose first eighth is unlike the rest, where a bad center would cost the digits."""
    x = np.moveaxis(normal(shape, np.float32, 3), 1, -1).reshape(-1, shape[1])
    n = len(x)
    if kind == "sorted":
        x = np.sort(x * 1e4, axis=0)
    elif kind == "steps":
        x[n // 2 :] += 1e5
    elif kind == "first rows apart":
        x[: n // 8] -= 3e4
    else:
        x[0] = 1e7
    x = x.reshape(shape[0], *shape[2:], shape[1]).astype(np.float32)
    x = np.ascontiguousarray(np.moveaxis(x, -1, 1))
    got, want = fastml.batch_norm(x, eps=0), reference.batch_norm(x, eps=0)
    assert_within(got[0], want[0], np.float32, 2)
    assert_within(got[1], want[1], np.float32, 1 / want[2])  # in units of the standard deviation
    assert_within(got[2], want[2], np.float32, 0)


@pytest.mark.parametrize("shape", [(130, 20), (40, 3, 500)])
@pytest.mark.parametrize("values", ["1e30", "equal", "zero", "inf", "nan", "both infinities"])
def test_uncommon_values(shape, values):
    x = normal(shape, np.float32, 3)
    x[:, 1] = {"1e30": x[:, 1] * 1e30, "equal": 0.1, "zero": 0}.get(values, x[:, 1])
    if values in ("inf", "nan"):
        x[1, 1, ...] = float(values)
    elif values == "both infinities":
        x[1, 1, ...], x[2, 1, ...] = np.inf, -np.inf
    running = [np.zeros((2, shape[1]), np.float32) for _ in range(2)]
    got, want = ((*m.batch_norm(x, None, None, *r), *r) for m, r in zip((fastml, reference), running, strict=True))
    for g, w in zip(got, want, strict=True):
        np.testing.assert_array_equal(np.isnan(g), np.isnan(w))
        np.testing.assert_array_equal(np.isinf(g), np.isinf(w))
        g, w = (np.where(np.isfinite(a), a, 0) for a in (g, w))
        np.testing.assert_allclose(g, w, rtol=2e-5, atol=2e-5)


def test_empty():
    for shape, axis in [((0, 3), 1), ((4, 3, 0), 1), ((4, 0), 1)]:
        args, grad = make(shape, axis, np.float32)
        before = args["running_mean"].copy()
        y, mean, inv_std = fastml.batch_norm(**args)
        assert y.shape == shape and np.isnan(mean).all() and np.isnan(inv_std).all()
        np.testing.assert_array_equal(args["running_mean"], before)
        assert fastml.batch_norm(**args, training=False)[1].tolist() == before.tolist()
        dx, dweight, dbias = fastml.batch_norm_backward(grad, args["x"], None, mean, inv_std)
        assert dx.shape == shape and not dweight.any() and not dbias.any()


# --- against PyTorch and finite differences ------------------------------------------------------------------


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", [(17, 33), (5, 7, 11), (2, 3, 9, 10)])
def test_as_pytorch(shape, training):
    torch = pytest.importorskip("torch")
    args, grad = make(shape, 1)
    x, weight, bias = (torch.tensor(args[k], requires_grad=True) for k in ("x", "weight", "bias"))
    running = [torch.tensor(args[k]) for k in ("running_mean", "running_var")]
    want = torch.nn.functional.batch_norm(x, *running, weight, bias, training, 0.1, 1e-5)
    want.backward(torch.tensor(grad))
    y, mean, inv_std = fastml.batch_norm(**args, training=training)
    np.testing.assert_allclose(y, want.detach().numpy(), rtol=1e-12, atol=1e-12)
    for name, value in zip(("running_mean", "running_var"), running, strict=True):
        np.testing.assert_allclose(args[name], value.numpy(), rtol=1e-13, atol=1e-15)
    got = fastml.batch_norm_backward(grad, args["x"], args["weight"], mean, inv_std, training=training)
    for g, t in zip(got, (x, weight, bias), strict=True):
        np.testing.assert_allclose(g, t.grad.numpy(), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("shape", "axis"), [((5, 3), 1), ((2, 3, 4), 1), ((2, 2, 3), -1)])
def test_gradient_is_the_difference_quotient(shape, axis, training):
    args, grad = make(shape, axis)

    def loss(**changed):
        return (fastml.batch_norm(**copied({**args, **changed}), training=training)[0] * grad).sum()

    _, mean, inv_std = fastml.batch_norm(**copied(args), training=training)
    got = fastml.batch_norm_backward(
        grad, args["x"], args["weight"], mean, inv_std, training=training, channel_axis=axis
    )
    assert_gradients(got, loss, {name: args[name] for name in ("x", "weight", "bias")})


# --- memory --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("training", [True, False])
def test_layouts(layout, training):
    args, grad = make((6, 5, 19), 1, np.float32)
    _, mean, inv_std = reference.batch_norm(**copied(args), training=training)
    laid = {k: relayout(v, layout) if isinstance(v, np.ndarray) else v for k, v in args.items()}
    want = reference.batch_norm(**args, training=training)
    running = laid["running_mean"], laid["running_var"]
    out = relayout(np.zeros((6, 5, 19), np.float32), layout) if layout != "swapped" else None
    got = fastml.batch_norm(**laid, training=training, out=out)
    assert out is None or got[0] is out
    for g, w in zip((*got, *running), (*want, args["running_mean"], args["running_var"]), strict=True):
        np.testing.assert_allclose(g, w, rtol=2e-6, atol=2e-6)
    want = reference.batch_norm_backward(grad, args["x"], args["weight"], mean, inv_std, training=training)
    got = fastml.batch_norm_backward(
        *(relayout(a, layout) for a in (grad, args["x"], args["weight"], mean, inv_std)), training=training, out=out
    )
    for g, w in zip(got, want, strict=True):
        np.testing.assert_allclose(g, w, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_running_statistics_of_their_own_type(dtype, layout):
    args, _ = make((9, 4), 1, np.float32)
    running = [relayout(args[k].astype(dtype), layout) for k in ("running_mean", "running_var")]
    want = [np.float64(r) for r in running]
    x = args["x"].astype(np.float64)
    for r, batch in zip(want, (x.mean(0), x.var(0, ddof=1)), strict=True):
        r *= 0.75
        r += 0.25 * batch
    fastml.batch_norm(args["x"], None, None, *running, momentum=0.25)
    for got, w in zip(running, want, strict=True):
        np.testing.assert_allclose(got, w, rtol=4e-7)


@pytest.mark.parametrize("shape", [(40, 30), (300, 200), (5, 6, 7), (8, 30, 300)])
def test_in_place_and_out(shape):
    args, grad = make(shape, 1, np.float32)
    x = args["x"]
    want, mean, inv_std = fastml.batch_norm(**copied(args))
    place = x.copy()
    y, *_ = fastml.batch_norm(**copied({**args, "x": x}), out=(out := np.empty_like(x)))
    assert y is out
    assert_same_bits(y, want)
    assert fastml.batch_norm(**{**args, "x": place}, out=place)[0] is place
    assert_same_bits(place, want)
    for training in (True, False):
        want, *_ = fastml.batch_norm_backward(grad, x, args["weight"], mean, inv_std, training=training)
        for which in (0, 1):
            pair = [grad.copy(), x.copy()]
            got, *_ = fastml.batch_norm_backward(
                *pair, args["weight"], mean, inv_std, training=training, out=pair[which]
            )
            assert got is pair[which]
            assert_same_bits(got, want)


# --- the same bits -------------------------------------------------------------------------------------------

BIG = [((129, 260), 1), ((4200, 70), 1), ((2100, 520), 1), ((7, 9, 3000), 1), ((4, 96, 200), 1), ((2, 2, 70_000), 1)]


def every_bit(shape, axis, dtype):
    """All results, forward and backward, and the running statistics."""
    args, grad = make(shape, axis, dtype, 2.0)
    forward = fastml.batch_norm(**args)
    backward = fastml.batch_norm_backward(grad, args["x"], args["weight"], *forward[1:], channel_axis=axis)
    return *forward, args["running_mean"], args["running_var"], *backward


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("shape", "axis"), BIG)
def test_threads_show_in_no_bit(shape, axis, dtype):
    assert_same_for_any_threads(every_bit, shape, axis, dtype)


CODE = """
import numpy as np
from tests.test_batch_norm import BIG, every_bit
result = {}
for shape, axis in [*BIG, ((5, 3), 1), ((67, 33), 1), ((3, 5, 49), 1)]:
    for dtype in (np.float32, np.float64):
        result |= {f"{shape} {dtype.__name__} {k}": a for k, a in enumerate(every_bit(shape, axis, dtype))}
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
    (TypeError, "momentum", {"momentum": "0.1"}),
    (TypeError, "momentum", {"momentum": True}),
    (ValueError, "running_mean", {"running_mean": None, "training": False}),
    (ValueError, "running_var", {"running_var": None, "training": False}),
    (ValueError, "weight", {"weight": np.ones(4, np.float32)}),
    (ValueError, "bias", {"bias": np.ones((1, 5), np.float32)}),
    (TypeError, "weight", {"weight": np.ones(5, complex)}),
    (ValueError, "running_mean", {"running_mean": np.ones(6, np.float32)}),
    (ValueError, "running_var", {"running_var": np.ones(6, np.float32), "training": False}),
    (TypeError, "running_var", {"running_var": [1.0] * 5}),
    (TypeError, "running_var", {"running_var": np.ones(5, np.int64)}),
    (ValueError, "running_var is read-only", {"running_var": np.broadcast_to(np.float32(1), 5)}),
    (ValueError, "channel_axis", {"channel_axis": 2}),
    (ValueError, "channel_axis", {"channel_axis": -3}),
    (TypeError, "channel_axis", {"channel_axis": 1.0}),
    (TypeError, "x", {"x": np.zeros((6, 5), complex)}),
    (ValueError, "one value per channel", {"x": np.zeros((1, 5), np.float32), "out": None}),
    (ValueError, "channel_axis", {"x": np.float32(1)}),
    (ValueError, "out", {"out": np.zeros((5, 6), np.float32)}),
    (TypeError, "out", {"out": np.zeros((6, 5))}),
]


@pytest.mark.parametrize(("error", "match", "changed"), WRONG)
def test_errors_write_nothing(error, match, changed):
    args, _ = make((6, 5), 1, np.float32)
    args = {**args, "out": np.full((6, 5), 7, np.float32), **changed}
    before = copied(args)
    with pytest.raises(error, match=match):
        fastml.batch_norm(**args)
    for name, value in args.items():
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(value, before[name], err_msg=name)


@pytest.mark.parametrize("name", ["weight", "bias", "running_mean", "running_var"])
def test_out_must_not_be_an_argument_per_channel(name):
    args, _ = make((6, 5), 1, np.float32)
    out = np.zeros((6, 5), np.float32)
    for row in (0, 5):
        with pytest.raises(ValueError, match=f"out overlaps {name}"):
            fastml.batch_norm(**{**args, name: out[row]}, out=out)


def test_backward_errors():
    args, grad = make((6, 5), 1, np.float32)
    x, weight, mean, inv_std = args["x"], args["weight"], args["running_mean"], args["running_var"]
    backward = fastml.batch_norm_backward
    out = np.full((6, 5), 7, np.float32)
    with pytest.raises(ValueError, match="x must have the shape of grad"):
        backward(grad, x[:5], weight, mean, inv_std, out=out)
    with pytest.raises(ValueError, match="weight"):
        backward(grad, x, weight[:4], mean, inv_std, out=out)
    with pytest.raises(ValueError, match="mean"):
        backward(grad, x, weight, mean[:4], inv_std, out=out)
    with pytest.raises(TypeError, match="inv_std"):
        backward(grad, x, weight, mean, None, out=out)
    with pytest.raises(ValueError, match="one value per channel"):
        backward(grad[:1], x[:1], weight, mean, inv_std)
    with pytest.raises(ValueError, match="out overlaps mean"):
        backward(grad, x, weight, out[0], inv_std, out=out)
    assert (out == 7).all()
