# cython: boundscheck=False, wraparound=False, freethreading_compatible=True
"""The weights of attention: softmax and dropout in one pass over the rows, on one thread and on several.

A row is in the first caches when its dropout follows, and Python is in none of the loops. The bits are those of
fastml.dropout(fastml.softmax(x), p, seed=seed): element i of the whole array takes Philox's word i, whoever draws it.
"""

from cython.parallel import prange

from libc.stdint cimport uint64_t

from fastml.capi cimport fastml_table, import_fastml, parallel_for, table_of, threads, threads_done

import_fastml()

ctypedef fused real:
    float
    double

cdef double COST = 1.0  # nanoseconds an element on one thread

cdef struct Rows:
    const fastml_table *fm
    char *y
    const char *x
    size_t count
    size_t n
    size_t row_bytes
    double p
    uint64_t seed


cdef int lay(Rows *rows, real[:, ::1] y, const real[:, ::1] x, double p, uint64_t seed) except -1:
    """Check the arguments; fastml's functions check nothing."""
    if y.shape[0] != x.shape[0] or y.shape[1] != x.shape[1] or x.shape[1] == 0:
        raise ValueError("x and y must have one shape, with at least one column")
    if not 0 <= p <= 1:
        raise ValueError(f"p must be between 0 and 1, not {p}")
    rows.fm = table_of(sizeof(real))
    rows.y = <char *>&y[0, 0]
    rows.x = <const char *>&x[0, 0]
    rows.count = x.shape[0]
    rows.n = x.shape[1]
    rows.row_bytes = x.shape[1] * sizeof(real)
    rows.p = p
    rows.seed = seed
    return 0


cdef void one_row(void *data, size_t i) noexcept nogil:
    cdef const Rows *rows = <const Rows *>data
    cdef void *y = rows.y + i * rows.row_bytes
    rows.fm.softmax_rows(y, rows.x + i * rows.row_bytes, 1, rows.n, 0)
    rows.fm.dropout(y, y, rows.n, rows.p, rows.seed, i * rows.n, 0)


def on_one_thread(real[:, ::1] y not None, const real[:, ::1] x not None, double p, uint64_t seed):
    cdef Rows rows
    cdef size_t i
    lay(&rows, y, x, p, seed)
    with nogil:
        for i in range(rows.count):
            one_row(&rows, i)


def by_prange(real[:, ::1] y not None, const real[:, ::1] x not None, double p, uint64_t seed):
    """On threads of this extension, as many as fastml would take; returns their number."""
    cdef Rows rows
    cdef Py_ssize_t i
    lay(&rows, y, x, p, seed)
    cdef int team = threads(COST * rows.count * rows.n)
    for i in prange(<Py_ssize_t>rows.count, nogil=True, schedule="static", num_threads=team):
        one_row(&rows, i)
    threads_done()
    return team


def by_fastml(real[:, ::1] y not None, const real[:, ::1] x not None, double p, uint64_t seed):
    """On fastml's own threads."""
    cdef Rows rows
    lay(&rows, y, x, p, seed)
    with nogil:
        parallel_for(one_row, &rows, rows.count, COST * rows.count * rows.n)
