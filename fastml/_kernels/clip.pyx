"""The norm of a list of arrays and its bound, the bound of each element, and the scale of a loss undone; updates.pxd
has the checks, the cut and the threads.

The sum of squares is cut so that anyone can take it piece by piece to the same bits. An array is cut into chunks of
CHUNK_BYTES from its own start (4096 floats, 2048 doubles; the last one shorter). Each chunk has its `square_sum` in
double, in a place of its own, whoever computes it. The chunks of an array are joined in order (gain_squares), and so
are the arrays.
"""

from libc.float cimport DBL_MAX, DBL_MIN
from libc.math cimport INFINITY

from .. import _check

from .._environment cimport FM_FLUSH, FM_FULL, fm_scope, fm_switch
from .._memory cimport free_lines, lines
from .._simd cimport fm_tally, fm_tally_sum, table_of
from .updates cimport CHUNK_BYTES, Place, Places, as_tuple, elements, finish, gain_squares, norm_of, place, run

cdef enum:
    LOCAL_CHUNKS = 512  # whose sums fit on the stack

cdef tuple NAMES = ("grads", "", "", "", "")
cdef double COST = 0.02  # nanoseconds a byte on one thread, for the sum as for the scaling


cdef void sum_chunks(const Place *at, size_t first, size_t last, const void *step) noexcept nogil:
    cdef double *sums = (<double **>step)[0] + at.start // CHUNK_BYTES
    cdef size_t n
    while first < last:
        n = min(<size_t>CHUNK_BYTES, last - first)
        sums[first // CHUNK_BYTES] = table_of(at.itemsize).square_sum(at.p + first, elements(at, first, first + n))
        first += n


cdef void scale(const Place *at, size_t first, size_t last, const void *step) noexcept nogil:
    cdef double factor = (<const double *>step)[0]
    table_of(at.itemsize).scale_run(at.p + first, elements(at, first, last), factor)


cdef double total(const Places *here, const double *sums) noexcept nogil:
    cdef fm_tally all_arrays = fm_tally(0, 0), array
    cdef size_t first, chunk
    cdef Py_ssize_t i
    for i in range(here.count):
        array = fm_tally(0, 0)
        first = here.at[i].start // CHUNK_BYTES
        for chunk in range(first, first + (here.at[i].bytes + CHUNK_BYTES - 1) // CHUNK_BYTES):
            gain_squares(&array, sums[chunk])
        gain_squares(&all_arrays, fm_tally_sum(&array))
    return fm_tally_sum(&all_arrays)


cdef double bound(object value, str name) except -1:
    if type(value) is float and value >= 0:
        return value
    return _check.number(value, name, 0, INFINITY)


def clip_grad_norm(grads, max_norm):
    cdef fm_scope _scope = fm_switch(FM_FULL)
    cdef Places here
    cdef double local[LOCAL_CHUNKS]
    cdef double *sums = local
    cdef double norm, factor, most = bound(max_norm, "max_norm")
    grads = as_tuple(grads, "grads", -1)  # whose arrays stay while others change the list
    held = place(&here, CHUNK_BYTES, NAMES, <tuple>grads, None, None, None, None)
    if here.extent > LOCAL_CHUNKS * CHUNK_BYTES:
        sums = <double *>lines(here.extent // CHUNK_BYTES * sizeof(double))
        if sums == NULL:
            finish(&here, held)
            raise MemoryError
    with nogil:
        run(&here, COST, sum_chunks, &sums)
        norm = norm_of(total(&here, sums))
        factor = most / (norm + 1e-6)
        if not factor >= 1:  # also where it is NaN
            fm_switch(FM_FLUSH)
            run(&here, COST, scale, &factor)
            fm_switch(FM_FULL)
    if sums != local:
        free_lines(sums)
    finish(&here, held)
    return norm


cdef void clip_elements(const Place *at, size_t first, size_t last, const void *step) noexcept nogil:
    cdef double most = (<const double *>step)[0]
    table_of(at.itemsize).clip_run(at.p + first, elements(at, first, last), most)


def clip_grad_value(grads, clip_value):
    cdef fm_scope _scope = fm_switch(FM_FLUSH)
    cdef Places here
    cdef double most = bound(clip_value, "clip_value")
    grads = as_tuple(grads, "grads", -1)  # whose arrays stay while others change the list
    held = place(&here, CHUNK_BYTES, NAMES, <tuple>grads, None, None, None, None)
    with nogil:
        run(&here, COST, clip_elements, &most)
    finish(&here, held)


cdef struct Unscale:
    double factor
    int *found        # set where an element is not finite


cdef void unscale(const Place *at, size_t first, size_t last, const void *step) noexcept nogil:
    cdef const Unscale *s = <const Unscale *>step
    if not table_of(at.itemsize).unscale_run(at.p + first, elements(at, first, last), s.factor):
        s.found[0] = 1


def unscale_grads(grads, divisor):
    cdef fm_scope _scope = fm_switch(FM_FULL)
    cdef Places here
    cdef Unscale s
    cdef int found = 0
    s.factor = 1 / _check.number(divisor, "scale", DBL_MIN, DBL_MAX)
    s.found = &found
    grads = as_tuple(grads, "grads", -1)  # whose arrays stay while others change the list
    held = place(&here, CHUNK_BYTES, NAMES, <tuple>grads, None, None, None, None)
    with nogil:
        run(&here, COST, unscale, &s)
    finish(&here, held)
    return not found
