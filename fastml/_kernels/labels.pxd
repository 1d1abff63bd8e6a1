"""Labels as they lie in an array: integers of any width, sign and stride, read as int64 a block at a time.

Labels that are int64 and contiguous are read where they lie. All others are widened before, BLOCK_LABELS at a time into
a room on the stack.

What is here stands inline in the kernel that reads: a label costs no call.
"""

from .. cimport _numpy as cnp
from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t

ctypedef fused integer:
    int8_t
    uint8_t
    int16_t
    uint16_t
    int32_t
    uint32_t
    int64_t

cdef enum:
    BLOCK_LABELS = 512  # widened at a time

cdef struct Labels:
    const char *p
    Py_ssize_t step   # bytes
    int bytes
    bint is_signed


cdef inline bint read(object y, Labels *at) noexcept:
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


cdef inline const int64_t *block(const Labels *y, Py_ssize_t first, Py_ssize_t n, int64_t *room) noexcept nogil:
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


cdef inline void extend(const Labels *y, Py_ssize_t first, Py_ssize_t last, Py_ssize_t step, int64_t *low,
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
