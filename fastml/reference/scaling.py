"""The scalers' passes over a matrix (samples, features), in float64.

Variances after T. Chan, G. Golub, R. LeVeque, "Algorithms for computing the sample variance: analysis and
recommendations" (The American Statistician 37, 1983): two passes.
"""

import numpy as np

from ._arrays import as_array


def column_moments(x):
    """(mean, sum of squared deviations from it) of every column."""
    x = as_array(x, "x", np.float64)
    return x.mean(axis=0), np.square(x - x.mean(axis=0)).sum(axis=0)


def weighted_moments(x, weight=None):
    """(sum of weights, weighted mean, weighted sum of squared deviations) of every column, NaN left out."""
    x = as_array(x, "x", np.float64)
    w = np.ones(len(x)) if weight is None else as_array(weight, "weight", np.float64)
    w = np.where(np.isnan(x), 0.0, w[:, None])
    x = np.where(np.isnan(x), 0.0, x)
    count, total = w.sum(axis=0), (w * x).sum(axis=0)
    mean = np.divide(total, count, out=np.full_like(total, np.nan), where=count != 0)
    return count, mean, (w * np.square(x - np.where(count == 0, 0, mean))).sum(axis=0)


def column_extremes(x):
    """(least, greatest) element of every column, NaN left out; inf and -inf where there is nothing else."""
    x = as_array(x, "x")
    return np.fmin.reduce(x, axis=0, initial=np.inf), np.fmax.reduce(x, axis=0, initial=-np.inf)


def rescale(x, center, scale, low=-np.inf, high=np.inf, undo=False):
    """(x - center) / scale, or x scale + center to undo it, within low ... high; NaN stays."""
    x = as_array(x, "x", np.float64)
    y = x * scale + center if undo else (x - center) / scale
    return np.clip(y, low, high)


def normalize(x, norm):
    """Rows divided by the sum of |x| (norm 1), the root of the sum of squares (2) or the greatest |x| (0)."""
    x = as_array(x, "x", np.float64)
    size = {1: np.abs(x).sum(axis=1), 2: np.sqrt(np.square(x).sum(axis=1)), 0: np.abs(x).max(axis=1)}[norm]
    return x / np.where(size == 0, 1.0, size)[:, None]
