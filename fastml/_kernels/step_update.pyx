"""Optimizers' updates in a training step: the rows of a parameter that a tile of columns makes."""

from .._simd cimport fm32, fm64
from .program cimport Args, Kernel, Tile, View, at, kernel


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
    """parameter, averages of the gradient and of its square (IN, OUT), gradient; x, n: adam.coefficients."""
    cdef size_t n = (t.hi - t.lo) * p.v[0].cols
    if p.size == sizeof(float):
        fm32.adam_run(<float *>at(p.v[0], t, t.lo, 0, p.size), <float *>at(p.v[1], t, t.lo, 0, p.size),
                      <float *>at(p.v[2], t, t.lo, 0, p.size), <float *>at(p.v[3], t, t.lo, 0, p.size), n,
                      <float>p.x[0], <float>p.x[1], <float>p.x[2], <float>p.x[3], <float>p.x[4], <float>p.x[5],
                      <float>p.x[6], <float>p.x[7], <float>p.n[0])
    else:
        fm64.adam_run(<double *>at(p.v[0], t, t.lo, 0, p.size), <double *>at(p.v[1], t, t.lo, 0, p.size),
                      <double *>at(p.v[2], t, t.lo, 0, p.size), <double *>at(p.v[3], t, t.lo, 0, p.size), n,
                      p.x[0], p.x[1], p.x[2], p.x[3], p.x[4], p.x[5], p.x[6], p.x[7], <double>p.n[0])


sgd = kernel(sgd_tile, "sgd")
adam = kernel(adam_tile, "adam")
