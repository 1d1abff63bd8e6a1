"""Stages of a compiled step that others do as well: which are fused, which are not, and that the bits are the same."""

import numpy as np
import pytest
from fastml._kernels.step.arguments import Live

from fastml import nn, optim
from fastml._kernels.step import elementwise, linear
from fastml.step.fuse import fuse
from fastml.step.plan import Plan

from .steps import CLASSES, assert_same_training, batches


def calls(step, kernel):
    return [line.strip() for line in step.describe().splitlines() if line.strip().startswith(f"{kernel}(")]


def trained(*layers):
    """The step of a model of these layers between two Linear."""
    nn.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 9), *layers, nn.Linear(9, CLASSES))
    return assert_same_training(model, batches(1, 6, np.float32), threads=2)


def test_a_rectifier_is_the_products_own():
    step = trained(nn.ReLU())
    assert len(calls(step, "relu")) == 0 and len(calls(step, "relu_backward")) == 1
    assert ["relu=1" in line for line in calls(step, "linear")] == [True, False]


@pytest.mark.parametrize("between", [nn.BatchNorm(9), nn.LayerNorm(9), nn.GELU(), nn.Dropout(0.1)], ids=repr)
def test_a_rectifier_behind_another_layer_is_a_stage(between):
    step = trained(between, nn.ReLU())
    assert len(calls(step, "relu")) == 1 and "relu=1" not in step.describe()


def test_the_mask_of_a_dropout_behind_a_rectifier_is_in_its_result():
    step = trained(nn.BatchNorm(9), nn.ReLU(), nn.Dropout(0.2))
    assert len(calls(step, "dropout")) == 1 and "kept" not in step.describe()
    assert [line.split(" →")[0][-11:] for line in calls(step, "relu_backward")] == ["scale=1.25)"]
    assert trained(nn.ReLU(), nn.Dropout(0.2), nn.Sigmoid()).describe().count("dropout(") == 1


@pytest.mark.parametrize(
    "layers, dropouts, rectified",
    [
        ([nn.Dropout(0.2)], 1, 0),
        ([nn.GELU(), nn.Dropout(0.2)], 1, 0),
        ([nn.ReLU(), nn.Dropout(0.2), nn.Dropout(0.3)], 2, 1),
        ([nn.ReLU(), nn.Dropout(0.2), nn.ReLU()], 1, 2),
        ([nn.Dropout(0.2), nn.ReLU()], 1, 1),
        ([nn.ReLU(), nn.Sigmoid(), nn.Dropout(0.2)], 1, 1),
    ],
)
def test_a_mask_that_something_else_hides_is_kept_as_bits(layers, dropouts, rectified):
    step = trained(*layers)
    assert ["kept=bits of h" in line for line in calls(step, "dropout")] == [True] * dropouts
    assert len(calls(step, "dropout_backward")) == dropouts and len(calls(step, "relu_backward")) == rectified


def test_a_rectifier_and_a_dropout_at_the_end():
    nn.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, CLASSES), nn.ReLU(), nn.Dropout(0.2))
    for loss_fn in (nn.CrossEntropyLoss(), nn.NLLLoss()):
        assert_same_training(model, batches(1, 6, np.float32), loss_fn)


def test_two_dropouts_of_one_seed_have_places_of_their_own():
    trained(nn.ReLU(), nn.Dropout(0.2, seed=3), nn.Linear(9, 9), nn.ReLU(), nn.Dropout(0.5, seed=3))


def stages_of(emit):
    """The names of the kernels after the pass, where ``emit`` writes a plan of a product and its rectifier."""
    plan = Plan(8, np.float32)
    x, weight = plan.activation(4), plan.vector("weight", 4, 4)
    y = plan.activation(4)
    plan.emit(linear.linear, y=y, x=x, weight=weight, bias=None)
    emit(plan, y)
    return [stage.kernel.name for stage in fuse(plan.stages)]


def test_a_product_that_something_read_before_its_rectifier_stays_as_it_was():
    def read_between(plan, y):
        plan.emit(elementwise.activation, y=plan.like(y), x=y, kind=0, alpha=1.0, threshold=1.0)
        plan.emit(elementwise.relu, y=y, x=y)

    assert stages_of(lambda plan, y: plan.emit(elementwise.relu, y=y, x=y)) == ["linear"]
    assert stages_of(lambda plan, y: plan.emit(elementwise.relu, y=plan.like(y), x=y)) == ["linear", "relu"]
    assert stages_of(read_between) == ["linear", "activation", "relu"]


@pytest.mark.parametrize("between", [False, True])
def test_a_gradient_that_something_changes_between_mask_and_rectifier_keeps_both(between):
    def write(plan, x):
        y, z, dz, kept = plan.like(x), plan.like(x), plan.like(x), plan.bits(x)
        plan.emit(elementwise.relu, y=y, x=x)
        plan.emit(elementwise.dropout, y=z, kept=kept, x=y, seed=1, offset=Live(), threshold=2**31, scale=2.0)
        plan.emit(elementwise.dropout_backward, dx=dz, dy=dz, kept=kept, scale=2.0)
        if between:
            plan.emit(elementwise.activation, y=dz, x=dz, kind=0, alpha=1.0, threshold=1.0)
        plan.emit(elementwise.relu_backward, dx=dz, dy=dz, y=y, scale=1.0)

    kept = ["dropout_backward", "activation", "relu_backward"] if between else ["relu_backward"]
    assert stages_of(write) == ["linear", "relu", "dropout", *kept]


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(
    "options",
    [{}, {"momentum": 0}, {"nesterov": True, "weight_decay": 0.1}, {"maximize": True, "dampening": 0.3}],
    ids=str,
)
def test_a_large_weight_moves_as_its_gradient_is_made(options, threads):
    """131 and 97: columns and rows that are no whole panels; 400 rows of the batch are more than one block of k."""
    nn.manual_seed(0)
    model = nn.Sequential(nn.Linear(131, 97), nn.BatchNorm(97), nn.ReLU(), nn.Linear(97, 300), nn.Linear(300, CLASSES))
    data = batches(1, 131, np.float32, (60, 400, 2, 4200, 7))
    step = assert_same_training(model, data, options=options, threads=threads)
    assert len(calls(step, "linear_sgd")) == 2 and len(calls(step, "linear_dweight")) == 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_infinite_gradients_move_a_large_weight_as_they_do_explicitly(dtype):
    nn.manual_seed(0)
    model = nn.Sequential(nn.Linear(131, 97, dtype=dtype), nn.Linear(97, CLASSES, dtype=dtype))
    (x, y), *_ = batches(1, 131, dtype, (60,))
    x[3, 5], x[7] = np.inf, np.nan
    assert_same_training(model, [(x, y)])


def test_a_gradient_that_others_want_is_made_before_the_update():
    model = nn.Sequential(nn.Linear(131, 97, seed=0), nn.Linear(97, CLASSES, seed=1))
    data = batches(1, 131, np.float32, (60,))
    for options in ({"max_norm": 1.0}, {"clip_value": 0.01}, {"optimizer": lambda m: optim.Adam(m.parameters())}):
        assert not calls(assert_same_training(model, data, **options), "linear_sgd")
    assert len(calls(assert_same_training(model, data, ema=0.9), "linear_sgd")) == 1
