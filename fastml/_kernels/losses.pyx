"""Losses of one term an element and their gradients: the gate, layout, blocks and threads.

Elements are independent, so any contiguous order of the axes is taken as it lies, unless numbers that repeat along
the last axes stand beside them. The array is cut into blocks of FM_LOSS_BLOCK elements, each block's sum has a place
of its own, and the sums are added in order: who walks through the blocks one by one gets the same bits. A thousand
blocks make one parallel region, so that their sums lie on the stack. A call of one block goes straight to the
primitive. A further loss is a case in losses.c, its number in losses.h and a function like those at the end.
"""

import numpy as np
from cython.parallel import parallel

from .. cimport _numpy as cnp

from .. import _check, _targets
from .._memory import empty

from .._check cimport alike, apart, ceil_div, data, fits, flag, is_plain, is_text, result_like
from .._environment cimport FM_FULL, fm_scope, fm_switch
from .._memory cimport new_array
from .._openmp cimport fm_work, join_team, leave_team, next_block, share_work, team, team_done
from .._simd cimport cache_bytes, fm_table, fm_tally, fm_tally_add, fm_tally_sum, table_of

cnp.import_array()

cdef extern from "numpy/arrayobject.h":
    object PyArray_ToScalar(void *data, cnp.ndarray arr)

cdef extern from "losses.h":
    enum:
        FM_LOSS_BLOCK
        FM_LOSS_PADDING
        FM_LOSS_MSE
        FM_LOSS_L1
        FM_LOSS_HUBER
        FM_LOSS_LOG_COSH
        FM_LOSS_BCE
        FM_LOSS_KL
        FM_LOSS_KL_LOG

# What losses.h calls them, for the layers.
MSE, L1, HUBER, LOG_COSH = FM_LOSS_MSE, FM_LOSS_L1, FM_LOSS_HUBER, FM_LOSS_LOG_COSH
BCE, KL, KL_LOG = FM_LOSS_BCE, FM_LOSS_KL, FM_LOSS_KL_LOG

cdef enum:
    LOCAL_BLOCKS = 1024  # whose sums fit on the stack

# Nanoseconds on one thread: a byte read or written, and a vector of terms, 64 bytes, with exp or log.
cdef double BYTE_COST = 0.0135
cdef double EXP_COST = 16

# Numbers beside the elements as loss_run takes them.
cdef struct Beside:
    const void *data
    size_t period


cdef inline char *after(const void *p, Py_ssize_t bytes) noexcept nogil:
    """p + bytes, NULL staying NULL."""
    return NULL if p == NULL else <char *>p + bytes


cdef inline double block(const fm_table *table, size_t itemsize, int kind, void *dx, void *loss, const void *x,
                         const void *t, const Beside *a, const Beside *b, Py_ssize_t start, Py_ssize_t n, double scale,
                         bint stream) noexcept nogil:
    """dx, loss (OUT or NULL), x, t (IN): n elements each, of which this block begins at `start`."""
    cdef size_t m = min(<Py_ssize_t>FM_LOSS_BLOCK, n - start), first = start * itemsize
    return table.loss_run(kind, after(dx, first), after(loss, first), after(x, first), after(t, first),
                          after(a.data, 0 if a.period else first), a.period,
                          after(b.data, 0 if b.period else first), b.period, start, m, scale, stream)


cdef double in_blocks(size_t itemsize, int kind, void *dx, void *loss, const void *x, const void *t, const Beside *a,
                      const Beside *b, Py_ssize_t n, double scale) noexcept:
    """dx, loss (OUT or NULL), x, t (IN): n elements. Returns the sum of the losses."""
    cdef fm_work work
    cdef const fm_table *table = table_of(itemsize)
    cdef Py_ssize_t k = 0, first, count, blocks = ceil_div(n, FM_LOSS_BLOCK)
    cdef Py_ssize_t nbytes = min(n, LOCAL_BLOCKS * FM_LOSS_BLOCK) * itemsize
    cdef bint stream = dx != NULL and n * itemsize > cache_bytes
    cdef double cost = BYTE_COST * nbytes * (2 if dx == NULL else 3)
    cdef fm_tally total = fm_tally(0, 0)
    cdef int threads
    cdef double[LOCAL_BLOCKS] sums
    if kind not in (FM_LOSS_MSE, FM_LOSS_L1, FM_LOSS_HUBER):
        cost += EXP_COST * nbytes / 64
    if blocks <= 1:
        return block(table, itemsize, kind, dx, loss, x, t, a, b, 0, n, scale, False)
    for first in range(0, blocks, LOCAL_BLOCKS):
        count = min(LOCAL_BLOCKS, blocks - first)
        threads = team(cost)
        share_work(&work, count, threads)
        with nogil, parallel(num_threads=threads):
            k = join_team(&work)
            while k >= 0:
                sums[k] = block(table, itemsize, kind, dx, loss, x, t, a, b, (first + k) * FM_LOSS_BLOCK, n, scale,
                                stream)
                k = next_block(&work)
            leave_team()
        team_done()
        for k in range(count):
            fm_tally_add(&total, sums[k])
    return fm_tally_sum(&total)


cdef object beside(object w, str name, cnp.ndarray x, Beside *b):
    """Fill b with w (or None) for a plain x; returns the array that holds the numbers.

    Numbers along the last axes make a table that repeats; other shapes are broadcast in full.
    """
    cdef cnp.npy_intp i, d, n, ndim, size = 1
    cdef bint repeats = True, ended = False
    cdef char *table
    b.data, b.period = NULL, 1
    if w is None:
        return None
    w = _check.as_real(w, name, x.dtype)
    ndim = cnp.PyArray_NDIM(<cnp.ndarray>w)
    shape = tuple([x.shape[i] for i in range(x.ndim)])
    _targets.check_broadcast(name, w.shape, shape)
    for i in range(1, ndim + 1):
        d, n = cnp.PyArray_DIM(<cnp.ndarray>w, <int>(ndim - i)), cnp.PyArray_DIM(x, <int>(x.ndim - i))
        ended = ended or d != n
        repeats = repeats and (d == 1 or not ended)
        size *= d
    if size == cnp.PyArray_SIZE(x) or not repeats:
        b.period = 0
        w = _check.plain(np.broadcast_to(w, shape))
        b.data = data(w)
        return w
    w = _check.plain(w)
    b.period = size
    n = size + FM_LOSS_PADDING
    numbers = new_array(1, &n, cnp.PyArray_TYPE(x))
    table = <char *>data(numbers)
    d = cnp.PyArray_ITEMSIZE(x)
    for i in range(n * d):
        table[i] = cnp.PyArray_BYTES(<cnp.ndarray>w)[i] if i < size * d else table[i - size * d]
    b.data = table
    return numbers


def repeating(w, str name, Py_ssize_t cols, dtype):
    """w's numbers for rows of `cols` elements as a table, and its period: for a training step, in which the number of
    rows may change. ValueError where they differ from row to row."""
    cdef Beside b
    numbers = beside(w, name, empty((2, cols), dtype), &b)  # two rows stand for any number
    if b.period == 0:
        _targets.refuse_rows(name, np.shape(w))
    return numbers, b.period


cdef inline bint kept(object w, object out) noexcept:
    """Writing out leaves w as it is: one of them is None, or w is plain and apart from it."""
    return w is None or out is None or (is_plain(w) and apart(<cnp.ndarray>w, out))


# One number for all elements, as a table that repeats.
cdef union Number:
    float[1 + FM_LOSS_PADDING] singles
    double[1 + FM_LOSS_PADDING] doubles


cdef object losses(int kind, object input, object target, object a, str a_name, object b, str b_name,
                   object reduction, bint with_grad, object out, double number=1):
    """The loss, or (loss, dinput) with_grad; a and b are the loss's own parameters, or None: a is `number` then."""
    cdef fm_scope _scope = fm_switch(FM_FULL)
    cdef Beside beside_a, beside_b
    cdef Number numbers
    cdef double total, divisor = 1
    cdef float single
    cdef bint mean = is_text(reduction, "mean"), listed = is_text(reduction, "none")
    cdef bint divergence = kind in (FM_LOSS_KL, FM_LOSS_KL_LOG)
    cdef bint by_rows = divergence and is_text(reduction, "batchmean")
    cdef int i
    if not mean and not listed and not by_rows and not is_text(reduction, "sum"):
        from .._choices import Reduction, ReductionKL

        reduction = _check.choice(reduction, "reduction", ReductionKL if divergence else Reduction)
        mean, listed, by_rows = reduction == "mean", reduction == "none", reduction == "batchmean"
    call = None
    if not (is_plain(input) and alike(<cnp.ndarray>input, target) and fits(<cnp.ndarray>input, out)
            and fits(<cnp.ndarray>target, out) and kept(a, out) and kept(b, out)):
        input = _check.as_real(input, "input")
        target = _check.as_real(target, "target", input.dtype)
        if out is not None:
            _check.check_out(out, input.shape, input.dtype, (input, target, a, b))
        call = _check.arrange(("input", "target"), (input, target), None, out, a is not None or b is not None)
        divisor = input.shape[0] if by_rows and input.ndim else 1
        (input, target), out = call.arrays, call.out
    cdef cnp.ndarray x = <cnp.ndarray>input
    cdef Py_ssize_t n = cnp.PyArray_SIZE(x)
    a = beside(a, a_name, x, &beside_a)
    b = beside(b, b_name, x, &beside_b)
    if kind == FM_LOSS_HUBER:
        for i in range(1 + FM_LOSS_PADDING):
            if cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT:
                numbers.singles[i] = <float>number
            else:
                numbers.doubles[i] = number
        beside_a.data = &numbers
    if mean:
        divisor = <double>n
    elif by_rows and call is None and cnp.PyArray_NDIM(x):
        divisor = cnp.PyArray_DIM(x, 0)
    loss = result_like(x, None) if listed else None
    dx = result_like(x, out) if with_grad else None
    total = in_blocks(cnp.PyArray_ITEMSIZE(x), kind, data(dx), data(loss), data(x), data(target), &beside_a, &beside_b,
                      n, 1 / divisor)
    if listed:
        loss = loss if call is None else loss.transpose(call.back)
    elif cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT:
        single = <float>(total / divisor)
        loss = PyArray_ToScalar(&single, x)
    else:
        total /= divisor
        loss = PyArray_ToScalar(&total, x)
    if not with_grad:
        return loss
    return loss, dx if call is None else call.finish(dx)


def mse(input, target, reduction, bint with_grad, out):
    return losses(FM_LOSS_MSE, input, target, None, "", None, "", reduction, with_grad, out)


def l1(input, target, reduction, bint with_grad, out):
    return losses(FM_LOSS_L1, input, target, None, "", None, "", reduction, with_grad, out)


def check_delta(delta):
    """delta as a positive float."""
    if type(delta) is float and <double>delta > 0:
        return delta
    return _check.positive(delta, "delta")


def huber(input, target, delta, reduction, bint with_grad, out):
    return losses(FM_LOSS_HUBER, input, target, None, "", None, "", reduction, with_grad, out, check_delta(delta))


def log_cosh(input, target, reduction, bint with_grad, out):
    return losses(FM_LOSS_LOG_COSH, input, target, None, "", None, "", reduction, with_grad, out)


def binary_cross_entropy_with_logits(input, target, weight, pos_weight, reduction, bint with_grad, out):
    return losses(FM_LOSS_BCE, input, target, weight, "weight", pos_weight, "pos_weight", reduction, with_grad, out)


def kl_div(input, target, log_target, reduction, bint with_grad, out):
    kind = FM_LOSS_KL_LOG if flag(log_target, "log_target") else FM_LOSS_KL
    return losses(kind, input, target, None, "", None, "", reduction, with_grad, out)
