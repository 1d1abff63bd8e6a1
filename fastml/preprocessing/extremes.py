"""Scales set by the least and the greatest value."""

import numpy as np

from .._check import boolean, each, number, shown
from .._environment import in_full_mode
from ._base import Scaler, unit_of, without_zeros
from ._passes import check_infinity


class _ByExtremes(Scaler):
    """fit, partial_fit, transform and merge over the attributes data_min_, data_max_ or max_abs_."""

    @in_full_mode
    def fit(self, X, y=None):
        """Learn from X (samples, features); returns self."""
        self._learn(X, fresh=True)
        return self

    @in_full_mode
    def partial_fit(self, X, y=None):
        """Learn from a further batch: afterwards as if fitted on all batches at once."""
        self._learn(X, fresh=not hasattr(self, "n_samples_seen_"))
        return self

    @in_full_mode
    def fit_transform(self, X, y=None):
        """``fit(X).transform(X)``, with X checked once."""
        return self._deliver(self._scaled(X, self._learn(X, fresh=True)), X)

    def _learn(self, X, fresh):
        self._check_options()
        x = self._seen(X, reset=fresh)
        low, high = check_infinity(x)
        if (low > high).any():  # nothing but NaN in a column
            low, high = np.where(low > high, np.nan, low), np.where(low > high, np.nan, high)
        self._take(low, high, len(x), fresh)
        return x

    @in_full_mode
    def transform(self, X):
        """X scaled, of X's dtype."""
        self._check_fitted()
        return self._deliver(self._scaled(X, self._seen(X, reset=False)), X)

    def _scaled(self, X, x):
        center, scale, unit, product = self._coefficients()
        return self._rescaled(X, x, center, scale, self.copy, *self._bounds(), undo=product, unit=unit)

    @in_full_mode
    def inverse_transform(self, X):
        """X taken back to the scale of the data; what was clipped stays clipped."""
        self._check_fitted()
        center, scale, unit, product = self._coefficients()
        copy = boolean(self.copy, "copy")
        return self._rescaled(X, self._inverse(X), center, scale, copy, undo=not product, unit=unit)


class MinMaxScaler(_ByExtremes):
    r"""Columns shifted and scaled so that they just fill a range.

    .. math:: z = l + (x - \min x) \frac{h - l}{\max x - \min x}, \quad (l, h) = \text{feature range}

    Parameters, methods and attributes are those of ``sklearn.preprocessing.MinMaxScaler``, of which it is a drop-in
    replacement; scikit-learn is not needed. float32 stays float32 (float16 becomes it), float64 stays, everything else
    becomes float64. NaN is left out in fit and stays in transform. A range (0, 1) is met exactly at both ends.

    Parameters
    ----------
    feature_range : tuple (l, h)
        l < h.
    copy : bool
        False: transform works in place where X is a writable, contiguous array of float32 or float64.
    clip : bool
        Whether values beyond those of fit become l or h.

    Attributes
    ----------
    data_min_, data_max_, data_range_, scale_, min_ : ndarray (features,) of the data's dtype
        Least and greatest value and their difference; :math:`z = x \cdot \text{scale\_} + \text{min\_}`. A constant
        column has the scale of one whose range is 1.
    n_samples_seen_, n_features_in_ : int
    feature_names_in_ : ndarray of str
        Where X was a DataFrame with names.

    Raises ValueError for infinite values, a feature_range that is none, and for input as `StandardScaler` does.

    Examples
    --------
    >>> from fastml.preprocessing import MinMaxScaler
    >>> scaler = MinMaxScaler(clip=True).fit([[1.0, 3.0], [5.0, 3.0]])
    >>> scaler.transform([[2.0, 3.5], [9.0, 3.0]])
    array([[0.25, 0.5 ],
           [1.  , 0.  ]])
    """

    def __init__(self, feature_range=(0, 1), *, copy=True, clip=False):
        self.feature_range = feature_range
        self.copy = copy
        self.clip = clip

    def _check_options(self):
        boolean(self.copy, "copy")
        boolean(self.clip, "clip")
        ends = each(self.feature_range, "feature_range")
        if len(ends) != 2:
            raise ValueError(f"feature_range must be a pair (low, high), not {shown(self.feature_range)}")
        low, high = (number(end, "feature_range") for end in ends)
        if not low < high:
            raise ValueError(f"feature_range must be (low, high) with low < high, not {shown(self.feature_range)}")
        if high - low == np.inf:
            raise ValueError(f"feature_range must be of finite width, not {shown(self.feature_range)}")
        return low, high

    def _take(self, low, high, count, fresh):
        if not fresh:
            low, high = np.fmin(self.data_min_, low), np.fmax(self.data_max_, high)
            count += self.n_samples_seen_
        with np.errstate(over="ignore"):
            self.data_min_, self.data_max_, self.data_range_ = low, high, high - low
        self.n_samples_seen_ = count
        learnt = self._learnt()
        self.scale_, self.min_ = self._rounded(*learnt)
        self._kept = self._basis(), learnt

    def _basis(self):
        """All that a transform depends on, which anybody may have set."""
        arrays = self.data_min_, self.data_max_, self.data_range_, self.scale_, self.min_
        return *[a.tobytes() if isinstance(a, np.ndarray) else a for a in arrays], self.feature_range

    def _learnt(self):
        """z = (x / unit - center) / scale, in float64; a unit of None is 1."""
        low, high = self._check_options()
        unit = unit_of(self.data_min_.dtype, self.data_min_, self.data_max_)
        least, most = (x.astype(np.float64) / (1 if unit is None else unit) for x in (self.data_min_, self.data_max_))
        spread = most - least
        scale = np.where(self.data_range_ == without_zeros(self.data_range_), spread, 1.0)
        scale = np.where(np.isnan(spread), spread, scale) / (high - low)
        return least - low * scale, scale, unit

    def _rounded(self, center, scale, unit):
        """The same as scale_ and min_."""
        factor = 1 / scale if unit is None else 1 / scale / unit
        return factor.astype(self.data_min_.dtype), ((0 - center) / scale).astype(self.data_min_.dtype)

    def _coefficients(self):
        """(center, scale, unit, whether z is x scale + center and not (x / unit - center) / scale): what was learnt, in
        float64, unless scale_ or min_ has been set since."""
        basis, learnt = getattr(self, "_kept", (None, None))
        if basis == self._basis():
            return *learnt, False
        learnt = self._learnt()
        now = self.scale_, self.min_
        if all(np.array_equal(a, b, equal_nan=True) for a, b in zip(now, self._rounded(*learnt), strict=True)):
            return *learnt, False
        return self.min_, self.scale_, None, True

    def _bounds(self):
        return self._check_options() if self.clip else (-np.inf, np.inf)

    @in_full_mode
    def merge(self, other):
        """Take in what another fitted MinMaxScaler saw, as if this one had been fitted on both; returns self.

        ValueError where the other has other columns or another feature_range.
        """
        self._check_mergeable(other, "feature_range")
        self._take(other.data_min_, other.data_max_, other.n_samples_seen_, fresh=False)
        return self


class MaxAbsScaler(_ByExtremes):
    r"""Columns divided by their greatest absolute value: zero stays zero, and all lies in -1 ... 1.

    .. math:: z = \frac{x}{\max |x|}

    Parameters, methods and attributes are those of ``sklearn.preprocessing.MaxAbsScaler``, of which it is a drop-in
    replacement for dense data; scikit-learn is not needed. Types and NaN as in `MinMaxScaler`.

    Parameters
    ----------
    copy : bool
        False: transform works in place where X is a writable, contiguous array of float32 or float64.
    clip : bool
        Whether values beyond those of fit become -1 or 1.

    Attributes
    ----------
    max_abs_, scale_ : ndarray (features,) of the data's dtype
        The greatest absolute value, and what is divided by: 1 instead of 0.
    n_samples_seen_, n_features_in_ : int
    feature_names_in_ : ndarray of str
        Where X was a DataFrame with names.

    Raises ValueError for infinite values and for input as `StandardScaler` does; TypeError for sparse matrices.

    Examples
    --------
    >>> from fastml.preprocessing import MaxAbsScaler
    >>> MaxAbsScaler().fit_transform([[1.0, 0.0], [-4.0, 0.0]])
    array([[ 0.25,  0.  ],
           [-1.  ,  0.  ]])
    """

    def __init__(self, *, copy=True, clip=False):
        self.copy = copy
        self.clip = clip

    def _check_options(self):
        boolean(self.copy, "copy")
        boolean(self.clip, "clip")

    def _take(self, low, high, count, fresh):
        most = np.maximum(np.abs(low), np.abs(high))
        if not fresh:
            most = np.fmax(self.max_abs_, most)
            count += self.n_samples_seen_
        self.max_abs_, self.scale_ = most, without_zeros(most)
        self.n_samples_seen_ = count

    def _coefficients(self):
        return None, self.scale_, None, False

    def _bounds(self):
        self._check_options()
        return (-1.0, 1.0) if self.clip else (-np.inf, np.inf)

    @in_full_mode
    def merge(self, other):
        """Take in what another fitted MaxAbsScaler saw, as if this one had been fitted on both; returns self.

        ValueError where the other has other columns.
        """
        self._check_mergeable(other)
        self._take(other.max_abs_, other.max_abs_, other.n_samples_seen_, fresh=False)
        return self
