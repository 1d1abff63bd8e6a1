"""Group normalisation and its gradient: the gate, blocks of samples and threads.

The array is (samples, groups, channels, n), the last two being normalised together. Groups of samples are independent
but for dweight and dbias, whose partial sums are cut by the shape alone: blocks of samples are summed on their own and
added in order in double, a chunk of blocks into a place of its own; chunks are added in order. A task is some groups in
one block, or in the gradient in one chunk. Instance normalisation is a group for every channel.
"""

import sys

import numpy as np
from cython.parallel import parallel, prange, threadid

cimport numpy as cnp
from libc.math cimport INFINITY
from libc.stdlib cimport free, malloc

from .. import _check, _norms

from .._check cimport (
    PyArray_EMPTY, alike, apart, ceil_div, fits, is_plain, is_vector, real_number, result_like, vector_like
)
from .._environment cimport FM_FLUSH, FM_FULL, fm_scope, fm_switch
from .._openmp cimport caller, join_team, leave_team, team, team_done
from .._simd cimport cache_bytes, fm32, fm64
from .group_norm cimport CHUNKS, ELEMENTS, block_rows, is_short, room_elements

cnp.import_array()

cdef enum:
    LONG = 512        # elements from which a run may go past the caches
    PANEL = 256       # channels whose chunks are joined at once

# Nanoseconds an element on one thread.
cdef double FORWARD_COST = 0.15
cdef double BACKWARD_COST = 0.25


# One call. y (OUT): result or dx; g, x, weight, bias (IN; g NULL forward, weight and bias may be NULL); mean, inv_std
# (OUT forward, IN backward); totals and sums: for each chunk dweight and dbias, and those of its current block; room:
# each thread's scratch, or NULL.
cdef struct Job:
    char *y
    char *g
    char *x
    char *weight
    char *bias
    char *mean
    char *inv_std
    double *totals
    double *sums
    char *room
    Py_ssize_t samples, groups, channels, n
    Py_ssize_t rows, row_parts      # a task: `rows` samples ...
    Py_ssize_t width, width_parts   # ... by `width` groups
    Py_ssize_t block                # samples of a block
    size_t itemsize, room_bytes
    double eps
    bint stream


cdef inline char *from_group(const Job *job, char *v, Py_ssize_t group) noexcept nogil:
    """A vector per channel from this group on; NULL of None."""
    return NULL if v == NULL else v + group * job.channels * job.itemsize


cdef void forward(const Job *job, Py_ssize_t first, Py_ssize_t group, char *room) noexcept nogil:
    """y, mean and inv_std of the task that begins at this sample and group."""
    cdef Py_ssize_t rows = min(job.rows, job.samples - first), groups = min(job.width, job.groups - group)
    cdef Py_ssize_t sample = job.groups * job.channels * job.n
    cdef size_t at = (first * sample + group * job.channels * job.n) * job.itemsize
    cdef size_t k = (first * job.groups + group) * job.itemsize
    if job.itemsize == sizeof(float):
        fm32.group_norm_rows(
            <float *>(job.y + at), <float *>(job.mean + k), <float *>(job.inv_std + k), <const float *>(job.x + at),
            <const float *>from_group(job, job.weight, group), <const float *>from_group(job, job.bias, group), rows,
            groups, job.channels, job.n, sample, sample, job.groups, job.eps, job.stream, <float *>room)
    else:
        fm64.group_norm_rows(
            <double *>(job.y + at), <double *>(job.mean + k), <double *>(job.inv_std + k), <const double *>(job.x + at),
            <const double *>from_group(job, job.weight, group), <const double *>from_group(job, job.bias, group), rows,
            groups, job.channels, job.n, sample, sample, job.groups, job.eps, job.stream, <double *>room)


cdef void backward(const Job *job, Py_ssize_t first, Py_ssize_t group, char *room) noexcept nogil:
    """dx and the totals of the task that begins at this sample and group."""
    cdef Py_ssize_t end = min(job.samples, first + job.rows), groups = min(job.width, job.groups - group), rows, i
    cdef Py_ssize_t c = job.channels, width = job.groups * c, sample = width * job.n
    cdef double *totals = job.totals + 2 * width * (first // job.rows) + group * c
    cdef double *sums = job.sums + 2 * width * (first // job.rows) + group * c
    cdef size_t at, k
    for i in range(groups * c):
        totals[i] = totals[width + i] = 0
    while first < end:
        rows = min(job.block, end - first)
        at = (first * sample + group * c * job.n) * job.itemsize
        k = (first * job.groups + group) * job.itemsize
        if job.itemsize == sizeof(float):
            fm32.group_norm_backward_rows(
                <float *>(job.y + at), sums, sums + width, <const float *>(job.g + at), <const float *>(job.x + at),
                <const float *>from_group(job, job.weight, group), <const float *>(job.mean + k),
                <const float *>(job.inv_std + k), rows, groups, c, job.n, sample, sample, sample, job.groups,
                job.stream, <float *>room)
        else:
            fm64.group_norm_backward_rows(
                <double *>(job.y + at), sums, sums + width, <const double *>(job.g + at), <const double *>(job.x + at),
                <const double *>from_group(job, job.weight, group), <const double *>(job.mean + k),
                <const double *>(job.inv_std + k), rows, groups, c, job.n, sample, sample, sample, job.groups,
                job.stream, <double *>room)
        fm64.sums_gain(totals, sums, groups * c)
        fm64.sums_gain(totals + width, sums + width, groups * c)
        first += job.block


cdef void run_task(const Job *job, Py_ssize_t task, int thread) noexcept nogil:
    cdef Py_ssize_t first = task // job.width_parts * job.rows, group = task % job.width_parts * job.width
    cdef char *room = NULL if job.room == NULL else job.room + thread * job.room_bytes
    if job.g == NULL:
        forward(job, first, group, room)
    else:
        backward(job, first, group, room)


cdef void join(const Job *job, char *dweight, char *dbias, Py_ssize_t at) noexcept nogil:
    """dweight and dbias of a panel of channels from channel `at` on."""
    cdef Py_ssize_t width = job.groups * job.channels, w = min(<Py_ssize_t>PANEL, width - at)
    cdef const double *totals = job.totals + at
    if job.itemsize == sizeof(float):
        fm32.sums_join(<float *>dweight + at, totals, job.row_parts, 2 * width, w)
        fm32.sums_join(<float *>dbias + at, totals + width, job.row_parts, 2 * width, w)
    else:
        fm64.sums_join(<double *>dweight + at, totals, job.row_parts, 2 * width, w)
        fm64.sums_join(<double *>dbias + at, totals + width, job.row_parts, 2 * width, w)


cdef void work(const Job *job, char *dweight, char *dbias, int threads) noexcept nogil:
    """All tasks; then dweight and dbias."""
    cdef Py_ssize_t i, tasks = job.row_parts * job.width_parts
    cdef Py_ssize_t panels = 0 if job.g == NULL else ceil_div(job.groups * job.channels, PANEL)
    cdef int me
    if threads == 1:
        for i in range(tasks):
            run_task(job, i, 0)
        for i in range(panels):
            join(job, dweight, dbias, i * PANEL)
        return
    me = caller()
    with parallel(num_threads=threads):
        join_team(me)
        for i in prange(tasks, schedule="static"):
            run_task(job, i, threadid())
        for i in prange(panels, schedule="static"):
            join(job, dweight, dbias, i * PANEL)
        leave_team()


cdef int run(Job *job, cnp.ndarray y, cnp.ndarray g, cnp.ndarray x, cnp.ndarray weight, cnp.ndarray bias,
             cnp.ndarray mean, cnp.ndarray inv_std, cnp.ndarray dweight, cnp.ndarray dbias) except -1:
    """Cut the samples, find scratch and run; all arrays are plain and of one dtype, and none is empty."""
    cdef Py_ssize_t group = job.channels * job.n, sample = job.groups * group, totals = 0
    cdef bint short = is_short(job.channels, job.n)
    cdef int threads = team((BACKWARD_COST if job.g else FORWARD_COST) * job.samples * sample)
    cdef char *scratch
    job.y, job.x = cnp.PyArray_BYTES(y), cnp.PyArray_BYTES(x)
    job.g = NULL if g is None else cnp.PyArray_BYTES(g)
    job.weight = NULL if weight is None else cnp.PyArray_BYTES(weight)
    job.bias = NULL if bias is None else cnp.PyArray_BYTES(bias)
    job.mean, job.inv_std = cnp.PyArray_BYTES(mean), cnp.PyArray_BYTES(inv_std)
    job.itemsize = cnp.PyArray_ITEMSIZE(x)
    job.stream = ((group if short else job.n) >= LONG and job.y != job.x and job.y != job.g
                  and (1 if g is None else 3) * <size_t>cnp.PyArray_NBYTES(y) > cache_bytes)
    job.block = job.rows = block_rows(sample, short)
    if g is not None:
        job.rows *= ceil_div(ceil_div(job.samples, job.block), CHUNKS)
    job.row_parts = ceil_div(job.samples, job.rows)
    job.width = max(1, min(job.groups, ELEMENTS // group))
    job.width_parts = ceil_div(job.groups, job.width)
    if g is not None:
        totals = 2 * job.groups * job.channels * job.row_parts
    job.room_bytes = ceil_div(room_elements(job.width, group, short) * job.itemsize, 64) * 64
    scratch = <char *>malloc(2 * totals * sizeof(double) + threads * job.room_bytes + 1)
    if scratch == NULL:
        raise MemoryError("no memory for group_norm's partial sums")
    job.totals = <double *>scratch
    job.sums = job.totals + totals
    job.room = <char *>(job.sums + totals) if short else NULL
    with nogil:
        work(job, NULL if dweight is None else cnp.PyArray_BYTES(dweight),
             NULL if dbias is None else cnp.PyArray_BYTES(dbias), threads)
        team_done()
    free(scratch)
    return 0


# ---- the gate ---------------------------------------------------------------------------------------------


cdef inline bint is_statistic(object v, cnp.ndarray x, const Job *job, object out) noexcept:
    """v is a plain array (samples, groups) of x's dtype, apart from out."""
    return (is_plain(v) and cnp.PyArray_TYPE(<cnp.ndarray>v) == cnp.PyArray_TYPE(x)
            and cnp.PyArray_NDIM(<cnp.ndarray>v) == 2 and cnp.PyArray_DIM(<cnp.ndarray>v, 0) == job.samples
            and cnp.PyArray_DIM(<cnp.ndarray>v, 1) == job.groups and apart(<cnp.ndarray>v, out))


cdef inline cnp.ndarray statistic_like(cnp.ndarray x, const Job *job):
    """A new array (samples, groups) of x's dtype."""
    cdef cnp.npy_intp[2] shape
    shape[0], shape[1] = job.samples, job.groups
    return PyArray_EMPTY(2, shape, cnp.PyArray_TYPE(x), 0)


cdef int lay_out(Job *job, cnp.ndarray x, object num_groups, bint instance) except -1:
    """The shape of a call; ValueError where it has none."""
    cdef Py_ssize_t i, channels, groups
    cdef int ndim = cnp.PyArray_NDIM(x)
    shape = (<object>x).shape
    if ndim < 2:
        _norms.refuse_groups(shape)
    channels = cnp.PyArray_DIM(x, 1)
    job.samples, job.n = cnp.PyArray_DIM(x, 0), 1
    for i in range(2, ndim):
        job.n *= cnp.PyArray_DIM(x, <int>i)
    if instance:
        groups = channels
        if job.n == 1:
            _norms.refuse_groups(shape)
    else:
        groups = _check.integer(num_groups, "num_groups", 1, sys.maxsize)
        if channels % groups or job.samples * channels * job.n == groups:
            _norms.refuse_groups(shape, groups)
    job.groups, job.channels = groups, channels // max(1, groups)
    return 0


def group_norm(x, num_groups, weight, bias, eps, out, bint instance=False):
    """With instance, each channel is a group."""
    cdef fm_scope _scope = fm_switch(FM_FULL)
    cdef Job job
    cdef Py_ssize_t channels
    call = None
    job.eps = real_number(eps, "eps", INFINITY)
    if not (is_plain(x) and fits(<cnp.ndarray>x, out)):
        call = _check.arrange(("x",), (x,), None, out, True)
        x = call.arrays[0]
    lay_out(&job, <cnp.ndarray>x, num_groups, instance)
    channels = job.groups * job.channels
    if not (call is None and is_vector(weight, <cnp.ndarray>x, channels, out)
            and is_vector(bias, <cnp.ndarray>x, channels, out)):
        dtype = (<cnp.ndarray>x).dtype
        weight = _norms.vector(weight, "weight", (channels,), dtype, out)
        bias = _norms.vector(bias, "bias", (channels,), dtype, out)
    y = result_like(<cnp.ndarray>x, out if call is None else call.out)
    mean, inv_std = statistic_like(<cnp.ndarray>x, &job), statistic_like(<cnp.ndarray>x, &job)
    if cnp.PyArray_SIZE(<cnp.ndarray>x):
        run(&job, y, None, <cnp.ndarray>x, weight, bias, mean, inv_std, None, None)
    else:
        mean.fill(np.nan)
        inv_std.fill(np.nan)
    return y if call is None else call.finish(y), mean, inv_std


def group_norm_backward(grad, x, num_groups, weight, mean, inv_std, out, bint instance=False):
    cdef fm_scope _scope = fm_switch(FM_FLUSH)
    cdef Job job
    cdef Py_ssize_t channels
    call = None
    if not (is_plain(grad) and alike(<cnp.ndarray>grad, x) and fits(<cnp.ndarray>grad, out)
            and fits(<cnp.ndarray>x, out)):
        call = _check.arrange(("grad", "x"), (grad, x), None, out, True)
        grad, x = call.arrays
    lay_out(&job, <cnp.ndarray>x, num_groups, instance)
    channels = job.groups * job.channels
    if not (call is None and is_vector(weight, <cnp.ndarray>x, channels, out)
            and is_statistic(mean, <cnp.ndarray>x, &job, out) and is_statistic(inv_std, <cnp.ndarray>x, &job, out)):
        dtype, shape = (<cnp.ndarray>x).dtype, (job.samples, job.groups)
        weight = _norms.vector(weight, "weight", (channels,), dtype, out)
        mean = _norms.given(mean, "mean", shape, dtype, out, "group")
        inv_std = _norms.given(inv_std, "inv_std", shape, dtype, out, "group")
    dx = result_like(<cnp.ndarray>grad, out if call is None else call.out)
    dweight, dbias = vector_like(<cnp.ndarray>x, channels), vector_like(<cnp.ndarray>x, channels)
    if cnp.PyArray_SIZE(<cnp.ndarray>x):
        run(&job, dx, <cnp.ndarray>grad, <cnp.ndarray>x, weight, None, mean, inv_std, dweight, dbias)
    else:
        dweight.fill(0)
        dbias.fill(0)
    return dx if call is None else call.finish(dx), dweight, dbias
