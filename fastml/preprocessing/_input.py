"""Input as users give it: arrays, lists, DataFrames; what cannot be taken is refused here."""

import numbers
import warnings

import numpy as np

from .._check import as_array, named
from . import _frames


def is_sparse(X):
    """A SciPy sparse matrix or array, told without importing SciPy."""
    return hasattr(X, "tocsr") and hasattr(X, "nnz")


def refuse_sparse(X, owner):
    if is_sparse(X):
        raise TypeError(f"Sparse data was passed for X, but {owner} takes dense data only: pass X.toarray().")


def as_matrix(X, owner):
    """X as a contiguous (either order), aligned float32 or float64 ndarray of two dimensions, none of them empty.

    float32 and float64 stay, float16 becomes float32, everything else float64.
    """
    if type(X) is not np.ndarray or X.dtype not in (np.float32, np.float64):
        X = _as_float(X, owner)
    check_shape(X, owner)
    if not (X.flags.forc and X.flags.aligned and X.dtype.isnative):
        X = np.require(X, X.dtype.newbyteorder("="), "CA")
    return X


def _as_float(X, owner):
    refuse_sparse(X, owner)
    a = _frames.numbers(X) if _frames.is_frame(X) else as_array(X, "X")
    if a.dtype.kind == "c":
        raise ValueError(f"Complex data not supported: X is {a.dtype}")
    if a.dtype.kind in "mM":
        raise TypeError(f"X must hold numbers, not {a.dtype}")
    if a.dtype.kind == "f" and a.dtype.itemsize <= 4:
        return a.astype(np.float32, copy=False)
    with named("X"):
        return a.astype(np.float64, copy=False)


def check_shape(a, owner):
    """ValueError unless a (or a frame) has two dimensions and at least one row and one column."""
    ndim = len(a.shape)
    if ndim != 2:
        kind = {0: "scalar", 1: "1D"}.get(ndim, f"{ndim}D")
        raise ValueError(
            f"Expected 2D array, got {kind} array instead of shape {a.shape}: X must have two axes. "
            "Reshape your data: (-1, 1) for a single feature, (1, -1) for a single sample."
        )
    if a.shape[0] == 0:
        raise ValueError(
            f"X must have rows: Found array with 0 sample(s) (shape={a.shape}) "
            f"while a minimum of 1 is required by {owner}."
        )
    if a.shape[1] == 0:
        raise ValueError(
            f"X must have columns: Found array with 0 feature(s) (shape={a.shape}) "
            f"while a minimum of 1 is required by {owner}."
        )


def feature_names(X):
    """The names of a DataFrame's columns where all are strings, else None; TypeError where only some are."""
    if not _frames.is_frame(X):
        return None
    names = np.asarray(_frames.column_names(X), dtype=object)
    strings = sum(isinstance(name, str) for name in names)
    if strings == 0:
        return None
    if strings < len(names):
        kinds = sorted({type(name).__qualname__ for name in names})
        raise TypeError(f"Feature names are only supported if all of them are strings, got {kinds}.")
    return names


def set_names(transformer, X, n_features):
    """n_features_in_ and, where X has names, feature_names_in_."""
    names = feature_names(X)
    transformer.n_features_in_ = n_features
    if names is not None:
        transformer.feature_names_in_ = names
    elif hasattr(transformer, "feature_names_in_"):
        del transformer.feature_names_in_


def check_names(transformer, X, n_features):
    """ValueError unless X has the features that fit saw; a warning where only one of the two has names."""
    owner = type(transformer).__name__
    seen, names = getattr(transformer, "feature_names_in_", None), feature_names(X)
    if seen is None and names is not None:
        warnings.warn(f"X has feature names, but {owner} was fitted without feature names", stacklevel=4)
    elif seen is not None and names is None:
        warnings.warn(f"X does not have valid feature names, but {owner} was fitted with feature names", stacklevel=4)
    elif seen is not None and not np.array_equal(seen, names):
        raise ValueError(_differences(set(names) - set(seen), set(seen) - set(names)))
    expected = getattr(transformer, "n_features_in_", n_features)
    if n_features != expected:
        raise ValueError(f"X has {n_features} features, but {owner} is expecting {expected} features as input.")


def _differences(unseen, missing):
    text = "The feature names should match those that were passed during fit.\n"
    for title, names in (
        ("Feature names unseen at fit time:", unseen),
        ("Feature names seen at fit time, yet now missing:", missing),
    ):
        if names:
            listed = sorted(names)[:5] + (["..."] if len(names) > 5 else [])
            text += "".join([title, "\n", *[f"- {name}\n" for name in listed]])
    if not unseen and not missing:
        text += "Feature names must be in the same order as they were in fit.\n"
    return text


def as_weights(sample_weight, n):
    """sample_weight as n float64 numbers, finite and not all zero; a single number stands for n of them."""
    w = as_array(sample_weight, "sample_weight")
    if w.dtype.kind in "cmM":
        raise ValueError(f"sample_weight must hold real numbers, not {w.dtype}")
    with named("sample_weight"):
        w = np.require(w, np.float64, "CA")
    if isinstance(sample_weight, numbers.Number):
        w = np.full(n, w)
    if w.shape != (n,):
        raise ValueError(f"sample_weight must be one number or have the shape {(n,)}, not {w.shape}")
    if not (np.isfinite(w) & (w >= 0)).all():
        raise ValueError(f"sample_weight must be finite and at least 0, not {w[~(w >= 0) | np.isinf(w)][0]}")
    if not w.any():
        raise ValueError("sample_weight must not be zero for every row")
    return w
