"""Accuracy and confusion matrix: fixed expectations, and scikit-learn's values, types and refusals."""

import warnings

import numpy as np
import pytest

from fastml import metrics


def test_accuracy_by_hand():
    assert metrics.accuracy_score([0, 1, 2, 3], [0, 2, 1, 3]) == 0.5
    assert metrics.accuracy_score(["a", "b", "b"], ["a", "b", "a"], normalize=False) == 2
    assert metrics.accuracy_score([0, 1], [0, 0], sample_weight=[3, 1]) == 0.75
    assert metrics.accuracy_score([[1, 0], [1, 1]], [[1, 0], [0, 1]]) == 0.5
    assert type(metrics.accuracy_score([1, 0], np.array([1, 0]))) is float


def test_confusion_by_hand():
    true, pred = [2, 0, 2, 2, 0, 1], [0, 0, 2, 2, 0, 2]
    cm = metrics.confusion_matrix(true, pred)
    assert cm.tolist() == [[2, 0, 0], [0, 0, 1], [1, 0, 2]] and cm.dtype == np.int64
    names = np.array(["ant", "bird", "cat"])
    cm = metrics.confusion_matrix(names[true], names[pred], labels=["cat", "ant"])
    assert cm.tolist() == [[2, 1], [0, 2]]
    cm = metrics.confusion_matrix(true, pred, normalize="true")
    np.testing.assert_allclose(cm, [[1, 0, 0], [0, 0, 1], [1 / 3, 0, 2 / 3]], rtol=1e-15)
    cm = metrics.confusion_matrix(true, pred, labels=[0, 1, 2, 9], normalize="pred")
    assert cm[3].tolist() == cm[:, 3].tolist() == [0, 0, 0, 0]


def outcome(function, args, options):
    """Result, or the kind of error: what a caller sees."""
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            result = function(*args, **options)
    except (TypeError, ValueError) as error:
        return error
    return result, [w.category for w in caught if issubclass(w.category, UserWarning)]


def assert_as_scikit_learn(name, *args, rtol=0, **options):
    theirs = outcome(getattr(pytest.importorskip("sklearn.metrics"), name), args, options)
    ours = outcome(getattr(metrics, name), args, options)
    if isinstance(theirs, Exception):
        # scikit-learn's error for a wrong parameter is both kinds at once.
        assert isinstance(ours, Exception) and isinstance(theirs, type(ours)), f"{ours!r} / {theirs!r}"
        return
    assert not isinstance(ours, Exception), f"{ours!r} / {theirs!r}"
    assert type(ours[0]) is type(theirs[0])
    assert np.asarray(ours[0]).dtype == np.asarray(theirs[0]).dtype
    np.testing.assert_allclose(ours[0], theirs[0], rtol=rtol)
    if name == "confusion_matrix":
        assert ours[1] == theirs[1]


RNG = np.random.default_rng(0)
N = 200
LABELS = {
    "int": RNG.integers(0, 5, (2, N)),
    "uint8": RNG.integers(0, 3, (2, N)).astype(np.uint8),
    "uint64": RNG.integers(2**63, 2**63 + 3, (2, N), dtype=np.uint64),
    "bool": RNG.integers(0, 2, (2, N)).astype(bool),
    "gaps": np.array([3, 70, 71])[RNG.integers(0, 3, (2, N))],
    "negative": RNG.integers(-3, 3, (2, N)),
    "wide": np.array([-(2**62), 5, 2**62])[RNG.integers(0, 3, (2, N))],
    "float": RNG.integers(0, 4, (2, N)).astype(np.float32),
    "string": np.array(["cat", "a", "ünal"])[RNG.integers(0, 3, (2, N))],
    "object": np.array(["cat", "a"], object)[RNG.integers(0, 2, (2, N))],
    "mixed ints": (RNG.integers(0, 4, N), RNG.integers(0, 3, N).astype(np.int8)),
    "int and float": (RNG.integers(0, 4, N), RNG.integers(0, 3, N).astype(float)),
    "bool and int": (RNG.integers(0, 2, N).astype(bool), RNG.integers(0, 4, N)),
    "string and object": (np.array(["b", "a"])[RNG.integers(0, 2, N)], np.array(["a"] * N, object)),
    "column": (RNG.integers(0, 4, (N, 1)), RNG.integers(0, 4, N)),
    "constant": (np.ones(N, int), np.ones(N, int)),
    "disjoint": (np.zeros(N, int), np.ones(N, int)),
}
WEIGHTS = {
    "none": None,
    "int": RNG.integers(0, 9, N),
    "large int": RNG.integers(0, 2**55, N),
    "int32": RNG.integers(-3, 9, N).astype(np.int32),
    "bool": RNG.integers(0, 2, N).astype(bool),
    "float": RNG.random(N),
    "float32": RNG.random(N).astype(np.float32),
}


@pytest.mark.parametrize("weight", WEIGHTS)
@pytest.mark.parametrize("labels", LABELS)
def test_equal_to_scikit_learn(labels, weight):
    true, pred = LABELS[labels]
    weight = WEIGHTS[weight]
    options = {"sample_weight": weight, "rtol": 1e-6 if weight is WEIGHTS["float32"] else 1e-14}
    assert_as_scikit_learn("accuracy_score", true, pred, **options)
    if weight is not WEIGHTS["bool"]:  # scikit-learn's sum of bools is a bool: 1
        assert_as_scikit_learn("accuracy_score", true, pred, normalize=False, **options)
    for normalize in (None, "true", "pred", "all"):
        assert_as_scikit_learn("confusion_matrix", true, pred, normalize=normalize, sample_weight=weight)


@pytest.mark.parametrize(
    "labels", [[0, 1, 2, 3, 4], [4, 2], [9, 2], [2, 1, 2], [3], [7], [], [1.0, 3.0], ["a", "b"], [-1, 1]]
)
def test_labels_as_scikit_learn(labels):
    for kind in ("int", "negative", "float", "int and float"):
        true, pred = LABELS[kind]
        assert_as_scikit_learn("confusion_matrix", true, pred, labels=labels)
        assert_as_scikit_learn(
            "confusion_matrix", true, pred, labels=labels, sample_weight=WEIGHTS["float"], normalize="true"
        )
    true, pred = LABELS["string"]
    for chosen in (["a", "cat"], ["a", "none"], [1, 2], np.array(["a", "cat"], object)):
        assert_as_scikit_learn("confusion_matrix", true, pred, labels=chosen)


@pytest.mark.parametrize("name", ["accuracy_score", "confusion_matrix"])
@pytest.mark.parametrize(
    ("true", "pred", "options"),
    [
        ([1, 0], [1, 0, 1], {}),
        ([], [], {}),
        ([1.5, 2], [1, 2], {}),
        ([1.5, 2], [1.5, 2], {}),
        ([np.nan, 1], [1, 1], {}),
        ([1, 1], [np.inf, 1], {}),
        (["a", "b"], [1, 2], {}),
        ([None, 1], [1, 1], {}),
        ([b"a"], [b"a"], {}),
        ([1j], [1], {}),
        (5, 5, {}),
        ("ab", "ab", {}),
        ([[1, 0]], [[1, 1]], {}),
        ([[1, 0]], [[1, 1, 0]], {}),
        ([[1, 2], [1, 1]], [[1, 2], [0, 1]], {}),
        ([[1.5, 2], [1, 1]], [[1.5, 2], [0, 1]], {}),
        ([[1, 0]], [1], {}),
        (np.zeros((2, 2, 2), int), np.zeros((2, 2, 2), int), {}),
        ([1, 2], [1, 1], {"sample_weight": [0, 0]}),
        ([1, 2], [1, 1], {"sample_weight": [1, 2, 3]}),
        ([1, 2], [1, 1], {"sample_weight": [[1, 2]]}),
        ([1, 2], [1, 1], {"sample_weight": [[1], [2]]}),
        ([1, 2], [1, 1], {"sample_weight": [np.nan, 1]}),
        ([1, 2], [1, 1], {"sample_weight": [-1, 2]}),
        ([1, 2], [1, 1], {"sample_weight": 3}),
        ([1, 2], [1, 1], {"normalize": "x"}),
        ([1, 2], [1, 1], {"normalize": 3}),
    ],
)
def test_refusals_as_scikit_learn(name, true, pred, options):
    assert_as_scikit_learn(name, true, pred, **options)


@pytest.mark.parametrize(
    ("true", "pred", "options", "error", "text"),
    [
        ([1, 0], [1, 0, 1], {}, ValueError, r"y_true and y_pred must have .* not \[2, 3\]"),
        ([], [], {}, ValueError, "at least one sample"),
        ([1.5, 2], [1, 2], {}, ValueError, "continuous .* binary"),
        ([np.nan, 1], [1, 1], {}, ValueError, "y_true must be finite, not NaN"),
        (["a", "b"], [1, 2], {}, ValueError, "both strings or both numbers"),
        (5, [5], {}, TypeError, "y_true must be an array"),
        ([[1, 0]], [[1, 1]], {}, ValueError, "multilabel-indicator"),
        ([1, 2], [1, 1], {"sample_weight": ["x", "y"]}, ValueError, "real numbers"),
        ([1, 2], [1, 1], {"sample_weight": 3}, TypeError, "sample_weight must be an array"),
        ([1, 2], [1, 1], {"labels": 3}, TypeError, "labels must be an array"),
        ([1, 2], [1, 1], {"labels": [[1, 2]]}, ValueError, "labels must be 1-dimensional"),
        ([1, 2], [1, 1], {"labels": []}, ValueError, "at least one label"),
        ([1, 2], [1, 1], {"labels": [3]}, ValueError, "y_true"),
        ([1, 2], [1, 1], {"labels": ["1", "2"]}, ValueError, "labels must be numbers, .* not texts such as '1'"),
        ([1, 2], [1, 1], {"normalize": "x"}, ValueError, "'x'"),
    ],
)
def test_errors(true, pred, options, error, text):
    with pytest.raises(error, match=text):
        metrics.confusion_matrix(true, pred, **options)
    with pytest.raises(TypeError, match="normalize"):
        metrics.accuracy_score([1], [1], normalize="true")


def test_one_class_warns():
    with pytest.warns(UserWarning, match="only one label"):
        assert metrics.confusion_matrix([1, 1], [1, 1]).tolist() == [[2]]


def test_inputs_stay_as_they_are():
    true, pred = np.array([3, 5, 5]), np.array([5, 5, 3])
    metrics.confusion_matrix(true, pred, sample_weight=[1, 2, 3])
    assert true.tolist() == [3, 5, 5] and pred.tolist() == [5, 5, 3]
