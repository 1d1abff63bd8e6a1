"""Categories as rows of zeros with a one."""

import numbers
import warnings

import numpy as np

from .._check import as_array, as_dtype, boolean, choice, shown
from .._choices import HandleUnknown
from . import _frames
from ._base import Transformer
from ._categories import factorize, is_nan, lookup
from ._input import as_matrix, check_names, check_shape, is_sparse, refuse_sparse, set_names

#: What inverse_transform and the names call infrequent categories, scikit-learn's word.
_INFREQUENT = "infrequent_sklearn"


class OneHotEncoder(Transformer):
    r"""Columns of categories as one column of zeros and ones for each category.

    .. math:: z_{jc} = [x_j = c], \quad c \in \text{categories}_j

    Parameters, methods and attributes are those of ``sklearn.preprocessing.OneHotEncoder``, of which it is a drop-in
    replacement; scikit-learn is not needed, SciPy only for sparse output. X may hold integers, strings, floats, bools
    or objects of sortable kinds, None and NaN being categories of their own, the last ones.

    Parameters
    ----------
    categories : "auto" or a list of array_like, one a column
        The categories; "auto" takes the sorted values of X. Numbers must be sorted, NaN comes last.
    drop : None, "first", "if_binary" or array_like (features,)
        A category without a column: the first, the first where there are two, or the one given.
    sparse_output : bool
        Whether transform returns a SciPy CSR matrix or an array.
    dtype : dtype of the result
    handle_unknown : "error", "ignore", "infrequent_if_exist" or "warn"
        What transform does with a value that fit has not seen: ValueError; zeros alone; the infrequent category's
        column, zeros where there is none; the same with a warning.
    min_frequency : int, float in (0, 1) or None
        Categories of fewer values (of a smaller share of them) are infrequent and have one column, the last.
    max_categories : int or None
        At most so many columns a feature, that of the infrequent categories included.
    feature_name_combiner : "concat" or callable (feature, category) -> str
        How get_feature_names_out makes a name; "concat" is feature + "_" + str(category).

    Attributes
    ----------
    categories_ : list of ndarray
    drop_idx_ : ndarray (features,) of indices into categories_ or None, or None
    infrequent_categories_ : list of ndarray or None
        Only with min_frequency or max_categories.
    n_features_in_, feature_names_in_ : int, ndarray of str
        The columns, and their names where X was a DataFrame with names.

    Raises ValueError for options that are none, infinite values, unknown categories and input as `StandardScaler`
    does; TypeError for values that cannot be sorted and for sparse matrices; ImportError for sparse output without
    SciPy.

    Examples
    --------
    >>> from fastml.preprocessing import OneHotEncoder
    >>> encoder = OneHotEncoder(sparse_output=False).fit([["red", 1], ["blue", 3]])
    >>> encoder.transform([["blue", 1]])
    array([[1., 0., 1., 0.]])
    >>> encoder.get_feature_names_out(["colour", "size"]).tolist()
    ['colour_blue', 'colour_red', 'size_1', 'size_3']
    """

    def __init__(
        self,
        *,
        categories="auto",
        drop=None,
        sparse_output=True,
        dtype=np.float64,
        handle_unknown="error",
        min_frequency=None,
        max_categories=None,
        feature_name_combiner="concat",
    ):
        self.categories = categories
        self.drop = drop
        self.sparse_output = sparse_output
        self.dtype = dtype
        self.handle_unknown = handle_unknown
        self.min_frequency = min_frequency
        self.max_categories = max_categories
        self.feature_name_combiner = feature_name_combiner

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.categorical = True
        tags.transformer_tags.preserves_dtype = ["float64"]
        return tags

    # Fit

    def fit(self, X, y=None):
        """Learn the categories of X (samples, features); returns self."""
        self._learn(X)
        return self

    def fit_transform(self, X, y=None):
        """``fit(X).transform(X)``, with the values looked up once."""
        return self._encoded(X, self._learn(X))

    def _learn(self, X):
        """The categories and where each goes; returns the index of every column's values among them."""
        self._check_options()
        columns = self._columns(X, reset=True)
        if self.categories != "auto" and len(self.categories) != len(columns):
            raise ValueError(
                f"Shape mismatch: categories must have one entry a feature, {len(columns)}, not {len(self.categories)}."
            )
        self.categories_, codes = [], []
        for i, column in enumerate(columns):
            values, index = factorize(column)
            if self.categories != "auto":
                known = _given(self.categories[i], column, i)
                index = lookup(values, known)[index]
                if self.handle_unknown == "error" and (index < 0).any():
                    raise ValueError(f"Found unknown categories {_some(column[index < 0])} in column {i} during fit")
                values = known
            self.categories_.append(values)
            codes.append(index)
        self._group(codes)
        self._place()
        return codes

    def _check_options(self):
        boolean(self.sparse_output, "sparse_output")
        as_dtype(self.dtype)
        if not (
            isinstance(self.categories, (list, tuple)) or isinstance(self.categories, str) and self.categories == "auto"
        ):
            raise ValueError(f"categories must be 'auto' or a list of arrays, not {self.categories!r}")
        choice(self.handle_unknown, "handle_unknown", HandleUnknown)
        if isinstance(self.drop, str) and self.drop not in ("first", "if_binary"):
            raise ValueError(f"drop must be None, 'first', 'if_binary' or an array of categories, not {self.drop!r}")
        combine = self.feature_name_combiner
        if not (callable(combine) or (isinstance(combine, str) and combine == "concat")):
            raise ValueError(f"feature_name_combiner must be 'concat' or callable, not {shown(combine)}")
        least, most = self.min_frequency, self.max_categories
        whole, share = isinstance(least, numbers.Integral), isinstance(least, numbers.Real)
        if not (least is None or (whole and least >= 1) or (share and not whole and 0 < least < 1)):
            raise ValueError(f"min_frequency must be None, an integer from 1 or a share in (0, 1), not {shown(least)}")
        if not (most is None or isinstance(most, numbers.Integral) and most >= 1):
            raise ValueError(f"max_categories must be None or an integer from 1, not {most!r}")

    def _columns(self, X, reset):
        """X's columns as arrays of their own kind, with n_features_in_ and names set or compared."""
        owner = type(self).__name__
        refuse_sparse(X, owner)
        if _frames.is_frame(X):
            check_shape(X, owner)
            columns = list(_frames.columns(X))
        else:
            a = as_array(X, "X")
            if a.dtype.kind in "US" and not hasattr(X, "dtype"):
                a = np.asarray(X, dtype=object)  # a list may mix numbers and strings
            check_shape(a, owner)
            columns = list(a.T)
        for column in columns:
            if column.dtype.kind == "c":
                raise ValueError(f"Complex data not supported: X is {column.dtype}")
            if column.dtype.kind == "f" and np.isinf(column).any():
                raise ValueError("Input X contains infinity or a value too large for its dtype.")
        (set_names if reset else check_names)(self, X, len(columns))
        return columns

    def _group(self, codes):
        """_infrequent: for each feature the indices of its infrequent categories, or None."""
        self._grouped = self.min_frequency is not None or self.max_categories is not None
        self._infrequent = [None] * len(codes)
        if not self._grouped:
            return
        for i, index in enumerate(codes):
            counts = np.bincount(index[index >= 0], minlength=len(self.categories_[i]))
            least = self.min_frequency
            if least is None:
                least = 0
            elif not isinstance(least, numbers.Integral):
                least = least * len(index)
            rare = counts < least
            if self.max_categories is not None and self.max_categories < len(counts) - rare.sum() + 1:
                rare[np.argsort(counts, kind="stable")[: len(counts) - self.max_categories + 1]] = True
            if rare.any():
                self._infrequent[i] = np.flatnonzero(rare)

    def _place(self):
        """Each category's column within its feature (-1: none; last entry: that of unknown values), the columns'
        labels, and the label of a row of zeros."""
        dropped = self._dropped()
        self._places, self._labels, self._zeros, drop_idx = [], [], [], []
        for i, (values, rare) in enumerate(zip(self.categories_, self._infrequent, strict=True)):
            place, labels = np.arange(len(values) + 1), values
            place[-1] = -1
            if rare is not None:
                common = np.setdiff1d(np.arange(len(values)), rare)
                place[common], place[rare] = np.arange(len(common)), len(common)
                if self.handle_unknown in ("infrequent_if_exist", "warn"):
                    place[-1] = len(common)
                labels = np.append(values[common].astype(object), _INFREQUENT)
            k = dropped[i]
            if isinstance(self.drop, str) and (self.drop == "first" or len(labels) == 2):
                k = 0
            elif k is not None:
                k = int(place[k])
            self._zeros.append(None)
            drop_idx.append(None)
            if k is not None:
                drop_idx[i] = int(np.flatnonzero(place[:-1] == k)[0])
                self._zeros[i] = labels[k : k + 1]
                labels = np.delete(labels, k)
                place = np.where(place == k, -1, place - (place > k))
            self._places.append(place)
            self._labels.append(labels)
        self.drop_idx_ = None if self.drop is None else np.array(drop_idx, dtype=object)

    def _dropped(self):
        """The index of each feature's category that ``drop`` names, or None."""
        if self.drop is None or isinstance(self.drop, str):
            return [None] * len(self.categories_)
        as_array(self.drop, "drop")  # for its errors
        given = np.asarray(self.drop, dtype=object)
        if given.shape != (len(self.categories_),):
            raise ValueError(f"drop must have one category a feature, {len(self.categories_)}, not shape {given.shape}")
        found = [int(lookup(given[i : i + 1], values)[0]) for i, values in enumerate(self.categories_)]
        missing = [f"{given[i]!r} of feature {i}" for i, k in enumerate(found) if k < 0]
        if missing:
            raise ValueError(f"The following categories were supposed to be dropped, but were not found: {missing}")
        for i, (k, rare) in enumerate(zip(found, self._infrequent, strict=True)):
            if rare is not None and k in rare:
                raise ValueError(f"Unable to drop category {given[i]!r} from feature {i} because it is infrequent")
        return found

    @property
    def infrequent_categories_(self):
        """The infrequent categories of each feature, None where it has none."""
        if not getattr(self, "_grouped", False):
            raise AttributeError("infrequent_categories_ needs min_frequency or max_categories")
        return [None if r is None else v[r] for v, r in zip(self.categories_, self._infrequent, strict=True)]

    # Transform

    def transform(self, X):
        """X encoded, (samples, columns of all features)."""
        self._check_fitted()
        self._check_options()
        codes = []
        for values, column in zip(self.categories_, self._columns(X, reset=False), strict=True):
            found, index = factorize(column)
            codes.append(lookup(found, values)[index])
            if self.handle_unknown == "error" and (codes[-1] < 0).any():
                unknown = _some(column[codes[-1] < 0])
                raise ValueError(f"Found unknown categories {unknown} in column {len(codes) - 1} during transform")
        return self._encoded(X, codes)

    def _encoded(self, X, codes):
        """The result for the values' indices among the categories, -1 being none of them."""
        self._warn_of_unknown(codes)
        kind = self._output_kind()
        if kind != "default" and self.sparse_output:
            raise ValueError(f"{kind} output does not support sparse data: set sparse_output=False")
        n, starts = len(codes[0]), np.cumsum([0, *[len(labels) for labels in self._labels]])
        if self.sparse_output:
            return self._sparse(codes, n, starts)
        y = np.zeros((n, starts[-1]), dtype=self.dtype)
        flat, rows = y.reshape(-1), np.arange(n) * starts[-1]
        for place, index, start in zip(self._places, codes, starts[:-1], strict=True):
            at = place[index]
            there = rows + (at + start)
            flat[there if at.min(initial=0) >= 0 else there[at >= 0]] = 1
        return self._deliver(y, X)

    def _sparse(self, codes, n, starts):
        try:
            from scipy.sparse import csr_matrix
        except ImportError:
            raise ImportError("sparse output needs SciPy: install it or set sparse_output=False") from None
        at = np.empty((n, len(codes)), np.int32 if starts[-1] < 2**31 and n * len(codes) < 2**31 else np.int64)
        for j, (place, index) in enumerate(zip(self._places, codes, strict=True)):
            column = place[index]
            at[:, j] = np.where(column < 0, -1, column + starts[j])
        kept = at >= 0
        ends = np.zeros(n + 1, at.dtype)
        np.cumsum(kept.sum(axis=1), out=ends[1:])
        indices = at.reshape(-1) if ends[-1] == at.size else at[kept]
        return csr_matrix((np.ones(len(indices), self.dtype), indices, ends), shape=(n, int(starts[-1])))

    def _warn_of_unknown(self, codes):
        told = self.handle_unknown == "warn" or (self.drop is not None and self.handle_unknown != "error")
        columns = [i for i, index in enumerate(codes) if told and index.min() < 0]
        if columns:
            encoded = "all zeros" if self.handle_unknown == "ignore" else "the infrequent category"
            warnings.warn(
                f"Found unknown categories in columns {columns} during transform. These unknown categories will be "
                f"encoded as {encoded}",
                UserWarning,
                stacklevel=4,
            )

    def inverse_transform(self, X):
        """The categories that encoded rows stand for; None for a row of zeros where no category was dropped.

        ValueError for such a row with handle_unknown="error", and for another number of columns.
        """
        self._check_fitted()
        if not is_sparse(X):
            X = as_matrix(X, type(self).__name__)
        if np.isnan(X.data if is_sparse(X) else X).any():
            raise ValueError("X must hold zeros and ones, not NaN")
        starts = np.cumsum([0, *[len(labels) for labels in self._labels]])
        if X.shape[1] != starts[-1]:
            raise ValueError(
                f"Shape of the passed X data is not correct. Expected {starts[-1]} columns, got {X.shape[1]}."
            )
        parts = []
        for i, labels in enumerate(self._labels):
            index = _ones(X, starts[i], starts[i + 1])
            zero = index < 0
            other = self._zeros[i]
            if other is None and zero.any():
                if self.handle_unknown == "error":
                    raise ValueError(
                        f"Samples {np.flatnonzero(zero)} can not be inverted when drop=None and handle_unknown='error' "
                        "because they contain all zeros"
                    )
                other = np.array([None], dtype=object)
            if other is not None:
                labels = np.concatenate([labels, other.astype(np.result_type(labels, other))])
            parts.append(labels[index])  # -1 is the last
        result = np.empty((X.shape[0], len(parts)), np.result_type(*[p.dtype for p in parts]))
        for i, part in enumerate(parts):
            result[:, i] = part
        return result

    def get_feature_names_out(self, input_features=None):
        """Names of the columns that transform returns, by feature_name_combiner; as in `StandardScaler` otherwise."""
        self._check_fitted()
        combine = self.feature_name_combiner
        if combine == "concat":

            def combine(feature, category):
                return f"{feature}_{category}"

        names = [
            combine(feature, category)
            for feature, labels in zip(self._input_names(input_features), self._labels, strict=True)
            for category in labels
        ]
        if not all(isinstance(name, str) for name in names):
            raise TypeError("feature_name_combiner must return strings")
        return np.array(names, dtype=object)


def _given(categories, column, i):
    """Categories as the user gave them for column i, checked."""
    try:
        values = np.array(categories, dtype=object if column.dtype.kind in "USO" else column.dtype)
    except (TypeError, ValueError) as error:
        raise type(error)(f"categories of column {i} must be of its kind, {column.dtype}: {error}") from None
    if values.ndim != 1 or not len(values):
        raise ValueError(f"categories of column {i} must be a one-dimensional array with elements, not {categories!r}")
    if any(is_nan(v) for v in values[:-1]):
        raise ValueError(f"Nan should be the last element in user provided categories, see {values} in column #{i}")
    if len(set(values.tolist())) != len(values):
        raise ValueError(f"In column {i}, the predefined categories contain duplicate elements.")
    if values.dtype.kind != "O" and (values[1:] < values[:-1]).any():
        raise ValueError(f"Unsorted categories are not supported for numerical categories, see column {i}")
    return values


def _ones(X, start, end):
    """Which of the columns start ... end holds each row's greatest value; -1 where all are zero."""
    if not is_sparse(X):
        part = X[:, start:end]
        if start == end:
            return np.full(len(X), -1)
        return np.where((part != 0).any(axis=1), part.argmax(axis=1), -1)
    index = np.full(X.shape[0], -1)
    entries = X.tocoo()
    there = (entries.col >= start) & (entries.col < end) & (entries.data != 0)
    index[entries.row[there]] = entries.col[there] - start
    return index


def _some(values):
    """A few distinct values for a message."""
    distinct = list(dict.fromkeys(values.tolist()))
    return distinct[:10] + ["..."] if len(distinct) > 10 else distinct
