"""Layer normalisation and its gradient: the gate, blocks of rows and threads.

The array is (outer, n), n elements being normalised together. Rows are independent but for dweight and dbias, whose
partial sums are cut by the shape alone: blocks of ROWS rows are summed in their own precision and added in order in
double, a chunk of blocks into a place of its own; chunks are added in order. Up to CHUNKS blocks a chunk is a block.
"""

import numpy as np
from cython.parallel import parallel, prange

cimport numpy as cnp
from libc.stdlib cimport free, malloc

from .. import _check

from .._check cimport PyArray_EMPTY, alike, fits, is_plain, result_like
from .._openmp cimport caller, join_team, team, team_done
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


cdef inline Py_ssize_t ceil_div(Py_ssize_t a, Py_ssize_t b) noexcept nogil:
    return (a + b - 1) // b


cdef inline void rows_forward(real *y, real *mean, real *inv_std, const real *x, const real *weight, const real *bias,
                              size_t rows, size_t n, double eps, bint stream) noexcept nogil:
    """y, mean, inv_std (OUT), x (IN): `rows` rows of n; weight, bias (IN, may be NULL): (n,)."""
    if real is float:
        fm32.layer_norm_rows(y, mean, inv_std, x, weight, bias, rows, n, n, n, eps, stream)
    else:
        fm64.layer_norm_rows(y, mean, inv_std, x, weight, bias, rows, n, n, n, eps, stream)


cdef void forward(real *y, real *mean, real *inv_std, const real *x, const real *weight, const real *bias,
                  Py_ssize_t outer, Py_ssize_t n, double eps) noexcept nogil:
    """y (OUT), x (IN): (outer, n); mean, inv_std (OUT): (outer,); weight, bias (IN, may be NULL): (n,)."""
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
                rows_forward(y + r * n, mean + r, inv_std + r, x + r * n, weight, bias, min(step, outer - r), n, eps,
                             stream)
    team_done()


# The gradient of one call. dx, dweight, dbias (OUT); g, x, weight, mean, inv_std (IN, weight may be NULL); for each
# chunk 2 n totals (dweight, dbias) and 2 n sums of its current block.
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
    cdef double *totals = job.totals + 2 * n * k
    cdef real *sums = <real *>job.sums + 2 * n * k
    for i in range(2 * n):
        totals[i] = 0
    for i in range(ceil_div(end - first, ROWS)):
        r = first + i * ROWS
        rows = min(ROWS, end - r)
        if real is float:
            fm32.layer_norm_backward_rows(
                <float *>job.dx + r * n, sums, sums + n, <const float *>job.g + r * n, <const float *>job.x + r * n,
                <const float *>job.weight, <const float *>job.mean + r, <const float *>job.inv_std + r, rows, n, n, n,
                n, job.stream)
            fm32.sums_gain(totals, sums, 2 * n)
        else:
            fm64.layer_norm_backward_rows(
                <double *>job.dx + r * n, sums, sums + n, <const double *>job.g + r * n,
                <const double *>job.x + r * n, <const double *>job.weight, <const double *>job.mean + r,
                <const double *>job.inv_std + r, rows, n, n, n, n, job.stream)
            fm64.sums_gain(totals, sums, 2 * n)


cdef inline void join(const Gradient *job, real *dweight, real *dbias, Py_ssize_t chunks, Py_ssize_t at,
                      Py_ssize_t width) noexcept nogil:
    """dweight and dbias of `width` columns from column `at`."""
    cdef Py_ssize_t n = job.n
    if real is float:
        fm32.sums_join(dweight + at, job.totals + at, chunks, 2 * n, width)
        fm32.sums_join(dbias + at, job.totals + n + at, chunks, 2 * n, width)
    else:
        fm64.sums_join(dweight + at, job.totals + at, chunks, 2 * n, width)
        fm64.sums_join(dbias + at, job.totals + n + at, chunks, 2 * n, width)


cdef void backward(const Gradient *job, real *dweight, real *dbias) noexcept nogil:
    """The whole gradient."""
    cdef Py_ssize_t k, n = job.n, chunks = ceil_div(job.outer, job.rows)
    cdef int me = caller(), threads = team(BACKWARD_COST * job.outer * n)
    if threads == 1:
        for k in range(chunks):
            chunk(job, k, dweight)
        join(job, dweight, dbias, chunks, 0, n)
    else:
        with parallel(num_threads=threads):
            join_team(me)
            for k in prange(chunks, schedule="static"):
                chunk(job, k, dweight)
            for k in prange(ceil_div(n, PANEL), schedule="static"):
                join(job, dweight, dbias, chunks, k * PANEL, min(PANEL, n - k * PANEL))
    team_done()


cdef int run_backward(cnp.ndarray dx, cnp.ndarray grad, cnp.ndarray x, cnp.ndarray weight, cnp.ndarray mean,
                      cnp.ndarray inv_std, cnp.ndarray dweight, cnp.ndarray dbias, Py_ssize_t outer,
                      Py_ssize_t n) except -1:
    """Cut the rows into chunks, find scratch and run; all arrays are plain and of one dtype."""
    cdef Gradient job
    cdef Py_ssize_t chunks
    job.dx, job.g, job.x = cnp.PyArray_DATA(dx), cnp.PyArray_DATA(grad), cnp.PyArray_DATA(x)
    job.mean, job.inv_std = cnp.PyArray_DATA(mean), cnp.PyArray_DATA(inv_std)
    job.weight = NULL if weight is None else cnp.PyArray_DATA(weight)
    job.outer, job.n = outer, n
    # Where dx, g and x do not fit the cache together.
    job.stream = job.dx != job.g and job.dx != job.x and 3 * <size_t>cnp.PyArray_NBYTES(dx) > cache_bytes
    job.rows = ceil_div(ceil_div(outer, ROWS), CHUNKS) * ROWS
    chunks = ceil_div(outer, job.rows)
    job.totals = <double *>malloc(2 * n * chunks * (sizeof(double) + cnp.PyArray_ITEMSIZE(dx)))
    if job.totals == NULL:
        raise MemoryError("no memory for layer_norm's partial sums")
    job.sums = job.totals + 2 * n * chunks
    if cnp.PyArray_TYPE(dx) == cnp.NPY_FLOAT:
        if outer * n <= SMALL:
            backward[float](&job, <float *>cnp.PyArray_DATA(dweight), <float *>cnp.PyArray_DATA(dbias))
        else:
            with nogil:
                backward[float](&job, <float *>cnp.PyArray_DATA(dweight), <float *>cnp.PyArray_DATA(dbias))
    else:
        with nogil:
            backward[double](&job, <double *>cnp.PyArray_DATA(dweight), <double *>cnp.PyArray_DATA(dbias))
    free(job.totals)
    return 0


cdef int run_forward(cnp.ndarray y, cnp.ndarray mean, cnp.ndarray inv_std, cnp.ndarray x, cnp.ndarray weight,
                     cnp.ndarray bias, Py_ssize_t outer, Py_ssize_t n, double eps) except -1:
    """All arrays are plain and of one dtype."""
    cdef void *w = NULL if weight is None else cnp.PyArray_DATA(weight)
    cdef void *b = NULL if bias is None else cnp.PyArray_DATA(bias)
    if cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT:
        if outer * n <= SMALL:
            forward(<float *>cnp.PyArray_DATA(y), <float *>cnp.PyArray_DATA(mean), <float *>cnp.PyArray_DATA(inv_std),
                    <const float *>cnp.PyArray_DATA(x), <const float *>w, <const float *>b, outer, n, eps)
        else:
            with nogil:
                forward(<float *>cnp.PyArray_DATA(y), <float *>cnp.PyArray_DATA(mean),
                        <float *>cnp.PyArray_DATA(inv_std), <const float *>cnp.PyArray_DATA(x), <const float *>w,
                        <const float *>b, outer, n, eps)
    else:
        with nogil:
            forward(<double *>cnp.PyArray_DATA(y), <double *>cnp.PyArray_DATA(mean),
                    <double *>cnp.PyArray_DATA(inv_std), <const double *>cnp.PyArray_DATA(x), <const double *>w,
                    <const double *>b, outer, n, eps)
    return 0


# ---- the gate ---------------------------------------------------------------------------------------------


cdef inline bint is_last(object axis, cnp.ndarray x) noexcept:
    """axis is an int that names x's last axis."""
    cdef int ndim = cnp.PyArray_NDIM(x)
    return type(axis) is int and ndim > 0 and (axis == -1 or axis == ndim - 1)


cdef inline bint disjoint(cnp.ndarray a, object out) noexcept:
    """out is None or, contiguous as a is, shares no memory with it."""
    cdef const char *p = cnp.PyArray_BYTES(a)
    cdef const char *q
    if out is None:
        return True
    q = cnp.PyArray_BYTES(<cnp.ndarray>out)
    return p + cnp.PyArray_NBYTES(a) <= q or q + cnp.PyArray_NBYTES(<cnp.ndarray>out) <= p


cdef inline bint is_vector(object v, cnp.ndarray x, Py_ssize_t n, object out) noexcept:
    """v is None, or a plain vector of n elements of x's dtype that shares no memory with out."""
    if v is None:
        return True
    return (is_plain(v) and cnp.PyArray_TYPE(<cnp.ndarray>v) == cnp.PyArray_TYPE(x)
            and cnp.PyArray_NDIM(<cnp.ndarray>v) == 1 and cnp.PyArray_DIM(<cnp.ndarray>v, 0) == n
            and disjoint(<cnp.ndarray>v, out))


cdef inline bint is_statistic(object v, cnp.ndarray x, object out) noexcept:
    """v is a plain array of x's dtype, of x's shape but 1 in the end, that shares no memory with out."""
    cdef int i, last = cnp.PyArray_NDIM(x) - 1
    if not (is_plain(v) and cnp.PyArray_TYPE(<cnp.ndarray>v) == cnp.PyArray_TYPE(x)
            and cnp.PyArray_NDIM(<cnp.ndarray>v) == last + 1 and cnp.PyArray_DIM(<cnp.ndarray>v, last) == 1):
        return False
    for i in range(last):
        if cnp.PyArray_DIM(<cnp.ndarray>v, i) != cnp.PyArray_DIM(x, i):
            return False
    return disjoint(<cnp.ndarray>v, out)


cdef inline cnp.ndarray statistic_like(cnp.ndarray x):
    """A new array of x's dtype and shape, but 1 in the end."""
    cdef cnp.npy_intp shape[64]
    cdef int i, last = cnp.PyArray_NDIM(x) - 1
    for i in range(last):
        shape[i] = cnp.PyArray_DIM(x, i)
    shape[last] = 1
    return PyArray_EMPTY(last + 1, shape, cnp.PyArray_TYPE(x), 0)


cdef inline cnp.ndarray vector_like(cnp.ndarray x, Py_ssize_t n):
    cdef cnp.npy_intp size = n
    return PyArray_EMPTY(1, &size, cnp.PyArray_TYPE(x), 0)


def normalised_axes(axis, ndim):
    """An int or a tuple of trailing axes as a tuple counted from the front."""
    if axis is None:
        raise TypeError("axis must be an integer or a tuple of integers, not NoneType")
    if ndim == 0:
        raise ValueError(f"axis {axis} is out of bounds for an array of 0 dimension(s)")
    axes = _check.axis_tuple(axis, ndim)
    if isinstance(axis, (tuple, list)) and axes != tuple(range(ndim - len(axes), ndim)):
        raise ValueError(f"axis {axis} must name the last axes of an array of {ndim} dimension(s), in order")
    if not axes:
        raise ValueError("axis must name at least one axis, not ()")
    return axes


def part(value, name, shape, dtype, out):
    """An argument of this shape as a plain array, or None."""
    if value is None:
        return None
    a = _check.as_real(value, name, dtype)
    if a.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, not {a.shape}")
    if out is not None and isinstance(value, np.ndarray) and _check.overlap(out, value):
        raise ValueError(f"out overlaps {name}; it may be the first input itself or separate memory")
    return _check.plain(a)


class Plain:
    """Plain stand-ins of (outer, n) for one call on arrays of any layout; `finish` delivers the result."""

    def __init__(self, names, given, axis, out):
        arrays = _check.as_reals(list(zip(names, given, strict=True)))
        _check.same_shapes(names, arrays)
        self.shape = shape = arrays[0].shape
        self.axes = axes = normalised_axes(axis, len(shape))
        self.dtype, self.asked = arrays[0].dtype, out
        if out is not None:
            _check.check_out(out, shape, self.dtype, given)
        self.normalised = tuple([shape[i] for i in axes])
        self.kept = _check.reduced_shape(arrays[0], axes)
        self.trailing = max(axes) == len(shape) - 1
        self.n = int(np.prod(self.normalised, dtype=np.int64))
        self.outer = int(np.prod(self.kept, dtype=np.int64))
        self.arrays = [_check.plain(self.turned(a)) for a in arrays]
        self.direct = out is not None and self.trailing and out.flags.c_contiguous and out.flags.aligned
        self.out = np.asarray(out) if self.direct else np.empty(self.arrays[0].shape, self.dtype)

    def turned(self, a):
        """The one axis that is not the last, last."""
        return a if self.trailing else np.moveaxis(a, self.axes[0], -1)

    def finish(self, y):
        y = y if self.trailing else np.moveaxis(y, -1, self.axes[0])
        if self.asked is None:
            return y
        if not self.direct:
            self.asked[...] = y
        return self.asked


# ---- layer_norm and layer_norm_backward -------------------------------------------------------------------


def layer_norm(x, weight, bias, axis, eps, out):
    cdef Py_ssize_t outer, n
    cdef double epsilon
    cdef bint plain
    if type(eps) is not float or not eps >= 0:
        eps = _check.number(eps, "eps", 0)
    epsilon = eps
    call = None
    plain = is_plain(x) and is_last(axis, <cnp.ndarray>x) and fits(<cnp.ndarray>x, out)
    if plain:
        n = cnp.PyArray_DIM(<cnp.ndarray>x, cnp.PyArray_NDIM(<cnp.ndarray>x) - 1)
        plain = is_vector(weight, <cnp.ndarray>x, n, out) and is_vector(bias, <cnp.ndarray>x, n, out)
    if plain:
        mean, inv_std = statistic_like(<cnp.ndarray>x), statistic_like(<cnp.ndarray>x)
    else:
        call = Plain(("x",), (x,), axis, out)
        n, (x,), out = call.n, call.arrays, call.out
        weight = part(weight, "weight", call.normalised, call.dtype, call.asked)
        bias = part(bias, "bias", call.normalised, call.dtype, call.asked)
        mean, inv_std = np.empty(call.kept, call.dtype), np.empty(call.kept, call.dtype)
    y = result_like(<cnp.ndarray>x, out)
    outer = cnp.PyArray_SIZE(<cnp.ndarray>mean)
    if n == 0:
        mean.fill(np.nan)
        inv_std.fill(np.nan)
    elif outer:
        run_forward(y, mean, inv_std, <cnp.ndarray>x, weight, bias, outer, n, epsilon)
    return y if call is None else call.finish(y), mean, inv_std


def layer_norm_backward(grad, x, weight, mean, inv_std, axis, out):
    cdef Py_ssize_t outer, n
    cdef bint plain
    call = None
    plain = (is_plain(grad) and alike(<cnp.ndarray>grad, x) and is_last(axis, <cnp.ndarray>grad)
             and fits(<cnp.ndarray>grad, out) and fits(<cnp.ndarray>x, out)
             and is_statistic(mean, <cnp.ndarray>grad, out) and is_statistic(inv_std, <cnp.ndarray>grad, out))
    if plain:
        n = cnp.PyArray_DIM(<cnp.ndarray>grad, cnp.PyArray_NDIM(<cnp.ndarray>grad) - 1)
        plain = is_vector(weight, <cnp.ndarray>grad, n, out)
    if plain:
        dweight, dbias = vector_like(<cnp.ndarray>grad, n), vector_like(<cnp.ndarray>grad, n)
    else:
        call = Plain(("grad", "x"), (grad, x), axis, out)
        n, (grad, x), out = call.n, call.arrays, call.out
        weight = part(weight, "weight", call.normalised, call.dtype, call.asked)
        for name, value in (("mean", mean), ("inv_std", inv_std)):
            if value is None:
                raise TypeError(f"{name} must be an array of one value per row, not None")
        mean = part(mean, "mean", call.kept, call.dtype, call.asked)
        inv_std = part(inv_std, "inv_std", call.kept, call.dtype, call.asked)
        dweight, dbias = np.empty(call.normalised, call.dtype), np.empty(call.normalised, call.dtype)
    dx = result_like(<cnp.ndarray>grad, out)
    outer = cnp.PyArray_SIZE(<cnp.ndarray>mean)
    if outer == 0:
        dweight.fill(0)
        dbias.fill(0)
    elif n:
        run_backward(dx, <cnp.ndarray>grad, <cnp.ndarray>x, weight, <cnp.ndarray>mean, <cnp.ndarray>inv_std, dweight,
                     dbias, outer, n)
    return dx if call is None else call.finish(dx), dweight, dbias
