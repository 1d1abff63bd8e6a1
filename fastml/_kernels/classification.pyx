"""Counts over pairs of labels.

Labels are integers of any width and stride. Labels of 0 ... 31 are counted in words of several labels (src_c/pairs.h),
up to 4096 of them into a table on the stack. What is not contiguous and of one width is widened to 64 bits before,
BLOCK_LABELS at a time; so are other labels. `count` needs their range for its table. It takes the range of about a
thousand samples spread over the arrays, counts, and only where a label lies outside finds the whole range and counts
again.

A table has several copies for neighbouring samples: one cell that is often hit would wait for its own last store (1e6
samples of one class on one thread: 1 copy 1.9 ms, 4 copies 0.6). The shape alone cuts the samples into at most CHUNKS
chunks, each with a table of its own, which are added in order: weighted sums have the same bits for any number of
threads.

Long because a stream's counts and those of one call share every loop. A stream's are counted apart and added at once,
by one thread at a time (`Tally`).
"""

import os

from cython.parallel import parallel

from cpython.pythread cimport (
    NOWAIT_LOCK, WAIT_LOCK, PyThread_acquire_lock, PyThread_allocate_lock, PyThread_get_thread_ident,
    PyThread_release_lock, PyThread_type_lock,
)
from .. cimport _numpy as cnp
from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from .._environment cimport FM_FULL, fm_scope, fm_switch
from .._memory cimport new_array
from .._openmp cimport fm_add, fm_work, join_team, leave_team, next_block, share_work, team, team_done
from .._simd cimport fm_label

cnp.import_array()

cdef extern from "pairs.h" nogil:
    uint64_t fm_small_label(const char *p, size_t bytes)
    size_t fm_equal_labels(const char *a, const char *b, size_t n, size_t bytes)
    uint64_t fm_labels_bits(const char *p, size_t n, size_t bytes)
    bint fm_pairs_small(int64_t *table, const char *t, const char *p, size_t n, size_t bytes, unsigned int bits,
                        size_t apart)

ctypedef fused integer:
    int8_t
    uint8_t
    int16_t
    uint16_t
    int32_t
    uint32_t
    int64_t

ctypedef fused mass:
    int64_t
    double

cdef enum:
    BLOCK_LABELS = 512        # widened at a time
    CHUNKS = 16
    CHUNK_LABELS = 4096       # that a chunk has at least
    COPIES = 4                # of a table of at most FEW_CELLS
    FEW_CELLS = 1024
    TABLE_CELLS = 1 << 14     # that a table may have whatever the number of samples
    RANGE_LABELS = 1024       # from which the range is guessed
    FEW_BITS = 5              # of labels whose table has at most FEW_CELLS
    FEW_LABELS = 1 << FEW_BITS
    EQUAL_LABELS = 10000      # of 4 bytes or more, compared here
    LOOK_LABELS = 64          # from which their bits are guessed, in a table on the stack
    LOOK_LONGER = 512         # where a wrong guess costs more

cdef double COST = 0.7       # nanoseconds a pair on one thread

cdef struct Labels:
    const char *p
    Py_ssize_t step   # bytes
    int bytes
    bint is_signed


# --- labels --------------------------------------------------------------------------------------------------

cdef bint read(object y, Labels *at) noexcept:
    """Whether y is a one-dimensional array of integers or bools that can be read where it lies."""
    if type(y) is not cnp.ndarray:
        return False
    cdef cnp.ndarray a = y
    cdef int kind = cnp.PyArray_TYPE(a)
    if not (cnp.PyArray_NDIM(a) == 1 and cnp.PyArray_ISBEHAVED_RO(a)
            and (cnp.PyTypeNum_ISINTEGER(kind) or kind == cnp.NPY_BOOL)):
        return False
    at.p = cnp.PyArray_BYTES(a)
    at.step = cnp.PyArray_STRIDE(a, 0)
    at.bytes = <int>cnp.PyArray_ITEMSIZE(a)
    at.is_signed = cnp.PyTypeNum_ISSIGNED(kind)
    return True


cdef inline bint is_uint64(const Labels *y) noexcept nogil:
    return y.bytes == 8 and not y.is_signed


cdef inline void widen(int64_t *wide, const char *p, Py_ssize_t step, Py_ssize_t n, integer like) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        wide[i] = (<const integer *>(p + i * step))[0]


cdef const int64_t *block(const Labels *y, Py_ssize_t first, Py_ssize_t n, int64_t *room) noexcept nogil:
    """n labels from `first` on as int64, those of uint64 with the same bits: where they lie, or in room."""
    cdef const char *p = y.p + first * y.step
    if y.bytes == 8:
        if y.step == 8:
            return <const int64_t *>p
        widen(room, p, y.step, n, <int64_t>0)
    elif y.bytes == 4:
        if y.is_signed:
            widen(room, p, y.step, n, <int32_t>0)
        else:
            widen(room, p, y.step, n, <uint32_t>0)
    elif y.bytes == 2:
        if y.is_signed:
            widen(room, p, y.step, n, <int16_t>0)
        else:
            widen(room, p, y.step, n, <uint16_t>0)
    elif y.is_signed:
        widen(room, p, y.step, n, <int8_t>0)
    else:
        widen(room, p, y.step, n, <uint8_t>0)
    return room


cdef void extend(const Labels *y, Py_ssize_t first, Py_ssize_t last, Py_ssize_t step, int64_t *low,
                 int64_t *high) noexcept nogil:
    """low ... high takes in every step-th label of first ... last - 1."""
    cdef int64_t[BLOCK_LABELS] room
    cdef Labels thin = y[0]
    cdef const int64_t *label
    cdef int64_t least = low[0], most = high[0]
    cdef Py_ssize_t i, n
    thin.p += first * y.step
    thin.step *= step
    last = (last - first + step - 1) // step
    first = 0
    while first < last:
        n = min(<Py_ssize_t>BLOCK_LABELS, last - first)
        label = block(&thin, first, n, room)
        for i in range(n):
            least = min(least, label[i])
            most = max(most, label[i])
        first += n
    low[0], high[0] = least, most


# --- the table of pairs --------------------------------------------------------------------------------------

cdef struct Pairs:
    Labels t          # true
    Labels p          # predicted
    const void *weight  # NULL, or int64 or double
    bint is_double
    int64_t low
    Py_ssize_t n
    Py_ssize_t width  # labels low ... low + width - 1
    unsigned int bits  # where pairs.h counts them: width is 1 << bits, low 0; otherwise 0
    Py_ssize_t copies
    Py_ssize_t chunks


cdef inline bint add_one(int64_t *table, const int64_t *t, const int64_t *p, uint64_t low,
                         uint64_t width) noexcept nogil:
    cdef uint64_t u = <uint64_t>fm_label(t) - low, v = <uint64_t>fm_label(p) - low
    if u >= width or v >= width:
        return False
    table[u * width + v] += 1
    return True


cdef bint tally(int64_t *table, const int64_t *t, const int64_t *p, Py_ssize_t n, int64_t low, Py_ssize_t width,
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


cdef bint tally_mass(mass *table, uint8_t *seen, const int64_t *t, const int64_t *p, const mass *w, Py_ssize_t n,
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


cdef inline bint are_flat(const Pairs *x) noexcept nogil:
    """Whether both labels are contiguous and of one width."""
    return x.t.step == x.t.bytes and x.p.step == x.t.bytes and x.p.bytes == x.t.bytes


cdef bint tally_chunk(int64_t *cells, uint8_t *seen, const Pairs *x, Py_ssize_t chunk) noexcept nogil:
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


cdef bint fill(int64_t *cells, uint8_t *seen, const Pairs *x) noexcept nogil:
    """All chunks; False where a label is outside."""
    cdef fm_work work
    cdef Py_ssize_t chunk = 0
    cdef Py_ssize_t outside = 0
    cdef int threads = team(COST * x.n)
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


cdef void whole_range(Pairs *x, int64_t *low, int64_t *high) noexcept nogil:
    cdef fm_work work
    cdef int64_t[CHUNKS] lows
    cdef int64_t[CHUNKS] highs
    cdef Py_ssize_t chunk = 0
    cdef int threads = team(COST * x.n)
    share_work(&work, CHUNKS, threads)
    with parallel(num_threads=threads):
        chunk = join_team(&work)
        while chunk >= 0:
            lows[chunk], highs[chunk] = low[0], high[0]
            extend(&x.t, chunk * x.n // CHUNKS, (chunk + 1) * x.n // CHUNKS, 1, &lows[chunk], &highs[chunk])
            extend(&x.p, chunk * x.n // CHUNKS, (chunk + 1) * x.n // CHUNKS, 1, &lows[chunk], &highs[chunk])
            chunk = next_block(&work)
        leave_team()
    team_done()
    for chunk in range(CHUNKS):
        low[0] = min(low[0], lows[chunk])
        high[0] = max(high[0], highs[chunk])


cdef void join(mass *total, const mass *cells, const Pairs *x) noexcept nogil:
    """total (OUT): the tables of all chunks, in order."""
    cdef Py_ssize_t table, cell, square = x.width * x.width
    for table in range(x.chunks * x.copies):
        for cell in range(square):
            total[cell] += cells[table * square + cell]


cdef object occurring(const int64_t *table, const uint8_t *seen, const Pairs *x):
    """The labels that occur as a bool array, None where all do; from the counts, or from what the chunks saw."""
    cdef cnp.npy_intp width = x.width
    cdef Py_ssize_t i, j
    cdef bint everyone = True
    occurs = new_array(1, &width, cnp.NPY_BOOL)
    cdef uint8_t *found = <uint8_t *>cnp.PyArray_DATA(<cnp.ndarray>occurs)
    for i in range(width):
        found[i] = 0
        for j in range(width if seen == NULL else x.chunks):
            if (seen[j * width + i] if seen != NULL else table[i * width + j] or table[j * width + i]):
                found[i] = 1
                break
        everyone = everyone and found[i]
    return None if everyone else occurs


cdef object compact(cnp.ndarray table, cnp.ndarray occurs):
    """The rows and columns of the labels that occur."""
    cdef const uint8_t *kept = <const uint8_t *>cnp.PyArray_DATA(occurs)
    cdef const int64_t *x = <const int64_t *>cnp.PyArray_DATA(table)  # or doubles: copied all the same
    cdef Py_ssize_t width = cnp.PyArray_DIM(table, 0), i, j
    cdef cnp.npy_intp[2] shape
    cdef int64_t *y
    shape[0] = 0
    for i in range(width):
        shape[0] += kept[i]
    shape[1] = shape[0]
    result = new_array(2, shape, cnp.PyArray_TYPE(table))
    y = <int64_t *>cnp.PyArray_DATA(<cnp.ndarray>result)
    for i in range(width):
        for j in range(width if kept[i] else 0):
            if kept[j]:
                y[0] = x[i * width + j]
                y += 1
    return result


cdef bint read_pairs(object y_true, object y_pred, object weight, Pairs *x) except -1:
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


cdef void cut(Pairs *x) noexcept:
    """How many tables for how many samples."""
    cdef Py_ssize_t square = x.width * x.width
    x.copies = COPIES if x.weight == NULL and square <= FEW_CELLS and x.n > CHUNK_LABELS else 1
    x.chunks = x.n // max(<Py_ssize_t>CHUNK_LABELS, 16 * x.copies * square)
    x.chunks = min(<Py_ssize_t>CHUNKS, max(<Py_ssize_t>1, x.chunks))


cdef bint set_few(Pairs *x, uint64_t some) noexcept:
    """For labels with no other bits than these, if they are few."""
    if some >= FEW_LABELS:
        return False
    x.low, x.bits = 0, 1
    while some >> x.bits:
        x.bits += 1
    x.width = 1 << x.bits
    cut(x)
    return True


cdef bint count_few(Pairs *x, int64_t *total) except -1:
    """total (OUT): FEW_CELLS, of which those of x.width x x.width are set: the counts where all labels are few. False
    where they may not be."""
    cdef size_t bytes = x.t.bytes
    cdef uint64_t some = 0
    cdef Py_ssize_t i = 0, step = x.n // (LOOK_LABELS if x.n <= CHUNK_LABELS else LOOK_LONGER) + 1
    cdef bint inside
    if x.weight != NULL:
        return False
    while i < x.n:
        some |= fm_small_label(x.t.p + i * x.t.step, bytes) | fm_small_label(x.p.p + i * x.p.step, x.p.bytes)
        i += step
    if not set_few(x, some):
        return False
    inside = few_inside(x, total)
    if not inside and are_flat(x):  # it costs less to look at all of them than to count in another way
        some |= fm_labels_bits(x.t.p, x.n, bytes) | fm_labels_bits(x.p.p, x.n, bytes)
        inside = set_few(x, some) and few_inside(x, total)
    if not inside:
        x.bits = 0
    return inside


cdef bint few_inside(Pairs *x, int64_t *total) except -1:
    """count_few's total as x is set; False where a label is outside."""
    cdef int64_t *cells
    cdef bint inside
    memset(total, 0, x.width * x.width * sizeof(int64_t))
    if x.n <= CHUNK_LABELS:
        return tally_chunk(total, NULL, x, 0)
    cells = <int64_t *>calloc(x.chunks * x.copies * x.width * x.width, sizeof(int64_t))
    if cells == NULL:
        raise MemoryError("no memory for the tables of counts")
    with nogil:
        inside = fill(cells, NULL, x)
        if inside:
            join(total, cells, x)
        free(cells)
    return inside


cdef Py_ssize_t occurring_few(uint8_t *kept, const int64_t *table, Py_ssize_t width) noexcept nogil:
    """kept (OUT): the labels that occur, in order; table (IN): (width, width). Returns how many they are."""
    cdef Py_ssize_t i, j, n = 0
    cdef int64_t some
    for i in range(width):
        some = table[i * width + i]
        if not some:
            for j in range(width):
                some |= table[i * width + j] | table[j * width + i]
        if some:
            kept[n] = i
            n += 1
    return n


cdef object part_of_few(const int64_t *table, Py_ssize_t width, const uint8_t *kept, Py_ssize_t n):
    """The rows and columns of these labels."""
    cdef cnp.npy_intp[2] shape
    cdef Py_ssize_t i, j
    shape[0] = shape[1] = n
    result = new_array(2, shape, cnp.NPY_INT64)
    cdef int64_t *y = <int64_t *>cnp.PyArray_DATA(<cnp.ndarray>result)
    for i in range(n):
        for j in range(n):
            y[j] = table[kept[i] * width + kept[j]]
        y += n
    return result


cdef object counted_few(const int64_t *table, Py_ssize_t width):
    """What `count` returns; its labels end with the largest that occurs."""
    cdef uint8_t[FEW_LABELS] kept
    cdef Py_ssize_t i, n = occurring_few(kept, table, width)
    cdef cnp.npy_intp labels = kept[n - 1] + 1
    part, occurs = part_of_few(table, width, kept, n), None
    cdef uint8_t *found
    if n < labels:
        occurs = new_array(1, &labels, cnp.NPY_BOOL)
        found = <uint8_t *>cnp.PyArray_DATA(<cnp.ndarray>occurs)
        memset(found, 0, labels)
        for i in range(n):
            found[kept[i]] = 1
    return 0, part, occurs


def count(y_true, y_pred, weight, bint wide=False):
    """(low, table, occurs): the counts, or the sums of the weights, of one label taken for another.

    int64, or float64 with float64 weights, for those labels from `low` on of which `occurs` says that they are there;
    None says that all are. wide: for the others too, in a table of any size. None instead of all this where
    the labels are no vectors of integers of one length, or lie too far apart. weight: None, or a contiguous vector of
    int64 or float64, one a sample.
    """
    cdef fm_scope _scope = fm_switch(FM_FULL)
    cdef Pairs x
    cdef int64_t[FEW_CELLS] few
    if not read_pairs(y_true, y_pred, weight, &x):
        return None
    if not wide and count_few(&x, few):
        return counted_few(few, x.width)
    cdef int64_t low = block(&x.t, 0, 1, &low)[0], high = low
    cdef uint64_t span
    cdef cnp.npy_intp[2] shape
    cdef int64_t *table
    cdef int64_t *cells
    cdef uint8_t *seen
    cdef void *room
    cdef bint inside, alone
    cdef bint above = is_uint64(&x.t) or is_uint64(&x.p)  # where a negative label may be one beyond int64
    cdef Py_ssize_t square, step = max(<Py_ssize_t>1, x.n // RANGE_LABELS)
    extend(&x.t, 0, x.n, step, &low, &high)
    extend(&x.p, 0, x.n, step, &low, &high)
    for _ in range(2):  # the second one knows the whole range
        span = <uint64_t>high - <uint64_t>low
        if span >= 1 << 31 or (above and low < 0):
            return None
        x.low, x.width = low, span + 1
        square = x.width * x.width
        if square > TABLE_CELLS and square > x.n and not wide:
            return None
        cut(&x)
        alone = x.chunks * x.copies == 1
        shape[0] = shape[1] = x.width
        result = cnp.PyArray_ZEROS(2, shape, cnp.NPY_DOUBLE if x.is_double else cnp.NPY_INT64, 0)
        table = <int64_t *>cnp.PyArray_DATA(<cnp.ndarray>result)
        seen = NULL
        room = NULL
        if not alone or weight is not None:
            room = calloc(x.chunks * (x.copies * square * sizeof(int64_t) * (not alone) + x.width), 1)
            if room == NULL:
                raise MemoryError("no memory for the tables of counts")
        cells = table if alone else <int64_t *>room
        if weight is not None:
            seen = <uint8_t *>room + x.chunks * square * sizeof(int64_t) * (not alone)
        with nogil:
            inside = fill(cells, seen, &x)
            if not inside:
                whole_range(&x, &low, &high)
            elif alone:
                pass
            elif x.is_double:
                join(<double *>table, <const double *>cells, &x)
            else:
                join(table, cells, &x)
        if inside:
            occurs = occurring(table, seen, &x)
            free(room)
            return low, result if wide or occurs is None else compact(result, occurs), occurs
        free(room)
    return None


def table_of_pairs(y_true, y_pred, labels=None):
    """The counts of the labels that occur, or None, as `count` has it; or of these labels in this order: None where
    they are no contiguous vector of int64, or where it takes a closer look to say whether they may be so."""
    cdef Pairs x
    cdef int64_t[FEW_CELLS] few
    cdef uint8_t[FEW_LABELS] kept
    if not read_pairs(y_true, y_pred, None, &x):
        return None
    if count_few(&x, few):
        if labels is not None:
            return chosen_of_few(few, x.width, labels)
        return part_of_few(few, x.width, kept, occurring_few(kept, few, x.width))
    if labels is not None:
        return None
    counted = count(y_true, y_pred, None)
    return None if counted is None else counted[1]


cdef object chosen_of_few(const int64_t *table, Py_ssize_t width, object labels):
    """The counts of these labels alone; None where one is listed twice or where nothing is counted."""
    cdef Labels at
    cdef int64_t[BLOCK_LABELS] label
    cdef const int64_t *given
    cdef cnp.npy_intp[2] shape
    cdef Py_ssize_t i, j, k
    cdef uint64_t listed = 0
    cdef int64_t some = 0
    if not read(labels, &at) or at.bytes != 8 or not at.is_signed:
        return None
    k = cnp.PyArray_SIZE(<cnp.ndarray>labels)
    if k == 0 or k > BLOCK_LABELS:
        return None
    given = block(&at, 0, k, label)
    for i in range(k):  # a copy: what is checked is what is used
        label[i] = fm_label(given + i)
        if 0 <= label[i] < width:
            if listed >> label[i] & 1:
                return None
            listed |= <uint64_t>1 << label[i]
        else:
            label[i] = -1
    shape[0] = shape[1] = k
    result = new_array(2, shape, cnp.NPY_INT64)
    cdef int64_t *y = <int64_t *>cnp.PyArray_DATA(<cnp.ndarray>result)
    for i in range(k):
        for j in range(k):
            y[j] = table[label[i] * width + label[j]] if label[i] >= 0 and label[j] >= 0 else 0
            some |= y[j]
        y += k
    return result if some else None


def share_of_equals(y_true, y_pred, normalize):
    """How many pairs of labels are equal, divided by their number where normalize is True; None where it is neither
    True nor False, where the labels are no contiguous vectors of one kind of integers, or where they are so many that
    NumPy's comparison, of this CPU's widest vectors, is faster than this one of 16 bytes."""
    cdef fm_scope _scope = fm_switch(FM_FULL)
    cdef Pairs x
    cdef size_t equal
    if (not read_pairs(y_true, y_pred, None, &x) or not are_flat(&x) or x.t.is_signed != x.p.is_signed
            or normalize is not True and normalize is not False
            or x.t.bytes >= 4 and x.n > EQUAL_LABELS):
        return None
    if x.n <= CHUNK_LABELS:
        equal = fm_equal_labels(x.t.p, x.p.p, x.n, x.t.bytes)
    else:
        with nogil:
            equal = fm_equal_labels(x.t.p, x.p.p, x.n, x.t.bytes)
    return <double>equal / <double>x.n if normalize is True else <double>equal


# --- counts that several threads add to ----------------------------------------------------------------------

cdef PyThread_type_lock turn = PyThread_allocate_lock()
cdef unsigned long turn_of = 0  # the thread whose turn it is
cdef int turns = 0              # it has taken in a row: a finalizer or a signal's handler may count, too


cdef void take_turn() noexcept:
    global turn_of, turns
    cdef unsigned long me = PyThread_get_thread_ident()
    if turns and turn_of == me:
        turns += 1
        return
    if not PyThread_acquire_lock(turn, NOWAIT_LOCK):
        with nogil:
            PyThread_acquire_lock(turn, WAIT_LOCK)
    turn_of = me
    turns = 1


cdef void end_turn() noexcept:
    global turns
    turns -= 1
    if not turns:
        PyThread_release_lock(turn)


cdef class Tally:
    """A table (k, k) of counts or sums, and for how many more samples of classes 0 ... k - 1 it is known to stay within
    int64: 0 where the classes are others. Whoever reads it or puts another in its place does so `with` it: one thread
    at a time has the turn, of all tallies, and a fork waits for it."""

    cdef public object table
    cdef public Py_ssize_t room

    def __init__(self, table, room):
        self.table, self.room = table, room

    def __enter__(self):
        take_turn()

    def __exit__(self, *exception):
        end_turn()

    def copy(self):
        """The table as it is between two calls."""
        take_turn()
        try:
            return self.table.copy()
        finally:
            end_turn()

    def add(self, y_true, y_pred):
        """table[t, p] += 1 for each pair of labels, all at once. False where nothing is counted: there is no room, the
        labels are no vectors of integers, or one is none of 0 ... k - 1."""
        cdef Pairs x
        cdef int64_t[FEW_CELLS] few
        cdef int64_t *cells = few
        cdef bint is_few, inside = True
        if not self.room or not read_pairs(y_true, y_pred, None, &x):
            return False
        is_few = count_few(&x, few)
        if not is_few:
            if is_uint64(&x.t) or is_uint64(&x.p):
                return False
            x.low, x.width = 0, len(self.table)
            cut(&x)
            if x.width * x.width <= x.n:
                cells = <int64_t *>calloc((x.chunks * x.copies + 1) * x.width * x.width, sizeof(int64_t))
                if cells == NULL:
                    raise MemoryError("no memory for the tables of counts")
                with nogil:
                    inside = fill(cells + x.width * x.width, NULL, &x)
                    if inside:
                        join(cells, cells + x.width * x.width, &x)
        take_turn()
        try:
            if not inside or not self.takes(&x):
                return False
            return self.take_up(cells, x.width, x.n) if is_few or cells != few else self.take_in(&x)
        finally:
            end_turn()
            if cells != few:
                free(cells)

    cdef bint takes(self, const Pairs *x) noexcept:
        """Whether there is room for so many samples."""
        if x.n >= self.room or type(self.table) is not cnp.ndarray:
            return False
        return cnp.PyArray_TYPE(<cnp.ndarray>self.table) == cnp.NPY_INT64

    cdef bint take_in(self, Pairs *x) except -1:
        """Count in the table itself, which has more cells than there are samples: all labels are looked at before."""
        cdef int64_t *table = <int64_t *>cnp.PyArray_DATA(<cnp.ndarray>self.table)
        cdef int64_t low = 0, high = 0
        cdef bint inside
        x.chunks = x.copies = 1
        with nogil:
            extend(&x.t, 0, x.n, 1, &low, &high)
            extend(&x.p, 0, x.n, 1, &low, &high)
            inside = low >= 0 and high < x.width and tally_chunk(table, NULL, x, 0)
        self.room -= x.n if inside else 0
        return inside

    cdef bint take_up(self, const int64_t *cells, Py_ssize_t width, Py_ssize_t n) except -1:
        """Add cells (width, width), in which n samples are counted; False where one has a label beyond the table."""
        cdef Py_ssize_t i, j, k = cnp.PyArray_DIM(<cnp.ndarray>self.table, 0)
        cdef int64_t *table = <int64_t *>cnp.PyArray_DATA(<cnp.ndarray>self.table)
        cdef int64_t beyond = 0
        for i in range(width if width > k else 0):
            for j in range(k if i < k else 0, width):
                beyond |= cells[i * width + j]
        if beyond:
            return False
        for i in range(min(k, width)):
            for j in range(min(k, width)):
                table[i * k + j] += cells[i * width + j]
        self.room -= n
        return True


if hasattr(os, "register_at_fork"):
    _all = Tally(None, 0)
    os.register_at_fork(before=_all.__enter__, after_in_parent=_all.__exit__, after_in_child=_all.__exit__)
