"""SGD over lists of arrays in one call: checks, cut and threads.

The parameters, one after the other and each rounded up to CUT_AT bytes, are cut every CHUNK bytes, so a team
shares many small arrays as well as a large one. The cut depends on the shapes alone and, elements being
independent, shows in no bit.
"""

from cython.parallel import parallel, prange

cimport numpy as cnp
from libc.float cimport DBL_MAX
from libc.stdlib cimport free, malloc

from .. import _check

from .._check cimport PyArray_ISCARRAY, alike, apart, is_plain
from .._openmp cimport caller_cpu, join_team, team, team_done
from .._simd cimport fm32, fm64

cnp.import_array()

cdef enum:
    LOCAL = 32        # arrays whose places fit on the stack
    CUT_AT = 64       # bytes: a cut leaves whole vectors on both sides
    CHUNK = 16384     # bytes of parameters

cdef double COST = 0.04  # nanoseconds a byte of parameters on one thread

cdef struct Place:
    char *p           # parameter (IN, OUT)
    char *v           # velocity (IN, OUT), NULL without momentum
    const char *g     # gradient (IN)
    size_t bytes
    size_t start      # where it lies among all of them, a multiple of CUT_AT
    bint is_double

cdef struct Step:
    double lr, momentum, damp, decay, sign
    bint nesterov


cdef inline void update(const Place *at, size_t first, size_t last, const Step *s) noexcept nogil:
    """Bytes first ... last of one array."""
    cdef char *v = NULL if at.v == NULL else at.v + first
    if at.is_double:
        fm64.sgd_run(<double *>(at.p + first), <double *>v, <const double *>(at.g + first), (last - first) // 8,
                     s.lr, s.momentum, s.damp, s.decay, s.sign, s.nesterov)
    else:
        fm32.sgd_run(<float *>(at.p + first), <float *>v, <const float *>(at.g + first), (last - first) // 4,
                     <float>s.lr, <float>s.momentum, <float>s.damp, <float>s.decay, <float>s.sign, s.nesterov)


cdef void update_chunk(const Place *places, Py_ssize_t count, size_t start, const Step *s) noexcept nogil:
    """The CHUNK bytes from `start`, across as many arrays as they touch."""
    cdef Py_ssize_t low = 0, high = count, middle
    cdef size_t stop = start + CHUNK, first
    while high - low > 1:  # the last array that starts at or before `start`
        middle = (low + high) // 2
        if places[middle].start <= start:
            low = middle
        else:
            high = middle
    while low < count and places[low].start < stop:
        first = start - places[low].start if start > places[low].start else 0
        if first < places[low].bytes:
            update(&places[low], first, min(places[low].bytes, stop - places[low].start), s)
        low += 1


cdef void run(const Place *places, Py_ssize_t count, size_t total, const Step *s) noexcept nogil:
    cdef Py_ssize_t i, chunks = (total + CHUNK - 1) // CHUNK
    cdef int cpu, threads = team(COST * total)
    if threads == 1:
        for i in range(count):
            update(&places[i], 0, places[i].bytes, s)
        team_done()
        return
    cpu = caller_cpu()
    with parallel(num_threads=threads):
        join_team(cpu)
        for i in prange(chunks, schedule="static"):
            update_chunk(places, count, i * CHUNK, s)
    team_done()


cdef inline double option(object value, str name, double low) except? -1:
    """A finite number >= low."""
    if type(value) is float and low <= value <= DBL_MAX:
        return value
    return _check.number(value, name, low, DBL_MAX)


cdef bint gather(Place *places, size_t *total, tuple params, tuple grads, tuple velocities,
                 bint momentum) noexcept:
    """Fill the places; False where an array needs the slow path."""
    cdef Py_ssize_t i
    cdef size_t start = 0
    cdef cnp.ndarray p, g, v
    for i in range(len(params)):
        if not (is_plain(params[i]) and PyArray_ISCARRAY(<cnp.ndarray>params[i])):
            return False
        p = <cnp.ndarray>params[i]
        if not alike(p, grads[i]):
            return False
        g = <cnp.ndarray>grads[i]
        if not apart(p, g):
            return False
        places[i].v = NULL
        if velocities is not None:
            if not (alike(p, velocities[i]) and PyArray_ISCARRAY(<cnp.ndarray>velocities[i])):
                return False
            v = <cnp.ndarray>velocities[i]
            if not (apart(p, v) and apart(g, v)) or (cnp.PyArray_BYTES(p) == cnp.PyArray_BYTES(v)
                                                     and cnp.PyArray_NBYTES(p) > 0):
                return False
            if momentum:
                places[i].v = cnp.PyArray_BYTES(v)
        places[i].p = cnp.PyArray_BYTES(p)
        places[i].g = cnp.PyArray_BYTES(g)
        places[i].bytes = cnp.PyArray_NBYTES(p)
        places[i].start = start
        places[i].is_double = cnp.PyArray_TYPE(p) == cnp.NPY_DOUBLE
        start += (places[i].bytes + CUT_AT - 1) // CUT_AT * CUT_AT
    total[0] = start
    return True


cdef inline tuple as_tuple(object arrays, str name, Py_ssize_t count):
    """A list or tuple of `count` arrays as a tuple, which holds them while the lock is released."""
    if not isinstance(arrays, (list, tuple)):
        raise TypeError(f"{name} must be a list of arrays, not {type(arrays).__name__}")
    cdef tuple given = tuple(arrays)
    if count >= 0 and len(given) != count:
        raise ValueError(f"{name} must have one array for each of params, {count}, not {len(given)}")
    return given


def sgd_step(params, grads, velocities, lr, momentum, dampening, weight_decay, bint nesterov, bint maximize):
    cdef Step s
    cdef Place local[LOCAL]
    cdef Place *places = local
    cdef size_t total = 0
    s.lr = option(lr, "lr", 0)
    s.momentum = option(momentum, "momentum", 0)
    s.damp = 1 - option(dampening, "dampening", -DBL_MAX)
    s.decay = option(weight_decay, "weight_decay", 0)
    s.sign = -1 if maximize else 1
    s.nesterov = nesterov
    if nesterov and (s.momentum == 0 or s.damp != 1):
        raise ValueError("nesterov needs momentum > 0 and dampening = 0")
    cdef tuple p = as_tuple(params, "params", -1)
    cdef Py_ssize_t count = len(p)
    cdef tuple g = as_tuple(grads, "grads", count)
    cdef tuple v = None if velocities is None else as_tuple(velocities, "velocities", count)
    if s.momentum != 0 and v is None:
        raise ValueError("velocities are needed with momentum, not None")
    copies = ()
    if count > LOCAL:
        places = <Place *>malloc(count * sizeof(Place))
        if places == NULL:
            raise MemoryError
    try:
        if not gather(places, &total, p, g, v, s.momentum != 0):
            (p, v), (g,), copies = _check.arrange_update(
                ("params", "velocities"), (p, v), ("grads",), (g,)
            )
            gather(places, &total, p, g, v, s.momentum != 0)
        with nogil:
            run(places, count, total, &s)
    finally:
        if places != local:
            free(places)
    for array, copy in copies:
        array[...] = copy
