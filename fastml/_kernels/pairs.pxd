"""Pairs of labels, true and predicted, counted into tables by one thread or several.

A table has several copies for neighbouring samples: one cell that is often hit would wait for its own last store (1e6
samples of one class on one thread: 1 copy 1.9 ms, 4 copies 0.6). The shape alone cuts the samples into at most CHUNKS
chunks, each with a table of its own, which are added in order: weighted sums have the same bits for any number of
threads.

    if read_pairs(y_true, y_pred, weight, &x):  # what is counted
        x.low, x.width = low, width             # which labels there may be; few.pxd sets x.bits, too
        cut(&x)                                 # x.chunks * x.copies tables of x.width * x.width cells
        if fill(cells, seen, &x):               # False where a label is another: then the counts are of no use
            join(table, cells, &x)
"""

from cython.parallel import parallel

from .. cimport _numpy as cnp
from libc.stdint cimport int64_t, uint8_t, uint64_t

from .._openmp cimport fm_add, fm_work, join_team, leave_team, next_block, share_work, team, team_done
from .._simd cimport fm_label
from .labels cimport BLOCK_LABELS, Labels, block, extend, read

cdef extern from "pairs.h" nogil:
    bint fm_pairs_small(int64_t *table, const char *t, const char *p, size_t n, size_t bytes, unsigned int bits,
                        size_t apart)

ctypedef fused mass:
    int64_t
    double

cdef enum:
    CHUNKS = 16
    CHUNK_LABELS = 4096  # that a chunk has at least
    COPIES = 4           # of a table of at most FEW_CELLS
    FEW_CELLS = 1024

cdef struct Pairs:
    Labels t            # true
    Labels p            # predicted
    const void *weight  # NULL, or int64 or double
    bint is_double
    int64_t low
    Py_ssize_t n
    Py_ssize_t width    # labels low ... low + width - 1
    unsigned int bits   # where pairs.h counts them: width is 1 << bits, low 0; otherwise 0
    Py_ssize_t copies
    Py_ssize_t chunks


cdef inline bint read_pairs(object y_true, object y_pred, object weight, Pairs *x) except -1:
    """Take labels and weights in; False where the labels are no vectors of integers of one length."""
    if not (read(y_true, &x.t) and read(y_pred, &x.p)):
        return False
    x.n = cnp.PyArray_SIZE(<cnp.ndarray>y_true)
    if x.n == 0 or x.n != cnp.PyArray_SIZE(<cnp.ndarray>y_pred):
        return False
    x.weight = NULL
    x.is_double = False
    x.bits = 0
    if weight is not None:
        x.weight = cnp.PyArray_DATA(<cnp.ndarray?>weight)
        x.is_double = cnp.PyArray_TYPE(<cnp.ndarray>weight) == cnp.NPY_DOUBLE
    return True


cdef inline bint are_flat(const Pairs *x) noexcept nogil:
    """Whether both labels are contiguous and of one width."""
    return x.t.step == x.t.bytes and x.p.step == x.t.bytes and x.p.bytes == x.t.bytes


cdef inline void cut(Pairs *x) noexcept:
    """How many tables for how many samples."""
    cdef Py_ssize_t square = x.width * x.width
    x.copies = COPIES if x.weight == NULL and square <= FEW_CELLS and x.n > CHUNK_LABELS else 1
    x.chunks = x.n // max(<Py_ssize_t>CHUNK_LABELS, 16 * x.copies * square)
    x.chunks = min(<Py_ssize_t>CHUNKS, max(<Py_ssize_t>1, x.chunks))


cdef inline double cost(const Pairs *x) noexcept nogil:
    """Nanoseconds on one thread."""
    return 0.7 * x.n


cdef inline bint add_one(int64_t *table, const int64_t *t, const int64_t *p, uint64_t low,
                         uint64_t width) noexcept nogil:
    cdef uint64_t u = <uint64_t>fm_label(t) - low, v = <uint64_t>fm_label(p) - low
    if u >= width or v >= width:
        return False
    table[u * width + v] += 1
    return True


cdef inline bint tally(int64_t *table, const int64_t *t, const int64_t *p, Py_ssize_t n, int64_t low, Py_ssize_t width,
                       Py_ssize_t apart) noexcept nogil:
    """table (OUT): COPIES of them, `apart` cells from each other; t, p (IN): n. False where a label is outside."""
    cdef Py_ssize_t i = 0
    while i + 4 <= n:
        if not (add_one(table, t + i, p + i, low, width)
                and add_one(table + apart, t + i + 1, p + i + 1, low, width)
                and add_one(table + 2 * apart, t + i + 2, p + i + 2, low, width)
                and add_one(table + 3 * apart, t + i + 3, p + i + 3, low, width)):
            return False
        i += 4
    while i < n:
        if not add_one(table, t + i, p + i, low, width):
            return False
        i += 1
    return True


cdef inline bint tally_mass(mass *table, uint8_t *seen, const int64_t *t, const int64_t *p, const mass *w, Py_ssize_t n,
                            int64_t low, Py_ssize_t width) noexcept nogil:
    """table (OUT): cells; seen (OUT): 1 for every label that occurs; t, p, w (IN): n."""
    cdef Py_ssize_t i
    cdef uint64_t u, v
    for i in range(n):
        u = <uint64_t>fm_label(t + i) - <uint64_t>low
        v = <uint64_t>fm_label(p + i) - <uint64_t>low
        if u >= <uint64_t>width or v >= <uint64_t>width:
            return False
        table[u * width + v] += w[i]
        seen[u] = 1
        seen[v] = 1
    return True


cdef inline bint tally_chunk(int64_t *cells, uint8_t *seen, const Pairs *x, Py_ssize_t chunk) noexcept nogil:
    """cells, seen (OUT, those of all chunks): one run of samples into its table(s)."""
    cdef int64_t[BLOCK_LABELS] room_t
    cdef int64_t[BLOCK_LABELS] room_p
    cdef const int64_t *t
    cdef const int64_t *p
    cdef Py_ssize_t i = chunk * x.n // x.chunks, last = (chunk + 1) * x.n // x.chunks
    cdef Py_ssize_t n, square = x.width * x.width
    cdef bint inside
    cells += chunk * x.copies * square
    if seen != NULL:
        seen += chunk * x.width
    if x.bits and are_flat(x):
        return fm_pairs_small(cells, x.t.p + i * x.t.bytes, x.p.p + i * x.t.bytes, last - i, x.t.bytes, x.bits,
                              square if x.copies > 1 else 0)
    while i < last:
        n = min(<Py_ssize_t>BLOCK_LABELS, last - i)
        t = block(&x.t, i, n, room_t)
        p = block(&x.p, i, n, room_p)
        if x.bits:
            inside = fm_pairs_small(cells, <const char *>t, <const char *>p, n, 8, x.bits,
                                    square if x.copies > 1 else 0)
        elif x.weight == NULL:
            inside = tally(cells, t, p, n, x.low, x.width, square if x.copies > 1 else 0)
        elif x.is_double:
            inside = tally_mass(<double *>cells, seen, t, p, <const double *>x.weight + i, n, x.low, x.width)
        else:
            inside = tally_mass(cells, seen, t, p, <const int64_t *>x.weight + i, n, x.low, x.width)
        if not inside:
            return False
        i += n
    return True


cdef inline bint fill(int64_t *cells, uint8_t *seen, const Pairs *x) noexcept nogil:
    """All chunks; False where a label is outside."""
    cdef fm_work work
    cdef Py_ssize_t chunk = 0
    cdef Py_ssize_t outside = 0
    cdef int threads = team(cost(x))
    if threads == 1:
        for chunk in range(x.chunks):
            if not tally_chunk(cells, seen, x, chunk):
                return False
        team_done()
        return True
    share_work(&work, x.chunks, threads)
    with parallel(num_threads=threads):
        chunk = join_team(&work)
        while chunk >= 0:
            fm_add(&outside, not tally_chunk(cells, seen, x, chunk))
            chunk = next_block(&work)
        leave_team()
    team_done()
    return outside == 0


cdef inline void extend_both(const Pairs *x, Py_ssize_t first, Py_ssize_t last, Py_ssize_t step, int64_t *low,
                             int64_t *high) noexcept nogil:
    extend(&x.t, first, last, step, low, high)
    extend(&x.p, first, last, step, low, high)


cdef inline void whole_range(Pairs *x, int64_t *low, int64_t *high) noexcept nogil:
    cdef fm_work work
    cdef int64_t[CHUNKS] lows
    cdef int64_t[CHUNKS] highs
    cdef Py_ssize_t chunk = 0
    cdef int threads = team(cost(x))
    share_work(&work, CHUNKS, threads)
    with parallel(num_threads=threads):
        chunk = join_team(&work)
        while chunk >= 0:
            lows[chunk], highs[chunk] = low[0], high[0]
            extend_both(x, chunk * x.n // CHUNKS, (chunk + 1) * x.n // CHUNKS, 1, &lows[chunk], &highs[chunk])
            chunk = next_block(&work)
        leave_team()
    team_done()
    for chunk in range(CHUNKS):
        low[0] = min(low[0], lows[chunk])
        high[0] = max(high[0], highs[chunk])


cdef inline void join(mass *total, const mass *cells, const Pairs *x) noexcept nogil:
    """total (OUT): the tables of all chunks, in order."""
    cdef Py_ssize_t table, cell, square = x.width * x.width
    for table in range(x.chunks * x.copies):
        for cell in range(square):
            total[cell] += cells[table * square + cell]
