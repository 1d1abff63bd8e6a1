"""Activations and their gradients: blocks and threads.

Elements are independent and keep their place in memory, so any contiguous order of the axes is taken as it
lies. A call of at most SMALL elements goes straight to the primitive.
"""

from cython.parallel import parallel, prange
from libc.math cimport INFINITY

cimport numpy as cnp

from .. import _check

from .._check cimport alike, as1d, fits, is_plain, result_like
from .._environment cimport FM_FLUSH, FM_FULL, fm_scope, fm_switch
from .._openmp cimport caller, join_team, leave_team, team, team_done
from .._simd cimport cache_bytes, fm32, fm64

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

ctypedef fused real:
    float
    double

cdef enum:
    RELU = -1         # a primitive of its own: none of unary.h's kinds
    SMALL = 16384     # elements
    BLOCK = 16384     # elements

# What unary.h calls its functions, for the faces and the layers.
GELU, GELU_TANH, SILU, SIGMOID = FM_GELU, FM_GELU_TANH, FM_SILU, FM_SIGMOID
TANH, SOFTPLUS, ELU, LEAKY_RELU = FM_TANH, FM_SOFTPLUS, FM_ELU, FM_LEAKY_RELU

# Nanoseconds on one thread: a byte that ReLU reads or writes; a float of the smooth functions.
cdef double COST = 0.0135
cdef double SMOOTH_COST = 0.32

# A function and its numbers, alpha being also softplus's beta and leaky ReLU's slope; backward: its gradient.
cdef struct Op:
    int kind
    bint backward
    double alpha
    double threshold


cdef inline void block(Op op, real *y, const real *a, const real *b, size_t n, bint stream) noexcept nogil:
    """y (OUT), a, b (IN; b only in the gradients): n elements."""
    if real is float:
        if op.kind == RELU and op.backward:
            fm32.relu_backward_run(y, a, b, n, stream)
        elif op.kind == RELU:
            fm32.relu_run(y, a, n, stream)
        elif op.backward:
            fm32.unary_backward_run(op.kind, y, a, b, n, <float>op.alpha, <float>op.threshold, stream)
        else:
            fm32.unary_run(op.kind, y, a, n, <float>op.alpha, <float>op.threshold, stream)
    else:
        if op.kind == RELU and op.backward:
            fm64.relu_backward_run(y, a, b, n, stream)
        elif op.kind == RELU:
            fm64.relu_run(y, a, n, stream)
        elif op.backward:
            fm64.unary_backward_run(op.kind, y, a, b, n, op.alpha, op.threshold, stream)
        else:
            fm64.unary_run(op.kind, y, a, n, op.alpha, op.threshold, stream)


cdef inline double cost(Op op, size_t itemsize) noexcept nogil:
    """Nanoseconds an element."""
    if op.kind == RELU or op.kind == FM_LEAKY_RELU:
        return COST * itemsize * (3 if op.backward else 2)
    return SMOOTH_COST * itemsize * itemsize / 16


cdef void run(Op op, real[::1] y, const real[::1] a, const real[::1] b) noexcept:
    """y (OUT), a, b (IN), each (n,)."""
    cdef Py_ssize_t i, n = y.shape[0], blocks = (n + BLOCK - 1) // BLOCK
    cdef bint stream = n * sizeof(real) > cache_bytes
    cdef int me = caller(), threads = team(n * cost(op, sizeof(real)))
    with nogil, parallel(num_threads=threads):
        join_team(me)
        for i in prange(blocks, schedule="static"):
            block(op, &y[i * BLOCK], &a[i * BLOCK], &b[i * BLOCK], min(BLOCK, n - i * BLOCK), stream)
        leave_team()
    team_done()


cdef int launch(Op op, cnp.ndarray y, cnp.ndarray a, cnp.ndarray b) except -1:
    """Run op on plain arrays of one shape and dtype."""
    cdef Py_ssize_t n = cnp.PyArray_SIZE(y)
    if cnp.PyArray_TYPE(y) == cnp.NPY_FLOAT:
        if n <= SMALL:
            block(op, <float *>cnp.PyArray_DATA(y), <const float *>cnp.PyArray_DATA(a),
                  <const float *>cnp.PyArray_DATA(b), n, False)
        else:
            run[float](op, as1d(y), as1d(a), as1d(b))
    elif n <= SMALL:
        block(op, <double *>cnp.PyArray_DATA(y), <const double *>cnp.PyArray_DATA(a),
              <const double *>cnp.PyArray_DATA(b), n, False)
    else:
        run[double](op, as1d(y), as1d(a), as1d(b))
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


cdef object backward(Op op, object grad, object x, object out):
    cdef fm_scope _scope = fm_switch(FM_FLUSH if op.kind == RELU else FM_FULL)
    call = None
    if not (is_plain(grad) and alike(<cnp.ndarray>grad, x) and fits(<cnp.ndarray>grad, out)
            and fits(<cnp.ndarray>x, out)):
        call = _check.arrange(("grad", "x"), (grad, x), None, out)
        (grad, x), out = call.arrays, call.out
    dx = result_like(<cnp.ndarray>grad, out)
    launch(op, dx, <cnp.ndarray>grad, <cnp.ndarray>x)
    return dx if call is None else call.finish(dx)


cdef int gelu_kind(object approximate) except -1:
    """Check approximate; the form it names."""
    if not isinstance(approximate, str):
        raise TypeError(f"approximate must be 'none' or 'tanh', not {type(approximate).__name__}")
    if approximate != "none" and approximate != "tanh":
        raise ValueError(f"approximate must be 'none' or 'tanh', not {approximate!r}")
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
