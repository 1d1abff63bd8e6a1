"""Scores of predicted classes: scikit-learn's signatures, values, result types and errors."""

import warnings

import numpy as np

from .._check import boolean, flag
from .._environment import in_full_mode
from .._kernels.classification import share_of_equals, table_of_pairs
from . import _scores
from ._targets import check_targets, is_text, label_list, places, tabulate


def accuracy_score(y_true, y_pred, *, normalize=True, sample_weight=None):
    """Share of samples whose predicted label is the true one: Σ wᵢ [ŷᵢ = yᵢ] / Σ wᵢ.

    ``y_true``, ``y_pred``: (n,) integers, bools, strings or whole-numbered floats; or (n, k) label
    indicators, where every one of a sample's k labels must agree. ``normalize=False`` gives Σ wᵢ [ŷᵢ = yᵢ]
    (without weights: the count). Returns a float.

    Raises ValueError for empty input, different lengths, real-valued targets, a mix of kinds of labels,
    weights that are not finite or all zero; TypeError for scalars and bytes.

    Source: scikit-learn, ``sklearn.metrics.accuracy_score``.

    >>> accuracy_score([0, 1, 2, 3], [0, 2, 1, 3])
    0.5
    >>> accuracy_score(["cat", "dog"], ["cat", "cat"], normalize=False)
    1.0
    """
    score = share_of_equals(y_true, y_pred, normalize) if sample_weight is None else None
    return _accuracy_score(y_true, y_pred, normalize, sample_weight) if score is None else score


@in_full_mode
def _accuracy_score(y_true, y_pred, normalize, sample_weight):
    """:func:`accuracy_score` of whatever has to be looked at more closely."""
    normalize = boolean(normalize, "normalize")
    if sample_weight is None and _are_plain(y_true, y_pred):
        count = int(np.count_nonzero(y_true == y_pred))
        return count / len(y_true) if normalize else float(count)
    multilabel, y_true, y_pred, sample_weight = check_targets(y_true, y_pred, sample_weight)
    correct = y_true == y_pred
    if multilabel:
        correct = correct.all(axis=1)
    if normalize:
        return float(np.average(correct, weights=sample_weight))
    return float(np.sum(correct if sample_weight is None else sample_weight[correct]))


def confusion_matrix(y_true, y_pred, *, labels=None, sample_weight=None, normalize=None):
    """Confusion matrix C (k, k): C[i, j] = Σ of the weights of samples of class i predicted as class j.

    ``labels`` (k,) chooses and orders the classes; samples with any other label are left out. None takes the sorted
    labels that occur. The counts are int64 without weights, or with integer ones whose sums it holds, float64
    otherwise. ``normalize="true"`` divides by the row sums, ``"pred"`` by the column sums, ``"all"`` by the total;
    0/0 is 0. One single class gives a UserWarning.

    Raises ValueError and TypeError as :func:`accuracy_score` does, and ValueError for label indicators, another
    ``normalize``, empty ``labels``, labels none of which occurs in ``y_true``, and texts for classes that are numbers.
    (scikit-learn compares those as texts to see whether any occurs, as numbers to count, and returns zeros.)

    Source: scikit-learn, ``sklearn.metrics.confusion_matrix``.

    >>> confusion_matrix([2, 0, 2, 2, 0, 1], [0, 0, 2, 2, 0, 2])
    array([[2, 0, 0],
           [0, 0, 1],
           [1, 0, 2]])
    """
    table = table_of_pairs(y_true, y_pred, labels) if sample_weight is None else None
    if table is None or normalize is not None or len(table) == 1:
        return _confusion_matrix(table, y_true, y_pred, labels, sample_weight, normalize)
    return table


@in_full_mode
def _confusion_matrix(table, y_true, y_pred, labels, sample_weight, normalize):
    """What is not done where there is a table of several labels to be returned as it is."""
    if normalize is not None:
        _scores.check_normalize(normalize)
    if table is None and labels is None:
        table = tabulate(y_true, y_pred, sample_weight)[1]
    elif table is None:
        table = _chosen(y_true, y_pred, sample_weight, label_list(labels))
    if len(table) == 1:
        warnings.warn(
            "only one label in y_true and y_pred: pass all known labels to get the matrix of all classes",
            UserWarning,
            stacklevel=3,
        )
    return _scores.normalized(table, normalize)


@in_full_mode
def balanced_accuracy_score(y_true, y_pred, *, sample_weight=None, adjusted=False):
    """Mean of the recalls of the classes that occur in ``y_true``: (1/k) Σᵢ Cᵢᵢ / Σⱼ Cᵢⱼ.

    ``adjusted=True`` rescales it so that chance gives 0 and perfection 1: (b − 1/k) / (1 − 1/k). Arguments and
    errors as in :func:`confusion_matrix`; classes that occur in ``y_pred`` alone give a UserWarning, one single
    class with ``adjusted`` an UndefinedMetricWarning and NaN. Returns a float.

    Source: scikit-learn, ``sklearn.metrics.balanced_accuracy_score``; K. Brodersen et al., The balanced accuracy
    and its posterior distribution, ICPR 2010.

    >>> balanced_accuracy_score([0, 1, 0, 0, 1, 0], [0, 1, 0, 0, 0, 1])
    0.625
    """
    return _scores.balanced_accuracy(_table(y_true, y_pred, sample_weight), flag(adjusted, "adjusted"))


@in_full_mode
def cohen_kappa_score(y1, y2, *, labels=None, weights=None, sample_weight=None):
    """Cohen's kappa, the agreement of two annotators beyond chance: 1 − Σ w C / Σ w E.

    C is the confusion matrix of ``y1`` and ``y2`` and E = (row sums)(column sums) / n what chance would give; w
    is 0 on the diagonal and elsewhere 1 (``weights=None``), |i − j| (``"linear"``) or (i − j)² (``"quadratic"``).
    Arguments and errors as in :func:`confusion_matrix`. Returns a float: NaN, with an UndefinedMetricWarning,
    where both know one and the same class only.

    Source: scikit-learn, ``sklearn.metrics.cohen_kappa_score``; J. Cohen, A coefficient of agreement for nominal
    scales, Educational and Psychological Measurement 20, 1960.

    >>> round(cohen_kappa_score([0, 1, 2, 2], [0, 1, 1, 2]), 6)
    0.636364
    """
    if labels is None:
        table = _table(y1, y2, sample_weight, ("y1", "y2"))
    else:
        table = _chosen(y1, y2, sample_weight, label_list(labels), ("y1", "y2"))
    return _scores.cohen_kappa(table, weights)


@in_full_mode
def matthews_corrcoef(y_true, y_pred, *, sample_weight=None):
    """Matthews' correlation coefficient of true and predicted classes, −1 … 1: 0 for chance, 1 for perfection.

    With c correct ones of n samples, tᵢ of class i and pᵢ taken for it:
    (c n − Σ tᵢ pᵢ) / √((n² − Σ pᵢ²) (n² − Σ tᵢ²)), and 0 where that is 0/0. Arguments and errors as in
    :func:`confusion_matrix`. Returns a float.

    Source: scikit-learn, ``sklearn.metrics.matthews_corrcoef``; J. Gorodkin, Comparing two K-category assignments
    by a K-category correlation coefficient, Computational Biology and Chemistry 28, 2004.

    >>> round(matthews_corrcoef([1, 1, 1, 0], [1, 0, 1, 1]), 6)
    -0.333333
    """
    return _scores.matthews(_table(y_true, y_pred, sample_weight))


def _are_plain(y_true, y_pred):
    """Two vectors of integers of one length, which need no further check."""
    return (
        type(y_true) is type(y_pred) is np.ndarray
        and y_true.ndim == 1
        and y_true.shape == y_pred.shape
        and y_true.dtype.kind in "iub"
        and y_pred.dtype.kind in "iub"
        and y_true.size > 0
    )


def _table(y_true, y_pred, sample_weight, names=("y_true", "y_pred")):
    """The table of the labels that occur."""
    table = table_of_pairs(y_true, y_pred) if sample_weight is None else None
    return tabulate(y_true, y_pred, sample_weight, names=names)[1] if table is None else table


def _chosen(y_true, y_pred, sample_weight, labels, names=("y_true", "y_pred")):
    """The table of these labels in this order; of a label that is listed twice, the last place counts."""
    if sample_weight is None and (table := table_of_pairs(y_true, y_pred, labels)) is not None:
        return table
    values, table = tabulate(y_true, y_pred, sample_weight, labels.tolist(), names=names)
    if all(isinstance(label, str) for label in labels.tolist()) and not is_text(values):
        raise ValueError(
            f"labels must be numbers, as those of {names[0]} are, not texts such as {labels.tolist()[0]!r}"
        )
    place = places(values, labels)
    known = place >= 0
    if not table[known].any() and not np.isin(values[known], y_true).any():
        raise ValueError(f"labels must have one that occurs in {names[0]}, not {labels.tolist()} alone")
    chosen = np.zeros((len(labels),) * 2, table.dtype)
    chosen[np.ix_(place[known], place[known])] = table[np.ix_(known, known)]
    return chosen
