"""Dropout and its mask: the generator's parameters, blocks and threads.

Element i of the flattened array depends on (seed, offset + i) alone, so the cut shows in no bit and the gradient draws
the mask again. A call of at most SMALL_ELEMENTS goes straight to the primitive.
"""

import numpy as np
from cython.parallel import parallel, prange

from .. cimport _numpy as cnp
from libc.math cimport rint
from libc.stdint cimport uint8_t, uint64_t

from .. import _check

from .._check cimport as1d, ceil_div, data, fits, is_plain, result_like
from .._environment cimport FM_FLUSH, FM_FULL, fm_scope, fm_switch
from .._openmp cimport caller, join_team, leave_team, team, team_done
from .._simd cimport cache_bytes, fm_table, table_of

cnp.import_array()

ctypedef fused real:
    float
    double

cdef enum:
    SMALL_ELEMENTS = 8192
    BLOCK_ELEMENTS = 16384

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


cdef void in_blocks(real[::1] y, const real[::1] x, const Draw *d) noexcept:
    """y (OUT), x (IN), each (n,)."""
    cdef const fm_table *table = table_of(sizeof(real))
    cdef Py_ssize_t k, start, n = x.shape[0], blocks = ceil_div(n, BLOCK_ELEMENTS)
    cdef bint stream = n * sizeof(real) > cache_bytes
    cdef int me = caller(), threads = team(COST * n)
    with nogil, parallel(num_threads=threads):
        join_team(me)
        for k in prange(blocks, schedule="static"):
            start = k * BLOCK_ELEMENTS
            table.dropout_run(&y[start], &x[start], min(BLOCK_ELEMENTS, n - start), d.seed, d.offset + start,
                              d.threshold, d.scale, stream)
        leave_team()
    team_done()


cdef void mask_in_blocks(uint8_t[::1] kept, const Draw *d) noexcept:
    """kept (OUT), (n,)."""
    cdef const fm_table *table = table_of(sizeof(float))  # the same for both precisions
    cdef Py_ssize_t k, start, n = kept.shape[0], blocks = ceil_div(n, BLOCK_ELEMENTS)
    cdef int me = caller(), threads = team(COST * n)
    with nogil, parallel(num_threads=threads):
        join_team(me)
        for k in prange(blocks, schedule="static"):
            start = k * BLOCK_ELEMENTS
            table.dropout_mask_run(&kept[start], min(BLOCK_ELEMENTS, n - start), d.seed, d.offset + start,
                                   d.threshold)
        leave_team()
    team_done()


cdef int launch(cnp.ndarray y, cnp.ndarray x, const Draw *d) except -1:
    """Run on plain arrays of one shape and dtype."""
    cdef Py_ssize_t n = cnp.PyArray_SIZE(y)
    if n > SMALL_ELEMENTS:
        return launch_large(y, x, d)
    table_of(cnp.PyArray_ITEMSIZE(y)).dropout_run(data(y), data(x), n, d.seed, d.offset, d.threshold, d.scale, False)
    return 0


cdef int launch_large(cnp.ndarray y, cnp.ndarray x, const Draw *d) except -1:
    """The same by memoryviews; the cost of making room for them is no small call's."""
    if cnp.PyArray_TYPE(y) == cnp.NPY_FLOAT:
        in_blocks[float](as1d(y), as1d(x), d)
    else:
        in_blocks[double](as1d(y), as1d(x), d)
    return 0


cdef object apply(str name, object x, object p, object seed, object offset, object out):
    cdef fm_scope _scope = fm_switch(FM_FLUSH)
    cdef Draw d
    prepare(&d, p, seed, offset)
    call = None
    if not (is_plain(x) and fits(<cnp.ndarray>x, out)):
        call = _check.arrange((name,), (x,), None, out, c_order=True)
        (x,), out = call.arrays, call.out
    y = result_like(<cnp.ndarray>x, out)
    launch(y, <cnp.ndarray>x, &d)
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
        mask_in_blocks(kept.reshape(-1).view(np.uint8), &d)
    return kept
