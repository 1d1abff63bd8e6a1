"""What kind of labels two arrays hold, and the labels as positions in a list of classes.

The rules and the names of the kinds are those of scikit-learn's ``type_of_target``, so that its users
meet the same refusals; the differences are in cost: integers need no sort, only one look-up table.
"""

import numpy as np

# Integers are counted through a table of their range when that has at most this many entries.
_TABLE = 1 << 16


def check_targets(y_true, y_pred, sample_weight):
    """Both label arrays, 1-D (or 2-D when ``multilabel``), and the weights (or None): four values.

    Raises ValueError for empty input, different lengths, real-valued or mixed kinds of labels, weights
    that are not finite or all zero; TypeError for scalars and bytes.
    """
    y_true, y_pred = _labels(y_true, "y_true"), _labels(y_pred, "y_pred")
    lengths = {"y_true": len(y_true), "y_pred": len(y_pred)}
    if sample_weight is not None:
        sample_weight = np.asarray(sample_weight)
        if sample_weight.ndim == 0:
            raise TypeError(f"sample_weight must be an array, got {sample_weight.item()!r}")
        lengths["sample_weight"] = len(sample_weight)
    if len(set(lengths.values())) > 1:
        raise ValueError(f"inconsistent numbers of samples: {lengths}")
    if len(y_true) == 0:
        raise ValueError("y_true and y_pred are empty, at least 1 sample is needed")
    if sample_weight is not None:
        sample_weight = _weights(sample_weight)

    kinds = _kind(y_true, "y_true"), _kind(y_pred, "y_pred")
    if kinds[0] != kinds[1]:
        kinds = tuple(_named(kind, y) for kind, y in zip(kinds, (y_true, y_pred), strict=True))
        raise ValueError(f"cannot handle a mix of {kinds[0]} (y_true) and {kinds[1]} (y_pred) targets")
    if kinds[0] not in ("labels", "multilabel-indicator"):
        raise ValueError(f"{kinds[0]} targets are not supported")
    if kinds[0] == "labels":
        y_true, y_pred = y_true.reshape(-1), y_pred.reshape(-1)
        if _is_text(y_true) != _is_text(y_pred):
            raise ValueError(
                f"y_true and y_pred mix strings and numbers: {y_true[:3].tolist()}, {y_pred[:3].tolist()}"
            )
    elif y_true.shape != y_pred.shape:
        raise ValueError(f"y_true has shape {y_true.shape} and y_pred {y_pred.shape}")
    return kinds[0] == "multilabel-indicator", y_true, y_pred, sample_weight


def encode(y_true, y_pred, labels=None):
    """Positions of both arrays' values in ``labels``, −1 for those outside, and how many labels there are.

    ``labels=None`` stands for the sorted values that occur in either array.
    """
    if labels is not None:
        labels = np.asarray(labels)
        if labels.ndim == 0:
            raise TypeError(f"labels must be an array, got {labels.item()!r}")
        if labels.ndim != 1:
            raise ValueError(f"labels must be 1-dimensional, got shape {labels.shape}")
        if labels.size == 0:
            raise ValueError("labels should contain at least one label")
    low = _table_start(y_true, y_pred)
    if low is None:
        values, inverse = np.unique(np.concatenate([y_true, y_pred]), return_inverse=True)
        true, pred = inverse[: len(y_true)], inverse[len(y_true) :]
    else:
        # Shifted, every value is its own row of the table.
        true, pred = y_true.astype(np.intp), y_pred.astype(np.intp)
        if low:
            true -= low
            pred -= low
        seen = np.bincount(true)
        seen_pred = np.bincount(pred)
        values = np.arange(low, low + max(len(seen), len(seen_pred)))
        if labels is None and len(seen) == len(values) and seen.all():
            return true, pred, len(values)
        if labels is None:
            labels = np.union1d(np.flatnonzero(seen), np.flatnonzero(seen_pred)) + low
    if labels is None:
        return true, pred, len(values)
    position = {label: i for i, label in enumerate(labels.tolist())}
    table = np.array([position.get(value, -1) for value in values.tolist()], dtype=np.intp)
    true, pred = table[true], table[pred]
    if true.max() < 0:
        raise ValueError("at least one of labels must occur in y_true")
    return true, pred, len(labels)


def _labels(y, name):
    y = np.asarray(y)
    if y.ndim == 0:
        raise TypeError(f"{name} must be an array, got {y.item()!r}")
    if y.dtype.kind == "c":
        raise ValueError(f"{name} holds complex numbers")
    if y.dtype.kind == "S" or (y.dtype == object and y.size and isinstance(y.flat[0], bytes)):
        raise TypeError(f"{name} holds bytes: convert the labels to strings or integers")
    return y


def _weights(weight):
    if weight.ndim != 1:
        raise ValueError(f"sample_weight must be 1-dimensional, got shape {weight.shape}")
    if weight.dtype.kind not in "fiub":
        raise ValueError(f"sample_weight must hold real numbers, got {weight.dtype}")
    if weight.dtype.kind == "f" and not np.isfinite(weight).all():
        raise ValueError("sample_weight contains NaN or infinity")
    if not weight.any():
        raise ValueError("sample_weight must contain at least one non-zero number")
    return weight


def _kind(y, name):
    if y.ndim > 2 or (y.ndim == 2 and y.shape[1] == 0):
        return "unknown"
    if y.dtype == object and not isinstance(y.flat[0], str):
        return "unknown"
    columns = y.ndim == 2 and y.shape[1] > 1
    if y.dtype.kind == "f":
        if not np.isfinite(y).all():
            raise ValueError(f"{name} contains NaN or infinity")
        if (y != np.trunc(y)).any():
            return "continuous-multioutput" if columns else "continuous"
    if not columns:
        return "labels"
    if y.dtype.kind in "fiub" and len(np.unique(y)) < 3:
        return "multilabel-indicator"
    return "multiclass-multioutput"


def _named(kind, y):
    if kind != "labels":
        return kind
    return "multiclass" if len(np.unique(y)) > 2 else "binary"


def _is_text(y):
    return y.dtype.kind in "UTO"


def _table_start(*arrays):
    """The smallest value when the arrays hold integers of a range worth a table, else None."""
    if any(y.dtype.kind not in "iub" for y in arrays):
        return None
    low = min(int(y.min()) for y in arrays)
    high = max(int(y.max()) for y in arrays)
    return low if high - low < _TABLE and high < 1 << 63 else None
