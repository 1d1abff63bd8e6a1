"""Accumulate: the step of the whole batch from its micro-batches."""

import numpy as np
import pytest

import fastml
from fastml import nn, optim


def make(dtype=np.float64, **options):
    model = nn.Sequential(
        nn.Linear(5, 16, seed=0, dtype=dtype), nn.ReLU(), nn.Linear(16, 3, seed=1, dtype=dtype)
    )
    return model, optim.SGD(model.parameters(), **{"lr": 0.1, "momentum": 0.9, **options})


def batch(seed, dtype=np.float64, n=24):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, 5)).astype(dtype), rng.integers(0, 3, n)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("steps", [1, 2, 3, 8])
def test_micro_batches_give_the_step_of_the_batch(steps, dtype, reduction):
    (whole, opt), (parts, part_opt) = make(dtype, lr=0.01), make(dtype, lr=0.01)
    loss_fn = nn.CrossEntropyLoss(reduction=reduction)
    accumulate = optim.Accumulate(part_opt, steps, average=reduction == "mean")
    for k in range(5):
        x, y = batch(k, dtype)
        whole.backward(loss_fn(whole(x), y)[1])
        opt.step()
        stepped = []
        for rows in np.split(np.arange(len(x)), steps):
            parts.backward(loss_fn(parts(x[rows]), y[rows])[1])
            stepped.append(accumulate.step())
        assert stepped == [False] * (steps - 1) + [True]
    tolerance = 1e-5 if dtype == np.float32 else 1e-13
    for p, q in zip(parts.parameters(), whole.parameters(), strict=True):
        np.testing.assert_allclose(p.value, q.value, rtol=tolerance, atol=tolerance)


def test_clipping_in_between():
    (whole, opt), (parts, part_opt) = make(), make()
    loss_fn, accumulate = nn.CrossEntropyLoss(), optim.Accumulate(part_opt, 2)
    x, y = batch(0)
    whole.backward(loss_fn(whole(x), y)[1])
    norm = nn.utils.clip_grad_norm_(whole.parameters(), 0.01)
    opt.step()
    for rows in (slice(0, 12), slice(12, 24)):
        parts.backward(loss_fn(parts(x[rows]), y[rows])[1])
        if accumulate.add():
            assert accumulate.grads[0] is parts.parameters()[0].grad
            np.testing.assert_allclose(fastml.clip_grad_norm(accumulate.grads, 0.01), norm, rtol=1e-12)
            part_opt.step()
    for p, q in zip(parts.parameters(), whole.parameters(), strict=True):
        np.testing.assert_allclose(p.value, q.value, rtol=1e-12)


def test_plain_arrays_missing_gradients_and_the_rest_of_an_epoch():
    params = [np.zeros(2), np.zeros(2), np.zeros(2)]
    accumulate = optim.Accumulate(optim.SGD(params, lr=1.0), 4)
    one, two = np.array([1.0, 2.0]), np.array([3.0, 0.0])
    assert accumulate.flush() is False
    assert accumulate.step([one, None, None]) is False
    assert accumulate.step([two, two, None]) is False
    assert one.tolist() == [1, 2] and accumulate.grads[2] is None
    assert accumulate.flush() is True
    assert [p.tolist() for p in params] == [[-2, -1], [-1.5, 0], [0, 0]]
    for k in range(4):
        assert accumulate.step([None, None, two]) is (k == 3)
    assert [p.tolist() for p in params] == [[-2, -1], [-1.5, 0], [-3, 0]]


def test_refused():
    opt = optim.SGD([np.zeros(2), np.zeros(3)], lr=1.0)
    for steps, error in ((0, ValueError), (1.5, TypeError)):
        with pytest.raises(error, match="steps"):
            optim.Accumulate(opt, steps)
    accumulate = optim.Accumulate(opt, 2)
    accumulate.add([np.ones(2), np.ones(3)])
    for grads in ([np.ones(2)], [np.ones(2), np.ones(2)], [np.ones(2), np.ones(4)]):
        with pytest.raises(ValueError, match="grad"):
            accumulate.add(grads)
    assert [g.tolist() for g in accumulate.grads] == [[1, 1], [1, 1, 1]]
    assert "Accumulate(SGD" in repr(accumulate)
