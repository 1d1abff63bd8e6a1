"""Mini-batches and train/test splits over arrays that share their first axis.

A pass draws one permutation of the row numbers and gathers each batch from the arrays when it is asked
for, so no shuffled copy of the data set exists.
"""

import operator

import numpy as np


def batches(*arrays, batch_size="auto", shuffle=True, seed=0, drop_last=False):
    """Mini-batches of rows: an iterable of tuples with one array per argument.

    Each array has n rows (first axis, samples). ``batch_size`` is a number of samples, ``None`` for the
    whole set (batch gradient descent), 1 for stochastic gradient descent, or ``"auto"``: the whole set
    under 2000 samples, else the power of two nearest to √n, at least 64 and at most 512. The last batch
    may be shorter; ``drop_last=True`` leaves a shorter one out.

    With ``shuffle=True`` every pass over the same object has a new order that depends on ``seed`` and the
    number of the pass alone (attribute ``epoch``, which may be set to resume); every batch is then a new
    array. A loop that makes a new object each epoch passes a new seed. ``seed=None`` takes one from the
    operating system. Without shuffling the batches are views, in order.

    Raises TypeError for a batch size or seed that is no integer and for no arrays, ValueError for arrays
    of different length, without a first axis, or a batch size under 1.

    >>> X, y = np.arange(10.0).reshape(5, 2), np.arange(5)
    >>> [yb.tolist() for xb, yb in batches(X, y, batch_size=2, shuffle=False)]
    [[0, 1], [2, 3], [4]]
    >>> len(batches(X, y, batch_size=2, drop_last=True))
    2
    """
    return Batches(arrays, batch_size, shuffle, seed, drop_last)


class Batches:
    """The iterable that :func:`batches` returns; ``len()`` is the number of batches in a pass."""

    __slots__ = ("_n", "arrays", "batch_size", "drop_last", "epoch", "seed", "shuffle")

    def __init__(self, arrays, batch_size="auto", shuffle=True, seed=0, drop_last=False):
        self.arrays, self._n = _same_length(arrays)
        self.batch_size = _batch_size(batch_size, self._n)
        self.shuffle = bool(shuffle)
        self.seed = _seed(seed)
        self.drop_last = bool(drop_last)
        self.epoch = 0

    def __len__(self):
        full, rest = divmod(self._n, self.batch_size)
        return full + (rest > 0 and not self.drop_last)

    def __iter__(self):
        # The order is drawn here and not at the first batch: passes may overlap, and the number of a pass
        # is the number of its iter() call.
        order = None
        if self.shuffle:
            order = np.random.default_rng([self.seed, self.epoch]).permutation(self._n)
        self.epoch += 1
        return self._pass(order)

    def _pass(self, order):
        size = self.batch_size
        for start in range(0, len(self) * size, size):
            if order is None:
                yield tuple(array[start : start + size] for array in self.arrays)
            else:
                rows = order[start : start + size]
                yield tuple(array.take(rows, axis=0) for array in self.arrays)

    def __repr__(self):
        return (
            f"Batches({self._n} samples, batch_size={self.batch_size}, shuffle={self.shuffle}, "
            f"seed={self.seed}, drop_last={self.drop_last})"
        )


def split(*arrays, test_size=0.2, seed=0):
    """Shuffle the rows and cut them in two: ``(a_train, a_test, b_train, b_test, …)``, new arrays.

    ``test_size`` is a share of the n samples between 0 and 1 (rounded up to whole samples, as
    scikit-learn's ``train_test_split`` does) or a number of samples. The same seed gives the same rows;
    ``seed=None`` takes one from the operating system.

    Raises ValueError where a part would be empty and for arrays of different length, TypeError for no
    arrays or a test size that is no number.

    >>> train, test = split(np.arange(10), test_size=0.2, seed=0)
    >>> len(train), len(test), sorted([*train.tolist(), *test.tolist()])
    (8, 2, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    """
    arrays, n = _same_length(arrays)
    n_test = _test_samples(test_size, n)
    order = np.random.default_rng(_seed(seed)).permutation(n)
    train, test = order[n_test:], order[:n_test]
    return tuple(array.take(rows, axis=0) for array in arrays for rows in (train, test))


def _same_length(arrays):
    if not arrays:
        raise TypeError("at least one array is needed, got none")
    arrays = tuple(np.asarray(array) for array in arrays)
    for i, array in enumerate(arrays):
        if array.ndim == 0:
            raise ValueError(f"array {i} has no first axis: it is 0-dimensional")
    lengths = [array.shape[0] for array in arrays]
    if len(set(lengths)) > 1:
        raise ValueError(f"arrays must have the same number of rows, got {lengths}")
    return arrays, lengths[0]


def _batch_size(batch_size, n):
    if batch_size is None:
        return max(n, 1)
    if isinstance(batch_size, str):
        if batch_size != "auto":
            raise ValueError(f"batch_size must be an integer, None or 'auto', got {batch_size!r}")
        return max(n, 1) if n < 2000 else min(max(2 ** round(np.log2(n) / 2), 64), 512)
    size = _integer(batch_size, "batch_size", ", None or 'auto'")
    if size < 1:
        raise ValueError(f"batch_size must be at least 1, got {size}")
    return size


def _seed(seed):
    if seed is None:
        return np.random.SeedSequence().entropy
    seed = _integer(seed, "seed", " or None")
    if seed < 0:
        raise ValueError(f"seed must not be negative, got {seed}")
    return seed


def _test_samples(test_size, n):
    if isinstance(test_size, (float, np.floating)):
        if not 0 < test_size < 1:
            raise ValueError(f"test_size as a share must lie between 0 and 1, got {test_size}")
        n_test = int(np.ceil(test_size * n))
    else:
        n_test = _integer(test_size, "test_size", " or a share")
    if not 0 < n_test < n:
        raise ValueError(f"test_size={test_size} of {n} samples leaves one of the two parts empty")
    return n_test


def _integer(value, name, others):
    if isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be an integer{others}, got {value!r}")
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer{others}, got {value!r}") from None
