"""How the training of the estimators ends, what it shows, and options that cannot be."""

import copy
import re

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss

import fastml
from fastml.estimators import base

from .test_estimators import NAMES, digits, make, task
from .test_estimators_training import weights_of

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture
def stopped_at(monkeypatch):
    """stopped_at(n, error): the step after n whole ones raises ``error``."""

    def arrange(n, error):
        make_step = base.make_step

        def failing(*arguments):
            step, done = make_step(*arguments), [0]

            def counted(x, y):
                if done[0] == n:
                    raise error
                done[0] += 1
                return step(x, y)

            return counted

        monkeypatch.setattr(base, "make_step", failing)

    return arrange


# Ends of training


@pytest.mark.parametrize("steps", [0, 2, 7])
@pytest.mark.parametrize("name", ["multiclass", "several outputs"])
def test_interrupted_fit_leaves_the_last_whole_step(name, steps, stopped_at):
    estimator, X, y = task(name)
    n, per_epoch = len(X), -(-len(X) // 50)
    stopped_at(steps, KeyboardInterrupt())
    with pytest.warns(UserWarning, match="interrupted"):
        model = make(estimator, batch_size=50, max_iter=5, verbose=True).fit(X, y)
    epochs = steps // per_epoch
    assert (model.n_iter_, len(model.loss_curve_), model.t_) == (epochs, epochs, epochs * n)
    assert model.predict(X).shape == y.shape
    assert np.isnan(model.loss_) == (steps == 0)
    assert not any(module.training for module in model._model.modules())


def test_interrupted_fit_has_the_weights_of_as_many_steps(stopped_at):
    X, y = digits(150)
    options = {"batch_size": 50, "shuffle": False, "max_iter": 1}
    two = make("MLPClassifier", **options).partial_fit(X[:100], y[:100], classes=range(10))
    stopped_at(2, KeyboardInterrupt())
    with pytest.warns(UserWarning, match="interrupted"):
        model = make("MLPClassifier", **options).partial_fit(X, y, classes=range(10))
    assert weights_of(model) == weights_of(two)


def test_exception_in_training_leaves_a_usable_model(stopped_at):
    X, y = digits(200)
    stopped_at(9, MemoryError("no more"))
    model = make("MLPClassifier", batch_size=50, max_iter=9)
    with pytest.raises(MemoryError):
        model.fit(X, y)
    assert (model.n_iter_, len(model.loss_curve_)) == (2, 2)
    assert np.isfinite(model.predict_proba(X)).all()
    assert log_loss(y, model.predict_proba(X)) < model.loss_curve_[0]
    assert np.isfinite(copy.deepcopy(model).loss_)


@pytest.mark.parametrize("name", NAMES)
def test_diverging_training_is_an_error(name):
    X, y = digits(200, dtype=np.float32)
    model = make(name, solver="sgd", learning_rate_init=1e25, max_iter=50)
    with pytest.raises(ValueError, match="training diverged: the loss of epoch"), np.errstate(all="ignore"):
        model.fit(X, y.astype(float) if name == "MLPRegressor" else y)
    assert model.predict(X).shape == y.shape
    model.set_params(learning_rate_init=0.01)
    assert np.isfinite(model.fit(X, y).loss_)


def test_stops_where_the_loss_stands_still():
    X, y = digits(100)
    model = make("MLPClassifier", max_iter=500, tol=10.0, n_iter_no_change=4).fit(X, y)
    assert model.n_iter_ == 6  # the first epoch always counts as a gain, then more than four without
    assert make("MLPClassifier", max_iter=15, tol=10.0, n_iter_no_change=np.inf).fit(X, y).n_iter_ == 15


def test_learning_rate_of_each_epoch(monkeypatch):
    rates = []
    monkeypatch.setattr(
        base, "make_step", lambda model, loss_fn, optimizer: lambda x, y: rates.append(optimizer.lr) or 1.0
    )
    X, y = digits(10)
    make("MLPClassifier", learning_rate="cosine", learning_rate_init=2.0, epochs=4).fit(X, y)
    np.testing.assert_allclose(rates, 1 + np.cos(np.pi * np.arange(4) / 4))


# Progress


def test_verbose_shows_epochs(capsys):
    X, y = digits(200)
    make("MLPClassifier", epochs=20, verbose=True).fit(X, y)
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert out == "" and len(lines) == 10
    assert re.fullmatch(r"epoch 20/20  loss \d\.\d{4}", lines[-1])
    make("MLPClassifier", max_iter=300, tol=10.0, verbose=1, early_stopping=True).fit(X, y)
    last = capsys.readouterr().err.splitlines()[-1]
    assert re.fullmatch(r"epoch  12/300  loss \d\.\d{4}  validation score \d\.\d{4}", last)
    make("MLPClassifier").fit(X, y)
    assert capsys.readouterr() == ("", "")


# Options


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        (
            {"activation": "sigmoid"},
            ValueError,
            "activation must be one of 'identity', 'relu', 'tanh', 'logistic'.*, got 'sigmoid'",
        ),
        (
            {"solver": "lbfgs"},
            ValueError,
            "solver must be one of 'adagrad', 'adam', 'adamw', 'rmsprop', 'sgd', got 'lbfgs'",
        ),
        ({"optimizer": "lion"}, ValueError, "optimizer must be one of"),
        ({"learning_rate": "fast"}, ValueError, "learning_rate must be one of.*'cosine'"),
        ({"learning_rate": -1.0}, ValueError, "learning_rate"),
        ({"learning_rate_init": 0}, ValueError, r"learning_rate_init must lie in \(0, inf\), got 0"),
        ({"hidden_layer_sizes": (5, 0)}, ValueError, r"hidden_layer_sizes.*\(5, 0\)"),
        ({"hidden_layer_sizes": "5"}, ValueError, "hidden_layer_sizes"),
        ({"alpha": -1}, ValueError, "alpha"),
        ({"alpha": np.nan}, ValueError, "alpha"),
        ({"batch_size": 0}, ValueError, "batch_size"),
        ({"batch_size": 2.5}, TypeError, "batch_size must be an integer, 'auto' or None, got 2.5"),
        ({"max_iter": 0}, ValueError, "max_iter"),
        ({"epochs": 1.5}, TypeError, "epochs"),
        ({"dropout": 1.0}, ValueError, r"dropout must lie in \[0, 1\)"),
        ({"momentum": 1.5}, ValueError, "momentum"),
        ({"beta_1": 1.0}, ValueError, "beta_1"),
        ({"epsilon": 0.0}, ValueError, "epsilon"),
        ({"validation_fraction": 1.0}, ValueError, "validation_fraction"),
        ({"n_iter_no_change": 0}, ValueError, "n_iter_no_change"),
        ({"tol": "small"}, TypeError, "tol must be a number, got 'small'"),
        ({"shuffle": 1}, TypeError, "shuffle must be True or False, got 1"),
        ({"random_state": "x"}, ValueError, "seed"),
    ],
)
@pytest.mark.parametrize("name", NAMES)
def test_options_that_cannot_be(name, options, error, match):
    X, y = digits(20)
    with pytest.raises(error, match=match):
        make(name, **options).fit(X, y)


def test_loss_of_the_regressor():
    X, y = digits(20)
    with pytest.raises(ValueError, match="loss must be one of 'squared_error', .* got 'poisson'"):
        fastml.MLPRegressor(loss="poisson").fit(X, y)


def test_batch_larger_than_the_data():
    X, y = digits(20)
    with pytest.warns(UserWarning, match="batch_size=50 is more than the 20 rows"):
        make("MLPClassifier", batch_size=50).fit(X, y)


def test_without_hidden_layers():
    X, y = digits(300)
    model = make("MLPClassifier", hidden_layer_sizes=(), epochs=30, learning_rate=0.05).fit(X, y)
    assert [c.shape for c in model.coefs_] == [(64, 10)]
    assert model.score(X, y) > 0.9
    with pytest.warns(ConvergenceWarning):
        make("MLPClassifier", hidden_layer_sizes=()).fit(X, y)
