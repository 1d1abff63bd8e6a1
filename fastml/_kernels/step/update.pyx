"""Optimizers' updates in a training step, on the rows of a parameter that a tile of columns makes, and the bound of
the gradients' norm before them, cut into blocks and added as in clip.pyx."""

from ..._environment cimport FM_FLUSH
from ..._simd cimport fm32, fm64, fm_tally, fm_tally_sum
from .program cimport Args, Kernel, Tile, View, at, kernel
from ..updates cimport CHUNK, gain_squares, norm_of


cdef void sgd_tile(const Args *p, const Tile *t) noexcept nogil:
    """parameter, velocity (IN, OUT; velocity or NULL), gradient; x: lr, momentum, damp, decay, sign; n[0]: nesterov."""
    cdef size_t n = (t.hi - t.lo) * p.v[0].cols
    if p.size == sizeof(float):
        fm32.sgd_run(<float *>at(p.v[0], t, t.lo, 0, p.size), <float *>at(p.v[1], t, t.lo, 0, p.size),
                     <float *>at(p.v[2], t, t.lo, 0, p.size), n, <float>p.x[0], <float>p.x[1], <float>p.x[2],
                     <float>p.x[3], <float>p.x[4], p.n[0])
    else:
        fm64.sgd_run(<double *>at(p.v[0], t, t.lo, 0, p.size), <double *>at(p.v[1], t, t.lo, 0, p.size),
                     <double *>at(p.v[2], t, t.lo, 0, p.size), n, p.x[0], p.x[1], p.x[2], p.x[3], p.x[4], p.n[0])


cdef void adam_tile(const Args *p, const Tile *t) noexcept nogil:
    """parameter, averages of the gradient and of its square, largest of these (IN, OUT; NULL without amsgrad),
    gradient; x, n: adaptive.set_adam."""
    cdef size_t n = (t.hi - t.lo) * p.v[0].cols
    if p.size == sizeof(float):
        fm32.adam_run(<float *>at(p.v[0], t, t.lo, 0, p.size), <float *>at(p.v[1], t, t.lo, 0, p.size),
                      <float *>at(p.v[2], t, t.lo, 0, p.size), <float *>at(p.v[3], t, t.lo, 0, p.size),
                      <float *>at(p.v[4], t, t.lo, 0, p.size), n,
                      <float>p.x[0], <float>p.x[1], <float>p.x[2], <float>p.x[3], <float>p.x[4], <float>p.x[5],
                      <float>p.x[6], <float>p.x[7], <float>p.n[0])
    else:
        fm64.adam_run(<double *>at(p.v[0], t, t.lo, 0, p.size), <double *>at(p.v[1], t, t.lo, 0, p.size),
                      <double *>at(p.v[2], t, t.lo, 0, p.size), <double *>at(p.v[3], t, t.lo, 0, p.size),
                      <double *>at(p.v[4], t, t.lo, 0, p.size), n,
                      p.x[0], p.x[1], p.x[2], p.x[3], p.x[4], p.x[5], p.x[6], p.x[7], <double>p.n[0])


cdef void rms_tile(const Args *p, const Tile *t) noexcept nogil:
    """parameter, mean or sum of the gradient's squares, its average, momentum (IN, OUT; the last two or NULL),
    gradient; x, n: adaptive.set_rmsprop or set_adagrad."""
    cdef size_t n = (t.hi - t.lo) * p.v[0].cols
    if p.size == sizeof(float):
        fm32.rms_run(<float *>at(p.v[0], t, t.lo, 0, p.size), <float *>at(p.v[1], t, t.lo, 0, p.size),
                     <float *>at(p.v[2], t, t.lo, 0, p.size), <float *>at(p.v[3], t, t.lo, 0, p.size),
                     <float *>at(p.v[4], t, t.lo, 0, p.size), n, <float>p.x[0], <float>p.x[1], <float>p.x[2],
                     <float>p.x[3], <float>p.x[4], <float>p.x[5], <float>p.n[0])
    else:
        fm64.rms_run(<double *>at(p.v[0], t, t.lo, 0, p.size), <double *>at(p.v[1], t, t.lo, 0, p.size),
                     <double *>at(p.v[2], t, t.lo, 0, p.size), <double *>at(p.v[3], t, t.lo, 0, p.size),
                     <double *>at(p.v[4], t, t.lo, 0, p.size), n, p.x[0], p.x[1], p.x[2], p.x[3], p.x[4], p.x[5],
                     <double>p.n[0])


cdef void squares_tile(const Args *p, const Tile *t) noexcept nogil:
    """sums (OUT): of the squares in each block of a gradient; n[0]: its elements. The columns of a tile are blocks."""
    cdef double *sums = <double *>at(p.v[0], t, 0, 0, sizeof(double))
    cdef Py_ssize_t block, start, length = CHUNK // p.size, n
    for block in range(t.lo, t.hi):
        start = block * length
        n = min(length, p.n[0] - start)
        if p.size == sizeof(float):
            sums[block] = fm32.square_sum(<float *>at(p.v[1], t, 0, start, p.size), n)
        else:
            sums[block] = fm64.square_sum(<double *>at(p.v[1], t, 0, start, p.size), n)


cdef void total_tile(const Args *p, const Tile *t) noexcept nogil:
    """total (IN, OUT), a tally, gains the n[0] sums of one array; n[1]: it is the first."""
    cdef fm_tally *total = <fm_tally *>at(p.v[0], t, 0, 0, sizeof(double))
    cdef double *sums = <double *>at(p.v[1], t, 0, 0, sizeof(double))
    cdef fm_tally array = fm_tally(0, 0)
    cdef Py_ssize_t block
    for block in range(p.n[0]):
        gain_squares(&array, sums[block])
    if p.n[1]:
        total[0] = fm_tally(0, 0)
    gain_squares(total, fm_tally_sum(&array))


cdef void scale_tile(const Args *p, const Tile *t) noexcept nogil:
    """gradient (IN, OUT) bounded by x[0], the largest norm of all; total of squares."""
    cdef const fm_tally *total = <const fm_tally *>at(p.v[1], t, 0, 0, sizeof(double))
    cdef double factor = p.x[0] / (norm_of(fm_tally_sum(total)) + 1e-6)
    cdef size_t n = (t.hi - t.lo) * p.v[0].cols
    if factor >= 1:
        return
    if p.size == sizeof(float):
        fm32.scale_run(<float *>at(p.v[0], t, t.lo, 0, p.size), n, <float>factor)
    else:
        fm64.scale_run(<double *>at(p.v[0], t, t.lo, 0, p.size), n, factor)


cdef void clip_value_tile(const Args *p, const Tile *t) noexcept nogil:
    """gradient (IN, OUT), every element bounded by x[0]."""
    cdef size_t n = (t.hi - t.lo) * p.v[0].cols
    if p.size == sizeof(float):
        fm32.clip_run(<float *>at(p.v[0], t, t.lo, 0, p.size), n, <float>p.x[0])
    else:
        fm64.clip_run(<double *>at(p.v[0], t, t.lo, 0, p.size), n, p.x[0])


def blocks(Py_ssize_t elements, Py_ssize_t itemsize):
    """How many blocks an array has."""
    return (elements * itemsize + CHUNK - 1) // CHUNK


sgd = kernel(sgd_tile, "sgd", FM_FLUSH)
adam = kernel(adam_tile, "adam", FM_FLUSH)
rms = kernel(rms_tile, "rms", FM_FLUSH)
squares = kernel(squares_tile, "squares")
total = kernel(total_tile, "total")
clip = kernel(scale_tile, "clip", FM_FLUSH)
clip_value = kernel(clip_value_tile, "clip value", FM_FLUSH)
ema = kernel(sgd_tile, "ema", FM_FLUSH)
add = kernel(sgd_tile, "add", FM_FLUSH)
