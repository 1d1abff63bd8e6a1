"""The norm of a list of arrays and its bound, the bound of each element, and the scale of a loss undone; updates.pxd
has the checks, the cut and the threads.

The sum of squares is cut so that anyone can take it piece by piece to the same bits: an array in blocks of
CHUNK bytes from its own start (4096 floats, 2048 doubles; the last one shorter), `square_sum` of each block in
double, the blocks of an array joined in order (gain_squares), and so the arrays to each other. Blocks have fixed
places, whoever computes them.
"""

from libc.float cimport DBL_MAX, DBL_MIN
from libc.math cimport INFINITY
from libc.stdlib cimport free, malloc

from .. import _check

from .._environment cimport FM_FLUSH, FM_FULL, fm_scope, fm_switch
from .._simd cimport fm32, fm64, fm_tally, fm_tally_sum
from .updates cimport CHUNK, Place, Places, as_tuple, finish, gain_squares, norm_of, place, run

cdef enum:
    BLOCKS = 512      # whose sums fit on the stack

cdef tuple NAMES = ("grads", "", "", "", "")
cdef double COST = 0.02  # nanoseconds a byte on one thread, for the sum as for the scaling


cdef void sum_blocks(const Place *at, size_t first, size_t last, const void *step) noexcept nogil:
    cdef double *sums = (<double **>step)[0] + at.start // CHUNK
    cdef size_t n
    while first < last:
        n = min(<size_t>CHUNK, last - first)
        if at.is_double:
            sums[first // CHUNK] = fm64.square_sum(<const double *>(at.p + first), n // 8)
        else:
            sums[first // CHUNK] = fm32.square_sum(<const float *>(at.p + first), n // 4)
        first += n


cdef void scale(const Place *at, size_t first, size_t last, const void *step) noexcept nogil:
    cdef double factor = (<const double *>step)[0]
    if at.is_double:
        fm64.scale_run(<double *>(at.p + first), (last - first) // 8, factor)
    else:
        fm32.scale_run(<float *>(at.p + first), (last - first) // 4, <float>factor)


cdef double total(const Places *here, const double *sums) noexcept nogil:
    cdef fm_tally all_arrays = fm_tally(0, 0), array
    cdef size_t block
    cdef Py_ssize_t i
    for i in range(here.count):
        array = fm_tally(0, 0)
        for block in range(here.at[i].start // CHUNK, (here.at[i].start + here.at[i].bytes + CHUNK - 1) // CHUNK):
            gain_squares(&array, sums[block])
        gain_squares(&all_arrays, fm_tally_sum(&array))
    return fm_tally_sum(&all_arrays)


cdef double bound(object value, str name) except -1:
    if type(value) is float and value >= 0:
        return value
    return _check.number(value, name, 0, INFINITY)


def clip_grad_norm(grads, max_norm):
    cdef fm_scope _scope = fm_switch(FM_FULL)
    cdef Places here
    cdef double local[BLOCKS]
    cdef double *sums = local
    cdef double norm, factor, most = bound(max_norm, "max_norm")
    held = place(&here, CHUNK, NAMES, as_tuple(grads, "grads", -1), None, None, None, None)
    if here.extent > BLOCKS * CHUNK:
        sums = <double *>malloc(here.extent // CHUNK * sizeof(double))
        if sums == NULL:
            finish(&here, held)
            raise MemoryError
    with nogil:
        run(&here, COST, sum_blocks, &sums)
        norm = norm_of(total(&here, sums))
        factor = most / (norm + 1e-6)
        if not factor >= 1:  # also where it is NaN
            fm_switch(FM_FLUSH)
            run(&here, COST, scale, &factor)
            fm_switch(FM_FULL)
    if sums != local:
        free(sums)
    finish(&here, held)
    return norm


cdef void clip_elements(const Place *at, size_t first, size_t last, const void *step) noexcept nogil:
    cdef double most = (<const double *>step)[0]
    if at.is_double:
        fm64.clip_run(<double *>(at.p + first), (last - first) // 8, most)
    else:
        fm32.clip_run(<float *>(at.p + first), (last - first) // 4, <float>most)


def clip_grad_value(grads, clip_value):
    cdef fm_scope _scope = fm_switch(FM_FLUSH)
    cdef Places here
    cdef double most = bound(clip_value, "clip_value")
    held = place(&here, CHUNK, NAMES, as_tuple(grads, "grads", -1), None, None, None, None)
    with nogil:
        run(&here, COST, clip_elements, &most)
    finish(&here, held)


cdef struct Unscale:
    double factor
    int *found        # set where an element is not finite


cdef void unscale(const Place *at, size_t first, size_t last, const void *step) noexcept nogil:
    cdef const Unscale *s = <const Unscale *>step
    cdef bint finite
    if at.is_double:
        finite = fm64.unscale_run(<double *>(at.p + first), (last - first) // 8, s.factor)
    else:
        finite = fm32.unscale_run(<float *>(at.p + first), (last - first) // 4, <float>s.factor)
    if not finite:
        s.found[0] = 1


def unscale_grads(grads, divisor):
    cdef fm_scope _scope = fm_switch(FM_FULL)
    cdef Places here
    cdef Unscale s
    cdef int found = 0
    s.factor = 1 / _check.number(divisor, "scale", DBL_MIN, DBL_MAX)
    s.found = &found
    held = place(&here, CHUNK, NAMES, as_tuple(grads, "grads", -1), None, None, None, None)
    with nogil:
        run(&here, COST, unscale, &s)
    finish(&here, held)
    return not found
