"""Flatten, and samples of several axes in a compiled step."""

import numpy as np
import pytest

from fastml import nn, optim

from .common import DTYPES, THREADS, with_threads
from .steps import CLASSES, assert_same_training, explicit, twins


def images(dtype, sizes=(20, 7, 45, 2), shape=(3, 4, 5)):
    rng = np.random.default_rng(0)
    return [(rng.standard_normal((n, *shape)).astype(dtype), rng.integers(0, CLASSES, n)) for n in sizes]


def image_model(dtype):
    nn.manual_seed(0)
    return nn.Sequential(
        nn.GELU(), nn.Dropout(0.3), nn.Flatten(), nn.BatchNorm(60, dtype=dtype), nn.Linear(60, 33, dtype=dtype),
        nn.ReLU(), nn.Flatten(), nn.Linear(33, CLASSES, dtype=dtype),
    )  # fmt: skip


def test_flatten_is_a_view_and_its_gradient_too():
    layer, x = nn.Flatten(), np.arange(24.0).reshape(2, 3, 4)
    y = layer(x)
    assert y.shape == (2, 12) and np.shares_memory(y, x)
    assert np.array_equal(layer.backward(y), x)
    assert layer(x[:, :, ::2]).tolist() == x[:, :, ::2].reshape(2, 6).tolist()
    assert layer(np.zeros((0, 3, 4))).shape == (0, 12) and layer(np.zeros(5)).shape == (5, 1)
    with pytest.raises(ValueError, match="first axis"):
        layer(np.float32(1))


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_step_takes_samples_of_several_axes(dtype, threads):
    assert_same_training(image_model(dtype), images(dtype), threads=threads)


def test_a_step_keeps_to_the_shape_of_its_first_batch():
    model, other = twins(image_model(np.float32))
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    step = nn.compile_step(model, nn.CrossEntropyLoss(), optimizer)
    with pytest.raises(ValueError, match="first batch"):
        step.describe()
    (x, y), *_ = images(np.float32)
    with pytest.raises(ValueError, match=r"3: BatchNorm has 60 features, the layer before gives 40"):
        step(x[:, :2], y)
    want = explicit(other, nn.CrossEntropyLoss(), optim.SGD(other.parameters(), lr=0.1), x, y)
    assert with_threads(1, step, x, y) == want
    for bad in (x[:, :2], x.reshape(20, 60), x[:, None]):
        with pytest.raises(ValueError, match=r"x must have the shape \(n >= 2, 3, 4, 5\), not"):
            step(bad, y)
    assert np.isfinite(step(np.asfortranarray(x), y))


def test_rows_are_asked_for_where_a_layer_or_the_loss_takes_rows():
    (x, y), *_ = images(np.float32)
    model = nn.Sequential(nn.ReLU(), nn.BatchNorm(60), nn.Flatten(), nn.Linear(60, CLASSES))
    step = nn.compile_step(model, nn.CrossEntropyLoss(), optim.SGD(model.parameters(), lr=0.1))
    with pytest.raises(ValueError, match=r"1: BatchNorm has 60 features, the layer before gives \(3, 4, 5\)"):
        step(x, y)
    model = nn.Sequential(nn.Flatten(), nn.Linear(60, CLASSES))
    step = nn.compile_step(model, nn.CrossEntropyLoss(), optim.SGD(model.parameters(), lr=0.1))
    assert np.isfinite(step(x, y))
