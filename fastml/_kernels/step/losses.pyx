"""Losses of one term an element in a training step: a tile of rows gives its gradient and its terms.

The terms are added after the step, block by block as losses.pyx adds its own, so the loss has the same bits as there
although tiles and blocks end in different places.
"""

cimport numpy as cnp

from ... import _check
from ..._check cimport is_plain
from ..._environment cimport FM_FULL, fm_scope, fm_switch
from ..._simd cimport fm32, fm64, fm_tally, fm_tally_add, fm_tally_sum
from .program cimport Args, Kernel, Numbers, Program, Tile, at, kernel

import numpy as np

cnp.import_array()

cdef extern from "losses.h":
    enum:
        FM_LOSS_BLOCK
        FM_LOSS_MSE
        FM_LOSS_L1
        FM_LOSS_HUBER
        FM_LOSS_BCE
        FM_LOSS_KL
        FM_LOSS_KL_LOG


cdef void rows_tile(const Args *p, const Tile *t) noexcept nogil:
    """dx, terms (OUT) of x, target, a, b (tables or NULL), all rows dense; n: the tables' periods, then the kind of
    loss; x[0]: scale."""
    cdef int kind = <int>p.n[2]
    cdef size_t cols = p.v[2].cols, n = (t.hi - t.lo) * cols, start = t.lo * cols
    if p.size == sizeof(float):
        fm32.loss_run(kind, <float *>at(p.v[0], t, t.lo, 0, p.size), <float *>at(p.v[1], t, t.lo, 0, p.size),
                      <float *>at(p.v[2], t, t.lo, 0, p.size), <float *>at(p.v[3], t, t.lo, 0, p.size),
                      <float *>at(p.v[4], t, 0, 0, p.size), p.n[0], <float *>at(p.v[5], t, 0, 0, p.size), p.n[1],
                      start, n, <float>p.x[0], False)
    else:
        fm64.loss_run(kind, <double *>at(p.v[0], t, t.lo, 0, p.size), <double *>at(p.v[1], t, t.lo, 0, p.size),
                      <double *>at(p.v[2], t, t.lo, 0, p.size), <double *>at(p.v[3], t, t.lo, 0, p.size),
                      <double *>at(p.v[4], t, 0, 0, p.size), p.n[0], <double *>at(p.v[5], t, 0, 0, p.size), p.n[1],
                      start, n, p.x[0], False)


cdef void weigh_tile(const Args *p, const Tile *t) noexcept nogil:
    """gradient, losses (OUT) of the same again (IN) and share: rows times a number for each."""
    cdef size_t cols = p.v[0].cols, terms = p.v[1].cols
    cdef Py_ssize_t i
    for i in range(t.lo, t.hi):
        if p.size == sizeof(float):
            fm32.scale_run(<float *>at(p.v[0], t, i, 0, p.size), cols, (<float *>at(p.v[4], t, i, 0, p.size))[0])
            fm32.scale_run(<float *>at(p.v[1], t, i, 0, p.size), terms, (<float *>at(p.v[4], t, i, 0, p.size))[0])
        else:
            fm64.scale_run(<double *>at(p.v[0], t, i, 0, p.size), cols, (<double *>at(p.v[4], t, i, 0, p.size))[0])
            fm64.scale_run(<double *>at(p.v[1], t, i, 0, p.size), terms, (<double *>at(p.v[4], t, i, 0, p.size))[0])


weigh = kernel(weigh_tile, "weigh")
MSE, L1, HUBER, BCE, KL, KL_LOG = (
    (kernel(rows_tile, name), kind) for name, kind in (
        ("mse_loss", FM_LOSS_MSE), ("l1_loss", FM_LOSS_L1), ("huber_loss", FM_LOSS_HUBER),
        ("binary_cross_entropy_with_logits", FM_LOSS_BCE), ("kl_div_loss", FM_LOSS_KL), ("kl_div_loss", FM_LOSS_KL_LOG),
    )
)


cdef double total(const char *terms, Py_ssize_t n, size_t size) noexcept nogil:
    """The sum of n terms, block by block in order."""
    cdef Py_ssize_t i, start, count
    cdef fm_tally sum = fm_tally(0, 0)
    for i in range((n + FM_LOSS_BLOCK - 1) // FM_LOSS_BLOCK):
        start = i * FM_LOSS_BLOCK
        count = min(<Py_ssize_t>FM_LOSS_BLOCK, n - start)
        if size == sizeof(float):
            fm_tally_add(&sum, fm32.loss_sum(<const float *>terms + start, count))
        else:
            fm_tally_add(&sum, fm64.loss_sum(<const double *>terms + start, count))
    return fm_tally_sum(&sum)


cdef class Targets:
    """The target of a step: checks it, binds it, and reads the loss when the step is done."""

    cdef Program program
    cdef Numbers numbers
    cdef int view, terms
    cdef Py_ssize_t cols
    cdef Py_ssize_t of_row  # what a row counts in the divisor of the sum, 0: there is none
    cdef object dtype

    def __init__(self, Program program, Numbers numbers, int view, int terms, Py_ssize_t cols, reduction):
        self.program, self.numbers, self.view, self.terms, self.cols = program, numbers, view, terms, cols
        self.of_row = {"mean": cols, "batchmean": 1, "sum": 0}[reduction]
        self.dtype = np.dtype(np.float64 if program.size == sizeof(double) else np.float32)

    def bind(self, target, Py_ssize_t rows):
        """ValueError or TypeError for a target that does not fit; nothing is written then."""
        cdef fm_scope _scope = fm_switch(FM_FULL)
        if not (is_plain(target) and cnp.PyArray_ITEMSIZE(<cnp.ndarray>target) == <Py_ssize_t>self.program.size):
            target = _check.plain(_check.as_real(target, "target", self.dtype))
        cdef cnp.ndarray array = <cnp.ndarray>target
        if (cnp.PyArray_NDIM(array) != 2 or cnp.PyArray_DIM(array, 0) != rows
                or cnp.PyArray_DIM(array, 1) != self.cols):
            raise ValueError(f"target must have the shape ({rows}, {self.cols}), not {target.shape}")
        self.program.bind(self.view, array)
        self.numbers.x[0] = 1 / <double>(rows * self.of_row) if self.of_row else 1

    def loss(self, Py_ssize_t rows):
        """The loss of the step that has just run."""
        cdef fm_scope _scope = fm_switch(FM_FULL)
        cdef double sum = total(self.program.views[self.terms].data, rows * self.cols, self.program.size)
        if self.of_row:
            sum /= rows * self.of_row
        return self.dtype.type(sum)


cdef class Shares:
    """The target of a step whose rows have weights: (target, weight). Each row's loss and gradient have the share of its
    weight; the target itself is bound by ``inner``."""

    cdef Program program
    cdef object inner, dtype
    cdef int view, terms
    cdef Py_ssize_t cols

    def __init__(self, Program program, inner, int view, int terms, Py_ssize_t cols):
        self.program, self.inner, self.view, self.terms, self.cols = program, inner, view, terms, cols
        self.dtype = np.dtype(np.float64 if program.size == sizeof(double) else np.float32)

    def bind(self, target, Py_ssize_t rows):
        """As the inner one's; weight: (rows,), positive."""
        cdef fm_scope _scope = fm_switch(FM_FULL)
        target, weight = target
        if weight.shape != (rows,):
            raise ValueError(f"weight must have the shape ({rows},), not {weight.shape}")
        share = (weight / (weight.sum() * self.cols)).astype(self.dtype)
        self.inner.bind(target, rows)
        self.program.bind(self.view, share)

    def loss(self, Py_ssize_t rows):
        """The loss of the step that has just run."""
        cdef fm_scope _scope = fm_switch(FM_FULL)
        return self.dtype.type(total(self.program.views[self.terms].data, rows * self.cols, self.program.size))
