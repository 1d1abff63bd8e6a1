"""Adam, Lion and others over lists of arrays in one call; updates.pxd has the checks, the cut and the threads.

Each has a function `…_options`, which checks them and gives the bytes of what they come to in a step, for the kernels
of a compiled one. Adam's bias corrections are taken in double from the step: 1 - beta^step by squarings of a double
and its rounding error, exact to about one place and free of the math library, whose pow differs between systems.
"""

from libc.math cimport fma, sqrt
from libc.stdint cimport int64_t

from .. import _check, _updates

from .._check cimport flag
from .._environment cimport FM_FLUSH, FM_FULL, fm_scope, fm_switch
from .._simd cimport table_of
from .updates cimport CUT_BYTES, Place, Places, as_tuple, elements, finish, maybe_tuple, option, place, run

cdef double COST = 0.07  # nanoseconds a byte of parameters on one thread

cdef inline void multiply(double *a, double *error, double b, double b_error) noexcept nogil:
    """(a + error) (b + b_error) as a double and its rounding error."""
    cdef double product = a[0] * b
    error[0] = fma(a[0], b, -product) + (a[0] * b_error + error[0] * b)
    a[0] = product


cdef double bias_correction(double beta, int64_t step) noexcept nogil:
    """1 - beta^step."""
    cdef double power = 1, error = 0, square = beta, square_error = 0
    while step:
        if step & 1:
            multiply(&power, &error, square, square_error)
        multiply(&square, &square_error, square, square_error)
        step >>= 1
    return (1 - power) - error


cdef double decay_rate(object value, str name) except? -1:
    """A number in [0, 1)."""
    if type(value) is float and 0 <= value < 1:
        return value
    return _check.number(value, name, 0, 1, "[)")


cdef int prepare(Adam *s, object number, object lr_, object betas, object eps, object weight_decay,
                 object decoupled, object maximize) except -1:
    """The checked options, and what they come to in step `number`."""
    if type(betas) is not tuple or len(<tuple>betas) != 2:
        betas = _updates.pair(betas)
    cdef int64_t step = _check.integer(number, "step", 1, 2**53)
    cdef double lr = option(lr_, "lr", 0), decay = option(weight_decay, "weight_decay", 0)
    cdef double beta1 = decay_rate(betas[0], "betas[0]"), beta2 = decay_rate(betas[1], "betas[1]")
    s.rate = lr / bias_correction(beta1, step)
    s.weight1 = 1 - beta1
    s.beta2 = beta2
    s.weight2 = 1 - beta2
    s.inv_root = 1 / sqrt(bias_correction(beta2, step))
    s.eps = option(eps, "eps", 0)
    cdef bint apart = flag(decoupled, "decoupled")
    s.decay = 0 if apart else decay
    s.keep = 1 - lr * decay if apart else 1
    s.sign = -1 if flag(maximize, "maximize") else 1
    return 0


cdef void adam_update(const Place *at, size_t first, size_t last, const void *step) noexcept nogil:
    """Parameter p, gradient g, averages u of the gradient and v of its square, w the largest v (or NULL)."""
    cdef const Adam *s = <const Adam *>step
    cdef char *top = NULL if at.w == NULL else at.w + first
    table_of(at.itemsize).adam_run(at.p + first, at.u + first, at.v + first, top, at.g + first,
                                   elements(at, first, last), s.rate, s.weight1, s.beta2, s.weight2, s.inv_root,
                                   s.eps, s.decay, s.keep, s.sign)


def adam_step(params, grads, exp_avgs, exp_avg_sqs, step, max_exp_avg_sqs, lr, betas, eps, weight_decay,
              decoupled, maximize):
    cdef fm_scope _scope = fm_switch(FM_FLUSH)
    cdef Adam s
    cdef Places here
    prepare(&s, step, lr, betas, eps, weight_decay, decoupled, maximize)
    cdef tuple p = as_tuple(params, "params", -1)
    cdef tuple g = as_tuple(grads, "grads", len(p))
    cdef tuple m = as_tuple(exp_avgs, "exp_avgs", len(p))
    cdef tuple v = as_tuple(exp_avg_sqs, "exp_avg_sqs", len(p))
    cdef tuple top = maybe_tuple(max_exp_avg_sqs, "max_exp_avg_sqs", len(p))
    held = place(&here, CUT_BYTES, ("params", "grads", "exp_avgs", "exp_avg_sqs", "max_exp_avg_sqs"), p, g, m, v, top)
    with nogil:
        run(&here, COST, adam_update, &s)
    finish(&here, held)


def adam_options(step, lr, betas, eps, weight_decay, decoupled, maximize):
    cdef fm_scope _scope = fm_switch(FM_FULL)
    cdef Adam s
    prepare(&s, step, lr, betas, eps, weight_decay, decoupled, maximize)
    return (<const char *>&s)[:sizeof(Adam)]


cdef int prepare_lion(Lion *s, object lr, object betas, object weight_decay, object maximize) except -1:
    if type(betas) is not tuple or len(<tuple>betas) != 2:
        betas = _updates.pair(betas)
    s.lr = option(lr, "lr", 0)
    s.weight1 = 1 - decay_rate(betas[0], "betas[0]")
    s.weight2 = 1 - decay_rate(betas[1], "betas[1]")
    s.keep = 1 - s.lr * option(weight_decay, "weight_decay", 0)
    s.sign = -1 if flag(maximize, "maximize") else 1
    return 0


cdef void lion_update(const Place *at, size_t first, size_t last, const void *step) noexcept nogil:
    """Parameter p, gradient g, its average u."""
    cdef const Lion *s = <const Lion *>step
    table_of(at.itemsize).lion_run(at.p + first, at.u + first, at.g + first, elements(at, first, last), s.lr,
                                   s.weight1, s.weight2, s.keep, s.sign)


def lion_step(params, grads, exp_avgs, lr, betas, weight_decay, maximize):
    cdef fm_scope _scope = fm_switch(FM_FLUSH)
    cdef Lion s
    cdef Places here
    prepare_lion(&s, lr, betas, weight_decay, maximize)
    cdef tuple p = as_tuple(params, "params", -1)
    cdef tuple g = as_tuple(grads, "grads", len(p))
    cdef tuple m = as_tuple(exp_avgs, "exp_avgs", len(p))
    held = place(&here, CUT_BYTES, ("params", "grads", "exp_avgs", "", ""), p, g, m, None, None)
    with nogil:
        run(&here, COST, lion_update, &s)
    finish(&here, held)


def lion_options(lr, betas, weight_decay, maximize):
    cdef fm_scope _scope = fm_switch(FM_FULL)
    cdef Lion s
    prepare_lion(&s, lr, betas, weight_decay, maximize)
    return (<const char *>&s)[:sizeof(Lion)]


cdef void rms_update(const Place *at, size_t first, size_t last, const void *step) noexcept nogil:
    """Parameter p, gradient g, mean or sum u of its squares; its average v and the momentum w where in use."""
    cdef const Rms *s = <const Rms *>step
    cdef char *average = at.v + first if s.centered else NULL
    cdef char *buffer = at.w + first if s.momentum != 0 else NULL
    table_of(at.itemsize).rms_run(at.p + first, at.u + first, average, buffer, at.g + first,
                                  elements(at, first, last), s.rate, s.keep, s.weight, s.eps, s.decay, s.momentum,
                                  s.sign)


cdef int rms_step(const Rms *s, tuple names, object params, object grads, object us, object vs, object ws) except -1:
    """Check the lists of arrays and run."""
    cdef Places here
    cdef tuple p = as_tuple(params, "params", -1)
    cdef tuple g = as_tuple(grads, "grads", len(p))
    cdef tuple u = as_tuple(us, names[2], len(p))
    cdef tuple v = maybe_tuple(vs, names[3], len(p))
    cdef tuple w = maybe_tuple(ws, names[4], len(p))
    held = place(&here, CUT_BYTES, names, p, g, u, v, w)
    with nogil:
        run(&here, COST, rms_update, s)
    finish(&here, held)
    return 0


cdef int prepare_rmsprop(Rms *s, object lr, object alpha, object eps, object weight_decay, object momentum,
                         object centered, object maximize) except -1:
    s.rate = option(lr, "lr", 0)
    s.keep = option(alpha, "alpha", 0) if type(alpha) is float and alpha <= 1 else _check.number(alpha, "alpha", 0, 1)
    s.weight = 1 - s.keep
    s.eps = option(eps, "eps", 0)
    s.decay = option(weight_decay, "weight_decay", 0)
    s.momentum = option(momentum, "momentum", 0)
    s.sign = -1 if flag(maximize, "maximize") else 1
    s.centered = flag(centered, "centered")
    return 0


def rmsprop_step(params, grads, square_avgs, grad_avgs, momentum_buffers, lr, alpha, eps, weight_decay, momentum,
                 centered, maximize):
    cdef fm_scope _scope = fm_switch(FM_FLUSH)
    cdef Rms s
    prepare_rmsprop(&s, lr, alpha, eps, weight_decay, momentum, centered, maximize)
    if s.centered and grad_avgs is None:
        _updates.refuse_missing("grad_avgs", "centered")
    if s.momentum != 0 and momentum_buffers is None:
        _updates.refuse_missing("momentum_buffers", "momentum")
    rms_step(&s, ("params", "grads", "square_avgs", "grad_avgs", "momentum_buffers"), params, grads, square_avgs,
             grad_avgs, momentum_buffers)


def rmsprop_options(lr, alpha, eps, weight_decay, momentum, centered, maximize):
    cdef fm_scope _scope = fm_switch(FM_FULL)
    cdef Rms s
    prepare_rmsprop(&s, lr, alpha, eps, weight_decay, momentum, centered, maximize)
    return (<const char *>&s)[:sizeof(Rms)]


cdef int prepare_adagrad(Rms *s, object number, object lr, object lr_decay, object weight_decay, object eps,
                         object maximize) except -1:
    cdef int64_t step = _check.integer(number, "step", 1, 2**53)
    s.rate = option(lr, "lr", 0) / (1 + (step - 1) * option(lr_decay, "lr_decay", 0))
    s.keep = s.weight = 1
    s.eps = option(eps, "eps", 0)
    s.decay = option(weight_decay, "weight_decay", 0)
    s.momentum = 0
    s.sign = -1 if flag(maximize, "maximize") else 1
    s.centered = False
    return 0


def adagrad_step(params, grads, state_sums, step, lr, lr_decay, weight_decay, eps, maximize):
    cdef fm_scope _scope = fm_switch(FM_FLUSH)
    cdef Rms s
    prepare_adagrad(&s, step, lr, lr_decay, weight_decay, eps, maximize)
    rms_step(&s, ("params", "grads", "state_sums", "", ""), params, grads, state_sums, None, None)


def adagrad_options(step, lr, lr_decay, weight_decay, eps, maximize):
    cdef fm_scope _scope = fm_switch(FM_FULL)
    cdef Rms s
    prepare_adagrad(&s, step, lr, lr_decay, weight_decay, eps, maximize)
    return (<const char *>&s)[:sizeof(Rms)]
