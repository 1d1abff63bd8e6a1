"""What ``class_weight`` makes of a classifier's targets: one weight for each row."""

import math
from numbers import Real

import numpy as np


def class_weights(class_weight, y, classes):
    """(n,) weights of the rows of y, labels among the sorted ``classes``; or, where these are None, (n, outputs) of 0
    and 1, whose weights are multiplied.

    ``class_weight``: "balanced" or a dict from class to weight, 1 for a class that is not in it; for several outputs
    "balanced" or a list of one dict each. ValueError for anything else.

    Source: ``sklearn.utils.class_weight.compute_sample_weight``.
    """
    if isinstance(class_weight, str) and class_weight != "balanced":
        raise ValueError(f"class_weight must be 'balanced', a dict or None, not {class_weight!r}")
    if classes is not None:
        return _of_output(class_weight, y, classes, "class_weight")
    if isinstance(class_weight, str):
        class_weight = [class_weight] * y.shape[1]
    if not isinstance(class_weight, (list, tuple)) or len(class_weight) != y.shape[1]:
        raise ValueError(
            f"class_weight must be 'balanced' or a list of {y.shape[1]} dicts, one for each column of y, "
            f"not {class_weight!r}"
        )
    product = np.ones(len(y))
    for i, (entry, column) in enumerate(zip(class_weight, y.T, strict=True)):
        product *= _of_output(entry, column, np.array([0, 1]), f"class_weight[{i}]")
    return product


def _of_output(class_weight, y, classes, name):
    place = np.searchsorted(classes, y)
    if isinstance(class_weight, str):
        counts = np.bincount(place, minlength=len(classes))
        with np.errstate(divide="ignore"):
            return (len(y) / (np.count_nonzero(counts) * counts))[place]
    if not isinstance(class_weight, dict):
        raise ValueError(f"{name} must be 'balanced', a dict or None, not {class_weight!r}")  # noqa: TRY004
    for label, weight in class_weight.items():
        if not isinstance(weight, Real) or not 0 <= weight < math.inf:
            raise ValueError(f"{name} must hold finite numbers of at least 0, not {weight!r} for class {label!r}")
    labels = classes.tolist()
    strange = [label for label in class_weight if label not in labels]
    # As in scikit-learn: a dict for all classes may have others too, which these rows lack.
    if strange and any(label not in class_weight for label in labels):
        raise ValueError(f"{name} must be a dict from classes, {labels}, not from {strange}")
    return np.array([float(class_weight.get(label, 1)) for label in labels])[place]
