"""How the estimators train: accuracy, bits, early stopping, going on."""

import copy
import re

import numpy as np
import pytest

pytest.importorskip("sklearn")


import fastml
from fastml import data
from fastml.estimators import base
from fastml.estimators.options import SOLVERS
from fastml.nn.step import Step

from .test_estimators import TASKS, digits, make, task

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def weights_of(model):
    return b"".join(array.tobytes() for array in model._model.state_dict().values())


@pytest.mark.parametrize("alpha", [0.0, 0.1])
@pytest.mark.parametrize("solver", SOLVERS)
def test_a_fit_prepares_its_step_once(monkeypatch, solver, alpha):
    """The program is made for the first batch; it reads rates, decays and what else changes from batch to batch."""
    calls = {"_anew": 0, "_make": 0, "_look": 0}
    for name in calls:
        was = getattr(Step, name)

        def counted(step, *arguments, name=name, was=was):
            calls[name] += 1
            return was(step, *arguments)

        monkeypatch.setattr(Step, name, counted)
    X, y = digits(155, dtype=np.float32)
    model = fastml.MLPClassifier(
        (8,), solver=solver, alpha=alpha, batch_size=10, max_iter=4, random_state=0, learning_rate="cosine"
    )
    model.fit(X, y, np.linspace(1, 2, 155))
    assert calls == {"_anew": 1, "_make": 1, "_look": 1} and model.n_iter_ == 4


# Accuracy


def test_digits():
    X, y = digits(1797, dtype=np.float32)
    model = fastml.MLPClassifier((64,), batch_norm=True, dropout=0.1, epochs=25, random_state=0)
    X_train, X_test, y_train, y_test = data.split(X, y, test_size=497)
    assert model.fit(X_train, y_train).score(X_test, y_test) > 0.96
    assert model.loss_curve_[-1] < 0.1 * model.loss_curve_[0]
    assert model.best_loss_ == min(model.loss_curve_)
    assert (model.n_iter_, model.t_, len(model.loss_curve_)) == (25, 25 * 1300, 25)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
@pytest.mark.parametrize("name", TASKS)
def test_every_optimizer_learns(name, optimizer):
    estimator, X, y = task(name, np.float32)
    X = (X - X.mean(0)) / (X.std(0) + 0.1)
    rate = 0.1 if optimizer == "sgd" else 0.01
    model = make(estimator, hidden_layer_sizes=50, optimizer=optimizer, learning_rate=rate, epochs=60)
    assert model.fit(X, y).score(X, y) > (0.9 if name != "multilabel" else 0.5)


def test_regression_of_a_curve():
    X = np.linspace(-1, 1, 300, dtype=np.float32)[:, None]
    y = np.column_stack([np.sin(3 * X[:, 0]), np.cos(3 * X[:, 0])])
    model = fastml.MLPRegressor(
        hidden_layer_sizes=(64, 64),
        learning_rate="cosine",
        learning_rate_init=0.01,
        epochs=150,
        n_iter_no_change=150,
        random_state=0,
    )
    assert model.fit(X, y).score(X, y) > 0.999


# Same seed, same bits


@pytest.mark.parametrize("name", TASKS)
def test_same_seed_same_bits_for_any_number_of_threads(name):
    estimator, X, y = task(name, np.float32)
    options = {"hidden_layer_sizes": (300, 200), "batch_norm": True, "dropout": 0.3, "max_iter": 2}
    fits = []
    for threads in (1, 2, 3):
        with fastml.num_threads(threads):
            fits.append(weights_of(make(estimator, **options).fit(X, y)))
    assert fits[0] == fits[1] == fits[2]
    assert fits[0] != weights_of(make(estimator, **options).set_params(random_state=1).fit(X, y))


def test_random_states():
    _, X, y = task("multiclass")
    a, b = (make("MLPClassifier", random_state=np.random.RandomState(5)).fit(X, y) for _ in range(2))
    assert weights_of(a) == weights_of(b) == weights_of(make("MLPClassifier", random_state=5).fit(X, y))
    a, b = (make("MLPClassifier", random_state=None).fit(X, y) for _ in range(2))
    assert weights_of(a) != weights_of(b)


def test_options_reach_training():
    _, X, y = task("multiclass", np.float32)

    def bits(**options):
        return weights_of(make("MLPClassifier", **{"batch_size": 50, "max_iter": 3} | options).fit(X, y))

    usual = bits()
    assert usual == bits(epochs=3, optimizer="adam", max_iter=99, solver="sgd", learning_rate=0.001)
    for options in (
        {"hidden_layer_sizes": (13,)}, {"activation": "identity"}, {"activation": "gelu"}, {"solver": "sgd"},
        {"alpha": 1.0}, {"batch_size": 51}, {"batch_size": None}, {"learning_rate": "cosine"}, {"learning_rate": 0.002},
        {"learning_rate_init": 0.002}, {"epochs": 2}, {"shuffle": False}, {"beta_1": 0.8}, {"beta_2": 0.9},
        {"epsilon": 0.1}, {"batch_norm": True}, {"dropout": 0.5}, {"class_weight": {3: 2.0}},
    ):  # fmt: skip
        assert bits(**options) != usual, options
    sgd = bits(solver="sgd")
    for options in ({"momentum": 0.5}, {"nesterovs_momentum": False}, {"learning_rate": "invscaling"}):
        assert bits(solver="sgd", **options) != sgd, options
    assert bits(solver="sgd", momentum=0.0) == bits(solver="sgd", momentum=0.0, nesterovs_momentum=False)


@pytest.mark.parametrize("name", TASKS)
def test_gelu(name):
    estimator, X, y = task(name)
    options = {"hidden_layer_sizes": (20,), "activation": "gelu", "learning_rate": 0.02, "max_iter": 30}
    model = make(estimator, **options).fit(X, y)
    assert model.loss_curve_[-1] < 0.8 * model.loss_curve_[0]
    z = fastml.gelu(X @ model.coefs_[0] + model.intercepts_[0]) @ model.coefs_[1] + model.intercepts_[1]
    if model.out_activation_ == "softmax":
        np.testing.assert_array_equal(model.predict(X), model.classes_[z.argmax(axis=1)])
    elif model.out_activation_ == "identity":
        np.testing.assert_allclose(model.predict(X), z.reshape(model.predict(X).shape), atol=1e-9)


# Batch normalisation


@pytest.mark.parametrize("name", ["multiclass", "regression"])
def test_coefficients_are_the_network(name):
    estimator, X, y = task(name)
    model = make(estimator, hidden_layer_sizes=(8, 6), batch_norm=True, dropout=0.2, learning_rate=0.02).fit(X, y)
    z = X
    for i, (coef, intercept) in enumerate(zip(model.coefs_, model.intercepts_, strict=True)):
        z = z @ coef + intercept
        z = np.maximum(z, 0) if i < 2 else z
    if name == "multiclass":
        np.testing.assert_array_equal(model.predict(X), z.argmax(axis=1))
    else:
        np.testing.assert_allclose(model.predict(X), z[:, 0], atol=1e-9)


def test_batch_norm_puts_off_a_single_row():
    X, y = digits(101)
    model = make("MLPClassifier", batch_norm=True, batch_size=50).fit(X, y)
    assert model.t_ == 5 * 100
    assert make("MLPClassifier", batch_size=50).fit(X, y).t_ == 5 * 101
    for options, rows in (({"batch_size": 1}, 10), ({}, 1)):
        with pytest.raises(ValueError, match="at least two rows"):
            make("MLPClassifier", batch_norm=True, **options).fit(X[:rows], y[:rows])


# Early stopping


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", TASKS)
def test_early_stopping_keeps_the_best(name, weighted, monkeypatch):
    estimator, X, y = task(name, np.float32)
    weight = np.random.default_rng(1).uniform(0.1, 1, len(X)) if weighted else None
    held_out = {}
    score_outputs = getattr(fastml, estimator)._score_outputs

    def watched(self, outputs, target, weight):
        held_out["last"] = self, target, weight
        return score_outputs(self, outputs, target, weight)

    monkeypatch.setattr(getattr(fastml, estimator), "_score_outputs", watched)
    X_val = {}
    hold_out = base.BaseMLP._hold_out

    def kept(self, *arguments):
        X_val["rows"] = hold_out(self, *arguments)
        return X_val["rows"]

    monkeypatch.setattr(base.BaseMLP, "_hold_out", kept)
    model = make(
        estimator, early_stopping=True, max_iter=100, learning_rate=0.05, n_iter_no_change=3,
        validation_fraction=0.25, batch_norm=True,
    ).fit(X, y, weight)  # fmt: skip
    scores = model.validation_scores_
    assert len(scores) == model.n_iter_ < 100
    assert model.best_validation_score_ == max(scores)
    assert model.best_loss_ is None
    X_train, _, _, validation = X_val["rows"]
    assert (len(X_train), len(validation[0])) == (len(X) * 3 // 4, len(X) // 4)
    outputs = base.network.outputs(model._model, validation[0])
    assert score_outputs(model, outputs, *validation[1:]) == max(scores)


def test_validation_part_is_stratified(monkeypatch):
    X, y = digits(500)
    parts = []
    hold_out = base.BaseMLP._hold_out
    monkeypatch.setattr(base.BaseMLP, "_hold_out", lambda self, *a: parts.append(hold_out(self, *a)) or parts[-1])
    make("MLPClassifier", early_stopping=True).fit(X, y)
    np.testing.assert_allclose(np.bincount(parts[0][3][1]), np.bincount(y) / 10, atol=1)
    # A class of one row cannot be in both parts: then at random.
    alone = np.where(np.arange(500) == 7, 99, y)
    assert make("MLPClassifier", early_stopping=True).fit(X, alone).n_iter_ == 5


def test_validation_part_too_small():
    X, y = digits(10)
    with pytest.raises(ValueError, match="validation_fraction must leave at least 2 of 10 rows"):
        make("MLPClassifier", early_stopping=True).fit(X, y)


# Going on


def test_warm_start():
    X, y = digits(200)
    model = make("MLPClassifier", warm_start=True, max_iter=3).fit(X, y)
    first = weights_of(model)
    model.set_params(max_iter=2).fit(X, y)
    assert (model.n_iter_, len(model.loss_curve_), model.t_) == (2, 5, 5 * 200)
    assert model.loss_curve_[3] < model.loss_curve_[0]
    assert weights_of(model) != first
    assert weights_of(make("MLPClassifier", max_iter=3).fit(X, y)) == first
    with pytest.raises(ValueError, match="same classes|classes of the previous fit"):
        model.fit(X, y % 3)
    with pytest.raises(ValueError, match=re.escape("layers (64, 5, 10)")):
        model.set_params(hidden_layer_sizes=5).fit(X, y)


def test_warm_start_may_watch_something_else():
    X, y = digits(200)
    model = make("MLPClassifier", warm_start=True, early_stopping=True).fit(X, y)
    assert len(model.validation_scores_) == 5 and model.best_loss_ is None
    model.fit(X, y)
    assert len(model.validation_scores_) == 10
    model.set_params(early_stopping=False).fit(X, y)
    assert model.best_loss_ == min(model.loss_curve_[10:])
    assert model.validation_scores_ is model.best_validation_score_ is None


@pytest.mark.parametrize("name", TASKS)
def test_partial_fit_is_one_epoch(name):
    estimator, X, y = task(name)
    classes = {"classes": np.unique(y)} if estimator == "MLPClassifier" else {}
    model = make(estimator)
    model.partial_fit(X, y, **classes)
    assert weights_of(model) == weights_of(make(estimator, epochs=1).fit(X, y))
    for _ in range(20):
        model.partial_fit(X, y)
    assert (model.n_iter_, model.t_, len(model.loss_curve_)) == (1, 21 * len(X), 21)
    assert model.loss_ < model.loss_curve_[0]
    theirs = copy.deepcopy(model).partial_fit(X[:7], y[:7], sample_weight=np.arange(7.0))
    assert weights_of(theirs) != weights_of(model)


def test_partial_fit_errors():
    X, y = digits(100)
    with pytest.raises(ValueError, match="classes must be given"):
        make("MLPClassifier").partial_fit(X, y)
    with pytest.raises(ValueError, match="early_stopping"):
        make("MLPClassifier", early_stopping=True).partial_fit(X, y, classes=range(10))
    with pytest.raises(ValueError, match="balanced"):
        make("MLPClassifier", class_weight="balanced").partial_fit(X, y, classes=range(10))
    model = make("MLPClassifier").partial_fit(X, y, range(10))
    assert model.predict_proba(X).shape == (100, 10)
    with pytest.raises(ValueError, match="classes"):
        model.partial_fit(X, y, classes=range(11))
    with pytest.raises(ValueError, match="unseen"):
        model.partial_fit(X, y + 1)
    with pytest.raises(ValueError, match="features"):
        model.partial_fit(X[:, 1:], y)


@pytest.mark.parametrize("loss, least", [("absolute_error", 0.9), ("huber", 0.9)])
def test_losses_that_bear_outliers(loss, least):
    """The loss shown is the mean over the outputs, and a wild target does not pull the others along."""
    X = np.linspace(-1, 1, 400, dtype=np.float32)[:, None]
    clean = np.stack([2 * X[:, 0], np.abs(X[:, 0])], axis=1)
    y = clean.copy()
    y[::40] = 50
    regressor = fastml.MLPRegressor(
        (32,), loss=loss, learning_rate_init=0.01, alpha=0, random_state=0, n_iter_no_change=150, epochs=150
    )
    regressor.fit(X, y)
    assert regressor.score(X, clean) > least
    squared = fastml.MLPRegressor((32,), learning_rate_init=0.01, random_state=0, epochs=150).fit(X, y)
    assert squared.score(X, clean) < 0
    gap = np.abs(regressor.predict(X) - y)
    terms = gap if loss == "absolute_error" else np.where(gap < 1, gap**2 / 2, gap - 0.5)
    assert abs(regressor.loss_ / terms.mean() - 1) < 0.1
