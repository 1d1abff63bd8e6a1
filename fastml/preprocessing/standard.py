"""Mean 0 and variance 1."""

import sys

import numpy as np

from .._check import boolean
from .._environment import in_full_mode
from .._kernels import scaling
from ._base import Scaler
from ._input import as_weights
from ._passes import check_infinity, column_moments, weighted_moments


class StandardScaler(Scaler):
    r"""Columns shifted and scaled to mean 0 and variance 1.

    .. math:: z = \frac{x - \mu}{\sigma}, \quad \sigma^2 = \frac{1}{n} \sum (x - \mu)^2

    Parameters, methods and attributes are those of ``sklearn.preprocessing.StandardScaler``, of which it is a
    drop-in replacement for dense data. scikit-learn is not needed. float32 and float64 stay, float16 becomes float32,
    everything else float64. Sums are in float64. NaN is left out in fit and stays in transform.

    Parameters
    ----------
    copy : bool
        False: transform works in place where X is a writable, contiguous array of float32 or float64.
    with_mean, with_std : bool
        Whether columns are shifted, and scaled.

    Attributes
    ----------
    mean_, var_, scale_ : ndarray (features,) of float64, or None
        :math:`\mu`, :math:`\sigma^2` and :math:`\sigma`, which is 1 for a column that is constant within rounding;
        None where neither option needs them (mean_) or with_std=False (the others).
    n_samples_seen_ : float or ndarray (features,)
        Values, or their weights' sum; one number where no column has fewer than the others.
    n_features_in_, feature_names_in_ : int, ndarray of str
        The columns, and their names where X was a DataFrame with names.

    Raises ValueError for infinite values, for another number of columns than in fit or other names, where X does not
    have two dimensions or is empty, and for complex data; TypeError for sparse matrices and for what is no number.

    Variances are those of blocks, joined by their counts and means: T. Chan, G. Golub, R. LeVeque, Updating formulae
    and a pairwise algorithm for computing sample variances, 1979. The same bits for any number of threads.

    Examples
    --------
    >>> from fastml.preprocessing import StandardScaler
    >>> scaler = StandardScaler().fit([[0.0, 5.0], [0.0, 5.0], [1.0, 5.0], [1.0, 5.0]])
    >>> scaler.mean_, scaler.scale_
    (array([0.5, 5. ]), array([0.5, 1. ]))
    >>> scaler.transform([[2.0, 6.0]])
    array([[3., 1.]])
    """

    def __init__(self, *, copy=True, with_mean=True, with_std=True):
        self.copy = copy
        self.with_mean = with_mean
        self.with_std = with_std

    @in_full_mode
    def fit(self, X, y=None, sample_weight=None):
        """Learn mean and variance of X (samples, features); returns self.

        ``sample_weight``: (samples,), finite, not all zero. A sample of weight k counts as k of it.
        """
        self._learn(X, sample_weight, fresh=True)
        return self

    @in_full_mode
    def partial_fit(self, X, y=None, sample_weight=None):
        """Learn from a further batch: afterwards as if fitted on all batches at once, within rounding."""
        self._learn(X, sample_weight, fresh=not hasattr(self, "n_samples_seen_"))
        return self

    @in_full_mode
    def fit_transform(self, X, y=None, sample_weight=None):
        """``fit(X).transform(X)``, with X checked once."""
        x = self._learn(X, sample_weight, fresh=True)
        return self._deliver(self._scaled(X, x, self.copy), X)

    def _learn(self, X, sample_weight, fresh):
        for name in ("copy", "with_mean", "with_std"):
            boolean(getattr(self, name), name)
        x = self._seen(X, reset=fresh)
        weight = None if sample_weight is None else as_weights(sample_weight, len(x))
        part = moments(x, weight)
        self._take(*part if fresh else joined(self._moments(), part))
        near = scaling.all_within(FAR**-1.5, LARGEST, part[2])
        if fresh and self.with_std and not near and (far := is_far(*part)).any():
            unit = np.where(part[2][far] < 1, FAR, 1 / FAR)
            count, mean, var = moments(x[:, far] * unit, weight)
            self.scale_[far] = np.where(is_constant(count, mean, var), 1, np.sqrt(var) / unit)
            self.mean_[far] = mean / unit
        return x

    def _moments(self):
        """(count, mean, variance) so far, in which None stands for what is not kept."""
        return np.asarray(self.n_samples_seen_), self.mean_, self.var_

    def _take(self, count, mean, var):
        """Set the attributes."""
        count = np.broadcast_to(count, self.n_features_in_)
        self.n_samples_seen_ = count[0] if (count == count[0]).all() else count.copy()
        self.mean_ = mean if self.with_mean or self.with_std else None
        self.var_ = self.scale_ = None
        if self.with_std:
            self.var_ = var
            with np.errstate(invalid="ignore"):
                self.scale_ = np.sqrt(var)
                self.scale_[is_constant(count, mean, var)] = 1

    @in_full_mode
    def transform(self, X, copy=None):
        """X scaled, of X's dtype; ``copy`` takes the place of the parameter where it is not None."""
        self._check_fitted()
        x = self._seen(X, reset=False)
        return self._deliver(self._scaled(X, x, self.copy if copy is None else copy), X)

    @in_full_mode
    def inverse_transform(self, X, copy=None):
        """:math:`x = z \\sigma + \\mu`."""
        x = self._inverse(X)
        return self._scaled(X, x, self.copy if copy is None else copy, undo=True)

    def _scaled(self, X, x, copy, undo=False):
        return self._rescaled(
            X, x, self.mean_ if self.with_mean else None, self.scale_, boolean(copy, "copy"), undo=undo
        )

    @in_full_mode
    def merge(self, other):
        """Take in what another fitted StandardScaler saw, as if this one had been fitted on both; returns self.

        ValueError where the other has other columns or options.
        """
        self._check_mergeable(other, "with_mean", "with_std")
        self._take(*joined(self._moments(), other._moments()))
        return self


#: A power of two that takes squares which overflow or vanish back into the range.
FAR = 2.0**600
LARGEST = sys.float_info.max


def moments(x, weight):
    """(count, mean, variance) of the columns, NaN left out; ValueError for infinity."""
    count = np.float64(len(x))
    if weight is None:
        mean, m2 = column_moments(x)
    if weight is not None or not scaling.all_within(-LARGEST, LARGEST, mean, m2):
        check_infinity(x)
        count, mean, m2 = weighted_moments(x, weight)
    with np.errstate(invalid="ignore", divide="ignore"):
        return count, mean, m2 / count


def is_far(count, mean, var):
    """Columns of finite numbers whose squares overflow, or may have vanished."""
    small = (var < 1 / FAR**1.5) & (np.abs(mean) < 1 / FAR**0.75) & (mean != 0)
    return (np.isinf(var) | np.isnan(var) | small) & (np.asarray(count) != 0)


def joined(a, b):
    """(count, mean, variance) of two sets from those of each; a mean or variance of None stays None."""
    (n, mean, var), (n_b, mean_b, var_b) = a, b
    count = n + n_b
    if mean is None:
        return count, None, None
    with np.errstate(invalid="ignore", divide="ignore"):
        apart = mean_b - mean
        joint = np.where(n_b == 0, mean, np.where(n == 0, mean_b, mean + apart * (n_b / count)))
        if var is None:
            return count, joint, None
        spread = (var * n + var_b * n_b + apart * apart * (n * n_b / count)) / count
    return count, joint, np.where(n_b == 0, var, np.where(n == 0, var_b, spread))


def is_constant(count, mean, var):
    """Columns whose variance is within the bounds of its own rounding error."""
    eps = np.finfo(np.float64).eps
    with np.errstate(over="ignore"):
        return var <= count * eps * var + (count * mean * eps) ** 2
