"""Scalers' passes over a matrix of samples (rows) and features: what is gathered from it, and its new scale.

Matrices come checked: float32 or float64, 2-D, contiguous in C or Fortran order. One in Fortran order is as many
matrices of one column ("parts"), one after the other. A part is cut into at most CHUNKS chunks of rows by the shape
alone, each with its results in a place of its own, joined in order: no bit depends on the threads. Narrow rows are
taken `group` at a time as one row of about WIDE columns, whose moments are joined as those of further chunks.

float32 is summed in float64, a block at a time, widened into the first cache. NaN is not looked for in this pass: it
shows in the sums, and `weighted_moments` counts per column.
"""

import numpy as np
from cython.parallel import parallel, prange

cimport numpy as cnp
from libc.math cimport INFINITY
from libc.stdlib cimport free, malloc

from .._check cimport is_plain, is_real
from .._openmp cimport caller, join_team, team, team_done
from .._simd cimport cache_bytes, fm32, fm64

cnp.import_array()

cdef enum:
    CHUNKS = 32
    ROWS = 64    # of a block
    WIDE = 48    # columns of a block
    VECTOR = 64  # bytes

# Nanoseconds an element on one thread.
cdef double GATHER_COST = 0.15
cdef double WEIGHTED_COST = 3
cdef double SCALE_COST = 0.15

ctypedef fused real:
    float
    double


cdef struct Cut:
    Py_ssize_t parts, rows, cols
    Py_ssize_t group
    Py_ssize_t chunk, chunks    # rows of a chunk, chunks of a part
    Py_ssize_t tasks


cdef inline Py_ssize_t ceil_div(Py_ssize_t a, Py_ssize_t b) noexcept nogil:
    return (a + b - 1) // b


cdef int lay_out(Cut *cut, cnp.ndarray x) except -1:
    cdef Py_ssize_t lanes = 8
    if cnp.PyArray_NDIM(x) != 2 or not is_real(x) or not x.flags.forc or not x.flags.aligned:
        raise ValueError(f"a contiguous float matrix is needed, not {x.dtype} of shape {(<object>x).shape}")
    cut.parts, cut.rows, cut.cols = 1, cnp.PyArray_DIM(x, 0), cnp.PyArray_DIM(x, 1)
    if not x.flags.c_contiguous:
        cut.parts, cut.cols = cut.cols, 1
    while lanes > 1 and (lanes // 2) * cut.cols % 8 == 0:
        lanes //= 2
    cut.group = max(1, WIDE // max(1, cut.cols))
    if cut.group > lanes:
        cut.group -= cut.group % lanes
    cut.chunk = max(1, ceil_div(ceil_div(cut.rows, CHUNKS), ROWS * cut.group)) * ROWS * cut.group
    cut.chunks = ceil_div(cut.rows, cut.chunk)
    cut.tasks = cut.parts * cut.chunks
    return 0


cdef inline Py_ssize_t first_row(const Cut *cut, Py_ssize_t task) noexcept nogil:
    return task % cut.chunks * cut.chunk


cdef inline Py_ssize_t chunk_rows(const Cut *cut, Py_ssize_t task) noexcept nogil:
    return min(cut.chunk, cut.rows - first_row(cut, task))


cdef inline Py_ssize_t chunk_start(const Cut *cut, Py_ssize_t task) noexcept nogil:
    """The element with which a task's chunk begins."""
    return task // cut.chunks * cut.rows * cut.cols + first_row(cut, task) * cut.cols


cdef int check_vector(object a, str name, Py_ssize_t n) except -1:
    if not is_plain(a) or cnp.PyArray_TYPE(<cnp.ndarray>a) != cnp.NPY_DOUBLE or a.shape != (n,):
        raise ValueError(f"{name} must be {n} contiguous float64 elements")
    return 0


cdef void *room(size_t size) except NULL:
    cdef void *memory = malloc(size)
    if memory == NULL:
        raise MemoryError(f"no memory for {size} bytes of partial results")
    return memory


# ---- moments --------------------------------------------------------------------------------------------------


cdef void moments(double *sums, double *m2, const real *x, Py_ssize_t rows, Py_ssize_t width) noexcept nogil:
    """Moments of contiguous rows."""
    cdef double block[ROWS * WIDE]
    cdef double block_sums[WIDE]
    cdef double block_m2[WIDE]
    cdef Py_ssize_t i, j, r, c, n, w
    if real is double:
        fm64.moments_cols(sums, m2, x, rows, width, width)
    else:
        for i in range(ceil_div(rows, ROWS)):
            r = i * ROWS
            n = min(ROWS, rows - r)
            for j in range(ceil_div(width, WIDE)):
                c = j * WIDE
                w = min(WIDE, width - c)
                if w == width:
                    fm32.widen_rows(block, <float *>x + r * width, 1, n * w, 0)
                else:
                    fm32.widen_rows(block, <float *>x + r * width + c, n, w, width)
                fm64.moments_cols(block_sums, block_m2, block, n, w, w)
                fm64.moments_merge(sums + c, m2 + c, r, block_sums, block_m2, n, w)


cdef void gather(double *sums, double *m2, const real *x, Py_ssize_t rows, Py_ssize_t group,
                 Py_ssize_t width) noexcept nogil:
    """Moments of contiguous rows, `group` of them side by side."""
    cdef double wide_sums[WIDE]
    cdef double wide_m2[WIDE]
    cdef Py_ssize_t i, n = rows // group
    if group == 1:
        moments(sums, m2, x, rows, width)
        return
    if n:
        moments(wide_sums, wide_m2, x, n, group * width)
        for i in range(group):
            fm64.moments_merge(sums, m2, i * n, wide_sums + i * width, wide_m2 + i * width, n, width)
    if rows % group:
        moments(wide_sums, wide_m2, x + n * group * width, rows % group, width)
        fm64.moments_merge(sums, m2, n * group, wide_sums, wide_m2, rows % group, width)


cdef int all_moments(double *total, double *total_m2, const real *x, const Cut *cut) except -1:
    cdef Py_ssize_t p, k, width = cut.cols
    cdef double *sums = <double *>room(2 * cut.tasks * width * sizeof(double))
    cdef double *m2 = sums + cut.tasks * width
    cdef int me = caller(), threads = team(GATHER_COST * cut.parts * cut.rows * width)
    if threads > 1:
        with nogil, parallel(num_threads=threads):
            join_team(me)
            for k in prange(cut.tasks, schedule="static"):
                gather(sums + k * width, m2 + k * width, x + chunk_start(cut, k), chunk_rows(cut, k), cut.group, width)
    else:
        with nogil:
            for k in range(cut.tasks):
                gather(sums + k * width, m2 + k * width, x + chunk_start(cut, k), chunk_rows(cut, k), cut.group, width)
    team_done()
    for p in range(cut.parts):
        for k in range(p * cut.chunks, (p + 1) * cut.chunks):
            fm64.moments_merge(total + p * width, total_m2 + p * width, first_row(cut, k), sums + k * width,
                               m2 + k * width, chunk_rows(cut, k), width)
    free(sums)
    return 0


def column_moments(cnp.ndarray x):
    """(sum, m2) of every column, m2 the squared deviations from its mean; not finite where an element is not."""
    cdef Cut cut
    lay_out(&cut, x)
    cdef cnp.ndarray result = np.zeros((2, cut.parts * cut.cols))
    cdef double *total = <double *>cnp.PyArray_DATA(result)
    if cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT:
        all_moments(total, total + cut.parts * cut.cols, <const float *>cnp.PyArray_DATA(x), &cut)
    else:
        all_moments(total, total + cut.parts * cut.cols, <const double *>cnp.PyArray_DATA(x), &cut)
    return result[0], result[1]


# The moments of weighted elements, NaN left out. s: `width` weights' sums, then sums, then squared deviations.


cdef void weigh(double *s, const real *x, const double *weight, Py_ssize_t rows, Py_ssize_t width) noexcept nogil:
    """Two passes over a block in the first cache; a mean's rounding is taken from the squares."""
    cdef Py_ssize_t r, c
    cdef double w = 1, v
    cdef double *counts = s
    cdef double *sums = s + width
    cdef double *m2 = s + 2 * width
    cdef double *means = s + 3 * width
    cdef double *rests = s + 4 * width
    for c in range(5 * width):
        s[c] = 0
    for r in range(rows):
        if weight != NULL:
            w = weight[r]
        for c in range(width):
            v = x[r * width + c]
            if v == v:
                counts[c] += w
                sums[c] += w * v
    for c in range(width):
        means[c] = sums[c] / counts[c] if counts[c] != 0 else 0
    for r in range(rows):
        if weight != NULL:
            w = weight[r]
        for c in range(width):
            v = x[r * width + c] - means[c]
            if v == v:
                rests[c] += w * v
                m2[c] += w * v * v
    for c in range(width):
        if counts[c] != 0:
            m2[c] -= rests[c] * rests[c] / counts[c]


cdef void join(double *s, const double *b, Py_ssize_t width) noexcept nogil:
    """s takes the moments b in."""
    cdef Py_ssize_t c
    cdef double apart
    for c in range(width):
        if b[c] == 0:
            continue
        if s[c] == 0:
            s[2 * width + c] = b[2 * width + c]
        else:
            apart = b[width + c] / b[c] - s[width + c] / s[c]
            s[2 * width + c] += b[2 * width + c] + apart * apart * (s[c] * b[c] / (s[c] + b[c]))
        s[width + c] += b[width + c]
        s[c] += b[c]


cdef void weigh_chunk(double *s, const real *x, const double *weight, Py_ssize_t rows, Py_ssize_t width) noexcept nogil:
    """s: 8 width elements, of which the first three are the result."""
    cdef Py_ssize_t block, r, c
    for c in range(3 * width):
        s[c] = 0
    for block in range(ceil_div(rows, ROWS)):
        r = block * ROWS
        weigh(s + 3 * width, x + r * width, NULL if weight == NULL else weight + r, min(ROWS, rows - r), width)
        join(s, s + 3 * width, width)


cdef int all_weighted(double *total, const real *x, const double *weight, const Cut *cut) except -1:
    cdef Py_ssize_t p, c, k, width = cut.cols
    cdef double *sums = <double *>room((8 * cut.tasks + 3) * width * sizeof(double))
    cdef double *part = sums + 8 * cut.tasks * width
    cdef int me = caller(), threads = team(WEIGHTED_COST * cut.parts * cut.rows * width)
    with nogil, parallel(num_threads=threads):
        join_team(me)
        for k in prange(cut.tasks, schedule="static"):
            weigh_chunk(sums + 8 * k * width, x + chunk_start(cut, k),
                        NULL if weight == NULL else weight + first_row(cut, k), chunk_rows(cut, k), width)
    team_done()
    for p in range(cut.parts):
        for c in range(3 * width):
            part[c] = 0
        for k in range(p * cut.chunks, (p + 1) * cut.chunks):
            join(part, sums + 8 * k * width, width)
        for c in range(width):
            for k in range(3):
                total[k * cut.parts * width + p * width + c] = part[k * width + c]
    free(sums)
    return 0


def weighted_moments(cnp.ndarray x, cnp.ndarray weight):
    """(sum of weights, weighted sum, weighted m2) of every column's elements but NaN; weight: None or float64."""
    cdef Cut cut
    lay_out(&cut, x)
    cdef cnp.ndarray result = np.zeros((3, cut.parts * cut.cols))
    cdef double *total = <double *>cnp.PyArray_DATA(result)
    cdef const double *w = NULL
    if weight is not None:
        check_vector(weight, "weight", cut.rows)
        w = <const double *>cnp.PyArray_DATA(weight)
    if cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT:
        all_weighted(total, <const float *>cnp.PyArray_DATA(x), w, &cut)
    else:
        all_weighted(total, <const double *>cnp.PyArray_DATA(x), w, &cut)
    return result[0], result[1], result[2]


# ---- extremes -------------------------------------------------------------------------------------------------


cdef inline void extremes(real *low, real *high, const real *x, Py_ssize_t rows, Py_ssize_t width) noexcept nogil:
    if real is float:
        fm32.extremes_cols(low, high, x, rows, width, width)
    else:
        fm64.extremes_cols(low, high, x, rows, width, width)


cdef void widest(real *low, real *high, const real *x, Py_ssize_t rows, Py_ssize_t group,
                 Py_ssize_t width) noexcept nogil:
    """Extremes of contiguous rows, `group` of them side by side, join those in low and high."""
    cdef real lows[WIDE]
    cdef real highs[WIDE]
    cdef Py_ssize_t c, n = rows // group
    if group == 1:
        extremes(low, high, x, rows, width)
        return
    for c in range(width):
        low[c], high[c] = INFINITY, -INFINITY
    if n:
        extremes(lows, highs, x, n, group * width)
        for c in range(group * width):
            low[c % width] = min(low[c % width], lows[c])
            high[c % width] = max(high[c % width], highs[c])
    if rows % group:
        extremes(lows, highs, x + n * group * width, rows % group, width)
        for c in range(width):
            low[c], high[c] = min(low[c], lows[c]), max(high[c], highs[c])


cdef int all_extremes(real *total_low, real *total_high, const real *x, const Cut *cut) except -1:
    cdef Py_ssize_t p, c, k, width = cut.cols
    cdef real *low = <real *>room(2 * cut.tasks * width * sizeof(real))
    cdef real *high = low + cut.tasks * width
    cdef int me = caller(), threads = team(GATHER_COST * cut.parts * cut.rows * width)
    if threads > 1:
        with nogil, parallel(num_threads=threads):
            join_team(me)
            for k in prange(cut.tasks, schedule="static"):
                widest(low + k * width, high + k * width, x + chunk_start(cut, k), chunk_rows(cut, k), cut.group, width)
    else:
        with nogil:
            for k in range(cut.tasks):
                widest(low + k * width, high + k * width, x + chunk_start(cut, k), chunk_rows(cut, k), cut.group, width)
    team_done()
    for k in range(cut.tasks):
        p = k // cut.chunks * width
        for c in range(width):
            if k % cut.chunks == 0:
                total_low[p + c], total_high[p + c] = low[k * width + c], high[k * width + c]
            else:
                total_low[p + c] = min(total_low[p + c], low[k * width + c])
                total_high[p + c] = max(total_high[p + c], high[k * width + c])
    free(low)
    return 0


def column_extremes(cnp.ndarray x):
    """(least, greatest) element of every column but NaN, in x's dtype; inf and -inf where there is nothing else."""
    cdef Cut cut
    lay_out(&cut, x)
    cdef cnp.ndarray result = np.empty((2, cut.parts * cut.cols), x.dtype)
    cdef void *total = cnp.PyArray_DATA(result)
    if cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT:
        all_extremes(<float *>total, <float *>total + cut.parts * cut.cols, <const float *>cnp.PyArray_DATA(x), &cut)
    else:
        all_extremes(<double *>total, <double *>total + cut.parts * cut.cols, <const double *>cnp.PyArray_DATA(x), &cut)
    return result[0], result[1]


# ---- a new scale ----------------------------------------------------------------------------------------------


cdef struct Scale:
    double low, high
    bint undo, stream


cdef int scale_all(real *y, const real *x, const double *center, const double *scale, const Scale *how,
                   const Cut *cut) except -1:
    cdef Py_ssize_t k, p, i, period = cut.cols, size = period + VECTOR // sizeof(real)
    cdef real *table = <real *>room(3 * cut.parts * size * sizeof(real))
    cdef real *t = table
    cdef int bad = 0, me = caller(), threads = team(SCALE_COST * cut.parts * cut.rows * period)
    for p in range(cut.parts):
        for i in range(size):
            k = p * period + i % period
            t[i] = <real>center[k]
            t[size + i] = <real>(center[k] - t[i])
            t[2 * size + i] = <real>scale[k]
        t += 3 * size
    if threads > 1:
        with nogil, parallel(num_threads=threads):
            join_team(me)
            for k in prange(cut.tasks, schedule="static"):
                bad |= scale_chunk(y, x, table + k // cut.chunks * 3 * size, how, cut, k)
    else:
        with nogil:
            for k in range(cut.tasks):
                bad |= scale_chunk(y, x, table + k // cut.chunks * 3 * size, how, cut, k)
    team_done()
    free(table)
    return bad


cdef inline int scale_chunk(real *y, const real *x, const real *table, const Scale *how, const Cut *cut,
                            Py_ssize_t k) noexcept nogil:
    cdef Py_ssize_t i = chunk_start(cut, k), n = chunk_rows(cut, k) * cut.cols
    if real is float:
        return fm32.scale_elements(y + i, x + i, n, table, cut.cols, <float>how.low, <float>how.high, how.undo,
                                   how.stream)
    else:
        return fm64.scale_elements(y + i, x + i, n, table, cut.cols, how.low, how.high, how.undo, how.stream)


def rescale(cnp.ndarray y, cnp.ndarray x, cnp.ndarray center, cnp.ndarray scale, double low, double high, bint undo):
    """y = (x - center) / scale, or x scale + center to undo it, within low ... high; whether x is not all finite.

    y: laid out as x, or x itself; center, scale: one float64 number a column.
    """
    cdef Cut cut
    cdef Scale how
    lay_out(&cut, x)
    check_vector(center, "center", cut.parts * cut.cols)
    check_vector(scale, "scale", cut.parts * cut.cols)
    if (y.dtype != x.dtype or (<object>y).shape != (<object>x).shape or not y.flags.writeable
            or not (y.flags.c_contiguous if cut.parts == 1 else y.flags.f_contiguous)):
        raise ValueError(f"y must be writable and laid out as x, {x.dtype} of shape {(<object>x).shape}")
    how.low, how.high, how.undo = low, high, undo
    how.stream = y is not x and cnp.PyArray_NBYTES(x) > cache_bytes
    if cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT:
        return scale_all(<float *>cnp.PyArray_DATA(y), <const float *>cnp.PyArray_DATA(x),
                         <const double *>cnp.PyArray_DATA(center), <const double *>cnp.PyArray_DATA(scale), &how,
                         &cut) != 0
    return scale_all(<double *>cnp.PyArray_DATA(y), <const double *>cnp.PyArray_DATA(x),
                     <const double *>cnp.PyArray_DATA(center), <const double *>cnp.PyArray_DATA(scale), &how,
                     &cut) != 0


cdef int normalize_all(real *y, const real *x, int norm, double least, bint stream, const Cut *cut) except -1:
    cdef Py_ssize_t k
    cdef int bad = 0, me = caller(), threads = team(4 * SCALE_COST * cut.parts * cut.rows * cut.cols)
    with nogil, parallel(num_threads=threads):
        join_team(me)
        for k in prange(cut.tasks, schedule="static"):
            bad |= normalize_chunk(y, x, norm, least, stream, cut, k)
    team_done()
    return bad


cdef inline int normalize_chunk(real *y, const real *x, int norm, double least, bint stream, const Cut *cut,
                                Py_ssize_t k) noexcept nogil:
    cdef Py_ssize_t i = chunk_start(cut, k)
    cdef real *to = NULL if y == NULL else y + i
    if real is float:
        return fm32.normalize_rows(to, x + i, chunk_rows(cut, k), cut.cols, norm, <float>least, stream)
    else:
        return fm64.normalize_rows(to, x + i, chunk_rows(cut, k), cut.cols, norm, least, stream)


def normalize(y, cnp.ndarray x, int norm, double least):
    """Rows of x divided by their norm (1, 2, or 0 for the greatest) to y (None: nowhere); whether x is not all finite.

    x, y: in C order, y may be x itself. Norms less than `least` count as 1.
    """
    cdef Cut cut
    lay_out(&cut, x)
    if y is not None and (y.dtype != x.dtype or y.shape != (<object>x).shape or not y.flags.carray
                          or not x.flags.c_contiguous):
        raise ValueError(f"y must be C-contiguous, writable, {x.dtype} of shape {(<object>x).shape}")
    # A short row ends within a line of memory, which a store past the caches cannot share with the next.
    cdef bint stream = y is not x and cnp.PyArray_NBYTES(x) > cache_bytes and cut.cols >= 512
    cdef void *to = NULL if y is None else cnp.PyArray_DATA(<cnp.ndarray>y)
    if cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT:
        return normalize_all(<float *>to, <const float *>cnp.PyArray_DATA(x), norm, least, stream, &cut) != 0
    return normalize_all(<double *>to, <const double *>cnp.PyArray_DATA(x), norm, least, stream, &cut) != 0
