"""What all transformers share: parameters, names of features, the kind of output, and passes over a matrix.

They follow scikit-learn's conventions and are its estimators in every test it has for them, but need NumPy alone:
scikit-learn is looked at only where it is loaded already (its NotFittedError, its set_config) or asks (its tags).
"""

import inspect
import math
import sys

import numpy as np

from .._check import as_array, choice, hint
from .._choices import Output
from .._kernels import scaling
from .._memory import empty_like
from . import _frames
from ._input import as_matrix, check_names, set_names
from ._passes import check_infinity


class NotFittedError(ValueError, AttributeError):
    """A transformer is used before fit; scikit-learn's error of that name where scikit-learn is loaded."""


class Transformer:
    """Base of the transformers; constructors store their arguments and do nothing else."""

    _needs_fit = True
    _allows_nan = True

    # Parameters

    @classmethod
    def _parameters(cls):
        return [p for p in inspect.signature(cls.__init__).parameters.values() if p.name != "self"]

    def get_params(self, deep=True):
        """The constructor's parameters as a dict; ``deep`` changes nothing, as no parameter has its own."""
        return {p.name: getattr(self, p.name) for p in self._parameters()}

    def set_params(self, **params):
        """Set parameters by name; returns self. ValueError for a name that is none."""
        names = [p.name for p in self._parameters()]
        for name in params:
            if name not in names:
                raise ValueError(
                    f"Invalid parameter {name!r} for estimator {self}. "
                    f"Valid parameters are: {names!r}{hint(name, names)}."
                )
        for name, value in params.items():
            setattr(self, name, value)
        return self

    def __repr__(self):
        changed = [
            f"{p.name}={value!r}" for p in self._parameters() if repr(value := getattr(self, p.name)) != repr(p.default)
        ]
        return f"{type(self).__name__}({', '.join(changed)})"

    # As scikit-learn sees it

    def __sklearn_tags__(self):
        from sklearn.utils import InputTags, Tags, TargetTags, TransformerTags

        return Tags(
            estimator_type=None,
            target_tags=TargetTags(required=False),
            transformer_tags=TransformerTags(preserves_dtype=["float64", "float32"]),
            input_tags=InputTags(allow_nan=self._allows_nan),
            requires_fit=self._needs_fit,
        )

    def __sklearn_is_fitted__(self):
        return not self._needs_fit or hasattr(self, "n_features_in_")

    def _check_fitted(self):
        if not self.__sklearn_is_fitted__():
            raise self._unfitted()

    def _unfitted(self):
        error = getattr(sys.modules.get("sklearn.exceptions"), "NotFittedError", NotFittedError)
        return error(f"This {type(self).__name__} instance is not fitted yet: call fit before using it.")

    # Output

    def set_output(self, *, transform=None):
        """Let transform and fit_transform return "default" (arrays), "pandas" or "polars" (DataFrames) or "pyarrow"
        (Tables); returns self.

        None changes nothing. Where nothing was set, scikit-learn's ``set_config(transform_output=)`` counts.
        """
        if transform is not None:
            choice(transform, "transform", Output)
            self._sklearn_output_config = {"transform": transform}  # the name that sklearn.base.clone copies
        return self

    def _output_kind(self):
        kind = getattr(self, "_sklearn_output_config", {}).get("transform")
        if kind is None:
            sklearn = sys.modules.get("sklearn")
            kind = sklearn.get_config()["transform_output"] if hasattr(sklearn, "get_config") else "default"
        return kind

    def _deliver(self, y, X):
        """The result in the container that was asked for; X is the input as it was given."""
        library = self._output_kind()
        return y if library == "default" else _frames.make(library, y, self.get_feature_names_out(), X)

    def fit_transform(self, X, y=None):
        """``fit(X).transform(X)``."""
        return self.fit(X, y).transform(X)

    def get_feature_names_out(self, input_features=None):
        """Names of the columns that transform returns: those of the input, or x0, x1, ...

        ``input_features``: names to use where fit saw none; ValueError where they are not those that fit saw.
        """
        self._check_fitted()
        return self._input_names(input_features)

    def _input_names(self, input_features):
        seen = getattr(self, "feature_names_in_", None)
        if input_features is None:
            if seen is not None:
                return seen.copy()
            if not hasattr(self, "n_features_in_"):
                raise self._unfitted()
            return np.asarray([f"x{i}" for i in range(self.n_features_in_)], dtype=object)
        names = as_array(input_features, "input_features").astype(object)
        if seen is not None and not np.array_equal(seen, names):
            raise ValueError("input_features is not equal to feature_names_in_")
        n = getattr(self, "n_features_in_", names.size)
        if names.shape != (n,):
            raise ValueError(
                f"input_features should have length equal to number of features ({n}), not the shape {names.shape}"
            )
        return names


class Scaler(Transformer):
    """A transformer of float matrices column by column or row by row."""

    def _seen(self, X, reset):
        """X checked, as a contiguous float32 or float64 matrix; n_features_in_ and names set or compared."""
        x = as_matrix(X, type(self).__name__)
        if reset:
            set_names(self, X, x.shape[1])
        else:
            check_names(self, X, x.shape[1])
        return x

    def _rescaled(self, X, x, center, scale, copy, low=-math.inf, high=math.inf, undo=False, unit=None):
        """(x - center) / scale, or x scale + center to undo it, in x itself where that is X and ``copy`` is False.

        ``unit``: of center and scale where they are in one of their own (`unit_of`).
        """
        here = not copy and x is X and x.flags.writeable
        if here and scaling.normalize(None, x, 0, 0):
            check_infinity(x)
        y = x if here else empty_like(x)
        center = np.zeros(x.shape[1]) if center is None else np.ascontiguousarray(center, dtype=np.float64)
        scale = np.ones(x.shape[1]) if scale is None else np.ascontiguousarray(scale, dtype=np.float64)
        if unit is None and not scaling.all_within(-LARGE[x.dtype], LARGE[x.dtype], center, scale):
            unit = unit_of(x.dtype, center, scale)
            if unit is not None:
                center, scale = center / unit, scale / unit
        source = x if unit is None or undo else np.divide(x, unit.astype(x.dtype), out=y)
        if scaling.rescale(y, source, center, scale, low, high, undo) and not here:
            check_infinity(x)
        if unit is not None and undo:
            y *= unit.astype(x.dtype)
        return y

    def _inverse(self, X):
        """X as inverse_transform takes it."""
        self._check_fitted()
        x = as_matrix(X, type(self).__name__)
        if x.shape[1] != self.n_features_in_:
            raise ValueError(
                f"X has {x.shape[1]} features, but {type(self).__name__} is expecting {self.n_features_in_} features "
                "as input"
            )
        return x

    def _check_mergeable(self, other, *options):
        """Raise unless ``other`` is fitted as this one is, on the same features and with the same options."""
        if type(other) is not type(self):
            raise TypeError(f"other must be a {type(self).__name__}, not {type(other).__name__}")
        self._check_fitted()
        other._check_fitted()
        for name in ("n_features_in_", *options):
            mine, theirs = getattr(self, name), getattr(other, name)
            if mine != theirs:
                raise ValueError(f"other must have the same {name}, {mine}, not {theirs}")
        mine, theirs = getattr(self, "feature_names_in_", None), getattr(other, "feature_names_in_", None)
        if mine is not None and theirs is not None and not np.array_equal(mine, theirs):
            raise ValueError(f"other must have the same feature names, {list(mine)}, not {list(theirs)}")


#: Up to which size differences of numbers are numbers of this type.
LARGE = {np.dtype(t): float(np.finfo(t).max * np.finfo(t).eps / 4) for t in (np.float32, np.float64)}


def unit_of(dtype, *sizes):
    """In which unit, a power of two, differences of numbers of these sizes are numbers of this type: one for each
    column, or None where it is 1 for all."""
    large = np.max(np.abs(sizes), axis=0) > LARGE[dtype]
    return np.where(large, 8.0, 1.0) if large.any() else None


def without_zeros(scale):
    """A copy with 1 instead of what is zero within rounding, less than 10 eps: constant columns stay as they are."""
    scale = np.array(scale)
    scale[scale < 10 * np.finfo(scale.dtype).eps] = 1
    return scale
