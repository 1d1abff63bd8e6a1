"""The estimators train as scikit-learn's own do: from the same weights the same losses, epoch for epoch."""

import numpy as np
import pytest

pytest.importorskip("sklearn")

import sklearn.neural_network
from sklearn.datasets import load_iris

import fastml

from .test_estimators import TASKS, digits, task

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def both(estimator, **parameters):
    """(scikit-learn's, ours)."""
    return (getattr(module, estimator)(**parameters) for module in (sklearn.neural_network, fastml))


def weighted_task(name, weighted):
    """A task, and a weight for each of its rows or None."""
    estimator, X, y = task(name)
    return estimator, X, y, np.random.default_rng(0).uniform(0.5, 2, len(X)) if weighted else None


def assert_same(ours, theirs, rtol=1e-6, atol=1e-8):
    np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=rtol)
    for mine, other in zip(ours.coefs_ + ours.intercepts_, theirs.coefs_ + theirs.intercepts_, strict=True):
        np.testing.assert_allclose(mine, other, atol=atol)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", TASKS)
def test_sgd_is_scikit_learns(name, weighted):
    """With a penalty, of weights alone, and with a last batch that is shorter."""
    estimator, X, y, weight = weighted_task(name, weighted)
    theirs, ours = both(
        estimator, hidden_layer_sizes=(20, 10), solver="sgd", max_iter=6, random_state=3, alpha=0.3, batch_size=64,
        learning_rate_init=0.01,
    )  # fmt: skip
    assert len(X) % 64
    theirs.fit(X, y, weight)
    ours.fit(X, y, weight)
    assert_same(ours, theirs, atol=1e-10)
    for attribute in ("n_iter_", "t_", "n_layers_", "n_outputs_", "out_activation_", "n_features_in_"):
        assert getattr(ours, attribute) == getattr(theirs, attribute), attribute
    np.testing.assert_allclose(ours.best_loss_, theirs.best_loss_, rtol=1e-6)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), atol=1e-9)
    assert ours.predict(X).shape == theirs.predict(X).shape
    assert ours.score(X, y, weight) == pytest.approx(theirs.score(X, y, weight))
    if estimator == "MLPClassifier":
        np.testing.assert_array_equal(ours.classes_, theirs.classes_)
        for method in ("predict_proba", "predict_log_proba"):
            mine, other = getattr(ours, method)(X), getattr(theirs, method)(X)
            np.testing.assert_allclose(mine, other, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize(
    "momentum", [{"momentum": 0.0}, {"momentum": 0.9}, {"momentum": 0.9, "nesterovs_momentum": False}]
)
@pytest.mark.parametrize("learning_rate", ["constant", "invscaling", "adaptive"])
def test_rates_are_scikit_learns(learning_rate, momentum):
    _, X, y = task("multiclass")
    theirs, ours = both(
        "MLPClassifier", solver="sgd", learning_rate=learning_rate, learning_rate_init=0.1, alpha=0.05, tol=0.05,
        max_iter=60, n_iter_no_change=2, random_state=0, batch_size=128, **momentum,
    )  # fmt: skip
    theirs.fit(X, y)
    ours.fit(X, y)
    assert ours.n_iter_ == theirs.n_iter_ < 60
    assert_same(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", TASKS)
def test_adam_is_scikit_learns(name, weighted):
    """Digits have columns that are always 0: gradients there are the penalty's, and of eps's order."""
    estimator, X, y, weight = weighted_task(name, weighted)
    theirs, ours = both(estimator, hidden_layer_sizes=(20,), max_iter=4, random_state=1, batch_size=64, alpha=0.1)
    assert_same(ours.fit(X, y, weight), theirs.fit(X, y, weight))


@pytest.mark.parametrize("options", [{}, {"solver": "sgd", "learning_rate_init": 0.1}])
@pytest.mark.parametrize("data", ["digits", "iris"])
def test_single_precision_follows(data, options):
    X, y = digits(dtype=np.float32) if data == "digits" else load_iris(return_X_y=True)
    theirs, ours = both("MLPClassifier", max_iter=10, random_state=0, alpha=0.1, batch_size=100, **options)
    ours.fit(X.astype(np.float32), y)
    np.testing.assert_allclose(ours.loss_curve_, theirs.fit(X, y).loss_curve_, rtol=1e-3)
    assert ours.coefs_[0].dtype == np.float32


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"solver": "sgd", "learning_rate_init": 0.1},
        {"solver": "sgd", "learning_rate_init": 0.1, "learning_rate": "invscaling"},
        {"solver": "sgd", "learning_rate_init": 0.5, "learning_rate": "adaptive", "n_iter_no_change": 1, "tol": 0.05},
    ],
)
def test_partial_fit_is_scikit_learns(options):
    """Each call has its own rows' penalty and the alpha of its time; rates and velocities go on from call to call."""
    _, X, y = task("multiclass")
    weight = np.linspace(0.5, 2, 150)
    theirs, ours = both("MLPClassifier", hidden_layer_sizes=(20,), alpha=0.5, random_state=0, **options)
    for model in (theirs, ours):
        model.partial_fit(X[:1], y[:1], classes=range(10))
        for i in range(40):
            model.partial_fit(X[i * 10 : i * 10 + 190], y[i * 10 : i * 10 + 190])
        model.set_params(alpha=5.0)
        for i in range(10):
            model.partial_fit(X[i * 20 : i * 20 + 150], y[i * 20 : i * 20 + 150], sample_weight=weight)
    assert_same(ours, theirs, rtol=1e-5, atol=1e-6)


def test_warm_start_is_scikit_learns():
    _, X, y = task("multiclass")
    theirs, ours = both(
        "MLPClassifier", hidden_layer_sizes=(20,), solver="sgd", learning_rate="invscaling", learning_rate_init=0.3,
        alpha=0.5, random_state=0, warm_start=True, max_iter=4, n_iter_no_change=3, tol=0.02,
    )  # fmt: skip
    for _ in range(5):
        theirs.fit(X, y)
        ours.fit(X, y)
        assert ours.n_iter_ == theirs.n_iter_
    assert_same(ours, theirs, rtol=1e-5, atol=1e-6)


def test_other_options_are_seen_by_partial_fit():
    _, X, y = task("multiclass")

    def bits(**later):
        model = fastml.MLPClassifier((9,), random_state=0, solver="sgd").partial_fit(X, y, range(10))
        return [c.tobytes() for c in model.set_params(**later).partial_fit(X, y).coefs_]

    usual = bits()
    for later in ({"learning_rate_init": 0.1}, {"momentum": 0.2}, {"nesterovs_momentum": False}, {"solver": "adam"}):
        assert bits(**later) != usual, later
