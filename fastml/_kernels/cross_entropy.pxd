"""Options, rows and the cut of the sum of losses, for the kernels that are built on the cross-entropy.

A loss of log-probabilities (nll) goes through the same gate and blocks and has primitives of its own.

The cut depends on the shape alone; a training step adds in the same order.
"""

from libc.stdint cimport int64_t

from .._check cimport ceil_div
from .._simd cimport fm_labels, fm_table

cdef enum:
    SMALL_ELEMENTS = 8192
    BLOCK_ELEMENTS = 16384  # of a block of rows, about
    CHUNKS = 256            # at most: their sums fit on the stack
    SUM_ROWS = 8            # whose losses a primitive adds at once

cdef struct Options:
    fm_labels *labels
    double smoothing
    double z_loss
    double weight_sum
    double scale
    bint nll


cdef inline double rows(const fm_table *table, void *dx, void *loss, const void *x, const int64_t *label,
                        const void *target, const void *weight, size_t count, size_t n, const Options *o,
                        bint stream) noexcept nogil:
    """dx, loss (OUT or NULL), x (IN), label or target (IN), weight (IN or NULL): `count` rows of n."""
    if o.nll:
        return table.nll_rows(dx, loss, x, label, target, weight, count, n, o.labels, o.smoothing, o.scale, stream)
    if target == NULL:
        return table.cross_entropy_rows(dx, loss, x, label, weight, count, n, o.labels, o.smoothing, o.z_loss,
                                        o.weight_sum, o.scale, stream)
    return table.cross_entropy_soft_rows(dx, loss, x, target, weight, count, n, o.smoothing, o.z_loss, o.scale,
                                         stream)


cdef inline Py_ssize_t block_rows(Py_ssize_t n) noexcept nogil:
    """Rows of n elements in a block: a multiple of SUM_ROWS where rows are short."""
    cdef Py_ssize_t rows = BLOCK_ELEMENTS // max(n, 1)
    return max(1, rows if rows < SUM_ROWS else rows - rows % SUM_ROWS)


cdef inline Py_ssize_t chunk_blocks(Py_ssize_t blocks) noexcept nogil:
    """Neighbouring blocks whose losses are added in one place."""
    return max(1, ceil_div(blocks, CHUNKS))


# The rule for labels with the one that does not count; the share of smoothing: both checked.
cdef int take_rule(fm_labels *rule, object ignore_index) except -1
cdef double smoothing_of(object label_smoothing) except? -1
