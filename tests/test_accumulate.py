"""Accumulate: the step of the whole batch from its micro-batches."""

import numpy as np
import pytest

import fastml
from fastml import nn, optim


def make(dtype=np.float64, **options):
    model = nn.Sequential(nn.Linear(5, 16, seed=0, dtype=dtype), nn.ReLU(), nn.Linear(16, 3, seed=1, dtype=dtype))
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


@pytest.mark.parametrize("done", [3, 4])  # in a batch of several micro-batches, and between two
@pytest.mark.parametrize("kind", [optim.SGD, optim.Adam])
def test_a_checkpoint_keeps_what_is_added_up(kind, done, tmp_path):
    def make():
        model = nn.Sequential(nn.Linear(3, 4, seed=0), nn.Tanh(), nn.Linear(4, 2, seed=1))
        return model, optim.Accumulate(kind(model.parameters(), lr=0.1), 2)

    def train(model, accumulate, steps):
        for step in steps:
            x = np.random.default_rng(step).standard_normal((4, 3)).astype("f4")
            _, grad = nn.CrossEntropyLoss()(model(x), np.array([0, 1, 0, 1]))
            model.backward(grad)
            accumulate.step()

    (whole, accumulate), (model, part) = make(), make()
    train(whole, accumulate, range(9))
    train(model, part, range(done))
    nn.save_checkpoint(tmp_path / "c", model=model, optimizer=part)
    model, part = make()
    part.steps = 7
    nn.load_checkpoint(tmp_path / "c", model=model, optimizer=part)
    train(model, part, range(done, 9))
    for p, q in zip(model.parameters(), whole.parameters(), strict=True):
        np.testing.assert_array_equal(p.value, q.value)
    np.testing.assert_equal(part.state_dict(), accumulate.state_dict())


def test_a_state_that_does_not_fit_changes_nothing():
    accumulate = optim.Accumulate(optim.SGD([np.zeros(2), np.zeros(3)], lr=1.0), 3)
    accumulate.add([np.ones(2), None])
    good = accumulate.state_dict()
    for change, error, text in [
        ({"sums": [np.ones(2)]}, ValueError, "must have 2 sums"),
        ({"sums": [np.ones(3), None]}, ValueError, "sum 0 of state"),
        ({"sums": 3}, TypeError, "sums"),
        ({"count": 3}, ValueError, "count"),
        ({"count": 1.5}, TypeError, "count"),
        ({"steps": 0}, ValueError, "steps"),
        ({"average": "no"}, TypeError, "average"),
        ({"optimizer": {}}, ValueError, "param_groups"),
        ({"optimizer": optim.SGD([np.zeros(2)], lr=0.1).state_dict()}, ValueError, "2 parameters"),
    ]:
        with pytest.raises(error, match=text):
            accumulate.load_state_dict({**good, **change})
        np.testing.assert_equal(accumulate.state_dict(), good)
    for name in good:
        with pytest.raises(ValueError, match=name):
            accumulate.load_state_dict({key: value for key, value in good.items() if key != name})
