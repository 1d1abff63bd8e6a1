"""How the training of the estimators ends, what it shows, and options that cannot be."""

import copy
import pickle
import re

import numpy as np
import pytest

pytest.importorskip("sklearn")

import joblib
from sklearn.exceptions import ConvergenceWarning, NotFittedError

import fastml
from fastml.estimators import base

from .test_estimators import NAMES, digits, make, task
from .test_estimators_training import weights_of

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture
def stopped_at(monkeypatch):
    """stopped_at(n, error): the step after n whole ones raises ``error``."""

    def arrange(n, error):
        compile_step = base.compile_step

        def failing(*arguments):
            step, done = compile_step(*arguments), [0]

            def counted(x, y):
                if done[0] == n:
                    raise error
                done[0] += 1
                return step(x, y)

            return counted

        monkeypatch.setattr(base, "compile_step", failing)

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


def state_of(estimator):
    """All that an estimator is, as bytes; what the failing call may drop is a program."""
    return pickle.dumps({name: value for name, value in vars(estimator).items() if name != "_steps"})


FAILURES = {
    "an exception in training": {"stop": 3},
    "divergence": {"options": {"solver": "sgd", "learning_rate_init": 1e200}},
    "sample_weight": {"weight": np.full(200, np.nan)},
    "all weights zero": {"weight": np.zeros(200)},
    "class_weight": {"options": {"class_weight": {0: -1.0}}},
    "other features": {"X": lambda X: X[:, 1:] * np.nan},
    "other labels": {"y": np.linspace(0.1, 0.9, 200)},
    "a short validation set": {"options": {"early_stopping": True, "validation_fraction": 0.001}},
    "batch norm of one row": {"options": {"batch_norm": True, "batch_size": 1}},
}


@pytest.mark.parametrize("call", ["fit", "warm fit", "partial_fit"])
@pytest.mark.parametrize("begun", [False, True])
@pytest.mark.parametrize("failure", FAILURES)
def test_after_an_exception_the_estimator_is_what_it_was(failure, begun, call, stopped_at):
    """Labels, widths and network are those of the last call that did not fail, down to the optimizer and dropout."""
    X, y = digits(200)
    what = FAILURES[failure]
    model = make("MLPClassifier", batch_size=50, dropout=0.2, warm_start=call == "warm fit")
    if begun:
        model.fit(X[:100, :], np.array(list("abcdefghij"))[y[:100]])
        if call == "partial_fit":
            model.partial_fit(X[:100], np.array(list("abcdefghij"))[y[:100]])
    labels = np.array(list("abcdefghij"))[y] if begun and call != "fit" else y
    model.set_params(**what.get("options", {}))
    if "stop" in what:
        stopped_at(what["stop"], MemoryError("no more"))
        model._steps = {}
    before, X = state_of(model), what.get("X", np.asarray)(X)
    arguments = {"classes": np.unique(labels)} if call == "partial_fit" and not begun else {}
    with pytest.raises((ValueError, MemoryError)), np.errstate(all="ignore"):
        getattr(model, call.split()[-1])(X, what.get("y", labels), sample_weight=what.get("weight"), **arguments)
    assert state_of(model) == before


@pytest.mark.parametrize("solver", ["sgd", "adam", "rmsprop"])
def test_a_call_that_failed_leaves_no_trace_in_the_next(solver):
    X, y = digits(200)
    options = {"batch_size": 50, "solver": solver, "dropout": 0.2, "batch_norm": True}
    model, other = (make("MLPClassifier", **options).partial_fit(X, y, range(10)) for _ in range(2))
    wild = X.copy()
    wild[150::2] = 1.7e308
    with pytest.raises(ValueError, match="diverged"), np.errstate(all="ignore"):
        model.set_params(shuffle=False).partial_fit(wild, y)
    model.set_params(shuffle=True)
    for _ in range(2):
        assert weights_of(model.partial_fit(X, y)) == weights_of(other.partial_fit(X, y))
    assert model.loss_curve_ == other.loss_curve_


@pytest.mark.parametrize("name", NAMES)
def test_diverging_training_is_an_error(name):
    X, y = digits(200, dtype=np.float32)
    model = make(name, solver="sgd", learning_rate_init=1e25, max_iter=50)
    with pytest.raises(ValueError, match="training diverged: the loss of epoch"), np.errstate(all="ignore"):
        model.fit(X, y.astype(float) if name == "MLPRegressor" else y)
    with pytest.raises(NotFittedError):
        model.predict(X)
    model.set_params(learning_rate_init=0.01)
    assert np.isfinite(model.fit(X, y).loss_)


@pytest.mark.parametrize("name", NAMES)
def test_a_mapped_estimator_goes_on(name, tmp_path):
    """joblib maps arrays read-only: the estimator trains copies of them."""
    X, y = digits(200)
    model = make(name, batch_size=50).fit(X, y)
    joblib.dump(model, tmp_path / "model")
    for method in ("partial_fit", "fit"):
        mapped = joblib.load(tmp_path / "model", mmap_mode="r").set_params(warm_start=True)
        assert not mapped.coefs_[0].flags.writeable
        assert weights_of(mapped) == weights_of(model)
        other = copy.deepcopy(model).set_params(warm_start=True)
        for _ in range(2):
            assert weights_of(getattr(mapped, method)(X, y)) == weights_of(getattr(other, method)(X, y))
    assert joblib.load(tmp_path / "model").predict(X).tobytes() == model.predict(X).tobytes()


def test_workers_of_joblib_train_large_estimators():
    X = np.random.default_rng(0).standard_normal((50, 784)).astype(np.float32)
    y = np.arange(50) % 3
    model = make("MLPClassifier", hidden_layer_sizes=(400,)).fit(X, y)
    assert model.coefs_[0].nbytes > 1 << 20
    results = joblib.Parallel(2)(joblib.delayed(model.partial_fit)(X, y) for _ in range(2))
    expected = weights_of(copy.deepcopy(model).partial_fit(X, y))
    assert [weights_of(result) for result in results] == [expected] * 2


def test_stops_where_the_loss_stands_still():
    X, y = digits(100)
    model = make("MLPClassifier", max_iter=500, tol=10.0, n_iter_no_change=4).fit(X, y)
    assert model.n_iter_ == 6  # the first epoch always counts as a gain, then more than four without
    assert make("MLPClassifier", max_iter=15, tol=10.0, n_iter_no_change=np.inf).fit(X, y).n_iter_ == 15


def test_learning_rate_of_each_epoch(monkeypatch):
    rates = []
    monkeypatch.setattr(
        base, "compile_step", lambda model, loss_fn, optimizer: lambda x, y: rates.append(optimizer.lr) or 1.0
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
            "activation must be 'identity', 'relu', 'tanh', 'logistic'.*, not 'sigmoid'",
        ),
        ({"solver": "lbfgs"}, ValueError, "solver must be .*'adam', .* or 'sgd', not 'lbfgs'"),
        ({"optimizer": "ftrl"}, ValueError, "optimizer must be .*'adam', .* or 'sgd', not 'ftrl'"),
        (
            {"learning_rate": "fast"},
            ValueError,
            "learning_rate must be 'constant', 'cosine'.*, or a positive number, not 'fast'",
        ),
        ({"learning_rate": -1.0}, ValueError, "learning_rate"),
        ({"learning_rate_init": 0}, ValueError, "learning_rate_init must be greater than 0, not 0"),
        ({"hidden_layer_sizes": (5, 0)}, ValueError, r"hidden_layer_sizes.*\(5, 0\)"),
        ({"hidden_layer_sizes": "5"}, ValueError, "hidden_layer_sizes"),
        ({"alpha": -1}, ValueError, "alpha"),
        ({"alpha": np.nan}, ValueError, "alpha"),
        ({"batch_size": 0}, ValueError, "batch_size"),
        ({"batch_size": 2.5}, TypeError, "batch_size must be an integer, 'auto' or None, not 2.5"),
        ({"max_iter": 0}, ValueError, "max_iter"),
        ({"epochs": 1.5}, TypeError, "epochs"),
        ({"dropout": 1.0}, ValueError, "dropout must be at least 0 and less than 1, not 1.0"),
        ({"momentum": 1.5}, ValueError, "momentum"),
        ({"beta_1": 1.0}, ValueError, "beta_1"),
        ({"epsilon": 0.0}, ValueError, "epsilon"),
        ({"validation_fraction": 1.0}, ValueError, "validation_fraction"),
        ({"n_iter_no_change": 0}, ValueError, "n_iter_no_change"),
        ({"tol": "small"}, TypeError, "tol must be a real number, not 'small'"),
        ({"shuffle": 1}, TypeError, "shuffle must be True or False, not 1"),
        ({"random_state": "x"}, ValueError, "random_state must be"),
    ],
)
@pytest.mark.parametrize("name", NAMES)
def test_options_that_cannot_be(name, options, error, match):
    X, y = digits(20)
    with pytest.raises(error, match=match):
        make(name, **options).fit(X, y)


def test_loss_of_the_regressor():
    X, y = digits(20)
    with pytest.raises(ValueError, match="loss must be 'squared_error', .* not 'poisson'"):
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
