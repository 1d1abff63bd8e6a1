"""Categories of a column: finding them, and which one each value is."""

import math

import numpy as np

#: A range of integers up to so many times the values' number is counted rather than sorted.
_DENSE = 4
#: An odd factor that spreads bits over a word, 2^64 over the golden ratio.
_FACTOR = np.uint64(0x9E3779B97F4A7C15)


def factorize(column):
    """(sorted distinct values, each value's index among them) of a one-dimensional array.

    Missing values come last: None, then NaN. TypeError where values cannot be sorted.
    """
    if column.dtype.kind == "O":
        return _factorize_objects(column)
    if column.dtype.kind in "US":
        return _factorize_strings(np.ascontiguousarray(column))
    if column.dtype.kind in "iu":
        low, high = int(column.min()), int(column.max())
        if high - low < _DENSE * len(column) + 1024 and high <= np.iinfo(np.int64).max:
            place = column.astype(np.int64) - low
            there = np.bincount(place) > 0
            return (np.flatnonzero(there) + low).astype(column.dtype), (np.cumsum(there) - 1)[place]
    values = np.unique(column)
    return values, np.searchsorted(values, column)


def _factorize_strings(column):
    """By a 64-bit hash of their characters, checked afterwards: sorting strings takes twenty times as long."""
    words = column.view(np.uint32 if column.dtype.kind == "U" else np.uint8).reshape(len(column), -1)
    mixed = np.zeros(len(column), np.uint64)
    for j in range(words.shape[1]):
        mixed *= _FACTOR
        mixed += words[:, j]
        mixed ^= mixed >> np.uint64(29)
    hashes = np.unique(mixed)
    index = np.searchsorted(hashes, mixed)
    one = np.empty(len(hashes), np.intp)
    one[index] = np.arange(len(column))
    values = column[one]
    if not (words[one][index] == words).all():  # two strings of one hash
        return np.unique(column, return_inverse=True)
    order = np.argsort(values)
    rank = np.empty(len(values), np.intp)
    rank[order] = np.arange(len(values))
    return values[order], rank[index]


def _factorize_objects(column):
    items = column.tolist()
    try:
        seen = set(items)
        present = sorted(v for v in seen if v is not None and not is_nan(v))
    except TypeError:
        kinds = sorted({type(v).__qualname__ for v in items})
        raise TypeError(
            f"Encoders require their input argument must be uniformly strings or numbers. Got {kinds}"
        ) from None
    missing = [None] if None in seen else []
    if len(present) + len(missing) < len(seen):
        missing.append(np.nan)
    values = np.empty(len(present) + len(missing), dtype=object)
    values[:] = present + missing
    table = {v: i for i, v in enumerate(present + missing)}
    last = len(values) - 1  # NaN is equal to nothing, itself included
    return values, np.fromiter((table.get(v, last) for v in items), np.intp, len(items))


def is_nan(value):
    return isinstance(value, (float, np.floating)) and math.isnan(value)


def lookup(values, categories):
    """The index of each value among the categories, -1 where it is none of them."""
    table = {v: i for i, v in enumerate(categories.tolist())}
    nan = len(categories) - 1 if len(categories) and is_nan(categories[-1]) else -1
    return np.fromiter((nan if is_nan(v) else table.get(v, -1) for v in values.tolist()), np.intp, len(values))
