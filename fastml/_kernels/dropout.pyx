"""Dropout and its mask: the generator's parameters, blocks and threads.

Element i of the flattened array depends on (seed, offset + i) alone, so the cut shows in no bit and the gradient draws
the mask again. A layer keeps one bit an element instead (`dropout_keeping`), of which its gradient is made by
`dropout_kept`. A call of at most SMALL_ELEMENTS goes straight to the primitive.
"""

import numpy as np
cimport cython
from cython.parallel import parallel

from .. cimport _numpy as cnp
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.math cimport rint
from libc.stdint cimport uint8_t, uint64_t

from .. import _check
from .._memory import empty

from .._check cimport as1d, ceil_div, data, fits, is_plain, real_number, result_like
from .._environment cimport FM_FLUSH, FM_FULL, fm_scope, fm_switch
from .._openmp cimport fm_work, join_team, leave_team, next_block, share_work, team, team_done
from .._simd cimport cache_bytes, fm_table, table_of

cnp.import_array()

ctypedef fused real:
    float
    double

cdef enum:
    SMALL_ELEMENTS = 8192
    BLOCK_ELEMENTS = 16384  # so many bits are whole bytes
    SPARE_BYTES = 4         # behind the bits, which are read by fours
    LARGE_ELEMENTS = 131072  # of fewer nn/_reuse.py keeps no array

# Nanoseconds an element on one thread: to draw, and by the bits.
cdef double COST = 0.3, KEPT_COST = 0.1

cdef struct Draw:
    uint64_t seed
    uint64_t offset
    uint64_t threshold  # kept where the word is >= this: 0 ... 2^32
    double scale
    uint8_t *kept       # a bit an element is written here, or NULL
    bint drawn          # the bits are there: read them


@cython.final
@cython.auto_pickle(False)
cdef class Kept:
    """What a forward pass keeps for its gradient. Made and looked at here, as a layer's own look at its gradient would
    take as long as the gradient of a thousand elements."""

    cdef readonly bytes bits
    cdef readonly bint large  # at least LARGE_ELEMENTS
    cdef tuple shape
    cdef double scale


cdef inline uint64_t word(object value, str name) except? 0:
    """0 ... 2^64 - 1."""
    if type(value) is int:
        try:
            return <uint64_t>value
        except OverflowError:
            pass
    return _check.integer(value, name, 0, 0xFFFFFFFFFFFFFFFF)


cdef inline double scale_of(double p) noexcept nogil:
    return 1.0 / (1.0 - p) if p < 1.0 else 0.0


cdef int prepare(Draw *d, object p, object seed, object offset) except -1:
    """Check the options and translate them."""
    cdef double q = real_number(p, "p", 1)
    d.seed, d.offset = word(seed, "seed"), word(offset, "offset")
    d.threshold = <uint64_t>rint(q * 4294967296.0)
    d.scale = scale_of(q)
    d.drawn, d.kept = False, NULL
    return 0


cdef inline void run(const fm_table *table, void *y, const void *x, Py_ssize_t start, Py_ssize_t n, const Draw *d,
                     bint stream) noexcept nogil:
    """The n elements from number `start` on, a multiple of 8."""
    cdef uint8_t *kept = NULL if d.kept == NULL else d.kept + start // 8
    if d.drawn:
        table.dropout_kept_run(y, kept, x, n, d.scale, stream)
    else:
        table.dropout_run(y, kept, x, n, d.seed, d.offset + <uint64_t>start, d.threshold, d.scale, stream)


cdef void in_blocks(real[::1] y, const real[::1] x, const Draw *d, bint stream, int threads) noexcept:
    """y (OUT), x (IN), each (n,)."""
    cdef fm_work work
    cdef const fm_table *table = table_of(sizeof(real))
    cdef Py_ssize_t k = 0, start = 0, n = x.shape[0], blocks = ceil_div(n, BLOCK_ELEMENTS)
    share_work(&work, blocks, threads)
    with nogil, parallel(num_threads=threads):
        k = join_team(&work)
        while k >= 0:
            start = k * BLOCK_ELEMENTS
            run(table, &y[start], &x[start], start, min(BLOCK_ELEMENTS, n - start), d, stream)
            k = next_block(&work)
        leave_team()


cdef void mask_in_blocks(uint8_t[::1] kept, const Draw *d) noexcept:
    """kept (OUT), (n,)."""
    cdef fm_work work
    cdef const fm_table *table = table_of(sizeof(float))  # the same for both precisions
    cdef Py_ssize_t k = 0, start = 0, n = kept.shape[0], blocks = ceil_div(n, BLOCK_ELEMENTS)
    cdef int threads = team(COST * n)
    share_work(&work, blocks, threads)
    with nogil, parallel(num_threads=threads):
        k = join_team(&work)
        while k >= 0:
            start = k * BLOCK_ELEMENTS
            table.dropout_mask_run(&kept[start], min(BLOCK_ELEMENTS, n - start), d.seed, d.offset + start,
                                   d.threshold)
            k = next_block(&work)
        leave_team()
    team_done()


cdef int launch(cnp.ndarray y, cnp.ndarray x, const Draw *d) except -1:
    """Run on plain arrays of one shape and dtype."""
    cdef Py_ssize_t n = cnp.PyArray_SIZE(y)
    if n > SMALL_ELEMENTS:
        return launch_large(y, x, d)
    run(table_of(cnp.PyArray_ITEMSIZE(y)), data(y), data(x), 0, n, d, False)
    return 0


cdef int launch_large(cnp.ndarray y, cnp.ndarray x, const Draw *d) except -1:
    """The same without the GIL, by a team where that pays."""
    cdef Py_ssize_t n = cnp.PyArray_SIZE(y)
    cdef size_t size = cnp.PyArray_ITEMSIZE(y)
    cdef bint stream = n * size > cache_bytes
    cdef int threads = team((KEPT_COST if d.drawn else COST) * n)
    cdef void *to = data(y)
    cdef const void *source = data(x)
    if threads == 1:
        with nogil:
            run(table_of(size), to, source, 0, n, d, stream)
    elif size == sizeof(float):
        in_blocks[float](as1d(y), as1d(x), d, stream, threads)
    else:
        in_blocks[double](as1d(y), as1d(x), d, stream, threads)
    team_done()
    return 0


cdef cnp.ndarray apply(str name, object x, Draw *d, object out):
    """The result."""
    call = None
    if not (is_plain(x) and fits(<cnp.ndarray>x, out)):
        call = _check.arrange((name,), (x,), None, out, c_order=True)
        (x,), out = call.arrays, call.out
    y = result_like(<cnp.ndarray>x, out)
    launch(y, <cnp.ndarray>x, d)
    return y if call is None else call.finish(y)


def dropout(x, p, seed, offset, out):
    cdef fm_scope _scope = fm_switch(FM_FLUSH)
    cdef Draw d
    prepare(&d, p, seed, offset)
    return apply("x", x, &d, out)


def dropout_keeping(x, p, seed, offset, out):
    """(dropout's result, a Kept for `dropout_kept`)."""
    cdef fm_scope _scope = fm_switch(FM_FLUSH)
    cdef Draw d
    cdef Kept kept = Kept.__new__(Kept)
    cdef Py_ssize_t n
    prepare(&d, p, seed, offset)
    if type(x) is not cnp.ndarray:
        (x,) = _check.as_reals([("x", x)])
    n = cnp.PyArray_SIZE(<cnp.ndarray>x)
    kept.bits = PyBytes_FromStringAndSize(NULL, n // 8 + SPARE_BYTES)
    kept.large, kept.shape, kept.scale = n >= LARGE_ELEMENTS, x.shape, d.scale
    d.kept = <uint8_t *>PyBytes_AS_STRING(kept.bits)
    return apply("x", x, &d, out), kept


def dropout_backward(grad, p, seed, offset, out):
    cdef fm_scope _scope = fm_switch(FM_FLUSH)
    cdef Draw d
    prepare(&d, p, seed, offset)
    return apply("grad", grad, &d, out)


cdef inline bint has_shape(cnp.ndarray x, tuple shape) except -1:
    cdef int i, ndim = cnp.PyArray_NDIM(x)
    if len(shape) != ndim:
        return False
    for i in range(ndim):
        if cnp.PyArray_DIM(x, i) != <Py_ssize_t>shape[i]:
            return False
    return True


def dropout_kept(grad, Kept kept not None, out):
    """dropout_backward by what a forward pass kept."""
    cdef fm_scope _scope = fm_switch(FM_FLUSH)
    cdef Draw d
    if type(grad) is not cnp.ndarray:
        (grad,) = _check.as_reals([("grad", grad)])
    if not has_shape(<cnp.ndarray>grad, kept.shape):
        _check.refuse_last_shape(grad, kept.shape)
    d.scale, d.drawn, d.kept = kept.scale, True, <uint8_t *>PyBytes_AS_STRING(kept.bits)
    return apply("grad", grad, &d, out)


def dropout_mask(shape, p, seed, offset):
    cdef fm_scope _scope = fm_switch(FM_FULL)
    cdef Draw d
    shape = _check.shape_tuple(shape)
    prepare(&d, p, seed, offset)
    kept = empty(shape, bool)
    if kept.size:
        mask_in_blocks(kept.reshape(-1).view(np.uint8), &d)
    return kept
