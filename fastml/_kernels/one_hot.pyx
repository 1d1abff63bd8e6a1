"""One-hot rows, and rows gathered by index: the gate, layout, blocks and threads. Both move bytes of any dtype.

The result of one_hot is (outer, n, inner) along the class axis, the labels (outer, inner). Where inner is 1 and
the result fits the caches it is cut into blocks of rows, each cleared and then given its ones; otherwise all of it is
cleared first, past the caches where it is larger. Large results live in memory that is kept from call to call
(src_c/pages.h), and need no clearing where it is new.
"""

import sys

import numpy as np
from cython.parallel import parallel, prange

cimport numpy as cnp
from cpython.pycapsule cimport PyCapsule_GetPointer, PyCapsule_New
from cpython.ref cimport Py_INCREF
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t, uintptr_t
from libc.string cimport memcpy, memset

from .. import _check, _labels

from .._check cimport is_text, PyArray_ISCARRAY_RO, PyArray_NewFromDescr
from .._openmp cimport caller, join_team, leave_team, team, team_done
from .._simd cimport cache_bytes, fm32, fm_label

cnp.import_array()

cdef extern from "pages.h" nogil:
    void *fm_pages_new(size_t bytes, int *zero)
    void fm_pages_free(void *memory)

cdef extern from * nogil:
    void prefetch "__builtin_prefetch"(const void *p)

ctypedef fused word:
    uint8_t
    uint16_t
    uint32_t
    uint64_t

cdef enum:
    BLOCK = 32768     # bytes of rows
    CLEARED = 262144  # bytes, where all is cleared first
    PIECE = 4096      # labels
    AHEAD = 8         # rows
    LARGE = 4 << 20   # bytes: smaller results come from NumPy's own allocator, which keeps them by itself

cdef double LARGEST = 2.0**60   # bytes
cdef double CLEAR_COST = 0.03   # nanoseconds a byte on one thread
cdef double LABEL_COST = 1.0    # nanoseconds a label
cdef double GATHER_COST = 0.05  # nanoseconds a byte
cdef double ROW_COST = 3.0      # nanoseconds a row

cdef struct Job:
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


cdef void clear_block(const Job *job, Py_ssize_t k) noexcept nogil:
    """Block k of all bytes, past the caches where y does not fit them."""
    cdef Py_ssize_t head, lines, bytes = min(CLEARED, job.bytes - k * CLEARED)
    cdef char *y = job.y + k * CLEARED
    if <size_t>job.bytes > cache_bytes:
        head = min(bytes, <Py_ssize_t>(-<uintptr_t>y & 63))
        lines = (bytes - head) & ~<Py_ssize_t>63
        memset(y, 0, head)
        fm32.clear_lines(y + head, lines)
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


cdef Py_ssize_t rows_block(const Job *job, Py_ssize_t k) noexcept nogil:
    """Block k of rows (inner = 1), cleared, if that is still to do, and with its ones; how many labels had a place."""
    cdef Py_ssize_t row = k * job.rows, rows = min(job.rows, job.outer - row), bytes = job.n * job.size
    cdef char *y = job.y + row * bytes
    if not job.clean:
        memset(y, 0, rows * bytes)
    return put_items(y, job.label + row, job.one, job.n, 1, rows, job.size)


cdef Py_ssize_t labels_block(const Job *job, Py_ssize_t k) noexcept nogil:
    """The ones of block k of labels (inner > 1); how many had a place."""
    cdef Py_ssize_t pieces = (job.inner + PIECE - 1) // PIECE, row = k // pieces, i = k % pieces * PIECE
    return put_items(job.y + (row * job.n * job.inner + i) * job.size, job.label + row * job.inner + i, job.one,
                     job.n, job.inner, min(PIECE, job.inner - i), job.size)


cdef bint run(Job *job) noexcept nogil:
    """Whether every label had a place."""
    cdef Py_ssize_t i, found = 0, blocks, clears = 0
    cdef bint rows = job.inner == 1
    cdef double cost = LABEL_COST * job.outer * job.inner
    if not job.clean:
        cost += CLEAR_COST * job.bytes
        if not rows or <size_t>job.bytes > cache_bytes:
            clears = (job.bytes + CLEARED - 1) // CLEARED
            job.clean = True  # by the time the rows are looked at
    if rows:
        job.rows = PIECE if job.clean else max(BLOCK // max(job.n * job.size, 1), 1)
        blocks = (job.outer + job.rows - 1) // job.rows
    else:
        blocks = job.outer * ((job.inner + PIECE - 1) // PIECE)
    cdef int me, threads = team(cost)
    if threads == 1:
        for i in range(clears):
            clear_block(job, i)
        for i in range(blocks):
            found += rows_block(job, i) if rows else labels_block(job, i)
    else:
        me = caller()
        with parallel(num_threads=threads):
            join_team(me)
            for i in prange(clears, schedule="static"):
                clear_block(job, i)
            for i in prange(blocks, schedule="static"):
                found += rows_block(job, i) if rows else labels_block(job, i)
            leave_team()
    team_done()
    return found == job.outer * job.inner


cdef void free_pages(object capsule) noexcept:
    fm_pages_free(PyCapsule_GetPointer(capsule, NULL))


cdef cnp.ndarray new(int ndim, cnp.npy_intp *shape, cnp.dtype dtype, bint *zero):
    """A new array; *zero where its memory is known to be all zero."""
    cdef int fresh = 0, i, flags = 0
    cdef void *memory = NULL
    cdef double bytes = cnp.PyDataType_ELSIZE(dtype)  # too many of them are NumPy's to refuse
    for i in range(ndim):
        bytes *= shape[i]
    if LARGE <= bytes <= LARGEST:
        memory = fm_pages_new(<size_t>bytes, &fresh)
        if memory == NULL:
            raise MemoryError(f"no memory for a result of {bytes} bytes")
        base = PyCapsule_New(memory, NULL, free_pages)
        flags = cnp.NPY_ARRAY_CARRAY
    zero[0] = fresh
    Py_INCREF(dtype)  # which the array takes
    y = PyArray_NewFromDescr(cnp.ndarray, dtype, ndim, shape, NULL, memory, flags, None)
    if memory != NULL:
        cnp.set_array_base(y, base)
    return y


FLOAT, FLOAT_ONE = np.float32, np.ones((), np.float32)


def one_hot(labels, num_classes, axis, dtype, unknown):
    cdef Job job
    cdef Py_ssize_t a, i
    cdef bint strict = is_text(unknown, "error")
    if not strict:
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
    cdef cnp.ndarray y = new(<int>ndim + 1, shape, one.descr, &job.clean)
    job.y, job.label = cnp.PyArray_BYTES(y), <const int64_t *>cnp.PyArray_DATA(x)
    job.one, job.size = cnp.PyArray_BYTES(one), cnp.PyArray_ITEMSIZE(one)
    job.n, job.bytes = num_classes, cnp.PyArray_NBYTES(y)
    cdef bint fits
    with nogil:
        fits = run(&job)
    # The result is the caller's only now: a label without a place has left nothing behind.
    if strict and not fits:
        raise _labels.wrong_label(given, num_classes)
    return y


# The rows of an array: n of them, `stride` bytes apart; wrong: a number was not one of a row.
cdef struct Rows:
    const char *first
    Py_ssize_t n
    Py_ssize_t stride
    bint wrong


cdef inline const char *row_at(Rows *x, const int64_t *row) noexcept nogil:
    """Where the row lies; the first one for a number that is none."""
    cdef int64_t k = fm_label(row)
    if <uint64_t>k >= <uint64_t>x.n:
        x.wrong = True
        k = 0
    return x.first + k * x.stride


cdef void copy_words(word *y, Rows *x, const int64_t *row, Py_ssize_t count) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(count):
        memcpy(&y[i], row_at(x, row + i), sizeof(word))  # x may lie anywhere: one load all the same


cdef void copy_rows(char *y, Rows *x, const int64_t *row, Py_ssize_t count, Py_ssize_t bytes) noexcept nogil:
    """y (OUT), (count, bytes): the rows of x (IN) that row (IN) names."""
    cdef Py_ssize_t i, k
    cdef size_t ahead
    if bytes == 1:
        copy_words(<uint8_t *>y, x, row, count)
    elif bytes == 4:
        copy_words(<uint32_t *>y, x, row, count)
    elif bytes == 8:
        copy_words(<uint64_t *>y, x, row, count)
    else:
        for i in range(count):
            if bytes <= 2048 and i + AHEAD < count:  # with longer ones memory is the limit
                ahead = <size_t>x.first + <size_t>fm_label(row + i + AHEAD) * x.stride  # any address may be asked for
                for k in range(0, bytes, 64):
                    prefetch(<const void *>(ahead + k))
            memcpy(y + i * bytes, row_at(x, row + i), bytes)


def gather(cnp.ndarray x, cnp.ndarray rows):
    """x[rows] as a new array; x: rows that are contiguous each, of a dtype without objects; rows: (k,) int64.

    IndexError where a row is not 0 ... len(x) - 1.
    """
    cdef Py_ssize_t i, k = cnp.PyArray_DIM(rows, 0), n = cnp.PyArray_DIM(x, 0)
    cdef Py_ssize_t bytes = cnp.PyArray_ITEMSIZE(x)
    cdef const int64_t *row = <const int64_t *>cnp.PyArray_DATA(rows)
    cdef Rows source = Rows(cnp.PyArray_BYTES(x), n, cnp.PyArray_STRIDE(x, 0), False)
    if n == 0 and k:
        raise IndexError(f"row {rows[0]} is not one of the 0 rows")
    cdef cnp.npy_intp dims[64]
    dims[0] = k
    for i in range(1, cnp.PyArray_NDIM(x)):
        dims[i] = cnp.PyArray_DIM(x, <int>i)
        bytes *= dims[i]
    cdef cnp.dtype dtype = x.descr
    Py_INCREF(dtype)  # which the array takes
    cdef cnp.ndarray y = PyArray_NewFromDescr(cnp.ndarray, dtype, cnp.PyArray_NDIM(x), dims, NULL, NULL, 0, None)
    cdef char *to = cnp.PyArray_BYTES(y)
    cdef Py_ssize_t each = max(BLOCK // max(bytes, 1), 1)
    cdef Py_ssize_t blocks = (k + each - 1) // each
    cdef int me = caller(), threads = team(k * (ROW_COST + GATHER_COST * bytes))
    if threads == 1:
        with nogil:
            copy_rows(to, &source, row, k, bytes)
    else:
        with nogil, parallel(num_threads=threads):
            join_team(me)
            for i in prange(blocks, schedule="static"):
                copy_rows(to + i * each * bytes, &source, row + i * each, min(each, k - i * each), bytes)
            leave_team()
    team_done()
    # The result is the caller's only now.
    if source.wrong:
        low = rows.min()
        raise IndexError(f"row {low if low < 0 else rows.max()} is not one of the {n} rows")
    return y
