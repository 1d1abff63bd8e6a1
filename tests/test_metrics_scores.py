"""Scores from counts and from probabilities: by hand, against the reference, and scikit-learn's values and refusals."""

import math
import warnings

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from fastml import metrics
from fastml.reference import classification as reference

TRUE, PRED = [0, 0, 0, 0, 1, 1, 2, 2, 2, 2], [0, 0, 1, 2, 1, 0, 2, 2, 2, 0]
# Confusion matrix [[2, 1, 1], [1, 1, 0], [1, 0, 3]].
SKLEARN_NAMES = {"precision_recall_fscore": "precision_recall_fscore_support"}


# --- by hand -------------------------------------------------------------------------------------------------


def test_scores_by_hand():
    p, r, f, support = metrics.precision_recall_fscore(TRUE, PRED)
    np.testing.assert_allclose(p, [2 / 4, 1 / 2, 3 / 4], rtol=1e-15)
    np.testing.assert_allclose(r, [2 / 4, 1 / 2, 3 / 4], rtol=1e-15)
    np.testing.assert_allclose(f, [2 / 4, 1 / 2, 3 / 4], rtol=1e-15)
    assert support.tolist() == [4, 2, 4] and support.dtype == np.int64
    assert metrics.precision_score(TRUE, PRED, average="macro") == pytest.approx(7 / 12)
    assert metrics.recall_score(TRUE, PRED, average="weighted") == pytest.approx((2 + 1 + 3) / 10)
    assert metrics.f1_score(TRUE, PRED, average="micro") == pytest.approx(6 / 10)
    assert metrics.balanced_accuracy_score(TRUE, PRED) == pytest.approx(7 / 12)
    assert metrics.balanced_accuracy_score(TRUE, PRED, adjusted=True) == pytest.approx((7 / 12 - 1 / 3) * 1.5)
    # Agreement 0.6; by chance (4 * 4 + 2 * 2 + 4 * 4) / 100.
    assert metrics.cohen_kappa_score(TRUE, PRED) == pytest.approx((0.6 - 0.36) / 0.64)
    # 4 wrong: 1 + 1 + 2 * (1 and 1): |i - j| sums to 1 + 1 + 2 + 2; by chance (8 * 2 + 16 * 2 * 2 + 8 * 2) / 10.
    assert metrics.cohen_kappa_score(TRUE, PRED, weights="linear") == pytest.approx(1 - 6 / 9.6)
    assert metrics.cohen_kappa_score(TRUE, PRED, weights="quadratic") == pytest.approx(1 - 10 / 16)
    assert metrics.matthews_corrcoef(TRUE, PRED) == pytest.approx((60 - 36) / (100 - 36))


def test_binary_by_hand():
    true, pred = ["no", "yes", "yes", "yes", "no"], ["yes", "yes", "yes", "no", "no"]
    options = {"pos_label": "yes"}
    assert metrics.precision_score(true, pred, **options) == pytest.approx(2 / 3)
    assert metrics.recall_score(true, pred, **options) == pytest.approx(2 / 3)
    weight = [1, 1, 3, 1, 1]
    assert metrics.precision_score(true, pred, **options, sample_weight=weight) == pytest.approx(4 / 5)
    # beta 2: 5 h / (4 t + p)
    assert metrics.fbeta_score([1, 1, 0, 0, 0], [1, 0, 1, 1, 0], beta=2) == pytest.approx(5 / (8 + 3))
    assert metrics.fbeta_score([1, 1, 0, 0, 0], [1, 0, 1, 1, 0], beta=0) == pytest.approx(1 / 3)
    assert metrics.fbeta_score([1, 1, 0, 0, 0], [1, 0, 1, 1, 0], beta=math.inf) == pytest.approx(1 / 2)


def test_probabilities_by_hand():
    p = np.array([[0.5, 0.25, 0.25], [0.125, 0.75, 0.125], [0.25, 0.25, 0.5]])
    assert metrics.log_loss([0, 1, 2], p) == pytest.approx(-math.log(0.5 * 0.75 * 0.5) / 3)
    assert metrics.log_loss([0, 1, 2], p, normalize=False) == pytest.approx(-math.log(0.5 * 0.75 * 0.5))
    assert metrics.log_loss([0, 1, 1], p, sample_weight=[1, 0, 1], labels=[0, 1, 2]) == pytest.approx(math.log(8) / 2)
    assert metrics.log_loss(["a", "b"], [0.25, 0.5]) == pytest.approx(-math.log(0.75 * 0.5) / 2)
    assert metrics.log_loss([0, 1], [[1.0, 0.0], [1.0, 0.0]]) == pytest.approx(52 * math.log(2) / 2, abs=1e-9)
    assert metrics.top_k_accuracy_score([0, 1, 2], p, k=1) == 1
    ties = {"k": 2, "labels": [0, 1, 2]}  # the last of two equal scores is the higher one
    assert metrics.top_k_accuracy_score([2, 0, 0], p, **ties) == pytest.approx(1 / 3)
    assert metrics.top_k_accuracy_score([2, 0, 0], p, **ties, normalize=False, sample_weight=[5, 1, 1]) == 5
    assert metrics.top_k_accuracy_score([0, 1, 1], [0.4, 0.6, 0.5], k=1) == pytest.approx(2 / 3)
    assert metrics.top_k_accuracy_score([0, 1, 1], [-0.4, 2.6, 0.5], k=1) == 1


def test_report_by_hand():
    text = metrics.classification_report(TRUE, PRED, target_names=["ant", "bee", "chimpanzee gorilla"], digits=3)
    assert text.splitlines() == [
        "                    precision    recall  f1-score   support",
        "",
        "               ant      0.500     0.500     0.500         4",
        "               bee      0.500     0.500     0.500         2",
        "chimpanzee gorilla      0.750     0.750     0.750         4",
        "",
        "          accuracy                          0.600        10",
        "         macro avg      0.583     0.583     0.583        10",
        "      weighted avg      0.600     0.600     0.600        10",
    ]
    report = metrics.classification_report(TRUE, PRED, output_dict=True)
    assert list(report) == ["0", "1", "2", "accuracy", "macro avg", "weighted avg"]
    assert report["accuracy"] == 0.6
    assert report["2"] == {"precision": 0.75, "recall": 0.75, "f1-score": 0.75, "support": 4.0}
    assert "micro avg" in metrics.classification_report(TRUE, PRED, labels=[2, 0])
    assert "accuracy" in metrics.classification_report(TRUE, PRED, labels=[2, 0, 1])


def test_equal_to_the_reference():
    rng = np.random.default_rng(0)
    for k in (2, 5, 40):
        true = rng.integers(0, k, 3000)
        pred = np.where(rng.random(3000) < 0.6, true, rng.integers(0, k, 3000))
        for beta in (0.5, 1, 3):
            got = metrics.precision_recall_fscore(true, pred, beta=beta)
            for g, w in zip(got, reference.precision_recall_fscore(true, pred, beta=beta), strict=True):
                np.testing.assert_allclose(g, w, rtol=1e-14)
        for name in ("balanced_accuracy_score", "cohen_kappa_score", "matthews_corrcoef"):
            got, want = getattr(metrics, name)(true, pred), getattr(reference, name)(true, pred)
            assert got == pytest.approx(want, rel=1e-12), name
        p = rng.random((3000, k))
        p /= p.sum(axis=1, keepdims=True)
        for dtype in (np.float32, np.float64):
            x = p.astype(dtype)
            assert metrics.log_loss(true, x) == pytest.approx(reference.log_loss(true, x), rel=1e-12)
            if k > 2:
                assert metrics.top_k_accuracy_score(true, x, k=3) == reference.top_k_accuracy_score(true, x, k=3)


# --- scikit-learn --------------------------------------------------------------------------------------------


def outcome(function, args, options):
    """Result, or the error, and the categories of warnings by name."""
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            result = function(*args, **options)
    except (TypeError, ValueError) as error:
        return error, None
    return result, {w.category.__name__ for w in caught} & {"UserWarning", "UndefinedMetricWarning"}


def assert_as_scikit_learn(name, *args, rtol=1e-12, warns=True, **options):
    sklearn = pytest.importorskip("sklearn.metrics")
    theirs, their_warnings = outcome(getattr(sklearn, SKLEARN_NAMES.get(name, name)), args, options)
    ours, our_warnings = outcome(getattr(metrics, name), args, options)
    what = f"{name}{args}{options}: {ours!r} / {theirs!r}"
    if isinstance(theirs, Exception):
        assert isinstance(ours, Exception) and isinstance(theirs, type(ours)), what
        return
    assert not isinstance(ours, Exception), what
    assert type(ours) is type(theirs), what
    if isinstance(ours, tuple):
        assert len(ours) == len(theirs)
        for g, w in zip(ours, theirs, strict=True):
            assert type(g) is type(w), what
            if w is not None:
                np.testing.assert_allclose(g, w, rtol=rtol, atol=1e-300, err_msg=what)
    elif isinstance(ours, str):
        assert ours == theirs
    elif isinstance(ours, dict):
        assert list(ours) == list(theirs)
        for key, w in theirs.items():
            assert ours[key] == pytest.approx(w, rel=rtol, nan_ok=True)
    else:
        np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=1e-15, err_msg=what)
    if warns:
        assert our_warnings == their_warnings, f"{what}: {our_warnings} / {their_warnings}"


AVERAGES = (None, "micro", "macro", "weighted", "binary")
KINDS = {
    "int": lambda codes: codes - 1,
    "bool": lambda codes: codes > 1,
    "string": lambda codes: np.array(["b", "a", "ö", "cd"])[codes],
    "object": lambda codes: np.array(["b", "a", "ö", "cd"], object)[codes],
    "float": lambda codes: codes * 2.0,
    "far": lambda codes: np.array([-(2**62), 0, 5, 2**62])[codes],
}


@st.composite
def samples(draw):
    """Labels of 1 to 20 samples of some kind, and weights or none."""
    n = draw(st.integers(1, 20))
    codes = st.lists(st.integers(0, draw(st.integers(0, 3))), min_size=n, max_size=n)
    kind = KINDS[draw(st.sampled_from(sorted(KINDS)))]
    weights = st.lists(st.integers(1, 5), min_size=n, max_size=n)
    weight = draw(st.none() | weights | weights.map(lambda w: [x / 7 for x in w]))
    return kind(np.array(draw(codes))), kind(np.array(draw(codes))), weight, kind


@hypothesis.settings(max_examples=50, deadline=None)
@hypothesis.given(samples(), st.data())
def test_class_scores_as_scikit_learn(drawn, data):
    true, pred, weight, kind = drawn
    some = kind(np.array(data.draw(st.lists(st.integers(0, 3), min_size=1, max_size=4, unique=True))))
    labels = data.draw(st.sampled_from([None, np.unique(some)[::-1]]))
    options = {
        "labels": labels,
        "sample_weight": weight,
        "average": data.draw(st.sampled_from(AVERAGES)),
        "zero_division": data.draw(st.sampled_from(["warn", 0, 1.0, np.nan])),
        "pos_label": data.draw(st.sampled_from([1, some.tolist()[0]])),
    }
    beta = data.draw(st.sampled_from([0, 0.5, 1, 2, math.inf]))
    assert_as_scikit_learn("precision_recall_fscore", true, pred, beta=beta, **options)
    for name in ("precision_score", "recall_score", "f1_score"):
        assert_as_scikit_learn(name, true, pred, **options)
    assert_as_scikit_learn("fbeta_score", true, pred, beta=beta, **options)
    assert_as_scikit_learn("balanced_accuracy_score", true, pred, sample_weight=weight, warns=False)
    assert_as_scikit_learn("matthews_corrcoef", true, pred, sample_weight=weight, rtol=1e-9, warns=False)
    for name in (None, "linear", "quadratic"):
        kappa = {"labels": labels, "weights": name, "sample_weight": weight, "rtol": 1e-9, "warns": False}
        assert_as_scikit_learn("cohen_kappa_score", true, pred, **kappa)
    del options["average"], options["pos_label"]
    hits = (true == pred).any()
    if weight is None and hits:  # without a hit scikit-learn's support is a float
        assert_as_scikit_learn("classification_report", true, pred, digits=3, **options)
    assert_as_scikit_learn("classification_report", true, pred, output_dict=True, **options)


@hypothesis.settings(max_examples=50, deadline=None)
@hypothesis.given(samples(), st.data())
def test_probability_scores_as_scikit_learn(drawn, data):
    true, _, weight, kind = drawn
    n, columns = len(true), data.draw(st.integers(1, 4))
    labels = data.draw(st.sampled_from([None, np.unique(true), np.unique(kind(np.arange(4)))]))
    dtype = data.draw(st.sampled_from([np.float32, np.float64]))
    scores = np.random.default_rng(data.draw(st.integers(0, 99))).integers(0, 5, (n, columns)).astype(dtype)
    if columns == 1:
        scores = scores[:, 0]
    options = {"labels": labels, "sample_weight": weight, "normalize": data.draw(st.booleans())}
    k = data.draw(st.integers(1, 4))
    assert_as_scikit_learn("top_k_accuracy_score", true, scores, k=k, **options)
    assert_as_scikit_learn("top_k_accuracy_score", true, scores - 2, k=k, **options)
    p = scores + 1
    p = p / 6 if columns == 1 else p / p.sum(axis=1, keepdims=True)
    for proba in (p, np.round(p)):
        assert_as_scikit_learn("log_loss", true, proba, rtol=2e-6 if dtype == np.float32 else 1e-12, **options)


@pytest.mark.parametrize(
    ("name", "args", "options"),
    [
        ("precision_recall_fscore", ([0, 1], [0, 1, 1]), {}),
        ("precision_recall_fscore", ([], []), {}),
        ("precision_recall_fscore", ([0, 1.5], [0, 1]), {}),
        ("precision_recall_fscore", ([0, 1], ["a", "b"]), {}),
        ("precision_recall_fscore", ([0, 1], [0, 1]), {"beta": -1}),
        ("precision_recall_fscore", ([0, 1], [0, 1]), {"beta": "x"}),
        ("precision_recall_fscore", ([0, 1], [0, 1]), {"average": "mean"}),
        ("precision_recall_fscore", ([0, 1], [0, 1]), {"average": "samples"}),
        ("precision_recall_fscore", ([0, 1], [0, 1]), {"zero_division": 2}),
        ("precision_recall_fscore", ([0, 1], [0, 1]), {"zero_division": "x"}),
        ("precision_recall_fscore", ([0, 1], [0, 1]), {"labels": 3}),
        ("precision_recall_fscore", ([0, 1], [0, 1]), {"sample_weight": [1, np.inf]}),
        ("f1_score", ([0, 1, 2], [0, 1, 1]), {}),
        ("f1_score", ([0, 2], [0, 2]), {}),
        ("f1_score", (["a", "b"], ["a", "b"]), {"pos_label": "c"}),
        ("classification_report", ([0, 1], [0, 1]), {"target_names": ["a"]}),
        ("classification_report", ([0, 1], [0, 1]), {"digits": -1}),
        ("classification_report", ([0, 1], [0, 1]), {"digits": 2.0}),
        ("cohen_kappa_score", ([0, 1], [0, 1]), {"weights": "cubic"}),
        ("cohen_kappa_score", ([0, 1], [0, 1]), {"labels": [2]}),
        ("cohen_kappa_score", ([[0, 1]], [[0, 1]]), {}),
        ("matthews_corrcoef", ([[0, 1]], [[0, 1]]), {}),
        ("top_k_accuracy_score", ([0, 1, 2], [[1, 2, 3]] * 3), {"k": 0}),
        ("top_k_accuracy_score", ([0, 1, 2], [[1, 2, 3]] * 3), {"k": 1.0}),
        ("top_k_accuracy_score", ([0, 1, 2], [[1, 2, 3]] * 2), {}),
        ("top_k_accuracy_score", ([0, 1, 2], [[1, 2]] * 3), {}),
        ("top_k_accuracy_score", ([0, 1, 2], [1, 2, 3]), {}),
        ("top_k_accuracy_score", ([0, 1, 1], [[1, 2]] * 3), {}),
        ("top_k_accuracy_score", ([0, 1, 2], [[1, np.nan, 3]] * 3), {}),
        ("top_k_accuracy_score", ([0, 1, 2], [[1, np.inf, 3]] * 3), {}),
        ("top_k_accuracy_score", ([0, 1, 1], [1, np.nan, 3]), {}),
        ("top_k_accuracy_score", ([0, 1, 2], [[1, 2, 3]] * 3), {"labels": [0, 2, 1]}),
        ("top_k_accuracy_score", ([0, 1, 2], [[1, 2, 3]] * 3), {"labels": [0, 1, 1]}),
        ("top_k_accuracy_score", ([0, 1, 2], [[1, 2, 3]] * 3), {"labels": [0, 1, 3]}),
        ("top_k_accuracy_score", ([0, 1, 2], [[1, 2, 3]] * 3), {"labels": [0, 1, 2, 3]}),
        ("top_k_accuracy_score", ([0.5, 1, 2], [[1, 2, 3]] * 3), {}),
        ("top_k_accuracy_score", ([0, 1, 2], "abc"), {}),
        ("log_loss", ([0, 1], [[0.5, 0.5], [0.5, 1.5]]), {}),
        ("log_loss", ([0, 1], [[0.5, 0.5], [-0.5, 1.0]]), {}),
        ("log_loss", ([0, 1], [[0.5, 0.5], [np.nan, 0.5]]), {}),
        ("log_loss", ([0, 1], [0.5, np.nan]), {}),
        ("log_loss", ([0, 1], [0.5, np.inf]), {}),
        ("log_loss", ([0, 1], [[0.5, 0.5], [np.inf, 0.5]]), {}),
        ("log_loss", ([0, 1], [[0.5, 0.5]]), {}),
        ("log_loss", ([0, 1], [[0.25, 0.25, 0.5]] * 2), {}),
        ("log_loss", ([0, 1, 2], [[0.5, 0.5]] * 3), {}),
        ("log_loss", ([0, 0], [[0.5, 0.5]] * 2), {}),
        ("log_loss", ([0, 0], [[0.5, 0.5]] * 2), {"labels": [0]}),
        ("log_loss", ([0, 3], [[0.5, 0.5]] * 2), {"labels": [0, 1]}),
        ("log_loss", ([0, 1], [[0.5, 0.5]] * 2), {"sample_weight": [1]}),
        ("log_loss", ([0, 1], [[0.5, 0.6]] * 2), {}),
        ("log_loss", (["a", "b"], [[0.5, 0.5]] * 2), {"labels": ["b", "a"]}),
        ("log_loss", ([], []), {}),
    ],
)
def test_refusals_as_scikit_learn(name, args, options):
    assert_as_scikit_learn(name, *args, **options)


# --- warnings ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "args", "options", "category", "text"),
    [
        ("precision_score", ([0, 1], [0, 0]), {}, metrics.UndefinedMetricWarning, "Precision .* predicted"),
        ("recall_score", ([0, 0], [0, 1]), {}, metrics.UndefinedMetricWarning, "Recall .* true"),
        ("f1_score", ([0, 0], [0, 0]), {}, metrics.UndefinedMetricWarning, "F-score"),
        ("precision_recall_fscore", ([0, 1], [0, 0]), {}, metrics.UndefinedMetricWarning, "Precision"),
        ("classification_report", ([0, 1], [0, 0]), {}, metrics.UndefinedMetricWarning, "Precision"),
        ("classification_report", ([0, 1], [0, 1]), {"labels": [0], "target_names": "ab"}, UserWarning, "1 labels"),
        ("recall_score", ([0, 1], [0, 1]), {"average": "macro", "pos_label": 0}, UserWarning, "pos_label=0"),
        ("balanced_accuracy_score", ([0, 0], [0, 1]), {}, UserWarning, "not in y_true"),
        ("balanced_accuracy_score", ([0, 0], [0, 0]), {"adjusted": True}, metrics.UndefinedMetricWarning, "1 classes"),
        ("cohen_kappa_score", ([0, 0], [0, 0]), {}, metrics.UndefinedMetricWarning, "single class"),
        ("log_loss", ([0, 1], [[0.5, 0.6]] * 2), {}, UserWarning, "do not sum to 1"),
        ("log_loss", ([0, 1], [[0.5, 0.5]] * 2), {"labels": [1, 0]}, UserWarning, r"\[0, 1\]"),
        ("top_k_accuracy_score", ([0, 1], [0.1, 0.2]), {"k": 2}, metrics.UndefinedMetricWarning, "all 2 classes"),
        ("confusion_matrix", ([1], [1]), {}, UserWarning, "only one label"),
    ],
)
def test_warnings_point_at_the_caller(name, args, options, category, text):
    with pytest.warns(category, match=text) as caught:
        getattr(metrics, name)(*args, **options)
    assert {w.filename for w in caught} == {__file__}


def test_bools_keep_their_names_in_the_report():
    assert list(metrics.classification_report([True, False], [True, True], output_dict=True, zero_division=0))[:2] == [
        "False",
        "True",
    ]


def test_multilabel_is_refused():
    indicator = np.array([[1, 0], [0, 1], [1, 1]])
    for name in ("precision_recall_fscore", "matthews_corrcoef", "classification_report", "balanced_accuracy_score"):
        with pytest.raises(ValueError, match="must be classes, not multilabel-indicator"):
            getattr(metrics, name)(indicator, indicator)
    with pytest.raises(ValueError, match="must be classes"):
        metrics.log_loss(indicator, indicator / 2)


@pytest.mark.parametrize("average", [None, "macro", "micro", "weighted"])
@pytest.mark.parametrize("turn", [str, int])
def test_labels_of_another_type(turn, average):
    """Strings and numbers meet as strings, as scikit-learn's do."""
    theirs = pytest.importorskip("sklearn.metrics")
    true, pred = np.array([0, 1, 2, 2, 1]), np.array([0, 2, 2, 2, 0])
    labels = [turn(0), turn(1)]
    if turn is int:
        true, pred = true.astype(str), pred.astype(str)
    for name in ("f1_score", "precision_score", "recall_score"):
        options = {"labels": labels, "average": average, "zero_division": 0}
        np.testing.assert_allclose(
            getattr(metrics, name)(true, pred, **options), getattr(theirs, name)(true, pred, **options), rtol=1e-15
        )
