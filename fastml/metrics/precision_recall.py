"""Precision, recall and F-score, per class, averaged and as a report: scikit-learn's signatures and values."""

import warnings

import numpy as np

from .._check import choice, each, flag, integer
from .._choices import Average
from .._environment import in_full_mode
from . import _scores
from ._targets import is_text, label_list, places, tally

ALL_SCORES = ("Precision", "Recall", "F-score")


@in_full_mode
def precision_recall_fscore(
    y_true,
    y_pred,
    *,
    beta=1.0,
    labels=None,
    pos_label=1,
    average=None,
    warn_for=("precision", "recall", "f-score"),
    sample_weight=None,
    zero_division="warn",
):
    """Precision, recall, F-score and support of every class.

    With hᵢ the samples of class i that are taken for it, pᵢ those that are taken for it and tᵢ those that are it:
    precision hᵢ/pᵢ, recall hᵢ/tᵢ, F-score (1 + β²) hᵢ / (β² tᵢ + pᵢ), support tᵢ.

    ``y_true``, ``y_pred``: (n,) integers, bools, strings or whole-numbered floats. ``labels`` (k,) chooses and
    orders the classes, also ones that do not occur; None takes the sorted ones that do. ``average=None`` returns four
    vectors (k,); otherwise three floats and None: ``"macro"`` their mean, ``"weighted"`` the mean weighted by
    support, ``"micro"`` the scores of the sums over classes, ``"binary"`` those of ``pos_label`` among two classes.
    ``zero_division`` replaces 0/0: 0, 1, NaN (which averages leave out), or ``"warn"``: 0 and an
    UndefinedMetricWarning, for the scores in ``warn_for`` alone.

    Raises ValueError and TypeError as :func:`confusion_matrix` does, and ValueError for label indicators, another
    ``average``, negative ``beta``, or, with ``"binary"``, more than two classes or a ``pos_label`` that is none.

    Source: scikit-learn, ``sklearn.metrics.precision_recall_fscore_support``.

    >>> p, r, f, support = precision_recall_fscore([0, 0, 1, 1, 1], [0, 1, 1, 1, 0])
    >>> p.round(3).tolist(), r.round(3).tolist(), f.round(3).tolist(), support.tolist()
    ([0.5, 0.667], [0.5, 0.667], [0.5, 0.667], [2, 3])
    >>> precision_recall_fscore([0, 0, 1, 1, 1], [0, 1, 1, 1, 0], average="micro")
    (0.6, 0.6, 0.6, None)
    """
    warn_for = each(warn_for, "warn_for")
    if not all(isinstance(name, str) for name in warn_for):
        raise TypeError("warn_for must hold names of scores alone")
    warn_for = [name for name in ALL_SCORES if name.lower() in warn_for]
    return _score(y_true, y_pred, beta, labels, pos_label, average, sample_weight, zero_division, warn_for)


@in_full_mode
def precision_score(
    y_true, y_pred, *, labels=None, pos_label=1, average="binary", sample_weight=None, zero_division="warn"
):
    """Precision hᵢ/pᵢ: how many of the samples taken for a class are of it. See :func:`precision_recall_fscore`.

    >>> precision_score([0, 1, 1, 1], [1, 1, 1, 0])
    0.6666666666666666
    """
    scores = _score(y_true, y_pred, 1, labels, pos_label, average, sample_weight, zero_division, ["Precision"])
    return scores[0]


@in_full_mode
def recall_score(
    y_true, y_pred, *, labels=None, pos_label=1, average="binary", sample_weight=None, zero_division="warn"
):
    """Recall hᵢ/tᵢ: how many of the samples of a class are taken for it. See :func:`precision_recall_fscore`.

    >>> recall_score([0, 1, 1, 1], [1, 1, 1, 0])
    0.6666666666666666
    """
    scores = _score(y_true, y_pred, 1, labels, pos_label, average, sample_weight, zero_division, ["Recall"])
    return scores[1]


@in_full_mode
def f1_score(y_true, y_pred, *, labels=None, pos_label=1, average="binary", sample_weight=None, zero_division="warn"):
    """Harmonic mean of precision and recall, 2 hᵢ / (tᵢ + pᵢ). See :func:`precision_recall_fscore`.

    >>> f1_score([0, 1, 1, 1], [1, 1, 0, 0])
    0.4
    """
    scores = _score(y_true, y_pred, 1, labels, pos_label, average, sample_weight, zero_division, ["F-score"])
    return scores[2]


@in_full_mode
def fbeta_score(
    y_true, y_pred, *, beta, labels=None, pos_label=1, average="binary", sample_weight=None, zero_division="warn"
):
    """F-score in which recall counts β times as much as precision. See :func:`precision_recall_fscore`.

    >>> round(fbeta_score([0, 1, 1, 1], [1, 1, 0, 0], beta=0.5), 6)
    0.454545
    """
    scores = _score(y_true, y_pred, beta, labels, pos_label, average, sample_weight, zero_division, ["F-score"])
    return scores[2]


@in_full_mode
def classification_report(
    y_true,
    y_pred,
    *,
    labels=None,
    target_names=None,
    sample_weight=None,
    digits=2,
    output_dict=False,
    zero_division="warn",
):
    """Precision, recall, F-score and support of every class and their averages, as text.

    ``target_names`` (k,) name the classes in the order of ``labels``; ``digits`` after the point. The third-last line
    is the accuracy where all classes are in ``labels``, otherwise the micro average. ``output_dict=True`` returns
    a dict of dicts of floats. Other arguments and errors as in :func:`precision_recall_fscore`.

    Raises ValueError for another number of names than classes (with ``labels`` a UserWarning), TypeError and
    ValueError for ``digits`` that is no integer >= 0.

    Source: scikit-learn, ``sklearn.metrics.classification_report``, whose text it is, character by character.

    >>> print(classification_report([0, 1, 1, 1], [0, 1, 1, 0], target_names=["cat", "dog"]))
                  precision    recall  f1-score   support
    <BLANKLINE>
             cat       0.50      1.00      0.67         1
             dog       1.00      0.67      0.80         3
    <BLANKLINE>
        accuracy                           0.75         4
       macro avg       0.75      0.83      0.73         4
    weighted avg       0.88      0.75      0.77         4
    <BLANKLINE>
    """
    found, *sums = tally(y_true, y_pred, sample_weight)
    return report(found, sums, labels, target_names, digits, output_dict, zero_division, 2)


def report(found, sums, labels, target_names, digits, output_dict, zero_division, depth):
    """The report of sums per class, for :func:`classification_report` and for streams."""
    digits, output_dict = integer(digits, "digits", 0, 100), flag(output_dict, "output_dict")
    given = labels is not None
    labels = label_list(labels) if given else found
    sums = _select(found, sums, labels) if given else sums
    complete = set(labels.tolist()) >= set(found.tolist())
    if target_names is None:
        target_names = [str(label) for label in labels]
    elif len(each(target_names, "target_names")) != len(labels):
        text = f"{len(labels)} labels and {len(target_names)} target_names"
        if not given:
            raise ValueError(f"{text}: pass labels")
        warnings.warn(text, UserWarning, stacklevel=depth + 1)

    def averaged(average):
        return _scores.precision_recall_fscore(*sums, 1.0, average, zero_division, ALL_SCORES, depth + 2)

    per_class = averaged(None)
    total = np.sum(per_class[-1])
    rows = {"micro": "accuracy" if complete else "micro avg", "macro": "macro avg", "weighted": "weighted avg"}
    averages = {}
    for average, name in rows.items():
        averages[name] = (*averaged(average)[:3], total)
    classes = list(zip(target_names, *per_class, strict=False))
    if output_dict:
        heads = ("precision", "recall", "f1-score", "support")
        everything = [(name, values) for name, *values in classes] + list(averages.items())
        result = {name: dict(zip(heads, map(float, values), strict=True)) for name, values in everything}
        if complete:
            result["accuracy"] = result["accuracy"]["precision"]
        return result
    width = max(*map(len, target_names), len("weighted avg"), digits)

    def line(name, *cells):
        return f"{name:>{width}s} " + "".join(f" {cell:>9}" for cell in cells) + "\n"

    def texts(scores):
        return [f"{x:.{digits}f}" for x in scores]

    text = line("", "precision", "recall", "f1-score", "support") + "\n"
    for name, *scores, support in classes:
        text += line(name, *texts(scores), support)
    text += "\n"
    for name, (*scores, support) in averages.items():
        text += line(name, *(["", "", *texts(scores[2:])] if name == "accuracy" else texts(scores)), support)
    return text


def select(found, sums, labels, pos_label, average, depth):
    """The sums of the classes that labels, average and pos_label ask for."""
    if isinstance(average, str) and average == "samples":
        raise ValueError("average must be of classes, not 'samples', which is of label indicators")
    choice(average, "average", Average)
    if not np.isscalar(pos_label) and pos_label is not None:
        raise TypeError(f"pos_label must be one label, not {type(pos_label).__name__}")
    if average == "binary":
        if len(found) > 2:
            raise ValueError(
                f"average must be another than 'binary' for more than two classes, not 'binary' for {len(found)}"
            )
        if pos_label not in found.tolist() and len(found) == 2:
            raise ValueError(f"pos_label must be one of {found.tolist()}, not {pos_label!r}")
        return _select(found, sums, np.array([pos_label]))
    if pos_label not in (None, 1):
        warnings.warn(
            f"pos_label={pos_label!r} counts with average='binary' alone; labels=[pos_label] chooses a class",
            UserWarning,
            stacklevel=depth + 1,
        )
    return sums if labels is None else _select(found, sums, label_list(labels))


def _score(y_true, y_pred, beta, labels, pos_label, average, sample_weight, zero_division, warn_for):
    beta = _scores.check_beta(beta)
    _scores.zero_divided(zero_division)
    found, *sums = tally(y_true, y_pred, sample_weight)
    sums = select(found, sums, labels, pos_label, average, 3)
    return _scores.precision_recall_fscore(*sums, beta, average, zero_division, warn_for, 3)


def _select(found, sums, labels):
    """The sums of these labels; 0 for one that does not occur. Strings meet numbers as strings, as in scikit-learn."""
    if is_text(labels) != is_text(found):
        labels, found = labels.astype(str), found.astype(str)
    place = places(labels, found)
    return [np.where(place < 0, x.dtype.type(0), x[place]) for x in sums]
