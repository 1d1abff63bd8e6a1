"""GradScaler: PyTorch's scales, steps passed over, saved and continued with everything else of a training."""

import numpy as np
import pytest

import fastml
from fastml import nn, optim

from .kinds import OPTIMIZER_CLASSES


def test_the_scale_is_pytorchs():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    for options in (
        {"init_scale": 1024.0, "growth_interval": 3},
        {"init_scale": 1e36, "growth_interval": 1, "growth_factor": 1.7, "backoff_factor": 0.3},
        {"init_scale": 0.1, "growth_interval": 2, "growth_factor": 1.1, "backoff_factor": 0.9},
    ):
        w = rng.standard_normal(5)
        theirs = torch.nn.Parameter(torch.tensor(w))
        opt, torch_opt = optim.SGD([w], lr=0.1, momentum=0.5), torch.optim.SGD([theirs], lr=0.1, momentum=0.5)
        scaler, torch_scaler = optim.GradScaler(**options), torch.amp.GradScaler("cpu", **options)
        for _ in range(60):
            g = rng.standard_normal(5)
            if rng.random() < 0.3:
                g[rng.integers(5)] = rng.choice([np.inf, -np.inf, np.nan])
            theirs.grad = torch.tensor(g) * torch_scaler.get_scale()
            torch_scaler.scale(torch.tensor(1.0))
            torch_scaler.step(torch_opt)
            torch_scaler.update()
            scaler.step(opt, [scaler.scale(g)])
            scaler.update()
            assert scaler.get_scale() == torch_scaler.get_scale()
            np.testing.assert_allclose(w, theirs.detach().numpy(), rtol=1e-5, atol=1e-6)  # 1 / scale in float32
        assert scaler.state_dict() == torch_scaler.state_dict()
        other = optim.GradScaler()
        other.load_state_dict(torch_scaler.state_dict())
        assert other.state_dict() == scaler.state_dict()


@pytest.mark.parametrize(("factors", "bound"), [((1.0, 0.3), 2.0**-126), ((1.7, 1.0), 2.0**126)])
def test_the_scale_stays_where_its_reciprocal_is_a_float(factors, bound):
    """After any number of bad (or good) steps in a row the next step is taken, undistorted."""
    w = np.zeros(2, np.float32)
    opt = optim.SGD([w], lr=1.0)
    scaler = optim.GradScaler(growth_factor=factors[0], backoff_factor=factors[1], growth_interval=1)
    bad = np.array([np.inf if factors[0] == 1 else 0.0, 0.0], np.float32)
    for _ in range(300):
        scaler.step(opt, [bad.copy()])
        scaler.update()
    assert scaler.get_scale() == bound
    scaler.step(opt, [scaler.scale(np.array([1.0, -0.75], np.float32))])
    assert w.tolist() == [-1.0, 0.75]
    other = optim.GradScaler()
    other.load_state_dict(scaler.state_dict())
    assert other.state_dict() == scaler.state_dict()


def test_a_power_of_two_shows_in_no_bit():
    results = []
    for enabled in (False, True):
        model = nn.Sequential(nn.Linear(5, 16, seed=0), nn.ReLU(), nn.Linear(16, 3, seed=1))
        opt = optim.Adam(model.parameters(), lr=0.01)
        scaler, loss_fn = optim.GradScaler(enabled=enabled, growth_interval=2), nn.CrossEntropyLoss()
        for k in range(6):
            rng = np.random.default_rng(k)
            x, y = rng.standard_normal((16, 5), dtype=np.float32), rng.integers(0, 3, 16)
            _, grad = loss_fn(model(x), y)
            grad = scaler.scale(grad)
            assert grad.dtype == np.float32
            model.backward(grad)
            scaler.unscale_(opt)
            nn.utils.clip_grad_norm_(model.parameters(), 0.5)
            scaler.step(opt)
            scaler.update()
        results.append((model.state_dict(), opt.state_dict()))
        assert scaler.get_scale() == (65536.0 * 8 if enabled else 1.0)
        assert scaler.is_enabled() is enabled
    np.testing.assert_equal(*results)


def test_a_step_passed_over_changes_nothing_and_others_go_on():
    a, b = np.ones(3), np.ones(3)
    first, second = optim.Adam([a]), optim.Adam([b])
    scaler = optim.GradScaler(init_scale=1.0, growth_factor=1.0, backoff_factor=1.0)
    before = first.state_dict()
    scaler.step(first, [np.array([1.0, np.nan, 1.0])])
    scaler.step(second, [np.ones(3)])
    scaler.update()
    np.testing.assert_equal(first.state_dict(), before)
    assert (a == 1).all() and (b != 1).all() and scaler.get_scale() == 1.0


def test_scaling_of_losses():
    scaler = optim.GradScaler(init_scale=4.0)
    assert scaler.scale(np.float32(2)) == 8 and scaler.scale(np.float32(2)).dtype == np.float32
    assert scaler.scale([1.0, (2.0,)]) == [4.0, (8.0,)]
    assert optim.GradScaler(enabled=False).scale(3) == 3
    assert optim.GradScaler(enabled=False).state_dict() == {}


def test_order():
    scaler, opt = optim.GradScaler(), optim.SGD([np.zeros(2)], lr=1.0)
    with pytest.raises(RuntimeError, match="update"):
        scaler.update()
    scaler.unscale_(opt, [np.ones(2)])
    with pytest.raises(RuntimeError, match="unscale_"):
        scaler.unscale_(opt, [np.ones(2)])
    scaler.step(opt, [np.ones(2)])
    with pytest.raises(RuntimeError, match="step"):
        scaler.step(opt, [np.ones(2)])
    scaler.update(8.0)
    assert scaler.get_scale() == 8.0 and "8.0" in repr(scaler)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"init_scale": 0}, ValueError),
        ({"init_scale": 1e39}, ValueError),
        ({"init_scale": 3e38}, ValueError),
        ({"init_scale": 1e-39}, ValueError),
        ({"init_scale": "1"}, TypeError),
        ({"growth_factor": 0.5}, ValueError),
        ({"backoff_factor": 0}, ValueError),
        ({"backoff_factor": 1.5}, ValueError),
        ({"growth_interval": 0}, ValueError),
    ],
)
def test_refused(options, error):
    with pytest.raises(error, match=next(iter(options))):
        optim.GradScaler(**options)
    with pytest.raises(
        ValueError, match="state must be that of a GradScaler that is enabled, not without _growth_tracker"
    ):
        optim.GradScaler().load_state_dict({"scale": 1.0})
    with pytest.raises(ValueError, match="scale must be at least 1.1754943508222875e-38, not 0.0"):
        optim.GradScaler().load_state_dict({**optim.GradScaler().state_dict(), "scale": 0.0})
    with pytest.raises(ValueError, match="new_scale must be at least"):
        optim.GradScaler().update(1e-39)


@pytest.mark.parametrize("kind", OPTIMIZER_CLASSES, ids=lambda kind: kind.__name__)
def test_a_whole_training_continues_with_the_same_bits(kind):
    """Model, optimizer, schedule, averages and scaler saved in the middle, among bad gradients."""

    def make(seed):
        nn.manual_seed(seed)
        model = nn.Sequential(nn.Linear(5, 16), nn.BatchNorm(16), nn.ReLU(), nn.Linear(16, 3))
        opt = kind(model.parameters(), lr=0.05)
        parts = [optim.LinearWarmup(opt, 4), optim.CosineAnnealingLR(opt, 20)]
        return {
            "model": model,
            "optimizer": opt,
            "schedule": optim.SequentialLR(opt, parts, [4]),
            "ema": optim.EMA(model.parameters(), 0.9),
            "scaler": optim.GradScaler(growth_interval=3),
        }

    def run(parts, steps):
        model, opt, schedule, ema, scaler = parts.values()
        for k in steps:
            rng = np.random.default_rng(k)
            x, y = rng.standard_normal((16, 5), dtype=np.float32), rng.integers(0, 3, 16)
            _, grad = nn.CrossEntropyLoss()(model(x), y)
            if k % 4 == 2:
                grad[0, 0] = np.inf
            model.backward(scaler.scale(grad))
            scaler.step(opt)
            scaler.update()
            ema.update()
            schedule.step()
        return {name: part.state_dict() for name, part in parts.items()}

    whole = make(0)
    run(whole, range(7))
    saved = {name: part.state_dict() for name, part in whole.items()}
    want = run(whole, range(7, 15))
    again = make(1)
    for name, part in again.items():
        part.load_state_dict(saved[name])
    np.testing.assert_equal(run(again, range(7, 15)), want)


def test_bounds_under_pytorchs_names():
    params = [nn.Parameter(np.zeros(3)) for _ in range(3)]
    params[0].grad, params[2].grad = np.array([3.0, 0, 0]), np.array([0.0, -4.0, 0])
    nn.utils.clip_grad_value_(params, 3.5)
    assert params[2].grad.tolist() == [0, -3.5, 0]
    norm = nn.utils.clip_grad_norm_((p for p in params), 1.0)
    assert norm == fastml.clip_grad_norm([np.array([3.0, 3.5])], 9.0)
    np.testing.assert_allclose(params[0].grad[0], 3 / norm, rtol=1e-6)


def test_a_state_that_is_refused_changes_nothing():
    scaler = optim.GradScaler(init_scale=4.0)
    before = scaler.state_dict()
    for change in ({"growth_factor": 0.5}, {"backoff_factor": 0.0}, {"growth_interval": 0}):
        with pytest.raises(ValueError):
            scaler.load_state_dict({**before, "scale": 8.0, **change})
        assert scaler.state_dict() == before
