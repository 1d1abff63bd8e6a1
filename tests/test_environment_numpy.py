"""What NumPy and Python compute around the kernels has the same bits in any floating-point mode of the caller."""

import itertools
import warnings

import numpy as np
import pytest

import fastml
from fastml import data, metrics, nn, optim, preprocessing

from .common import assert_same_bits
from .modes import every_mode, in_mode

SCALERS = {
    "standard": preprocessing.StandardScaler,
    "min-max": lambda: preprocessing.MinMaxScaler((-0.3, 0.7)),
    "max-abs": preprocessing.MaxAbsScaler,
    "robust": lambda: preprocessing.RobustScaler(unit_variance=True),
    "normalizer": preprocessing.Normalizer,
}


def scaled(x, other, make):
    scaler = make()
    y = scaler.fit_transform(x)
    found = [y, scaler.fit(x).transform(x)]
    if hasattr(scaler, "inverse_transform"):
        found += [scaler.inverse_transform(y), scaler.scale_]
    if hasattr(scaler, "partial_fit"):
        parts = make().partial_fit(x[:20]).partial_fit(x[20:])
        found += [parts.scale_, parts.merge(make().fit(other)).scale_]
    return found


def measured(y, z, p, weight):
    streamed = metrics.ConfusionMatrix(labels=range(4))
    streamed.update(y, z, weight)
    found = [streamed.compute("true"), streamed.accuracy(), streamed.matthews_corrcoef(), streamed.cohen_kappa()]
    for score in (metrics.accuracy_score, metrics.balanced_accuracy_score, metrics.cohen_kappa_score):
        found += [score(y, z), score(y, z, sample_weight=weight)]
    found += [metrics.log_loss(y, p, sample_weight=weight), metrics.top_k_accuracy_score(y, p, sample_weight=weight)]
    found += [
        *metrics.precision_recall_fscore(y, z, sample_weight=weight)[:3],
        metrics.fbeta_score(y, z, beta=0.3, average="macro"),
    ]
    a, b = p[:25], p[25:]
    found += [
        metrics.kl_divergence(a, b),
        metrics.js_divergence(a, b, base=3),
        metrics.total_variation(a, b),
        metrics.entropy(p, base=3),
    ]
    found += [metrics.wasserstein_distance(a[0], b[0], b[1], a[1], p=k) for k in (1, 2)]
    found += [
        metrics.wasserstein_distance_histogram(a, b, support=[0, 0.1, 0.5, 0.7]),
        metrics.energy_distance(a[0], b[0]),
    ]
    return found


def drawn():
    points = (
        data.make_spirals,
        data.make_moons,
        data.make_circles,
        data.make_blobs,
        data.make_xor,
        data.make_gaussians,
    )
    return [make(30)[0] for make in points] + [nn.Linear(6, 5, seed=0).weight.value]


def scheduled():
    optimizer = optim.SGD([nn.Parameter(np.zeros(3))], lr=0.1, momentum=0.9)
    schedules = [optim.CosineAnnealingLR(optimizer, 17), optim.OneCycleLR(optimizer, 0.3, total_steps=60)]
    plateau, found = optim.ReduceLROnPlateau(optimizer, factor=0.3, patience=1), []
    for k in range(30):
        for schedule in schedules:
            schedule.step()
            found.append(optimizer.lr)
        plateau.step(1 + k)
        found.append(optimizer.lr)
    return found


def estimated(x, y, values):
    pytest.importorskip("sklearn")
    model = fastml.MLPClassifier((7,), max_iter=4, random_state=0, solver="sgd", learning_rate="invscaling")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(x, y)
    again = fastml.MLPRegressor((5,), random_state=0).partial_fit(x, values)
    return [*model.coefs_, model.loss_curve_, model.predict_proba(x), *again.coefs_, again.predict(x)]


def beside_the_ops():
    """{name: function of no arguments that gives numbers}: what NumPy and Python compute around the kernels."""
    rng = np.random.default_rng(6)
    x, p, weight = rng.standard_normal((50, 4)), rng.random((50, 4)) + 0.1, rng.random(50)
    y, z = rng.integers(0, 4, 50), rng.integers(0, 4, 50)
    p /= p.sum(axis=1, keepdims=True)
    found = {}
    for (name, make), size in itertools.product(SCALERS.items(), (1.0, 2.0**-1024)):
        found[f"{name} {size:g}"] = lambda a=x * size, b=x[::-1] * (3 * size), make=make: scaled(a, b, make)
    found |= {"metrics": lambda: measured(y, z, p, weight), "drawn": drawn, "schedules": scheduled}
    return found | {"estimators": lambda values=0.1 * y: estimated(x, y, values)}


@every_mode
@pytest.mark.parametrize("name", beside_the_ops())
def test_what_computes_beside_the_ops_has_the_same_bits(name, mode):
    run = beside_the_ops()[name]
    want = run()
    with in_mode(mode):
        got = run()
    for k, (g, w) in enumerate(zip(got, want, strict=True)):
        assert_same_bits(np.asarray(g), np.asarray(w), f"number {k}")
