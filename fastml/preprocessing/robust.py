"""Scales set by quantiles, which outliers do not move."""

from concurrent.futures import ThreadPoolExecutor
from statistics import NormalDist

import numpy as np

from .._check import boolean, shown
from .._environment import in_full_mode
from .._threads import get_num_threads
from ._base import Scaler, without_zeros
from ._passes import check_infinity

#: Columns of a task and rows of a piece: what is turned round at once stays in the caches.
_COLUMNS, _ROWS = 8, 2048
#: Elements from which on a team of threads pays.
_MANY = 200_000


class RobustScaler(Scaler):
    r"""Columns shifted by their median and scaled by a range of their quantiles.

    .. math:: z = \frac{x - \operatorname{median} x}{Q_b - Q_a}, \quad (a, b) = \text{quantile range}

    :math:`Q_p` interpolates linearly between the order statistics on either side of place p (n - 1) / 100.

    Parameters, methods and attributes are those of ``sklearn.preprocessing.RobustScaler``, of which it is a drop-in
    replacement for dense data. Neither scikit-learn nor SciPy is needed. float32 and float64 stay, float16 becomes
    float32, everything else float64. Quantiles are interpolated in float64. NaN is left out in fit and stays in
    transform.

    Parameters
    ----------
    with_centering, with_scaling : bool
        Whether columns are shifted, and scaled.
    quantile_range : tuple (a, b)
        In per cent, 0 <= a <= b <= 100.
    copy : bool
        False: transform works in place where X is a writable, contiguous array of float32 or float64.
    unit_variance : bool
        Divide the scale by the range of the standard normal distribution's quantiles, so that normal data get
        variance 1.

    Attributes
    ----------
    center_, scale_ : ndarray (features,) of float64, or None
        Medians, and ranges of quantiles, 1 instead of 0; None without centering or scaling.
    n_features_in_, feature_names_in_ : int, ndarray of str
        The columns, and their names where X was a DataFrame with names.

    Raises ValueError for infinite values, a quantile_range that is none, and input as `StandardScaler` does; TypeError
    for sparse matrices.

    Source: R. J. Hyndman, Y. Fan, Sample quantiles in statistical packages, 1996, definition 7.

    Examples
    --------
    >>> from fastml.preprocessing import RobustScaler
    >>> scaler = RobustScaler().fit([[0.0], [1.0], [2.0], [3.0], [1000.0]])
    >>> scaler.center_, scaler.scale_
    (array([2.]), array([2.]))
    >>> scaler.transform([[4.0]])
    array([[1.]])
    """

    def __init__(
        self, *, with_centering=True, with_scaling=True, quantile_range=(25.0, 75.0), copy=True, unit_variance=False
    ):
        self.with_centering = with_centering
        self.with_scaling = with_scaling
        self.quantile_range = quantile_range
        self.copy = copy
        self.unit_variance = unit_variance

    @in_full_mode
    def fit(self, X, y=None):
        """Learn median and quantiles of X (samples, features); returns self."""
        self._learn(X)
        return self

    @in_full_mode
    def fit_transform(self, X, y=None):
        """``fit(X).transform(X)``, with X checked once."""
        return self._deliver(self._scaled(X, self._learn(X)), X)

    def _learn(self, X):
        for name in ("with_centering", "with_scaling", "copy", "unit_variance"):
            boolean(getattr(self, name), name)
        try:
            low, high = self.quantile_range
            valid = 0 <= low <= high <= 100
        except (TypeError, ValueError):
            valid = False
        if not valid:
            raise ValueError(
                f"Invalid quantile range: {shown(self.quantile_range)}; "
                "quantile_range must be (a, b), 0 <= a <= b <= 100"
            )
        x = self._seen(X, reset=True)
        check_infinity(x)
        shares = [0.5] * self.with_centering + [low / 100, high / 100] * self.with_scaling
        found = quantiles(x, shares)
        self.center_ = found[0] if self.with_centering else None
        self.scale_ = None
        if self.with_scaling:
            self.scale_ = without_zeros(found[-1] - found[-2])
            if self.unit_variance:
                self.scale_ = self.scale_ / (_normal_quantile(high / 100) - _normal_quantile(low / 100))
        return x

    @in_full_mode
    def transform(self, X):
        """X scaled, of X's dtype."""
        self._check_fitted()
        return self._deliver(self._scaled(X, self._seen(X, reset=False)), X)

    @in_full_mode
    def inverse_transform(self, X):
        """X taken back to the scale of the data."""
        return self._scaled(X, self._inverse(X), undo=True)

    def _scaled(self, X, x, undo=False):
        return self._rescaled(X, x, self.center_, self.scale_, boolean(self.copy, "copy"), undo=undo)

    def merge(self, other):
        """Always a TypeError: the quantiles of two sets do not tell those of both."""
        raise TypeError(
            "other cannot be merged into a RobustScaler: quantiles of two sets do not tell those of both together"
        )


def quantiles(x, shares):
    """The columns' quantiles, (shares, columns) in float64, NaN left out; NaN for a column of nothing else."""
    n, width = x.shape
    result = np.empty((len(shares), width))

    def some(first):
        part = slice(first, first + _COLUMNS)
        columns = np.empty((len(range(width)[part]), n), x.dtype)
        for i in range(0, n, _ROWS):
            columns[:, i : i + _ROWS] = x[i : i + _ROWS, part].T
        result[:, part] = _row_quantiles(columns, shares)

    threads = get_num_threads() if x.size > _MANY else 1
    if threads == 1:
        for first in range(0, width, _COLUMNS):
            some(first)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(some, range(0, width, _COLUMNS)))
    return result


def _row_quantiles(rows, shares):
    """As `quantiles`, of rows, which are put into another order."""
    if np.isnan(rows).any() and len(rows) > 1:
        return np.concatenate([_row_quantiles(row[None], shares) for row in rows], axis=1)
    if np.isnan(rows[0, :]).any():
        rows = rows[:, ~np.isnan(rows[0])]
    last = rows.shape[1] - 1
    if last < 0:
        return np.full((len(shares), 1), np.nan)
    places = [share * last for share in shares]
    rows.partition(sorted({k for p in places for k in (int(p), min(int(p) + 1, last))}), axis=1)
    return np.array([_between(rows, p, last) for p in places])


def _between(rows, place, last):
    """Linear interpolation, from the nearer end."""
    k = int(place)
    t = place - k
    a, b = rows[:, k].astype(np.float64), rows[:, min(k + 1, last)].astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        found = a + (b - a) * t if t < 0.5 else b - (b - a) * (1 - t)
        return np.where(b - a < np.inf, found, a * (1 - t) + b * t)


def _normal_quantile(share):
    if share in (0, 1):
        return -np.inf if share == 0 else np.inf
    return NormalDist().inv_cdf(share)
