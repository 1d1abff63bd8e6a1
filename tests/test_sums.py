"""Long sums in double: errors of a few units in the last place whatever the length, and where sums are cut, that of
each piece is joined with what rounding took from it.

Equal numbers round alike, so that an uncut sum of them drifts with its length; drawn ones show what grows with its
root.
"""

import math

import numpy as np
import pytest

import fastml
from fastml import metrics, preprocessing

from .arrays import tally

N = (1 << 20) + 1003
ULP = 2.5  # a sum to a unit, and what comes after it
DRIFT = 24  # of equal numbers within one run of a lane


def extended(x):
    return np.asarray(x, np.longdouble)


def ulps(got, exact, terms=0.0):
    return float(abs(extended(got) - exact) / np.spacing(max(abs(float(exact)), terms)))


def equal():
    return np.full(N, 0.1)


def drawn(seed=0, center=0.0):
    return np.random.default_rng(seed).normal(center, 1, N)


VECTORS = {"equal": equal, "drawn": drawn, "about 1000": lambda: drawn(center=1000.0)}
LIMITS = {"equal": DRIFT, "drawn": ULP, "about 1000": ULP}
by_vectors = pytest.mark.parametrize("vectors", VECTORS)


def mean(x):
    return extended(x).mean()


@by_vectors
def test_sums_of_squares(vectors):
    x = VECTORS[vectors]()
    exact = np.sqrt(np.sum(extended(x) ** 2))
    assert ulps(fastml.clip_grad_norm([x], math.inf), exact) < LIMITS[vectors]
    assert ulps(fastml.rms_norm(x, eps=0.0)[1][0], np.sqrt(len(x)) / exact) < LIMITS[vectors]
    assert ulps(preprocessing.Normalizer().transform(x[None])[0, 5], x[5] / exact) < LIMITS[vectors]
    size = np.sum(np.abs(extended(x)))
    assert ulps(preprocessing.Normalizer("l1").transform(x[None])[0, 5], x[5] / size) < LIMITS[vectors]


def test_the_norm_of_many_arrays():
    x = equal()
    exact = np.sqrt(np.sum(extended(x) ** 2))
    assert ulps(fastml.clip_grad_norm(np.array_split(x, 3000), math.inf), exact) < DRIFT


@by_vectors
def test_losses(vectors):
    x, t = VECTORS[vectors](), np.zeros(N)
    e, size = extended(x), np.abs(extended(x))
    assert ulps(fastml.mse_loss(x, t), mean(e**2)) < LIMITS[vectors]
    assert ulps(fastml.l1_loss(x, t), mean(size)) < LIMITS[vectors]
    assert (
        ulps(fastml.huber_loss(x, t, delta=0.5), mean(np.where(size < 0.5, e**2 / 2, size / 2 - 0.125)))
        < LIMITS[vectors]
    )
    small = np.log1p(2 * np.sinh(np.minimum(size, 1) / 2) ** 2)
    large = size + np.log1p(np.exp(-2 * size)) - np.log(extended(2.0))
    assert ulps(fastml.log_cosh_loss(x, t), mean(np.where(size < 1, small, large))) < LIMITS[vectors]
    assert (
        ulps(fastml.binary_cross_entropy_with_logits(x, t), mean(np.maximum(e, 0) + np.log1p(np.exp(-size))))
        < LIMITS[vectors]
    )
    assert (
        ulps(fastml.kl_div_loss(x, t + 0.5), mean((np.log(extended(0.5)) - e) / 2), float(mean(size))) < LIMITS[vectors]
    )
    label = np.zeros(N // 4, np.int64)
    logits = np.ascontiguousarray(x[: 4 * len(label)].reshape(-1, 4))
    rows = extended(logits)
    assert ulps(fastml.nll_loss(logits, label), -mean(rows[:, 0]), float(mean(size))) < LIMITS[vectors]
    top = rows.max(axis=1)
    each = top - rows[:, 0] + np.log(np.exp(rows - top[:, None]).sum(axis=1))
    assert ulps(fastml.cross_entropy(logits, label), mean(each)) < LIMITS[vectors]


def test_labels_weights():
    """The mean's denominator."""
    weight = np.array([0.1, 0.1])
    log_probs, label = np.zeros((N, 2)), np.zeros(N, np.int64)
    log_probs[:, 0] = -1
    assert ulps(fastml.nll_loss(log_probs, label, weight=weight), extended(1)) < DRIFT


@pytest.mark.parametrize("vectors", ["equal", "drawn"])
def test_distributions(vectors):
    p = np.abs(VECTORS[vectors]()) + 1e-9
    q = np.abs(drawn(1)) + 1e-9
    u, v = extended(p) / np.sum(extended(p)), extended(q) / np.sum(extended(q))
    m = (u + v) / 2
    assert ulps(metrics.entropy(p), -np.sum(u * np.log(u))) < LIMITS[vectors]
    assert ulps(metrics.kl_divergence(p, q), np.sum(u * np.log(u / v)), 1.0) < LIMITS[vectors]
    assert ulps(metrics.js_divergence(p, q), np.sum(u * np.log(u / m) + v * np.log(v / m)) / 2) < LIMITS[vectors]
    assert ulps(metrics.total_variation(p, q), np.sum(np.abs(u - v)) / 2) < LIMITS[vectors]


def test_distances():
    u, v = np.arange(float(N)) * 0.1, np.arange(float(N)) * 0.1 + 0.1
    assert ulps(metrics.wasserstein_distance(u, v), mean(np.abs(extended(u) - extended(v)))) < ULP
    points = extended(np.sort(np.concatenate([u, v])))
    f, g = (np.searchsorted(extended(x), points[:-1], side="right") / extended(N) for x in (u, v))
    assert ulps(metrics.energy_distance(u, v), np.sqrt(2 * np.sum((f - g) ** 2 * np.diff(points)))) < ULP


def moments(x):
    e = extended(x)
    center = mean(e)
    return center, mean((e - center) ** 2)


@by_vectors
def test_statistics(vectors):
    x = VECTORS[vectors]()
    x[::3] += 0.25
    center, variance = moments(x)
    terms = float(np.abs(x).mean())
    scaler = preprocessing.StandardScaler().fit(x[:, None])
    for got in (
        fastml.layer_norm(x, eps=0.0)[1][0],
        fastml.group_norm(x[None, None], 1, eps=0.0)[1].item(),
        fastml.batch_norm(x[:, None], eps=0.0)[1][0],
        fastml.batch_norm(x[None, None], eps=0.0)[1][0],
        scaler.mean_[0],
    ):
        assert ulps(got, center, terms) < LIMITS[vectors]
    for got in (
        fastml.layer_norm(x, eps=0.0)[2][0],
        fastml.group_norm(x[None, None], 1, eps=0.0)[2].item(),
        fastml.batch_norm(x[:, None], eps=0.0)[2][0],
        fastml.batch_norm(x[None, None], eps=0.0)[2][0],
    ):
        assert ulps(got, 1 / np.sqrt(variance)) < LIMITS[vectors]
    assert ulps(scaler.var_[0], variance) < LIMITS[vectors]


@pytest.mark.parametrize("ones", [(N, 1), (1, 1, N)])
def test_gradients_of_batch_norm(ones):
    g = np.full(ones, 0.1)
    x = np.full(ones, 1.3)
    _, dweight, dbias = fastml.batch_norm_backward(g, x, None, np.ones(1), np.ones(1))
    assert ulps(dweight[0], extended(x.flat[0] - 1.0) * extended(0.1) * N) < DRIFT
    assert ulps(dbias[0], extended(0.1) * N) < DRIFT


@pytest.mark.parametrize("first", [1e3, -1e6])
def test_an_outlier_in_front_costs_the_mean_no_digit(first):
    x = drawn()[:1000]
    x[0] = first
    x[1] = -first
    center, _ = moments(x[:, None])
    for got in (
        fastml.layer_norm(x)[1][0],
        fastml.group_norm(x[None, None], 1)[1].item(),
        fastml.batch_norm(x[:, None])[1][0],
        preprocessing.StandardScaler().fit(x[:, None]).mean_[0],
    ):
        assert abs(extended(got) - center) < 2.0**-53 * abs(first) * 0.02


def test_a_large_mean_costs_the_variance_no_digit():
    spread = np.arange(20_000.0)[:, None] % 97 * 2.0**-20
    x = 1e9 + spread  # exactly
    _, variance = moments(spread)
    for got in (
        fastml.layer_norm(x[:, 0], eps=0.0)[2][0],
        fastml.group_norm(x[None, None, :, 0], 1, eps=0.0)[2].item(),
        fastml.batch_norm(x, eps=0.0)[2][0],
        1 / np.sqrt(preprocessing.StandardScaler().fit(x).var_[0]),
    ):
        assert ulps(got, 1 / np.sqrt(variance)) < 4


def test_a_tally_keeps_what_rounding_takes():
    values = [1e16, 1.0, -1e16, 1e-8, 3.0]
    assert tally(values) == math.fsum(values)
