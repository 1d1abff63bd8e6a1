"""Steps whose rows have weights: the parameters have the bits of the explicit calls with the same weights."""

import numpy as np
import pytest

from fastml import nn, num_threads, optim
from fastml.nn.losses import WeightedLoss

from .kinds import LOSS_CLASSES

LOSSES = (
    (nn.CrossEntropyLoss, 5),
    (nn.CrossEntropyLoss, 700),
    (nn.NLLLoss, 6),
    *((kind, outputs) for outputs, kind in enumerate(LOSS_CLASSES, 1)),
)


def model(outputs, dtype):
    return nn.Sequential(nn.Linear(7, 9, seed=0, dtype=dtype), nn.ReLU(), nn.Linear(9, outputs, seed=1, dtype=dtype))


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("kind", "outputs"), LOSSES)
def test_bits_of_the_explicit_calls(kind, outputs, dtype, threads):
    rng = np.random.default_rng(0)
    a, b = model(outputs, dtype), model(outputs, dtype)
    step = nn.compile_step(a, WeightedLoss(kind), optim.Adam(a.parameters(), lr=0.01))
    optimizer, explicit = optim.Adam(b.parameters(), lr=0.01), kind(reduction="none")
    for rows in (1, 3, 50, 128, 129, 300, 17):
        x = rng.standard_normal((rows, 7)).astype(dtype)
        weight = rng.uniform(0.1, 3, rows)
        if kind in (nn.CrossEntropyLoss, nn.NLLLoss):
            target = rng.integers(0, outputs, rows)
        else:
            target = rng.integers(0, 2, (rows, outputs)).astype(dtype)
        with num_threads(threads):
            loss = step(x, (target, weight))
        losses, grad = explicit(b(x), target)
        losses = losses.reshape(rows, -1)
        share = (weight / (weight.sum() * losses.shape[1])).astype(dtype)[:, None]
        b.backward(grad * share)
        optimizer.step()
        np.testing.assert_allclose(loss, np.sum(losses * share), rtol=1e-5 if dtype is np.float32 else 1e-13)
        for mine, other in zip(a.parameters(), b.parameters(), strict=True):
            assert mine.value.tobytes() == other.value.tobytes()


def test_targets_and_weights_are_checked_before_anything_is_written():
    m = model(5, np.float32)
    step = nn.compile_step(m, WeightedLoss(nn.CrossEntropyLoss), optim.SGD(m.parameters(), lr=1.0))
    x, target = np.ones((4, 7), np.float32), np.arange(4)
    before = m.state_dict()
    for wrong, error in (
        ((target, np.ones(3)), ValueError),
        ((target, np.ones((4, 1))), ValueError),
        ((target + 2, np.ones(4)), IndexError),
        ((target[:3], np.ones(4)), ValueError),
    ):
        with pytest.raises(error):
            step(x, wrong)
    assert all(before[name].tobytes() == value.tobytes() for name, value in m.state_dict().items())
