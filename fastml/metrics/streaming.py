"""A confusion matrix that takes the samples piece by piece, and the scores that follow from it."""

import sys

import numpy as np

from .._check import flag, integer, shown
from .._environment import in_full_mode
from .._kernels.classification import Tally
from . import _scores, precision_recall
from ._targets import INT64_SAFE, is_text, label_list, margins, places, tabulate


class ConfusionMatrix:
    """Confusion matrix of a stream: C[i, j] = Σ of the weights of samples of class i predicted as class j.

    ``ConfusionMatrix(k)`` knows the classes 0 … k − 1, ``ConfusionMatrix(labels=...)`` those listed, in this order;
    with neither it takes up labels as they come, sorted. ``update`` counts samples, ``merge`` adds another matrix
    (of another shard, process or machine: it can be pickled), ``compute`` returns the matrix so far. Counts
    and sums of integer weights are int64 and exact, so no cut into pieces shows in them; weights of float, or sums
    near the bounds of int64, make it float64. The scores are those of the functions of the same name over all samples
    at once.

    Raises ValueError for both or repeated labels, TypeError for ``num_classes`` that is no integer.

    >>> stream = ConfusionMatrix(3)
    >>> for y_true, y_pred in [([0, 1, 2], [0, 2, 2]), ([2, 1], [2, 1])]:
    ...     stream.update(np.array(y_true), np.array(y_pred))
    >>> stream.compute()
    array([[1, 0, 0],
           [0, 1, 1],
           [0, 0, 2]])
    >>> stream.accuracy()
    0.8
    """

    def __init__(self, num_classes=None, *, labels=None):
        if num_classes is not None:
            if labels is not None:
                raise ValueError("num_classes must be None where labels are given: pass one of them")
            num_classes = integer(num_classes, "num_classes", 1, sys.maxsize)
            if num_classes**2 * 8 > sys.maxsize:
                raise ValueError(f"num_classes must be a number whose square has a place, not {num_classes}")
            self._tally = Tally(np.zeros((num_classes,) * 2, np.int64), int(INT64_SAFE))  # it may be refused
            self._open, self.labels = False, np.arange(num_classes)
            return
        self._open = labels is None
        #: The classes, in the order of rows and columns.
        self.labels = np.empty(0, np.int64) if self._open else label_list(labels).copy()
        if len(np.unique(self.labels)) != len(self.labels):
            raise ValueError(f"labels must be distinct, not {self.labels.tolist()}")
        self._tally = Tally(np.zeros((len(self.labels),) * 2, np.int64), self._room())

    def __repr__(self):
        labels, table = self._counts()
        return f"ConfusionMatrix({len(labels)} classes, total {table.sum()})"

    def __getstate__(self):
        with self._tally:
            return {
                **{name: value for name, value in vars(self).items() if name != "_tally"},
                "labels": self.labels.copy(),
                "_table": self._tally.table.copy(),
                "_room": self._tally.room,
            }

    def __setstate__(self, state):
        self._tally = Tally(state.pop("_table"), state.pop("_room", 0))
        vars(self).update(state)

    def update(self, y_true, y_pred, sample_weight=None):
        """Count samples: (n,) true labels, predicted labels and, if given, weights.

        Raises what :func:`confusion_matrix` does, and IndexError for a label that is no class; nothing is counted
        then. All weights of one piece may be 0. Several threads may do so at once.
        """
        if sample_weight is not None or not self._tally.add(y_true, y_pred):
            self._update(y_true, y_pred, sample_weight)

    @in_full_mode
    def _update(self, y_true, y_pred, sample_weight):
        self._add(*tabulate(y_true, y_pred, sample_weight, zeros=True))

    @in_full_mode
    def merge(self, other):
        """Add what another ConfusionMatrix has counted; ValueError where it has other classes."""
        if not isinstance(other, ConfusionMatrix):
            raise TypeError(f"other must be a ConfusionMatrix, not {shown(other)}")
        labels, table = other._counts()
        if not self._open and not np.array_equal(self.labels, labels):
            raise ValueError(f"other must have the classes {self.labels.tolist()}, not {labels.tolist()}")
        self._add(labels, table)

    def compute(self, normalize=None):
        """The matrix so far (a copy), its entries divided as in :func:`confusion_matrix`."""
        return self._tally.copy() if normalize is None else self._shares(normalize)

    @in_full_mode
    def _shares(self, normalize):
        _scores.check_normalize(normalize)
        return _scores.normalized(self._tally.copy(), normalize)

    @in_full_mode
    def accuracy(self):
        """See :func:`accuracy_score`; NaN before the first sample."""
        table = self._tally.copy()
        total = np.add.reduce(table, axis=None)
        return float(table.trace() / total) if total else float("nan")

    @in_full_mode
    def balanced_accuracy(self, *, adjusted=False):
        """See :func:`balanced_accuracy_score`."""
        table = self._tally.copy()
        occurs = table.any(axis=0) | table.any(axis=1)
        return _scores.balanced_accuracy(table[np.ix_(occurs, occurs)], flag(adjusted, "adjusted"))

    @in_full_mode
    def cohen_kappa(self, *, weights=None):
        """See :func:`cohen_kappa_score`, with this object's labels."""
        return _scores.cohen_kappa(self._tally.copy(), weights)

    @in_full_mode
    def matthews_corrcoef(self):
        """See :func:`matthews_corrcoef`."""
        return _scores.matthews(self._tally.copy())

    @in_full_mode
    def precision_recall_fscore(self, *, beta=1.0, labels=None, pos_label=1, average=None, zero_division="warn"):
        """See :func:`precision_recall_fscore`; with ``labels=None`` every class of this object is scored."""
        beta = _scores.check_beta(beta)
        _scores.zero_divided(zero_division)
        found, *sums = margins(*self._counts())
        sums = precision_recall.select(found, sums, labels, pos_label, average, 2)
        return _scores.precision_recall_fscore(*sums, beta, average, zero_division, precision_recall.ALL_SCORES, 2)

    @in_full_mode
    def classification_report(self, *, target_names=None, digits=2, output_dict=False, zero_division="warn"):
        """See :func:`classification_report`; every class of this object has a line."""
        found, *sums = margins(*self._counts())
        return precision_recall.report(found, sums, None, target_names, digits, output_dict, zero_division, 2)

    def _counts(self):
        """The classes and a copy of the matrix, as they are between two updates."""
        with self._tally:
            return self.labels, self._tally.table.copy()

    def _room(self):
        """How many samples the kernel may count: none where the classes are not 0 … k − 1."""
        k = len(self.labels)
        counted = k > 0 and self.labels.dtype == np.int64 and np.array_equal(self.labels, np.arange(k))
        return int(INT64_SAFE) if counted else 0

    def _add(self, labels, table):
        with self._tally:
            self._add_alone(labels, table)

    def _add_alone(self, labels, table):
        if self._open:
            if len(self.labels) and is_text(self.labels) != is_text(labels):
                raise ValueError(
                    f"labels must be all strings or all numbers, not {self.labels.tolist()} and {labels.tolist()}"
                )
            everything = np.union1d(self.labels, labels) if len(self.labels) else labels
            if len(everything) > len(self.labels):
                grown = np.zeros((len(everything),) * 2, self._tally.table.dtype)
                at = places(self.labels, everything)
                grown[at[:, None], at] = self._tally.table
                self.labels, self._tally.table = everything, grown
                self._tally.room = self._room() if grown.dtype == np.int64 else 0
        at = places(labels, self.labels)
        if (at < 0).any():
            raise IndexError(f"labels must be among the classes {self.labels.tolist()}, not {labels[at < 0].tolist()}")
        total = sum(np.abs(t, dtype=np.float64).sum() for t in (table, self._tally.table))
        if table.dtype != self._tally.table.dtype or (table.dtype == np.int64 and total >= INT64_SAFE):
            self._tally.table, self._tally.room = self._tally.table.astype(np.float64), 0
        self._tally.table[at[:, None], at] += table
        self._tally.room = max(int(INT64_SAFE) - int(total), 0) if self._tally.room and total < INT64_SAFE else 0
