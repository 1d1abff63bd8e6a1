"""DataFrames of pandas and polars and Tables of pyarrow, in and out.

They are told by what they can do; their libraries are imported only to make one.

A missing value is NaN in a column of numbers or bools, whatever a library calls it, and None in any other.
"""

import math

import numpy as np

from .._check import named


def is_frame(X):
    """Two dimensions with named columns. TypeError for one that is not computed yet."""
    if hasattr(X, "collect") and not hasattr(X, "to_numpy") and hasattr(X, "collect_schema"):
        raise TypeError(f"X must be a DataFrame, not a {type(X).__name__}: pass X.collect()")
    return hasattr(X, "columns") and len(getattr(X, "shape", ())) == 2


def column_names(X):
    """The names of a frame's columns, a list."""
    return list(getattr(X, "column_names", X.columns))  # pyarrow's columns are the data


def columns(X):
    """A frame's columns as arrays: of numbers or bools, of dates, or of objects (strings as their library has them)."""
    for i, name in enumerate(column_names(X)):
        if hasattr(X, "iloc"):
            column = X.iloc[:, i]
        else:
            column = X.column(i) if hasattr(X, "column_names") else X[name]
        with named(f"column {name!r} of X"):
            a = np.asarray(column)
        if a.ndim != 1:
            raise TypeError(f"X must hold one value in each cell, not column {name!r}")
        yield _without_missing(a, name) if a.dtype == object else a


def _without_missing(a, name):
    """Objects with NaN or None for what is missing; numbers and bools as an array of their own kind."""
    items = a.tolist()
    kinds = {type(v) for v in items}
    if kinds & {list, tuple, dict, np.ndarray}:
        raise TypeError(f"X must hold one value in each cell, not column {name!r}")
    missing = {kind for kind in kinds if kind is type(None) or kind.__name__ == "NAType"}
    if missing and kinds - missing <= {bool, int, float, np.bool_}:
        return np.array([math.nan if type(v) in missing else v for v in items], dtype=np.float64)
    if kinds and kinds <= {bool, np.bool_}:
        return a.astype(bool)
    if any(kind is not type(None) for kind in missing):
        a = np.empty(len(items), dtype=object)
        a[:] = [None if type(v) in missing else v for v in items]
    return a


def numbers(X):
    """A frame's columns side by side, in a kind that holds them all; TypeError or ValueError where one is no number."""
    if hasattr(X, "iloc"):
        whole = np.asarray(X)  # pandas may have it as it lies
        if whole.dtype.kind in "biuf":
            return whole
    parts = []
    for name, a in zip(column_names(X), columns(X), strict=True):
        if a.dtype.kind in "OUST":
            try:
                a = np.array([math.nan if v is None else v for v in a.tolist()]).astype(np.float64)
            except (TypeError, ValueError) as error:
                raise type(error)(f"X must hold numbers, not column {name!r}: {error}") from None
        elif a.dtype.kind not in "biuf":
            raise TypeError(f"X must hold numbers, not {a.dtype} as column {name!r} does")
        parts.append(a)
    dtype = np.result_type(*parts) if parts else np.float64
    matrix = np.empty(X.shape, dtype, order="F")
    for place, part in zip(matrix.T, parts, strict=True):
        place[...] = part
    return matrix


def make(library, y, names, X):
    """The array y as a frame of ``library``, with the index of X where that has one."""
    if library == "pandas":
        import pandas

        index = X.index if isinstance(X, pandas.DataFrame) else None
        return pandas.DataFrame(y, index=index, columns=names, copy=False)
    if library == "polars":
        import polars

        return polars.DataFrame(y, schema=list(names), orient="row")
    import pyarrow

    return pyarrow.Table.from_arrays([pyarrow.array(column) for column in y.T], names=list(names))
