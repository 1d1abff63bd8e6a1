"""Cross-entropy of logits and of log-probabilities in a training step: a tile of rows gives its gradient
and its losses, those of some rows in one sum.

The sums lie side by side. They are joined after the step in the order that cross_entropy.pyx has, so the loss has the
same bits as there.
"""

from ... cimport _numpy as cnp
from libc.stdint cimport int64_t

from ... import _check, _targets
from ..._check cimport PyArray_ISCARRAY_RO, ceil_div
from ..._environment cimport FM_FULL, fm_scope, fm_switch
from ..._simd cimport fm_label, fm_labels, fm_tally, fm_tally_add, fm_tally_of, fm_tally_sum, table_of
from ..cross_entropy cimport SMALL_ELEMENTS, SUM_ROWS, Options, block_rows, chunk_blocks, rows as loss_rows, take_rule
from .arguments cimport Arguments, Tile, View, at, ruler
from .program cimport Program

from .card import card

import numpy as np

cnp.import_array()

cdef extern from "numpy/arrayobject.h":
    object PyArray_Scalar(void *data, cnp.dtype descr, object base)

cdef cnp.dtype FLOAT32 = np.dtype(np.float32), FLOAT64 = np.dtype(np.float64)

cdef enum:
    LONG_ROW_ELEMENTS = 512  # longer rows have sums of their own


def sum_rows(Py_ssize_t classes):
    """Rows whose losses have one sum: a tile has a multiple of them."""
    return SUM_ROWS if classes <= LONG_ROW_ELEMENTS else 1


cdef struct CrossEntropy:
    View dx
    View sums           # of the losses of some rows together
    View losses         # of single rows
    View x
    View target         # labels or class probabilities
    View weight
    double smoothing
    double z_loss
    double weight_sum
    double scale        # of the gradient
    int64_t soft        # the target holds probabilities
    int64_t ignored     # the label that does not count,
    int64_t ignores     # if there is one


cdef inline void rows_tile(const CrossEntropy *p, const Tile *t, bint nll) noexcept nogil:
    cdef Py_ssize_t i, count, n = p.x.cols, together = SUM_ROWS if n <= LONG_ROW_ELEMENTS else 1
    cdef double *sums = <double *>at(&p.sums, t, 0, 0)
    cdef void *label
    cdef void *target
    cdef Options o
    cdef fm_labels rule = fm_labels(p.ignored, <int>p.ignores, False)
    o.labels, o.smoothing, o.weight_sum, o.scale, o.nll = &rule, p.smoothing, p.weight_sum, p.scale, nll
    o.z_loss = p.z_loss
    i = t.lo
    while i < t.hi:
        count = min(together, t.hi - i)
        label = NULL if p.soft else at(&p.target, t, i, 0)
        target = at(&p.target, t, i, 0) if p.soft else NULL
        sums[i // together] = loss_rows(
            table_of(t.size), at(&p.dx, t, i, 0), at(&p.losses, t, i, 0), at(&p.x, t, i, 0), <int64_t *>label, target,
            at(&p.weight, t, 0, 0), count, n, &o, False)
        i += together


cdef void cross_entropy_tile(const CrossEntropy *p, const Tile *t) noexcept nogil:
    rows_tile(p, t, False)

cross_entropy = card(
    <size_t>cross_entropy_tile, "cross_entropy", "sums and losses of logits x, and their gradient dx",
    (<const CrossEntropy *>ruler)[0], out="dx sums losses", optional="losses weight",
    later="scale soft ignored ignores", rows="weight")


cdef void nll_loss_tile(const CrossEntropy *p, const Tile *t) noexcept nogil:
    rows_tile(p, t, True)

nll_loss = card(
    <size_t>nll_loss_tile, "nll_loss", "sums and losses of log-probabilities x, and their gradient dx",
    (<const CrossEntropy *>ruler)[0], out="dx sums losses", optional="losses weight",
    later="scale soft ignored ignores", rows="weight")


cdef double total(const double *sums, Py_ssize_t rows, Py_ssize_t n) noexcept nogil:
    """The sum of all losses from these sums, joined as cross_entropy.pyx joins its own."""
    cdef Py_ssize_t together = SUM_ROWS if n <= LONG_ROW_ELEMENTS else 1, step = rows, each = 1, blocks, i, first, last
    cdef fm_tally sum = fm_tally(0, 0), chunk = sum
    if rows * n <= SMALL_ELEMENTS:
        return fm_tally_of(sums, ceil_div(rows, together), 1)
    step = block_rows(n)
    blocks = (rows + step - 1) // step
    each = chunk_blocks(blocks)
    for i in range(blocks):
        first = i * step
        last = min(rows, first + step)
        fm_tally_add(&chunk, fm_tally_of(sums + first // together, ceil_div(last, together) - first // together, 1))
        if (i + 1) % each == 0 or i + 1 == blocks:
            fm_tally_add(&sum, fm_tally_sum(&chunk))
            chunk = fm_tally(0, 0)
    return fm_tally_sum(&sum)


cdef class Labels:
    """The target of a step: copies labels and checks the copy, so that they are what was checked until the step is
    done; binds it, and reads the loss."""

    cdef Program program
    cdef Arguments arguments
    cdef CrossEntropy *given    # its memory
    cdef int matrix
    cdef Py_ssize_t n
    cdef object ignore_index, weight
    cdef bint mean, is_double
    cdef double total_weight
    cdef fm_labels rule
    cdef cnp.ndarray room  # for the labels of a batch

    def __init__(self, Program program, Arguments arguments, int matrix, Py_ssize_t n, weight, ignore_index, bint mean):
        self.program, self.arguments, self.matrix, self.n = program, arguments, matrix, n
        self.given = <CrossEntropy *>arguments.memory
        self.weight, self.ignore_index, self.mean = weight, ignore_index, mean
        take_rule(&self.rule, ignore_index)
        self.room = np.empty(0, np.int64)
        self.is_double = program.itemsize == sizeof(double)

    def bind(self, target, Py_ssize_t rows):
        """ValueError, TypeError or IndexError for a target that does not fit; nothing is written then."""
        cdef fm_scope _scope = fm_switch(FM_FULL)
        cdef cnp.ndarray labels
        cdef double weight = rows
        cdef size_t checked
        cdef Py_ssize_t i
        cdef const int64_t *given
        cdef int64_t *label
        labels_given = target
        if not (type(target) is cnp.ndarray and cnp.PyArray_TYPE(<cnp.ndarray>target) == cnp.NPY_INT64
                and PyArray_ISCARRAY_RO(<cnp.ndarray>target)):
            labels_given, hard = self.checked(target, rows)
            if not hard:
                return self.bind_probabilities(labels_given, rows)
            labels_given = _check.as_int64(labels_given)
        labels = <cnp.ndarray>labels_given
        if cnp.PyArray_NDIM(labels) != 1 or cnp.PyArray_DIM(labels, 0) != rows:
            self.checked(labels, rows)
        if cnp.PyArray_DIM(self.room, 0) < rows:
            self.room = np.empty(rows, np.int64)
        given, label = <const int64_t *>cnp.PyArray_DATA(labels), <int64_t *>cnp.PyArray_DATA(self.room)
        for i in range(rows):
            label[i] = fm_label(given + i)
        checked = table_of(self.program.itemsize).label_weights(
            &weight, label, self.weights(), rows, self.n, &self.rule)
        if checked < <size_t>rows:
            _targets.refuse_label(target, self.n, self.ignore_index)
        self.given.soft, self.given.ignored, self.given.ignores = False, self.rule.ignored, self.rule.ignores
        self.start(self.room, weight)

    cdef checked(self, target, Py_ssize_t rows):
        return _targets.class_target(target, (rows,), (rows, self.n), self.ignore_index, "the rows of the batch")

    cdef void *weights(self) noexcept:
        return NULL if self.weight is None else cnp.PyArray_DATA(<cnp.ndarray>self.weight)

    cdef bind_probabilities(self, target, Py_ssize_t rows):
        self.given.soft = True
        self.start(_check.plain(_check.as_real(target, "target", np.float64 if self.is_double else np.float32)), rows)

    cdef start(self, cnp.ndarray target, double weight):
        self.program.bind(self.matrix, target)
        self.total_weight = weight
        self.given.scale = 1 / weight if self.mean else 1

    def loss(self, Py_ssize_t rows):
        """The loss of the step that has just run."""
        cdef fm_scope _scope = fm_switch(FM_FULL)
        cdef double sum = total(<double *>self.given.sums.data, rows, self.n)
        if self.mean:
            sum /= self.total_weight
        cdef float single = <float>sum
        return PyArray_Scalar(&sum, FLOAT64, None) if self.is_double else PyArray_Scalar(&single, FLOAT32, None)
