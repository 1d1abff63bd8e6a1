"""Whose program a step may run: subclasses, copies, threads, targets; and what backward uses of its forward."""

import copy
import pickle
import threading

import numpy as np
import pytest

from fastml import nn, optim

from .steps import CLASSES, assert_same_training, assert_twins, batches, sgd
from .test_step_changes import compiled, model_of


class Louder(nn.Linear):
    def forward(self, x):
        return 100 * super().forward(x)


class Named(nn.Linear):
    """Changes nothing that counts."""

    def __init__(self, *sizes, **options):
        super().__init__(*sizes, **options)
        self.title = "a layer"

    @property
    def parameter_count(self):
        return self.weight.value.size

    def extra_repr(self):
        return "named, " + super().extra_repr()


class Refusing(optim.SGD):
    def step(self, grads=None):
        raise AssertionError("never")


class Doubled(nn.CrossEntropyLoss):
    def __call__(self, y, target):
        loss, grad = super().__call__(y, target)
        return 2 * loss, 2 * grad


class Slow(optim.EMA):
    def update(self):
        raise AssertionError("never")


class Scaled(nn.Sequential):
    def backward(self, grad, input_grad=True):
        return super().backward(2 * grad, input_grad)


class Own(Louder):
    """Overrides and says what it means for a program."""

    def lower(self, plan, x, name):
        return nn.Linear.lower(self, plan, x, name)


def test_what_a_subclass_overrides_is_not_ignored():
    def layers():
        return nn.Linear(6, 9, seed=0), nn.ReLU(), nn.Linear(9, CLASSES, seed=1)

    first, *rest = layers()
    with pytest.raises(TypeError, match=r"layer 0, Louder: Louder\.forward"):
        compiled(nn.Sequential(Louder(6, 9), *rest))
    with pytest.raises(TypeError, match=r"the model Scaled: Scaled\.backward"):
        compiled(Scaled(first, *rest))
    model = nn.Sequential(*layers())
    with pytest.raises(TypeError, match=r"the optimizer Refusing: Refusing\.step"):
        compiled(model, optimizer=Refusing(model.parameters(), lr=0.1))
    with pytest.raises(TypeError, match=r"the loss_fn Doubled: Doubled\.__call__"):
        compiled(model, Doubled())
    with pytest.raises(TypeError, match=r"the ema Slow: Slow\.update"):
        compiled(model, ema=Slow(model.parameters()))
    compiled(nn.Sequential(Own(6, 9), *rest))
    a = nn.Sequential(Named(6, 9, seed=0), *layers()[1:])
    assert_same_training(a, batches(0, 6, np.float32))


def test_methods_of_one_object_and_of_a_class_that_was_changed(monkeypatch):
    model = model_of()
    (x, y), *_ = batches(0, 6, np.float32)
    step = compiled(model)
    step(x, y)
    model.layers[0].forward = lambda x: x
    with pytest.raises(TypeError, match=r"layer 0, Linear: the object's own forward"):
        step(x, y)
    del model.layers[0].forward
    step(x, y)
    with monkeypatch.context() as patch:
        patch.setattr(nn.ReLU, "forward", lambda self, x: x)
        with pytest.raises(TypeError, match=r"layer 2, ReLU: .* ReLU\.forward"):
            step(x, y)
    step(x, y)


class Custom:
    """A loss that no base tells about."""

    scale = 1.0

    def __call__(self, y, target):
        loss, grad = nn.MSELoss(reduction="sum")(y, target)
        return loss, grad * np.float32(self.scale)

    def lower(self, plan, x):
        return nn.MSELoss(reduction=self.reduction).lower(plan, x)

    reduction = "sum"


def test_objects_of_other_classes_are_looked_at_in_every_step():
    model = nn.Sequential(nn.Linear(6, CLASSES, seed=0))
    loss_fn = Custom()
    step = nn.compile_step(model, loss_fn, sgd(model, lr=0.0))
    x, y = np.ones((4, 6), np.float32), np.zeros((4, CLASSES), np.float32)
    total = step(x, y)
    loss_fn.reduction = "mean"
    assert step(x, y) == pytest.approx(total / y.size)


# --- copies, threads, labels ---------------------------------------------------------------------------------


def test_copies_of_a_step_train_copies_of_the_model():
    model = model_of()
    (x, y), *_ = batches(0, 6, np.float32)
    step = compiled(model)
    step(x, y)
    other = copy.deepcopy(step)
    third = pickle.loads(pickle.dumps(step))
    losses = [s(x, y) for s in (step, other, third)]
    assert losses[0] == losses[1] == losses[2]
    assert_twins(model, other.model)
    assert_twins(model, third.model)


def test_a_step_belongs_to_one_thread_at_a_time():
    model = nn.Sequential(nn.Linear(64, 256, seed=0), nn.ReLU(), nn.Linear(256, CLASSES, seed=1))
    step = compiled(model)
    (x, y), *_ = batches(0, 64, np.float32, (512,))
    errors, losses, start = [], [], threading.Barrier(4)

    def run():
        start.wait()
        for _ in range(50):
            try:
                losses.append(step(x, y))
            except RuntimeError as error:
                errors.append(str(error))

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors and all("one thread at a time" in error for error in errors)
    twin = nn.Sequential(nn.Linear(64, 256, seed=0), nn.ReLU(), nn.Linear(256, CLASSES, seed=1))
    alone = compiled(twin)
    for _ in losses:
        alone(x, y)
    assert_twins(model, twin)


class Calling:
    """A target that calls the step while it is made an array."""

    def __init__(self, do):
        self.do = do

    def __array__(self, dtype=None, copy=None):
        self.do()
        return np.zeros(4, np.int64)


def test_a_target_may_change_nothing_behind_the_back_of_the_step():
    model = nn.Sequential(nn.Linear(6, CLASSES, seed=0))
    step = compiled(model)
    x = np.ones((4, 6), np.float32)
    step(x, np.zeros(4, np.int64))
    with pytest.raises((RuntimeError, TypeError), match="running already"):
        step(x, Calling(lambda: step(x, np.zeros(4, np.int64))))
    parameter = model.layers[0].weight
    with pytest.raises(ValueError, match=r"0\.weight must have the shape"):
        step(x, Calling(lambda: parameter.value.resize((2, 2), refcheck=False)))


def test_labels_of_any_byte_order():
    model = nn.Sequential(nn.Linear(6, CLASSES, seed=0))
    step = compiled(model, optimizer=sgd(model, lr=0.0))
    (x, y), *_ = batches(0, 6, np.float32)
    want = step(x, y)
    assert want == step(x, y.astype(">i8")) == step(x, y.astype(">u2"))
    data = np.zeros(8 * len(y) + 1, np.uint8)
    shifted = data[1:].view(np.int64)
    shifted[:] = y
    assert want == step(x, shifted)


@pytest.mark.parametrize("rows", [7, 16, 60, 200, 3000])
@pytest.mark.parametrize("classes", [2, 9, 700])
def test_the_loss_of_log_probabilities_is_added_in_the_same_order(classes, rows):
    rng = np.random.default_rng(rows)
    model = nn.Sequential(nn.Linear(3, classes, seed=0, dtype=np.float64))
    data = [(rng.standard_normal((rows, 3)), rng.integers(0, classes, rows)) for _ in range(2)]
    for loss_fn in (nn.NLLLoss(), nn.NLLLoss(label_smoothing=0.1, reduction="sum"), nn.CrossEntropyLoss()):
        assert_same_training(model, data, loss_fn, options={"lr": 1e-4})


# --- explicit calls: what forward used, backward uses --------------------------------------------------------


@pytest.mark.parametrize(
    ("layer", "name", "value"),
    [
        (nn.Dropout(0.5, seed=0), "p", 0.1),
        (nn.Dropout(0.5, seed=0), "seed", 5),
        (nn.Dropout1d(0.5, seed=0), "p", 0.1),
        (nn.AlphaDropout(0.5, seed=0), "p", 0.1),
        (nn.LeakyReLU(0.1), "negative_slope", 0.9),
        (nn.ELU(0.5), "alpha", 3.0),
        (nn.Softplus(1.0), "beta", 3.0),
        (nn.GELU(), "approximate", "tanh"),
    ],
    ids=lambda v: repr(v),
)
def test_backward_uses_the_options_of_its_forward(layer, name, value):
    x = np.random.default_rng(0).standard_normal((4, 5, 6))
    layer = copy.deepcopy(layer)
    layer(x)
    want = layer.backward(np.ones_like(x)).copy()
    setattr(layer, name, value)
    np.testing.assert_array_equal(layer.backward(np.ones_like(x)), want)


class Tuned(optim.Adam):
    """Changes nothing that counts."""

    def learning_rates(self):
        return [self.lr]


def test_an_optimizer_of_ones_own_keeps_its_program():
    model = nn.Sequential(nn.Linear(6, CLASSES, seed=1))
    step = nn.compile_step(model, nn.CrossEntropyLoss(), Tuned(model.parameters(), lr=0.1))
    assert step(np.ones((8, 6), np.float32), np.arange(8) % CLASSES) > 0


@pytest.mark.parametrize("loss", [nn.CrossEntropyLoss, nn.NLLLoss])
def test_labels_that_are_floats_are_named(loss):
    model = nn.Sequential(nn.Linear(6, CLASSES, seed=1))
    step = nn.compile_step(model, loss(), sgd(model))
    with pytest.raises(TypeError, match=r"target must be integer labels .* class probabilities .*, not float64"):
        step(np.ones((8, 6), np.float32), np.zeros(8))
