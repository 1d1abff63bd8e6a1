"""Activations and their gradients: blocks and threads.

Elements are independent and keep their place in memory, so any contiguous order of the axes is taken as it lies. A
call of at most SMALL_ELEMENTS goes straight to the primitive.
"""

from cython.parallel import parallel
from libc.math cimport INFINITY

from .. cimport _numpy as cnp

from .. import _check

from .._check cimport alike, as1d, ceil_div, data, fits, is_plain, is_text, result_like
from .._environment cimport FM_FLUSH, FM_FULL, fm_scope, fm_switch
from .._openmp cimport fm_work, join_team, leave_team, next_block, share_work, team, team_done
from .._simd cimport cache_bytes, fm_table, table_of

cnp.import_array()

cdef extern from "unary.h" nogil:
    enum:
        FM_GELU
        FM_GELU_TANH
        FM_SILU
        FM_SIGMOID
        FM_TANH
        FM_SOFTPLUS
        FM_ELU
        FM_LEAKY_RELU
        FM_HARD_SWISH

ctypedef fused real:
    float
    double

cdef enum:
    # Primitives of their own: none of unary.h's kinds.
    RELU = -1
    OF_RESULT = -2  # a gradient that takes y in the place of x; alpha: the least that y goes towards
    SMALL_ELEMENTS = 16384
    BLOCK_ELEMENTS = 16384

# What unary.h calls its functions, for the faces and the layers.
GELU, GELU_TANH, SILU, SIGMOID = FM_GELU, FM_GELU_TANH, FM_SILU, FM_SIGMOID
TANH, SOFTPLUS, ELU = FM_TANH, FM_SOFTPLUS, FM_ELU
LEAKY_RELU, HARD_SWISH = FM_LEAKY_RELU, FM_HARD_SWISH

# Nanoseconds on one thread: a byte that ReLU reads or writes; a float of the smooth functions.
cdef double COST = 0.0135
cdef double SMOOTH_COST = 0.32

# A function and its numbers, alpha being also softplus's beta and leaky ReLU's slope; backward: its gradient.
cdef struct Op:
    int kind
    bint backward
    double alpha
    double threshold


cdef inline void block(Op op, const fm_table *table, void *y, const void *a, const void *b, size_t n,
                       bint stream) noexcept nogil:
    """y (OUT), a, b (IN; b only in the gradients): n elements."""
    if op.kind == RELU and op.backward:
        table.relu_backward_run(y, a, b, n, stream)
    elif op.kind == RELU:
        table.relu_run(y, a, n, stream)
    elif op.kind == OF_RESULT:
        table.result_backward_run(y, a, b, n, op.alpha, stream)
    elif op.backward:
        table.unary_backward_run(op.kind, y, a, b, n, op.alpha, op.threshold, stream)
    else:
        table.unary_run(op.kind, y, a, n, op.alpha, op.threshold, stream)


cdef inline double cost(Op op, size_t itemsize) noexcept nogil:
    """Nanoseconds an element."""
    if op.kind < 0 or op.kind == FM_LEAKY_RELU or op.kind == FM_HARD_SWISH:
        return COST * itemsize * (3 if op.backward else 2)
    return SMOOTH_COST * itemsize * itemsize / 16


cdef void in_blocks(Op op, real[::1] y, const real[::1] a, const real[::1] b, bint stream, int threads) noexcept:
    """y (OUT), a, b (IN), each (n,)."""
    cdef fm_work work
    cdef const fm_table *table = table_of(sizeof(real))
    cdef Py_ssize_t k = 0, start = 0, n = y.shape[0], blocks = ceil_div(n, BLOCK_ELEMENTS)
    share_work(&work, blocks, threads)
    with nogil, parallel(num_threads=threads):
        k = join_team(&work)
        while k >= 0:
            start = k * BLOCK_ELEMENTS
            block(op, table, &y[start], &a[start], &b[start], min(BLOCK_ELEMENTS, n - start), stream)
            k = next_block(&work)
        leave_team()


cdef int launch(Op op, cnp.ndarray y, cnp.ndarray a, cnp.ndarray b) except -1:
    """Run op on plain arrays of one shape and dtype."""
    cdef Py_ssize_t n = cnp.PyArray_SIZE(y)
    if n > SMALL_ELEMENTS:
        return launch_large(op, y, a, b)
    block(op, table_of(cnp.PyArray_ITEMSIZE(y)), data(y), data(a), data(b), n, False)
    return 0


cdef int launch_large(Op op, cnp.ndarray y, cnp.ndarray a, cnp.ndarray b) except -1:
    """The same without the GIL, by a team where that pays."""
    cdef Py_ssize_t n = cnp.PyArray_SIZE(y)
    cdef size_t size = cnp.PyArray_ITEMSIZE(y)
    cdef bint stream = n * size > cache_bytes
    cdef int threads = team(n * cost(op, size))
    cdef void *to = data(y)
    cdef const void *first = data(a)
    cdef const void *second = data(b)
    if threads == 1:
        with nogil:
            block(op, table_of(size), to, first, second, n, stream)
    elif size == sizeof(float):
        in_blocks[float](op, as1d(y), as1d(a), as1d(b), stream, threads)
    else:
        in_blocks[double](op, as1d(y), as1d(a), as1d(b), stream, threads)
    team_done()
    return 0


cdef object forward(Op op, object x, object out):
    cdef fm_scope _scope = fm_switch(FM_FULL)
    call = None
    if not (is_plain(x) and fits(<cnp.ndarray>x, out)):
        call = _check.arrange(("x",), (x,), None, out)
        (x,), out = call.arrays, call.out
    y = result_like(<cnp.ndarray>x, out)
    launch(op, y, <cnp.ndarray>x, <cnp.ndarray>x)
    return y if call is None else call.finish(y)


cdef object backward(Op op, object grad, object x, object out, str name="x"):
    """x: what the gradient takes, as the caller calls it."""
    cdef fm_scope _scope = fm_switch(FM_FLUSH if op.kind == RELU else FM_FULL)
    call = None
    if not (is_plain(grad) and alike(<cnp.ndarray>grad, x) and fits(<cnp.ndarray>grad, out)
            and fits(<cnp.ndarray>x, out)):
        call = _check.arrange(("grad", name), (grad, x), None, out)
        (grad, x), out = call.arrays, call.out
    dx = result_like(<cnp.ndarray>grad, out)
    launch(op, dx, <cnp.ndarray>grad, <cnp.ndarray>x)
    return dx if call is None else call.finish(dx)


cdef int gelu_kind(object approximate) except -1:
    """Check approximate; the form it names."""
    if not is_text(approximate, "none") and not is_text(approximate, "tanh"):
        from .._choices import Approximate

        _check.choice(_check.text(approximate, "approximate"), "approximate", Approximate)
    return FM_GELU_TANH if approximate == "tanh" else FM_GELU


def relu(x, out):
    return forward(Op(RELU, False, 1, 0), x, out)


def relu_backward(grad, x, out):
    return backward(Op(RELU, True, 1, 0), grad, x, out)


def gelu(x, approximate, out):
    return forward(Op(gelu_kind(approximate), False, 1, 0), x, out)


def gelu_backward(grad, x, approximate, out):
    return backward(Op(gelu_kind(approximate), True, 1, 0), grad, x, out)


def unary(int kind, x, out, double alpha=1, double threshold=INFINITY):
    """f(x) for a kind of unary.h."""
    return forward(Op(kind, False, alpha, threshold), x, out)


def unary_backward(int kind, grad, x, out, double alpha=1, double threshold=INFINITY):
    """grad f'(x)."""
    return backward(Op(kind, True, alpha, threshold), grad, x, out)


def by_result(int kind, grad, x, y, out):
    """grad f'(x) of the sigmoid or tanh: by y = f(x) where that is given, and then x may be None."""
    if y is None:
        if x is None:
            _check.refuse_neither()
        return backward(Op(kind, True, 1, INFINITY), grad, x, out)
    if x is not None and _check.shape_of(x, "x") != _check.shape_of(y, "y"):
        _check.refuse_shape("x", _check.shape_of(y, "y"), _check.shape_of(x, "x"))
    return backward(Op(OF_RESULT, True, -1 if kind == FM_TANH else 0, INFINITY), grad, y, out, "y")
