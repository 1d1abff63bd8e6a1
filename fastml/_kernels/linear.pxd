"""Matrices and products as linear.pyx computes them, for the kernels that are built on them."""

from .. cimport _numpy as cnp

cdef struct Matrix:
    void *data
    Py_ssize_t rows
    Py_ssize_t cols
    Py_ssize_t row     # elements from one row to the next
    Py_ssize_t col

# c (OUT) = act(a b + bias), or with add c += a b
cdef struct Product:
    Matrix c
    Matrix a
    Matrix b
    void *bias
    bint relu
    bint add


cdef inline Matrix transposed(const Matrix *a) noexcept nogil:
    return Matrix(a.data, a.cols, a.rows, a.col, a.row)


cdef inline void *at(const Matrix *a, Py_ssize_t i, Py_ssize_t j, size_t size) noexcept nogil:
    return <char *>a.data + (i * a.row + j * a.col) * <Py_ssize_t>size


# What one thread takes for a product, in nanoseconds.
cdef double cost(const Product *p, size_t size) noexcept nogil
# Thread t's part of a product, and of the sums of x's columns (x.col = 1).
cdef void share(const Product *p, int t, int threads, size_t size) noexcept nogil
cdef void share_sums(void *sums, const Matrix *x, int t, int threads, size_t size) noexcept nogil
# An exact, aligned, native ndarray of float32 or float64, contiguous or of at most two axes; it as rows along its last.
cdef bint takes(object x) noexcept
cdef Matrix matrix(cnp.ndarray x) noexcept
