"""Layers, loss and models: by hand, by finite differences, and against PyTorch."""

import numpy as np
import pytest

from fastml import data, nn, optim, reference

from .common import normal


def mlp(dtype=np.float32, p=0.0):
    nn.manual_seed(1)
    return nn.Sequential(
        nn.Linear(6, 5, bias=False, dtype=dtype),
        nn.BatchNorm(5, dtype=dtype),
        nn.ReLU(),
        nn.Dropout(p),
        nn.Linear(5, 3, dtype=dtype),
    )


# --- single layers -------------------------------------------------------------------------------------------


def test_linear_forward_and_backward():
    layer, x, grad = nn.Linear(4, 3, seed=0), normal((2, 5, 4)), normal((2, 5, 3), seed=1)
    y, dx = layer(x), layer.backward(grad)
    w, b = layer.weight.value, layer.bias.value
    np.testing.assert_allclose(y, x @ w.T + b, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(dx, grad @ w, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(layer.weight.grad, np.einsum("abo,abi->oi", grad, x), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(layer.bias.grad, grad.sum((0, 1)), rtol=1e-5, atol=1e-6)


def test_linear_starts_as_pytorchs():
    layer = nn.Linear(100, 400, seed=3)
    values = np.concatenate([layer.weight.value.ravel(), layer.bias.value])
    assert np.abs(values).max() <= 0.1 and values.dtype == np.float32
    assert abs(values.mean()) < 1e-3 and abs(values.std() - 0.1 / np.sqrt(3)) < 5e-4
    np.testing.assert_array_equal(
        layer.weight.value, nn.Linear(100, 400, dtype=np.float64, seed=3).weight.value.astype(np.float32)
    )
    assert nn.Linear(3, 2, bias=False).bias is None


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("options", [{}, {"momentum": None}, {"affine": False}, {"track_running_stats": False}])
@pytest.mark.parametrize(("shape", "axis"), [((8, 5), 1), ((4, 5, 3), 1), ((4, 3, 2, 5), -1), ((3, 5, 2, 2), 1)])
def test_batch_norm_as_pytorchs(shape, axis, options, training):
    torch = pytest.importorskip("torch")
    layer = nn.BatchNorm(5, channel_axis=axis, dtype=np.float64, **options)
    kind = {2: "BatchNorm1d", 3: "BatchNorm1d", 4: "BatchNorm2d"}[len(shape)]
    theirs = getattr(torch.nn, kind)(5, dtype=torch.float64, **options)
    if layer.weight is not None:
        layer.weight.value[:] = normal(5, seed=7)
        layer.bias.value[:] = normal(5, seed=8)
    theirs.load_state_dict({name: torch.from_numpy(value) for name, value in layer.state_dict().items()})
    for step in range(3):
        x = 3 * normal(shape, seed=step, dtype=np.float64) + 1
        layer.train(training or step < 2)
        theirs.train(training or step < 2)
        t = torch.tensor(np.moveaxis(x, axis, 1), requires_grad=True)
        grad = normal(shape, seed=10 + step, dtype=np.float64)
        y, t_y = layer(x), theirs(t)
        theirs.zero_grad()
        t_y.backward(torch.from_numpy(np.moveaxis(grad, axis, 1).copy()))
        dx = layer.backward(grad)
        np.testing.assert_allclose(np.moveaxis(y, axis, 1), t_y.detach(), rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(np.moveaxis(dx, axis, 1), t.grad, rtol=1e-9, atol=1e-12)
        if layer.weight is not None:
            np.testing.assert_allclose(layer.weight.grad, theirs.weight.grad, rtol=1e-9, atol=1e-12)
            np.testing.assert_allclose(layer.bias.grad, theirs.bias.grad, rtol=1e-9, atol=1e-12)
    state = layer.state_dict()
    assert list(state) == list(theirs.state_dict())
    for name, value in theirs.state_dict().items():
        np.testing.assert_allclose(state[name], value, rtol=1e-10)


def test_batch_norm_counts_only_what_it_trained_on():
    layer = nn.BatchNorm(2, momentum=None)
    for i in range(4):
        layer(np.array([[i, 0], [i, 2]], np.float32))
    assert layer.num_batches_tracked == 4
    np.testing.assert_allclose(layer.running_mean, [1.5, 1])
    with pytest.raises(ValueError):
        layer(np.zeros((1, 2), np.float32))
    layer.eval()(np.zeros((1, 2), np.float32))
    assert layer.num_batches_tracked == 4


def test_dropout_draws_a_new_mask_each_time_and_backward_the_same():
    layer, x = nn.Dropout(0.3, seed=5), np.ones((40, 50), np.float32)
    masks = []
    for _ in range(3):
        y = layer(x)
        np.testing.assert_array_equal(layer.backward(x), y)
        np.testing.assert_array_equal(layer.backward(x), y)
        masks.append(y)
    assert not np.array_equal(masks[0], masks[1]) and not np.array_equal(masks[1], masks[2])
    assert abs((masks[0] > 0).mean() - 0.7) < 0.05
    assert layer.offset == 3 * x.size
    np.testing.assert_array_equal(masks[1], reference.dropout(x, 0.3, seed=5, offset=x.size))
    layer.offset = x.size
    np.testing.assert_array_equal(layer(x), masks[1])


def test_dropout_rests_in_evaluation():
    layer, x = nn.Dropout(0.5, seed=0).eval(), normal((4, 4))
    np.testing.assert_array_equal(layer(x), x)
    np.testing.assert_array_equal(layer.backward(x), x)
    assert layer.offset == 0
    layer.train()(x)
    assert layer.offset == x.size


def test_relu():
    layer = nn.ReLU()
    x = np.array([[-1.0, 0.0, 2.0]])
    assert layer(x).tolist() == [[0, 0, 2]]
    assert layer.backward(np.full((1, 3), 5.0)).tolist() == [[0, 0, 5]]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"reduction": "sum", "label_smoothing": 0.1},
        {"reduction": "none", "weight": [1.0, 2.0, 0.5]},
        {"ignore_index": 2, "weight": [1.0, 2.0, 0.5], "label_smoothing": 0.2},
    ],
)
def test_cross_entropy_as_pytorchs(options):
    torch = pytest.importorskip("torch")
    y, target = normal((7, 3), dtype=np.float64), np.array([0, 1, 2, 0, 2, 1, 1])
    loss, grad = nn.CrossEntropyLoss(**options)(y, target)
    options = {k: torch.tensor(v, dtype=torch.float64) if k == "weight" else v for k, v in options.items()}
    t = torch.tensor(y, requires_grad=True)
    t_loss = torch.nn.CrossEntropyLoss(**options)(t, torch.from_numpy(target))
    t_loss.sum().backward()
    np.testing.assert_allclose(loss, t_loss.detach(), rtol=1e-12)
    np.testing.assert_allclose(grad, t.grad, rtol=1e-9, atol=1e-14)


def test_cross_entropy_along_another_axis():
    y, target = normal((2, 3, 4)), np.array([[0, 1, 2, 0], [1, 1, 0, 2]])
    loss, grad = nn.CrossEntropyLoss(axis=1)(y, target)
    moved = nn.CrossEntropyLoss()(np.moveaxis(y, 1, -1), target)
    np.testing.assert_allclose(loss, moved[0], rtol=1e-6)
    np.testing.assert_allclose(np.moveaxis(grad, 1, -1), moved[1], rtol=1e-5, atol=1e-7)


# --- whole models --------------------------------------------------------------------------------------------


def test_gradients_by_finite_differences():
    model, loss_fn = mlp(np.float64, p=0.3), nn.CrossEntropyLoss()
    x, target = normal((9, 6), dtype=np.float64), np.arange(9) % 3

    def loss():
        model.layers[3].offset = 0
        return float(loss_fn(model(x), target)[0])

    loss()
    dx = model.backward(loss_fn(model(x), target)[1])
    model.layers[3].offset = 0
    dx = model.backward(loss_fn(model(x), target)[1])
    places = [(p.value, p.grad) for p in model.parameters()] + [(x, dx)]
    for value, grad in places:
        assert grad.shape == value.shape and grad.dtype == value.dtype
        for i in np.ndindex(value.shape):
            kept, step = value[i], 1e-6
            value[i] = kept + step
            up = loss()
            value[i] = kept - step
            slope = (up - loss()) / (2 * step)
            value[i] = kept
            assert abs(slope - grad[i]) < 1e-7


def test_twenty_training_steps_as_pytorchs():
    torch = pytest.importorskip("torch")
    model = mlp()
    theirs = torch.nn.Sequential(
        torch.nn.Linear(6, 5, bias=False),
        torch.nn.BatchNorm1d(5),
        torch.nn.ReLU(),
        torch.nn.Dropout(0.0),
        torch.nn.Linear(5, 3),
    )
    assert list(model.state_dict()) == list(theirs.state_dict())
    theirs.load_state_dict({name: torch.from_numpy(value) for name, value in model.state_dict().items()})
    options = {"lr": 0.1, "momentum": 0.9, "weight_decay": 1e-3, "nesterov": True}
    opt, t_opt = optim.SGD(model.parameters(), **options), torch.optim.SGD(theirs.parameters(), **options)
    loss_fn, t_loss_fn = nn.CrossEntropyLoss(label_smoothing=0.1), torch.nn.CrossEntropyLoss(label_smoothing=0.1)
    losses = []
    for step in range(20):
        x = normal((32, 6), seed=step)
        target = (x[:, 0] > 0).astype(np.int64) + (x[:, 1] > 0.5)
        loss, grad = loss_fn(model(x), target)
        model.backward(grad)
        opt.step()
        t_opt.zero_grad()
        t_loss = t_loss_fn(theirs(torch.from_numpy(x)), torch.from_numpy(target))
        t_loss.backward()
        t_opt.step()
        assert abs(float(loss) - t_loss.item()) < 1e-5
        losses.append(float(loss))
    assert losses[-1] < losses[0]
    for name, value in theirs.state_dict().items():
        np.testing.assert_allclose(model.state_dict()[name], value, rtol=1e-3, atol=1e-5)
    x = normal((8, 6), seed=99)
    with torch.no_grad():
        np.testing.assert_allclose(model.eval()(x), theirs.eval()(torch.from_numpy(x)), rtol=1e-3, atol=1e-4)
    # And back: the state of a PyTorch model is read as it is.
    other = mlp().eval()
    other.load_state_dict(theirs.state_dict())
    np.testing.assert_allclose(other(x), model(x), rtol=1e-3, atol=1e-4)


def train_on_digits(seed):
    nn.manual_seed(seed)
    model = nn.Sequential(nn.Linear(64, 32), nn.BatchNorm(32), nn.ReLU(), nn.Dropout(0.2), nn.Linear(32, 10))
    X, y = data.load_digits()
    X_train, X_test, y_train, y_test = data.split(X / 16, y, seed=seed)
    loss_fn, opt = nn.CrossEntropyLoss(), optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    batches = data.batches(X_train, y_train, batch_size=64, seed=seed)
    for _ in range(5):
        for xb, yb in batches:
            _, grad = loss_fn(model(xb), yb)
            model.backward(grad)
            opt.step()
    y = model.eval()(X_test)
    return model, (y.argmax(axis=1) == y_test).mean()


def test_learns_the_digits_and_repeats_itself():
    model, accuracy = train_on_digits(0)
    assert accuracy > 0.95
    again, _ = train_on_digits(0)
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, again.state_dict()[name], err_msg=name)
    other, _ = train_on_digits(1)
    assert not np.array_equal(other.layers[0].weight.value, model.layers[0].weight.value)


def test_backward_replaces_gradients():
    model, x = mlp(), normal((8, 6))
    y = model(x)
    model.backward(np.ones_like(y))
    first = [p.grad for p in model.parameters()]
    kept = [g.copy() for g in first]
    model.backward(2 * np.ones_like(y))
    for p, g, k in zip(model.parameters(), first, kept, strict=True):
        np.testing.assert_allclose(p.grad, 2 * k, rtol=1e-5, atol=1e-5)
        np.testing.assert_array_equal(g, k)  # the last gradients are the caller's


def test_train_and_eval_reach_every_layer():
    model = nn.Sequential(nn.Sequential(nn.Dropout(0.5)), nn.BatchNorm(2))
    assert model.eval() is model
    assert [m.training for m in model.modules()] == [False] * 4
    assert model.train() is model
    assert [m.training for m in model.modules()] == [True] * 4


def test_sequential_is_a_sequence():
    model = mlp()
    assert len(model) == 5 and list(model)[2] is model[2] and model[-1] is model[4]
    part = model[1:3]
    assert isinstance(part, nn.Sequential) and part[0] is model[1]
    x = normal((3, 4))
    assert nn.Sequential()(x) is x and nn.Sequential().backward(x) is x


class Residual(nn.Module):
    """A user's module: x + inner(x)."""

    def __init__(self, inner, scale):
        self.inner = inner
        self.scale = nn.Parameter(np.full((), scale))

    def forward(self, x):
        self.between = self.inner(x)
        return x + self.scale.value * self.between

    def backward(self, grad):
        self.scale.grad = np.asarray((grad * self.between).sum())
        return grad + self.inner.backward(self.scale.value * grad)


def test_a_users_module():
    model = nn.Sequential(Residual(nn.Linear(3, 3, dtype=np.float64, seed=0), 0.5), nn.ReLU())
    assert [name for name, _ in model.named_parameters()] == ["0.scale", "0.inner.weight", "0.inner.bias"]
    x = normal((4, 3), dtype=np.float64)
    y = model(x)
    assert model.backward(np.ones_like(y)).shape == x.shape
    assert all(p.grad is not None for p in model.parameters())
    model.load_state_dict(model.state_dict())
    assert repr(model).splitlines()[1] == "  (0): Residual("


# --- what is refused -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "layer", [nn.Linear(2, 2), nn.BatchNorm(2), nn.ReLU(), nn.Dropout(), nn.Sequential(nn.ReLU())], ids=repr
)
def test_backward_needs_a_forward(layer):
    with pytest.raises(RuntimeError, match="forward"):
        layer.backward(np.ones((3, 2), np.float32))


def test_wrong_shapes_leave_everything_as_it_was():
    x = normal((8, 6))
    for i, layer in enumerate([nn.Linear(6, 4, seed=0), nn.BatchNorm(6), nn.ReLU(), nn.Dropout(0.5, seed=0)]):
        layer(x)
        layer.backward(np.ones((8, 4 if i == 0 else 6), np.float32))
        before = layer.state_dict(), [p.grad.copy() for p in layer.parameters()]
        with pytest.raises(ValueError):
            layer.backward(np.ones((8, 5), np.float32))
        if i < 2:
            with pytest.raises(ValueError):
                layer(normal((8, 5)))
        np.testing.assert_equal((layer.state_dict(), [p.grad for p in layer.parameters()]), before)
        layer.backward(np.ones((8, 4 if i == 0 else 6), np.float32))


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: nn.Linear(0, 3), ValueError, "in_features"),
        (lambda: nn.Linear(3, -1), ValueError, "out_features"),
        (lambda: nn.Linear(3.0, 1), TypeError, "in_features"),
        (lambda: nn.Linear(3, 1, dtype=np.int64), TypeError, "int64"),
        (lambda: nn.BatchNorm(0), ValueError, "num_features"),
        (lambda: nn.BatchNorm(2, eps=-1), ValueError, "eps"),
        (lambda: nn.BatchNorm(2, dtype="float16"), TypeError, "float16"),
        (lambda: nn.Dropout(1.5), ValueError, "1.5"),
        (lambda: nn.Dropout(float("nan")), ValueError, "nan"),
        (lambda: nn.CrossEntropyLoss(reduction="avg"), ValueError, "avg"),
        (lambda: nn.CrossEntropyLoss(label_smoothing=2), ValueError, "label_smoothing"),
        (lambda: nn.Sequential(nn.ReLU(), np.tanh), TypeError, r"layers\[1\]"),
        (lambda: nn.Sequential(*[nn.ReLU()] * 2), ValueError, "twice"),
        (lambda: nn.Sequential(a := nn.ReLU(), nn.Sequential(a)), ValueError, "twice"),
    ],
)
def test_arguments_refused(make, error, text):
    with pytest.raises(error, match=text):
        make()


def test_repr():
    assert repr(mlp(p=0.5)) == (
        "Sequential(\n"
        "  (0): Linear(in_features=6, out_features=5, bias=False)\n"
        "  (1): BatchNorm(5, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True, channel_axis=1)\n"
        "  (2): ReLU()\n"
        "  (3): Dropout(p=0.5)\n"
        "  (4): Linear(in_features=5, out_features=3, bias=True)\n"
        ")"
    )
    assert repr(nn.Sequential(nn.Sequential(nn.ReLU()))) == ("Sequential(\n  (0): Sequential(\n    (0): ReLU()\n  )\n)")
    assert repr(nn.CrossEntropyLoss(weight=[1, 2])).startswith("CrossEntropyLoss(weight=array of 2")
    assert repr(nn.Parameter(np.zeros((2, 3)))) == "Parameter(shape=(2, 3), dtype=float64)"


def test_backward_without_the_gradient_of_the_input():
    x = np.random.default_rng(0).standard_normal((9, 5), dtype=np.float32)
    model = nn.Sequential(
        nn.Dropout(0.5, seed=1),
        nn.Sequential(nn.ReLU(), nn.Linear(5, 4, seed=2)),
        nn.BatchNorm(4),
        nn.Linear(4, 3, seed=3),
    )
    y = model(x)
    assert model.backward(y).shape == x.shape
    want = [p.grad for p in model.parameters()]
    assert model.backward(y, input_grad=False) is None
    for parameter, grad in zip(model.parameters(), want, strict=True):
        assert parameter.grad is not grad and np.array_equal(parameter.grad, grad)
    assert nn.Sequential(nn.ReLU(), nn.Dropout(0.0)).backward(y, input_grad=False) is None
