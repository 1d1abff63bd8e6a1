"""One-hot rows of any dtype: the gate, layout, blocks and threads.

The result is (outer, n, inner) along the class axis, the labels (outer, inner). Where inner is 1 and the result fits
the caches, it is cut into blocks of rows, each cleared and then given its ones. Otherwise all of it is cleared first,
past the caches where it is larger. It needs no clearing where its memory is new (src_c/memory.h).
"""

import sys

import numpy as np
from cython.parallel import parallel

from .. cimport _numpy as cnp
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t, uintptr_t
from libc.string cimport memcpy, memset

from .. import _check, _labels

from .._check cimport PyArray_ISCARRAY_RO, ceil_div, is_text
from .._memory cimport new_array_of
from .._openmp cimport fm_add, fm_work, join_team, leave_team, next_block, next_work, share_work, team, team_done
from .._simd cimport cache_bytes, fm_label, table_of

cnp.import_array()

ctypedef fused word:
    uint8_t
    uint16_t
    uint32_t
    uint64_t

cdef enum:
    BLOCK_BYTES = 32768      # of rows
    CLEARED_BYTES = 262144   # of a block where all is cleared first
    BLOCK_LABELS = 4096      # of a block after that

cdef double CLEAR_COST = 0.03   # nanoseconds a byte on one thread
cdef double LABEL_COST = 1.0    # nanoseconds a label

cdef struct OneHot:
    char *y                # OUT (outer, n, inner), items of `size` bytes
    const int64_t *label   # IN (outer, inner)
    const char *one        # IN, an item
    Py_ssize_t outer
    Py_ssize_t n
    Py_ssize_t inner
    Py_ssize_t size
    Py_ssize_t bytes       # of y
    Py_ssize_t rows        # of a block, where inner = 1
    bint clean             # y is all zero


cdef void clear_block(const OneHot *job, Py_ssize_t k) noexcept nogil:
    """Block k of all bytes, past the caches where y does not fit them."""
    cdef Py_ssize_t head, lines, bytes = min(CLEARED_BYTES, job.bytes - k * CLEARED_BYTES)
    cdef char *y = job.y + k * CLEARED_BYTES
    if <size_t>job.bytes > cache_bytes:
        head = min(bytes, <Py_ssize_t>(-<uintptr_t>y & 63))
        lines = (bytes - head) & ~<Py_ssize_t>63
        memset(y, 0, head)
        table_of(sizeof(float)).clear_lines(y + head, lines)
        y, bytes = y + head + lines, bytes - head - lines
    memset(y, 0, bytes)


cdef Py_ssize_t put(word *y, const int64_t *label, word one, Py_ssize_t n, Py_ssize_t inner,
                    Py_ssize_t count) noexcept nogil:
    """y[label[i], i] = one where it is 0 ... n-1, of `count` neighbours (inner = 1: of count rows); how many were."""
    cdef Py_ssize_t i, found = 0, step = n if inner == 1 else 1
    cdef int64_t k
    for i in range(count):
        k = fm_label(label + i)
        if <uint64_t>k < <uint64_t>n:
            y[i * step + k * inner] = one
            found += 1
    return found


cdef Py_ssize_t put_items(char *y, const int64_t *label, const char *one, Py_ssize_t n, Py_ssize_t inner,
                          Py_ssize_t count, Py_ssize_t size) noexcept nogil:
    """The same for items of any size."""
    cdef Py_ssize_t i, found = 0, step = n if inner == 1 else 1
    cdef int64_t k
    if size == 1:
        return put(<uint8_t *>y, label, (<uint8_t *>one)[0], n, inner, count)
    if size == 2:
        return put(<uint16_t *>y, label, (<uint16_t *>one)[0], n, inner, count)
    if size == 4:
        return put(<uint32_t *>y, label, (<uint32_t *>one)[0], n, inner, count)
    if size == 8:
        return put(<uint64_t *>y, label, (<uint64_t *>one)[0], n, inner, count)
    for i in range(count):
        k = fm_label(label + i)
        if <uint64_t>k < <uint64_t>n:
            memcpy(y + (i * step + k * inner) * size, one, size)
            found += 1
    return found


cdef Py_ssize_t rows_block(const OneHot *job, Py_ssize_t k) noexcept nogil:
    """Block k of rows (inner = 1), cleared, if that is still to do, and with its ones; how many labels had a place."""
    cdef Py_ssize_t row = k * job.rows, rows = min(job.rows, job.outer - row), bytes = job.n * job.size
    cdef char *y = job.y + row * bytes
    if not job.clean:
        memset(y, 0, rows * bytes)
    return put_items(y, job.label + row, job.one, job.n, 1, rows, job.size)


cdef Py_ssize_t labels_block(const OneHot *job, Py_ssize_t k) noexcept nogil:
    """The ones of block k of labels (inner > 1); how many had a place."""
    cdef Py_ssize_t blocks = ceil_div(job.inner, BLOCK_LABELS), row = k // blocks, i = k % blocks * BLOCK_LABELS
    return put_items(job.y + (row * job.n * job.inner + i) * job.size, job.label + row * job.inner + i, job.one,
                     job.n, job.inner, min(BLOCK_LABELS, job.inner - i), job.size)


cdef bint fill(OneHot *job) noexcept nogil:
    """Whether every label had a place."""
    cdef fm_work work, rest
    cdef Py_ssize_t i = 0, found = 0, blocks, clears = 0
    cdef bint rows = job.inner == 1
    cdef double cost = LABEL_COST * job.outer * job.inner
    if not job.clean:
        cost += CLEAR_COST * job.bytes
        if not rows or <size_t>job.bytes > cache_bytes:
            clears = ceil_div(job.bytes, CLEARED_BYTES)
            job.clean = True  # by the time the rows are looked at
    if rows:
        job.rows = BLOCK_LABELS if job.clean else max(BLOCK_BYTES // max(job.n * job.size, 1), 1)
        blocks = ceil_div(job.outer, job.rows)
    else:
        blocks = job.outer * ceil_div(job.inner, BLOCK_LABELS)
    cdef int threads = team(cost)
    if threads == 1:
        for i in range(clears):
            clear_block(job, i)
        for i in range(blocks):
            found += rows_block(job, i) if rows else labels_block(job, i)
    else:
        share_work(&work, clears, threads)
        share_work(&rest, blocks, threads)
        with parallel(num_threads=threads):
            i = join_team(&work)
            while i >= 0:
                clear_block(job, i)
                i = next_block(&work)
            i = next_work(&work, &rest)
            while i >= 0:
                fm_add(&found, rows_block(job, i) if rows else labels_block(job, i))
                i = next_block(&rest)
            leave_team()
    team_done()
    return found == job.outer * job.inner


FLOAT, FLOAT_ONE = np.float32, np.ones((), np.float32)


def one_hot(labels, num_classes, axis, dtype, unknown):
    cdef OneHot job
    cdef Py_ssize_t a, i
    cdef bint strict = is_text(unknown, "error")
    if not strict and not is_text(unknown, "zeros"):
        _labels.check_unknown(unknown)
    cdef cnp.ndarray one = FLOAT_ONE if dtype is FLOAT else _labels.one_of(dtype)
    given = labels
    if not (type(labels) is cnp.ndarray and cnp.PyArray_TYPE(<cnp.ndarray>labels) == cnp.NPY_INT64
            and PyArray_ISCARRAY_RO(<cnp.ndarray>labels)):
        labels, given = _labels.as_labels(labels)
    cdef cnp.ndarray x = <cnp.ndarray>labels
    cdef Py_ssize_t ndim = cnp.PyArray_NDIM(x)
    axis = _check.axis_index(axis)
    if not -ndim - 1 <= axis <= ndim:
        _check.raise_axis(axis, ndim + 1)
    a = axis
    if a < 0:
        a += ndim + 1
    if num_classes is None:
        num_classes = _labels.classes_of(x, given, strict)
    else:
        num_classes = _check.integer(num_classes, "num_classes", 0, sys.maxsize)
    cdef cnp.npy_intp shape[65]
    shape[a] = num_classes
    job.outer = job.inner = 1
    for i in range(ndim):
        shape[i + (i >= a)] = cnp.PyArray_DIM(x, <int>i)
        if i < a:
            job.outer *= cnp.PyArray_DIM(x, <int>i)
        else:
            job.inner *= cnp.PyArray_DIM(x, <int>i)
    cdef cnp.ndarray y = new_array_of(<int>ndim + 1, shape, one.descr, &job.clean)
    job.y, job.label = cnp.PyArray_BYTES(y), <const int64_t *>cnp.PyArray_DATA(x)
    job.one, job.size = cnp.PyArray_BYTES(one), cnp.PyArray_ITEMSIZE(one)
    job.n, job.bytes = num_classes, cnp.PyArray_NBYTES(y)
    cdef bint fits
    with nogil:
        fits = fill(&job)
    # The result is the caller's only now: a label without a place has left nothing behind.
    if strict and not fits:
        _labels.refuse(given, num_classes)
    return y
