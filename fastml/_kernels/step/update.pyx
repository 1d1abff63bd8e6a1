"""Optimizers' updates in a training step, on the rows of a parameter that a tile of columns makes, and the bound of
the gradients' norm before them, cut into blocks and added as in clip.pyx."""

from libc.stdint cimport int64_t

from ..._environment cimport FM_FLUSH
from ..._simd cimport fm_tally, fm_tally_sum, table_of
from ..adaptive cimport Adam, Lion, Rms
from ..updates cimport CHUNK_BYTES, gain_squares, norm_of
from .arguments cimport Tile, View, at, ruler

from .card import card


cdef struct Sgd:
    View parameter
    View velocity
    View gradient
    SgdOptions options

cdef void sgd_tile(const Sgd *p, const Tile *t) noexcept nogil:
    cdef const SgdOptions *o = &p.options
    table_of(t.size).sgd_run(
        at(&p.parameter, t, t.lo, 0), at(&p.velocity, t, t.lo, 0), at(&p.gradient, t, t.lo, 0),
        (t.hi - t.lo) * p.parameter.cols, o.lr, o.momentum, o.damp, o.decay, o.sign, o.nesterov)

sgd = card(
    <size_t>sgd_tile, "sgd", "one step of SGD", (<const Sgd *>ruler)[0], inout="parameter velocity",
    optional="velocity", columns="", mode=FM_FLUSH)
ema = card(
    <size_t>sgd_tile, "ema", "an average, the parameter here, goes towards the gradient", (<const Sgd *>ruler)[0],
    inout="parameter velocity", optional="velocity", columns="", mode=FM_FLUSH)
add = card(
    <size_t>sgd_tile, "add", "a sum, the parameter here, gains the gradient", (<const Sgd *>ruler)[0],
    inout="parameter velocity", optional="velocity", columns="", mode=FM_FLUSH)


def sgd_options(double lr, double momentum, double damp, double decay, double sign, bint nesterov):
    """What sgd, ema and add take as their options."""
    cdef SgdOptions o = SgdOptions(lr, momentum, damp, decay, sign, nesterov)
    return (<const char *>&o)[:sizeof(SgdOptions)]


cdef struct AdamUpdate:
    View parameter
    View exp_avg
    View exp_avg_sq
    View max_exp_avg_sq
    View gradient
    Adam options

cdef void adam_tile(const AdamUpdate *p, const Tile *t) noexcept nogil:
    cdef const Adam *o = &p.options
    table_of(t.size).adam_run(
        at(&p.parameter, t, t.lo, 0), at(&p.exp_avg, t, t.lo, 0), at(&p.exp_avg_sq, t, t.lo, 0),
        at(&p.max_exp_avg_sq, t, t.lo, 0), at(&p.gradient, t, t.lo, 0), (t.hi - t.lo) * p.parameter.cols,
        o.rate, o.weight1, o.beta2, o.weight2, o.inv_root, o.eps, o.decay, o.keep, o.sign)

adam = card(
    <size_t>adam_tile, "adam", "one step of Adam, AdamW or, with max_exp_avg_sq, AMSGrad",
    (<const AdamUpdate *>ruler)[0], inout="parameter exp_avg exp_avg_sq max_exp_avg_sq",
    optional="max_exp_avg_sq", columns="", mode=FM_FLUSH)


cdef struct LionUpdate:
    View parameter
    View exp_avg
    View gradient
    Lion options

cdef void lion_tile(const LionUpdate *p, const Tile *t) noexcept nogil:
    cdef const Lion *o = &p.options
    table_of(t.size).lion_run(
        at(&p.parameter, t, t.lo, 0), at(&p.exp_avg, t, t.lo, 0), at(&p.gradient, t, t.lo, 0),
        (t.hi - t.lo) * p.parameter.cols, o.lr, o.weight1, o.weight2, o.keep, o.sign)

lion = card(
    <size_t>lion_tile, "lion", "one step of Lion", (<const LionUpdate *>ruler)[0], inout="parameter exp_avg",
    columns="", mode=FM_FLUSH)


cdef struct RmsUpdate:
    View parameter
    View square_avg     # the mean or the sum of the gradient's squares
    View grad_avg
    View momentum_buffer
    View gradient
    Rms options

cdef void rms_tile(const RmsUpdate *p, const Tile *t) noexcept nogil:
    cdef const Rms *o = &p.options
    table_of(t.size).rms_run(
        at(&p.parameter, t, t.lo, 0), at(&p.square_avg, t, t.lo, 0), at(&p.grad_avg, t, t.lo, 0),
        at(&p.momentum_buffer, t, t.lo, 0), at(&p.gradient, t, t.lo, 0), (t.hi - t.lo) * p.parameter.cols,
        o.rate, o.keep, o.weight, o.eps, o.decay, o.momentum, o.sign)

rms = card(
    <size_t>rms_tile, "rms", "one step of RMSprop, centered with grad_avg, or of Adagrad",
    (<const RmsUpdate *>ruler)[0], inout="parameter square_avg grad_avg momentum_buffer",
    optional="grad_avg momentum_buffer", columns="", mode=FM_FLUSH)


cdef struct Squares:
    View sums
    View gradient
    int64_t elements

cdef void squares_tile(const Squares *p, const Tile *t) noexcept nogil:
    """The columns of a tile are blocks."""
    cdef double *sums = <double *>at(&p.sums, t, 0, 0)
    cdef Py_ssize_t block, start, length = CHUNK_BYTES // t.size
    for block in range(t.lo, t.hi):
        start = block * length
        sums[block] = table_of(t.size).square_sum(at(&p.gradient, t, 0, start), min(length, p.elements - start))

squares = card(
    <size_t>squares_tile, "squares", "sums = the sums of the squares in each block of a gradient",
    (<const Squares *>ruler)[0], out="sums", columns="gradient")


cdef struct Total:
    View total          # a tally
    View sums
    int64_t blocks
    int64_t first       # this array is the first

cdef void total_tile(const Total *p, const Tile *t) noexcept nogil:
    cdef fm_tally *total = <fm_tally *>at(&p.total, t, 0, 0)
    cdef double *sums = <double *>at(&p.sums, t, 0, 0)
    cdef fm_tally array = fm_tally(0, 0)
    cdef Py_ssize_t block
    for block in range(p.blocks):
        gain_squares(&array, sums[block])
    if p.first:
        total[0] = fm_tally(0, 0)
    gain_squares(total, fm_tally_sum(&array))

total = card(
    <size_t>total_tile, "total", "total = or gains the sum of one array's sums", (<const Total *>ruler)[0],
    inout="total", columns="total sums")


cdef struct Clip:
    View gradient
    View total
    double max_norm

cdef void clip_tile(const Clip *p, const Tile *t) noexcept nogil:
    cdef const fm_tally *total = <const fm_tally *>at(&p.total, t, 0, 0)
    cdef double factor = p.max_norm / (norm_of(fm_tally_sum(total)) + 1e-6)
    if not factor >= 1:
        table_of(t.size).scale_run(at(&p.gradient, t, t.lo, 0), (t.hi - t.lo) * p.gradient.cols, factor)

clip = card(
    <size_t>clip_tile, "clip", "gradient, scaled to max_norm where the norm of all, √total, is larger",
    (<const Clip *>ruler)[0], inout="gradient", columns="total", mode=FM_FLUSH)


cdef struct ClipValue:
    View gradient
    double bound

cdef void clip_value_tile(const ClipValue *p, const Tile *t) noexcept nogil:
    table_of(t.size).clip_run(at(&p.gradient, t, t.lo, 0), (t.hi - t.lo) * p.gradient.cols, p.bound)

clip_value = card(
    <size_t>clip_value_tile, "clip_value", "gradient, every element within -bound ... bound",
    (<const ClipValue *>ruler)[0], inout="gradient", columns="", mode=FM_FLUSH)


def blocks(Py_ssize_t elements, Py_ssize_t itemsize):
    """How many blocks an array has."""
    return (elements * itemsize + CHUNK_BYTES - 1) // CHUNK_BYTES
