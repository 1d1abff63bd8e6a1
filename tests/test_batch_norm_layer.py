"""nn.BatchNorm: its conventions, and the bits of the explicit calls in a compiled step."""

import numpy as np
import pytest

from fastml import nn, optim

from .common import DTYPES, THREADS, normal
from .steps import CLASSES, assert_same_training


@pytest.mark.parametrize("momentum", ["default", 0.3, None])
@pytest.mark.parametrize("convention", ["torch", "onnx"])
def test_conventions_of_the_running_statistics(convention, momentum):
    layer = nn.BatchNorm(4, momentum=momentum, convention=convention, dtype=np.float64)
    mean, var = np.zeros(4), np.ones(4)
    for k in range(3):
        x = normal((5, 4, 2), np.float64, k)
        batch = np.moveaxis(x, 1, 0).reshape(4, -1)
        usual = {"torch": 0.1, "onnx": 0.9}[convention] if momentum == "default" else momentum
        share = 1 / (k + 1) if momentum is None else usual if convention == "torch" else 1 - usual
        mean += share * (batch.mean(axis=1) - mean)
        var += share * (batch.var(axis=1, ddof=convention == "torch") - var)
        layer(x)
    np.testing.assert_allclose(layer.running_mean, mean, rtol=1e-12)
    np.testing.assert_allclose(layer.running_var, var, rtol=1e-12)


def test_a_convention_must_be_known():
    with pytest.raises(ValueError, match="convention"):
        nn.BatchNorm(4, convention="keras")
    assert (
        "convention='onnx'" in repr(nn.BatchNorm(4, convention="onnx"))
        and nn.BatchNorm(4, convention="onnx").momentum == 0.9
    )


def samples(shape, dtype, sizes):
    rng = np.random.default_rng(0)
    return [(rng.standard_normal((n, *shape)).astype(dtype), rng.integers(0, CLASSES, n)) for n in sizes]


OPTIONS = [
    {"convention": "onnx"},
    {"convention": "onnx", "momentum": None},
    {"momentum": None, "affine": False},
    {"track_running_stats": False},
    {"affine": False, "convention": "onnx", "momentum": 0.5},
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("places", [(), (1,), (3,), (5, 7), (20, 30)])
def test_a_compiled_step_gives_the_bits_of_the_explicit_calls(places, dtype):
    nn.manual_seed(0)
    layers = []
    for k, options in enumerate(OPTIONS):
        layers += [nn.BatchNorm(10, dtype=dtype, channel_axis=1 if k else -1 - len(places), **options), nn.ReLU()]
    features = 10 * int(np.prod(places))
    layers += [nn.GELU(), nn.BatchNorm(10, dtype=dtype), nn.Flatten(), nn.Linear(features, CLASSES, dtype=dtype)]
    for threads in THREADS:
        model = nn.Sequential(*layers)
        assert_same_training(model, samples((10, *places), dtype, (20, 20, 7, 45, 2)), threads=threads)


def test_many_values_a_channel_are_added_in_the_same_order():
    nn.manual_seed(0)
    for shape, sizes in (((40,), (4200, 97)), ((4, 130, 129), (3, 70)), ((40, 6), (3000, 5))):
        model = [nn.BatchNorm(shape[0]), nn.Flatten(), nn.Linear(int(np.prod(shape)), CLASSES)]
        assert_same_training(nn.Sequential(*model), samples(shape, np.float32, sizes), threads=2)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_gradient_that_lies_in_other_rows_than_the_input(dtype):
    """100 columns: the batch lies without gaps, what follows has rows that begin on cache lines."""
    for shape in ((100,), (4, 25)):
        for layer in (nn.GELU(), nn.GroupNorm(4, shape[0], dtype=dtype)):
            nn.manual_seed(0)
            norm = nn.BatchNorm(shape[0], dtype=dtype)
            model = nn.Sequential(norm, layer, nn.Flatten(), nn.Linear(100, CLASSES, dtype=dtype))
            assert_same_training(model, samples(shape, dtype, (20, 130, 7)), threads=2)


def test_samples_that_do_not_fit_a_step():
    (x, y), *_ = samples((6, 3), np.float32, (5,))
    for norm, match in (
        (nn.BatchNorm(3, channel_axis=-1), "0: .* channel_axis=1, not -1"),
        (nn.BatchNorm(5), r"0: BatchNorm has 5 features, the layer before gives \(6, 3\)"),
    ):
        model = nn.Sequential(norm, nn.Flatten(), nn.Linear(18, CLASSES))
        with pytest.raises(ValueError, match=match):
            nn.compile_step(model, nn.CrossEntropyLoss(), optim.SGD(model.parameters(), lr=0.1))(x, y)
    model = nn.Sequential(nn.BatchNorm(6), nn.Flatten(), nn.Linear(18, CLASSES))
    step = nn.compile_step(model, nn.CrossEntropyLoss(), optim.SGD(model.parameters(), lr=0.1))
    assert np.isfinite(step(x[:1], y[:1]))
