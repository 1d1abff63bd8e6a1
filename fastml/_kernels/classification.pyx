"""Counts over pairs of labels, and what a row of scores says of one label.

Labels are integers of any width and stride; other widths than 64 bits are widened PIECE at a time, so none is
converted as a whole. `count` needs their range for its table: it takes the range of about a thousand samples spread
over the arrays, counts, and only where a label lies outside finds the whole range and counts again. A table has
several copies for neighbouring samples: one cell that is often hit would wait for its own last store (1e6 samples of
one class on one thread: 1 copy 1.9 ms, 4 copies 0.6). The samples are cut into at most SLOTS runs by shape alone,
each with a table of its own, which are added in order: weighted sums have the same bits for any number of threads.
"""

from cython.parallel import parallel, prange

cimport numpy as cnp
from libc.math cimport fabs
from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free

from .. import _labels

from .._check cimport PyArray_EMPTY
from .._environment cimport FM_FULL, fm_scope, fm_switch
from .._openmp cimport caller, join_team, leave_team, team, team_done
from .._simd cimport FM_NO_CLASS, fm_class, fm_label, fm_labels

cnp.import_array()

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

ctypedef fused real:
    float
    double

cdef enum:
    PIECE = 512       # samples widened at a time
    SLOTS = 16
    GRAIN = 4096      # samples that a slot has at least
    COPIES = 4        # of a table of at most FEW cells
    FEW = 1024
    TABLE = 1 << 14   # cells that a table may have whatever the number of samples
    SAMPLES = 1024

cdef double COST = 0.7       # nanoseconds a pair on one thread
cdef double SCORE_COST = 0.6  # nanoseconds a score

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


cdef const int64_t *piece(const Labels *y, Py_ssize_t first, Py_ssize_t n, int64_t *room) noexcept nogil:
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
    cdef int64_t[PIECE] room
    cdef Labels thin = y[0]
    cdef const int64_t *label
    cdef int64_t least = low[0], most = high[0]
    cdef Py_ssize_t i, n
    thin.p += first * y.step
    thin.step *= step
    last = (last - first + step - 1) // step
    first = 0
    while first < last:
        n = min(<Py_ssize_t>PIECE, last - first)
        label = piece(&thin, first, n, room)
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
    Py_ssize_t copies
    Py_ssize_t slots


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


cdef bint tally_slot(int64_t *cells, uint8_t *seen, const Pairs *x, Py_ssize_t slot) noexcept nogil:
    """cells, seen (OUT, those of all slots): one run of samples into its table(s)."""
    cdef int64_t[PIECE] room_t
    cdef int64_t[PIECE] room_p
    cdef const int64_t *t
    cdef const int64_t *p
    cdef Py_ssize_t i = slot * x.n // x.slots, last = (slot + 1) * x.n // x.slots
    cdef Py_ssize_t n, square = x.width * x.width
    cdef bint inside
    cells += slot * x.copies * square
    if seen != NULL:
        seen += slot * x.width
    while i < last:
        n = min(<Py_ssize_t>PIECE, last - i)
        t = piece(&x.t, i, n, room_t)
        p = piece(&x.p, i, n, room_p)
        if x.weight == NULL:
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
    """All slots; False where a label is outside."""
    cdef Py_ssize_t slot
    cdef int outside = 0
    cdef int me = caller(), threads = team(COST * x.n)
    if threads == 1:
        for slot in range(x.slots):
            if not tally_slot(cells, seen, x, slot):
                return False
        team_done()
        return True
    with parallel(num_threads=threads):
        join_team(me)
        for slot in prange(x.slots, schedule="static"):
            outside += not tally_slot(cells, seen, x, slot)
        leave_team()
    team_done()
    return outside == 0


cdef void whole_range(Pairs *x, int64_t *low, int64_t *high) noexcept nogil:
    cdef int64_t[SLOTS] lows
    cdef int64_t[SLOTS] highs
    cdef Py_ssize_t slot
    cdef int me = caller(), threads = team(COST * x.n)
    with parallel(num_threads=threads):
        join_team(me)
        for slot in prange(SLOTS, schedule="static"):
            lows[slot], highs[slot] = low[0], high[0]
            extend(&x.t, slot * x.n // SLOTS, (slot + 1) * x.n // SLOTS, 1, &lows[slot], &highs[slot])
            extend(&x.p, slot * x.n // SLOTS, (slot + 1) * x.n // SLOTS, 1, &lows[slot], &highs[slot])
        leave_team()
    team_done()
    for slot in range(SLOTS):
        low[0] = min(low[0], lows[slot])
        high[0] = max(high[0], highs[slot])


cdef void join(mass *total, const mass *cells, const Pairs *x) noexcept nogil:
    """total (OUT): the tables of all slots, in order."""
    cdef Py_ssize_t table, cell, square = x.width * x.width
    for table in range(x.slots * x.copies):
        for cell in range(square):
            total[cell] += cells[table * square + cell]


cdef object occurring(const int64_t *table, const uint8_t *seen, const Pairs *x):
    """The labels that occur as a bool array, None where all do; from the counts, or from what the slots saw."""
    cdef cnp.npy_intp width = x.width
    cdef Py_ssize_t i, j
    cdef bint everyone = True
    occurs = PyArray_EMPTY(1, &width, cnp.NPY_BOOL, 0)
    cdef uint8_t *found = <uint8_t *>cnp.PyArray_DATA(<cnp.ndarray>occurs)
    for i in range(width):
        found[i] = 0
        for j in range(width if seen == NULL else x.slots):
            if (seen[j * width + i] if seen != NULL else table[i * width + j] or table[j * width + i]):
                found[i] = 1
                break
        everyone = everyone and found[i]
    return None if everyone else occurs


def count(y_true, y_pred, weight, bint wide=False):
    """(low, table, occurs): table[i, j] is the count, or the sum of the weights, of label low + i taken for low + j.

    int64, or float64 with float64 weights; occurs says which labels are there, None that all are. None instead of
    all this where the labels are no vectors of integers of one length, or lie too far apart. weight: None, or a
    contiguous vector of int64 or float64, one a sample.
    """
    cdef fm_scope _scope = fm_switch(FM_FULL)
    cdef Pairs x
    if not (read(y_true, &x.t) and read(y_pred, &x.p)):
        return None
    x.n = cnp.PyArray_SIZE(<cnp.ndarray>y_true)
    if x.n == 0 or x.n != cnp.PyArray_SIZE(<cnp.ndarray>y_pred):
        return None
    x.weight = NULL
    x.is_double = False
    if weight is not None:
        x.weight = cnp.PyArray_DATA(<cnp.ndarray?>weight)
        x.is_double = cnp.PyArray_TYPE(<cnp.ndarray>weight) == cnp.NPY_DOUBLE
    cdef int64_t low = piece(&x.t, 0, 1, &low)[0], high = low
    cdef uint64_t span
    cdef cnp.npy_intp[2] shape
    cdef int64_t *table
    cdef int64_t *cells
    cdef uint8_t *seen
    cdef void *room
    cdef bint inside, alone
    cdef bint above = is_uint64(&x.t) or is_uint64(&x.p)  # where a negative label may be one beyond int64
    cdef Py_ssize_t square, step = max(<Py_ssize_t>1, x.n // SAMPLES)
    extend(&x.t, 0, x.n, step, &low, &high)
    extend(&x.p, 0, x.n, step, &low, &high)
    for _ in range(2):  # the second one knows the whole range
        span = <uint64_t>high - <uint64_t>low
        if span >= 1 << 31 or (above and low < 0):
            return None
        x.low, x.width = low, span + 1
        square = x.width * x.width
        if square > TABLE and square > x.n and not wide:
            return None
        x.copies = COPIES if weight is None and square <= FEW and x.n > GRAIN else 1
        x.slots = min(<Py_ssize_t>SLOTS, max(<Py_ssize_t>1, x.n // max(<Py_ssize_t>GRAIN, 16 * x.copies * square)))
        alone = x.slots * x.copies == 1
        shape[0] = shape[1] = x.width
        result = cnp.PyArray_ZEROS(2, shape, cnp.NPY_DOUBLE if x.is_double else cnp.NPY_INT64, 0)
        table = <int64_t *>cnp.PyArray_DATA(<cnp.ndarray>result)
        seen = NULL
        room = NULL
        if not alone or weight is not None:
            room = calloc(x.slots * (x.copies * square * sizeof(int64_t) * (not alone) + x.width), 1)
            if room == NULL:
                raise MemoryError("no memory for the tables of counts")
        cells = table if alone else <int64_t *>room
        if weight is not None:
            seen = <uint8_t *>room + x.slots * square * sizeof(int64_t) * (not alone)
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
            return low, result, occurs
        free(room)
    return None


# --- scores --------------------------------------------------------------------------------------------------

cdef struct Faults:
    Py_ssize_t outside  # pairs of probabilities not both in [0, 1]
    Py_ssize_t uneven   # rows that do not sum to 1


cdef Py_ssize_t top_k_rows(uint8_t *hit, const real *score, const int64_t *label, Py_ssize_t k, Py_ssize_t rows,
                           Py_ssize_t n, fm_labels *rule) noexcept nogil:
    """hit (OUT), label (IN): rows; score (IN): (rows, n). Of equal scores the last one counts as the highest. Returns
    how many scores are not finite."""
    cdef Py_ssize_t i, j, above, level, strange = 0
    cdef size_t place
    cdef real own
    for i in range(rows):
        place = fm_class(label + i, n, rule)
        if place == FM_NO_CLASS:
            place = 0
        own = score[place]
        above = level = 0
        for j in range(n):  # the whole row: loops up to the label end where the processor does not expect it
            above += score[j] > own
            level += score[j] == own
            if not score[j] - score[j] == 0:
                strange += 1
        if level > 1:
            for j in range(<Py_ssize_t>place + 1, n):
                above += score[j] == own
        hit[i] = above < k
        score += n
    return strange


cdef Faults pick_rows(real *own, const real *p, const int64_t *label, double tolerance, Py_ssize_t rows,
                      Py_ssize_t n, fm_labels *rule) noexcept nogil:
    """own (OUT), label (IN): rows; p (IN): (rows, n)."""
    cdef Py_ssize_t i, j
    cdef size_t place
    cdef double even, odd
    cdef Faults faults
    faults.outside = faults.uneven = 0
    for i in range(rows):
        even = odd = 0
        for j in range(0, n - 1, 2):
            even += p[j]
            odd += p[j + 1]
            if not (p[j] >= 0 and p[j] <= 1 and p[j + 1] >= 0 and p[j + 1] <= 1):
                faults.outside += 1
        if n & 1:
            even += p[n - 1]
            if not (p[n - 1] >= 0 and p[n - 1] <= 1):
                faults.outside += 1
        faults.uneven += not fabs(even + odd - 1) <= tolerance
        place = fm_class(label + i, n, rule)
        own[i] = 0 if place == FM_NO_CLASS else p[place]
        p += n
    return faults


cdef struct Scores:
    const void *p     # (rows, n)
    const int64_t *label
    Py_ssize_t rows
    Py_ssize_t n
    bint is_double
    fm_labels rule


cdef int look_at(Scores *x, object p, object label) except -1:
    """p: (rows, n) of float32 or float64; label: rows of int64 within 0 ... n - 1; both contiguous, neither empty."""
    cdef cnp.ndarray scores = p
    x.p = cnp.PyArray_DATA(scores)
    x.label = <const int64_t *>cnp.PyArray_DATA(<cnp.ndarray?>label)
    x.rows, x.n = cnp.PyArray_DIM(scores, 0), cnp.PyArray_DIM(scores, 1)
    x.is_double = cnp.PyArray_TYPE(scores) == cnp.NPY_DOUBLE
    x.rule = fm_labels(0, False, False)
    return 0


def top_k_hits(scores, label, Py_ssize_t k):
    """Whether each row's label is among its k highest scores (bool, one a row), and how many scores are not finite."""
    cdef fm_scope _scope = fm_switch(FM_FULL)
    cdef Scores x
    cdef Py_ssize_t slot, first, rows, strange = 0
    look_at(&x, scores, label)
    hits = PyArray_EMPTY(1, <cnp.npy_intp *>&x.rows, cnp.NPY_BOOL, 0)
    cdef uint8_t *hit = <uint8_t *>cnp.PyArray_DATA(<cnp.ndarray>hits)
    cdef int me = caller(), threads = team(SCORE_COST * x.rows * x.n)
    with nogil, parallel(num_threads=threads):
        join_team(me)
        for slot in prange(SLOTS, schedule="static"):
            first = slot * x.rows // SLOTS
            rows = (slot + 1) * x.rows // SLOTS - first
            if x.is_double:
                strange += top_k_rows(hit + first, <const double *>x.p + first * x.n, x.label + first, k, rows, x.n,
                                      &x.rule)
            else:
                strange += top_k_rows(hit + first, <const float *>x.p + first * x.n, x.label + first, k, rows, x.n,
                                      &x.rule)
        leave_team()
    team_done()
    if x.rule.changed:
        _labels.refuse_changed("y_true")
    return hits, strange


def pick(p, label, double tolerance):
    """Each row's p of its label; whether any p is not in [0, 1]; how many rows do not sum to 1."""
    cdef fm_scope _scope = fm_switch(FM_FULL)
    cdef Scores x
    cdef Faults part
    cdef Py_ssize_t slot, first, rows, outside = 0, uneven = 0
    look_at(&x, p, label)
    picked = PyArray_EMPTY(1, <cnp.npy_intp *>&x.rows, cnp.NPY_DOUBLE if x.is_double else cnp.NPY_FLOAT, 0)
    cdef void *own = cnp.PyArray_DATA(<cnp.ndarray>picked)
    cdef int me = caller(), threads = team(SCORE_COST * x.rows * x.n)
    with nogil, parallel(num_threads=threads):
        join_team(me)
        for slot in prange(SLOTS, schedule="static"):
            first = slot * x.rows // SLOTS
            rows = (slot + 1) * x.rows // SLOTS - first
            if x.is_double:
                part = pick_rows(<double *>own + first, <const double *>x.p + first * x.n, x.label + first, tolerance,
                                 rows, x.n, &x.rule)
            else:
                part = pick_rows(<float *>own + first, <const float *>x.p + first * x.n, x.label + first, tolerance,
                                 rows, x.n, &x.rule)
            outside += part.outside
            uneven += part.uneven
        leave_team()
    team_done()
    if x.rule.changed:
        _labels.refuse_changed("y_true")
    return picked, outside > 0, uneven
