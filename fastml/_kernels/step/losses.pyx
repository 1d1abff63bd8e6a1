"""Losses of one term an element in a training step: a tile of rows gives its gradient and its terms.

The terms are added after the step, block by block as losses.pyx adds its own, so the loss has the same bits as there
although tiles and blocks end in different places.
"""

from ... cimport _numpy as cnp
from libc.stdint cimport int64_t

from ... import _check
from ..._check cimport is_plain
from ..._environment cimport FM_FULL, fm_scope, fm_switch
from ..._simd cimport fm_tally, fm_tally_add, fm_tally_sum, table_of
from .arguments cimport Arguments, Tile, View, at, ruler
from .program cimport Program

from .card import card

import numpy as np

cnp.import_array()

cdef extern from "losses.h":
    enum:
        FM_LOSS_BLOCK


cdef struct Loss:
    View dx
    View terms
    View x
    View target
    View a                  # tables of the loss
    View b
    int64_t kind            # in losses.h
    int64_t a_period
    int64_t b_period
    double scale            # of the gradient

cdef void loss_tile(const Loss *p, const Tile *t) noexcept nogil:
    """All rows are dense."""
    table_of(t.size).loss_run(
        <int>p.kind, at(&p.dx, t, t.lo, 0), at(&p.terms, t, t.lo, 0), at(&p.x, t, t.lo, 0), at(&p.target, t, t.lo, 0),
        at(&p.a, t, 0, 0), p.a_period, at(&p.b, t, 0, 0), p.b_period, t.lo * p.x.cols, (t.hi - t.lo) * p.x.cols,
        p.scale, False)

loss = card(
    <size_t>loss_tile, "loss", "terms of each element of x against the target, and their gradient dx",
    (<const Loss *>ruler)[0], out="dx terms", optional="a b", later="scale", rows="a b")


cdef struct Weigh:
    View gradient
    View losses
    View share

cdef void weigh_tile(const Weigh *p, const Tile *t) noexcept nogil:
    cdef void *share
    cdef double factor
    cdef Py_ssize_t i
    for i in range(t.lo, t.hi):
        share = at(&p.share, t, i, 0)
        factor = (<float *>share)[0] if t.size == sizeof(float) else (<double *>share)[0]
        table_of(t.size).scale_run(at(&p.gradient, t, i, 0), p.gradient.cols, factor)
        table_of(t.size).scale_run(at(&p.losses, t, i, 0), p.losses.cols, factor)

weigh = card(
    <size_t>weigh_tile, "weigh", "gradient and losses, rows times the row's share", (<const Weigh *>ruler)[0],
    inout="gradient losses", rows="")


cdef double total(const char *terms, Py_ssize_t n, size_t size) noexcept nogil:
    """The sum of n terms, block by block in order."""
    cdef Py_ssize_t i, start, count
    cdef fm_tally sum = fm_tally(0, 0)
    for i in range((n + FM_LOSS_BLOCK - 1) // FM_LOSS_BLOCK):
        start = i * FM_LOSS_BLOCK
        count = min(<Py_ssize_t>FM_LOSS_BLOCK, n - start)
        fm_tally_add(&sum, table_of(size).loss_sum(terms + start * size, count))
    return fm_tally_sum(&sum)


cdef class Targets:
    """The target of a step: checks it, binds it, and reads the loss when the step is done."""

    cdef Program program
    cdef Arguments arguments
    cdef Loss *given        # its memory
    cdef int matrix
    cdef Py_ssize_t cols
    cdef Py_ssize_t of_row  # what a row counts in the divisor of the sum, 0: there is none
    cdef object dtype

    def __init__(self, Program program, Arguments arguments, int matrix, Py_ssize_t cols, reduction):
        self.program, self.arguments, self.matrix, self.cols = program, arguments, matrix, cols
        self.given = <Loss *>arguments.memory
        self.of_row = {"mean": cols, "batchmean": 1, "sum": 0}[reduction]
        self.dtype = np.dtype(np.float64 if program.itemsize == sizeof(double) else np.float32)

    def bind(self, target, Py_ssize_t rows):
        """ValueError or TypeError for a target that does not fit; nothing is written then."""
        cdef fm_scope _scope = fm_switch(FM_FULL)
        if not (is_plain(target) and cnp.PyArray_ITEMSIZE(<cnp.ndarray>target) == <Py_ssize_t>self.program.itemsize):
            target = _check.plain(_check.as_real(target, "target", self.dtype))
        cdef cnp.ndarray array = <cnp.ndarray>target
        if (cnp.PyArray_NDIM(array) != 2 or cnp.PyArray_DIM(array, 0) != rows
                or cnp.PyArray_DIM(array, 1) != self.cols):
            _check.refuse_shape("target", (rows, self.cols), target.shape)
        self.program.bind(self.matrix, array)
        self.given.scale = 1 / <double>(rows * self.of_row) if self.of_row else 1

    def loss(self, Py_ssize_t rows):
        """The loss of the step that has just run."""
        cdef fm_scope _scope = fm_switch(FM_FULL)
        cdef double sum = total(<char *>self.given.terms.data, rows * self.cols, self.program.itemsize)
        if self.of_row:
            sum /= rows * self.of_row
        return self.dtype.type(sum)


cdef class Shares:
    """The target of a step whose rows have weights: (target, weight). Each row's loss and gradient have the share of
    its weight; the target itself is bound by ``inner``."""

    cdef Program program
    cdef Arguments arguments
    cdef Weigh *given       # its memory
    cdef object inner, dtype
    cdef int matrix
    cdef Py_ssize_t cols

    def __init__(self, Program program, Arguments arguments, inner, int matrix, Py_ssize_t cols):
        self.program, self.arguments, self.inner = program, arguments, inner
        self.matrix, self.cols = matrix, cols
        self.given = <Weigh *>arguments.memory
        self.dtype = np.dtype(np.float64 if program.itemsize == sizeof(double) else np.float32)

    def bind(self, target, Py_ssize_t rows):
        """As the inner one's; weight: (rows,), positive."""
        cdef fm_scope _scope = fm_switch(FM_FULL)
        target, weight = target
        if weight.shape != (rows,):
            _check.refuse_shape("weight", (rows,), weight.shape)
        share = (weight / (weight.sum() * self.cols)).astype(self.dtype)
        self.inner.bind(target, rows)
        self.program.bind(self.matrix, share)

    def loss(self, Py_ssize_t rows):
        """The loss of the step that has just run."""
        cdef fm_scope _scope = fm_switch(FM_FULL)
        return self.dtype.type(total(<char *>self.given.losses.data, rows * self.cols, self.program.itemsize))
