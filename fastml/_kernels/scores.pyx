"""What a row of scores or probabilities says of one label: blocks of rows and threads."""

import numpy as np
from cython.parallel import parallel

from .. cimport _numpy as cnp
from libc.math cimport sqrt
from libc.stdint cimport int64_t, uint8_t
from libc.string cimport memset

from .. import _labels

from .._check cimport is_plain
from .._environment cimport FM_FULL, fm_scope, fm_switch
from .._memory cimport new_array
from .._openmp cimport fm_add, fm_work, join_team, leave_team, next_block, share_work, team, team_done
from .._simd cimport FM_NO_CLASS, fm_class, fm_labels

cnp.import_array()

ctypedef fused real:
    float
    double

cdef enum:
    BLOCKS = 16
    MOST_CLASSES = 1024  # that log_loss looks for by itself

cdef double COST = 0.6   # nanoseconds a score on one thread

cdef extern from "numpy/arrayobject.h":
    int PyArray_ISCARRAY_RO(cnp.ndarray) noexcept

cdef extern from "pick.h" nogil:
    ctypedef struct fm_faults:
        size_t outside
        size_t uneven
    fm_faults fm_pick_rows(double *own, const void *p, const int64_t *label, size_t rows, size_t n, double tolerance,
                           double eps, fm_labels *rule, bint single)

cdef object log = np.log


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


cdef Py_ssize_t all_hits(uint8_t[::1] hit, const real[:, ::1] score, const int64_t[::1] label, Py_ssize_t k,
                         fm_labels *rule) noexcept:
    """hit (OUT), label (IN): rows; score (IN): (rows, n); as top_k_rows."""
    cdef fm_work work
    cdef Py_ssize_t i = 0, first = 0, some = 0, rows = score.shape[0], n = score.shape[1], strange = 0
    cdef int threads = team(COST * rows * n)
    share_work(&work, BLOCKS, threads)
    with nogil, parallel(num_threads=threads):
        i = join_team(&work)
        while i >= 0:
            first = i * rows // BLOCKS
            some = (i + 1) * rows // BLOCKS - first
            fm_add(&strange, top_k_rows(&hit[first], &score[first, 0], &label[first], k, some, n, rule))
            i = next_block(&work)
        leave_team()
    team_done()
    return strange


cdef fm_faults all_picked(double *own, cnp.ndarray p, const int64_t *label, double eps, double tolerance,
                          fm_labels *rule) noexcept:
    """own (OUT), label (IN): rows; p (IN): (rows, n) or rows; as fm_pick_rows."""
    cdef fm_work work
    cdef Py_ssize_t i = 0, first = 0, rows = cnp.PyArray_DIM(p, 0), n = cnp.PyArray_SIZE(p) // rows
    cdef Py_ssize_t outside = 0, uneven = 0
    cdef Py_ssize_t size = cnp.PyArray_ITEMSIZE(p)
    cdef const char *at = cnp.PyArray_BYTES(p)
    cdef int threads = team(COST * rows * n)
    cdef fm_faults part = fm_faults(0, 0)
    if threads == 1:
        part = fm_pick_rows(own, at, label, rows, n, tolerance, eps, rule, size == 4)
        team_done()
        return part
    share_work(&work, BLOCKS, threads)
    with nogil, parallel(num_threads=threads):
        i = join_team(&work)
        while i >= 0:
            first = i * rows // BLOCKS
            part = fm_pick_rows(own + first, at + first * n * size, label + first, (i + 1) * rows // BLOCKS - first, n,
                                tolerance, eps, rule, size == 4)
            fm_add(&outside, part.outside)
            fm_add(&uneven, part.uneven)
            i = next_block(&work)
        leave_team()
    team_done()
    return fm_faults(outside, uneven)


cdef double pairwise(const double *x, Py_ssize_t n) noexcept nogil:
    """The sum as NumPy has it: eight lanes of up to 128 numbers, and halves."""
    cdef double[8] lane
    cdef double sum = 0
    cdef Py_ssize_t i = 0, j, half
    if n > 128:
        half = n // 2
        half -= half % 8
        return pairwise(x, half) + pairwise(x + half, n - half)
    if n >= 8:
        for j in range(8):
            lane[j] = x[j]
        i = 8
        while i + 8 <= n:
            for j in range(8):
                lane[j] += x[i + j]
            i += 8
        sum = ((lane[0] + lane[1]) + (lane[2] + lane[3])) + ((lane[4] + lane[5]) + (lane[6] + lane[7]))
    while i < n:
        sum += x[i]
        i += 1
    return sum


cdef bint all_occur(const int64_t *label, Py_ssize_t n, Py_ssize_t classes) noexcept nogil:
    """Whether each of 0 ... classes - 1 is among n labels; looks no further than it must."""
    cdef uint8_t[MOST_CLASSES] seen
    cdef Py_ssize_t i, left = classes
    cdef fm_labels rule = fm_labels(0, False, False)
    cdef size_t place
    if classes > MOST_CLASSES:
        return False
    memset(seen, 0, classes)
    for i in range(n):
        place = fm_class(label + i, classes, &rule)
        if place != FM_NO_CLASS and not seen[place]:
            seen[place] = 1
            left -= 1
            if left == 0:
                return True
    return False


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


def pick(cnp.ndarray p, cnp.ndarray label, double eps, double tolerance):
    """Each row's p of its label within [eps, 1 - eps], as float64; whether one of p may not be in [0, 1]; how many rows
    do not sum to 1. p (rows) is of the second of two classes."""
    cdef fm_scope _scope = fm_switch(FM_FULL)
    cdef fm_labels rule = fm_labels(0, False, False)
    cdef fm_faults faults
    cdef cnp.npy_intp rows = cnp.PyArray_DIM(p, 0)
    picked = new_array(1, &rows, cnp.NPY_DOUBLE)
    cdef double *own = <double *>cnp.PyArray_DATA(<cnp.ndarray>picked)
    faults = all_picked(own, p, <const int64_t *>cnp.PyArray_DATA(label), eps, tolerance, &rule)
    if rule.changed:
        _labels.refuse_changed("y_true")
    return picked, faults.outside > 0, faults.uneven


def log_loss(y_true, y_proba):
    """The mean loss where nothing is to be refused, said or converted: labels (rows) of int64 that are all of
    0 ... n - 1, and probabilities (rows, n), or (rows) of the second of two classes. None otherwise."""
    cdef fm_scope _scope = fm_switch(FM_FULL)
    cdef fm_labels rule = fm_labels(0, False, False)
    cdef fm_faults faults
    cdef cnp.npy_intp rows
    cdef Py_ssize_t n = 2
    cdef double eps
    cdef double *own
    if type(y_true) is not cnp.ndarray or not is_plain(y_proba):
        return None
    cdef cnp.ndarray label = y_true, p = y_proba
    if (cnp.PyArray_TYPE(label) != cnp.NPY_INT64 or cnp.PyArray_NDIM(label) != 1 or not PyArray_ISCARRAY_RO(label)
            or not 1 <= cnp.PyArray_NDIM(p) <= 2):
        return None
    rows = cnp.PyArray_DIM(label, 0)
    if cnp.PyArray_NDIM(p) == 2:
        n = cnp.PyArray_DIM(p, 1)
    if (rows != cnp.PyArray_DIM(p, 0) or n < 2
            or not all_occur(<const int64_t *>cnp.PyArray_DATA(label), rows, n)):
        return None
    eps = 2.0 ** -23 if cnp.PyArray_ITEMSIZE(p) == 4 else 2.0 ** -52
    picked = new_array(1, &rows, cnp.NPY_DOUBLE)
    own = <double *>cnp.PyArray_DATA(<cnp.ndarray>picked)
    faults = all_picked(own, p, <const int64_t *>cnp.PyArray_DATA(label), eps, sqrt(eps), &rule)
    if rule.changed or faults.outside or faults.uneven:
        return None
    log(picked, picked)
    return -(pairwise(own, rows) / rows)
