"""Element-wise layers in a training step: activations and dropout, row by row of a tile."""

from libc.math cimport rint
from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memcpy, memmove, memset

from ..._environment cimport FM_FLUSH, FM_FULL, fm_scope, fm_switch
from ..._simd cimport table_of
from .arguments cimport Block, Tile, View, at, block, ruler

from .card import card

ctypedef fused real:
    float
    double

cdef enum:
    RUN_ELEMENTS = 256  # of which a mask is drawn at once
    SPARE_BYTES = 4     # of a row of bits, behind those of its elements: they are read by fours


cdef struct Relu:
    View y
    View x

cdef void relu_tile(const Relu *p, const Tile *t) noexcept nogil:
    cdef Block b = block(t, p.y.cols)
    cdef Py_ssize_t i
    for i in range(b.i, b.i + b.rows):
        table_of(t.size).relu_run(at(&p.y, t, i, b.j), at(&p.x, t, i, b.j), b.cols, False)

relu = card(<size_t>relu_tile, "relu", "y = max(0, x)", (<const Relu *>ruler)[0], out="y", rows="", columns="")


cdef struct ReluBackward:
    View dx
    View dy
    View y
    double scale

cdef void relu_backward_tile(const ReluBackward *p, const Tile *t) noexcept nogil:
    cdef Block b = block(t, p.dx.cols)
    cdef Py_ssize_t i
    for i in range(b.i, b.i + b.rows):
        table_of(t.size).keep_run(at(&p.dx, t, i, b.j), at(&p.dy, t, i, b.j), at(&p.y, t, i, b.j), b.cols, p.scale)

relu_backward = card(
    <size_t>relu_backward_tile, "relu_backward", "dx = scale dy where y > 0, else 0",
    (<const ReluBackward *>ruler)[0], out="dx", rows="", columns="", mode=FM_FLUSH)


cdef struct Activation:
    View y
    View x
    int64_t kind        # in unary.h
    double alpha
    double threshold

cdef void activation_tile(const Activation *p, const Tile *t) noexcept nogil:
    cdef Block b = block(t, p.y.cols)
    cdef Py_ssize_t i
    for i in range(b.i, b.i + b.rows):
        table_of(t.size).unary_run(p.kind, at(&p.y, t, i, b.j), at(&p.x, t, i, b.j), b.cols, p.alpha, p.threshold,
                                   False)

activation = card(
    <size_t>activation_tile, "activation", "y = f(x)", (<const Activation *>ruler)[0], out="y", rows="", columns="")


cdef struct ActivationBackward:
    View dx
    View dy
    View x
    int64_t kind
    double alpha
    double threshold

cdef void activation_backward_tile(const ActivationBackward *p, const Tile *t) noexcept nogil:
    cdef Block b = block(t, p.dx.cols)
    cdef Py_ssize_t i
    for i in range(b.i, b.i + b.rows):
        table_of(t.size).unary_backward_run(p.kind, at(&p.dx, t, i, b.j), at(&p.dy, t, i, b.j), at(&p.x, t, i, b.j),
                                            b.cols, p.alpha, p.threshold, False)

activation_backward = card(
    <size_t>activation_backward_tile, "activation_backward", "dx = f'(x) dy",
    (<const ActivationBackward *>ruler)[0], out="dx", rows="", columns="")


cdef struct Dropout:
    View y
    View kept           # bit_bytes(cols) of them a row; a tile of columns begins with a byte
    View x
    uint64_t seed
    uint64_t offset     # of the batch's first element
    uint64_t threshold
    double scale

cdef void dropout_tile(const Dropout *p, const Tile *t) noexcept nogil:
    cdef Block b = block(t, p.y.cols)
    cdef Py_ssize_t i
    for i in range(b.i, b.i + b.rows):
        table_of(t.size).dropout_run(at(&p.y, t, i, b.j), <uint8_t *>at(&p.kept, t, i, b.j // 8), at(&p.x, t, i, b.j),
                                     b.cols, p.seed, p.offset + <uint64_t>(i * p.y.cols + b.j), p.threshold, p.scale,
                                     False)

dropout = card(
    <size_t>dropout_tile, "dropout", "y = scale x where kept, else 0; kept: which, as bits",
    (<const Dropout *>ruler)[0], out="y kept", rows="", columns="", mode=FM_FLUSH)


cdef struct DropoutBackward:
    View dx
    View dy
    View kept
    double scale

cdef void dropout_backward_tile(const DropoutBackward *p, const Tile *t) noexcept nogil:
    cdef Block b = block(t, p.dx.cols)
    cdef Py_ssize_t i
    for i in range(b.i, b.i + b.rows):
        table_of(t.size).dropout_kept_run(at(&p.dx, t, i, b.j), <const uint8_t *>at(&p.kept, t, i, b.j // 8),
                                          at(&p.dy, t, i, b.j), b.cols, p.scale, False)

dropout_backward = card(
    <size_t>dropout_backward_tile, "dropout_backward", "dx = scale dy where kept, else 0",
    (<const DropoutBackward *>ruler)[0], out="dx", rows="", columns="", mode=FM_FLUSH)


cdef struct ChannelDropout:
    View y
    View x
    int64_t places      # elements of a channel in a sample
    uint64_t seed
    uint64_t offset     # of the batch's first channel
    uint64_t threshold
    double scale

cdef void channel_dropout_tile(const ChannelDropout *p, const Tile *t) noexcept nogil:
    cdef Block b = block(t, p.y.cols)
    cdef Py_ssize_t i, j, n, channels = p.y.cols // p.places
    cdef uint8_t kept
    cdef void *y
    cdef void *x
    for i in range(b.i, b.i + b.rows):
        j = b.j
        while j < b.j + b.cols:
            n = min((j // p.places + 1) * p.places, b.j + b.cols) - j
            table_of(t.size).dropout_mask_run(&kept, 1, p.seed, p.offset + <uint64_t>(i * channels + j // p.places),
                                              p.threshold)
            y, x = at(&p.y, t, i, j), at(&p.x, t, i, j)
            if y != x:
                memmove(y, x, n * t.size)
            table_of(t.size).scale_run(y, n, p.scale if kept else 0)
            j += n

channel_dropout = card(
    <size_t>channel_dropout_tile, "channel_dropout", "y = scale x where the channel is kept, else 0 x",
    (<const ChannelDropout *>ruler)[0], out="y", rows="", columns="")


cdef struct AlphaDropout:
    View y
    View kept           # as dropout's
    View x
    uint64_t seed
    uint64_t offset
    uint64_t threshold
    double scale
    double shift
    double low

cdef void alpha_dropout_tile(const AlphaDropout *p, const Tile *t) noexcept nogil:
    cdef Block b = block(t, p.y.cols)
    cdef Py_ssize_t i, j, n
    cdef uint8_t[RUN_ELEMENTS + 8] kept
    for i in range(b.i, b.i + b.rows):
        j = b.j
        while j < b.j + b.cols:
            n = min(<Py_ssize_t>RUN_ELEMENTS, b.j + b.cols - j)
            table_of(t.size).dropout_mask_run(kept, n, p.seed, p.offset + <uint64_t>(i * p.y.cols + j), p.threshold)
            memset(kept + n, 0, 8)
            pack(<uint8_t *>at(&p.kept, t, i, j // 8), kept, n)
            if t.size == sizeof(float):
                follow_line(<float *>at(&p.y, t, i, j), <const float *>at(&p.x, t, i, j), kept, n, p)
            else:
                follow_line(<double *>at(&p.y, t, i, j), <const double *>at(&p.x, t, i, j), kept, n, p)
            j += n


cdef inline void pack(uint8_t *bits, const uint8_t *kept, Py_ssize_t n) noexcept nogil:
    """Eight bytes of 0 or 1 become one, which begins with the first in its lowest bit."""
    cdef uint64_t eight
    cdef Py_ssize_t k
    for k in range(0, n, 8):
        memcpy(&eight, kept + k, 8)
        bits[k // 8] = <uint8_t>((eight * <uint64_t>0x0102040810204080) >> 56)


cdef inline void follow_line(real *y, const real *x, const uint8_t *kept, Py_ssize_t n,
                             const AlphaDropout *p) noexcept nogil:
    cdef real scale = <real>p.scale, shift = <real>p.shift, low = <real>p.low
    cdef Py_ssize_t k
    for k in range(n):
        y[k] = scale * x[k] + shift if kept[k] else low

alpha_dropout = card(
    <size_t>alpha_dropout_tile, "alpha_dropout", "y = scale x + shift where kept, else low; kept: which, as bits",
    (<const AlphaDropout *>ruler)[0], out="y kept", rows="", columns="")


def bit_bytes(Py_ssize_t cols):
    """The bytes of a row of bits."""
    return cols // 8 + SPARE_BYTES


def dropout_threshold(double p):
    """The threshold under which a word drops its element, and the scale of those that stay."""
    cdef fm_scope _scope = fm_switch(FM_FULL)
    return <uint64_t>rint(p * 4294967296.0), 1.0 / (1.0 - p) if p < 1.0 else 0.0
