"""Accuracy and confusion matrix: scikit-learn's signatures, values, result types and errors."""

import warnings

import numpy as np

from ._targets import check_targets, encode


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
    if not isinstance(normalize, (bool, np.bool_)):
        raise TypeError(f"normalize must be a bool, got {normalize!r}")
    multilabel, y_true, y_pred, sample_weight = check_targets(y_true, y_pred, sample_weight)
    correct = y_true == y_pred
    if multilabel:
        correct = correct.all(axis=1)
    if normalize:
        return float(np.average(correct, weights=sample_weight))
    return float(correct.sum() if sample_weight is None else np.dot(correct, sample_weight))


def confusion_matrix(y_true, y_pred, *, labels=None, sample_weight=None, normalize=None):
    """Confusion matrix C (k, k): C[i, j] = Σ of the weights of samples of class i predicted as class j.

    ``labels`` (k,) chooses and orders the classes, samples with any other label are left out; None takes
    the sorted labels that occur. int64 counts without weights or with integer ones, float64 otherwise;
    ``normalize="true"`` divides by the row sums, ``"pred"`` by the column sums, ``"all"`` by the total,
    and 0/0 is 0. One single class gives a UserWarning.

    Raises ValueError and TypeError as :func:`accuracy_score` does, and ValueError for label indicators,
    another ``normalize``, empty ``labels`` or labels none of which occurs in ``y_true``.

    Source: scikit-learn, ``sklearn.metrics.confusion_matrix``.

    >>> confusion_matrix([2, 0, 2, 2, 0, 1], [0, 0, 2, 2, 0, 2])
    array([[2, 0, 0],
           [0, 0, 1],
           [1, 0, 2]])
    """
    if normalize is not None and normalize not in ("true", "pred", "all"):
        raise ValueError(f"normalize must be 'true', 'pred', 'all' or None, got {normalize!r}")
    multilabel, y_true, y_pred, weight = check_targets(y_true, y_pred, sample_weight)
    if multilabel:
        raise ValueError("multilabel-indicator targets are not supported")
    true, pred, k = encode(y_true, y_pred, labels)
    if labels is not None:
        known = (true >= 0) & (pred >= 0)
        true, pred = true[known], pred[known]
        weight = weight if weight is None else weight[known]

    cell = true * k + pred
    if weight is None:
        cm = np.bincount(cell, minlength=k * k)
    elif weight.dtype.kind == "f":
        cm = np.bincount(cell, weights=weight, minlength=k * k)
    else:
        cm = np.zeros(k * k, dtype=np.int64)
        np.add.at(cm, cell, weight.astype(np.int64))
    cm = cm.astype(np.float64 if cm.dtype.kind == "f" else np.int64, copy=False).reshape(k, k)

    if normalize is not None:
        axis = {"true": 1, "pred": 0, "all": None}[normalize]
        with np.errstate(all="ignore"):
            cm = np.nan_to_num(cm / cm.sum(axis=axis, keepdims=True))
    if k == 1:
        warnings.warn(
            "only one label in y_true and y_pred: pass all known labels to get the matrix of all classes",
            UserWarning,
            stacklevel=2,
        )
    return cm
