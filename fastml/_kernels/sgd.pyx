"""SGD and moving averages over lists of arrays in one call; updates.pxd has the checks, the cut and the threads.

An average e moves towards p by w (p - e): a step of SGD on e with the gradient p, weight decay -1 and rate -w.
"""

from libc.float cimport DBL_MAX

from .. import _check

from .._check cimport flag
from .._environment cimport FM_FLUSH, FM_FULL, fm_scope, fm_switch
from .._simd cimport fm32, fm64
from .updates cimport CUT_AT, Place, Places, as_tuple, finish, option, place, run

cdef double COST = 0.04  # nanoseconds a byte of parameters on one thread

cdef struct Step:
    double lr, momentum, damp, decay, sign
    bint nesterov


cdef void update(const Place *at, size_t first, size_t last, const void *step) noexcept nogil:
    """Parameter p, gradient g, velocity u (untouched without momentum)."""
    cdef const Step *s = <const Step *>step
    cdef char *v = NULL if s.momentum == 0 else at.u + first
    if at.is_double:
        fm64.sgd_run(<double *>(at.p + first), <double *>v, <const double *>(at.g + first), (last - first) // 8,
                     s.lr, s.momentum, s.damp, s.decay, s.sign, s.nesterov)
    else:
        fm32.sgd_run(<float *>(at.p + first), <float *>v, <const float *>(at.g + first), (last - first) // 4,
                     <float>s.lr, <float>s.momentum, <float>s.damp, <float>s.decay, <float>s.sign, s.nesterov)


def sgd_step(params, grads, velocities, lr, momentum, dampening, weight_decay, nesterov, maximize):
    cdef fm_scope _scope = fm_switch(FM_FLUSH)
    cdef Step s
    cdef Places here
    s.lr = option(lr, "lr", 0)
    s.momentum = option(momentum, "momentum", 0)
    s.damp = 1 - option(dampening, "dampening", -DBL_MAX)
    s.decay = option(weight_decay, "weight_decay", 0)
    s.sign = -1 if flag(maximize, "maximize") else 1
    s.nesterov = flag(nesterov, "nesterov")
    if s.nesterov and (s.momentum == 0 or s.damp != 1):
        raise ValueError("nesterov needs momentum > 0 and dampening = 0")
    cdef tuple p = as_tuple(params, "params", -1)
    cdef tuple g = as_tuple(grads, "grads", len(p))
    cdef tuple v = None if velocities is None else as_tuple(velocities, "velocities", len(p))
    if s.momentum != 0 and v is None:
        raise ValueError("velocities are needed with momentum, not None")
    held = place(&here, CUT_AT, ("params", "grads", "velocities", "", ""), p, g, v, None, None)
    with nogil:
        run(&here, COST, update, &s)
    finish(&here, held)


def ema_numbers(decay):
    """What sgd_run is given after its arrays: real numbers and the flag."""
    cdef fm_scope _scope = fm_switch(FM_FULL)
    return (option(decay, "decay", 0) - 1, 0.0, 0.0, -1.0, 1.0), (0,)


def ema_step(averages, params, decay):
    cdef fm_scope _scope = fm_switch(FM_FLUSH)
    cdef Step s
    cdef Places here
    if option(decay, "decay", 0) > 1:
        _check.number(decay, "decay", 0, 1)
    (s.lr, s.momentum, s.damp, s.decay, s.sign), (s.nesterov,) = ema_numbers(decay)
    cdef tuple e = as_tuple(averages, "averages", -1)
    cdef tuple p = as_tuple(params, "params", len(e))
    held = place(&here, CUT_AT, ("averages", "params", "", "", ""), e, p, None, None, None)
    with nogil:
        run(&here, COST, update, &s)
    finish(&here, held)
