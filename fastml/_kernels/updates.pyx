"""Updates of lists of arrays in place: checks, cut and threads; updates.pxd says how they are used."""

from cython.parallel import parallel

from .. cimport _numpy as cnp
from libc.float cimport DBL_MAX
from libc.stdlib cimport free, malloc, qsort

from .. import _check, _updates

from .._check cimport PyArray_ISCARRAY, alike, is_plain, same_or_apart
from .._openmp cimport fm_work, join_team, leave_team, next_block, share_work, team, team_done

cnp.import_array()


cdef void update_block(const Places *here, size_t start, Update update, const void *step) noexcept nogil:
    """The BLOCK_BYTES from `start`, across as many arrays as they touch."""
    cdef Py_ssize_t low = 0, high = here.count, middle
    cdef size_t stop = start + BLOCK_BYTES, first
    cdef const Place *at
    while high - low > 1:  # the last array that starts at or before `start`
        middle = (low + high) // 2
        if here.at[middle].start <= start:
            low = middle
        else:
            high = middle
    while low < here.count and here.at[low].start < stop:
        at = &here.at[low]
        first = start - at.start if start > at.start else 0
        if first < at.bytes:
            update(at, first, min(at.bytes, stop - at.start), step)
        low += 1


cdef void run(const Places *here, double cost, Update update, const void *step) noexcept nogil:
    cdef fm_work work
    cdef Py_ssize_t i = 0, blocks = (here.extent + BLOCK_BYTES - 1) // BLOCK_BYTES
    cdef int threads = team(cost * here.bytes)
    if threads == 1:
        for i in range(here.count):
            update(&here.at[i], 0, here.at[i].bytes, step)
        team_done()
        return
    share_work(&work, blocks, threads)
    with parallel(num_threads=threads):
        i = join_team(&work)
        while i >= 0:
            update_block(here, i * BLOCK_BYTES, update, step)
            i = next_block(&work)
        leave_team()
    team_done()


cdef double option(object value, str name, double low) except? -1:
    if type(value) is float and low <= value <= DBL_MAX:
        return value
    return _check.number(value, name, low, DBL_MAX)


cdef tuple as_tuple(object arrays, str name, Py_ssize_t count):
    cdef tuple given = tuple(arrays) if isinstance(arrays, (list, tuple)) else None
    if given is None or (count >= 0 and len(given) != count):
        _updates.refuse_arrays(arrays if given is None else given, name, count)
    return given


cdef tuple maybe_tuple(object arrays, str name, Py_ssize_t count):
    return None if arrays is None else as_tuple(arrays, name, count)


cdef inline bint touch(const char *a, const char *b, size_t size) noexcept:
    """Two runs of so many bytes share memory; b may be NULL."""
    return b != NULL and a < b + size and b < a + size


cdef bint add_state(char **to, Place *at, cnp.ndarray p, cnp.ndarray g, tuple states, Py_ssize_t i) noexcept:
    """Point to p's state, if there are states; False where it cannot be updated beside p and what p has, from g."""
    cdef char *data
    if states is None:
        return True
    if not (alike(p, states[i]) and PyArray_ISCARRAY(<cnp.ndarray>states[i])):
        return False
    data = cnp.PyArray_BYTES(<cnp.ndarray>states[i])
    if touch(data, at.p, at.bytes) or touch(data, at.u, at.bytes) or touch(data, at.v, at.bytes):
        return False
    to[0] = data
    return g is None or same_or_apart(g, <cnp.ndarray>states[i])


cdef bint gather(Places *here, size_t cut, tuple params, tuple grads, tuple us, tuple vs, tuple ws) noexcept:
    """Fill the places; False where an array needs the slow path."""
    cdef Py_ssize_t i
    cdef cnp.ndarray p, g = None
    cdef Place *at
    here.bytes = here.extent = 0
    for i in range(here.count):
        if not (is_plain(params[i]) and PyArray_ISCARRAY(<cnp.ndarray>params[i])):
            return False
        p = <cnp.ndarray>params[i]
        at = &here.at[i]
        at.g = at.u = at.v = at.w = NULL
        at.p = cnp.PyArray_BYTES(p)
        at.bytes = cnp.PyArray_NBYTES(p)
        if grads is not None:
            if not (alike(p, grads[i]) and same_or_apart(p, <cnp.ndarray>grads[i])):
                return False
            g = <cnp.ndarray>grads[i]
            at.g = cnp.PyArray_BYTES(g)
        if not (add_state(&at.u, at, p, g, us, i) and add_state(&at.v, at, p, g, vs, i)
                and add_state(&at.w, at, p, g, ws, i)):
            return False
        at.start = here.extent
        at.itemsize = cnp.PyArray_ITEMSIZE(p)
        here.bytes += at.bytes
        here.extent += (at.bytes + cut - 1) // cut * cut
    return True


# Where an array begins, and where it ends; that is a multiple of 4, and one more where the array is written.
cdef struct Span:
    size_t first
    size_t end

cdef enum:
    FEW_SPANS = 64  # are put in order one by one


cdef int by_first(const void *a, const void *b) noexcept nogil:
    cdef size_t x = (<const Span *>a).first, y = (<const Span *>b).first
    return (x > y) - (x < y)


cdef inline void add_span(Span *spans, Py_ssize_t *n, const char *data, size_t size, bint written) noexcept:
    """Where there are few, in its place in the order of their beginnings."""
    cdef Py_ssize_t i = n[0]
    if data == NULL:
        return
    while FEW_SPANS > i > 0 and spans[i - 1].first > <size_t>data:
        spans[i] = spans[i - 1]
        i -= 1
    spans[i].first, spans[i].end = <size_t>data, <size_t>data + size + written
    n[0] += 1


cdef bint all_apart(const Places *here) except -1:
    """No array that is written shares memory with another, but for a gradient that is what its own parameter has."""
    cdef Span local[ARRAYS * LOCAL_ARRAYS]
    cdef Span *spans = local
    cdef const Place *at
    cdef size_t end = 0, written_end = 0, last
    cdef Py_ssize_t i, n = 0
    cdef bint free_of_others = True
    if here.count > LOCAL_ARRAYS:
        spans = <Span *>malloc(ARRAYS * here.count * sizeof(Span))
        if spans == NULL:
            raise MemoryError
    for i in range(here.count):
        at = &here.at[i]
        add_span(spans, &n, at.p, at.bytes, True)
        add_span(spans, &n, at.u, at.bytes, True)
        add_span(spans, &n, at.v, at.bytes, True)
        add_span(spans, &n, at.w, at.bytes, True)
        if at.g != at.p and at.g != at.u and at.g != at.v and at.g != at.w:
            add_span(spans, &n, at.g, at.bytes, False)
    if n > FEW_SPANS:
        qsort(spans, n, sizeof(Span), by_first)
    for i in range(n):
        last = spans[i].end & ~<size_t>1
        if spans[i].first < (end if spans[i].end & 1 else written_end):
            free_of_others = False
            break
        end = max(end, last)
        if spans[i].end & 1:
            written_end = max(written_end, last)
    if spans != local:
        free(spans)
    return free_of_others


cdef int begin(Places *here, Py_ssize_t count) except -1:
    here.count = count
    here.at = here.local
    if count > LOCAL_ARRAYS:
        here.at = <Place *>malloc(count * sizeof(Place))
        if here.at == NULL:
            raise MemoryError
    return 0


cdef inline void release(Places *here) noexcept:
    if here.at != here.local:
        free(here.at)


cdef object place(Places *here, size_t cut, tuple names, tuple p, tuple g, tuple u, tuple v, tuple w):
    begin(here, len(p))
    if gather(here, cut, p, g, u, v, w) and (here.count == 1 or all_apart(here)):
        return None
    try:
        held = _check.arrange_update(
            names[:1] + names[2:], (p, u, v, w), () if g is None else names[1:2], () if g is None else (g,)
        )
        (p, u, v, w), read, _ = held
        gather(here, cut, p, read[0] if read else None, u, v, w)
    except BaseException:
        release(here)
        raise
    return held


cdef int finish(Places *here, object held) except -1:
    release(here)
    if held is not None:
        for array, copy in held[2]:
            array[...] = copy
    return 0


def takes_as_they_are(list params, list grads):
    """Whether an update can read and write all these arrays in place. Where not, it looks closer, or refuses."""
    cdef Places here
    begin(&here, len(params))
    taken = gather(&here, CUT_BYTES, tuple(params), tuple(grads), None, None, None) and all_apart(&here)
    release(&here)
    return taken
