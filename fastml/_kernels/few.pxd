"""Few labels: 0 ... 31, counted in words of several (src_c/pairs.h), up to 4096 samples of them on the stack.

How few they are is guessed from some of the samples. A label that lies outside is seen while it is counted, and all are
looked at then. The table's width is a power of two: what is returned are the rows and columns of the labels that occur,
or of those that were asked for.
"""

from .. cimport _numpy as cnp
from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from .._memory cimport new_array
from .._simd cimport fm_label
from .labels cimport BLOCK_LABELS, Labels, block, read
from .pairs cimport CHUNK_LABELS, FEW_CELLS, Pairs, are_flat, cut, fill, join, tally_chunk

cdef extern from "pairs.h" nogil:
    uint64_t fm_small_label(const char *p, size_t bytes)
    uint64_t fm_labels_bits(const char *p, size_t n, size_t bytes)

cdef enum:
    FEW_BITS = 5       # of labels whose table has at most FEW_CELLS
    FEW_LABELS = 1 << FEW_BITS
    LOOK_LABELS = 64   # from which their bits are guessed, in a table on the stack
    LOOK_LONGER = 512  # where a wrong guess costs more


cdef inline bint set_few(Pairs *x, uint64_t some) noexcept:
    """For labels with no other bits than these, if they are few."""
    if some >= FEW_LABELS:
        return False
    x.low, x.bits = 0, 1
    while some >> x.bits:
        x.bits += 1
    x.width = 1 << x.bits
    cut(x)
    return True


cdef inline bint count_few(Pairs *x, int64_t *total) except -1:
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


cdef inline bint few_inside(Pairs *x, int64_t *total) except -1:
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


cdef inline Py_ssize_t occurring_few(uint8_t *kept, const int64_t *table, Py_ssize_t width) noexcept nogil:
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


cdef inline object part_of_few(const int64_t *table, Py_ssize_t width, const uint8_t *kept, Py_ssize_t n):
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


cdef inline object counted_few(const int64_t *table, Py_ssize_t width):
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


cdef inline object chosen_of_few(const int64_t *table, Py_ssize_t width, object labels):
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
