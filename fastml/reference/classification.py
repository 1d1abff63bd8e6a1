"""Scores of predicted classes and of probabilities, label by label.

Formulas: as in scikit-learn's user guide, "Metrics and scoring", section on classification.
"""

import numpy as np

from ._arrays import as_array


def confusion_matrix(y_true, y_pred, *, labels=None, sample_weight=None, normalize=None):
    """C[i, j] = sum of the weights of the samples of label i that are taken for label j."""
    y_true, y_pred = as_array(y_true, "y_true"), as_array(y_pred, "y_pred")
    labels = np.union1d(y_true, y_pred) if labels is None else as_array(labels, "labels")
    weight = np.ones(len(y_true), np.int64) if sample_weight is None else as_array(sample_weight, "sample_weight")
    matrix = np.zeros((len(labels), len(labels)), np.float64 if weight.dtype.kind == "f" else np.int64)
    for i, true in enumerate(labels):
        for j, pred in enumerate(labels):
            matrix[i, j] = weight[(y_true == true) & (y_pred == pred)].sum()
    if normalize is None:
        return matrix
    axis = {"true": 1, "pred": 0, "all": None}[normalize]
    with np.errstate(all="ignore"):
        return np.nan_to_num(matrix / matrix.sum(axis=axis, keepdims=True))


def precision_recall_fscore(y_true, y_pred, *, beta=1.0, sample_weight=None):
    """hits / predicted, hits / true, (1 + beta^2) hits / (beta^2 true + predicted), true; 0/0 is 0."""
    matrix = confusion_matrix(y_true, y_pred, sample_weight=sample_weight)
    hits, pred, true = matrix.diagonal(), matrix.sum(axis=0), matrix.sum(axis=1)
    with np.errstate(all="ignore"):
        precision, recall = hits / pred, hits / true
        fscore = (1 + beta**2) * hits / (beta**2 * true + pred)
    return *(np.nan_to_num(x) for x in (precision, recall, fscore)), true


def balanced_accuracy_score(y_true, y_pred):
    """Mean over the labels of y_true of the share that is taken for what it is."""
    y_true, y_pred = as_array(y_true, "y_true"), as_array(y_pred, "y_pred")
    return float(np.mean([np.mean(y_pred[y_true == label] == label) for label in np.unique(y_true)]))


def cohen_kappa_score(y1, y2):
    """(observed agreement - agreement by chance) / (1 - agreement by chance)."""
    y1, y2 = as_array(y1, "y1"), as_array(y2, "y2")
    observed = np.mean(y1 == y2)
    chance = sum(np.mean(y1 == label) * np.mean(y2 == label) for label in np.union1d(y1, y2))
    return float((observed - chance) / (1 - chance))


def matthews_corrcoef(y_true, y_pred):
    """cov(t, p) / sqrt(cov(t, t) cov(p, p)) of the labels as indicator vectors."""
    y_true, y_pred = as_array(y_true, "y_true"), as_array(y_pred, "y_pred")
    labels = np.union1d(y_true, y_pred)
    t, p = ((y[:, None] == labels).astype(np.float64) for y in (y_true, y_pred))
    t, p = t - t.mean(axis=0), p - p.mean(axis=0)
    return float(np.sum(t * p) / np.sqrt(np.sum(t * t) * np.sum(p * p)))


def top_k_accuracy_score(y_true, y_score, *, k=2):
    """Share of the samples whose label, a column of y_score, is among the last k when the row is sorted."""
    best = np.argsort(as_array(y_score, "y_score"), axis=1, kind="stable")[:, -k:]
    return float(np.mean((best == as_array(y_true, "y_true")[:, None]).any(axis=1)))


def log_loss(y_true, y_proba):
    """-mean(log(y_proba[i, y_true[i]])), the labels being columns."""
    own = as_array(y_proba, "y_proba")[np.arange(len(y_true)), as_array(y_true, "y_true")]
    eps = np.finfo(own.dtype).eps
    return float(-np.mean(np.log(own.astype(np.float64).clip(eps, 1 - eps))))
