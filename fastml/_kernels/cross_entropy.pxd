"""Options, rows and the cut of the sum of losses, for the kernels that are built on the cross-entropy.

A loss of log-probabilities (nll) goes through the same gate and blocks and has primitives of its own.

The cut depends on the shape alone; a training step adds in the same order.
"""

from libc.stdint cimport int64_t

from .._simd cimport fm32, fm64, fm_labels

ctypedef fused real:
    float
    double

cdef enum:
    SMALL = 8192      # elements: one unit
    BLOCK = 16384     # elements of a unit of rows, about
    SLOTS = 256
    GROUP_ROWS = 8    # rows whose losses are added at once

cdef struct Options:
    fm_labels *labels
    double smoothing
    double z_loss
    double weight_sum
    double scale
    bint nll


cdef inline double rows(real *dx, real *loss, const real *x, const int64_t *label, const real *target,
                        const real *weight, size_t count, size_t n, const Options *o, bint stream) noexcept nogil:
    """dx, loss (OUT or NULL), x (IN), label or target (IN), weight (IN or NULL): `count` rows of n."""
    if real is float:
        if o.nll:
            return fm32.nll_rows(dx, loss, x, label, target, weight, count, n, o.labels, o.smoothing, o.scale, stream)
        if target == NULL:
            return fm32.cross_entropy_rows(dx, loss, x, label, weight, count, n, o.labels, o.smoothing, o.z_loss,
                                           o.weight_sum, o.scale, stream)
        return fm32.cross_entropy_soft_rows(dx, loss, x, target, weight, count, n, o.smoothing, o.z_loss, o.scale,
                                            stream)
    else:
        if o.nll:
            return fm64.nll_rows(dx, loss, x, label, target, weight, count, n, o.labels, o.smoothing, o.scale, stream)
        if target == NULL:
            return fm64.cross_entropy_rows(dx, loss, x, label, weight, count, n, o.labels, o.smoothing, o.z_loss,
                                           o.weight_sum, o.scale, stream)
        return fm64.cross_entropy_soft_rows(dx, loss, x, target, weight, count, n, o.smoothing, o.z_loss, o.scale,
                                            stream)


cdef inline Py_ssize_t unit_rows(Py_ssize_t n) noexcept nogil:
    """Rows of n elements in a unit: whole groups of them where rows are short."""
    cdef Py_ssize_t rows = BLOCK // max(n, 1)
    return max(1, rows if rows < GROUP_ROWS else rows - rows % GROUP_ROWS)


cdef inline Py_ssize_t slot_units(Py_ssize_t units) noexcept nogil:
    """Units added in one place."""
    return max(1, (units + SLOTS - 1) // SLOTS)


# The rule for labels with the one that does not count; the share of smoothing: both checked.
cdef int take_rule(fm_labels *rule, object ignore_index) except -1
cdef double smoothing_of(object label_smoothing) except? -1
