"""The linear layer in a training step: its product, the two of its gradient, and the sums of the bias."""

from ..._environment cimport FM_FLUSH
from ..._simd cimport fm32, fm64
from .program cimport Args, Block, Kernel, Tile, View, at, block, kernel


cdef void run(void *c, Py_ssize_t c_row, const void *a, Py_ssize_t a_row, Py_ssize_t a_col, const void *b,
              Py_ssize_t b_row, Py_ssize_t b_col, const void *bias, bint relu, Py_ssize_t m, Py_ssize_t n,
              Py_ssize_t k, size_t size) noexcept nogil:
    if size == sizeof(float):
        fm32.gemm(<float *>c, c_row, <const float *>a, a_row, a_col, <const float *>b, b_row, b_col,
                  <const float *>bias, relu, m, n, k, NULL)
    else:
        fm64.gemm(<double *>c, c_row, <const double *>a, a_row, a_col, <const double *>b, b_row, b_col,
                  <const double *>bias, relu, m, n, k, NULL)


cdef void forward_tile(const Args *p, const Tile *t) noexcept nogil:
    """y (OUT) = x weightᵀ + bias; n[0]: with a rectifier behind it."""
    cdef View *y = p.v[0]
    cdef View *x = p.v[1]
    cdef View *weight = p.v[2]
    cdef Block b = block(t, y.cols)
    run(at(y, t, b.i, b.j, p.size), y.row, at(x, t, b.i, 0, p.size), x.row, 1, at(weight, t, b.j, 0, p.size), 1,
        weight.row, at(p.v[3], t, b.j, 0, p.size), p.n[0], b.rows, b.cols, x.cols, p.size)


cdef void backward_tile(const Args *p, const Tile *t) noexcept nogil:
    """dx (OUT) = dy weight."""
    cdef View *dx = p.v[0]
    cdef View *dy = p.v[1]
    cdef View *weight = p.v[2]
    cdef Block b = block(t, dx.cols)
    run(at(dx, t, b.i, b.j, p.size), dx.row, at(dy, t, b.i, 0, p.size), dy.row, 1, at(weight, t, 0, b.j, p.size),
        weight.row, 1, NULL, False, b.rows, b.cols, dy.cols, p.size)


cdef void weight_tile(const Args *p, const Tile *t) noexcept nogil:
    """dweight (OUT) = dyᵀ x: the rows that dy's columns of this tile make."""
    cdef View *dweight = p.v[0]
    cdef View *dy = p.v[1]
    cdef View *x = p.v[2]
    run(at(dweight, t, t.lo, 0, p.size), dweight.row, at(dy, t, 0, t.lo, p.size), 1, dy.row, at(x, t, 0, 0, p.size),
        x.row, 1, NULL, False, t.hi - t.lo, x.cols, t.rows, p.size)


cdef void bias_tile(const Args *p, const Tile *t) noexcept nogil:
    """dbias (OUT) = the sums of dy's columns."""
    cdef View *dy = p.v[1]
    if p.size == sizeof(float):
        fm32.column_sums(<float *>at(p.v[0], t, t.lo, 0, p.size), <float *>at(dy, t, 0, t.lo, p.size), t.rows, dy.row,
                         t.hi - t.lo)
    else:
        fm64.column_sums(<double *>at(p.v[0], t, t.lo, 0, p.size), <double *>at(dy, t, 0, t.lo, p.size), t.rows,
                         dy.row, t.hi - t.lo)


linear = kernel(forward_tile, "linear", FM_FLUSH)
linear_backward = kernel(backward_tile, "linear_backward", FM_FLUSH)
linear_dweight = kernel(weight_tile, "linear_dweight", FM_FLUSH)
linear_dbias = kernel(bias_tile, "linear_dbias", FM_FLUSH)
