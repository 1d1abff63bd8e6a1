"""What may happen to a model between two compiled steps: the explicit calls' bits, or an error that names it."""

import copy

import numpy as np
import pytest

from fastml import nn, optim

from .steps import CLASSES, assert_twins, batches, explicit, sgd, twins


def model_of(dtype=np.float32):
    """Linear, BatchNorm, ReLU, Dropout, Linear."""
    nn.manual_seed(0)
    layers = [nn.Linear(6, 9, dtype=dtype), nn.BatchNorm(9, dtype=dtype), nn.ReLU(), nn.Dropout(0.3)]
    return nn.Sequential(*layers, nn.Linear(9, CLASSES, dtype=dtype))


def compiled(model, loss_fn=None, optimizer=None, **options):
    return nn.compile_step(model, loss_fn or nn.CrossEntropyLoss(), optimizer or sgd(model), **options)


def everything(model, optimizer=None):
    state = dict(model.state_dict())
    state |= {f"{i}.offset": m.offset for i, m in enumerate(model.modules()) if hasattr(m, "offset")}
    if optimizer is not None:
        state["optimizer"] = optimizer.state_dict()
    return state


def read_only(array):
    array = array.copy()
    array.setflags(write=False)
    return array


def misaligned(array):
    memory = np.zeros(array.nbytes + 1, np.uint8)
    moved = memory[1:].view(array.dtype).reshape(array.shape)
    moved[...] = array
    return moved


def set_value(layer, name, change):
    def do(model):
        parameter = getattr(model.layers[layer], name)
        parameter.value = change(parameter.value)

    return do


def set_attribute(layer, name, change):
    return lambda model: setattr(model.layers[layer], name, change(getattr(model.layers[layer], name)))


def group_norm_of(groups):
    layer = nn.GroupNorm(3, 9)
    layer.num_groups = groups
    return layer


WRONG = {
    "fewer rows": (
        set_value(0, "weight", lambda a: np.zeros((8, 6), "f4")),
        r"0\.weight must have the shape \(9, 6\), not \(8, 6\)",
    ),
    "short bias": (set_value(0, "bias", lambda a: a[:3].copy()), r"0\.bias must have the shape \(9,\), not \(3,\)"),
    "more features": (set_attribute(0, "out_features", lambda n: 40), r"0\.weight must have the shape \(40, 6\)"),
    "another dtype": (set_value(4, "bias", lambda a: a.astype("f8")), r"4\.bias must be float32 .* not float64"),
    "swapped bytes": (set_value(4, "bias", lambda a: a.astype(">f4")), r"4\.bias must be float32 .* not >f4"),
    "strides": (set_value(0, "weight", np.asfortranarray), r"0\.weight C-contiguous"),
    "misaligned": (set_value(0, "bias", misaligned), r"0\.bias C-contiguous and aligned"),
    "read-only": (set_value(0, "weight", read_only), r"0\.weight is read-only"),
    "made read-only": (lambda m: m.layers[0].weight.value.setflags(write=False), r"0\.weight is read-only"),
    "shape in place": (
        lambda m: m.layers[0].weight.value.resize((6, 9), refcheck=False),
        r"0\.weight must have .* not \(6, 9\)",
    ),
    "smaller in place": (
        lambda m: m.layers[0].bias.value.resize((2,), refcheck=False),
        r"0\.bias must have .* not \(2,\)",
    ),
    "a list": (set_value(0, "bias", list), r"0\.bias must be a NumPy array, not list"),
    "no array": (set_value(0, "bias", lambda a: None), r"0\.bias must have an array"),
    "an array as parameter": (
        set_attribute(0, "weight", lambda p: p.value),
        r"0\.weight must be a Parameter, not ndarray",
    ),
    "short statistics": (
        set_attribute(1, "running_mean", lambda a: a[:3].copy()),
        r"1\.running_mean must have the shape \(9,\), not \(3,\)",
    ),
    "read-only statistics": (set_attribute(1, "running_var", read_only), r"1\.running_var is read-only"),
    "one array twice": (set_value(0, "bias", lambda a: a), None),
    "p": (set_attribute(3, "p", lambda p: 1.7), "p must be"),
    "seed": (set_attribute(3, "seed", lambda s: -1), "seed must be"),
    "offset": (set_attribute(3, "offset", lambda s: 1 << 64), "offset must be"),
    "eps": (set_attribute(1, "eps", lambda e: -1.0), "eps must be at least 0, not -1.0"),
    "groups": (lambda m: setattr(m, "layers", (m.layers[0], group_norm_of(0), *m.layers[1:])), "num_groups must be"),
    "momentum": (set_attribute(1, "momentum", lambda e: "much"), "momentum must be"),
    "a layer twice": (lambda m: setattr(m, "layers", (*m.layers, m.layers[2])), "ReLU stands twice"),
    "no layer": (lambda m: setattr(m, "layers", (*m.layers, 3)), r"layers\[5\] must be a Module"),
}  # fmt: skip


@pytest.mark.parametrize("ran", [False, True], ids=["before", "after steps"])
@pytest.mark.parametrize("what", [w for w in WRONG if WRONG[w][1]])
def test_what_does_not_fit_is_refused_by_name(what, ran):
    change, text = WRONG[what]
    model = model_of()
    optimizer = sgd(model)
    (x, y), *_ = batches(0, 6, np.float32)
    step = compiled(model, optimizer=optimizer)
    for _ in range(3 * ran):
        step(x, y)
    with pytest.raises((ValueError, TypeError), match=text):
        change(model)
        before = copy.deepcopy(everything_raw(model, optimizer))
        step(x, y)
    if "twice" not in what and what != "no layer":
        np.testing.assert_equal(everything_raw(model, optimizer), before)


def everything_raw(model, optimizer):
    """As `everything`, with whatever stands in the places."""
    state = {f"{i} {name}": getattr(value, "value", value) for i, m in enumerate(model.modules())
             for name, value in vars(m).items() if not name.startswith("_") and name != "layers"}  # fmt: skip
    return state | {"steps": optimizer.state_dict()["state"]}


RIGHT = {
    "p": set_attribute(3, "p", lambda p: 0.6),
    "no dropout": set_attribute(3, "p", lambda p: 0.0),
    "seed": set_attribute(3, "seed", lambda p: 77),
    "offset": set_attribute(3, "offset", lambda p: 5),
    "statistics": set_attribute(1, "running_mean", lambda a: a + 1),
    "plain average": set_attribute(1, "momentum", lambda m: None),
    "eps": set_attribute(1, "eps", lambda m: 0.1),
    "convention": set_attribute(1, "convention", lambda m: "onnx"),
    "weight": set_value(0, "weight", lambda a: -a),
    "weight in place": lambda m: np.negative(m.layers[0].weight.value, out=m.layers[0].weight.value),
    "no affine": lambda m: (setattr(m.layers[1], "weight", None), setattr(m.layers[1], "bias", None)),
    "weight alone": lambda m: setattr(m.layers[1], "bias", None),
    "bias alone": lambda m: setattr(m.layers[1], "weight", None),
    "no bias": lambda m: setattr(m.layers[0], "bias", None),
    "another activation": lambda m: setattr(m, "layers", (*m.layers[:2], nn.Tanh(), *m.layers[3:])),
    "one layer less": lambda m: setattr(m, "layers", (*m.layers[:3], *m.layers[4:])),
    "evaluation and back": lambda m: m.eval().train(),
    "state": lambda m: m.load_state_dict({name: value * 0.5 for name, value in m.state_dict().items()}),
    "one mean alone": lambda m: setattr(m.layers[1], "running_var", None),
    "a class": lambda m: setattr(m.layers[2], "__class__", nn.Sigmoid),
    "memory map": None,
}


@pytest.mark.parametrize("what", RIGHT)
def test_what_is_changed_between_steps_is_seen(what, tmp_path):
    def change(model):
        if what != "memory map":
            return RIGHT[what](model)
        for k, parameter in enumerate(model.parameters()):
            path = tmp_path / f"{id(model)}{k}.npy"
            np.save(path, parameter.value)
            parameter.value = np.load(path, mmap_mode="r+")
        return None

    a, b = twins(model_of())
    slow, fast = sgd(a), sgd(b)
    step = compiled(b, optimizer=fast)
    for k, (x, y) in enumerate(batches(0, 6, np.float32, (20, 20, 7, 20, 9))):
        if k == 2:
            for m in (a, b):
                held = m.parameters()
                change(m)
                for parameter in held:
                    if parameter not in m.parameters():  # a gradient that no backward makes again
                        parameter.grad = None
        assert explicit(a, nn.CrossEntropyLoss(), slow, x, y) == step(x, y), k
        np.testing.assert_equal(everything(b, fast), everything(a, slow))


@pytest.mark.parametrize("name", ["weight", "ignore_index", "label_smoothing", "reduction", "z_loss"])
def test_options_of_a_loss(name):
    values = {
        "weight": np.linspace(0.5, 2, CLASSES),
        "ignore_index": 3,
        "label_smoothing": 0.2,
        "reduction": "sum",
        "z_loss": 0.1,
    }
    loss_fn = nn.CrossEntropyLoss()
    a, b = twins(model_of())
    slow, fast = sgd(a), sgd(b)
    step = compiled(b, loss_fn, fast)
    for k, (x, y) in enumerate(batches(0, 6, np.float32)):
        if k == 1:
            setattr(loss_fn, name, values[name])
        if k == 3 and name == "weight":
            loss_fn.weight[2] = 9  # in place
        assert explicit(a, loss_fn, slow, x, y) == step(x, y)
        assert_twins(a, b)
    setattr(loss_fn, name, "nonsense")
    with pytest.raises((ValueError, TypeError), match=name):
        step(x, y)
    assert_twins(a, b)


def test_bounds_of_a_step_may_change():
    a, b = twins(model_of())
    slow, fast = sgd(a), sgd(b)
    step = compiled(b, optimizer=fast)
    for k, (x, y) in enumerate(batches(0, 6, np.float32)):
        bound = [None, 1e-3, 1e-2, None, None][k]
        step.max_norm = step.clip_value = bound
        assert explicit(a, nn.CrossEntropyLoss(), slow, x, y, bound, bound) == step(x, y)
        assert_twins(a, b)
    step.max_norm = -1
    with pytest.raises(ValueError, match="max_norm"):
        step(x, y)


def test_a_change_between_a_plan_and_its_first_step():
    """Velocities that explicit steps began are not begun again."""
    a, b = twins(model_of())
    slow, fast = sgd(a), sgd(b)
    step = compiled(b, optimizer=fast)
    (x, y), *rest = batches(0, 6, np.float32)
    with pytest.raises(IndexError):
        step(x, y + CLASSES)
    explicit(b, nn.CrossEntropyLoss(), fast, x, y)
    explicit(a, nn.CrossEntropyLoss(), slow, x, y)
    for x, y in rest:
        assert explicit(a, nn.CrossEntropyLoss(), slow, x, y) == step(x, y)
        assert_twins(a, b)


def test_labels_that_fit_a_model_of_more_classes_are_taken():
    model = nn.Sequential(nn.Linear(6, 9, seed=0), nn.ReLU(), nn.Linear(9, 3, seed=1))
    optimizer = optim.SGD(model.layers[0].parameters(), lr=0.1)
    step = compiled(model, optimizer=optimizer)
    x = np.ones((4, 6), np.float32)
    step(x, np.array([0, 1, 2, 0]))
    model.layers = (*model.layers[:2], nn.Linear(9, 7, seed=2))
    assert np.isfinite(step(x, np.array([6, 5, 4, 3])))


def test_a_gradient_of_a_parameter_that_left_the_model_is_not_ignored():
    model = model_of()
    optimizer = sgd(model)
    step = compiled(model, optimizer=optimizer)
    (x, y), *_ = batches(0, 6, np.float32)
    explicit(model, nn.CrossEntropyLoss(), optimizer, x, y)
    bias, model.layers[0].bias = model.layers[0].bias, None
    with pytest.raises(ValueError, match=r"Parameter\(shape=\(9,\), .* not in the model"):
        step(x, y)
    bias.grad = None
    step(x, y)


def test_a_refused_step_leaves_no_state_behind():
    """Averages made for an array of another type are not kept."""
    for explicit_too in (False, True):
        model = model_of()
        optimizer = optim.Adagrad(model.parameters(), lr=0.1)
        (x, y), *_ = batches(0, 6, np.float32)
        step = compiled(model, optimizer=optimizer)
        bias = model.layers[4].bias
        kept, bias.value = bias.value, bias.value.astype(np.float64)
        with pytest.raises(TypeError, match=r"4\.bias must be float32"):
            step(x, y)
        bias.value = kept
        if explicit_too:
            explicit(model, nn.CrossEntropyLoss(), optimizer, x, y)
        assert np.isfinite(step(x, y))


# --- arrays that share memory --------------------------------------------------------------------------------


def test_arrays_that_share_memory_are_refused_by_name():
    model = nn.Sequential(nn.Linear(6, 6, seed=0), nn.ReLU(), nn.Linear(6, 6, seed=1))
    step = compiled(model)
    x, y = np.ones((4, 6), np.float32), np.array([0, 1, 2, 0])
    step(x, y)
    whole = np.zeros(60, np.float32)
    model.layers[0].weight.value, model.layers[2].weight.value = whole[:36].reshape(6, 6), whole[24:].reshape(6, 6)
    with pytest.raises(ValueError, match=r"2\.weight shares memory with 0\.weight"):
        step(x, y)
    for other in (lambda a: a, np.transpose, lambda a: a[::-1]):
        model = nn.Sequential(nn.Linear(6, 6, seed=0), nn.ReLU(), nn.Linear(6, 6, seed=1))
        model.layers[2].weight.value = other(model.layers[0].weight.value)
        with pytest.raises(ValueError, match=r"params\[2\] (shares memory with params\[0\]|stands in params twice)"):
            sgd(model)
        optimizer = optim.SGD(model.layers[0].parameters(), lr=0.1)
        with pytest.raises(ValueError, match=r"2\.weight"):
            compiled(model, optimizer=optimizer)
        with pytest.raises(ValueError, match=r"params\[2\]"):
            optim.EMA(model.parameters())


def test_a_batch_that_is_a_parameter_is_refused():
    model = nn.Sequential(nn.Linear(4, 4, seed=0), nn.ReLU(), nn.Linear(4, 4, seed=1))
    step = nn.compile_step(model, nn.MSELoss(), sgd(model))
    weight, other = model.layers[0].weight.value, np.ones((4, 4), np.float32)
    before = model.state_dict()
    with pytest.raises(ValueError, match=r"x shares memory with 0\.weight"):
        step(weight, other)
    with pytest.raises(ValueError, match=r"target shares memory with 0\.weight"):
        step(other, weight)
    np.testing.assert_equal(model.state_dict(), before)


# --- read-only memory ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "optimizer", [sgd, lambda m: optim.Adam(m.parameters()), lambda m: optim.RMSprop(m.parameters())]
)
def test_read_only_memory_is_refused_by_explicit_steps_too(optimizer):
    model = model_of()
    (x, y), *_ = batches(0, 6, np.float32)
    made, ema = optimizer(model), optim.EMA(model.parameters())
    loss_fn = nn.CrossEntropyLoss()
    explicit(model, loss_fn, made, x, y)
    model.layers[4].bias.value.setflags(write=False)
    before = everything(model, made)
    with pytest.raises(ValueError, match="read-only"):
        made.step()
    with pytest.raises(ValueError, match="read-only"), ema.average_parameters():
        pass
    with pytest.raises(ValueError, match=r"4\.bias.* read-only"):
        model.load_state_dict(model.state_dict())
    np.testing.assert_equal(everything(model, made), before)
    model.layers[1].running_var.setflags(write=False)
    with pytest.raises(ValueError, match="running_var is read-only"):
        model(x)
    ema._averages[0].setflags(write=False)
    with pytest.raises(ValueError, match="read-only"):
        ema.update()


def test_frozen_parameters_may_be_read_only():
    a, b = twins(model_of())
    for m in (a, b):
        m.layers[0].weight.value.setflags(write=False)
    slow, fast = (optim.SGD(m.parameters()[1:], lr=0.1) for m in (a, b))
    step = compiled(b, optimizer=fast)
    for x, y in batches(0, 6, np.float32):
        explicit(a, nn.CrossEntropyLoss(), slow, x, y)
        step(x, y)
        assert_twins(a, b)
