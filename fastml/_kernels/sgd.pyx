"""SGD and moving averages over lists of arrays in one call; updates.pxd has the checks, the cut and the threads.

An average e moves towards p by w (p - e): a step of SGD on e with the gradient p, weight decay -1 and rate -w.

Lists of arrays that have more than LARGE_BYTES on the average go one by one, each as a memoryview that a team shares.
Shorter arrays are shared together: memoryviews for them would cost more than their update.
"""

from cython.parallel import parallel

from .. cimport _numpy as cnp
from libc.float cimport DBL_MAX

from .. import _check, _updates

from .._check cimport as1d, ceil_div, flag
from .._environment cimport FM_FLUSH, FM_FULL, fm_scope, fm_switch
from .._openmp cimport fm_work, join_team, leave_team, next_block, share_work, team, team_done
from .._simd cimport fm_table, table_of
from .updates cimport (
    BLOCK_BYTES, CUT_BYTES, Place, Places, as_tuple, elements, finish, maybe_tuple, option, place, run
)

cnp.import_array()

ctypedef fused real:
    float
    double

cdef enum:
    LARGE_BYTES = 1 << 20

cdef double COST = 0.04  # nanoseconds a byte of parameters on one thread

cdef struct Step:
    double lr, momentum, damp, decay, sign
    bint nesterov


cdef void update(const Place *at, size_t first, size_t last, const void *step) noexcept nogil:
    """Parameter p, gradient g, velocity u (untouched without momentum): bytes first ... last."""
    cdef const Step *s = <const Step *>step
    cdef char *v = NULL if s.momentum == 0 else at.u + first
    table_of(at.itemsize).sgd_run(at.p + first, v, at.g + first, elements(at, first, last), s.lr, s.momentum,
                                  s.damp, s.decay, s.sign, s.nesterov)


cdef void in_blocks(real[::1] p, real[::1] v, const real[::1] g, const Step *s) noexcept:
    """p, v (IN, OUT; v None without momentum), g (IN), each (n,): one large parameter."""
    cdef fm_work work
    cdef const fm_table *table = table_of(sizeof(real))
    cdef Py_ssize_t n = p.shape[0], k = 0, start = 0
    cdef int threads = team(COST * n * sizeof(real))
    cdef Py_ssize_t step = max(1, n) if threads == 1 else BLOCK_BYTES // sizeof(real), blocks = ceil_div(n, step)
    share_work(&work, blocks, threads)
    with nogil, parallel(num_threads=threads):
        k = join_team(&work)
        while k >= 0:
            start = k * step
            table.sgd_run(&p[start], NULL if v is None else &v[start], &g[start], min(step, n - start), s.lr,
                          s.momentum, s.damp, s.decay, s.sign, s.nesterov)
            k = next_block(&work)
        leave_team()
    team_done()


cdef int one_by_one(const Step *s, tuple p, tuple v, tuple g) except -1:
    """Run on plain arrays, each by itself."""
    for i in range(len(p)):
        velocity = None if s.momentum == 0 else as1d(v[i])
        if cnp.PyArray_TYPE(<cnp.ndarray>p[i]) == cnp.NPY_FLOAT:
            in_blocks[float](as1d(p[i]), velocity, as1d(g[i]), s)
        else:
            in_blocks[double](as1d(p[i]), velocity, as1d(g[i]), s)
    return 0


cdef int step_all(const Step *s, tuple names, tuple p, tuple g, tuple v) except -1:
    """Check the lists of arrays and run."""
    cdef Places here
    held = place(&here, CUT_BYTES, names, p, g, v, None, None)
    if here.bytes <= LARGE_BYTES * <size_t>here.count:
        with nogil:
            run(&here, COST, update, s)
    else:
        if held is not None:
            (p, v, _, _), (g,), _ = held
        one_by_one(s, p, v, g)
    return finish(&here, held)


def sgd_step(params, grads, velocities, lr, momentum, dampening, weight_decay, nesterov, maximize):
    cdef fm_scope _scope = fm_switch(FM_FLUSH)
    cdef Step s
    s.lr = option(lr, "lr", 0)
    s.momentum = option(momentum, "momentum", 0)
    s.damp = 1 - option(dampening, "dampening", -DBL_MAX)
    s.decay = option(weight_decay, "weight_decay", 0)
    s.sign = -1 if flag(maximize, "maximize") else 1
    s.nesterov = flag(nesterov, "nesterov")
    if s.nesterov and (s.momentum == 0 or s.damp != 1):
        _updates.refuse_nesterov()
    cdef tuple p = as_tuple(params, "params", -1)
    cdef tuple g = as_tuple(grads, "grads", len(p))
    cdef tuple v = maybe_tuple(velocities, "velocities", len(p))
    if s.momentum != 0 and v is None:
        _updates.refuse_missing("velocities", "momentum")
    step_all(&s, ("params", "grads", "velocities", "", ""), p, g, v)


def ema_numbers(decay):
    """What sgd_run is given after its arrays: real numbers and the flag."""
    cdef fm_scope _scope = fm_switch(FM_FULL)
    return (option(decay, "decay", 0) - 1, 0.0, 0.0, -1.0, 1.0), (0,)


def ema_step(averages, params, decay):
    cdef fm_scope _scope = fm_switch(FM_FLUSH)
    cdef Step s
    if option(decay, "decay", 0) > 1:
        _check.number(decay, "decay", 0, 1)
    (s.lr, s.momentum, s.damp, s.decay, s.sign), (s.nesterov,) = ema_numbers(decay)
    cdef tuple e = as_tuple(averages, "averages", -1)
    step_all(&s, ("averages", "params", "", "", ""), e, as_tuple(params, "params", len(e)), None)
