"""The estimators are scikit-learn's in every respect that a caller sees."""

import copy
import pickle
import subprocess
import sys
import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn")

import joblib
import sklearn.neural_network
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import make_multilabel_classification, make_regression
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning, NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

import fastml
from fastml import data
from fastml.estimators.options import SOLVERS

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

NAMES = ("MLPClassifier", "MLPRegressor")


def digits(n=600, classes=10, dtype=np.float64):
    X, y = data.load_digits()
    chosen = np.flatnonzero(y < classes)[:n]
    return (X[chosen] / 16).astype(dtype), y[chosen]


def task(name, dtype=np.float64):
    """(name of the estimator, X, y)."""
    if name in ("multiclass", "binary"):
        return "MLPClassifier", *digits(classes=10 if name == "multiclass" else 2, dtype=dtype)
    if name == "multilabel":
        X, y = make_multilabel_classification(200, 10, random_state=0)
        return "MLPClassifier", (X / 10).astype(dtype), y
    outputs = 3 if name == "several outputs" else 1
    X, y = make_regression(200, 10, n_targets=outputs, random_state=0)
    return "MLPRegressor", X.astype(dtype), (y / 100).astype(dtype)


TASKS = ("multiclass", "binary", "multilabel", "regression", "several outputs")


def make(name, **parameters):
    return getattr(fastml, name)(**{"hidden_layer_sizes": (12,), "max_iter": 5, "random_state": 0} | parameters)


# scikit-learn's own


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", NAMES)
def test_check_estimator(name):
    check_estimator(getattr(fastml, name)())


def test_penalty_pulls_towards_zero():
    _, X, y = task("multiclass")
    norms = {}
    for solver, alpha in (("adam", 0.0), ("adam", 10.0), ("adamw", 0.0), ("adamw", 10.0), ("sgd", 10.0)):
        model = make("MLPClassifier", solver=solver, alpha=alpha, max_iter=30).fit(X, y)
        norms[solver, alpha] = np.abs(model.coefs_[0]).sum()
    assert norms["adam", 10.0] < norms["adam", 0.0]
    assert norms["adamw", 10.0] < norms["adamw", 0.0] == norms["adam", 0.0]


@pytest.mark.parametrize("solver", sorted({*SOLVERS} - {"sgd", "adam", "adamw"}))
def test_other_solvers_learn_and_are_penalised(solver):
    _, X, y = task("multiclass")
    options = {"solver": solver, "max_iter": 60, "learning_rate_init": 0.02}
    plain = make("MLPClassifier", alpha=0.0, **options).fit(X, y)
    assert plain.loss_ < 0.3 * plain.loss_curve_[0]
    held = make("MLPClassifier", alpha=30.0, **options).fit(X, y)
    assert np.abs(held.coefs_[0]).sum() < np.abs(plain.coefs_[0]).sum()


# Input


def test_classes_as_strings_and_objects():
    X, y = digits(400, classes=3)
    names = np.array(["zero", "one", "two"])[y]
    for labels in (names, names.astype(object), names.tolist()):
        model = make("MLPClassifier", max_iter=20, learning_rate=0.01).fit(X, labels)
        assert model.classes_.tolist() == ["one", "two", "zero"]
        assert model.score(X, labels) > 0.97
        assert set(model.predict(X)) == set(names)
    two = make("MLPClassifier", max_iter=20, learning_rate=0.01).fit(X[y < 2], names[y < 2])
    assert (two.predict(X[y < 2]) == names[y < 2]).mean() > 0.97
    assert two.predict_proba(X).shape == (len(X), 2)


def test_one_class():
    model = make("MLPClassifier").fit(np.ones((5, 2)), ["a"] * 5)
    assert model.predict(np.zeros((3, 2))).tolist() == ["a"] * 3
    assert model.predict_proba(np.zeros((3, 2))) == pytest.approx(np.ones((3, 1)))


@pytest.mark.parametrize("container", [sparse.csr_matrix, sparse.csc_matrix, sparse.csr_array, sparse.coo_array])
@pytest.mark.parametrize("name", ["multiclass", "regression"])
def test_sparse_gives_the_bits_of_dense(name, container):
    estimator, X, y = task(name, np.float32)
    dense, thin = make(estimator).fit(X, y), make(estimator).fit(container(X), y)
    assert dense.coefs_[0].tobytes() == thin.coefs_[0].tobytes()
    np.testing.assert_array_equal(dense.predict(X), thin.predict(container(X)))


def test_sparse_indicator_matrix():
    _, X, y = task("multilabel")
    model = make("MLPClassifier").fit(X, sparse.csr_matrix(y))
    np.testing.assert_array_equal(model.predict(X), make("MLPClassifier").fit(X, y).predict(X))


def test_pandas():
    pandas = pytest.importorskip("pandas")
    X, y = digits(200)
    frame = pandas.DataFrame(X, columns=[f"pixel {i}" for i in range(64)])
    model = make("MLPClassifier").fit(frame, pandas.Series(y))
    assert model.feature_names_in_.tolist() == list(frame.columns)
    np.testing.assert_array_equal(model.predict(frame), make("MLPClassifier").fit(X, y).predict(X))
    with pytest.raises(ValueError, match="feature names"):
        model.predict(frame.rename(columns={"pixel 3": "other"}))


@pytest.mark.parametrize(("given", "inside"), [("f4", "f4"), ("f8", "f8"), ("u1", "f4"), ("f2", "f4")])
def test_precision(given, inside):
    X, y = data.load_digits()
    model = make("MLPClassifier").fit(X[:200].astype(given), y[:200])
    assert model.coefs_[0].dtype == model.predict_proba(X[:3].astype(given)).dtype == np.dtype(inside)
    assert model.predict_proba(X[:3].astype("f8")).dtype == np.dtype(inside)


def test_values_too_large_for_float32():
    X, y = digits(50, dtype=np.float32)
    target = np.where(y > 4, 1e300, 0.0)
    with pytest.raises(ValueError, match="too large for float32"):
        make("MLPRegressor").fit(X, target)
    model = make("MLPRegressor").fit(X, y)
    with pytest.raises(ValueError, match="float32"), np.errstate(all="ignore"):
        model.predict(np.full((1, 64), 1e300))


def test_input_is_not_changed_and_not_kept():
    X, y = digits(300, dtype=np.float32)
    before = X.copy()
    model = make("MLPClassifier").fit(X, y)
    model.predict(X)
    np.testing.assert_array_equal(X, before)
    assert sys.getrefcount(X) == sys.getrefcount(before)


def test_column_of_targets_is_taken_with_a_warning():
    X, y = digits(100)
    for name in NAMES:
        with pytest.warns(DataConversionWarning):
            column = make(name).fit(X, y[:, None])
        np.testing.assert_array_equal(column.predict(X), make(name).fit(X, y).predict(X))


@pytest.mark.parametrize("y", [np.linspace(0.1, 1, 20), np.arange(40).reshape(20, 2) % 3])
def test_targets_that_are_no_classes(y):
    with pytest.raises(ValueError):
        make("MLPClassifier").fit(np.ones((20, 2)), y)


def test_before_fit():
    for name in NAMES:
        with pytest.raises(NotFittedError):
            make(name).predict([[1.0]])
        assert not hasattr(make(name), "coefs_")


# Ecosystem


@pytest.mark.parametrize("name", TASKS)
def test_copies_predict_the_same(name, tmp_path):
    estimator, X, y = task(name, np.float32)
    model = make(estimator, batch_norm=True, dropout=0.1).fit(X, y)
    joblib.dump(model, tmp_path / "model")
    for other in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model), joblib.load(tmp_path / "model")):
        assert other.predict(X).tobytes() == model.predict(X).tobytes()
        # The optimizer and the place in the stream of dropout come along.
        again = copy.deepcopy(model).partial_fit(X, y)
        assert other.partial_fit(X, y).coefs_[0].tobytes() == again.coefs_[0].tobytes()


def test_clone_and_parameters():
    model = fastml.MLPClassifier((3, 4), "identity", optimizer="sgd", epochs=2, class_weight={0: 2.0})
    assert clone(model).get_params() == model.get_params()
    assert repr(clone(model)) == repr(model)
    theirs = sklearn.neural_network.MLPClassifier().get_params()
    ours = fastml.MLPClassifier().get_params()
    assert {name: ours.get(name) for name in theirs if name != "max_fun"} == {
        name: value for name, value in theirs.items() if name != "max_fun"
    }


def test_grid_search_in_a_pipeline():
    X, y = digits(400)
    search = GridSearchCV(
        make_pipeline(StandardScaler(), make("MLPClassifier", max_iter=60, learning_rate=0.01)),
        {"mlpclassifier__dropout": [0.0, 0.2], "mlpclassifier__optimizer": ["adam", "adamw"]},
        cv=2,
        n_jobs=2,
    ).fit(X, y)
    assert search.best_score_ > 0.85
    assert search.best_estimator_.predict(X).shape == y.shape


def test_import_is_lazy():
    code = (
        "import sys, fastml, fastml.cli.main, fastml.cli.train; assert 'sklearn' not in sys.modules; "
        "assert 'MLPClassifier' in dir(fastml) and not hasattr(fastml, 'MLPTransformer'); "
        "sys.modules['sklearn'] = None\n"
        "try: fastml.MLPRegressor\n"
        "except ImportError as error: assert 'pip install scikit-learn' in str(error)\n"
        "else: raise SystemExit('no error')"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_scikit_learn_example_with_one_import_changed():
    from sklearn.datasets import make_classification
    from sklearn.model_selection import train_test_split

    from fastml import MLPClassifier

    X, y = make_classification(n_samples=100, random_state=1)
    X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=1)
    clf = MLPClassifier(random_state=1, max_iter=300).fit(X_train, y_train)
    theirs = sklearn.neural_network.MLPClassifier(random_state=1, max_iter=300).fit(X_train, y_train)
    np.testing.assert_allclose(clf.predict_proba(X_test), theirs.predict_proba(X_test), atol=0.02)
    np.testing.assert_array_equal(clf.predict(X_test[:5, :]), theirs.predict(X_test[:5, :]))
    assert clf.score(X_test, y_test) == theirs.score(X_test, y_test)


def test_convergence_warning():
    X, y = digits(100)
    with pytest.warns(ConvergenceWarning, match="max_iter=2"):
        make("MLPClassifier", max_iter=2).fit(X, y)
    for planned in ({"epochs": 2}, {"max_iter": 2, "learning_rate": "cosine"}):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert make("MLPClassifier", **planned).fit(X, y).n_iter_ == 2
