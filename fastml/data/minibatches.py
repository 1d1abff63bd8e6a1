"""Mini-batches and train/test splits over arrays that share their first axis.

A pass draws one permutation of the row numbers and gathers each batch from the arrays when it is asked
for, so no shuffled copy of the data set exists. The gathering is a kernel's work (rows of bytes, several
threads); arrays whose rows are not contiguous, or are Python objects, go by NumPy's take.
"""

import os
import weakref
from collections import deque

import numpy as np

from .._check import MOST, as_array, each, entries, flag, integer, shown, size
from .._kernels.gather import gather
from .._locks import lock
from .._threads import num_threads
from .._tracked import Turns
from ._seeds import seed_of

_places = lock()  # of all Batches: held while one of them begins a pass or tells its place


def batches(*arrays, batch_size="auto", shuffle=True, seed=0, drop_last=False, prefetch=0):
    """Mini-batches of rows: an iterable of tuples with one array per argument.

    Each array has n rows (first axis, samples). ``batch_size`` is a number of samples, ``None`` for the
    whole set (batch gradient descent), 1 for stochastic gradient descent, or ``"auto"``: the whole set
    under 2000 samples, else the power of two nearest to √n, at least 64 and at most 512. The last batch
    may be shorter; ``drop_last=True`` leaves a shorter one out.

    With ``shuffle=True`` every pass over the same object has a new order that depends on ``seed`` and the
    number of the pass alone (attribute ``epoch``, which may be set to resume); every batch is then a new
    array. A loop that makes a new object each epoch passes a new seed. ``seed=None`` takes one from the
    operating system. Without shuffling the batches are views, in order. Threads may share the object (each gets passes
    of its own) and a pass (each batch goes to one of them). ``state_dict()`` is the place in the pass that
    began last, and ``load_state_dict(state)`` goes on behind it: with ``nn.save_checkpoint(…, batches=…)``.

    ``prefetch`` is a number of batches that one more thread gathers while the caller works on the one before: the
    same batches, at the price of their memory. It pays where rows come from memory slowly (data sets far beyond the
    caches) and a processor is free; after a fork, the child gathers by itself.

    Raises TypeError for a batch size, seed or prefetch that is no integer and for no arrays, ValueError for
    arrays of different length, without a first axis, a batch size under 1 or a negative prefetch.

    >>> X, y = np.arange(10.0).reshape(5, 2), np.arange(5)
    >>> [yb.tolist() for xb, yb in batches(X, y, batch_size=2, shuffle=False)]
    [[0, 1], [2, 3], [4]]
    >>> len(batches(X, y, batch_size=2, drop_last=True))
    2
    """
    return Batches(arrays, batch_size, shuffle, seed, drop_last, prefetch)


class Batches:
    """The iterable that :func:`batches` returns; ``len()`` is the number of batches in a pass."""

    __slots__ = ("_n", "_pass", "_place", "arrays", "batch_size", "drop_last", "epoch", "prefetch", "seed", "shuffle")

    _FIXED = ("batch_size", "shuffle", "drop_last")  # what a place in a pass depends on, besides the number of rows

    def __init__(self, arrays, batch_size="auto", shuffle=True, seed=0, drop_last=False, prefetch=0):
        self.arrays, self._n = _same_length(arrays)
        self.batch_size = _batch_size(batch_size, self._n)
        self.shuffle = flag(shuffle, "shuffle")
        self.seed = seed_of(seed)
        self.drop_last = flag(drop_last, "drop_last")
        self.prefetch = integer(prefetch, "prefetch", 0, MOST)
        self.epoch = 0
        self._place = (0, 0)  # the pass and the batch in it where a loaded state goes on
        self._pass = None  # a weak reference to the pass that began last

    def __len__(self):
        full, rest = divmod(self._n, self.batch_size)
        return full + (rest > 0 and not self.drop_last)

    def __iter__(self):
        # The order is drawn here and not at the first batch: passes may overlap, and the number of a pass
        # is the number of its iter() call.
        with _places:
            epoch, start = self.epoch, self._place[1] if self._place[0] == self.epoch else 0
            order = None
            if self.shuffle:
                order = np.random.default_rng([self.seed, epoch]).permutation(self._n)
            begun = Pass(self._from(order, start), epoch, start)
            self.epoch, self._place, self._pass = epoch + 1, (0, 0), weakref.ref(begun)
            return begun

    def _from(self, order, start):
        """The batches of one pass, from batch ``start`` on."""
        size, arrays = self.batch_size, self.arrays
        starts = range(start * size, len(self) * size, size)
        if order is None:
            return (tuple([array[i : i + size] for array in arrays]) for i in starts)
        ways = _ways(arrays)
        if self.prefetch:
            return _ahead(ways, (order[i : i + size] for i in starts), self.prefetch)
        return (_take(ways, order[i : i + size]) for i in starts)

    def state_dict(self):
        """The place: number of the pass, batches of it that were handed out, and what it depends on.

        The place is in the pass that began last as long as there is one: not any more where it has come to its end or
        nobody holds it, as after a loop that was left with ``break`` or by an exception; then it is before the next
        pass. Whoever wants to save after that holds the pass, ``for x, y in (one := iter(batches))``: the place is
        behind the batch that was handed out last, whether or not it was trained on, until ``one`` is dropped or closed.
        """
        with _places:
            current, seed = None if self._pass is None else self._pass(), self.seed
            place = {"epoch": self.epoch, "batch": self._place[1] if self._place[0] == self.epoch else 0}
        if current is not None and not current.over:
            place = {"epoch": current.epoch, "batch": current.batch}
        fixed = {name: getattr(self, name) for name in self._FIXED}
        return {**place, "seed": seed, "rows": self._n, **fixed}

    def load_state_dict(self, state):
        """Go on at a saved place: the next pass is the rest of the one that was under way. The seed is taken over.

        Raises ValueError where the rows are not as many, another batch size, ``shuffle`` or ``drop_last`` was saved, or
        something is missing, before anything changes.
        """
        names = ("rows", *self._FIXED)
        epoch, batch, seed, *values = entries(state, ("epoch", "batch", "seed", *names), "batches")
        epoch, batch, seed = integer(epoch, "epoch", 0, MOST), integer(batch, "batch", 0, MOST), seed_of(seed)
        saved = dict(zip(names, values, strict=True))
        mine = {"rows": self._n, **{name: getattr(self, name) for name in self._FIXED}}
        if not all(type(saved[name]) is type(mine[name]) and saved[name] == mine[name] for name in names):
            raise ValueError(f"state must be of batches with {_listed(mine)}, not {_listed(saved)}")
        if batch > len(self):
            raise ValueError(f"batch must be at most {len(self)}, as many as a pass has, not {batch}")
        with _places:
            self.seed, self.epoch, self._place, self._pass = seed, epoch, (epoch, batch), None

    def __getstate__(self):
        return None, {name: None if name == "_pass" else getattr(self, name) for name in self.__slots__}

    def __repr__(self):
        return (
            f"Batches({self._n} samples, batch_size={self.batch_size}, shuffle={self.shuffle}, "
            f"seed={self.seed}, drop_last={self.drop_last}, prefetch={self.prefetch})"
        )


class Pass(Turns):
    """One pass over the batches: an iterator that knows its place."""

    def __init__(self, batches, epoch, batch):
        super().__init__(batches, batch)
        self.epoch = epoch

    @property
    def batch(self):
        """Of those in a pass, how many were handed out."""
        return self.given


def _listed(values):
    return ", ".join(f"{name}={shown(value)}" for name, value in values.items())


def _ways(arrays):
    """Each array with the function that gathers rows of it."""
    return [(gather if _rows_contiguous(array) else _take_any, array) for array in arrays]


def _rows_contiguous(array):
    return not array.dtype.hasobject and (array.ndim == 1 or array[:1].flags.c_contiguous)


def _take_any(array, rows):
    return array.take(rows, axis=0)


def _take(ways, rows):
    """The rows of every array, as new arrays; rows: int64."""
    return tuple([take(array, rows) for take, array in ways])


def _take_alone(ways, rows):
    """The same on one thread: beside a caller that computes, a team would take its processors."""
    with num_threads(1):
        return _take(ways, rows)


def _ahead(ways, parts, count):
    """The batches of ``parts`` in order, up to ``count`` of them gathered in advance by a thread of this pass.

    Each is a job of its own that ends by itself, so a pass that is left early has nothing to wait for; what a
    job raises comes out where its batch is asked for. A forked child has no such thread and takes the jobs over.
    """
    from concurrent.futures import ThreadPoolExecutor

    parent = os.getpid()
    pool = ThreadPoolExecutor(1, "fastml-batches")
    waiting = deque()
    try:
        for rows in parts:
            waiting.append((rows, pool.submit(_take_alone, ways, rows) if os.getpid() == parent else None))
            if len(waiting) > count:
                yield _result(ways, *waiting.popleft(), parent)
        while waiting:
            yield _result(ways, *waiting.popleft(), parent)
    finally:
        if os.getpid() == parent:
            pool.shutdown(wait=False, cancel_futures=True)


def _result(ways, rows, job, parent):
    return job.result() if os.getpid() == parent else _take(ways, rows)


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
    order = np.random.default_rng(seed_of(seed)).permutation(n)
    ways = _ways(arrays)
    pairs = zip(_take(ways, order[n_test:]), _take(ways, order[:n_test]), strict=True)
    return tuple([part for pair in pairs for part in pair])


def _same_length(arrays):
    arrays = each(arrays, "arrays")
    if not arrays:
        raise TypeError("arrays must be at least one array, not none")
    arrays = tuple([as_array(array, f"arrays[{i}]") for i, array in enumerate(arrays)])
    for i, array in enumerate(arrays):
        if array.ndim == 0:
            raise ValueError(f"arrays[{i}] must have a first axis that counts the rows, not the shape ()")
    lengths = [array.shape[0] for array in arrays]
    if len(set(lengths)) > 1:
        raise ValueError(f"arrays must have the same number of rows, not {lengths}")
    return arrays, lengths[0]


def _batch_size(batch_size, n):
    if batch_size is None:
        return max(n, 1)
    if isinstance(batch_size, str):
        if batch_size != "auto":
            raise ValueError(f"batch_size must be an integer, None or 'auto', not {shown(batch_size)}")
        return max(n, 1) if n < 2000 else min(max(2 ** round(np.log2(n) / 2), 64), 512)
    return size(batch_size, "batch_size", ", None or 'auto'")


def _test_samples(test_size, n):
    if isinstance(test_size, (float, np.floating)):
        if not 0 < test_size < 1:
            raise ValueError(f"test_size as a share must be between 0 and 1, not {test_size}")
        n_test = int(np.ceil(test_size * n))
    else:
        n_test = integer(test_size, "test_size", others=" or a share")
    if not 0 < n_test < n:
        raise ValueError(f"test_size must leave rows of {n} for both parts, not {test_size}")
    return n_test
