"""ReLU and its gradient: blocks and threads.

Elements are independent and keep their place in memory, so any contiguous order of the axes is taken as it
lies. A call of at most SMALL elements goes straight to the primitive.
"""

from cython.parallel import parallel, prange

cimport numpy as cnp

from .. import _check

from .._check cimport alike, as1d, fits, is_plain, result_like
from .._openmp cimport caller_cpu, join_team, team, team_done
from .._simd cimport cache_bytes, fm32, fm64

cnp.import_array()

ctypedef fused real:
    float
    double

cdef enum Op:
    RELU
    RELU_BACKWARD

cdef enum:
    SMALL = 16384     # elements
    BLOCK = 16384     # elements

cdef double COST = 0.0135  # nanoseconds a byte read or written on one thread


cdef inline void block(Op op, real *y, const real *a, const real *b, size_t n, bint stream) noexcept nogil:
    """y (OUT), a, b (IN; b only in the gradient): n elements."""
    if real is float:
        if op == RELU:
            fm32.relu_run(y, a, n, stream)
        else:
            fm32.relu_backward_run(y, a, b, n, stream)
    else:
        if op == RELU:
            fm64.relu_run(y, a, n, stream)
        else:
            fm64.relu_backward_run(y, a, b, n, stream)


cdef void run(Op op, real[::1] y, const real[::1] a, const real[::1] b) noexcept:
    """y (OUT), a, b (IN), each (n,)."""
    cdef Py_ssize_t i, n = y.shape[0], blocks = (n + BLOCK - 1) // BLOCK
    cdef bint stream = n * sizeof(real) > cache_bytes
    cdef int cpu = caller_cpu(), threads = team(COST * n * sizeof(real) * (2 if op == RELU else 3))
    with nogil, parallel(num_threads=threads):
        join_team(cpu)
        for i in prange(blocks, schedule="static"):
            block(op, &y[i * BLOCK], &a[i * BLOCK], &b[i * BLOCK], min(BLOCK, n - i * BLOCK), stream)
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


def relu(x, out):
    call = None
    if not (is_plain(x) and fits(<cnp.ndarray>x, out)):
        call = _check.arrange(("x",), (x,), None, out)
        (x,), out = call.arrays, call.out
    y = result_like(<cnp.ndarray>x, out)
    launch(RELU, y, <cnp.ndarray>x, <cnp.ndarray>x)
    return y if call is None else call.finish(y)


def relu_backward(grad, x, out):
    call = None
    if not (is_plain(grad) and alike(<cnp.ndarray>grad, x) and fits(<cnp.ndarray>grad, out)
            and fits(<cnp.ndarray>x, out)):
        call = _check.arrange(("grad", "x"), (grad, x), None, out)
        (grad, x), out = call.arrays, call.out
    dx = result_like(<cnp.ndarray>grad, out)
    launch(RELU_BACKWARD, dx, <cnp.ndarray>grad, <cnp.ndarray>x)
    return dx if call is None else call.finish(dx)
