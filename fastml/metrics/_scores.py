"""Scores from how often each class is taken for each: what one call over all samples and a stream have in common."""

import math
import warnings

import numpy as np

from .._check import choice, number, shown
from .._choices import KappaWeights, Normalize


class UndefinedMetricWarning(UserWarning):
    """A score is undefined for these samples and a substitute was returned."""


def normalized(table, normalize):
    """The table divided by the sums of its rows, of its columns or of all of it; 0/0 is 0."""
    if normalize is None:
        return table
    axis = {"true": 1, "pred": 0, "all": None}[normalize]
    with np.errstate(all="ignore"):
        return np.nan_to_num(table / table.sum(axis=axis, keepdims=True))


def check_normalize(normalize):
    choice(normalize, "normalize", Normalize)


def balanced_accuracy(table, adjusted):
    """Mean recall of the classes that occur."""
    with np.errstate(all="ignore"):
        recall = table.diagonal() / table.sum(axis=1)
    undefined = np.isnan(recall)
    if undefined.any():
        warnings.warn("y_pred contains classes not in y_true", UserWarning, stacklevel=3)
        recall = recall[~undefined]
    if len(recall) <= bool(adjusted):
        warn_undefined(f"The balanced accuracy of {len(recall)} classes is undefined and set to NaN", 4)
        return float("nan")
    score = float(np.mean(recall))
    if not adjusted:
        return score
    chance = 1 / len(recall)
    return (score - chance) / (1 - chance)


def cohen_kappa(table, weights):
    """1 − Σ w C / Σ w E, where E has the margins of C and independent annotators."""
    choice(weights, "weights", KappaWeights)
    table = _unit_scale(table)
    columns, rows = table.sum(axis=0), table.sum(axis=1)
    apart = np.abs(np.subtract.outer(np.arange(len(table)), np.arange(len(table))))
    w = {None: apart > 0, "linear": apart, "quadratic": apart**2}[weights]
    with np.errstate(all="ignore"):
        expected = np.sum(w * (np.outer(columns, rows) / columns.sum()))
    if not expected > 0 and not expected < 0:
        warn_undefined("Cohen's kappa of a single class, or of no sample, is undefined and set to NaN", 4)
        return float("nan")
    return float(1 - np.sum(w * table) / expected)


def _unit_scale(table):
    """The table in float64 divided by a power of two, so that products of its sums do not overflow."""
    table = table.astype(np.float64)
    return np.ldexp(table, -np.frexp(np.abs(table).max(initial=0))[1])


def matthews(table):
    """Correlation of the two label arrays as indicator vectors; 0 where one of them is constant."""
    table = _unit_scale(table)
    true, pred = table.sum(axis=1), table.sum(axis=0)
    n = pred.sum()
    covariance = np.trace(table) * n - np.sum(true * pred)
    variances = (n**2 - np.sum(pred**2)) * (n**2 - np.sum(true**2))
    return float(covariance / np.sqrt(variances)) if variances else 0.0


def check_beta(beta):
    return number(beta, "beta", 0)


def zero_divided(zero_division):
    """What 0/0 is to be, as a float."""
    if isinstance(zero_division, str):
        if zero_division == "warn":
            return 0.0
    elif isinstance(zero_division, (int, float, np.integer, np.floating)) and (
        zero_division in (0, 1) or math.isnan(zero_division)
    ):
        return float(zero_division)
    raise ValueError(f"zero_division must be 'warn', 0, 1 or NaN, not {shown(zero_division)}")


def precision_recall_fscore(hits, pred, true, beta, average, zero_division, warn_for, depth):
    """Precision, recall, F-score and support from sums per class, or their averages and None.

    ``depth`` is how many calls further up the user stands.
    """
    instead = zero_divided(zero_division)
    if average == "micro":
        hits, pred, true = (np.sum(x, keepdims=True) for x in (hits, pred, true))

    def ratio(a, b, name, missing):
        undefined = b == 0
        if not undefined.any():
            return a / b
        if zero_division == "warn" and name in warn_for:
            where = "for lack of" if len(b) == 1 else "for labels without"
            warn_undefined(
                f"{name} is undefined and set to 0.0 {where} {missing} samples; zero_division= says what it is to be",
                depth + 3,
            )
        return np.where(undefined, instead, a / np.where(undefined, 1, b))

    precision = ratio(hits, pred, "Precision", "predicted")
    recall = ratio(hits, true, "Recall", "true")
    if np.isposinf(beta):
        fscore = recall
    elif beta == 0:
        fscore = precision
    else:
        fscore = ratio((1 + beta**2) * hits, beta**2 * true + pred, "F-score", "true or predicted")
    if average is None:
        return precision, recall, fscore, true
    weights = true if average == "weighted" else None
    return *(_mean(x, weights) for x in (precision, recall, fscore)), None


def warn_undefined(text, depth):
    warnings.warn(text, UndefinedMetricWarning, stacklevel=depth)


def _mean(x, weights):
    """Mean without NaN, NaN where nothing else is there; weights that are all zero do not count."""
    known = ~np.isnan(x)
    if not known.any():
        return float("nan")
    if weights is not None:
        weights = weights[known]
        if weights.sum() == 0:
            weights = None
    return float(np.average(x[known], weights=weights))
