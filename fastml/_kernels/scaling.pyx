"""A new scale for a matrix of samples and features: by a table of its columns, or by the norms of its rows."""

from cython.parallel import parallel

from .. cimport _numpy as cnp

from .. import _columns

from .._environment cimport FM_FULL, fm_scope, fm_switch
from .._memory cimport free_lines
from .._openmp cimport fm_add, fm_work, join_team, leave_team, next_block, share_work, team, team_done
from .._simd cimport cache_bytes, table_of
from .columns cimport Columns, check_vector, chunk_rows, chunk_start, lay_out, room

cnp.import_array()

ctypedef fused real:
    float
    double

cdef enum:
    VECTOR_BYTES = 64

# Nanoseconds an element on one thread.
cdef double SCALE_COST = 0.15
cdef double NORMALIZE_COST = 0.5


cdef struct Scale:
    char *y
    const char *x
    char *table              # of a part: center, rest, scale, each of `period` elements
    Py_ssize_t period
    double low, high, least
    int norm                 # -1: by the table
    bint undo, stream


cdef int scale_chunk(const Scale *how, const Columns *cut, Py_ssize_t k) noexcept nogil:
    """Whether something in the chunk is not finite."""
    cdef Py_ssize_t i = chunk_start(cut, k), rows = chunk_rows(cut, k)
    cdef char *y = NULL if how.y == NULL else how.y + i
    cdef const char *x = how.x + i
    if how.norm >= 0:
        return table_of(cut.size).normalize_rows(y, x, rows, cut.cols, how.norm, how.least)
    return table_of(cut.size).scale_elements(
        y, x, rows * cut.cols, how.table + k // cut.chunks * 3 * how.period * <Py_ssize_t>cut.size, cut.cols, how.low,
        how.high, how.undo, how.stream)


cdef bint scale_all(const Scale *how, const Columns *cut) noexcept nogil:
    cdef fm_work work
    cdef Py_ssize_t k = 0
    cdef Py_ssize_t bad = 0
    cdef int threads = team((SCALE_COST if how.norm < 0 else NORMALIZE_COST) * cut.parts * cut.rows * cut.cols)
    if threads > 1:
        share_work(&work, cut.all_chunks, threads)
        with parallel(num_threads=threads):
            k = join_team(&work)
            while k >= 0:
                fm_add(&bad, scale_chunk(how, cut, k))
                k = next_block(&work)
            leave_team()
    else:
        for k in range(cut.all_chunks):
            bad |= scale_chunk(how, cut, k)
    team_done()
    return bad != 0


cdef int begin(Scale *how, Columns *cut, object y, cnp.ndarray x) except -1:
    lay_out(cut, x)
    if y is not None and (y.dtype != x.dtype or y.shape != (<object>x).shape or not y.flags.writeable
                          or not (y.flags.c_contiguous if cut.parts == 1 else y.flags.f_contiguous)):
        _columns.refuse_result(x)
    how.y = NULL if y is None else cnp.PyArray_BYTES(<cnp.ndarray>y)
    how.x = cnp.PyArray_BYTES(x)
    how.stream = y is not x and <size_t>cnp.PyArray_NBYTES(x) > cache_bytes
    how.table = NULL
    how.norm = -1
    return 0


cdef void fill_table(real *table, const double *center, const double *scale, const Scale *how,
                     Py_ssize_t cols) noexcept:
    """The table of one part; rest: what rounding to real takes from the center."""
    cdef Py_ssize_t i
    for i in range(how.period):
        table[i] = <real>center[i % cols]
        table[how.period + i] = 0 if real is double else <real>(center[i % cols] - table[i])
        table[2 * how.period + i] = <real>scale[i % cols]


def all_within(double low, double high, *vectors):
    """Whether every number of these vectors of float64 lies in low ... high; NaN does not."""
    cdef const double *v
    cdef Py_ssize_t i, n
    for a in vectors:
        n = len(a)
        check_vector(a, "a vector", n)
        v = <const double *>cnp.PyArray_DATA(<cnp.ndarray>a)
        for i in range(n):
            if not low <= v[i] <= high:
                return False
    return True


def rescale(cnp.ndarray y, cnp.ndarray x, cnp.ndarray center, cnp.ndarray scale, double low, double high, bint undo):
    """y = (x - center) / scale, or x scale + center to undo it, within low ... high; whether x is not all finite.

    y: laid out as x, or x itself; center, scale: one float64 number a column.
    """
    cdef fm_scope _scope = fm_switch(FM_FULL)
    cdef Columns cut
    cdef Scale how
    cdef Py_ssize_t p, i
    cdef char *t
    begin(&how, &cut, y, x)
    check_vector(center, "center", cut.parts * cut.cols)
    check_vector(scale, "scale", cut.parts * cut.cols)
    how.low, how.high, how.undo = low, high, undo
    how.period = cut.cols + VECTOR_BYTES // cut.size
    how.table = t = <char *>room(3 * cut.parts * how.period * cut.size)
    for p in range(cut.parts):
        i = p * cut.cols
        if cut.size == sizeof(float):
            fill_table(<float *>t, <double *>cnp.PyArray_DATA(center) + i, <double *>cnp.PyArray_DATA(scale) + i, &how,
                       cut.cols)
        else:
            fill_table(<double *>t, <double *>cnp.PyArray_DATA(center) + i, <double *>cnp.PyArray_DATA(scale) + i, &how,
                       cut.cols)
        t += 3 * how.period * cut.size
    with nogil:
        undo = scale_all(&how, &cut)
        free_lines(how.table)
    return undo


def normalize(y, cnp.ndarray x, int norm, double least):
    """Rows of x divided by their norm (1, 2, or 0 for the greatest) to y (None: nowhere); whether x is not all finite.

    x, y: in C order (x in either where there is no y); y may be x itself. Norms less than `least` count as 1.
    """
    cdef fm_scope _scope = fm_switch(FM_FULL)
    cdef Columns cut
    cdef Scale how
    cdef bint bad
    begin(&how, &cut, y, x)
    if y is not None and cut.parts > 1:
        _columns.refuse_matrix(x, "C-contiguous")
    how.norm, how.least = norm, least
    with nogil:
        bad = scale_all(&how, &cut)
    return bad
