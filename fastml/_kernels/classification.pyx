"""Counts over pairs of labels: of one call, and of a stream whose counts several threads add to.

Reading, counting and the short way of few labels have rooms of their own: labels.pxd, pairs.pxd, few.pxd. They stand
inline here, in one module, since a module takes 8 KB.

Other labels than few need a table of their range. `count` takes the range of about a thousand samples spread over the
arrays, counts, and only where a label lies outside finds the whole range and counts again. A stream's samples are
counted apart and added at once, by one thread at a time (`Tally`).
"""

import os

from cpython.pythread cimport (
    NOWAIT_LOCK, WAIT_LOCK, PyThread_acquire_lock, PyThread_allocate_lock, PyThread_get_thread_ident,
    PyThread_release_lock, PyThread_type_lock,
)
from .. cimport _numpy as cnp
from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.stdlib cimport calloc, free

from .._environment cimport FM_FULL, fm_scope, fm_switch
from .._memory cimport new_array
from .few cimport FEW_LABELS, chosen_of_few, count_few, counted_few, occurring_few, part_of_few
from .labels cimport block, is_uint64
from .pairs cimport (
    CHUNK_LABELS, FEW_CELLS, Pairs, are_flat, cut, extend_both, fill, join, read_pairs, tally_chunk, whole_range,
)

cnp.import_array()

cdef extern from "pairs.h" nogil:
    size_t fm_equal_labels(const char *a, const char *b, size_t n, size_t bytes)

cdef enum:
    TABLE_CELLS = 1 << 14  # that a table may have whatever the number of samples
    RANGE_LABELS = 1024    # from which the range is guessed
    EQUAL_LABELS = 10000   # of 4 bytes or more, compared here


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
    extend_both(&x, 0, x.n, step, &low, &high)
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
            extend_both(x, 0, x.n, 1, &low, &high)
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
