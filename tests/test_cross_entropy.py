"""Cross-entropy and its gradient: every option against the reference and PyTorch, digits, errors, targets."""

import itertools

import numpy as np
import pytest

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
    assert_same_past_the_caches,
    normal,
    relayout,
    ulp_error,
)

# (logits' shape, axis): one vector a row, groups of rows, long rows, panels of columns short and long, no samples.
SHAPES = (
    ((13, 10), 1), ((9, 16), 1), ((11, 100), -1), ((3, 700), 1), ((1, 40_000), 1), ((10, 13), 0), ((60, 150), 0),
    ((3, 4, 150), 1), ((2, 600, 5), 1), ((5, 2, 3, 4), 1), ((7,), 0), ((4, 1), 1), ((0, 5), 1), ((2, 3, 0), 1),
)  # fmt: skip
REDUCTIONS = ("mean", "sum", "none")


def make(shape, axis, dtype, hard=True, seed=0, scale=3):
    """Logits, a target, weights and a label for ignore_index."""
    rng = np.random.default_rng(seed)
    logits = normal(shape, dtype, seed, scale)
    n = shape[axis]
    if hard:
        target = rng.integers(0, n, np.delete(shape, axis))
    else:
        target = reference.softmax(normal(shape, dtype, seed + 1, 2), axis)
    return logits, target, rng.uniform(0.5, 2, n).astype(dtype)


def check(logits, target, axis, **options):
    """Both functions against the reference."""
    loss, dlogits = fastml.cross_entropy_with_grad(logits, target, axis, **options)
    want, dwant = reference.cross_entropy_with_grad(logits, target, axis, **options)
    assert_close(loss, want, 16, scale=1, what=f"loss {options}")
    samples = max(logits.size // logits.shape[axis], 1)
    scale = 1 / samples if options.get("reduction", "mean") == "mean" else 1
    assert_close(dlogits, dwant, 16, scale=scale, what=f"gradient {options}")
    alone = fastml.cross_entropy(logits, target, axis, **options)
    assert type(alone) is type(loss)
    assert_same_bits(alone, loss)
    return loss, dlogits


@pytest.mark.parametrize("shape, axis", SHAPES)
@pytest.mark.parametrize("hard", [True, False])
@pytest.mark.parametrize("dtype", DTYPES)
def test_all_options(dtype, hard, shape, axis):
    logits, target, weight = make(shape, axis, dtype, hard)
    for reduction, smoothing, weighted, ignored in itertools.product(
        REDUCTIONS, (0, 0.1, 1.0), (False, True), (None, 0, -100) if hard else (None,)
    ):
        labels = target
        if ignored == -100:
            labels = np.where(np.arange(target.size).reshape(target.shape) % 3 == 1, -100, target)
        check(
            logits, labels, axis, weight=weight if weighted else None, ignore_index=ignored,
            label_smoothing=smoothing, reduction=reduction,
        )  # fmt: skip


@pytest.mark.parametrize("axis, value, slope", [(1, 1.5, 2.25), (0, 3, 3)])
def test_accuracy(axis, value, slope):
    """Each loss and each entry of its gradient in its own ulp; a multiply-add that rounds twice adds up to one."""
    value, slope = (bound + (_simd.target == "baseline") for bound in (value, slope))
    for n in (2, 10, 17, 100, 600):
        for scale, shift in ((1, 3.3), (5, 0), (10, 3.3)):
            x, target, _ = make((40_000 // n, n), 1, np.float32, scale=scale)
            x += np.float32(shift)
            wide, rows = x.astype(np.longdouble), np.arange(len(x))
            top = wide.max(axis=1, keepdims=True)
            e = np.exp(wide - top)
            ties = (wide == top).sum(axis=1, keepdims=True) - 1
            others = np.where(wide == top, 0, e).sum(axis=1, keepdims=True) + ties
            total, own = 1 + others, wide[rows, target][:, None]
            want = e / total
            want[rows, target] = -(np.where(own == top, others, total - np.exp(own - top)) / total)[:, 0]
            loss, dx = fastml.cross_entropy_with_grad(
                np.ascontiguousarray(np.moveaxis(x, 1, axis)), target, axis, reduction="none"
            )
            assert ulps(loss, (top - own + np.log1p(others))[:, 0]) <= value, f"{n} classes, scale {scale}"
            assert ulps(np.moveaxis(dx, axis, 1), want) <= slope, f"gradient, {n} classes, scale {scale}"


def ulps(got, want):
    return (np.abs(got.astype(np.longdouble) - want) / np.spacing(np.abs(want).astype(got.dtype))).max()


@pytest.mark.parametrize("n", LENGTHS[1:])
@pytest.mark.parametrize("dtype", DTYPES)
def test_tails(dtype, n):
    for samples in (1, 2, 7, 8, 9, 17):
        for axis, shape in ((1, (samples, n)), (0, (n, samples))):
            for hard in (True, False):
                logits, target, weight = make(shape, axis, dtype, hard, seed=n)
                check(logits, target, axis)
                check(logits, target, axis, weight=weight, label_smoothing=0.2, reduction="none")


@pytest.mark.parametrize("shape, axis", SHAPES[:-2])
@pytest.mark.parametrize("hard", [True, False])
@pytest.mark.parametrize("dtype", DTYPES)
def test_as_torch(dtype, hard, shape, axis):
    torch = pytest.importorskip("torch")
    logits, target, weight = make(shape, axis, dtype, hard)
    eps = np.finfo(dtype).eps
    for reduction, smoothing, weighted, ignored in itertools.product(
        REDUCTIONS, (0.0, 0.1), (False, True), (None, 0) if hard else (None,)
    ):
        w = weight if weighted else None
        options = {"ignore_index": ignored, "label_smoothing": smoothing, "reduction": reduction}
        loss, dlogits = fastml.cross_entropy_with_grad(logits, target, axis, weight=w, **options)
        # PyTorch's class axis is 1, or 0 of a single sample.
        x = torch.from_numpy(np.moveaxis(logits, axis, min(1, logits.ndim - 1)).copy()).requires_grad_()
        t = np.asarray(target) if hard else np.moveaxis(target, axis, min(1, logits.ndim - 1)).copy()
        options["ignore_index"] = -100 if ignored is None else ignored
        tw = torch.from_numpy(w) if weighted else None
        want = torch.nn.functional.cross_entropy(x, torch.from_numpy(t), tw, **options)
        want.sum().backward()
        dwant = np.moveaxis(x.grad.numpy(), min(1, logits.ndim - 1), axis)
        np.testing.assert_allclose(loss, want.detach().numpy(), rtol=64 * eps, atol=16 * eps)
        np.testing.assert_allclose(dlogits, dwant, rtol=64 * eps, atol=16 * eps)


@pytest.mark.parametrize("shape, axis", SHAPES)
@pytest.mark.parametrize("hard", [True, False])
@pytest.mark.parametrize("dtype", DTYPES)
def test_z_loss(dtype, hard, shape, axis):
    """Every option; and it is z times the log-sum-exp squared that is added, with the digits of both."""
    logits, target, weight = make(shape, axis, dtype, hard)
    for reduction, smoothing, weighted, ignored in itertools.product(
        REDUCTIONS, (0, 0.1), (False, True), (None, 0) if hard else (None,)
    ):
        options = {"weight": weight if weighted else None, "label_smoothing": smoothing}
        check(logits, target, axis, **options, ignore_index=ignored, z_loss=0.125, reduction=reduction)
    with_z = fastml.cross_entropy(logits, target, axis, z_loss=0.125, reduction="none")
    lse = fastml.logsumexp(logits, axis)
    want = fastml.cross_entropy(logits, target, axis, reduction="none") + 0.125 * lse * lse
    assert_close(with_z, np.asarray(want), 8)


@pytest.mark.parametrize("layout", ["F", "strided", "reversed", "transposed", "field", "swapped"])
@pytest.mark.parametrize("hard", [True, False])
def test_layouts(layout, hard):
    for shape, axis in (((13, 10), 1), ((3, 4, 150), 1), ((3, 4, 150), 0), ((5, 2, 3, 4), 2)):
        logits, target, weight = make(shape, axis, np.float32, hard)
        for reduction in REDUCTIONS:
            options = {"weight": weight, "label_smoothing": 0.1, "reduction": reduction}
            loss, dlogits = fastml.cross_entropy_with_grad(logits, target, axis, **options)
            moved = relayout(logits, layout), relayout(target, layout), axis
            got, dgot = fastml.cross_entropy_with_grad(*moved, **options)
            assert_close(got, loss, 4, scale=1)
            assert_close(dgot, dlogits, 8, scale=1)
            out = relayout(np.full(shape, 7, np.float32), layout) if layout != "swapped" else None
            again, dagain = fastml.cross_entropy_with_grad(*moved, **options, out=out)
            assert_same_bits(again, got)
            assert_same_bits(dagain, dgot)
            assert out is None or dagain is out


@pytest.mark.parametrize("shape, axis", SHAPES)
@pytest.mark.parametrize("hard", [True, False])
def test_in_place(shape, axis, hard):
    logits, target, weight = make(shape, axis, np.float32, hard)
    for options in ({}, {"weight": weight, "label_smoothing": 0.1, "reduction": "none"}):
        loss, dlogits = fastml.cross_entropy_with_grad(logits, target, axis, **options)
        here = logits.copy()
        got, dgot = fastml.cross_entropy_with_grad(here, target, axis, **options, out=here)
        assert dgot is here
        assert_same_bits(got, loss)
        assert_same_bits(here, dlogits)
        if not hard:
            there = target.copy()
            got, dgot = fastml.cross_entropy_with_grad(logits, there, axis, **options, out=there)
            assert dgot is there
            assert_same_bits(got, loss)
            assert_same_bits(there, dlogits)


@pytest.mark.parametrize("kind", ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", ">i8"])
def test_labels_of_any_integer_dtype(kind):
    logits, target, _ = make((50, 11), 1, np.float32)
    want = fastml.cross_entropy_with_grad(logits, target)
    got = fastml.cross_entropy_with_grad(logits, target.astype(kind))
    assert_same_bits(got[0], want[0])
    assert_same_bits(got[1], want[1])


def test_gradient_is_softmax_minus_target():
    for shape, axis in (((13, 10), 1), ((3, 4, 150), 1), ((2, 900), 1)):
        logits, target, _ = make(shape, axis, np.float32)
        _, dlogits = fastml.cross_entropy_with_grad(logits, target, axis, reduction="sum")
        one_hot = np.moveaxis(np.eye(shape[axis], dtype=np.float32)[target], -1, axis)
        assert_close(dlogits, fastml.softmax(logits, axis) - one_hot, 8, scale=1)
        _, dlogits = fastml.cross_entropy_with_grad(logits, one_hot, axis, reduction="sum")
        assert_close(dlogits, fastml.softmax(logits, axis) - one_hot, 8, scale=1)


@pytest.mark.parametrize("hard", [True, False])
@pytest.mark.parametrize("shape, axis", [((4, 5), 1), ((2, 5, 3), 1), ((2, 40), 1)])
def test_gradient_by_finite_differences(shape, axis, hard):
    logits, target, weight = make(shape, axis, np.float64, hard)
    for reduction in REDUCTIONS:
        options = {"weight": weight, "label_smoothing": 0.1, "reduction": reduction}
        _, dlogits = fastml.cross_entropy_with_grad(logits, target, axis, **options)
        for index in np.ndindex(shape):
            moved = np.zeros(shape)
            moved[index] = 1e-6
            up, down = (fastml.cross_entropy(logits + s * moved, target, axis, **options) for s in (1, -1))
            assert abs(np.sum(up - down) / 2e-6 - dlogits[index]) < 1e-8


@pytest.mark.parametrize("kind", ADVERSARIAL)
@pytest.mark.parametrize("dtype", DTYPES)
def test_special_values(dtype, kind):
    for n in (1, 5, 33, 600):
        _, target, weight = make((6, n), 1, dtype)
        logits = adversarial((6, n), kind, dtype)
        for options in ({}, {"label_smoothing": 0.1}, {"weight": weight}):
            for reduction in ("none", "sum"):
                check(logits, target, 1, reduction=reduction, **options)
                check(np.ascontiguousarray(logits.T), target, 0, reduction=reduction, **options)
        probabilities = np.full((6, n), 1 / n, dtype)
        check(logits, probabilities, 1, reduction="none")
        check(np.ascontiguousarray(logits.T), np.ascontiguousarray(probabilities.T), 0, reduction="none")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [2, 10, 17, 700])
def test_tiny_losses_and_gradients_keep_their_digits(dtype, n):
    """-log p = log1p(sum of the others) where p rounds to 1, and p - 1 likewise."""
    for gap in np.arange(1, 85, 3.7).astype(dtype):
        logits = np.zeros((3, n), dtype)
        logits[:, 1] = gap
        others = (n - 1) * np.exp(-np.longdouble(gap))
        for axis, x in ((1, logits), (0, np.ascontiguousarray(logits.T))):
            loss, dlogits = fastml.cross_entropy_with_grad(x, [1, 1, 1], axis, reduction="none")
            assert ulp_error(loss, np.full(3, np.log1p(others))) <= 4
            assert ulp_error(np.take(dlogits, 1, axis), np.full(3, -others / (1 + others))) <= 4


@pytest.mark.parametrize("n", [2, 16, 40])
def test_equal_logits(n):
    for axis, shape in ((1, (5, n)), (0, (n, 5))):
        loss, dlogits = fastml.cross_entropy_with_grad(np.full(shape, 3.5), np.arange(5) % n, axis)
        assert_close(loss, np.float64(np.log(n)), 2)
        want = np.full((5, n), 0.2 / n)
        want[np.arange(5), np.arange(5) % n] -= 0.2
        assert_close(dlogits, want if axis else want.T, 4)


def test_a_single_class_costs_nothing():
    for shape, axis in (((4, 1), 1), ((1, 4), 0)):
        loss, dlogits = fastml.cross_entropy_with_grad(normal(shape), np.zeros(4, int), axis)
        assert loss == 0
        assert (dlogits == 0).all()


@pytest.mark.parametrize("shape, axis", [((4, 5), 1), ((5, 4), 0), ((2, 700), 1)])
def test_nothing_counts(shape, axis):
    """All ignored, or no samples: the mean is NaN, the sum 0, the gradient 0, whatever the logits are."""
    logits = np.full(shape, np.nan, np.float32)
    target = np.full(np.delete(shape, axis), -100)
    for reduction, want in (("mean", np.nan), ("sum", 0), ("none", np.zeros(target.shape))):
        loss, dlogits = fastml.cross_entropy_with_grad(logits, target, axis, ignore_index=-100, reduction=reduction)
        np.testing.assert_array_equal(loss, want)
        assert_same_bits(dlogits, np.zeros(shape, np.float32))
    empty, none = np.zeros((0, 3)), np.zeros(0, int)
    assert np.isnan(fastml.cross_entropy(empty, none))
    assert fastml.cross_entropy(empty, none, reduction="sum") == 0
    assert fastml.cross_entropy(empty, none, reduction="none").shape == (0,)


def test_kinds_of_results():
    for dtype in DTYPES:
        logits, target, _ = make((6, 5), 1, dtype)
        assert type(fastml.cross_entropy(logits, target)) is dtype
        each = fastml.cross_entropy(logits, target, reduction="none")
        assert each.shape == (6,) and each.dtype == dtype
        # The loss has the logits' dtype, whatever target and weight have.
        assert fastml.cross_entropy(logits, np.full((6, 5), 0.2), weight=np.ones(5)).dtype == dtype
    assert fastml.cross_entropy(np.zeros(3), 1, reduction="none").shape == ()


def test_the_mean_of_many_is_accurate():
    """Losses and weights are added without a growing error, whatever their number."""
    logits, target, weight = make((200_000, 3), 1, np.float32)
    want = reference.cross_entropy(logits.astype(np.float64), target, weight=weight)
    assert ulp_error(fastml.cross_entropy(logits, target, weight=weight), want) <= 2
    got = fastml.cross_entropy(logits.astype(np.float64), target, weight=weight.astype(np.float64))
    assert ulp_error(got, want) <= 32


WRONG = [
    (IndexError, r"target must lie in 0 .. 4, not 5 at index 2", {"target": [0, 1, 5, 9]}),
    (IndexError, r"target must lie in 0 .. 4, not -1 at index 0", {"target": [-1, 1, 2, 3]}),
    (IndexError, r"ignore_index \(-100\), not -1 at index 3", {"target": [-100, 1, 2, -1], "ignore_index": -100}),
    (IndexError, "not 255", {"target": np.array([0, 1, 2, 255], np.uint8)}),
    (IndexError, "not 18446744073709551516", {"target": np.full(4, 2**64 - 100, np.uint64), "ignore_index": -100}),
    (IndexError, r"not -3 at index \(1, 0\)", {"logits": np.zeros((2, 5, 2)), "axis": 1, "target": [[0, 1], [-3, 9]]}),
    (TypeError, "target", {"target": np.array([True, False, True, False])}),
    (TypeError, "target", {"target": np.zeros(4, np.float32)}),
    (TypeError, "target", {"target": np.array(["a", "b", "c", "d"])}),
    (ValueError, "target must have the shape", {"target": [0, 1, 2]}),
    (ValueError, "target must have the shape", {"target": np.zeros((4, 5), int)}),
    (ValueError, "target", {"target": np.zeros((4, 6))}),
    (ValueError, "ignore_index", {"target": np.zeros((4, 5)), "ignore_index": 1}),
    (ValueError, "logits", {"logits": np.zeros((4, 0))}),
    (ValueError, "axis 2", {"axis": 2}),
    (TypeError, "axis", {"axis": 1.0}),
    (ValueError, "weight must have one value per class", {"weight": np.ones(4)}),
    (TypeError, "weight", {"weight": np.ones(5, complex)}),
    (ValueError, "label_smoothing", {"label_smoothing": 1.01}),
    (TypeError, "label_smoothing", {"label_smoothing": None}),
    (TypeError, "ignore_index", {"ignore_index": True}),
    (ValueError, "reduction", {"reduction": "batchmean"}),
]


@pytest.mark.parametrize("error, match, wrong", WRONG)
def test_errors_write_nothing(error, match, wrong):
    args = {"logits": normal((4, 5), np.float64), "target": np.array([0, 1, 2, 3]), **wrong}
    out = np.full(np.shape(args["logits"]), 99.0)
    with pytest.raises(error, match=match):
        fastml.cross_entropy_with_grad(**args, out=out)
    assert (out == 99).all()
    with pytest.raises(error, match=match):
        fastml.cross_entropy(**args)


def test_wrong_out():
    logits, target, _ = make((4, 4), 1, np.float64)
    before = logits.copy()
    for error, out in (
        (TypeError, [[0.0] * 4] * 4), (TypeError, np.zeros((4, 4), np.float32)), (ValueError, np.zeros((4, 3))),
        (ValueError, logits[::-1]), (ValueError, logits.T), (ValueError, np.broadcast_to(0.0, (4, 4))),
    ):  # fmt: skip
        with pytest.raises(error, match="out"):
            fastml.cross_entropy_with_grad(logits, target, out=out)
    memory = np.zeros(16, np.int64)
    with pytest.raises(ValueError, match="out"):
        fastml.cross_entropy_with_grad(logits, memory[:4], out=memory.view(np.float64).reshape(4, 4))
    with pytest.raises(ValueError, match="out"):
        fastml.cross_entropy_with_grad(logits, target, weight=before[0], out=before)
    assert_same_bits(logits, make((4, 4), 1, np.float64)[0])


@pytest.mark.parametrize("hard", [True, False])
def test_same_bits_for_any_number_of_threads(hard):
    for shape, axis in (((3000, 100), 1), ((60_000, 10), 1), ((8, 10, 3000), 1), ((40, 5000), 1)):
        logits, target, weight = make(shape, axis, np.float32, hard)
        for options in ({}, {"weight": weight, "label_smoothing": 0.1}):
            assert_same_for_any_threads(fastml.cross_entropy_with_grad, logits, target, axis, **options)


CODE = """
import numpy, fastml
result = {}
rng = numpy.random.default_rng(0)
for dtype in (numpy.float32, numpy.float64):
    for shape, axis in (((64, 5), 1), ((33, 100), 1), ((9, 1500), 1), ((3, 7, 130), 1), ((2, 600, 37), 1)):
        for scale in (1, 30):
            x = (rng.standard_normal(shape) * scale).astype(dtype)
            labels = rng.integers(0, shape[axis], numpy.delete(shape, axis))
            soft = fastml.softmax(rng.standard_normal(shape).astype(dtype), axis)
            w = rng.uniform(0.5, 2, shape[axis]).astype(dtype)
            smooth, ignoring = {"label_smoothing": 0.1}, {"ignore_index": int(labels.flat[3])}
            for k, target in enumerate((labels, soft)):
                for n, options in enumerate(({}, smooth, {"weight": w, **smooth}, ignoring)[: 3 if k else 4]):
                    name = f"{dtype.__name__} {shape} {scale} {k} {n}"
                    loss, d = fastml.cross_entropy_with_grad(x, target, axis, **options)
                    each = fastml.cross_entropy(x, target, axis, reduction="none", **options)
                    result |= {f"{name} loss": loss, f"{name} gradient": d, f"{name} each": each}
"""


def test_same_bits_on_every_target_with_fma():
    assert_same_on_fma_targets(CODE)


def test_results_beyond_the_cache():
    """Storing past the caches changes no bit."""
    assert_same_past_the_caches(CODE)
