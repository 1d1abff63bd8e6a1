"""Scores of probabilities and decision values: scikit-learn's signatures, values and errors."""

import sys
import warnings

import numpy as np

from .. import _check
from .._environment import in_full_mode
from .._kernels import scores as _kernel
from ._scores import warn_undefined
from ._targets import check_weights, classes_of, distinct, label_list

EPSILON = {np.dtype(t): float(np.finfo(t).eps) for t in (np.float32, np.float64)}


@in_full_mode
def top_k_accuracy_score(y_true, y_score, *, k=2, normalize=True, sample_weight=None, labels=None):
    """Share of samples whose true class is among the k classes of the highest scores.

    ``y_score``: (n, classes), finite, of any scale, its columns in the order of the sorted labels; of equal scores
    the last column counts as the highest. Two classes have one score (n,), that of the second class: it is predicted
    above 0.5 where all scores lie in [0, 1], otherwise above 0. ``labels``: all classes, sorted, where ``y_true``
    has not all of them. ``normalize=False`` gives the number (or the weight) of such samples. Returns a float.

    A k that takes in all classes gives an UndefinedMetricWarning. Raises TypeError and ValueError for ``k`` that is no
    integer >= 1, scores of another shape or not finite, labels that are not sorted or that lack one of ``y_true``'s.

    Source: scikit-learn, ``sklearn.metrics.top_k_accuracy_score``.

    >>> scores = [[0.5, 0.2, 0.2], [0.3, 0.4, 0.2], [0.2, 0.4, 0.3], [0.7, 0.2, 0.1]]
    >>> top_k_accuracy_score([0, 1, 2, 2], scores, k=2)
    0.75
    """
    k = _check.integer(k, "k", 1, sys.maxsize)
    values, codes = classes_of(y_true, "y_true")
    y_score = _scores_array(y_score, "y_score")
    binary = len(values) <= 2 and (labels is None or len(labels) <= 2)
    if binary and y_score.ndim == 2 and y_score.shape[1] != 1:
        raise ValueError(
            f"y_score must be one score a sample for two classes, not the shape {y_score.shape}: pass labels"
        )
    if not binary and y_score.ndim != 2:
        raise ValueError(
            f"y_score must have one column for each of {len(values)} classes, not the shape {y_score.shape}"
        )
    if len(y_score) != len(codes):
        raise ValueError(f"y_score must have one row for each of {len(codes)} samples, not {len(y_score)}")
    weight = check_weights(sample_weight, len(codes))
    n_classes = 2 if binary else y_score.shape[1]
    if labels is not None:
        labels = label_list(labels)
        if not np.array_equal(distinct(labels), labels):
            raise ValueError(f"labels must be sorted and distinct, not {labels.tolist()}")
        codes = _recode(values, codes, labels)
        values = labels
    if len(values) != n_classes:
        raise ValueError(
            f"y_score must have one column for each of {len(values)} classes, not {n_classes}: "
            "pass all classes as labels"
        )
    if k >= n_classes:
        warn_undefined(f"k={k} takes in all {n_classes} classes: the score is always 1", 3)
    if not binary:
        hits, strange = _kernel.top_k_hits(y_score, codes, k)
    else:
        y_score = y_score.reshape(-1)
        low, high = y_score.min(), y_score.max()
        strange = not np.isfinite(high - low)
        hits = (y_score > (0.5 if low >= 0 and high <= 1 else 0)) == codes if k == 1 else np.ones(len(codes), bool)
    if strange:
        raise ValueError("y_score must be finite, not NaN or infinity")
    return _average(hits, weight, normalize)


def log_loss(y_true, y_proba, *, normalize=True, sample_weight=None, labels=None):
    """Cross-entropy of predicted probabilities: −Σ wᵢ log pᵢ / Σ wᵢ, with pᵢ that of sample i's true class.

    ``y_proba``: (n, classes), its columns in the order of the sorted labels, or (n,) the probability of the second of
    two classes. Probabilities are kept within [ε, 1 − ε], ε that of their dtype. ``labels``: all classes, where
    ``y_true`` has not all of them; their order is not looked at (a UserWarning where they are not sorted).
    ``normalize=False`` gives Σ wᵢ … alone. Rows that do not sum to 1 give a UserWarning. Returns a float, in nats.

    Raises ValueError for probabilities outside [0, 1] or not finite, other numbers of classes or samples, fewer than
    two classes, a label of ``y_true`` that is not in ``labels``; TypeError for scalars.

    Source: scikit-learn, ``sklearn.metrics.log_loss``; C. Bishop, Pattern Recognition and Machine Learning, 4.3.4.

    >>> round(log_loss(["spam", "ham", "ham", "spam"], [[0.1, 0.9], [0.9, 0.1], [0.8, 0.2], [0.35, 0.65]]), 6)
    0.216162
    """
    if sample_weight is None and labels is None and normalize is True:
        loss = _kernel.log_loss(y_true, y_proba)
        if loss is not None:
            return loss
    return _log_loss(y_true, y_proba, normalize, sample_weight, labels)


@in_full_mode
def _log_loss(y_true, y_proba, normalize, sample_weight, labels):
    """:func:`log_loss` of whatever has to be looked at more closely."""
    values, codes = classes_of(y_true, "y_true")
    y_proba = _scores_array(y_proba, "y_proba")
    if len(y_proba) != len(codes):
        raise ValueError(f"y_proba must have one row for each of {len(codes)} samples, not {len(y_proba)}")
    weight = check_weights(sample_weight, len(codes))
    if labels is not None:
        labels = label_list(labels)
        ordered = distinct(labels)
        if not np.array_equal(ordered, labels):
            warnings.warn(f"labels are taken in the order {ordered.tolist()}", UserWarning, stacklevel=3)
        codes = _recode(values, codes, ordered)
        values = ordered
    if len(values) < 2:
        raise ValueError(f"y_true must have at least two classes, not {values.tolist()}: pass all classes as labels")
    eps = EPSILON[y_proba.dtype]
    columns = y_proba.shape[1] if y_proba.ndim == 2 and y_proba.shape[1] > 1 else 2
    if columns != len(values):
        raise ValueError(
            f"y_proba must have one column for each of {len(values)} classes, not {columns}: pass all classes as labels"
        )
    own, outside, uneven = _kernel.pick(y_proba, codes, eps, np.sqrt(eps))
    if outside and not (y_proba.min() >= 0 and y_proba.max() <= 1):
        raise ValueError(f"y_proba must lie in [0, 1], not in [{y_proba.min()}, {y_proba.max()}]")
    if uneven:
        warnings.warn("the rows of y_proba do not sum to 1", UserWarning, stacklevel=3)
    return -_average(np.log(own, own), weight, normalize)


def _scores_array(y, name):
    """Numbers of one or two dimensions, float32 or float64, contiguous."""
    y = _check.as_array(y, name)
    if y.dtype in EPSILON and y.flags.carray and 1 <= y.ndim <= 2 and y.size:
        return y
    if y.ndim == 0:
        raise TypeError(f"{name} must be an array, not {y.item()!r}")
    if y.dtype.kind not in "fiub":
        raise ValueError(f"{name} must hold real numbers, not {y.dtype}")
    if y.ndim > 2 or y.size == 0:
        raise ValueError(f"{name} must have shape (n,) or (n, classes), not {y.shape}")
    return np.require(y, np.float32 if y.dtype.kind == "f" and y.dtype.itemsize == 4 else np.float64, "CA")


def _recode(values, codes, labels):
    """Places among the sorted ``labels`` instead of among ``values``."""
    try:
        place = np.searchsorted(labels, values).clip(max=len(labels) - 1)
    except TypeError:
        raise TypeError(f"labels must be of the kind of y_true, {values.dtype}, not {labels.dtype}") from None
    missing = values[labels[place] != values]
    if len(missing):
        raise ValueError(f"labels must have all classes of y_true, {missing.tolist()} too, not {labels.tolist()}")
    return codes if np.array_equal(place, np.arange(len(values))) else place[codes]


def _average(x, weight, normalize):
    if _check.boolean(normalize, "normalize"):
        if weight is not None:
            return float(np.average(x, weights=weight))
        return float(np.count_nonzero(x) if x.dtype == bool else np.add.reduce(x)) / len(x)
    return float(np.sum(x if weight is None else x * weight))
