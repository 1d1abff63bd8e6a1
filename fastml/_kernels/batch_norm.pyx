"""Batch normalisation and its gradient: the gate, scratch and the running statistics.

batch_norm_phases.pyx does the work. A call that a team shares, or that leaves the second-level cache, walks
memoryviews of its arrays. Those cost half a microsecond, so a smaller call on one thread does without.
"""

import numpy as np

from .. cimport _numpy as cnp
from libc.math cimport INFINITY
from libc.string cimport memcpy

from .. import _check, _norms
from .._memory import filled

from .._check cimport (
    Layout, PyArray_ISCARRAY, alike, data, fits, flag, is_axis, is_plain, is_vector, lay, real_number, result_like,
    vector_like
)
from .._environment cimport FM_FLUSH, FM_FULL, fm_scope, fm_switch
from .._memory cimport free_lines, lines
from .._openmp cimport team, team_done
from .._simd cimport table_of
from .batch_norm_phases cimport (
    RESULT, SUMS, WHOLE, Cut, Norm, Purpose, cut_chunks, gathers, norm_alone, norm_together, place, schedule
)

cnp.import_array()

cdef enum:
    LOCKED_ELEMENTS = 8192     # the GIL is kept
    DIRECT_ELEMENTS = 65536    # without memoryviews

# Nanoseconds an element on one thread.
cdef double FORWARD_COST = 0.15
cdef double BACKWARD_COST = 0.25


# ---- one call -------------------------------------------------------------------------------------------------


cdef void prepare(Norm *job, Purpose purpose, cnp.ndarray x, bint backward, bint training, double eps) noexcept:
    job.itemsize = cnp.PyArray_ITEMSIZE(x)
    job.fm = table_of(job.itemsize)
    job.purpose, job.backward, job.training, job.eps, job.count = purpose, backward, training, eps, 0
    job.weight = job.bias = job.mean = job.inv_std = job.dweight = job.dbias = NULL


cdef int run(Norm *job, cnp.ndarray y, cnp.ndarray g, cnp.ndarray x, const Layout *at, object running_mean,
             object running_var, double momentum, bint unbiased) except -1:
    """Scratch, schedule and the three phases; then the running statistics. y: None for SUMS; g: None forward.

    running_mean and running_var: where sums alone are wanted they take them, where sums are given they have them,
    both as float64.
    """
    cdef Cut *cut = &job.cut
    cdef double count = at.outer * at.inner
    cdef int threads = team((BACKWARD_COST if job.backward else FORWARD_COST) * count * at.n)
    cut_chunks(cut, at, job.itemsize)
    schedule(cut, 2 * job.itemsize if job.backward else job.itemsize, threads)
    cdef char *scratch = <char *>lines(place(job, NULL))
    if scratch == NULL:
        raise MemoryError("no memory for batch_norm's partial sums")
    place(job, scratch)
    if not gathers(job):
        load(job.sum, <cnp.ndarray>running_mean)
        load(job.m2, <cnp.ndarray>running_var)
    # Without a result, or without a gradient, x stands for it: nothing is done there.
    y, g = x if y is None else y, x if g is None else g
    if threads > 1 or not cut.by_panel or count * cut.channels > DIRECT_ELEMENTS:
        norm_together(job, y, g, x, at, threads)
    elif count * cut.channels > LOCKED_ELEMENTS:
        with nogil:
            norm_alone(job, cnp.PyArray_DATA(y), cnp.PyArray_DATA(g), cnp.PyArray_DATA(x))
    else:
        norm_alone(job, cnp.PyArray_DATA(y), cnp.PyArray_DATA(g), cnp.PyArray_DATA(x))
    team_done()
    if job.purpose == SUMS:
        memcpy(cnp.PyArray_DATA(<cnp.ndarray>running_mean), job.sum, cut.channels * sizeof(double))
        memcpy(cnp.PyArray_DATA(<cnp.ndarray>running_var), job.m2, cut.channels * sizeof(double))
    elif job.purpose == WHOLE and job.training and not job.backward:
        update(<cnp.ndarray>running_mean, job.sum, 1, momentum)
        update(<cnp.ndarray>running_var, job.m2, count - unbiased, momentum)
    free_lines(scratch)
    return 0


cdef void load(double *to, cnp.ndarray a) noexcept:
    """A plain vector as double."""
    cdef size_t n = cnp.PyArray_SIZE(a)
    table_of(cnp.PyArray_ITEMSIZE(a)).widen_rows(to, cnp.PyArray_DATA(a), 1, n, n)


cdef void update(cnp.ndarray running, const double *total, double n, double momentum) noexcept:
    """Move a plain running statistic (or None) towards total / n."""
    if running is not None:
        table_of(cnp.PyArray_ITEMSIZE(running)).norm_running(cnp.PyArray_DATA(running), total, n, momentum,
                                                             cnp.PyArray_SIZE(running))


# ---- the ops ----------------------------------------------------------------------------------------------


cdef inline bint is_running(object v, cnp.ndarray x, Py_ssize_t n, object out, bint training) noexcept:
    """As is_vector, and writable where it will be updated."""
    return is_vector(v, x, n, out) and (v is None or not training or PyArray_ISCARRAY(<cnp.ndarray>v))


def batch_norm(x, weight, bias, running_mean, running_var, training, momentum, eps, axis, unbiased,
               out):
    cdef fm_scope _scope = fm_switch(FM_FULL)
    cdef Layout at
    cdef Norm job
    cdef double rate = real_number(momentum, "momentum", 1), epsilon = real_number(eps, "eps", INFINITY)
    training, unbiased = flag(training, "training"), flag(unbiased, "unbiased")
    cdef bint plain
    call = None
    updated = ()
    if not training and (running_mean is None or running_var is None):
        _norms.refuse_untrained()
    plain = is_plain(x) and fits(<cnp.ndarray>x, out) and is_axis(axis, <cnp.ndarray>x)
    if plain:
        lay(<cnp.ndarray>x, axis, &at)
        plain = (is_vector(weight, x, at.n, out) and is_vector(bias, x, at.n, out)
                 and is_running(running_mean, x, at.n, out, training)
                 and is_running(running_var, x, at.n, out, training))
    if not plain:
        x = _check.as_real(x, "x")
        call = _check.arrange(("x",), (x,), _norms.channel_index(axis, x.ndim), out)
        lay(<cnp.ndarray>call.arrays[0], call.axis, &at)
        x = call.arrays[0]
        weight = _norms.vector(weight, "weight", (at.n,), x.dtype, out)
        bias = _norms.vector(bias, "bias", (at.n,), x.dtype, out)
        if training:
            mean_memory, running_mean = _norms.running(running_mean, "running_mean", at.n, out)
            var_memory, running_var = _norms.running(running_var, "running_var", at.n, out)
            updated = mean_memory, var_memory
        else:
            running_mean = _norms.vector(running_mean, "running_mean", (at.n,), None, out)
            running_var = _norms.vector(running_var, "running_var", (at.n,), None, out)
        out = call.out
    if training and at.n > 0 and at.outer * at.inner == 1:
        _norms.refuse_single(x.shape)
    y = result_like(<cnp.ndarray>x, out)
    mean = vector_like(<cnp.ndarray>x, at.n)
    inv_std = vector_like(<cnp.ndarray>x, at.n)
    if training and at.outer * at.inner == 0:
        mean.fill(np.nan)
        inv_std.fill(np.nan)
    else:
        prepare(&job, WHOLE, x, False, training, epsilon)
        job.weight, job.bias, job.mean, job.inv_std = data(weight), data(bias), data(mean), data(inv_std)
        run(&job, y, None, x, &at, running_mean, running_var, rate, unbiased)
    for asked, done in zip(updated, (running_mean, running_var)):
        if asked is not None and asked is not done:
            asked[...] = done
    return y if call is None else call.finish(y), mean, inv_std


def batch_norm_backward(grad, x, weight, mean, inv_std, training, axis, out):
    cdef fm_scope _scope = fm_switch(FM_FLUSH)
    cdef Layout at
    cdef Norm job
    cdef bint plain
    training = flag(training, "training")
    call = None
    plain = (is_plain(grad) and alike(<cnp.ndarray>grad, x) and fits(<cnp.ndarray>grad, out)
             and fits(<cnp.ndarray>x, out) and is_axis(axis, <cnp.ndarray>grad) and mean is not None
             and inv_std is not None)
    if plain:
        lay(<cnp.ndarray>grad, axis, &at)
        plain = (is_vector(weight, grad, at.n, out) and is_vector(mean, grad, at.n, out)
                 and is_vector(inv_std, grad, at.n, out))
    if not plain:
        grad = _check.as_real(grad, "grad")
        call = _check.arrange(("grad", "x"), (grad, x), _norms.channel_index(axis, grad.ndim, "grad"), out)
        lay(<cnp.ndarray>call.arrays[0], call.axis, &at)
        grad, x = call.arrays
        weight = _norms.vector(weight, "weight", (at.n,), grad.dtype, out)
        mean = _norms.given(mean, "mean", (at.n,), grad.dtype, out)
        inv_std = _norms.given(inv_std, "inv_std", (at.n,), grad.dtype, out)
        out = call.out
    if training and at.n > 0 and at.outer * at.inner == 1:
        _norms.refuse_single(x.shape)
    dx = result_like(<cnp.ndarray>grad, out)
    dweight = vector_like(<cnp.ndarray>grad, at.n)
    dbias = vector_like(<cnp.ndarray>grad, at.n)
    if at.outer * at.inner == 0:
        dweight.fill(0)
        dbias.fill(0)
    else:
        prepare(&job, WHOLE, x, True, training, 0)
        job.weight, job.mean, job.inv_std = data(weight), data(mean), data(inv_std)
        job.dweight, job.dbias = data(dweight), data(dbias)
        run(&job, dx, grad, x, &at, None, None, 0, False)
    return dx if call is None else call.finish(dx), dweight, dbias


# ---- statistics that parts of a batch have in common -----------------------------------------------------


cdef tuple on_part(Purpose purpose, grad, x, weight, bias, mean, inv_std, str first_name, first, str second_name,
                   second, double count, axis, out):
    """(y or dx or None, first, second, values per channel): what a call for SUMS or a RESULT does."""
    cdef fm_scope _scope = fm_switch(FM_FULL if grad is None else FM_FLUSH)
    cdef Layout at
    cdef Norm job
    call = None
    lead = x if grad is None else grad
    if not (is_plain(lead) and (grad is None or alike(<cnp.ndarray>lead, x)) and fits(<cnp.ndarray>lead, out)
            and fits(<cnp.ndarray>x, out)):
        names = ("x",) if grad is None else ("grad", "x")
        lead = _check.as_real(lead, names[0])
        given_arrays = (lead,) if grad is None else (lead, x)
        call = _check.arrange(names, given_arrays, _norms.channel_index(axis, lead.ndim), out)
        if grad is None:
            x, = call.arrays
        else:
            grad, x = call.arrays
    lay(<cnp.ndarray>x, _norms.channel_index(axis, x.ndim) if call is None else call.axis, &at)
    dtype, shape = x.dtype, (at.n,)
    weight, bias = _norms.vector(weight, "weight", shape, dtype, out), _norms.vector(bias, "bias", shape, dtype, out)
    if grad is not None:
        mean = _norms.given(mean, "mean", shape, dtype, out)
        inv_std = _norms.given(inv_std, "inv_std", shape, dtype, out)
    if purpose == SUMS:
        first, second = filled(shape, 0, float), filled(shape, 0, float)
        y = None
    else:
        first = _norms.given(first, first_name, shape, None, out)
        second = _norms.given(second, second_name, shape, None, out)
        y = result_like(<cnp.ndarray>x, out if call is None else call.out)
    dweight, dbias = vector_like(<cnp.ndarray>x, at.n), vector_like(<cnp.ndarray>x, at.n)
    if at.outer * at.inner:
        prepare(&job, purpose, x, grad is not None, True, 0)
        job.count = count
        job.weight, job.bias, job.mean, job.inv_std = data(weight), data(bias), data(mean), data(inv_std)
        job.dweight, job.dbias = data(dweight), data(dbias)
        run(&job, y, grad, x, &at, first, second, 0, False)
    if call is not None and y is not None:
        y = call.finish(y)
    return y, first, second, at.outer * at.inner


def batch_norm_stats(x, axis):
    cdef fm_scope _scope = fm_switch(FM_FULL)
    _, mean, m2, count = on_part(SUMS, None, x, None, None, None, None, "", None, "", None, 0, axis, None)
    return count, mean, m2


def batch_norm_apply(x, mean, inv_std, weight, bias, axis, out):
    return on_part(RESULT, None, x, weight, bias, None, None, "mean", mean, "inv_std", inv_std, 0, axis, out)[0]


def batch_norm_backward_stats(grad, x, mean, inv_std, axis):
    _, dbias, dweight, _ = on_part(SUMS, grad, x, None, None, mean, inv_std, "", None, "", None, 0, axis, None)
    return dweight, dbias


def batch_norm_backward_apply(grad, x, weight, mean, inv_std, dweight, dbias, count, axis, out):
    count = _check.number(count, "count", 1)
    return on_part(RESULT, grad, x, weight, None, mean, inv_std, "dbias", dbias, "dweight", dweight, count, axis,
                   out)[0]
