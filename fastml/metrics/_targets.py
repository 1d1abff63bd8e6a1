"""What kind of labels two arrays hold, and how often each label is taken for each.

The rules and the names of the kinds are those of scikit-learn's ``type_of_target``, so that its users
meet the same refusals; the differences are in cost: integers in a small range are counted as they lie, and what
occurs is read off the counts.
"""

import numpy as np

from .. import _check
from .._kernels.classification import count

#: Sums of integers whose magnitudes sum to less in float64 do not overflow int64.
INT64_SAFE = 2.0**62


def check_targets(y_true, y_pred, sample_weight, zeros=False, names=("y_true", "y_pred")):
    """Both label arrays, 1-D (or 2-D when ``multilabel``), and the weights (or None): four values.

    Raises ValueError for empty input, different lengths, real-valued or mixed kinds of labels, weights
    that are not finite or, without ``zeros``, all zero; TypeError for scalars and bytes.
    """
    y_true, y_pred = _labels(y_true, names[0]), _labels(y_pred, names[1])
    lengths = {names[0]: len(y_true), names[1]: len(y_pred)}
    if sample_weight is not None:
        sample_weight = _check.as_array(sample_weight, "sample_weight")
        if sample_weight.ndim == 0:
            raise TypeError(f"sample_weight must be an array, not {sample_weight.item()!r}")
        lengths["sample_weight"] = len(sample_weight)
    if len(set(lengths.values())) > 1:
        raise ValueError(f"{' and '.join(lengths)} must have the same number of samples, not {list(lengths.values())}")
    if len(y_true) == 0:
        raise ValueError(f"{names[0]} and {names[1]} must have at least one sample, not 0")
    if sample_weight is not None:
        sample_weight = _weights(sample_weight, zeros)

    kinds = _kind(y_true, names[0]), _kind(y_pred, names[1])
    if kinds[0] != kinds[1]:
        kinds = tuple(_named(kind, y) for kind, y in zip(kinds, (y_true, y_pred), strict=True))
        raise ValueError(f"{names[0]} and {names[1]} must be of one kind, not {kinds[0]} and {kinds[1]}")
    if kinds[0] not in ("labels", "multilabel-indicator"):
        raise ValueError(f"{names[0]} and {names[1]} must be classes or label indicators, not {kinds[0]}")
    if kinds[0] == "labels":
        y_true, y_pred = y_true.reshape(-1), y_pred.reshape(-1)
        if is_text(y_true) != is_text(y_pred):
            raise ValueError(
                f"{names[0]} and {names[1]} must be both strings or both numbers, "
                f"not {y_true[:3].tolist()} and {y_pred[:3].tolist()}"
            )
    elif y_true.shape != y_pred.shape:
        raise ValueError(f"{names[1]} must have the shape of {names[0]}, {y_true.shape}, not {y_pred.shape}")
    return kinds[0] == "multilabel-indicator", y_true, y_pred, sample_weight


def tabulate(y_true, y_pred, sample_weight=None, labels=None, zeros=False, names=("y_true", "y_pred")):
    """The sorted labels that occur in either array (k,), and the table (k, k) of counts or sums of weights.

    Where the table of all labels would be large and ``labels`` are given, only those are in it. ``zeros``: all weights
    may be 0.
    """
    counted = weight = None
    if sample_weight is None:
        counted = count(y_true, y_pred, None)  # takes what needs no check
    if counted is None:
        y_true, y_pred, weight = check_classes(y_true, y_pred, sample_weight, zeros, names)
        counted = count(y_true, y_pred, weight)
    if counted is not None:
        return _found(counted, y_true, y_pred)
    values, true, pred = encode(y_true, y_pred)
    if labels is not None:
        chosen = set(labels)
        kept = np.array([value in chosen for value in values.tolist()])
        values, place = values[kept], np.cumsum(kept) - 1
        kept = kept[true] & kept[pred]
        true, pred = place[true[kept]], place[pred[kept]]
        weight = None if weight is None else weight[kept]
    table = np.zeros((len(values),) * 2, np.int64 if weight is None else weight.dtype)
    if len(true):
        low, part, _ = count(true, pred, weight, wide=True)
        table[low : low + len(part), low : low + len(part)] = part
    return values, table


def tally(y_true, y_pred, sample_weight=None):
    """The sorted labels that occur, and for each of them the weight of the samples that are it and are taken for
    it, that are taken for it, and that are it: four vectors; the last three float64 with weights.
    """
    counted = weight = None
    if sample_weight is None:
        counted = count(y_true, y_pred, None)
    if counted is None:
        y_true, y_pred, weight = check_classes(y_true, y_pred, sample_weight)
        counted = count(y_true, y_pred, weight)
    if counted is None:
        values, true, pred = encode(y_true, y_pred)
        hit = true == pred
        sums = [
            np.bincount(codes[chosen], None if weight is None else weight[chosen], len(values))
            for codes, chosen in ((true, hit), (pred, ...), (true, ...))
        ]
    else:
        values, *sums = margins(*_found(counted, y_true, y_pred))
    return values, *(sums if weight is None else [x.astype(np.float64, copy=False) for x in sums])


def margins(labels, table):
    """What :func:`tally` returns, from what :func:`tabulate` does."""
    return labels, table.diagonal(), table.sum(axis=0), table.sum(axis=1)


def encode(*arrays):
    """The sorted values that occur, and each array's values as places among them."""
    arrays = [np.array(y) for y in arrays]  # two looks at labels that another thread may change
    values = np.unique(np.concatenate([np.unique(y) for y in arrays]))
    return values, *(np.searchsorted(values, y) for y in arrays)


def classes_of(y, name):
    """Checked labels of one array: the sorted values that occur, and each label's place among them (int64)."""
    y = _labels(y, name)
    if len(y) == 0:
        raise ValueError(f"{name} must have at least one sample, not 0")
    kind = _kind(y, name)
    if kind != "labels":
        raise ValueError(f"{name} must be classes, not {kind}")
    y = y.reshape(-1)
    counted = count(y, y, None)
    if counted is None:
        values, codes = encode(y)
    else:
        values, _ = _found(counted, y, y)
        low, _, occurs = counted
        codes = y if y.dtype == np.int64 else y.astype(np.int64)
        codes = codes - low if low else codes
        if occurs is not None:
            codes = (np.cumsum(occurs) - 1)[codes]
    return values, np.ascontiguousarray(codes, dtype=np.int64)


def label_list(labels):
    """``labels`` as a vector, or TypeError, ValueError."""
    labels = _check.as_array(labels, "labels")
    if labels.ndim == 0:
        raise TypeError(f"labels must be an array, not {labels.item()!r}")
    if labels.ndim != 1:
        raise ValueError(f"labels must be 1-dimensional, not the shape {labels.shape}")
    if labels.size == 0:
        raise ValueError("labels must be at least one label, not []")
    return labels


def distinct(labels):
    """The sorted labels, each of them once."""
    try:
        return np.unique(labels)
    except TypeError:
        raise TypeError(f"labels must be numbers or texts that have an order, not {labels.dtype}") from None


def places(labels, values):
    """Where each of ``labels`` stands among ``values``; −1 for those that do not."""
    place = {value: i for i, value in enumerate(values.tolist())}
    return np.array([place.get(label, -1) for label in labels.tolist()], dtype=np.intp)


def check_classes(y_true, y_pred, sample_weight, zeros=False, names=("y_true", "y_pred")):
    """Two vectors of labels of one class each, and the weights as int64 or float64 (or None)."""
    multilabel, y_true, y_pred, weight = check_targets(y_true, y_pred, sample_weight, zeros, names)
    if multilabel:
        raise ValueError(f"{names[0]} and {names[1]} must be classes, not multilabel-indicator")
    return y_true, y_pred, weight


def check_weights(sample_weight, n):
    """n weights as `_weights` returns them, or ValueError, TypeError; None stays None."""
    if sample_weight is None:
        return None
    sample_weight = _check.as_array(sample_weight, "sample_weight")
    if sample_weight.ndim == 0:
        raise TypeError(f"sample_weight must be an array, not {sample_weight.item()!r}")
    if len(sample_weight) != n:
        raise ValueError(f"sample_weight must have one weight for each of {n} samples, not {len(sample_weight)}")
    return _weights(sample_weight, False)


def _found(counted, y_true, y_pred):
    """The labels and the table of those that occur."""
    low, table, occurs = counted
    labels = np.arange(low, low + len(table if occurs is None else occurs))
    if occurs is not None:
        labels = labels[occurs]
    if y_true.dtype.kind == y_pred.dtype.kind == "b":
        labels = labels.astype(bool)
    return labels, table


def _labels(y, name):
    y = _check.as_array(y, name)
    if y.ndim == 0:
        raise TypeError(f"{name} must be an array, not {y.item()!r}")
    if y.dtype.kind == "c":
        raise ValueError(f"{name} must be classes, not complex numbers")
    if y.dtype.kind == "S" or (y.dtype == object and y.size and isinstance(y.flat[0], bytes)):
        raise TypeError(f"{name} must be strings or numbers, not bytes")
    return y


def _weights(weight, zeros):
    """Weights that were checked: int64 where no sum of them overflows, float64 otherwise."""
    if weight.ndim != 1:
        raise ValueError(f"sample_weight must be 1-dimensional, not the shape {weight.shape}")
    if weight.dtype.kind not in "fiub":
        raise ValueError(f"sample_weight must hold real numbers, not {weight.dtype}")
    if weight.dtype.kind == "f" and not np.isfinite(weight).all():
        raise ValueError("sample_weight must be finite, not NaN or infinity")
    if not zeros and not weight.any():
        raise ValueError("sample_weight must have a number other than 0")
    wide = weight.astype(np.float64)
    with np.errstate(over="ignore"):
        total = np.abs(wide).sum()
    if not total < np.inf:
        raise ValueError("sample_weight must have a finite sum, not inf")
    return wide if weight.dtype.kind == "f" or total >= INT64_SAFE else weight.astype(np.int64)


def _kind(y, name):
    if y.ndim > 2 or (y.ndim == 2 and y.shape[1] == 0):
        return "unknown"
    if y.dtype == object and not isinstance(y.flat[0], str):
        return "unknown"
    columns = y.ndim == 2 and y.shape[1] > 1
    if y.dtype.kind == "f":
        if not np.isfinite(y).all():
            raise ValueError(f"{name} must be finite, not NaN or infinity")
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


def is_text(y):
    return y.dtype.kind in "UTO"
