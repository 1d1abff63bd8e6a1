"""Losses of one term an element as modules, explicit and in the compiled step."""

import numpy as np
import pytest

import fastml
from fastml import nn

from .common import assert_same_bits
from .kinds import LOSSES, MODULES
from .steps import assert_same_training, sgd
from .test_losses import REDUCTIONS, every_dtype, every_way, make, with_grad


@every_way
def test_modules(name, way):
    x, target = make((6, 5), np.float32)
    reductions = (*REDUCTIONS, "batchmean") if name == "kl_div_loss" else REDUCTIONS
    for reduction in reductions:
        loss, grad = MODULES[name](**way, reduction=reduction)(x, target)
        want = with_grad(name, x, target, **way, reduction=reduction)
        assert_same_bits(loss, want[0])
        assert_same_bits(grad, want[1])


def test_how_modules_show_themselves():
    assert repr(nn.MSELoss()) == "MSELoss(reduction='mean')"
    assert repr(nn.L1Loss(reduction="sum")) == "L1Loss(reduction='sum')"
    assert repr(nn.HuberLoss(delta=2)) == "HuberLoss(delta=2.0, reduction='mean')"
    assert repr(nn.KLDivLoss(log_target=True)) == "KLDivLoss(log_target=True, reduction='mean')"


def test_bce_module():
    x, target = make((6, 5), np.float32)
    weights = {"weight": np.full((6, 1), 0.5, np.float32), "pos_weight": np.arange(1, 6)}
    for reduction in REDUCTIONS:
        loss, grad = nn.BCEWithLogitsLoss(**weights, reduction=reduction)(x, target)
        want = fastml.binary_cross_entropy_with_logits_with_grad(x, target, **weights, reduction=reduction)
        assert_same_bits(loss, want[0])
        assert_same_bits(grad, want[1])
    assert repr(nn.BCEWithLogitsLoss(pos_weight=[1, 2])) == (
        "BCEWithLogitsLoss(weight=None, pos_weight=array of shape (2,), reduction='mean')"
    )


@pytest.mark.parametrize("module", MODULES.values())
def test_modules_refuse_an_unknown_reduction(module):
    with pytest.raises(ValueError, match="average"):
        module(reduction="average")


@pytest.mark.parametrize("module", MODULES.values())
def test_gradients_are_not_overwritten_while_referred_to(module):
    loss_fn = module()
    pairs = [make((600, 1000), np.float32, seed) for seed in range(4)]
    held = [loss_fn(*pair)[1] for pair in pairs]
    for pair, grad in zip(pairs, held, strict=True):
        assert_same_bits(grad, loss_fn(*pair)[1])


# --- the compiled step ---------------------------------------------------------------------------------------


def regression(cols, dtype, sizes, seed=0):
    """Batches for a model of 6 inputs."""
    rng = np.random.default_rng(seed)
    return [(rng.standard_normal((n, 6)).astype(dtype), make((n, cols), dtype, n)[1]) for n in sizes]


@pytest.mark.parametrize("cols", [1, 3, 10, 16, 100, 5000])
@every_dtype
def test_compiled_step_gives_the_bits_of_the_explicit_calls(dtype, cols):
    """Also where tiles of rows and blocks of elements end in different places."""
    nn.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 33, dtype=dtype), nn.ReLU(), nn.Linear(33, cols, dtype=dtype))
    weight = np.linspace(0.5, 2, cols)
    for loss_fn in (
        *(kind() for kind in LOSSES),
        nn.MSELoss(reduction="sum"),
        nn.BCEWithLogitsLoss(weight=[[0.5]], pos_weight=weight),
        nn.BCEWithLogitsLoss(weight=weight[None], reduction="sum"),
    ):
        sizes = (20, 7, 1, 300) if cols < 5000 else (3, 19)
        data = regression(cols, dtype, sizes)
        assert_same_training(model, data, loss_fn, {"lr": 1e-4}, threads=3)


def test_compiled_step_takes_targets_of_any_kind():
    model = nn.Sequential(nn.Linear(6, 3, seed=0))
    step = nn.compile_step(model, nn.BCEWithLogitsLoss(), sgd(model, lr=0.0))
    ((x, y),) = regression(3, np.float32, (8,))
    y = np.round(y)
    want = step(x, y)
    for target in (y.astype(np.float64), y.astype(bool), y.astype(int).tolist(), np.asfortranarray(y)):
        assert_same_bits(step(x, target), want)


def test_compiled_step_refuses_what_does_not_fit():
    model = nn.Sequential(nn.Linear(6, 3, seed=0))
    x, before = np.ones((8, 6), np.float32), model.state_dict()
    step = nn.compile_step(model, nn.MSELoss(), sgd(model))
    for target in (np.zeros(8), np.zeros((8, 1)), np.zeros((7, 3))):
        with pytest.raises(ValueError, match=r"target must have the shape \(8, 3\), not \("):
            step(x, target)
    with pytest.raises(TypeError, match="target"):
        step(x, np.zeros((8, 3), complex))
    np.testing.assert_equal(model.state_dict(), before)
    for loss_fn, text in (
        (nn.MSELoss(reduction="none"), "reduction"),
        (nn.BCEWithLogitsLoss(weight=np.ones((8, 1))), "weight"),
        (nn.BCEWithLogitsLoss(weight=np.ones((2, 3))), "same for all rows"),
        (nn.BCEWithLogitsLoss(pos_weight=np.ones(4)), "pos_weight"),
    ):
        with pytest.raises(ValueError, match=text):
            nn.compile_step(model, loss_fn, sgd(model))
    with pytest.raises(ValueError, match="delta"):
        nn.HuberLoss(delta=0)
