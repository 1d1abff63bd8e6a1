"""Weights of rows and of classes, in training the estimators."""

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.metrics import recall_score
from sklearn.utils.class_weight import compute_sample_weight

from .test_estimators import TASKS, digits, make, task
from .test_estimators_training import weights_of

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.parametrize("name", TASKS)
def test_equal_weights_are_no_weights(name):
    estimator, X, y = task(name)
    plain = make(estimator, alpha=0.0).fit(X, y)
    weighted = make(estimator, alpha=0.0).fit(X, y, sample_weight=np.full(len(X), 1e-30))
    np.testing.assert_allclose(weighted.loss_curve_, plain.loss_curve_, rtol=1e-5)
    np.testing.assert_allclose(weighted.coefs_[0], plain.coefs_[0], atol=1e-6)


@pytest.mark.parametrize("name", TASKS)
def test_rows_of_weight_zero_take_no_part(name):
    estimator, X, y = task(name)
    weight = np.tile([1.0, 0.0, 2.0], len(X))[: len(X)]
    wrong = y.copy()
    wrong[weight == 0] = y[0]
    kept = weight > 0
    a = make(estimator).fit(X, wrong, weight)
    b = make(estimator).fit(X[kept], y[kept], weight[kept])
    assert weights_of(a) == weights_of(b)


def test_class_of_weight_zero_keeps_its_place():
    X, y = digits(200)
    model = make("MLPClassifier", class_weight={7: 0.0}).fit(X, y)
    assert model.classes_.tolist() == list(range(10))
    assert model.t_ == 5 * np.sum(y != 7)


def test_class_weight():
    X, y = digits(1797, classes=3, dtype=np.float32)
    rare = np.concatenate([np.flatnonzero(y == 0)[:5], np.flatnonzero(y > 0)])
    X_rare, y_rare = X[rare], y[rare]
    options = {"max_iter": 8, "batch_size": 50}

    def recall(**more):
        model = make("MLPClassifier", **options, **more).fit(X_rare, y_rare)
        return recall_score(y, model.predict(X), labels=[0], average=None)[0]

    assert recall(class_weight="balanced") > recall() + 0.1
    n = len(y_rare)
    balanced = {c: n / (3 * np.sum(y_rare == c)) for c in range(3)}
    a = make("MLPClassifier", class_weight="balanced", **options).fit(X_rare, y_rare)
    b = make("MLPClassifier", class_weight=balanced, **options).fit(X_rare, y_rare)
    c = make("MLPClassifier", **options).fit(X_rare, y_rare, np.array([balanced[label] for label in y_rare]))
    assert weights_of(a) == weights_of(b) == weights_of(c)
    names = np.array(["a", "b", "c"])
    d = make("MLPClassifier", class_weight=dict(zip(names, balanced.values(), strict=True)), **options)
    assert weights_of(d.fit(X_rare, names[y_rare])) == weights_of(a)


@pytest.mark.parametrize(
    ("weight", "match"),
    [
        ([1.0], "inconsistent"),
        (np.full(50, -1.0), "at least 0, not -1.0"),
        (np.zeros(50), "zero for every row"),
        (np.full(50, np.nan), "NaN"),
        (np.ones((50, 1)), "one axis"),
    ],
)
def test_weights_that_cannot_be(weight, match):
    X, y = digits(50)
    with pytest.raises(ValueError, match=match):
        make("MLPClassifier").fit(X, y, weight)


@pytest.mark.parametrize(
    ("class_weight", "match"),
    [
        ({0: -1, 1: 1, 2: 1}, "class_weight must hold finite numbers of at least 0, not -1 for class 0"),
        ({0: np.nan}, "class_weight must hold finite numbers of at least 0, not nan for class 0"),
        ({1: np.inf}, "class_weight must hold finite numbers of at least 0, not inf for class 1"),
        ({1: None}, "class_weight must hold finite numbers of at least 0, not None for class 1"),
        ({1: "2"}, "class_weight must hold finite numbers of at least 0, not '2' for class 1"),
        ([1.0, 2.0, 3.0], r"class_weight must be 'balanced', a dict or None, not \[1.0, 2.0, 3.0\]"),
        ([{0: 2.0}], "class_weight must be 'balanced', a dict or None"),
        ("even", "class_weight must be 'balanced', a dict or None, not 'even'"),
        (2.0, "class_weight must be 'balanced', a dict or None, not 2.0"),
        ({7: 2.0}, r"class_weight must be a dict from classes, \[0, 1, 2\], not from \[7\]"),
        ({"0": 2.0}, "class_weight must be a dict from classes"),
        ({0: 0, 1: 0, 2: 0}, "zero for every row"),
    ],
)
def test_class_weights_that_cannot_be(class_weight, match):
    X, y = digits(100, classes=3)
    with pytest.raises(ValueError, match=match):
        make("MLPClassifier", class_weight=class_weight).fit(X, y)
    with pytest.raises(ValueError, match="class_weight"):
        make("MLPClassifier", class_weight=class_weight).partial_fit(X, y, classes=range(3))


def test_class_weight_of_several_labels():
    _, X, y = task("multilabel")
    each = [{1: 2.0}, {}, {0: 0.5, 1: 3}, {}, {}]
    given = make("MLPClassifier", class_weight=each).fit(X, y)
    by_row = compute_sample_weight([{0: 1} | {1: 1} | entry for entry in each], y)
    assert weights_of(given) == weights_of(make("MLPClassifier").fit(X, y, by_row))
    balanced = make("MLPClassifier", class_weight="balanced").fit(X, y)
    by_row = compute_sample_weight("balanced", y)
    np.testing.assert_allclose(balanced.coefs_[0], make("MLPClassifier").fit(X, y, by_row).coefs_[0], atol=1e-9)
    for wrong in ({1: 2.0}, each[:4], [{1: -1.0}] * 5):
        with pytest.raises(ValueError, match="class_weight"):
            make("MLPClassifier", class_weight=wrong).fit(X, y)


def test_partial_fit_of_rows_without_the_weighted_class():
    X, y = digits(200)
    model = make("MLPClassifier", class_weight={7: 2.0}).partial_fit(X, y, range(10))
    model.partial_fit(X[y != 7], y[y != 7])
    assert model.t_ == 200 + np.sum(y != 7)


@pytest.mark.parametrize("values", [(0, 255), (-1, 1), (1, 2), (0, 0.5)])
def test_several_labels_are_0_and_1(values):
    X, y = digits(60, classes=3)
    indicator = np.where(np.stack([y == 0, y == 1], axis=1), values[1], values[0])
    for call in ("fit", "partial_fit"):
        with pytest.raises(ValueError):
            getattr(make("MLPClassifier"), call)(X, indicator)
    plain = weights_of(make("MLPClassifier").fit(X, (indicator == values[1]).astype(int)))
    for kind in (bool, np.uint8, np.float32):
        assert weights_of(make("MLPClassifier").fit(X, (indicator == values[1]).astype(kind))) == plain
