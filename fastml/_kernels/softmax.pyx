"""Softmax, log-softmax, log-sum-exp and their gradients: layout, blocks and threads.

The array is (outer, n, inner) along the axis. With inner = 1 the rows are contiguous and go to the *_rows primitives
in blocks of about BLOCK_ELEMENTS; otherwise panels of PANEL_BYTES of neighbouring columns go to *_cols. Rows and
columns are independent, so the cut shows in no bit. A call of at most SMALL_ELEMENTS goes straight to the primitive: a
memoryview costs 90 ns.
"""

from cython.parallel import parallel

from .. cimport _numpy as cnp

from .. import _check
from .._memory import empty

from .._check cimport (
    Layout, alike, as3d, ceil_div, fits, flag, is_axis, is_plain, lay, result_like, vector_like,
)
from .._environment cimport FM_FULL, fm_scope, fm_switch
from .._openmp cimport fm_work, join_team, leave_team, next_block, share_work, team, team_done
from .._simd cimport cache_bytes, fm_table, table_of

cnp.import_array()

ctypedef fused real:
    float
    double

cdef enum Op:
    SOFTMAX
    LOG_SOFTMAX
    SOFTMAX_BACKWARD
    LOG_SOFTMAX_BACKWARD
    LOGSUMEXP

cdef enum:
    SMALL_ELEMENTS = 8192
    BLOCK_ELEMENTS = 16384
    PANEL_BYTES = 512

cdef double COST = 0.5  # nanoseconds an element on one thread


cdef inline void rows(Op op, const fm_table *table, void *y, const void *a, const void *b, size_t count, size_t n,
                      bint stream) noexcept nogil:
    """y (OUT), a, b (IN; b only in the gradients): `count` rows of n."""
    if op == SOFTMAX:
        table.softmax_rows(y, a, count, n, stream)
    elif op == LOG_SOFTMAX:
        table.log_softmax_rows(y, a, count, n, stream)
    elif op == SOFTMAX_BACKWARD:
        table.softmax_backward_rows(y, a, b, count, n, stream)
    elif op == LOG_SOFTMAX_BACKWARD:
        table.log_softmax_backward_rows(y, a, b, count, n, stream)
    else:
        table.logsumexp_rows(y, a, count, n)


cdef inline void cols(Op op, const fm_table *table, void *y, const void *a, const void *b, size_t n, size_t stride,
                      size_t width) noexcept nogil:
    """y (OUT), a, b (IN; b only in the gradients): `width` columns of n steps of `stride`."""
    if op == SOFTMAX:
        table.softmax_cols(y, a, n, stride, width)
    elif op == LOG_SOFTMAX:
        table.log_softmax_cols(y, a, n, stride, width)
    elif op == SOFTMAX_BACKWARD:
        table.softmax_backward_cols(y, a, b, n, stride, width)
    elif op == LOG_SOFTMAX_BACKWARD:
        table.log_softmax_backward_cols(y, a, b, n, stride, width)
    else:
        table.logsumexp_cols(y, a, n, stride, width)


cdef void in_blocks(Op op, real[:, :, ::1] y, const real[:, :, ::1] a, const real[:, :, ::1] b) noexcept:
    """y (OUT), a, b (IN), each (outer, n, inner); in logsumexp y is (outer, 1, inner)."""
    cdef const fm_table *table = table_of(sizeof(real))
    cdef Py_ssize_t outer = a.shape[0], n = a.shape[1], inner = a.shape[2]
    cdef Py_ssize_t step = max(1, BLOCK_ELEMENTS // n), width = PANEL_BYTES // sizeof(real)
    cdef Py_ssize_t panels = ceil_div(inner, width)
    cdef Py_ssize_t blocks = ceil_div(outer, step) if inner == 1 else outer * panels
    cdef Py_ssize_t i = 0, o = 0, j = 0
    cdef bint stream = y.shape[0] * y.shape[1] * y.shape[2] * sizeof(real) > cache_bytes
    cdef int threads = team(COST * outer * n * inner)
    cdef fm_work work
    share_work(&work, blocks, threads)
    with nogil, parallel(num_threads=threads):
        i = join_team(&work)
        while i >= 0:
            if inner == 1:
                o = i * step
                rows(op, table, &y[o, 0, 0], &a[o, 0, 0], &b[o, 0, 0], min(step, outer - o), n, stream)
            else:
                o = i // panels
                j = i % panels * width
                cols(op, table, &y[o, 0, j], &a[o, 0, j], &b[o, 0, j], n, inner, min(width, inner - j))
            i = next_block(&work)
        leave_team()
    team_done()


cdef void at_once(Op op, char *y, const char *a, const char *b, const Layout *at, size_t itemsize) noexcept nogil:
    """The whole of a small call, on the caller's thread."""
    cdef const fm_table *table = table_of(itemsize)
    cdef size_t o, step = at.n * at.inner * itemsize, out_step = at.inner * itemsize if op == LOGSUMEXP else step
    if at.inner == 1:
        rows(op, table, y, a, b, at.outer, at.n, False)
    else:
        for o in range(<size_t>at.outer):
            cols(op, table, y + o * out_step, a + o * step, b + o * step, at.n, at.inner, at.inner)


cdef int launch(Op op, cnp.ndarray y, cnp.ndarray a, cnp.ndarray b, const Layout *at) except -1:
    """Run op on plain arrays of one dtype."""
    cdef Layout out = at[0]
    if op == LOGSUMEXP:
        out.n = 1
    if cnp.PyArray_SIZE(a) == 0:
        return 0
    if cnp.PyArray_SIZE(a) <= SMALL_ELEMENTS:
        at_once(op, cnp.PyArray_BYTES(y), cnp.PyArray_BYTES(a), cnp.PyArray_BYTES(b), at, cnp.PyArray_ITEMSIZE(a))
    elif cnp.PyArray_TYPE(a) == cnp.NPY_FLOAT:
        in_blocks[float](op, as3d(y, &out), as3d(a, at), as3d(b, at))
    else:
        in_blocks[double](op, as3d(y, &out), as3d(a, at), as3d(b, at))
    return 0


cdef object unary(Op op, object x, object axis, object out):
    cdef fm_scope _scope = fm_switch(FM_FULL)
    cdef Layout at
    call = None
    if not (is_plain(x) and fits(<cnp.ndarray>x, out)):
        call = _check.arrange(("x",), (x,), axis, out)
        (x,), axis, out = call.arrays, call.axis, call.out
    lay(<cnp.ndarray>x, axis, &at)
    y = result_like(<cnp.ndarray>x, out)
    launch(op, y, <cnp.ndarray>x, <cnp.ndarray>x, &at)
    return y if call is None else call.finish(y)


cdef object gradient(Op op, object grad, object y, object axis, object out):
    cdef fm_scope _scope = fm_switch(FM_FULL)
    cdef Layout at
    call = None
    if not (is_plain(grad) and alike(<cnp.ndarray>grad, y) and fits(<cnp.ndarray>grad, out)
            and fits(<cnp.ndarray>y, out)):
        call = _check.arrange(("grad", "y"), (grad, y), axis, out)
        (grad, y), axis, out = call.arrays, call.axis, call.out
    lay(<cnp.ndarray>grad, axis, &at)
    dx = result_like(<cnp.ndarray>grad, out)
    launch(op, dx, <cnp.ndarray>grad, <cnp.ndarray>y, &at)
    return dx if call is None else call.finish(dx)


def softmax(x, axis, out):
    return unary(SOFTMAX, x, axis, out)


def log_softmax(x, axis, out):
    return unary(LOG_SOFTMAX, x, axis, out)


def softmax_backward(grad, y, axis, out):
    return gradient(SOFTMAX_BACKWARD, grad, y, axis, out)


def log_softmax_backward(grad, y, axis, out):
    return gradient(LOG_SOFTMAX_BACKWARD, grad, y, axis, out)


cdef object of_matrix(cnp.ndarray x, object axis):
    """Log-sum-exp of a plain matrix."""
    cdef Layout at
    lay(x, axis, &at)
    y = vector_like(x, at.outer * at.inner)
    if at.n == 0:
        y.fill(-float("inf"))
    launch(LOGSUMEXP, y, x, x, &at)
    return y


def logsumexp(x, axis, keepdims):
    """Several axes are brought together at the end first; one axis of a plain matrix takes no Python."""
    cdef fm_scope _scope = fm_switch(FM_FULL)
    cdef Layout at
    if keepdims is False and is_plain(x) and is_axis(axis, <cnp.ndarray>x) and cnp.PyArray_NDIM(<cnp.ndarray>x) == 2:
        return of_matrix(<cnp.ndarray>x, axis)
    keepdims = flag(keepdims, "keepdims")
    if not is_plain(x):
        x = _check.as_real(x, "x")
    axes = _check.axis_tuple(axis, x.ndim)
    shape = _check.reduced_shape(x, axes)
    if len(axes) != 1:
        x = _check.axes_last(x, axes)
        axis = -1
    else:
        axis = axes[0]
    x = _check.plain(x)
    lay(<cnp.ndarray>x, axis, &at)
    y = empty(shape, x.dtype)
    if at.n == 0:
        y.fill(-float("inf"))
    launch(LOGSUMEXP, y, <cnp.ndarray>x, <cnp.ndarray>x, &at)
    return y if keepdims else _check.without(y, axes)
