"""A matrix of samples (rows) and features as the scalers' passes see it: columns.pyx gathers, scaling.pyx rescales.

Matrices are float32 or float64, 2-D, contiguous in C or Fortran order. One in Fortran order is as many matrices of one
column ("parts"), one after the other. The shape alone cuts a part into chunks of rows, each with its results in a place
of its own, joined at once: no bit depends on the threads.
"""

from .. cimport _numpy as cnp

cdef struct Columns:
    size_t size            # bytes of an element
    Py_ssize_t parts
    Py_ssize_t rows        # of a part, and
    Py_ssize_t cols        # its columns
    Py_ssize_t group       # rows that are taken as one
    Py_ssize_t chunk       # rows of one
    Py_ssize_t chunks      # of a part
    Py_ssize_t all_chunks


cdef inline Py_ssize_t first_row(const Columns *x, Py_ssize_t k) noexcept nogil:
    """The row of its part with which chunk k of all begins."""
    return k % x.chunks * x.chunk


cdef inline Py_ssize_t chunk_rows(const Columns *x, Py_ssize_t k) noexcept nogil:
    return min(x.chunk, x.rows - first_row(x, k))


cdef inline Py_ssize_t chunk_start(const Columns *x, Py_ssize_t k) noexcept nogil:
    """The byte with which chunk k of all begins."""
    return (k // x.chunks * x.rows + first_row(x, k)) * x.cols * <Py_ssize_t>x.size


cdef int lay_out(Columns *cut, cnp.ndarray x) except -1
# Raises unless a is n float64 elements.
cdef int check_vector(object a, str name, Py_ssize_t n) except -1
cdef void *room(size_t bytes) except NULL
