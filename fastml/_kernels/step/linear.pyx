"""The linear layer in a training step: its product, the two of its gradient, also with an update, and the sums of the
bias."""

from libc.stdint cimport int64_t

from ..._environment cimport FM_FLUSH
from ..._simd cimport table_of
from .arguments cimport Block, Tile, View, at, block, ruler
from .update cimport SgdOptions

from .card import card


cdef struct Linear:
    View y
    View x
    View weight
    View bias
    int64_t relu        # a rectifier behind it

cdef void linear_tile(const Linear *p, const Tile *t) noexcept nogil:
    cdef Block b = block(t, p.y.cols)
    table_of(t.size).gemm(
        at(&p.y, t, b.i, b.j), p.y.row, at(&p.x, t, b.i, 0), p.x.row, 1, at(&p.weight, t, b.j, 0), 1, p.weight.row,
        at(&p.bias, t, b.j, 0), p.relu, b.rows, b.cols, p.x.cols, NULL)

linear = card(
    <size_t>linear_tile, "linear", "y = x weightᵀ + bias", (<const Linear *>ruler)[0], out="y", optional="bias",
    rows="weight bias", columns="x", rectifier="relu", mode=FM_FLUSH)


cdef struct LinearBackward:
    View dx
    View dy
    View weight

cdef void linear_backward_tile(const LinearBackward *p, const Tile *t) noexcept nogil:
    cdef Block b = block(t, p.dx.cols)
    table_of(t.size).gemm(
        at(&p.dx, t, b.i, b.j), p.dx.row, at(&p.dy, t, b.i, 0), p.dy.row, 1, at(&p.weight, t, 0, b.j), p.weight.row, 1,
        NULL, False, b.rows, b.cols, p.dy.cols, NULL)

linear_backward = card(
    <size_t>linear_backward_tile, "linear_backward", "dx = dy weight", (<const LinearBackward *>ruler)[0], out="dx",
    rows="weight", columns="dy weight", mode=FM_FLUSH)


cdef struct LinearWeight:
    View dweight
    View dy
    View x

cdef void linear_dweight_tile(const LinearWeight *p, const Tile *t) noexcept nogil:
    table_of(t.size).gemm(
        at(&p.dweight, t, t.lo, 0), p.dweight.row, at(&p.dy, t, 0, t.lo), 1, p.dy.row, at(&p.x, t, 0, 0), p.x.row, 1,
        NULL, False, t.hi - t.lo, p.x.cols, t.rows, NULL)

linear_dweight = card(
    <size_t>linear_dweight_tile, "linear_dweight", "dweight = dyᵀ x", (<const LinearWeight *>ruler)[0],
    out="dweight", columns="x", mode=FM_FLUSH)


cdef struct LinearSgd:
    View parameter
    View velocity
    View dy
    View x
    SgdOptions options

cdef void linear_sgd_tile(const LinearSgd *p, const Tile *t) noexcept nogil:
    cdef const SgdOptions *o = &p.options
    table_of(t.size).gemm_sgd(
        at(&p.parameter, t, t.lo, 0), at(&p.velocity, t, t.lo, 0), at(&p.dy, t, 0, t.lo), 1, p.dy.row,
        at(&p.x, t, 0, 0), p.x.row, t.hi - t.lo, p.x.cols, t.rows,
        o.lr, o.momentum, o.damp, o.decay, o.sign, o.nesterov)

linear_sgd = card(
    <size_t>linear_sgd_tile, "linear_sgd", "one step of SGD with the gradient dyᵀ x", (<const LinearSgd *>ruler)[0],
    inout="parameter velocity", optional="velocity", columns="x", mode=FM_FLUSH)


cdef struct LinearBias:
    View dbias
    View dy

cdef void linear_dbias_tile(const LinearBias *p, const Tile *t) noexcept nogil:
    table_of(t.size).column_sums(at(&p.dbias, t, t.lo, 0), at(&p.dy, t, 0, t.lo), t.rows, p.dy.row, t.hi - t.lo)

linear_dbias = card(
    <size_t>linear_dbias_tile, "linear_dbias", "dbias = the sums of dy's columns", (<const LinearBias *>ruler)[0],
    out="dbias", columns="", mode=FM_FLUSH)
