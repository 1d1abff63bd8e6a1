"""One-hot encoding of class labels: y[..., c, ...] = 1 where c is the label, else 0."""

import numpy as np

from ._arrays import as_array, check_axis, check_integer


def one_hot(labels, num_classes=None, *, axis=-1, dtype=np.float32, unknown="error"):
    """Return labels compared with every class along a new axis, in any numeric dtype.

    num_classes=None: the largest label plus 1. A label outside 0 .. num_classes - 1 is an IndexError, or with
    unknown="zeros" equal to no class.
    """
    labels = as_array(labels, "labels")
    if labels.dtype.kind not in "iu":
        raise TypeError(f"labels must be integers, not dtype {labels.dtype}")
    if np.dtype(dtype).kind not in "biufc" and np.dtype(dtype).isbuiltin != 2:
        raise TypeError(f"dtype must be numeric, not {np.dtype(dtype)}")
    if unknown not in ("error", "zeros"):
        raise ValueError(f"unknown must be 'error' or 'zeros', not {unknown!r}")
    axis = check_axis(axis, labels.ndim + 1)
    if num_classes is None:
        if labels.size == 0:
            raise ValueError("num_classes must be given where there are no labels")
        num_classes = max(int(labels.max()) + 1, 0)
    num_classes = check_integer(num_classes, "num_classes", 0, np.iinfo(np.intp).max)
    wrong = (labels < 0) | (labels >= num_classes)
    if unknown == "error" and wrong.any():
        raise IndexError(f"labels must lie in 0 .. {num_classes - 1}, not {labels[wrong][0]}")
    equal = np.expand_dims(labels, axis) == np.expand_dims(
        np.arange(num_classes), [i for i in range(labels.ndim + 1) if i != axis]
    )
    return np.ascontiguousarray(equal.astype(dtype))
