"""One pass over a matrix of samples and features: what it gathers from every column. columns.pxd says how it is cut.

Narrow rows are taken `group` at a time as one row of about BLOCK_COLUMNS columns, whose results are joined as those of
further chunks. float32 is summed in float64, a block at a time, widened into the first cache. Sums are those of
x - origin, so that a mean of 1e9 costs a spread of 1e-6 no digit. NaN is not looked for in the pass for moments: it
shows in the sums. The pass for weighted ones counts per column.
"""

import numpy as np
from cython.parallel import parallel

from .. cimport _numpy as cnp
from libc.math cimport INFINITY, NAN

from .. import _columns

from .._check cimport ceil_div, is_plain, is_real
from .._environment cimport FM_FULL, fm_scope, fm_switch
from .._memory cimport free_lines, lines
from .._openmp cimport fm_work, join_team, leave_team, next_block, share_work, team, team_done
from .._simd cimport element, fm_origin, fm_tally, fm_tally_add, fm_tally_sum, table_of

cnp.import_array()

cdef enum:
    CHUNKS = 32                # of a part, at most
    CHUNK_ELEMENTS = 16384     # a chunk has at least about as many
    BLOCK_ROWS = 64
    BLOCK_COLUMNS = 48

# What is gathered, three numbers a column: (weights, mean, m2) or (least, greatest, nothing). Until all is joined, the
# sum of x - origin takes the mean's place.
cdef enum:
    MOMENTS
    WEIGHTED
    EXTREMES

# Nanoseconds an element on one thread.
cdef double GATHER_COST = 0.2
cdef double WEIGHTED_COST = 2


cdef int lay_out(Columns *cut, cnp.ndarray x) except -1:
    cdef Py_ssize_t lanes = 8
    if cnp.PyArray_NDIM(x) != 2 or not is_real(x) or not x.flags.forc or not x.flags.aligned:
        _columns.refuse_matrix(x)
    cut.size = cnp.PyArray_ITEMSIZE(x)
    cut.parts, cut.rows, cut.cols = 1, cnp.PyArray_DIM(x, 0), cnp.PyArray_DIM(x, 1)
    if not x.flags.c_contiguous:
        cut.parts, cut.cols = cut.cols, 1
    while lanes > 1 and (lanes // 2) * cut.cols % 8 == 0:
        lanes //= 2
    cut.group = max(1, BLOCK_COLUMNS // max(1, cut.cols))
    if cut.group > lanes:
        cut.group -= cut.group % lanes
    cut.chunk = max(ceil_div(cut.rows, CHUNKS), CHUNK_ELEMENTS // max(1, cut.cols), 1)
    cut.chunk = ceil_div(cut.chunk, BLOCK_ROWS * cut.group) * BLOCK_ROWS * cut.group
    cut.chunks = ceil_div(cut.rows, cut.chunk)
    cut.all_chunks = cut.parts * cut.chunks
    return 0


cdef int check_vector(object a, str name, Py_ssize_t n) except -1:
    if not is_plain(a) or cnp.PyArray_TYPE(<cnp.ndarray>a) != cnp.NPY_DOUBLE or a.shape != (n,):
        _columns.refuse_vector(name, n)
    return 0


cdef void *room(size_t bytes) except NULL:
    cdef void *memory = lines(bytes)
    if memory == NULL:
        raise MemoryError(f"no memory for {bytes} bytes of partial results")
    return memory


# ---- joining --------------------------------------------------------------------------------------------------
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
    """s takes in the count - 1 others, `step` apart from each other: by the mean of all, and without roundings that
    pile up."""
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

    s: room for five numbers a column, BLOCK_COLUMNS apart; first: the block's first row among the weights, or weight is
    NULL.
    """
    cdef Py_ssize_t r, c
    cdef double w = 1, v
    for c in range(5 * BLOCK_COLUMNS):
        s[c] = 0
    for r in range(rows):
        if weight != NULL:
            w = weight[first + r]
        for c in range(width):
            v = x[r * x_stride + c] - origin[c]
            if v == v:
                s[c] += w
                s[BLOCK_COLUMNS + c] += w * v
    for c in range(width):
        s[3 * BLOCK_COLUMNS + c] = s[BLOCK_COLUMNS + c] / s[c] if s[c] != 0 else 0
    for r in range(rows):
        if weight != NULL:
            w = weight[first + r]
        for c in range(width):
            v = x[r * x_stride + c] - origin[c] - s[3 * BLOCK_COLUMNS + c]
            if v == v:
                s[4 * BLOCK_COLUMNS + c] += w * v
                s[2 * BLOCK_COLUMNS + c] += w * v * v
    for c in range(width):
        if s[c] != 0:
            s[2 * BLOCK_COLUMNS + c] -= s[4 * BLOCK_COLUMNS + c] * s[4 * BLOCK_COLUMNS + c] / s[c]


# ---- gathering ------------------------------------------------------------------------------------------------


cdef void gather_rows(int kind, double *s, void *x, size_t size, const double *origin, const double *weight,
                      Py_ssize_t rows, Py_ssize_t width) noexcept nogil:
    """Contiguous rows, in blocks of BLOCK_COLUMNS columns, and of BLOCK_ROWS rows where more than one look is taken at
    each; origin: of each column (not for EXTREMES)."""
    cdef double block[BLOCK_ROWS * BLOCK_COLUMNS]
    cdef double b[5 * BLOCK_COLUMNS]
    cdef const double *d
    cdef void *at
    cdef Py_ssize_t i, j, r, c, n, w, stride, step = rows if kind == EXTREMES else BLOCK_ROWS
    clear(kind, s, width, width)
    for i in range(ceil_div(rows, max(1, step))):
        r = i * step
        n = min(step, rows - r)
        for j in range(ceil_div(width, BLOCK_COLUMNS)):
            c = j * BLOCK_COLUMNS
            w = min(<Py_ssize_t>BLOCK_COLUMNS, width - c)
            at = element(x, r * width + c, size)
            if kind == EXTREMES:
                table_of(size).extremes_cols(block, element(block, w, size), at, n, width, w)
                table_of(size).widen_rows(b, block, 1, 2 * w, 2 * w)
                join(kind, s + c, width, b, w, w)
                continue
            d, stride = <const double *>at, width
            if size == sizeof(float):
                d, stride = block, w
                if w == width:
                    table_of(size).widen_rows(block, at, 1, n * w, 0)
                else:
                    table_of(size).widen_rows(block, at, n, w, width)
            if kind == MOMENTS:
                table_of(sizeof(double)).moments_cols(b, b + BLOCK_COLUMNS, d, origin + c, n, stride, w)
                table_of(sizeof(double)).moments_merge(s + width + c, s + 2 * width + c, r, b, b + BLOCK_COLUMNS, n, w)
            else:
                weigh(b, d, origin + c, stride, weight, r, n, w)
                join(kind, s + c, width, b, BLOCK_COLUMNS, w)
    if kind == MOMENTS:
        for c in range(width):
            s[c] = rows


cdef void gather_chunk(int kind, double *s, char *x, const double *origins, const double *weight,
                       const Columns *cut, Py_ssize_t k) noexcept nogil:
    cdef double wide[3 * BLOCK_COLUMNS]
    cdef double origin[BLOCK_COLUMNS]
    cdef Py_ssize_t i, rows = chunk_rows(cut, k), width = cut.cols, group = cut.group
    x += chunk_start(cut, k)
    origins += k // cut.chunks * width
    if weight != NULL:
        weight += first_row(cut, k)
    if group == 1 or kind == WEIGHTED:
        gather_rows(kind, s, x, cut.size, origins, weight, rows, width)
        return
    clear(kind, s, width, width)
    for i in range(group * width):
        origin[i] = origins[i % width]
    gather_rows(kind, wide, x, cut.size, origin, NULL, rows // group, group * width)
    join_all(kind, wide, group * width, width, group, width)
    join(kind, s, width, wide, group * width, width)
    gather_rows(kind, wide, x + (rows - rows % group) * width * cut.size, cut.size, origin, NULL, rows % group, width)
    join(kind, s, width, wide, width, width)


cdef double finite_from(const char *x, const Columns *cut, Py_ssize_t start, Py_ssize_t steps,
                        Py_ssize_t step) noexcept nogil:
    """The first finite number of `steps` from element `start` on, NaN where there is none."""
    cdef Py_ssize_t k
    cdef double v
    for k in range(steps):
        if cut.size == sizeof(float):
            v = (<const float *>x)[start + k * step]
        else:
            v = (<const double *>x)[start + k * step]
        if v - v == 0:
            return v
    return NAN


cdef void find_origins(double *origin, const char *x, const Columns *cut) noexcept nogil:
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
    cdef fm_work work
    cdef fm_scope _scope = fm_switch(FM_FULL)
    cdef Columns cut
    cdef cnp.ndarray result
    cdef double *s
    cdef double *origin
    cdef double *total
    cdef char *data
    cdef const double *w = NULL
    cdef Py_ssize_t k = 0, width, columns
    cdef int threads
    lay_out(&cut, x)
    if weight is not None:
        check_vector(weight, "weight", cut.rows)
        w = <const double *>cnp.PyArray_DATA(<cnp.ndarray>weight)
    width, columns = cut.cols, cut.parts * cut.cols
    result = np.empty((3, columns))
    total = <double *>cnp.PyArray_DATA(result)
    data = cnp.PyArray_BYTES(x)
    s = <double *>room((max(1, cut.all_chunks) * 3 * width + columns) * sizeof(double))
    origin = s + cut.all_chunks * 3 * width
    threads = team((WEIGHTED_COST if kind == WEIGHTED else GATHER_COST) * columns * cut.rows)
    with nogil:
        if kind != EXTREMES:
            find_origins(origin, data, &cut)
        if threads > 1:
            share_work(&work, cut.all_chunks, threads)
            with parallel(num_threads=threads):
                k = join_team(&work)
                while k >= 0:
                    gather_chunk(kind, s + 3 * k * width, data, origin, w, &cut, k)
                    k = next_block(&work)
                leave_team()
        else:
            for k in range(cut.all_chunks):
                gather_chunk(kind, s + 3 * k * width, data, origin, w, &cut, k)
        team_done()
        clear(kind, total, columns, columns)
        for k in range(cut.parts if cut.all_chunks else 0):
            join_all(kind, s + 3 * k * cut.chunks * width, width, 3 * width, cut.chunks, width)
            join(kind, total + k * width, columns, s + 3 * k * cut.chunks * width, width, width)
        for k in range(columns if kind != EXTREMES else 0):
            total[columns + k] = origin[k] + total[columns + k] / total[k]
        free_lines(s)
    return result
