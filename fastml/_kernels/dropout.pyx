"""Dropout and its mask: the generator's parameters, blocks and threads.

Element i of the flattened array depends on (seed, offset + i) alone, so the cut shows in no bit and the
gradient draws the mask again. A call of at most SMALL elements goes straight to the primitive.
"""

import numpy as np
from cython.parallel import parallel, prange

cimport numpy as cnp
from libc.math cimport rint
from libc.stdint cimport uint8_t, uint64_t

from .. import _check

from .._check cimport as1d, fits, is_plain, result_like
from .._environment cimport FM_FLUSH, FM_FULL, fm_scope, fm_switch
from .._openmp cimport caller, join_team, leave_team, team, team_done
from .._simd cimport cache_bytes, fm32, fm64

cnp.import_array()

ctypedef fused real:
    float
    double

cdef enum:
    SMALL = 8192      # elements
    BLOCK = 16384     # elements

cdef double COST = 0.5  # nanoseconds an element on one thread

cdef struct Draw:
    uint64_t seed
    uint64_t offset
    uint64_t threshold  # kept where the word is >= this: 0 ... 2^32
    double scale


cdef int prepare(Draw *d, object p, object seed, object offset) except -1:
    """Check the options and translate them."""
    cdef double q
    if type(p) is not float or not 0.0 <= p <= 1.0:
        p = _check.number(p, "p", 0, 1)
    q = p
    d.seed = _check.integer(seed, "seed", 0, 0xFFFFFFFFFFFFFFFF)
    d.offset = _check.integer(offset, "offset", 0, 0xFFFFFFFFFFFFFFFF)
    d.threshold = <uint64_t>rint(q * 4294967296.0)
    d.scale = 1.0 / (1.0 - q) if q < 1.0 else 0.0
    return 0


cdef inline void block(real *y, const real *x, size_t n, const Draw *d, size_t start, bint stream) noexcept nogil:
    """y (OUT), x (IN): n elements, the first of which is element `start` of the array."""
    if real is float:
        fm32.dropout_run(y, x, n, d.seed, d.offset + start, d.threshold, <float>d.scale, stream)
    else:
        fm64.dropout_run(y, x, n, d.seed, d.offset + start, d.threshold, d.scale, stream)


cdef void run(real[::1] y, const real[::1] x, const Draw *d) noexcept:
    """y (OUT), x (IN), each (n,)."""
    cdef Py_ssize_t i, n = x.shape[0], blocks = (n + BLOCK - 1) // BLOCK
    cdef bint stream = n * sizeof(real) > cache_bytes
    cdef int me = caller(), threads = team(COST * n)
    with nogil, parallel(num_threads=threads):
        join_team(me)
        for i in prange(blocks, schedule="static"):
            block(&y[i * BLOCK], &x[i * BLOCK], min(BLOCK, n - i * BLOCK), d, i * BLOCK, stream)
        leave_team()
    team_done()


cdef void run_mask(uint8_t[::1] kept, const Draw *d) noexcept:
    """kept (OUT), (n,)."""
    cdef Py_ssize_t i, n = kept.shape[0], blocks = (n + BLOCK - 1) // BLOCK
    cdef int me = caller(), threads = team(COST * n)
    with nogil, parallel(num_threads=threads):
        join_team(me)
        for i in prange(blocks, schedule="static"):
            fm32.dropout_mask_run(&kept[i * BLOCK], min(BLOCK, n - i * BLOCK), d.seed, d.offset + i * BLOCK,
                                  d.threshold)
        leave_team()
    team_done()


cdef object apply(str name, object x, object p, object seed, object offset, object out):
    cdef fm_scope _scope = fm_switch(FM_FLUSH)
    cdef Draw d
    cdef cnp.ndarray y
    cdef Py_ssize_t n
    prepare(&d, p, seed, offset)
    call = None
    if not (is_plain(x) and fits(<cnp.ndarray>x, out)):
        call = _check.arrange((name,), (x,), None, out, c_order=True)
        (x,), out = call.arrays, call.out
    y = result_like(<cnp.ndarray>x, out)
    n = cnp.PyArray_SIZE(y)
    if cnp.PyArray_TYPE(y) == cnp.NPY_FLOAT:
        if n <= SMALL:
            block(<float *>cnp.PyArray_DATA(y), <const float *>cnp.PyArray_DATA(<cnp.ndarray>x), n, &d, 0, False)
        else:
            run[float](as1d(y), as1d(<cnp.ndarray>x), &d)
    elif n <= SMALL:
        block(<double *>cnp.PyArray_DATA(y), <const double *>cnp.PyArray_DATA(<cnp.ndarray>x), n, &d, 0, False)
    else:
        run[double](as1d(y), as1d(<cnp.ndarray>x), &d)
    return y if call is None else call.finish(y)


def dropout(x, p, seed, offset, out):
    return apply("x", x, p, seed, offset, out)


def dropout_backward(grad, p, seed, offset, out):
    return apply("grad", grad, p, seed, offset, out)


def dropout_mask(shape, p, seed, offset):
    cdef fm_scope _scope = fm_switch(FM_FULL)
    cdef Draw d
    shape = _check.shape_tuple(shape)
    prepare(&d, p, seed, offset)
    kept = np.empty(shape, bool)
    if kept.size:
        run_mask(kept.reshape(-1).view(np.uint8), &d)
    return kept
