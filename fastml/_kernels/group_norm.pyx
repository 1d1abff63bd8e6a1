"""Group normalisation and its gradient: the gate, blocks of samples and threads.

The array is (samples, groups, channels, n), the last two being normalised together. Groups of samples are independent
but for dweight and dbias. The shape alone cuts their partial sums. A block of samples is summed on its own. A chunk
adds its blocks in order in double, in a place of its own, and chunks are added in order. A task is some groups in one
block, or in the gradient in one chunk. Instance normalisation is a group for every channel.
"""

import sys

import numpy as np
from cython.parallel import parallel, threadid

from .. cimport _numpy as cnp
from libc.math cimport INFINITY
from libc.string cimport memset

from .. import _check, _norms

from .._check cimport (
    alike, apart, ceil_div, data, fits, is_plain, is_vector, real_number, result_like, vector_like
)
from .._environment cimport FM_FLUSH, FM_FULL, fm_scope, fm_switch
from .._memory cimport free_lines, lines, new_array
from .._openmp cimport fm_work, join_team, leave_team, next_block, next_work, share_work, team, team_done
from .._simd cimport cache_bytes, element, table_of
from .group_norm cimport CHUNKS, TASK_ELEMENTS, block_rows, is_short, room_elements

cnp.import_array()

cdef enum:
    LONG_ELEMENTS = 512        # from which a run may go past the caches
    PANEL_CHANNELS = 256       # whose chunks are joined at once

# Nanoseconds an element on one thread.
cdef double FORWARD_COST = 0.15
cdef double BACKWARD_COST = 0.25


# One call. y (OUT): result or dx; g, x, weight, bias (IN; g NULL forward, weight and bias may be NULL); mean, inv_std
# (OUT forward, IN backward); totals and sums: for each chunk dweight and dbias, and those of its current block; room:
# each thread's scratch, or NULL.
cdef struct GroupNorm:
    void *y
    void *g
    void *x
    void *weight
    void *bias
    void *mean
    void *inv_std
    void *dweight
    void *dbias
    double *totals
    double *sums
    char *room
    Py_ssize_t samples
    Py_ssize_t groups
    Py_ssize_t channels
    Py_ssize_t n
    Py_ssize_t rows             # a task: `rows` samples ...
    Py_ssize_t chunks
    Py_ssize_t width            # ... by `width` groups
    Py_ssize_t width_tasks
    Py_ssize_t block            # samples of a block
    size_t itemsize
    size_t room_bytes
    double eps
    bint stream


cdef void forward(const GroupNorm *job, Py_ssize_t first, Py_ssize_t group, char *room) noexcept nogil:
    """y, mean and inv_std of the task that begins at this sample and group."""
    cdef Py_ssize_t rows = min(job.rows, job.samples - first), groups = min(job.width, job.groups - group)
    cdef Py_ssize_t c = group * job.channels, sample = job.groups * job.channels * job.n
    cdef Py_ssize_t i = first * sample + c * job.n, k = first * job.groups + group
    cdef size_t size = job.itemsize
    table_of(size).group_norm_rows(
        element(job.y, i, size), element(job.mean, k, size), element(job.inv_std, k, size), element(job.x, i, size),
        element(job.weight, c, size), element(job.bias, c, size), rows, groups, job.channels, job.n, sample, sample,
        job.groups, job.eps, job.stream, room)


cdef void backward(const GroupNorm *job, Py_ssize_t first, Py_ssize_t group, char *room) noexcept nogil:
    """dx and the totals of the task that begins at this sample and group."""
    cdef Py_ssize_t end = min(job.samples, first + job.rows), groups = min(job.width, job.groups - group), i, k
    cdef Py_ssize_t c = group * job.channels, width = job.groups * job.channels, sample = width * job.n
    cdef size_t size = job.itemsize, n = groups * job.channels
    cdef double *totals = job.totals + 2 * width * (first // job.rows) + c
    cdef double *sums = job.sums + 2 * width * (first // job.rows) + c
    memset(totals, 0, n * sizeof(double))
    memset(totals + width, 0, n * sizeof(double))
    while first < end:
        i, k = first * sample + c * job.n, first * job.groups + group
        table_of(size).group_norm_backward_rows(
            element(job.y, i, size), sums, sums + width, element(job.g, i, size), element(job.x, i, size),
            element(job.weight, c, size), element(job.mean, k, size), element(job.inv_std, k, size),
            min(job.block, end - first), groups, job.channels, job.n, sample, sample, sample, job.groups, job.stream,
            room)
        table_of(sizeof(double)).sums_gain(totals, sums, n)
        table_of(sizeof(double)).sums_gain(totals + width, sums + width, n)
        first += job.block


cdef void run_task(const GroupNorm *job, Py_ssize_t task, int thread) noexcept nogil:
    cdef Py_ssize_t first = task // job.width_tasks * job.rows, group = task % job.width_tasks * job.width
    cdef char *room = NULL if job.room == NULL else job.room + thread * job.room_bytes
    if job.g == NULL:
        forward(job, first, group, room)
    else:
        backward(job, first, group, room)


cdef void join(const GroupNorm *job, Py_ssize_t c) noexcept nogil:
    """dweight and dbias of the panel that begins at channel c."""
    cdef Py_ssize_t width = job.groups * job.channels, w = min(<Py_ssize_t>PANEL_CHANNELS, width - c)
    cdef const double *totals = job.totals + c
    cdef size_t size = job.itemsize
    table_of(size).sums_join(element(job.dweight, c, size), totals, job.chunks, 2 * width, w)
    table_of(size).sums_join(element(job.dbias, c, size), totals + width, job.chunks, 2 * width, w)


cdef void work(const GroupNorm *job, int threads) noexcept nogil:
    """All tasks; then dweight and dbias."""
    cdef fm_work work, rest
    cdef Py_ssize_t i = 0, tasks = job.chunks * job.width_tasks
    cdef Py_ssize_t panels = 0 if job.g == NULL else ceil_div(job.groups * job.channels, PANEL_CHANNELS)
    if threads == 1:
        for i in range(tasks):
            run_task(job, i, 0)
        for i in range(panels):
            join(job, i * PANEL_CHANNELS)
        return
    share_work(&work, tasks, threads)
    share_work(&rest, panels, threads)
    with parallel(num_threads=threads):
        i = join_team(&work)
        while i >= 0:
            run_task(job, i, threadid())
            i = next_block(&work)
        i = next_work(&work, &rest)
        while i >= 0:
            join(job, i * PANEL_CHANNELS)
            i = next_block(&rest)
        leave_team()


cdef int run(GroupNorm *job, cnp.ndarray y, object g, cnp.ndarray x, object weight, object bias, cnp.ndarray mean,
             cnp.ndarray inv_std, object dweight, object dbias) except -1:
    """Cut the samples, find scratch and run; all arrays are plain and of one dtype, and none is empty."""
    cdef Py_ssize_t group = job.channels * job.n, sample = job.groups * group, totals = 0
    cdef bint short = is_short(job.channels, job.n)
    cdef int threads = team((FORWARD_COST if g is None else BACKWARD_COST) * job.samples * sample)
    cdef char *scratch
    job.y, job.g, job.x, job.weight, job.bias = data(y), data(g), data(x), data(weight), data(bias)
    job.mean, job.inv_std, job.dweight, job.dbias = data(mean), data(inv_std), data(dweight), data(dbias)
    job.itemsize = cnp.PyArray_ITEMSIZE(x)
    job.stream = ((group if short else job.n) >= LONG_ELEMENTS and job.y != job.x and job.y != job.g
                  and (1 if g is None else 3) * <size_t>cnp.PyArray_NBYTES(y) > cache_bytes)
    job.block = job.rows = block_rows(sample, short)
    if g is not None:
        job.rows *= ceil_div(ceil_div(job.samples, job.block), CHUNKS)
    job.chunks = ceil_div(job.samples, job.rows)
    job.width = max(1, min(job.groups, TASK_ELEMENTS // group))
    job.width_tasks = ceil_div(job.groups, job.width)
    if g is not None:
        totals = 2 * job.groups * job.channels * job.chunks
    job.room_bytes = ceil_div(room_elements(job.width, group, short) * job.itemsize, 64) * 64
    scratch = <char *>lines(2 * totals * sizeof(double) + threads * job.room_bytes + 1)
    if scratch == NULL:
        raise MemoryError("no memory for group_norm's partial sums")
    job.totals = <double *>scratch
    job.sums = job.totals + totals
    job.room = <char *>(job.sums + totals) if short else NULL
    with nogil:
        work(job, threads)
        team_done()
    free_lines(scratch)
    return 0


# ---- the gate ---------------------------------------------------------------------------------------------


cdef inline bint is_statistic(object v, cnp.ndarray x, const GroupNorm *job, object out) noexcept:
    """v is a plain array (samples, groups) of x's dtype, apart from out."""
    return (is_plain(v) and cnp.PyArray_TYPE(<cnp.ndarray>v) == cnp.PyArray_TYPE(x)
            and cnp.PyArray_NDIM(<cnp.ndarray>v) == 2 and cnp.PyArray_DIM(<cnp.ndarray>v, 0) == job.samples
            and cnp.PyArray_DIM(<cnp.ndarray>v, 1) == job.groups and apart(<cnp.ndarray>v, out))


cdef inline cnp.ndarray statistic_like(cnp.ndarray x, const GroupNorm *job):
    """A new array (samples, groups) of x's dtype."""
    cdef cnp.npy_intp[2] shape
    shape[0], shape[1] = job.samples, job.groups
    return new_array(2, shape, cnp.PyArray_TYPE(x))


cdef int lay_out(GroupNorm *job, cnp.ndarray x, object num_groups, bint instance) except -1:
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
    cdef GroupNorm job
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
    cdef GroupNorm job
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
