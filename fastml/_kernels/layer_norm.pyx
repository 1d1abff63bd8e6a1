"""Layer and RMS normalisation and their gradients: the gate, blocks of rows and threads.

The array is (outer, n), n elements being normalised together. Rows are independent but for dweight and dbias. The shape
alone cuts their partial sums. A block of BLOCK_ROWS rows is summed in its own precision. A chunk adds its blocks in
order in double, in a place of its own, and chunks are added in order. Up to CHUNKS blocks a chunk is a block, and its
sums need no totals. RMS norm is layer norm without mean, bias and dbias: they are NULL and None here.
"""

import numpy as np
from cython.parallel import parallel

from .. cimport _numpy as cnp
from libc.math cimport INFINITY
from libc.string cimport memset

from .. import _norms
from .._memory import empty

from .._check cimport (
    alike, apart, ceil_div, data, fits, is_plain, is_vector, real_number, result_like, vector_like
)
from .._environment cimport FM_FLUSH, FM_FULL, fm_scope, fm_switch
from .._memory cimport free_lines, lines, new_array
from .._openmp cimport fm_work, join_team, leave_team, next_block, next_work, share_work, team, team_done
from .._simd cimport cache_bytes, element, table_of
from .layer_norm cimport BLOCK_ROWS, CHUNKS

cnp.import_array()

cdef enum:
    BLOCK_ELEMENTS = 16384     # forward
    PANEL_COLUMNS = 256        # whose chunks are joined at once
    LOCKED_ELEMENTS = 8192     # the GIL is kept

# Nanoseconds an element on one thread.
cdef double FORWARD_COST = 0.15
cdef double BACKWARD_COST = 0.25


# One call forward. y (OUT), x (IN): (outer, n); mean, inv_std (OUT): (outer,); weight, bias (IN): (n,). mean, weight
# and bias may be NULL.
cdef struct Forward:
    void *y
    void *mean
    void *inv_std
    void *x
    void *weight
    void *bias
    Py_ssize_t outer
    Py_ssize_t n
    size_t itemsize
    double eps
    bint stream        # y goes past the caches


cdef inline void forward_rows(const Forward *job, Py_ssize_t r, Py_ssize_t rows) noexcept nogil:
    """`rows` rows from row r on."""
    cdef size_t n = job.n, size = job.itemsize
    table_of(size).layer_norm_rows(
        element(job.y, r * n, size), element(job.mean, r, size), element(job.inv_std, r, size),
        element(job.x, r * n, size), job.weight, job.bias, rows, n, n, n, job.eps, job.stream)


cdef void forward(const Forward *job) noexcept nogil:
    cdef fm_work work
    cdef Py_ssize_t step = max(1, BLOCK_ELEMENTS // job.n), i = 0
    cdef int threads = team(FORWARD_COST * job.outer * job.n)
    if threads == 1:
        forward_rows(job, 0, job.outer)
    else:
        share_work(&work, ceil_div(job.outer, step), threads)
        with parallel(num_threads=threads):
            i = join_team(&work)
            while i >= 0:
                forward_rows(job, i * step, min(step, job.outer - i * step))
                i = next_block(&work)
            leave_team()
    team_done()


# The gradient of one call. dx (OUT); g, x, weight, mean, inv_std (IN, weight and mean may be NULL); dweight, dbias
# (OUT, dbias may be NULL): (n,). totals: 2 n of each chunk (dweight, dbias), NULL where a chunk is a block. sums: 2 n
# of each chunk's current block.
cdef struct Backward:
    void *dx
    void *g
    void *x
    void *weight
    void *mean
    void *inv_std
    void *dweight
    void *dbias
    double *totals
    char *sums
    Py_ssize_t outer
    Py_ssize_t n
    Py_ssize_t rows    # of a chunk
    Py_ssize_t chunks
    size_t itemsize
    bint stream        # dx goes past the caches


cdef void backward_chunk(const Backward *job, Py_ssize_t k) noexcept nogil:
    """dx and the totals of chunk k."""
    cdef Py_ssize_t n = job.n, r = k * job.rows, end = min(job.outer, r + job.rows)
    cdef size_t size = job.itemsize
    cdef double *totals = job.totals + 2 * n * k if job.totals else NULL
    cdef void *sums = element(job.sums, 2 * n * k, size)
    if totals:
        memset(totals, 0, 2 * n * sizeof(double))
    while r < end:
        table_of(size).layer_norm_backward_rows(
            element(job.dx, r * n, size), sums, element(sums, n, size), element(job.g, r * n, size),
            element(job.x, r * n, size), job.weight, element(job.mean, r, size), element(job.inv_std, r, size),
            min(<Py_ssize_t>BLOCK_ROWS, end - r), n, n, n, n, job.stream)
        if totals:
            table_of(size).sums_gain(totals, sums, 2 * n)
        r += BLOCK_ROWS


cdef void join(const Backward *job, void *total, Py_ssize_t at, Py_ssize_t j, Py_ssize_t width) noexcept nogil:
    """dweight (at = 0) or dbias (at = n) of `width` columns from column j; no dbias, nothing to do."""
    cdef double joint[PANEL_COLUMNS]
    cdef double *first = joint
    cdef Py_ssize_t n = job.n, chunks = job.chunks, k
    cdef size_t size = job.itemsize
    if total == NULL:
        return
    if job.totals:
        first = job.totals + at + j
    else:
        memset(joint, 0, width * sizeof(double))
        for k in range(chunks):
            table_of(size).sums_gain(joint, element(job.sums, 2 * n * k + at + j, size), width)
        chunks = 1
    table_of(size).sums_join(element(total, j, size), first, chunks, 2 * n, width)


cdef void join_panel(const Backward *job, Py_ssize_t j) noexcept nogil:
    """dweight and dbias of the panel that begins at column j."""
    cdef Py_ssize_t width = min(PANEL_COLUMNS, job.n - j)
    join(job, job.dweight, 0, j, width)
    join(job, job.dbias, job.n, j, width)


cdef void backward(const Backward *job) noexcept nogil:
    cdef fm_work work, rest
    cdef Py_ssize_t k = 0, panels = ceil_div(job.n, PANEL_COLUMNS)
    cdef int threads = team(BACKWARD_COST * job.outer * job.n)
    if threads == 1:
        for k in range(job.chunks):
            backward_chunk(job, k)
        for k in range(panels):
            join_panel(job, k * PANEL_COLUMNS)
    else:
        share_work(&work, job.chunks, threads)
        share_work(&rest, panels, threads)
        with parallel(num_threads=threads):
            k = join_team(&work)
            while k >= 0:
                backward_chunk(job, k)
                k = next_block(&work)
            k = next_work(&work, &rest)
            while k >= 0:
                join_panel(job, k * PANEL_COLUMNS)
                k = next_block(&rest)
            leave_team()
    team_done()


cdef void run_forward(cnp.ndarray y, object mean, cnp.ndarray inv_std, cnp.ndarray x, object weight, object bias,
                      Py_ssize_t outer, Py_ssize_t n, double eps) noexcept:
    """All arrays are plain and of one dtype."""
    cdef Forward job
    job.y, job.mean, job.inv_std, job.x, job.weight, job.bias = (
        data(y), data(mean), data(inv_std), data(x), data(weight), data(bias)
    )
    job.outer, job.n, job.itemsize, job.eps = outer, n, cnp.PyArray_ITEMSIZE(x), eps
    job.stream = <size_t>cnp.PyArray_NBYTES(y) > cache_bytes
    if outer * n <= LOCKED_ELEMENTS:
        forward(&job)
    else:
        with nogil:
            forward(&job)


cdef int run_backward(cnp.ndarray dx, cnp.ndarray grad, cnp.ndarray x, object weight, object mean, cnp.ndarray inv_std,
                      cnp.ndarray dweight, object dbias, Py_ssize_t outer, Py_ssize_t n) except -1:
    """Cut the rows into chunks, find scratch and run; all arrays are plain and of one dtype."""
    cdef Backward job
    cdef Py_ssize_t totals, size = cnp.PyArray_ITEMSIZE(dx)
    cdef char *scratch
    job.dx, job.g, job.x, job.weight, job.mean, job.inv_std = (
        data(dx), data(grad), data(x), data(weight), data(mean), data(inv_std)
    )
    job.dweight, job.dbias = data(dweight), data(dbias)
    job.outer, job.n, job.itemsize = outer, n, size
    # From half the cache on (dx, g and x together) a quarter faster: what others leave of it is less than the whole.
    job.stream = job.dx != job.g and job.dx != job.x and 6 * <size_t>cnp.PyArray_NBYTES(dx) > cache_bytes
    job.rows = ceil_div(ceil_div(outer, BLOCK_ROWS), CHUNKS) * BLOCK_ROWS
    job.chunks = ceil_div(outer, job.rows)
    totals = 0 if job.rows == BLOCK_ROWS else 2 * n * job.chunks * <Py_ssize_t>sizeof(double)
    scratch = <char *>lines(totals + 2 * n * job.chunks * size + 128)
    if scratch == NULL:
        raise MemoryError("no memory for the partial sums")
    job.totals = <double *>scratch if totals else NULL
    # As far from a line of the cache as dx: a kernel's stores to both begin lines together.
    job.sums = scratch + totals + 63 - (<size_t>scratch + totals + 63) % 64 + <size_t>job.dx % 64
    if outer * n <= LOCKED_ELEMENTS:
        backward(&job)
    else:
        with nogil:
            backward(&job)
    free_lines(scratch)
    return 0


# ---- the gate ---------------------------------------------------------------------------------------------


cdef inline bint is_last(object axis, cnp.ndarray x) noexcept:
    """axis is an int that names x's last axis."""
    cdef int ndim = cnp.PyArray_NDIM(x)
    return type(axis) is int and ndim > 0 and (axis == -1 or axis == ndim - 1)


cdef inline bint is_statistic(object v, cnp.ndarray x, object out) noexcept:
    """v is a plain array of x's dtype, of x's shape but 1 in the end, that shares no memory with out."""
    cdef int i, last = cnp.PyArray_NDIM(x) - 1
    if not (is_plain(v) and cnp.PyArray_TYPE(<cnp.ndarray>v) == cnp.PyArray_TYPE(x)
            and cnp.PyArray_NDIM(<cnp.ndarray>v) == last + 1 and cnp.PyArray_DIM(<cnp.ndarray>v, last) == 1):
        return False
    for i in range(last):
        if cnp.PyArray_DIM(<cnp.ndarray>v, i) != cnp.PyArray_DIM(x, i):
            return False
    return apart(<cnp.ndarray>v, out)


cdef inline cnp.ndarray statistic_like(cnp.ndarray x):
    """A new array of x's dtype and shape, but 1 in the end."""
    cdef cnp.npy_intp shape[64]
    cdef int i, last = cnp.PyArray_NDIM(x) - 1
    for i in range(last):
        shape[i] = cnp.PyArray_DIM(x, i)
    shape[last] = 1
    return new_array(last + 1, shape, cnp.PyArray_TYPE(x))


# ---- the ops ----------------------------------------------------------------------------------------------


cdef tuple forward_call(object x, object weight, object bias, object axis, object eps, object out, bint rms):
    """(y, mean, inv_std); mean is None for RMS norm."""
    cdef fm_scope _scope = fm_switch(FM_FULL)
    cdef Py_ssize_t outer, n
    cdef double epsilon = real_number(eps, "eps", INFINITY)
    cdef bint plain
    call = mean = None
    plain = is_plain(x) and is_last(axis, <cnp.ndarray>x) and fits(<cnp.ndarray>x, out)
    if plain:
        n = cnp.PyArray_DIM(<cnp.ndarray>x, cnp.PyArray_NDIM(<cnp.ndarray>x) - 1)
        plain = is_vector(weight, <cnp.ndarray>x, n, out) and is_vector(bias, <cnp.ndarray>x, n, out)
    if plain:
        inv_std = statistic_like(<cnp.ndarray>x)
    else:
        call = _norms.Rows(("x",), (x,), axis, out)
        n, (x,), out = call.n, call.arrays, call.out
        weight, bias = call.weight(weight, "weight"), call.weight(bias, "bias")
        inv_std = empty(call.kept, call.dtype)
    if not rms:
        mean = statistic_like(<cnp.ndarray>x) if call is None else empty(call.kept, call.dtype)
    y = result_like(<cnp.ndarray>x, out)
    outer = cnp.PyArray_SIZE(<cnp.ndarray>inv_std)
    if n == 0:
        inv_std.fill(np.nan)
        if not rms:
            mean.fill(np.nan)
    elif outer:
        run_forward(y, mean, inv_std, <cnp.ndarray>x, weight, bias, outer, n, epsilon)
    return y if call is None else call.finish(y), mean, inv_std


cdef tuple backward_call(object grad, object x, object weight, object mean, object inv_std, object axis, object out,
                         bint rms):
    """(dx, dweight, dbias); for RMS norm mean and dbias are None."""
    cdef fm_scope _scope = fm_switch(FM_FLUSH)
    cdef Py_ssize_t outer, n
    cdef bint plain
    call = dbias = None
    plain = (is_plain(grad) and alike(<cnp.ndarray>grad, x) and is_last(axis, <cnp.ndarray>grad)
             and fits(<cnp.ndarray>grad, out) and fits(<cnp.ndarray>x, out)
             and (rms or is_statistic(mean, <cnp.ndarray>grad, out)) and is_statistic(inv_std, <cnp.ndarray>grad, out))
    if plain:
        n = cnp.PyArray_DIM(<cnp.ndarray>grad, cnp.PyArray_NDIM(<cnp.ndarray>grad) - 1)
        plain = is_vector(weight, <cnp.ndarray>grad, n, out)
    if plain:
        dweight = vector_like(<cnp.ndarray>grad, n)
    else:
        call = _norms.Rows(("grad", "x"), (grad, x), axis, out)
        n, (grad, x), out = call.n, call.arrays, call.out
        weight = call.weight(weight, "weight")
        mean = None if rms else call.statistic(mean, "mean")
        inv_std = call.statistic(inv_std, "inv_rms" if rms else "inv_std")
        dweight = empty(call.normalised, call.dtype)
    if not rms:
        dbias = vector_like(<cnp.ndarray>grad, n) if call is None else empty(call.normalised, call.dtype)
    dx = result_like(<cnp.ndarray>grad, out)
    outer = cnp.PyArray_SIZE(<cnp.ndarray>inv_std)
    if outer == 0:
        dweight.fill(0)
        if not rms:
            dbias.fill(0)
    elif n:
        run_backward(dx, <cnp.ndarray>grad, <cnp.ndarray>x, weight, mean, <cnp.ndarray>inv_std, dweight, dbias, outer,
                     n)
    return dx if call is None else call.finish(dx), dweight, dbias


def layer_norm(x, weight, bias, axis, eps, out):
    return forward_call(x, weight, bias, axis, eps, out, False)


def layer_norm_backward(grad, x, weight, mean, inv_std, axis, out):
    return backward_call(grad, x, weight, mean, inv_std, axis, out, False)


def rms_norm(x, weight, axis, eps, out):
    y, _, inv_rms = forward_call(x, weight, None, axis, eps, out, True)
    return y, inv_rms


def rms_norm_backward(grad, x, weight, inv_rms, axis, out):
    dx, dweight, _ = backward_call(grad, x, weight, None, inv_rms, axis, out, True)
    return dx, dweight
