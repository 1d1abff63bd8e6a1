"""Rows gathered by their numbers, for mini-batches: blocks of rows and threads. They are bytes of any dtype."""

from cython.parallel import parallel

from .. cimport _numpy as cnp
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from .. import _labels

from .._check cimport ceil_div
from .._memory cimport new_array_of
from .._openmp cimport fm_work, join_team, leave_team, next_block, share_work, team, team_done
from .._simd cimport fm_label

cnp.import_array()

cdef extern from * nogil:
    void prefetch "__builtin_prefetch"(const void *p)   # of any address

ctypedef fused word:
    uint8_t
    uint32_t
    uint64_t

cdef enum:
    BLOCK_BYTES = 32768    # of rows
    AHEAD_ROWS = 8         # a row is asked for so long before it is copied,
    AHEAD_BYTES = 2048     # up to this length: with longer ones memory is the limit

cdef double GATHER_COST = 0.05  # nanoseconds a byte on one thread
cdef double ROW_COST = 3.0      # nanoseconds a row

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
            if bytes <= AHEAD_BYTES and i + AHEAD_ROWS < count:
                ahead = <size_t>x.first + <size_t>fm_label(row + i + AHEAD_ROWS) * x.stride
                for k in range(0, bytes, 64):
                    prefetch(<const void *>(ahead + k))
            memcpy(y + i * bytes, row_at(x, row + i), bytes)


def gather(cnp.ndarray x, cnp.ndarray rows):
    """x[rows] as a new array; x: rows that are contiguous each, of a dtype without objects; rows: (k,) int64.

    IndexError where a row is not 0 ... len(x) - 1.
    """
    cdef fm_work work
    cdef Py_ssize_t i = 0, k = cnp.PyArray_DIM(rows, 0), n = cnp.PyArray_DIM(x, 0)
    cdef Py_ssize_t bytes = cnp.PyArray_ITEMSIZE(x)
    cdef const int64_t *row = <const int64_t *>cnp.PyArray_DATA(rows)
    cdef Rows source = Rows(cnp.PyArray_BYTES(x), n, cnp.PyArray_STRIDE(x, 0), False)
    if n == 0 and k:
        _labels.refuse_rows(rows, n)
    cdef cnp.npy_intp dims[64]
    dims[0] = k
    for i in range(1, cnp.PyArray_NDIM(x)):
        dims[i] = cnp.PyArray_DIM(x, <int>i)
        bytes *= dims[i]
    cdef bint zero
    cdef cnp.ndarray y = new_array_of(cnp.PyArray_NDIM(x), dims, x.descr, &zero)
    cdef char *to = cnp.PyArray_BYTES(y)
    cdef Py_ssize_t each = max(BLOCK_BYTES // max(bytes, 1), 1)
    cdef Py_ssize_t blocks = ceil_div(k, each)
    cdef int threads = team(k * (ROW_COST + GATHER_COST * bytes))
    if threads == 1:
        with nogil:
            copy_rows(to, &source, row, k, bytes)
    else:
        share_work(&work, blocks, threads)
        with nogil, parallel(num_threads=threads):
            i = join_team(&work)
            while i >= 0:
                copy_rows(to + i * each * bytes, &source, row + i * each, min(each, k - i * each), bytes)
                i = next_block(&work)
            leave_team()
    team_done()
    # The result is the caller's only now.
    if source.wrong:
        _labels.refuse_rows(rows, n)
    return y
