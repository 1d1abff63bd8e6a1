"""Norms of numbers whose squares leave the range of their type, and of a small spread about a large mean."""

from fractions import Fraction

import numpy as np
import pytest

import fastml
from fastml import nn, optim

RNG = np.random.default_rng(3)
X = RNG.standard_normal((6, 8, 5))
W, B = RNG.standard_normal(8), RNG.standard_normal(8)


def _norms(x, eps):
    """y and the statistics of each of the family, x (N, C, L); means and 1 / inv_std scale with x."""
    yield fastml.layer_norm(x, np.ones(5), np.zeros(5), eps=eps)
    yield fastml.layer_norm(x, axis=(1, 2), eps=eps)
    yield fastml.rms_norm(x, eps=eps)
    yield fastml.batch_norm(x, W, B, eps=eps)
    yield fastml.batch_norm(x, W, B, channel_axis=-2, eps=eps)
    yield fastml.batch_norm(np.ascontiguousarray(x[:, :, 0]), W, B, eps=eps)
    for groups in (1, 4, 8):
        yield fastml.group_norm(x, groups, W, B, eps=eps)
        yield fastml.group_norm(x, groups, eps=eps)
    yield fastml.instance_norm(x, W, B, eps=eps)
    stride = np.zeros((6, 8, 10))
    stride[:, :, ::2] = x
    yield fastml.batch_norm(stride[:, :, ::2], eps=eps)


@pytest.mark.parametrize("power", [-1000, -700, -540, 400, 510, 600, 900, 1010])
def test_units_do_not_matter(power):
    """A power of two in x shows in no digit of y, also in those channels alone that are far from 1."""
    for eps in (0.0, 1e-3):
        unit = np.ldexp(1.0, power)
        scaled_eps = eps if power > 0 else 0.0
        for near, far in zip(_norms(X, 0.0), _norms(X * unit, scaled_eps), strict=True):
            np.testing.assert_allclose(far[0], near[0], rtol=1e-12, atol=1e-13)
            np.testing.assert_allclose(far[-1] * unit, near[-1], rtol=1e-13)
            if len(far) == 3:
                np.testing.assert_allclose(far[1] / unit, near[1], rtol=1e-12, atol=1e-15)


def test_one_channel_far_from_the_others():
    mean, var = np.zeros(8), np.ones(8)
    x = X.copy()
    x[:, 2] *= 1e200
    x[:, 5] *= 1e-200
    y, m, inv_std = fastml.batch_norm(x, W, B, mean, var, eps=0.0)
    plain = fastml.batch_norm(X, W, B, eps=0.0)
    np.testing.assert_allclose(y, plain[0], rtol=1e-12, atol=1e-13)
    assert np.isfinite(mean).all() and mean[2] == pytest.approx(0.1 * m[2])
    assert var[2] == np.inf  # which no float64 holds
    grad = RNG.standard_normal(X.shape)
    dx, dw, db = fastml.batch_norm_backward(grad, x, W, m, inv_std)
    want = fastml.batch_norm_backward(grad, X, W, *plain[1:])
    np.testing.assert_allclose(dx[:, 2] * 1e200, want[0][:, 2], rtol=1e-10)
    np.testing.assert_allclose(dw, want[1], rtol=1e-11)
    np.testing.assert_allclose(db, want[2], rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_differences_that_no_number_holds(dtype):
    most = np.finfo(dtype).max
    x = np.array([[most, -most, -most, -most * 0.75]], dtype)
    want = x.astype(np.longdouble)
    want = (want - want.mean()) / want.std()
    rtol = 4 * np.finfo(dtype).eps
    for y in (
        fastml.layer_norm(x, eps=0.0)[0],
        fastml.group_norm(x, 1, eps=0.0)[0],
        fastml.batch_norm(np.repeat(x.T, 3, axis=1), eps=0.0)[0].T[:1],
        fastml.instance_norm(x[:, None], eps=0.0)[0][0],
    ):
        np.testing.assert_allclose(y, want.astype(dtype), rtol=rtol)


def test_infinity_and_nan_are_what_they_were():
    x = np.array([[1e200, np.inf, 1.0], [1e200, np.nan, 2.0], [1e200, -1e200, 3.0]])
    y, mean, inv_std = fastml.layer_norm(x)
    assert np.isnan(y[:2]).all() and np.isfinite(y[2]).all()
    assert mean[0, 0] == np.inf and np.isnan(mean[1, 0]) and np.isnan(inv_std[:2]).all()
    y, mean, _ = fastml.batch_norm(np.array([[np.inf, 1.0], [1.0, 3.0]]))
    assert np.isnan(y[:, 0]).all() and mean.tolist() == [np.inf, 2.0]
    assert np.isnan(fastml.rms_norm(np.array([np.inf, 1.0]))[0]).any()


@pytest.mark.parametrize("shape", [(50, 1), (50, 3), (3000, 2), (64 * 64 + 3, 5)])
def test_a_small_spread_about_a_large_mean(shape):
    """inv_std within a few ulp of the exact one of the same float64 numbers (0.1.0: three digits)."""
    x = 1.7e9 + RNG.integers(0, 50, shape) * 2e-6
    exact = []
    for column in x.T.tolist():
        values = [Fraction(v) for v in column]
        center = sum(values) / len(values)
        exact.append(float(sum((v - center) ** 2 for v in values) / len(values)) ** -0.5)
    np.testing.assert_allclose(fastml.batch_norm(x, eps=0.0)[2], exact, rtol=2e-15)
    np.testing.assert_allclose(fastml.batch_norm(np.ascontiguousarray(x.T)[None], eps=0.0)[2], exact, rtol=2e-15)
    np.testing.assert_allclose(fastml.layer_norm(np.ascontiguousarray(x.T), eps=0.0)[2][:, 0], exact, rtol=2e-15)
    count, _, m2 = fastml.batch_norm_stats(x)
    np.testing.assert_allclose((m2 / count) ** -0.5, exact, rtol=2e-15)


@pytest.mark.parametrize("power", [-1060, -600, 0, 600, 1015])
def test_clip_grad_norm(power):
    """Norms of the whole range, in arrays of their own or beside others, explicit and in a compiled step."""
    unit = np.ldexp(1.0, power)
    grads = [np.array([3.0, 0.0]) * unit, np.array([[-4.0, 0.0]]) * unit, np.zeros(3000)]
    assert fastml.clip_grad_norm([g.copy() for g in grads], np.inf) == 5 * unit
    beside = [np.full(4, 1e100), *grads, np.ones(3, np.float32)]
    assert fastml.clip_grad_norm(beside, np.inf) == pytest.approx(max(5 * unit, 2e100), rel=1e-15)
    if power > 0:
        assert fastml.clip_grad_norm(grads, 1.0) == 5 * unit
        assert grads[0].tolist() == pytest.approx([0.6, 0]) and grads[1].tolist() == [pytest.approx([-0.8, 0])]
    assert fastml.clip_grad_norm([np.array([1e300, np.inf])], 1.0) == np.inf
    assert np.isnan(fastml.clip_grad_norm([np.array([1e300, np.nan])], 1.0))
    assert fastml.clip_grad_norm([np.full(1 << 15, 2.0**1005)], np.inf) == pytest.approx(2.0**1012.5, rel=1e-15)


def test_the_step_clips_as_the_calls_do():
    states = []
    x, t = RNG.standard_normal((8, 4)) * 1e100, RNG.standard_normal((8, 2)) * 1e150
    for compiled in (False, True):
        layer = nn.Linear(4, 2, seed=0)
        model = nn.Sequential(layer)
        for p in model.parameters():
            p.value = p.value.astype(np.float64)
        opt, loss_fn = optim.SGD(model.parameters(), lr=0.5), nn.MSELoss()
        if compiled:
            step = nn.compile_step(model, loss_fn, opt, max_norm=1.0)
        for _ in range(3):
            if compiled:
                step(x, t)
                continue
            _, grad = loss_fn(model(x), t)
            model.backward(grad)
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            opt.step()
        states.append(layer.weight.value.copy())
    assert np.abs(states[0]).max() < 3 and np.isfinite(states[0]).all()
    np.testing.assert_array_equal(*states)
