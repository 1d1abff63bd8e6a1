"""Scalers' passes over a matrix of samples (rows) and features: what is gathered from it, and its new scale.

Matrices come checked: float32 or float64, 2-D, contiguous in C or Fortran order. One in Fortran order is as many
matrices of one column ("parts"), one after the other. A part is cut into at most CHUNKS chunks of rows by the shape
alone, each with its results in a place of its own, joined at once: no bit depends on the threads. Narrow rows are
taken `group` at a time as one row of about WIDE columns, whose results are joined as those of further chunks.

float32 is summed in float64, a block at a time, widened into the first cache. Sums are those of x - origin, the first
number of each column, so that a mean of 1e9 costs a spread of 1e-6 no digit. NaN is not looked for in the pass for
moments: it shows in the sums, and the pass for weighted ones counts per column.
"""

import numpy as np
from cython.parallel import parallel, prange

cimport numpy as cnp
from libc.math cimport INFINITY, NAN
from libc.stdlib cimport free, malloc

from .._check cimport is_plain, is_real
from .._environment cimport FM_FULL, fm_scope, fm_switch
from .._openmp cimport caller, join_team, leave_team, team, team_done
from .._simd cimport cache_bytes, fm32, fm64, fm_origin, fm_tally, fm_tally_add, fm_tally_sum

cnp.import_array()

cdef enum:
    CHUNKS = 32
    ELEMENTS = 16384  # at least about as many in a chunk
    ROWS = 64    # of a block
    WIDE = 48    # columns of a block
    VECTOR = 64  # bytes

# What is gathered, three numbers a column: (weights, mean, m2) or (least, greatest, nothing). Until all is joined, the
# sum of x - origin takes the mean's place.
cdef enum:
    MOMENTS
    WEIGHTED
    EXTREMES

# Nanoseconds an element on one thread.
cdef double GATHER_COST = 0.2
cdef double WEIGHTED_COST = 2
cdef double SCALE_COST = 0.15
cdef double NORMALIZE_COST = 0.5


cdef struct Cut:
    bint wide                   # float64
    Py_ssize_t size             # bytes of an element
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
    cut.wide = cnp.PyArray_TYPE(x) == cnp.NPY_DOUBLE
    cut.size = cnp.PyArray_ITEMSIZE(x)
    cut.parts, cut.rows, cut.cols = 1, cnp.PyArray_DIM(x, 0), cnp.PyArray_DIM(x, 1)
    if not x.flags.c_contiguous:
        cut.parts, cut.cols = cut.cols, 1
    while lanes > 1 and (lanes // 2) * cut.cols % 8 == 0:
        lanes //= 2
    cut.group = max(1, WIDE // max(1, cut.cols))
    if cut.group > lanes:
        cut.group -= cut.group % lanes
    cut.chunk = max(ceil_div(cut.rows, CHUNKS), ELEMENTS // max(1, cut.cols), 1)
    cut.chunk = ceil_div(cut.chunk, ROWS * cut.group) * ROWS * cut.group
    cut.chunks = ceil_div(cut.rows, cut.chunk)
    cut.tasks = cut.parts * cut.chunks
    return 0


cdef inline Py_ssize_t first_row(const Cut *cut, Py_ssize_t task) noexcept nogil:
    return task % cut.chunks * cut.chunk


cdef inline Py_ssize_t chunk_rows(const Cut *cut, Py_ssize_t task) noexcept nogil:
    return min(cut.chunk, cut.rows - first_row(cut, task))


cdef inline Py_ssize_t chunk_start(const Cut *cut, Py_ssize_t task) noexcept nogil:
    """The byte with which a task's chunk begins."""
    return (task // cut.chunks * cut.rows + first_row(cut, task)) * cut.cols * cut.size


cdef int check_vector(object a, str name, Py_ssize_t n) except -1:
    if not is_plain(a) or cnp.PyArray_TYPE(<cnp.ndarray>a) != cnp.NPY_DOUBLE or a.shape != (n,):
        raise ValueError(f"{name} must be {n} contiguous float64 elements")
    return 0


cdef void *room(size_t size) except NULL:
    cdef void *memory = malloc(size)
    if memory == NULL:
        raise MemoryError(f"no memory for {size} bytes of partial results")
    return memory


# ---- what is gathered -----------------------------------------------------------------------------------------
# s: the three numbers of each of `width` columns, one kind after the other, `stride` apart.


cdef void clear(int kind, double *s, Py_ssize_t stride, Py_ssize_t width) noexcept nogil:
    cdef Py_ssize_t c
    for c in range(width):
        s[c] = INFINITY if kind == EXTREMES else 0
        s[stride + c] = -INFINITY if kind == EXTREMES else 0
        s[2 * stride + c] = 0


cdef void join(int kind, double *s, Py_ssize_t stride, const double *b, Py_ssize_t b_stride,
               Py_ssize_t width) noexcept nogil:
    """s takes b in: updating formulae of Chan, Golub and LeVeque."""
    cdef Py_ssize_t c
    cdef double apart, n, m
    for c in range(width):
        n, m = s[c], b[c]
        if kind == EXTREMES:
            s[c], s[stride + c] = min(n, m), max(s[stride + c], b[b_stride + c])
            continue
        if m == 0:
            continue
        if n != 0:
            apart = b[b_stride + c] / m - s[stride + c] / n
            s[2 * stride + c] += apart * apart * (n * m / (n + m))
        s[2 * stride + c] += b[2 * b_stride + c]
        s[stride + c] += b[b_stride + c]
        s[c] = n + m


cdef void join_all(int kind, double *s, Py_ssize_t stride, Py_ssize_t step, Py_ssize_t count,
                   Py_ssize_t width) noexcept nogil:
    """s takes in the count - 1 others, `step` apart from each other: by the mean of all, and without roundings that pile
    up."""
    cdef Py_ssize_t c, k
    cdef double mean, apart
    cdef double *b
    cdef fm_tally n, total, m2
    if kind == EXTREMES:
        for k in range(1, count):
            join(kind, s, stride, s + k * step, stride, width)
        return
    for c in range(width):
        n = total = m2 = fm_tally(0, 0)
        for k in range(count):
            b = s + k * step + c
            fm_tally_add(&n, b[0])
            fm_tally_add(&total, b[stride])
        mean = fm_tally_sum(&total) / fm_tally_sum(&n)
        for k in range(count):
            b = s + k * step + c
            if b[0] != 0:
                apart = b[stride] / b[0] - mean
                fm_tally_add(&m2, b[2 * stride])
                fm_tally_add(&m2, apart * apart * b[0])
        s[c], s[stride + c], s[2 * stride + c] = fm_tally_sum(&n), fm_tally_sum(&total), fm_tally_sum(&m2)


cdef void weigh(double *s, const double *x, const double *origin, Py_ssize_t x_stride, const double *weight,
                Py_ssize_t first, Py_ssize_t rows, Py_ssize_t width) noexcept nogil:
    """Moments of a block in the first cache, NaN left out, in two passes; a mean's rounding is taken from the squares.

    s: room for five numbers a column, WIDE apart; first: the block's first row among the weights, or weight is NULL.
    """
    cdef Py_ssize_t r, c
    cdef double w = 1, v
    for c in range(5 * WIDE):
        s[c] = 0
    for r in range(rows):
        if weight != NULL:
            w = weight[first + r]
        for c in range(width):
            v = x[r * x_stride + c] - origin[c]
            if v == v:
                s[c] += w
                s[WIDE + c] += w * v
    for c in range(width):
        s[3 * WIDE + c] = s[WIDE + c] / s[c] if s[c] != 0 else 0
    for r in range(rows):
        if weight != NULL:
            w = weight[first + r]
        for c in range(width):
            v = x[r * x_stride + c] - origin[c] - s[3 * WIDE + c]
            if v == v:
                s[4 * WIDE + c] += w * v
                s[2 * WIDE + c] += w * v * v
    for c in range(width):
        if s[c] != 0:
            s[2 * WIDE + c] -= s[4 * WIDE + c] * s[4 * WIDE + c] / s[c]


cdef void gather_rows(int kind, double *s, const char *x, bint wide, const double *origin, const double *weight,
                      Py_ssize_t rows, Py_ssize_t width) noexcept nogil:
    """Contiguous rows, in blocks of WIDE columns, and of ROWS where more than one look is taken at each; origin: of
    each column (not for EXTREMES)."""
    cdef double block[ROWS * WIDE]
    cdef double b[5 * WIDE]
    cdef float f[2 * WIDE]
    cdef const double *d
    cdef Py_ssize_t i, j, r, c, k, n, w, stride, step = rows if kind == EXTREMES else ROWS
    clear(kind, s, width, width)
    for i in range(ceil_div(rows, max(1, step))):
        r = i * step
        n = min(step, rows - r)
        for j in range(ceil_div(width, WIDE)):
            c = j * WIDE
            w = min(WIDE, width - c)
            d, stride = <const double *>x + r * width + c, width
            if not wide and kind == EXTREMES:
                fm32.extremes_cols(f, f + WIDE, <const float *>x + r * width + c, n, width, w)
                for k in range(w):
                    b[k], b[WIDE + k] = f[k], f[WIDE + k]
            elif not wide:
                d, stride = block, w
                if w == width:
                    fm32.widen_rows(block, <const float *>x + r * width, 1, n * w, 0)
                else:
                    fm32.widen_rows(block, <const float *>x + r * width + c, n, w, width)
            if kind == MOMENTS:
                fm64.moments_cols(b, b + WIDE, d, origin + c, n, stride, w)
                fm64.moments_merge(s + width + c, s + 2 * width + c, r, b, b + WIDE, n, w)
                continue
            if kind == WEIGHTED:
                weigh(b, d, origin + c, stride, weight, r, n, w)
            elif wide:
                fm64.extremes_cols(b, b + WIDE, d, n, stride, w)
            join(kind, s + c, width, b, WIDE, w)
    if kind == MOMENTS:
        for c in range(width):
            s[c] = rows


cdef void gather_chunk(int kind, double *s, const char *x, const double *origins, const double *weight,
                       const Cut *cut, Py_ssize_t task) noexcept nogil:
    cdef double wide[3 * WIDE]
    cdef double origin[WIDE]
    cdef Py_ssize_t i, rows = chunk_rows(cut, task), width = cut.cols, group = cut.group
    x += chunk_start(cut, task)
    origins += task // cut.chunks * width
    if weight != NULL:
        weight += first_row(cut, task)
    if group == 1 or kind == WEIGHTED:
        gather_rows(kind, s, x, cut.wide, origins, weight, rows, width)
        return
    clear(kind, s, width, width)
    for i in range(group * width):
        origin[i] = origins[i % width]
    gather_rows(kind, wide, x, cut.wide, origin, NULL, rows // group, group * width)
    join_all(kind, wide, group * width, width, group, width)
    join(kind, s, width, wide, group * width, width)
    gather_rows(kind, wide, x + (rows - rows % group) * width * cut.size, cut.wide, origin, NULL, rows % group, width)
    join(kind, s, width, wide, width, width)


cdef double finite_from(const char *x, const Cut *cut, Py_ssize_t start, Py_ssize_t steps, Py_ssize_t step) noexcept nogil:
    """The first finite number of `steps` from element `start` on, NaN where there is none."""
    cdef Py_ssize_t k
    cdef double v
    for k in range(steps):
        v = (<const double *>x)[start + k * step] if cut.wide else (<const float *>x)[start + k * step]
        if v - v == 0:
            return v
    return NAN


cdef void find_origins(double *origin, const char *x, const Cut *cut) noexcept nogil:
    """By the finite numbers of every column at both ends and in the middle."""
    cdef Py_ssize_t part, c, top, half = cut.rows // 2
    cdef double middle, last
    for part in range(cut.parts):
        for c in range(cut.cols):
            top = part * cut.rows * cut.cols + c
            last = finite_from(x, cut, top + (cut.rows - 1) * cut.cols, cut.rows, -cut.cols)
            middle = finite_from(x, cut, top + half * cut.cols, cut.rows - half, cut.cols)
            origin[part * cut.cols + c] = fm_origin(finite_from(x, cut, top, cut.rows, cut.cols),
                                                    middle if middle == middle else last, last)


def gather(cnp.ndarray x, int kind, weight):
    """(3, columns) numbers of float64, of what an enumeration above lists; weight: None or float64 (WEIGHTED only)."""
    cdef fm_scope _scope = fm_switch(FM_FULL)
    cdef Cut cut
    cdef cnp.ndarray result
    cdef double *s
    cdef double *origin
    cdef double *total
    cdef const char *data
    cdef const double *w = NULL
    cdef Py_ssize_t k, width, columns
    cdef int threads, me = caller()
    lay_out(&cut, x)
    if weight is not None:
        check_vector(weight, "weight", cut.rows)
        w = <const double *>cnp.PyArray_DATA(<cnp.ndarray>weight)
    width, columns = cut.cols, cut.parts * cut.cols
    result = np.empty((3, columns))
    total = <double *>cnp.PyArray_DATA(result)
    data = cnp.PyArray_BYTES(x)
    s = <double *>room((max(1, cut.tasks) * 3 * width + columns) * sizeof(double))
    origin = s + cut.tasks * 3 * width
    threads = team((WEIGHTED_COST if kind == WEIGHTED else GATHER_COST) * columns * cut.rows)
    with nogil:
        if kind != EXTREMES:
            find_origins(origin, data, &cut)
        if threads > 1:
            with parallel(num_threads=threads):
                join_team(me)
                for k in prange(cut.tasks, schedule="static"):
                    gather_chunk(kind, s + 3 * k * width, data, origin, w, &cut, k)
                leave_team()
        else:
            for k in range(cut.tasks):
                gather_chunk(kind, s + 3 * k * width, data, origin, w, &cut, k)
        team_done()
        clear(kind, total, columns, columns)
        for k in range(cut.parts if cut.tasks else 0):
            join_all(kind, s + 3 * k * cut.chunks * width, width, 3 * width, cut.chunks, width)
            join(kind, total + k * width, columns, s + 3 * k * cut.chunks * width, width, width)
        for k in range(columns if kind != EXTREMES else 0):
            total[columns + k] = origin[k] + total[columns + k] / total[k]
        free(s)
    return result


# ---- a new scale ----------------------------------------------------------------------------------------------


cdef struct Scale:
    char *y
    const char *x
    char *table              # of a part: center, rest, scale, each of `period` elements
    Py_ssize_t period
    double low, high, least
    int norm                 # -1: by the table
    bint undo, stream


cdef int scale_chunk(const Scale *how, const Cut *cut, Py_ssize_t k) noexcept nogil:
    """Whether something in the chunk is not finite."""
    cdef Py_ssize_t i = chunk_start(cut, k), rows = chunk_rows(cut, k), n = rows * cut.cols
    cdef const char *table = how.table + k // cut.chunks * 3 * how.period * cut.size
    cdef char *y = NULL if how.y == NULL else how.y + i
    cdef const char *x = how.x + i
    if how.norm >= 0:
        if cut.wide:
            return fm64.normalize_rows(<double *>y, <const double *>x, rows, cut.cols, how.norm, how.least)
        return fm32.normalize_rows(<float *>y, <const float *>x, rows, cut.cols, how.norm, <float>how.least)
    if cut.wide:
        return fm64.scale_elements(<double *>y, <const double *>x, n, <const double *>table, cut.cols, how.low,
                                   how.high, how.undo, how.stream)
    return fm32.scale_elements(<float *>y, <const float *>x, n, <const float *>table, cut.cols, <float>how.low,
                               <float>how.high, how.undo, how.stream)


cdef bint scale_all(const Scale *how, const Cut *cut) noexcept nogil:
    cdef Py_ssize_t k
    cdef int bad = 0, me = caller()
    cdef int threads = team((SCALE_COST if how.norm < 0 else NORMALIZE_COST) * cut.parts * cut.rows * cut.cols)
    if threads > 1:
        with parallel(num_threads=threads):
            join_team(me)
            for k in prange(cut.tasks, schedule="static"):
                bad |= scale_chunk(how, cut, k)
            leave_team()
    else:
        for k in range(cut.tasks):
            bad |= scale_chunk(how, cut, k)
    team_done()
    return bad != 0


cdef int begin(Scale *how, Cut *cut, object y, cnp.ndarray x) except -1:
    lay_out(cut, x)
    if y is not None and (y.dtype != x.dtype or y.shape != (<object>x).shape or not y.flags.writeable
                          or not (y.flags.c_contiguous if cut.parts == 1 else y.flags.f_contiguous)):
        raise ValueError(f"y must be writable and laid out as x, {x.dtype} of shape {(<object>x).shape}")
    how.y = NULL if y is None else cnp.PyArray_BYTES(<cnp.ndarray>y)
    how.x = cnp.PyArray_BYTES(x)
    how.stream = y is not x and <size_t>cnp.PyArray_NBYTES(x) > cache_bytes
    how.table = NULL
    how.norm = -1
    return 0


def rescale(cnp.ndarray y, cnp.ndarray x, cnp.ndarray center, cnp.ndarray scale, double low, double high, bint undo):
    """y = (x - center) / scale, or x scale + center to undo it, within low ... high; whether x is not all finite.

    y: laid out as x, or x itself; center, scale: one float64 number a column.
    """
    cdef fm_scope _scope = fm_switch(FM_FULL)
    cdef Cut cut
    cdef Scale how
    cdef Py_ssize_t p, i, k
    cdef double c
    cdef char *t
    begin(&how, &cut, y, x)
    check_vector(center, "center", cut.parts * cut.cols)
    check_vector(scale, "scale", cut.parts * cut.cols)
    how.low, how.high, how.undo = low, high, undo
    how.period = cut.cols + VECTOR // cut.size
    how.table = t = <char *>room(3 * cut.parts * how.period * cut.size)
    for p in range(cut.parts):
        for i in range(how.period):
            k = p * cut.cols + i % cut.cols
            c = (<double *>cnp.PyArray_DATA(center))[k]
            if cut.wide:
                (<double *>t)[i] = c
                (<double *>t)[how.period + i] = 0
                (<double *>t)[2 * how.period + i] = (<double *>cnp.PyArray_DATA(scale))[k]
            else:
                (<float *>t)[i] = <float>c
                (<float *>t)[how.period + i] = <float>(c - (<float *>t)[i])
                (<float *>t)[2 * how.period + i] = <float>(<double *>cnp.PyArray_DATA(scale))[k]
        t += 3 * how.period * cut.size
    with nogil:
        undo = scale_all(&how, &cut)
        free(how.table)
    return undo


def normalize(y, cnp.ndarray x, int norm, double least):
    """Rows of x divided by their norm (1, 2, or 0 for the greatest) to y (None: nowhere); whether x is not all finite.

    x, y: in C order (x in either where there is no y); y may be x itself. Norms less than `least` count as 1.
    """
    cdef fm_scope _scope = fm_switch(FM_FULL)
    cdef Cut cut
    cdef Scale how
    cdef bint bad
    begin(&how, &cut, y, x)
    if y is not None and cut.parts > 1:
        raise ValueError("x must be C-contiguous")
    how.norm, how.least = norm, least
    with nogil:
        bad = scale_all(&how, &cut)
    return bad
