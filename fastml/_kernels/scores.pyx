"""What a row of scores or probabilities says of one label: blocks of rows and threads."""

import numpy as np
from cython.parallel import parallel, prange

from .. cimport _numpy as cnp
from libc.math cimport fabs
from libc.stdint cimport int64_t, uint8_t

from .. import _labels

from .._environment cimport FM_FULL, fm_scope, fm_switch
from .._openmp cimport caller, join_team, leave_team, team, team_done
from .._simd cimport FM_NO_CLASS, fm_class, fm_labels

cnp.import_array()

ctypedef fused real:
    float
    double

cdef enum:
    BLOCKS = 16

cdef double COST = 0.6   # nanoseconds a score on one thread

cdef struct Faults:
    Py_ssize_t outside  # pairs of probabilities not both in [0, 1]
    Py_ssize_t uneven   # rows that do not sum to 1


cdef Py_ssize_t top_k_rows(uint8_t *hit, const real *score, const int64_t *label, Py_ssize_t k, Py_ssize_t rows,
                           Py_ssize_t n, fm_labels *rule) noexcept nogil:
    """hit (OUT), label (IN): rows; score (IN): (rows, n). Of equal scores the last one counts as the highest. Returns
    how many scores are not finite."""
    cdef Py_ssize_t i, j, above, level, strange = 0
    cdef size_t place
    cdef real own
    for i in range(rows):
        place = fm_class(label + i, n, rule)
        if place == FM_NO_CLASS:
            place = 0
        own = score[place]
        above = level = 0
        for j in range(n):  # the whole row: loops up to the label end where the processor does not expect it
            above += score[j] > own
            level += score[j] == own
            if not score[j] - score[j] == 0:
                strange += 1
        if level > 1:
            for j in range(<Py_ssize_t>place + 1, n):
                above += score[j] == own
        hit[i] = above < k
        score += n
    return strange


cdef Faults pick_rows(real *own, const real *p, const int64_t *label, double tolerance, Py_ssize_t rows,
                      Py_ssize_t n, fm_labels *rule) noexcept nogil:
    """own (OUT), label (IN): rows; p (IN): (rows, n)."""
    cdef Py_ssize_t i, j
    cdef size_t place
    cdef double even, odd
    cdef Faults faults
    faults.outside = faults.uneven = 0
    for i in range(rows):
        even = odd = 0
        for j in range(0, n - 1, 2):
            even += p[j]
            odd += p[j + 1]
            if not (p[j] >= 0 and p[j] <= 1 and p[j + 1] >= 0 and p[j + 1] <= 1):
                faults.outside += 1
        if n & 1:
            even += p[n - 1]
            if not (p[n - 1] >= 0 and p[n - 1] <= 1):
                faults.outside += 1
        faults.uneven += not fabs(even + odd - 1) <= tolerance
        place = fm_class(label + i, n, rule)
        own[i] = 0 if place == FM_NO_CLASS else p[place]
        p += n
    return faults


cdef Py_ssize_t all_hits(uint8_t[::1] hit, const real[:, ::1] score, const int64_t[::1] label, Py_ssize_t k,
                         fm_labels *rule) noexcept:
    """hit (OUT), label (IN): rows; score (IN): (rows, n); as top_k_rows."""
    cdef Py_ssize_t i, first, rows = score.shape[0], n = score.shape[1], strange = 0
    cdef int me = caller(), threads = team(COST * rows * n)
    with nogil, parallel(num_threads=threads):
        join_team(me)
        for i in prange(BLOCKS, schedule="static"):
            first = i * rows // BLOCKS
            strange += top_k_rows(&hit[first], &score[first, 0], &label[first], k, (i + 1) * rows // BLOCKS - first, n,
                                  rule)
        leave_team()
    team_done()
    return strange


cdef Faults all_picked(real[::1] own, const real[:, ::1] p, const int64_t[::1] label, double tolerance,
                       fm_labels *rule) noexcept:
    """own (OUT), label (IN): rows; p (IN): (rows, n); as pick_rows."""
    cdef Py_ssize_t i, first, rows = p.shape[0], n = p.shape[1], outside = 0, uneven = 0
    cdef int me = caller(), threads = team(COST * rows * n)
    cdef Faults part
    with nogil, parallel(num_threads=threads):
        join_team(me)
        for i in prange(BLOCKS, schedule="static"):
            first = i * rows // BLOCKS
            part = pick_rows(&own[first], &p[first, 0], &label[first], tolerance, (i + 1) * rows // BLOCKS - first, n,
                             rule)
            outside += part.outside
            uneven += part.uneven
        leave_team()
    team_done()
    return Faults(outside, uneven)


# Scores: (rows, n) of float32 or float64; label: rows of int64 within 0 ... n - 1; both contiguous, neither empty.


def top_k_hits(cnp.ndarray scores, cnp.ndarray label, Py_ssize_t k):
    """Whether each row's label is among its k highest scores (bool, one a row), and how many scores are not finite."""
    cdef fm_scope _scope = fm_switch(FM_FULL)
    cdef fm_labels rule = fm_labels(0, False, False)
    cdef Py_ssize_t strange
    hits = np.empty(len(scores), np.uint8)
    if cnp.PyArray_TYPE(scores) == cnp.NPY_DOUBLE:
        strange = all_hits[double](hits, scores, label, k, &rule)
    else:
        strange = all_hits[float](hits, scores, label, k, &rule)
    if rule.changed:
        _labels.refuse_changed("y_true")
    return hits.view(np.bool_), strange


def pick(cnp.ndarray p, cnp.ndarray label, double tolerance):
    """Each row's p of its label; whether any p is not in [0, 1]; how many rows do not sum to 1."""
    cdef fm_scope _scope = fm_switch(FM_FULL)
    cdef fm_labels rule = fm_labels(0, False, False)
    cdef Faults faults
    picked = np.empty(len(p), p.dtype)
    if cnp.PyArray_TYPE(p) == cnp.NPY_DOUBLE:
        faults = all_picked[double](picked, p, label, tolerance, &rule)
    else:
        faults = all_picked[float](picked, p, label, tolerance, &rule)
    if rule.changed:
        _labels.refuse_changed("y_true")
    return picked, faults.outside > 0, faults.uneven
