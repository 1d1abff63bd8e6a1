"""Layer and RMS normalisation and their gradients: the gate, blocks of rows and threads.

The array is (outer, n), n elements being normalised together. Rows are independent but for dweight and dbias, whose
partial sums are cut by the shape alone: blocks of ROWS rows are summed in their own precision and added in order in
double, a chunk of blocks into a place of its own; chunks are added in order. Up to CHUNKS blocks a chunk is a block,
and its sums need no totals. RMS norm is layer norm without mean, bias and dbias: they are NULL and None here.
"""

import numpy as np
from cython.parallel import parallel, prange

cimport numpy as cnp
from libc.math cimport INFINITY
from libc.stdlib cimport free, malloc
from libc.string cimport memset

from .. import _norms

from .._check cimport (
    PyArray_EMPTY, alike, apart, ceil_div, data, fits, is_plain, is_vector, real_number, result_like, vector_like
)
from .._environment cimport FM_FLUSH, FM_FULL, fm_scope, fm_switch
from .._openmp cimport caller, join_team, leave_team, team, team_done
from .._simd cimport cache_bytes, fm32, fm64

cnp.import_array()

ctypedef fused real:
    float
    double

cdef enum:
    ROWS = 32         # rows of a block of the gradient
    CHUNKS = 64       # at most
    BLOCK = 16384     # elements of a block forward
    PANEL = 256       # columns whose chunks are joined at once
    SMALL = 8192      # elements: the GIL is kept

# Nanoseconds an element on one thread.
cdef double FORWARD_COST = 0.15
cdef double BACKWARD_COST = 0.25


cdef inline void rows_forward(real *y, real *mean, real *inv_std, const real *x, const real *weight, const real *bias,
                              size_t rows, size_t n, double eps, bint stream) noexcept nogil:
    """y, inv_std, mean (OUT, may be NULL), x (IN): `rows` rows of n; weight, bias (IN, may be NULL): (n,)."""
    if real is float:
        fm32.layer_norm_rows(y, mean, inv_std, x, weight, bias, rows, n, n, n, eps, stream)
    else:
        fm64.layer_norm_rows(y, mean, inv_std, x, weight, bias, rows, n, n, n, eps, stream)


cdef void forward(real *y, real *mean, real *inv_std, const real *x, const real *weight, const real *bias,
                  Py_ssize_t outer, Py_ssize_t n, double eps) noexcept nogil:
    """y (OUT), x (IN): (outer, n); inv_std, mean (OUT, may be NULL): (outer,); weight, bias (IN, may be NULL): (n,)."""
    cdef Py_ssize_t step = max(1, BLOCK // n), i, r
    cdef bint stream = outer * n * sizeof(real) > cache_bytes
    cdef int me = caller(), threads = team(FORWARD_COST * outer * n)
    if threads == 1:
        rows_forward(y, mean, inv_std, x, weight, bias, outer, n, eps, stream)
    else:
        with parallel(num_threads=threads):
            join_team(me)
            for i in prange(ceil_div(outer, step), schedule="static"):
                r = i * step
                rows_forward(y + r * n, mean + r if mean else NULL, inv_std + r, x + r * n, weight, bias,
                             min(step, outer - r), n, eps, stream)
            leave_team()
    team_done()


# The gradient of one call. dx (OUT); g, x, weight, mean, inv_std (IN, weight and mean may be NULL); for each chunk
# 2 n totals (dweight, dbias; NULL where a chunk is a block) and 2 n sums of its current block.
cdef struct Gradient:
    void *dx
    const void *g
    const void *x
    const void *weight
    const void *mean
    const void *inv_std
    double *totals
    void *sums
    Py_ssize_t outer, n
    Py_ssize_t rows    # of a chunk
    bint stream        # dx goes past the caches


cdef inline void chunk(const Gradient *job, Py_ssize_t k, const real *x) noexcept nogil:
    """dx and the totals of chunk k."""
    cdef Py_ssize_t n = job.n, i, r, rows, first = k * job.rows, end = min(job.outer, first + job.rows)
    cdef double *totals = job.totals + 2 * n * k if job.totals else NULL
    cdef real *sums = <real *>job.sums + 2 * n * k
    cdef real *mean
    if totals:
        memset(totals, 0, 2 * n * sizeof(double))
    for i in range(ceil_div(end - first, ROWS)):
        r = first + i * ROWS
        rows = min(ROWS, end - r)
        mean = <real *>job.mean + r if job.mean else NULL
        if real is float:
            fm32.layer_norm_backward_rows(
                <float *>job.dx + r * n, sums, sums + n, <const float *>job.g + r * n, <const float *>job.x + r * n,
                <const float *>job.weight, mean, <const float *>job.inv_std + r, rows, n, n, n, n, job.stream)
            if totals:
                fm32.sums_gain(totals, sums, 2 * n)
        else:
            fm64.layer_norm_backward_rows(
                <double *>job.dx + r * n, sums, sums + n, <const double *>job.g + r * n,
                <const double *>job.x + r * n, <const double *>job.weight, mean, <const double *>job.inv_std + r,
                rows, n, n, n, n, job.stream)
            if totals:
                fm64.sums_gain(totals, sums, 2 * n)


cdef inline void join(const Gradient *job, real *total, Py_ssize_t chunks, Py_ssize_t at, Py_ssize_t j,
                      Py_ssize_t width) noexcept nogil:
    """dweight (at = 0) or dbias (at = n) of `width` columns from column j; no dbias, nothing to do."""
    cdef double joint[PANEL]
    cdef double *first = joint
    cdef Py_ssize_t n = job.n, k
    if total == NULL:
        return
    if job.totals:
        first = job.totals + at + j
    else:
        memset(joint, 0, width * sizeof(double))
        for k in range(chunks):
            if real is float:
                fm32.sums_gain(joint, <float *>job.sums + 2 * n * k + at + j, width)
            else:
                fm64.sums_gain(joint, <double *>job.sums + 2 * n * k + at + j, width)
        chunks = 1
    if real is float:
        fm32.sums_join(total + j, first, chunks, 2 * n, width)
    else:
        fm64.sums_join(total + j, first, chunks, 2 * n, width)


cdef inline void join_panel(const Gradient *job, real *dweight, real *dbias, Py_ssize_t chunks,
                            Py_ssize_t j) noexcept nogil:
    """The columns of the panel that begins at column j."""
    cdef Py_ssize_t width = min(PANEL, job.n - j)
    join(job, dweight, chunks, 0, j, width)
    join(job, dbias, chunks, job.n, j, width)


cdef void backward(const Gradient *job, real *dweight, real *dbias) noexcept nogil:
    """The whole gradient; dweight, dbias (OUT, dbias may be NULL): (n,)."""
    cdef Py_ssize_t k, n = job.n, chunks = ceil_div(job.outer, job.rows), panels = ceil_div(n, PANEL)
    cdef int me = caller(), threads = team(BACKWARD_COST * job.outer * n)
    if threads == 1:
        for k in range(chunks):
            chunk(job, k, dweight)
        for k in range(panels):
            join_panel(job, dweight, dbias, chunks, k * PANEL)
    else:
        with parallel(num_threads=threads):
            join_team(me)
            for k in prange(chunks, schedule="static"):
                chunk(job, k, dweight)
            for k in prange(panels, schedule="static"):
                join_panel(job, dweight, dbias, chunks, k * PANEL)
            leave_team()
    team_done()


cdef int run_backward(cnp.ndarray dx, cnp.ndarray grad, cnp.ndarray x, cnp.ndarray weight, cnp.ndarray mean,
                      cnp.ndarray inv_std, cnp.ndarray dweight, cnp.ndarray dbias, Py_ssize_t outer,
                      Py_ssize_t n) except -1:
    """Cut the rows into chunks, find scratch and run; all arrays are plain and of one dtype."""
    cdef Gradient job
    cdef Py_ssize_t chunks, totals, size = cnp.PyArray_ITEMSIZE(dx)
    cdef void *dw = data(dweight)
    cdef void *db = data(dbias)
    cdef char *scratch
    job.dx, job.g, job.x, job.weight, job.mean, job.inv_std = (
        data(dx), data(grad), data(x), data(weight), data(mean), data(inv_std)
    )
    job.outer, job.n = outer, n
    # From half the cache on (dx, g and x together) a quarter faster: what others leave of it is less than the whole.
    job.stream = job.dx != job.g and job.dx != job.x and 6 * <size_t>cnp.PyArray_NBYTES(dx) > cache_bytes
    job.rows = ceil_div(ceil_div(outer, ROWS), CHUNKS) * ROWS
    chunks = ceil_div(outer, job.rows)
    totals = 0 if job.rows == ROWS else 2 * n * chunks * <Py_ssize_t>sizeof(double)
    scratch = <char *>malloc(totals + 2 * n * chunks * size + 128)
    if scratch == NULL:
        raise MemoryError("no memory for the partial sums")
    job.totals = <double *>scratch if totals else NULL
    # As far from a line of the cache as dx: a kernel's stores to both begin lines together.
    job.sums = scratch + totals + 63 - (<size_t>scratch + totals + 63) % 64 + <size_t>job.dx % 64
    if size == sizeof(float):
        if outer * n <= SMALL:
            backward[float](&job, <float *>dw, <float *>db)
        else:
            with nogil:
                backward[float](&job, <float *>dw, <float *>db)
    else:
        with nogil:
            backward[double](&job, <double *>dw, <double *>db)
    free(scratch)
    return 0


cdef int run_forward(cnp.ndarray y, cnp.ndarray mean, cnp.ndarray inv_std, cnp.ndarray x, cnp.ndarray weight,
                     cnp.ndarray bias, Py_ssize_t outer, Py_ssize_t n, double eps) except -1:
    """All arrays are plain and of one dtype."""
    cdef void *to = data(y)
    cdef void *m = data(mean)
    cdef void *s = data(inv_std)
    cdef void *of = data(x)
    cdef void *w = data(weight)
    cdef void *b = data(bias)
    if cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT:
        if outer * n <= SMALL:
            forward(<float *>to, <float *>m, <float *>s, <const float *>of, <const float *>w, <const float *>b, outer,
                    n, eps)
        else:
            with nogil:
                forward(<float *>to, <float *>m, <float *>s, <const float *>of, <const float *>w, <const float *>b,
                        outer, n, eps)
    else:
        with nogil:
            forward(<double *>to, <double *>m, <double *>s, <const double *>of, <const double *>w, <const double *>b,
                    outer, n, eps)
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
    return PyArray_EMPTY(last + 1, shape, cnp.PyArray_TYPE(x), 0)


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
        inv_std = np.empty(call.kept, call.dtype)
    if not rms:
        mean = statistic_like(<cnp.ndarray>x) if call is None else np.empty(call.kept, call.dtype)
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
        dweight = np.empty(call.normalised, call.dtype)
    if not rms:
        dbias = vector_like(<cnp.ndarray>grad, n) if call is None else np.empty(call.normalised, call.dtype)
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
