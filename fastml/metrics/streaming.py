"""A confusion matrix that takes the samples piece by piece, and the scores that follow from it."""

import sys

import numpy as np

from .._check import flag, integer, shown
from .._environment import in_full_mode
from .._kernels.classification import add_counts
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

    #: Where the classes are 0 … k − 1: so many more counts are surely within int64.
    _room = 0

    def __init__(self, num_classes=None, *, labels=None):
        if num_classes is not None:
            if labels is not None:
                raise ValueError("num_classes must be None where labels are given: pass one of them")
            num_classes = integer(num_classes, "num_classes", 1, sys.maxsize)
            if num_classes**2 * 8 > sys.maxsize:
                raise ValueError(f"num_classes must be a number whose square has a place, not {num_classes}")
            self._table = np.zeros((num_classes,) * 2, np.int64)  # the largest first: it may be refused
            labels = np.arange(num_classes)
        self._open = labels is None
        #: The classes, in the order of rows and columns.
        self.labels = np.empty(0, np.int64) if self._open else label_list(labels).copy()
        if num_classes is None and len(np.unique(self.labels)) != len(self.labels):
            raise ValueError(f"labels must be distinct, not {self.labels.tolist()}")
        if num_classes is None:
            self._table = np.zeros((len(self.labels),) * 2, np.int64)
        else:
            self._room = int(INT64_SAFE)

    def __repr__(self):
        return f"ConfusionMatrix({len(self.labels)} classes, total {self._table.sum()})"

    @in_full_mode
    def update(self, y_true, y_pred, sample_weight=None):
        """Count samples: (n,) true labels, predicted labels and, if given, weights.

        Raises what :func:`confusion_matrix` does, and IndexError for a label that is no class; nothing is counted
        then. All weights of one piece may be 0.
        """
        if sample_weight is None and self._room:
            counted = add_counts(self._table, y_true, y_pred, self._room)
            if counted:
                self._room -= counted
                return
        self._add(*tabulate(y_true, y_pred, sample_weight, zeros=True))

    @in_full_mode
    def merge(self, other):
        """Add what another ConfusionMatrix has counted; ValueError where it has other classes."""
        if not isinstance(other, ConfusionMatrix):
            raise TypeError(f"other must be a ConfusionMatrix, not {shown(other)}")
        if not self._open and not np.array_equal(self.labels, other.labels):
            raise ValueError(f"other must have the classes {self.labels.tolist()}, not {other.labels.tolist()}")
        self._add(other.labels, other._table)

    @in_full_mode
    def compute(self, normalize=None):
        """The matrix so far (a copy), its entries divided as in :func:`confusion_matrix`."""
        _scores.check_normalize(normalize)
        return _scores.normalized(self._table.copy(), normalize)

    @in_full_mode
    def accuracy(self):
        """See :func:`accuracy_score`; NaN before the first sample."""
        total = self._table.sum()
        return float(self._table.trace() / total) if total else float("nan")

    @in_full_mode
    def balanced_accuracy(self, *, adjusted=False):
        """See :func:`balanced_accuracy_score`."""
        occurs = self._table.any(axis=0) | self._table.any(axis=1)
        return _scores.balanced_accuracy(self._table[np.ix_(occurs, occurs)], flag(adjusted, "adjusted"))

    @in_full_mode
    def cohen_kappa(self, *, weights=None):
        """See :func:`cohen_kappa_score`, with this object's labels."""
        return _scores.cohen_kappa(self._table, weights)

    @in_full_mode
    def matthews_corrcoef(self):
        """See :func:`matthews_corrcoef`."""
        return _scores.matthews(self._table)

    @in_full_mode
    def precision_recall_fscore(self, *, beta=1.0, labels=None, pos_label=1, average=None, zero_division="warn"):
        """See :func:`precision_recall_fscore`; with ``labels=None`` every class of this object is scored."""
        beta = _scores.check_beta(beta)
        _scores.zero_divided(zero_division)
        found, *sums = margins(self.labels, self._table)
        sums = precision_recall.select(found, sums, labels, pos_label, average, 2)
        return _scores.precision_recall_fscore(*sums, beta, average, zero_division, precision_recall.ALL_SCORES, 2)

    @in_full_mode
    def classification_report(self, *, target_names=None, digits=2, output_dict=False, zero_division="warn"):
        """See :func:`classification_report`; every class of this object has a line."""
        found, *sums = margins(self.labels, self._table)
        return precision_recall.report(found, sums, None, target_names, digits, output_dict, zero_division, 2)

    def _add(self, labels, table):
        if self._open:
            if len(self.labels) and is_text(self.labels) != is_text(labels):
                raise ValueError(
                    f"labels must be all strings or all numbers, not {self.labels.tolist()} and {labels.tolist()}"
                )
            everything = np.union1d(self.labels, labels) if len(self.labels) else labels
            if len(everything) > len(self.labels):
                grown = np.zeros((len(everything),) * 2, self._table.dtype)
                at = places(self.labels, everything)
                grown[at[:, None], at] = self._table
                self.labels, self._table = everything, grown
        at = places(labels, self.labels)
        if (at < 0).any():
            raise IndexError(f"labels must be among the classes {self.labels.tolist()}, not {labels[at < 0].tolist()}")
        total = sum(np.abs(t, dtype=np.float64).sum() for t in (table, self._table))
        if table.dtype != self._table.dtype or (table.dtype == np.int64 and total >= INT64_SAFE):
            self._table = self._table.astype(np.float64)
        if self._room:
            self._room = max(int(INT64_SAFE) - int(total), 0) if total < INT64_SAFE else 0
        self._table[at[:, None], at] += table
