"""Losses of one term an element: against PyTorch, digits, weights that repeat, blocks, errors, targets."""

import itertools

import numpy as np
import pytest

import fastml
from fastml import reference

from .arrays import tally
from .common import (
    DTYPES,
    LENGTHS,
    assert_close,
    assert_same_bits,
    assert_same_for_any_threads,
    assert_same_on_fma_targets,
    assert_same_past_the_caches,
    normal,
    ulp_error,
)
from .kinds import MODULES, of_torch

REDUCTIONS = ("mean", "sum", "none")
SHAPES = ((), (1,), (7,), (3, 5), (33, 17), (0, 3), (2, 3, 4), (5, 1), (9001,), (4099, 3))
BLOCK = 4096  # elements; src_c/losses.h
BCE = "binary_cross_entropy_with_logits"
LOSSES = tuple(MODULES)
OTHERS = tuple(name for name in LOSSES if name != "kl_div_loss")
# Every loss in every way of calling it.
WAYS = [(name, {}) for name in LOSSES] + [("huber_loss", {"delta": 0.7}), ("kl_div_loss", {"log_target": True})]
every_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=["float32", "float64"])
every_loss = pytest.mark.parametrize("name", LOSSES)
every_way = pytest.mark.parametrize("name, way", WAYS, ids=str)


def make(shape, dtype, seed=0, scale=3):
    """Logits (or predictions) and answers: 0, 1 and numbers between."""
    target = np.clip(np.random.default_rng(seed + 1).uniform(-0.5, 1.5, shape), 0, 1)
    return normal(shape, dtype, seed, scale), np.asarray(target).astype(dtype)


def with_grad(name, *args, **options):
    return getattr(fastml, f"{name}_with_grad")(*args, **options)


def check(name, x, target, ulp=8, **options):
    """Both functions against the reference."""
    loss, dx = with_grad(name, x, target, **options)
    want, dwant = getattr(reference, f"{name}_with_grad")(x, target, **options)
    assert_close(loss, want, ulp, scale=loss_scale(name, x, target, **options), what=f"loss {options}")
    scale = np.abs(finite_slope(name, x, target, **options))
    assert_close(dx, dwant, ulp, scale=scale, what=f"gradient {options}")
    alone = getattr(fastml, name)(x, target, **options)
    assert type(alone) is type(loss)
    assert_same_bits(alone, loss)
    return loss, dx


def loss_scale(name, x, target, log_target=False, reduction="mean", **options):
    """The larger of the two parts of a divergence, 0 for the losses that do not cancel."""
    if name != "kl_div_loss":
        return 0.0
    x, t = (np.asarray(a, np.float64) for a in (x, target))
    with np.errstate(divide="ignore", invalid="ignore"):
        t, log_t = (np.exp(t), t) if log_target else (t, np.log(t))
        terms = t * np.maximum(np.abs(x), np.abs(np.where(t > 0, log_t, 0)))
    if reduction == "none":
        return terms
    return np.sum(terms) / max({"mean": x.size, "batchmean": len(x) if x.ndim else 1, "sum": 1}[reduction], 1)


def finite_slope(name, x, target, weight=1, pos_weight=1, reduction="mean", **options):
    """The larger of a gradient's two terms."""
    if name != BCE:
        return 0.0
    on = np.asarray(weight) * pos_weight * target / (1 + np.exp(x.astype(np.float64)))
    off = np.asarray(weight) * (1 - target) / (1 + np.exp(-x.astype(np.float64)))
    return np.maximum(on, off) / (max(x.size, 1) if reduction == "mean" else 1)


# --- values --------------------------------------------------------------------------------------------------


@every_way
@every_dtype
def test_values(dtype, name, way):
    reductions = (*REDUCTIONS, "batchmean") if name == "kl_div_loss" else REDUCTIONS
    for shape, reduction in itertools.product([*SHAPES, *((n,) for n in LENGTHS)], reductions):
        check(name, *make(shape, dtype), **way, reduction=reduction)


@pytest.mark.parametrize("shape", [(7,), (3, 5), (33, 17), (2, 3, 4), (4099, 3), (5, 1), (3, 1700)])
@every_dtype
def test_weights(dtype, shape):
    """Every shape that broadcasts: one number, along the last axes, with an axis of one, in full."""
    rng = np.random.default_rng(3)
    ones = [1] * (len(shape) - 1)
    shapes = {(), (1,), shape[-1:], shape[1:], (1, *shape[1:]), (*shape[:-1], 1), (shape[0], *ones), shape}
    x, target = make(shape, dtype)
    for w_shape, p_shape in itertools.product(shapes, shapes):
        weight = np.asarray(rng.uniform(0.5, 2, w_shape)).astype(dtype)
        pos_weight = np.asarray(rng.uniform(0.5, 4, p_shape)).astype(dtype)
        for reduction in REDUCTIONS:
            given = {"weight": weight, "pos_weight": pos_weight}
            loss, dx = check(BCE, x, target, **given, reduction=reduction)
            given = {k: np.broadcast_to(v, shape) for k, v in given.items()}
            full = with_grad(BCE, x, target, **given, reduction=reduction)
            assert_same_bits(loss, full[0])
            assert_same_bits(dx, full[1])


@every_way
@every_dtype
@pytest.mark.filterwarnings("ignore:reduction")
def test_as_torch(dtype, name, way):
    torch = pytest.importorskip("torch")
    function = of_torch(name)
    eps, rng = np.finfo(dtype).eps, np.random.default_rng(4)
    reductions = (*REDUCTIONS, "batchmean") if name == "kl_div_loss" else REDUCTIONS
    for shape, reduction in itertools.product([(), (6, 5), (40, 7, 3)], reductions):
        x, target = make(shape, dtype)
        weights = [way]
        if name == BCE and shape:
            weights += [{"pos_weight": rng.uniform(0.5, 4, shape[-1]).astype(dtype)}]
            weights += [{"weight": rng.uniform(0.5, 4, (*shape[:-1], 1)).astype(dtype), **weights[1]}]
        for options in weights:
            loss, dx = with_grad(name, x, target, reduction=reduction, **options)
            tx = torch.from_numpy(np.array(x)).requires_grad_()
            t_options = {k: torch.from_numpy(v) if np.ndim(v) else v for k, v in options.items()}
            want = function(tx, torch.from_numpy(np.array(target)), reduction=reduction, **t_options)
            want.sum().backward()
            scale = np.max(loss_scale(name, x, target, **options, reduction=reduction))
            np.testing.assert_allclose(loss, want.detach().numpy(), rtol=64 * eps, atol=16 * eps * (1 + scale))
            np.testing.assert_allclose(dx, tx.grad.numpy(), rtol=64 * eps, atol=16 * eps)


def test_where_slopes_jump():
    """No gradient of |d| at 0; the Huber loss is quadratic up to delta, with it, and goes on linearly."""
    x = np.array([-2.0, -1.5, -1.0, 0.0, 1.0, 1.5, 2.0], np.float32)
    loss, dx = fastml.huber_loss_with_grad(x, np.zeros(7), delta=1.5, reduction="none")
    assert loss.tolist() == [1.875, 1.125, 0.5, 0, 0.5, 1.125, 1.875]
    assert dx.tolist() == [-1.5, -1.5, -1.0, 0.0, 1.0, 1.5, 1.5]
    assert fastml.l1_loss_with_grad(x, np.zeros(7), reduction="sum")[1].tolist() == [-1, -1, -1, 0, 1, 1, 1]


@every_dtype
def test_log_cosh_keeps_its_digits(dtype):
    """From errors whose squares are tiny to the end of the range, and about the place where the form changes."""
    info = np.finfo(dtype)
    size = np.exp(np.random.default_rng(0).uniform(np.log(float(info.tiny)) / 2, np.log(float(info.max)), 20_000))
    x = np.concatenate([size, -size, np.linspace(-2, 2, 20_001), [info.max, -info.max]]).astype(dtype)
    loss, dx = fastml.log_cosh_loss_with_grad(x, np.zeros_like(x), reduction="none")
    d, a = x.astype(np.longdouble), np.abs(x.astype(np.longdouble))
    large = a + np.log1p(np.exp(-2 * a)) - np.log(d.dtype.type(2))
    exact = np.where(a < 1, np.log1p(2 * np.sinh(np.minimum(a, 1) / 2) ** 2), large)
    assert ulp_error(loss, exact) <= 6 and ulp_error(dx, np.tanh(d)) <= 6


@pytest.mark.parametrize("log_target", [False, True])
@every_dtype
def test_a_target_of_zero_costs_nothing(dtype, log_target):
    x = np.array([-np.inf, -3.0, 0.0, np.inf, np.nan, -np.inf], dtype)
    target = np.array([0, 0, 0, 0, 0, 0.5], dtype)
    with np.errstate(divide="ignore"):
        target = np.log(target) if log_target else target
    loss, dx = fastml.kl_div_loss_with_grad(x, target, log_target=log_target, reduction="none")
    np.testing.assert_array_equal(loss, [0, 0, 0, 0, np.nan, np.inf])
    np.testing.assert_allclose(dx, [0, 0, 0, 0, 0, -0.5], rtol=1e-6)


@every_dtype
def test_the_logarithm_of_any_target(dtype):
    """Over the whole range, the smallest numbers included; there is none of a negative one."""
    info = np.finfo(dtype)
    rng = np.random.default_rng(0)
    low, high = np.log2(float(info.smallest_subnormal)), np.log2(float(info.max))
    target = np.exp2(rng.uniform(low, high, 20_000)).astype(dtype)
    more = [info.smallest_subnormal, info.smallest_normal, info.max, 1, 1 - info.epsneg, 1 + info.eps]
    target = np.concatenate([target, np.array(more, dtype)])
    target = target[target < info.max / 1000]
    loss = fastml.kl_div_loss(np.zeros_like(target), target, reduction="none")
    exact = target.astype(np.longdouble)
    normal_result = np.abs(exact * np.log(exact)) >= info.smallest_normal
    assert ulp_error(loss[normal_result], (exact * np.log(exact))[normal_result]) <= 3
    assert np.isnan(fastml.kl_div_loss(dtype(0), dtype(-1)))
    assert fastml.kl_div_loss(dtype(0), dtype(np.inf)) == np.inf


@every_dtype
def test_sure_answers_keep_their_digits(dtype):
    """Loss and gradient of right and wrong answers, from logits near 0 to the end of the range."""
    end = 80 if dtype is np.float32 else 700
    x = np.concatenate([np.linspace(-end, end, 2001), [1e30, -1e30, 1e-30, 0.0]]).astype(dtype)
    for answer in (0, 1):
        target = np.full_like(x, answer)
        loss, dx = with_grad(BCE, x, target, pos_weight=dtype(3), reduction="none")
        want, dwant = reference.binary_cross_entropy_with_logits_with_grad(x, target, pos_weight=3, reduction="none")
        assert ulp_error(loss, want) <= 5
        assert ulp_error(dx, dwant) <= 5
        assert (loss >= 0).all()


@pytest.mark.parametrize("name", OTHERS)
def test_extremes(name):
    """NaN stays in its place; infinite logits cost infinity where they are wrong."""
    x = np.array([np.nan, np.inf, -np.inf, 1.0, 1e30, -1e30], np.float32)
    target = np.array([1, 0, 1, np.nan, 0, 1], np.float32)
    loss, dx = with_grad(name, x, target, reduction="none")
    nan = np.array([True, False, False, True, False, False])
    np.testing.assert_array_equal(np.isnan(loss), nan)
    np.testing.assert_array_equal(np.isnan(dx), nan)
    assert np.isposinf(loss[1:3]).all()
    if name != "mse_loss":  # Huber's delta is 1
        np.testing.assert_array_equal(dx[[1, 2, 4, 5]], [1, -1, 1, -1])
    assert np.isnan(getattr(fastml, name)(x, target))


@every_loss
def test_nothing(name):
    empty = np.zeros((0, 3), np.float32)
    for reduction, want in (("mean", np.nan), ("sum", 0), ("none", empty)):
        loss, dx = with_grad(name, empty, empty, reduction=reduction)
        np.testing.assert_array_equal(loss, want)
        assert_same_bits(dx, empty)


@every_loss
def test_kinds_of_results(name):
    for dtype in DTYPES:
        x, target = make((6, 5), dtype)
        assert type(getattr(fastml, name)(x, target)) is dtype
        each = getattr(fastml, name)(x, target, reduction="none")
        assert each.shape == x.shape and each.dtype == dtype
        # Both results have input's dtype, whatever target has.
        other = np.float64 if dtype is np.float32 else np.float32
        for kind in (other, np.int64, np.bool_, np.uint8):
            loss, dx = with_grad(name, x, np.round(target).astype(kind))
            assert_same_bits(loss, getattr(fastml, name)(x, np.round(target)))
            assert loss.dtype == dx.dtype == dtype
    assert isinstance(getattr(fastml, name)(np.float32(0.5), 1, reduction="none"), np.ndarray)


@every_loss
def test_the_sum_of_many_is_accurate(name):
    x, target = make((3_000_017,), np.float32)
    for reduction in ("mean", "sum"):
        want = getattr(reference, name)(x.astype(np.float64), target.astype(np.float64), reduction=reduction)
        cancelled = np.abs(loss_scale(name, x, target, reduction=reduction) / want)
        assert ulp_error(getattr(fastml, name)(x, target, reduction=reduction), want) <= 1 + cancelled
        got = getattr(fastml, name)(x.astype(np.float64), target.astype(np.float64), reduction=reduction)
        assert ulp_error(got, want) <= 32


# --- the order of the sum ------------------------------------------------------------------------------------


@every_loss
@every_dtype
def test_blocks_add_up(dtype, name):
    """The loss of an array is the tally of its blocks' losses, and a block's the sum of its pieces'."""
    n, piece = 5 * BLOCK + 77, 4096 // np.dtype(dtype).itemsize
    x, target = make((n,), dtype)
    terms = getattr(fastml, name)(x, target, reduction="none").astype(np.float64)

    def piece_lanes(terms):
        terms = np.concatenate([terms, np.zeros(-len(terms) % 16)])
        lanes = np.zeros(8)
        for v in terms.reshape(-1, 16 if dtype is np.float32 else 8):
            lanes += v[:8] + v[8:] if dtype is np.float32 else v
        return lanes

    def block_sum(terms):
        lanes = sum(piece_lanes(terms[start : start + piece]) for start in range(0, len(terms), piece))
        lanes = lanes[:4] + lanes[4:]
        lanes = lanes[:2] + lanes[2:]
        return lanes[0] + lanes[1]

    total = tally(block_sum(terms[start : start + BLOCK]) for start in range(0, n, BLOCK))
    assert_same_bits(getattr(fastml, name)(x, target, reduction="sum"), dtype(total))
    assert_same_bits(getattr(fastml, name)(x, target), dtype(total / n))


@every_loss
@every_dtype
def test_alignment_does_not_show(dtype, name):
    x, target = make((2 * BLOCK + 100,), dtype)
    want = with_grad(name, x, target)
    for shift in range(1, 20):
        memory = np.empty(x.size + shift, dtype)
        memory[shift:] = x
        out = np.empty(x.size + 2 * shift, dtype)[2 * shift :]
        got = with_grad(name, memory[shift:], target, out=out)
        assert_same_bits(got[0], want[0])
        assert_same_bits(got[1], want[1])


@every_loss
def test_same_bits_for_any_number_of_threads(name):
    """Also where the blocks make more than one parallel region."""
    x, target = make((1030 * BLOCK + 5,), np.float32)
    for reduction in ("mean", "none"):
        assert_same_for_any_threads(with_grad, name, x, target, reduction=reduction)


CODE = """
import numpy, fastml
from tests.test_losses import WAYS, with_grad
result = {}
rng = numpy.random.default_rng(0)
for dtype in (numpy.float32, numpy.float64):
    for shape in ((5,), (64, 5), (33, 100), (3, 4099)):
        x, w = (rng.standard_normal(shape) * 20).astype(dtype), rng.uniform(0.5, 2, shape[-1]).astype(dtype)
        t = numpy.clip(rng.uniform(-0.5, 1.5, shape), 0, 1).astype(dtype)
        name = f"{dtype.__name__} {shape}"
        for k, options in enumerate(({}, {"weight": w}, {"pos_weight": w})):
            for reduction in ("mean", "none"):
                loss, d = fastml.binary_cross_entropy_with_logits_with_grad(x, t, reduction=reduction, **options)
                result[f"{name} bce {k} {reduction}"], result[f"{name} dbce {k} {reduction}"] = loss, d
        for k, (loss, way) in enumerate(WAYS):
            result[f"{name} {k} {loss}"], result[f"{name} {k} d{loss}"] = with_grad(loss, x, t, **way)
        result[f"{name} kl"], result[f"{name} dkl"] = fastml.kl_div_loss_with_grad(x, t, reduction="batchmean")
        result[f"{name} each kl"] = fastml.kl_div_loss(x, t, reduction="none")
"""


def test_same_bits_on_every_target_with_fma():
    assert_same_on_fma_targets(CODE)


def test_results_beyond_the_cache():
    """Storing past the caches changes no bit."""
    assert_same_past_the_caches(CODE)


# --- out= and errors -----------------------------------------------------------------------------------------


@every_loss
def test_out_may_be_the_target(name):
    for shape in ((6, 5), (3 * BLOCK + 1,)):
        x, target = make(shape, np.float32)
        want = with_grad(name, x, target)
        got = with_grad(name, x, target, out=target)
        assert got[1] is target
        assert_same_bits(got[0], want[0])
        assert_same_bits(target, want[1])


WRONG = [
    (ValueError, r"target must have the shape of input, \(4, 3\), not \(4,\)", {"target": np.zeros(4)}),
    (ValueError, "target", {"target": np.zeros((4, 1))}),
    (TypeError, "target", {"target": np.zeros((4, 3), complex)}),
    (TypeError, "input", {"input": np.full((4, 3), "a")}),
    (ValueError, "reduction", {"reduction": None}),
]
BATCHMEAN = (ValueError, "reduction must be 'mean', 'sum' or 'none', not 'batchmean'", {"reduction": "batchmean"})
AVERAGE = (ValueError, "must be 'batchmean', 'mean', 'sum' or 'none', not 'average'", {"reduction": "average"})
WRONG_DELTA = [
    (ValueError, "delta must be greater than 0, not 0.0", {"delta": 0.0}),
    (ValueError, "delta must be greater than 0, not -1", {"delta": -1}),
    (ValueError, "delta must be greater than 0, not nan", {"delta": np.nan}),
    (TypeError, "delta must be a real number", {"delta": "1"}),
]
WRONG_WEIGHTS = [
    (ValueError, r"weight must broadcast to .* input, \(4, 3\), not \(4,\)", {"weight": np.ones(4)}),
    (ValueError, "pos_weight must broadcast", {"pos_weight": np.ones((1, 4, 3))}),
    (ValueError, "pos_weight must broadcast", {"pos_weight": np.ones((0,))}),
    (TypeError, "pos_weight", {"pos_weight": "heavy"}),
    (TypeError, "weight", {"weight": np.ones(3, complex)}),
]


@pytest.mark.parametrize(
    "name, error, match, wrong",
    [(name, *row) for name in LOSSES for row in WRONG]
    + [(BCE, *row) for row in WRONG_WEIGHTS]
    + [(name, *BATCHMEAN) for name in OTHERS]
    + [("huber_loss", *row) for row in WRONG_DELTA]
    + [("kl_div_loss", *AVERAGE)],
)
def test_errors_write_nothing(name, error, match, wrong):
    args = {"input": normal((4, 3), np.float64), "target": np.zeros((4, 3)), **wrong}
    out = np.full((4, 3), 99.0)
    with pytest.raises(error, match=match):
        with_grad(name, **args, out=out)
    assert (out == 99).all()
    with pytest.raises(error, match=match):
        getattr(fastml, name)(**args)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_no_loss_is_a_negative_zero(dtype):
    """-0.0 - 0.0 is one, and 0 times a negative number."""
    zero, minus = np.zeros(40, dtype), np.full(40, -0.0, dtype)
    for name, (x, t) in itertools.product(OTHERS, ((minus, zero), (zero, minus), (zero, zero))):
        assert not np.signbit(getattr(fastml, name)(x, t, reduction="none")).any(), name
    assert not np.signbit(fastml.l1_loss_with_grad(minus, zero, reduction="none")[1]).any()
    assert not np.signbit(fastml.kl_div_loss(zero - 1, zero, reduction="none")).any()
