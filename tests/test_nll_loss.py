"""Negative log-likelihood: against the reference, PyTorch and the cross-entropy; what is read, digits, errors."""

import itertools

import numpy as np
import pytest

import fastml
from fastml import nn, reference

from .common import (
    DTYPES,
    LENGTHS,
    assert_close,
    assert_same_bits,
    assert_same_for_any_threads,
    assert_same_on_fma_targets,
    normal,
)
from .test_cross_entropy import REDUCTIONS, SHAPES
from .test_cross_entropy import make as make_logits

every_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=["float32", "float64"])
every_target = pytest.mark.parametrize("hard", [True, False], ids=["labels", "probabilities"])


def make(shape, axis, dtype, hard=True, seed=0):
    """Log-probabilities, a target and weights."""
    logits, target, weight = make_logits(shape, axis, dtype, hard, seed)
    return np.ascontiguousarray(reference.log_softmax(logits, axis)), target, weight


def check(x, target, axis, **options):
    """Both functions against the reference."""
    loss, dx = fastml.nll_loss_with_grad(x, target, axis, **options)
    want, dwant = reference.nll_loss_with_grad(x, target, axis, **options)
    assert_close(loss, want, 8, what=f"loss {options}")  # all terms have one sign: nothing cancels
    assert_close(dx, dwant, 4, what=f"gradient {options}")
    alone = fastml.nll_loss(x, target, axis, **options)
    assert type(alone) is type(loss)
    assert_same_bits(alone, loss)


@pytest.mark.parametrize("shape, axis", SHAPES)
@every_target
@every_dtype
def test_all_options(dtype, hard, shape, axis):
    x, target, weight = make(shape, axis, dtype, hard)
    for reduction, smoothing, weighted, ignored in itertools.product(
        REDUCTIONS, (0, 0.1, 1.0), (False, True), (None, 0, -100) if hard else (None,)
    ):
        labels = target
        if ignored == -100:
            labels = np.where(np.arange(target.size).reshape(target.shape) % 3 == 1, -100, target)
        check(
            x, labels, axis, weight=weight if weighted else None, ignore_index=ignored,
            label_smoothing=smoothing, reduction=reduction,
        )  # fmt: skip


@pytest.mark.parametrize("n", LENGTHS[1:])
@every_dtype
def test_tails(dtype, n):
    for samples, (axis, order), hard in itertools.product((1, 2, 9), ((1, 1), (0, -1)), (True, False)):
        x, target, weight = make((samples, n)[::order], axis, dtype, hard, seed=n)
        check(x, target, axis)
        check(x, target, axis, weight=weight, label_smoothing=0.2, reduction="none")


@pytest.mark.parametrize("shape, axis", SHAPES[:-2])
@every_dtype
def test_as_torch(dtype, shape, axis):
    torch = pytest.importorskip("torch")
    x, target, weight = make(shape, axis, dtype)
    eps = np.finfo(dtype).eps
    for reduction, weighted, ignored in itertools.product(REDUCTIONS, (False, True), (None, 0)):
        w = weight if weighted else None
        loss, dx = fastml.nll_loss_with_grad(x, target, axis, weight=w, ignore_index=ignored, reduction=reduction)
        class_axis = min(1, x.ndim - 1)
        tx = torch.from_numpy(np.moveaxis(x, axis, class_axis).copy()).requires_grad_()
        tw = torch.from_numpy(w) if weighted else None
        options = {"ignore_index": -100 if ignored is None else ignored, "reduction": reduction}
        want = torch.nn.functional.nll_loss(tx, torch.from_numpy(np.asarray(target)), tw, **options)
        want.sum().backward()
        np.testing.assert_allclose(loss, want.detach().numpy(), rtol=16 * eps)
        np.testing.assert_allclose(dx, np.moveaxis(tx.grad.numpy(), class_axis, axis), rtol=8 * eps)


@every_target
@every_dtype
def test_after_log_softmax_it_is_the_cross_entropy(dtype, hard):
    for shape, axis in (((13, 10), 1), ((3, 4, 150), 1)):
        logits, target, weight = make_logits(shape, axis, dtype, hard)
        for options in ({}, {"weight": weight, "label_smoothing": 0.1}):
            loss, dlog_probs = fastml.nll_loss_with_grad(fastml.log_softmax(logits, axis), target, axis, **options)
            want, dlogits = fastml.cross_entropy_with_grad(logits, target, axis, **options)
            assert_close(loss, want, 16)
            got = fastml.log_softmax_backward(dlog_probs, fastml.log_softmax(logits, axis), axis)
            assert_close(got, dlogits, 32, scale=1)


def test_other_classes_are_not_read():
    """-inf, what log_softmax of a masked logit is, costs nothing where it is not the label."""
    x = np.full((4, 6), -np.inf, np.float32)
    labels = np.array([0, 2, 5, 1])
    x[np.arange(4), labels] = -1
    for axis, array in ((1, x), (0, np.ascontiguousarray(x.T))):
        loss, dx = fastml.nll_loss_with_grad(array, labels, axis)
        assert loss == 1
        assert np.isfinite(dx).all() and dx.sum() == -1
    x[0, 0] = -np.inf
    assert fastml.nll_loss(x, labels) == np.inf


def test_ignored_samples_are_not_read():
    x = np.full((3, 5), np.nan, np.float32)
    for axis, array in ((1, x), (0, np.ascontiguousarray(x.T))):
        for smoothing in (0.0, 0.1):
            options = {"ignore_index": -1, "label_smoothing": smoothing}
            loss, dx = fastml.nll_loss_with_grad(array, [-1, -1, -1], axis, **options)
            assert np.isnan(loss)
            assert_same_bits(dx, np.zeros_like(array))
            assert fastml.nll_loss(array, [-1, -1, -1], axis, reduction="sum", **options) == 0
            each = fastml.nll_loss(array, [-1, -1, -1], axis, reduction="none", **options)
            assert_same_bits(each, np.zeros(3, np.float32))


def test_the_mean_of_many_is_accurate():
    x, target, weight = make((200_000, 3), 1, np.float32)
    want = reference.nll_loss(x.astype(np.float64), target, weight=weight)
    assert_close(fastml.nll_loss(x, target, weight=weight), np.float32(want), 1)


def test_out_may_be_any_input():
    for hard in (True, False):
        for shape, axis in (((13, 70), 1), ((3, 4, 150), 1)):
            x, target, weight = make(shape, axis, np.float32, hard)
            for options in ({}, {"weight": weight, "label_smoothing": 0.1, "reduction": "none"}):
                loss, dx = fastml.nll_loss_with_grad(x, target, axis, **options)
                for name in ("log_probs", *(() if hard else ("target",))):
                    args = {"log_probs": x.copy(), "target": target.copy()}
                    got, dgot = fastml.nll_loss_with_grad(**args, axis=axis, **options, out=args[name])
                    assert dgot is args[name]
                    assert_same_bits(got, loss)
                    assert_same_bits(dgot, dx)


def test_same_bits_for_any_number_of_threads():
    for hard in (True, False):
        for shape, axis in (((40_000, 10), 1), ((40, 3000), 1), ((30, 50, 700), 1)):
            x, target, weight = make(shape, axis, np.float32, hard)
            for options in ({}, {"weight": weight, "label_smoothing": 0.1}):
                assert_same_for_any_threads(fastml.nll_loss_with_grad, x, target, axis, **options)


CODE = """
import numpy, fastml
result = {}
rng = numpy.random.default_rng(0)
for dtype in (numpy.float32, numpy.float64):
    for shape, axis in (((64, 5), 1), ((9, 1500), 1), ((2, 600, 37), 1)):
        logits = rng.standard_normal(shape).astype(dtype)
        x = fastml.log_softmax(logits, axis)
        labels = rng.integers(0, shape[axis], numpy.delete(shape, axis))
        w = rng.uniform(0.5, 2, shape[axis]).astype(dtype)
        for k, target in enumerate((labels, numpy.exp(x))):
            for options in ({}, {"weight": w, "label_smoothing": 0.1}):
                name = f"{dtype.__name__} {shape} {k} {len(options)}"
                for kind, call in (("nll", fastml.nll_loss_with_grad), ("z", fastml.cross_entropy_with_grad)):
                    more = {"z_loss": 0.1} if kind == "z" else {}
                    loss, d = call(x if kind == "nll" else logits, target, axis, **options, **more)
                    result[f"{kind} {name}"], result[f"d{kind} {name}"] = loss, d
"""


def test_same_bits_on_every_target_with_fma():
    """Of the cross-entropy with a z-loss too."""
    assert_same_on_fma_targets(CODE)


WRONG = [
    (IndexError, r"target must lie in 0 .. 4, not 5 at index 2", {"target": [0, 1, 5, 9]}),
    (ValueError, r"the shape of log_probs without axis 1, \(4,\), where .*, not \(3,\)", {"target": [0, 1, 2]}),
    (TypeError, "class probabilities of shape", {"target": np.zeros(4, np.float32)}),
    (ValueError, "log_probs must have at least one class", {"log_probs": np.zeros((4, 0))}),
    (ValueError, "log_probs must have at least one dimension", {"log_probs": np.zeros(())}),
    (ValueError, "label_smoothing", {"label_smoothing": 2}),
    (ValueError, "ignore_index", {"target": np.zeros((4, 5)), "ignore_index": 1}),
    (ValueError, "weight must have one value per class", {"weight": np.ones(4)}),
]


@pytest.mark.parametrize("error, match, wrong", WRONG)
def test_errors_write_nothing(error, match, wrong):
    args = {"log_probs": normal((4, 5), np.float64), "target": [0, 1, 2, 3], **wrong}
    out = np.full((4, 5), 99.0)
    with pytest.raises(error, match=match):
        fastml.nll_loss_with_grad(**args, out=out)
    assert (out == 99).all()
    with pytest.raises(error, match=match):
        fastml.nll_loss(**args)


def test_module():
    x, target, weight = make((6, 5), 1, np.float32)
    for reduction in REDUCTIONS:
        options = {"ignore_index": 2, "label_smoothing": 0.1, "reduction": reduction}
        loss, grad = nn.NLLLoss(weight, **options)(x, target)
        want = fastml.nll_loss_with_grad(x, target, weight=weight, **options)
        assert_same_bits(loss, want[0])
        assert_same_bits(grad, want[1])
    assert repr(nn.NLLLoss()) == (
        "NLLLoss(weight=None, ignore_index=None, label_smoothing=0.0, reduction='mean', axis=-1)"
    )
    with pytest.raises(ValueError, match="average"):
        nn.NLLLoss(reduction="average")
