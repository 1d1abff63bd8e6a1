"""The gate for labels and row numbers: conversion, options, error texts."""

import numpy as np

from . import _check


def as_labels(labels):
    """labels as a C-contiguous int64 array, and as they were given, an array too."""
    given = _check.as_array(labels, "labels")
    if given.dtype.kind not in "iu":
        raise TypeError(f"labels must be integers, not {given.dtype}")
    return _check.as_int64(given), given


def wrong_label(labels, n):
    """The error that names the first label outside 0 ... n - 1 and its place, if it is still there."""
    labels = np.array(labels)
    wrong = (labels < 0) | (labels >= n)
    if not wrong.any():
        return _check.changed_labels("labels")
    return IndexError(f"labels must lie in 0 .. {n - 1}, not {_first(labels, wrong)}")


def refuse(labels, n):
    """Raises the error of the first label outside 0 ... n - 1."""
    raise wrong_label(labels, n)


def refuse_changed(name):
    """Raises the error of labels that were changed during a call."""
    raise _check.changed_labels(name)


def refuse_rows(rows, n):
    """IndexError for row numbers one of which, still there or not, was outside 0 ... n - 1."""
    low = int(rows.min())
    raise IndexError(f"rows must lie in 0 .. {n - 1}, not {low if low < 0 else rows.max()}")


def _first(labels, wrong):
    place = tuple(np.argwhere(wrong)[0].tolist())
    return f"{labels[place]}" + (f" at index {place[0] if len(place) == 1 else place}" if place else "")


def classes_of(labels, given, strict):
    """The number of classes where none is given: one more than the largest label."""
    labels, given = np.array(labels), np.array(given)  # one look: they may change
    if not labels.size:
        raise ValueError("num_classes must be given where there are no labels")
    if strict and labels.min() < 0:
        raise IndexError(f"labels must not be negative, not {_first(given, labels < 0)}")
    return max(int(given.max()) + 1, 0)


def one_of(dtype):
    """1 in a numeric dtype, as an array."""
    dtype = _check.as_dtype(dtype)
    # isbuiltin 2: a number type that another package has registered, such as bfloat16.
    if dtype.kind not in "biufc" and not (dtype.kind == "V" and dtype.isbuiltin == 2):
        raise TypeError(f"dtype must be a numeric dtype, not {dtype}")
    return np.ones((), dtype)


def check_unknown(unknown):
    from ._choices import Unknown

    _check.choice(unknown, "unknown", Unknown)
