"""Element-wise layers in a training step: activations and dropout, row by row of a tile."""

from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.math cimport rint

from ..._environment cimport FM_FLUSH, FM_FULL, fm_scope, fm_switch
from ..._simd cimport fm32, fm64
from .program cimport Args, Block, Kernel, Tile, View, at, block, kernel


cdef void relu_tile(const Args *p, const Tile *t) noexcept nogil:
    """y (OUT) = max(0, x)."""
    cdef Block b = block(t, p.v[0].cols)
    cdef Py_ssize_t i
    for i in range(b.i, b.i + b.rows):
        if p.size == sizeof(float):
            fm32.relu_run(<float *>at(p.v[0], t, i, b.j, p.size), <float *>at(p.v[1], t, i, b.j, p.size), b.cols, False)
        else:
            fm64.relu_run(<double *>at(p.v[0], t, i, b.j, p.size), <double *>at(p.v[1], t, i, b.j, p.size), b.cols,
                          False)


cdef void relu_backward_tile(const Args *p, const Tile *t) noexcept nogil:
    """dx (OUT) = dy where y > 0, scaled by x[0]; y is 0 where the layers between gave nothing on."""
    cdef Block b = block(t, p.v[0].cols)
    cdef Py_ssize_t i
    for i in range(b.i, b.i + b.rows):
        if p.size == sizeof(float):
            fm32.keep_run(<float *>at(p.v[0], t, i, b.j, p.size), <float *>at(p.v[1], t, i, b.j, p.size),
                          <float *>at(p.v[2], t, i, b.j, p.size), b.cols, <float>p.x[0])
        else:
            fm64.keep_run(<double *>at(p.v[0], t, i, b.j, p.size), <double *>at(p.v[1], t, i, b.j, p.size),
                          <double *>at(p.v[2], t, i, b.j, p.size), b.cols, p.x[0])


cdef void unary_tile(const Args *p, const Tile *t) noexcept nogil:
    """y (OUT) = f(x); n[0]: its kind in unary.h, x: alpha and threshold."""
    cdef Block b = block(t, p.v[0].cols)
    cdef Py_ssize_t i
    for i in range(b.i, b.i + b.rows):
        if p.size == sizeof(float):
            fm32.unary_run(p.n[0], <float *>at(p.v[0], t, i, b.j, p.size), <float *>at(p.v[1], t, i, b.j, p.size),
                           b.cols, <float>p.x[0], <float>p.x[1], False)
        else:
            fm64.unary_run(p.n[0], <double *>at(p.v[0], t, i, b.j, p.size), <double *>at(p.v[1], t, i, b.j, p.size),
                           b.cols, p.x[0], p.x[1], False)


cdef void unary_backward_tile(const Args *p, const Tile *t) noexcept nogil:
    """dx (OUT) = dy f'(x)."""
    cdef Block b = block(t, p.v[0].cols)
    cdef Py_ssize_t i
    for i in range(b.i, b.i + b.rows):
        if p.size == sizeof(float):
            fm32.unary_backward_run(p.n[0], <float *>at(p.v[0], t, i, b.j, p.size),
                                    <float *>at(p.v[1], t, i, b.j, p.size), <float *>at(p.v[2], t, i, b.j, p.size),
                                    b.cols, <float>p.x[0], <float>p.x[1], False)
        else:
            fm64.unary_backward_run(p.n[0], <double *>at(p.v[0], t, i, b.j, p.size),
                                    <double *>at(p.v[1], t, i, b.j, p.size), <double *>at(p.v[2], t, i, b.j, p.size),
                                    b.cols, p.x[0], p.x[1], False)


cdef void dropout_tile(const Args *p, const Tile *t) noexcept nogil:
    """y (OUT) = x where kept, scaled by x[0]; n: seed, offset of the batch's first element, threshold."""
    cdef Block b = block(t, p.v[0].cols)
    cdef Py_ssize_t i
    cdef uint64_t first
    for i in range(b.i, b.i + b.rows):
        first = <uint64_t>p.n[1] + <uint64_t>(i * p.v[0].cols + b.j)
        if p.size == sizeof(float):
            fm32.dropout_run(<float *>at(p.v[0], t, i, b.j, p.size), <float *>at(p.v[1], t, i, b.j, p.size), b.cols,
                             <uint64_t>p.n[0], first, <uint64_t>p.n[2], <float>p.x[0], False)
        else:
            fm64.dropout_run(<double *>at(p.v[0], t, i, b.j, p.size), <double *>at(p.v[1], t, i, b.j, p.size), b.cols,
                             <uint64_t>p.n[0], first, <uint64_t>p.n[2], p.x[0], False)


cdef void channel_dropout_tile(const Args *p, const Tile *t) noexcept nogil:
    """y (OUT) = x, a channel of n[3] columns scaled by x[0] or 0; n: seed, offset of the batch's first channel,
    threshold."""
    cdef Block b = block(t, p.v[0].cols)
    cdef Py_ssize_t i, j, end, n = p.n[3]
    cdef uint64_t channel
    cdef float one32 = 1, scale32
    cdef double one64 = 1, scale64
    cdef float *y32
    cdef float *x32
    cdef double *y64
    cdef double *x64
    for i in range(b.i, b.i + b.rows):
        j = b.j
        while j < b.j + b.cols:
            end = min((j // n + 1) * n, b.j + b.cols)
            channel = <uint64_t>p.n[1] + <uint64_t>(i * (p.v[0].cols // n) + j // n)
            if p.size == sizeof(float):
                fm32.dropout_run(&scale32, &one32, 1, <uint64_t>p.n[0], channel, <uint64_t>p.n[2], <float>p.x[0],
                                 False)
                y32, x32 = <float *>at(p.v[0], t, i, 0, p.size), <float *>at(p.v[1], t, i, 0, p.size)
                while j < end:
                    y32[j] = x32[j] * scale32
                    j += 1
            else:
                fm64.dropout_run(&scale64, &one64, 1, <uint64_t>p.n[0], channel, <uint64_t>p.n[2], p.x[0], False)
                y64, x64 = <double *>at(p.v[0], t, i, 0, p.size), <double *>at(p.v[1], t, i, 0, p.size)
                while j < end:
                    y64[j] = x64[j] * scale64
                    j += 1


cdef void alpha_dropout_tile(const Args *p, const Tile *t) noexcept nogil:
    """y (OUT) = x[0] x + x[1] where kept, x[2] elsewhere; n as in dropout_tile."""
    cdef Block b = block(t, p.v[0].cols)
    cdef Py_ssize_t i, j, k, n
    cdef uint8_t kept[256]
    cdef float a32 = <float>p.x[0], b32 = <float>p.x[1], low32 = <float>p.x[2]
    cdef float *y32
    cdef float *x32
    cdef double *y64
    cdef double *x64
    for i in range(b.i, b.i + b.rows):
        for j in range(b.j, b.j + b.cols, 256):
            n = min(256, b.j + b.cols - j)
            fm32.dropout_mask_run(kept, n, <uint64_t>p.n[0], <uint64_t>p.n[1] + <uint64_t>(i * p.v[0].cols + j),
                                  <uint64_t>p.n[2])
            if p.size == sizeof(float):
                y32, x32 = <float *>at(p.v[0], t, i, j, p.size), <float *>at(p.v[1], t, i, j, p.size)
                for k in range(n):
                    y32[k] = a32 * x32[k] + b32 if kept[k] else low32
            else:
                y64, x64 = <double *>at(p.v[0], t, i, j, p.size), <double *>at(p.v[1], t, i, j, p.size)
                for k in range(n):
                    y64[k] = p.x[0] * x64[k] + p.x[1] if kept[k] else p.x[2]


relu = kernel(relu_tile, "relu")
relu_backward = kernel(relu_backward_tile, "relu_backward", FM_FLUSH)
unary = kernel(unary_tile, "activation")
unary_backward = kernel(unary_backward_tile, "activation_backward")
dropout = kernel(dropout_tile, "dropout", FM_FLUSH)
channel_dropout = kernel(channel_dropout_tile, "channel_dropout")
alpha_dropout = kernel(alpha_dropout_tile, "alpha_dropout")


def dropout_threshold(double p):
    """The threshold under which a word drops its element, and the scale of those that stay."""
    cdef fm_scope _scope = fm_switch(FM_FULL)
    return <uint64_t>rint(p * 4294967296.0), 1.0 / (1.0 - p) if p < 1.0 else 0.0
