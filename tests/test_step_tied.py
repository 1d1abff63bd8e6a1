"""A Parameter in several layers: one gradient, the same bits in both ways of training."""

import pickle

import numpy as np
import pytest

from fastml import nn

from .steps import CLASSES, assert_same_training, assert_twins, batches, explicit, sgd, twins
from .test_step_changes import compiled


def tied(dtype=np.float64, nested=False):
    a, b, c = (nn.Linear(6, 6, seed=s, dtype=dtype) for s in range(3))
    b.weight = c.weight = a.weight
    norms = [nn.LayerNorm(6, dtype=dtype), nn.LayerNorm(6, dtype=dtype)]
    norms[1].bias = norms[0].weight
    if nested:
        return nn.Sequential(a, nn.Sequential(nn.Tanh(), norms[0], b, nn.Sequential(nn.Tanh(), c)), norms[1])
    return nn.Sequential(a, nn.Tanh(), norms[0], b, nn.Tanh(), c, norms[1])


@pytest.mark.parametrize("nested", [False, True])
def test_the_gradient_of_a_tied_parameter_is_that_of_all_its_places(nested):
    model = tied(nested=nested)
    rng = np.random.default_rng(0)
    x, y, loss_fn = rng.standard_normal((8, 6)), rng.integers(0, 6, 8), nn.CrossEntropyLoss()
    for _ in range(2):  # each backward replaces the last
        model.backward(loss_fn(model(x), y)[1])
    for name, parameter in model.named_parameters():
        want = np.zeros_like(parameter.value)
        for i in np.ndindex(parameter.value.shape):
            old, sides = parameter.value[i], []
            for shift in (1e-5, -1e-5):
                parameter.value[i] = old + shift
                sides.append(loss_fn(model(x), y)[0])
            parameter.value[i] = old
            want[i] = (sides[0] - sides[1]) / 2e-5
        np.testing.assert_allclose(parameter.grad, want, atol=1e-8, err_msg=name)
    assert len(model.parameters()) == 1 + 3 + 3
    assert len(model.state_dict()) == 6 + 4
    one = nn.LayerNorm(6, dtype=np.float64)
    one.bias = one.weight
    one(x)
    one.backward(x)
    two = nn.LayerNorm(6, dtype=np.float64)
    two.bias.value[:] = 1
    two(x)
    two.backward(x)
    np.testing.assert_array_equal(one.weight.grad, two.weight.grad + two.bias.grad)


@pytest.mark.parametrize("options", [{}, {"max_norm": 0.1}, {"clip_value": 1e-2}, {"ema": 0.9}], ids=str)
@pytest.mark.parametrize("nested", [False, True])
def test_tied_parameters_train_to_the_same_bits(nested, options):
    data = [(x, y % 6) for x, y in batches(0, 6, np.float32, (20, 20, 33, 5))]
    assert_same_training(untwinned(tied(np.float32, nested)), data, **options)


def untwinned(model):
    """A model whose pickle keeps what is tied: twins copy it."""
    return pickle.loads(pickle.dumps(model))


def test_a_layer_norm_of_one_parameter_trains_to_the_same_bits():
    norm = nn.LayerNorm(6)
    norm.bias = norm.weight
    assert_same_training(nn.Sequential(nn.Linear(6, 6, seed=0), norm), batches(0, 6, np.float32))
    alone = nn.LayerNorm(CLASSES)
    alone.bias = alone.weight
    assert_same_training(nn.Sequential(nn.Flatten(), alone), batches(0, CLASSES, np.float32))


def test_tying_between_steps():
    a, b = twins(nn.Sequential(nn.Linear(6, 6, seed=0), nn.ReLU(), nn.Linear(6, 6, seed=1)))
    slow, fast = sgd(a), sgd(b)
    step = compiled(b, optimizer=fast)
    for k, (x, y) in enumerate(batches(0, 6, np.float32)):
        if k == 1:
            for m in (a, b):
                m.layers[2].weight = m.layers[0].weight
        if k == 3:
            for m in (a, b):
                m.layers[2].weight = nn.Parameter(m.layers[0].weight.value * 2)
        explicit(a, nn.CrossEntropyLoss(), slow, x, y)
        step(x, y)
        assert_twins(a, b)


def test_a_layer_that_stands_twice_is_named():
    layer = nn.Linear(6, 6)
    with pytest.raises(ValueError, match="Linear stands twice"):
        nn.Sequential(layer, nn.Sequential(layer))
    inner = nn.Sequential(nn.Linear(6, 6))
    model = nn.Sequential(layer, inner)
    inner.layers = (layer,)
    with pytest.raises(ValueError, match="Linear stands twice"):
        compiled(model)
    model(np.ones((2, 6), np.float32))
    with pytest.raises(ValueError, match="Linear stands twice"):
        model.backward(np.ones((2, 6), np.float32))
