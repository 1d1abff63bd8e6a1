"""The affine map and its gradient: three products of the GEMM, cut among threads.

    y = act(x Wᵀ + b)      dx = dz W      dW = dzᵀ x      db = sum of dz's rows

A Matrix is memory and two strides, so a transposed or strided operand is a view, not a copy; memoryviews would
cost a tenth of a small call each. The sum of an element is cut at fixed places of k (src_c/gemm.c), so neither the
cut of a result nor the number of threads shows in the bits. A result is cut into blocks of FM_GEMM_ROWS rows and
panels of columns; a thread takes an even run of them and does neighbours in one go. The gradient's three
results are independent: one region, no barrier.
"""

from cython.parallel import parallel

from .. cimport _numpy as cnp

from .. import _check, _features

from .._check cimport apart, ceil_div, data, flag, is_real, is_text
from .._environment cimport FM_FLUSH, fm_scope, fm_switch
from .._memory cimport free_lines, lines, new_array
from .._openmp cimport fm_work, join_team, leave_team, next_block, share_work, team, team_done
from .._simd cimport element, table_of

cnp.import_array()

cdef extern from "numpy/arrayobject.h":
    int PyArray_ISBEHAVED(cnp.ndarray) noexcept
    int PyArray_ISBEHAVED_RO(cnp.ndarray) noexcept

cdef extern from "gemm.h" nogil:
    enum:
        FM_GEMM_ROWS
        FM_GEMM_PANEL
        FM_GEMM_SCRATCH

cdef enum:
    PACKED_BYTES = 1 << 20    # of A: larger ones are packed (512 cubed: 3 to 5 % slower)
    PACKED_PANELS = 8         # of C in one go that make packing A worthwhile

cdef double COST = 0.005      # nanoseconds a multiply-add on one thread, per byte of the element
cdef double OVERHEAD = 0.05   # nanoseconds an element of B, per byte


cdef void rectangle(const Product *p, Py_ssize_t i, Py_ssize_t j, Py_ssize_t rows, Py_ssize_t cols, size_t size,
                    void *scratch) noexcept nogil:
    """Rows i ... and columns j ... of p.c."""
    cdef void *c = at(&p.c, i, j, size)
    cdef void *a = at(&p.a, i, 0, size)
    cdef void *b = at(&p.b, 0, j, size)
    if p.add:
        table_of(size).gemm_add(c, p.c.row, a, p.a.row, p.a.col, b, p.b.row, p.b.col, rows, cols, p.a.cols, scratch)
    else:
        table_of(size).gemm(c, p.c.row, a, p.a.row, p.a.col, b, p.b.row, p.b.col, element(p.bias, j, size), p.relu,
                            rows, cols, p.a.cols, scratch)


cdef double cost(const Product *p, size_t size) noexcept nogil:
    return size * p.b.cols * <double>p.b.rows * (COST * p.a.rows + OVERHEAD)


cdef void share(const Product *p, int t, int threads, size_t size) noexcept nogil:
    """Thread t's part of a product."""
    cdef Py_ssize_t width = FM_GEMM_PANEL // size, height = FM_GEMM_ROWS
    cdef Py_ssize_t panels = ceil_div(p.c.cols, width)
    while height > 32 and panels * ceil_div(p.c.rows, height) < 2 * threads and threads > 1:
        height //= 2
    cdef Py_ssize_t down = max(1, ceil_div(p.c.rows, height))
    height = max(1, ceil_div(ceil_div(p.c.rows, down), 8) * 8)  # even ones: 768 rows are not 512 and 256
    cdef Py_ssize_t blocks = panels * ceil_div(p.c.rows, height)
    cdef Py_ssize_t block = blocks * t // threads, end = blocks * (t + 1) // threads, i, j, count
    cdef void *scratch = NULL
    if (end - block >= PACKED_PANELS and panels >= PACKED_PANELS
            and p.a.rows * p.a.cols > PACKED_BYTES // <Py_ssize_t>size):
        scratch = lines(FM_GEMM_SCRATCH * size)  # without it A is read in place: slower, the same bits
    while block < end:
        i = block // panels
        j = block % panels
        count = min(end - block, panels - j)
        rectangle(p, i * height, j * width, min(height, p.c.rows - i * height),
                  min(count * width, p.c.cols - j * width), size, scratch)
        block += count
    free_lines(scratch)


cdef void share_sums(void *sums, const Matrix *x, int t, int threads, size_t size) noexcept nogil:
    """Thread t's part of the sums of x's columns (x.col = 1)."""
    cdef Py_ssize_t width = FM_GEMM_PANEL // size, panels = ceil_div(x.cols, width)
    cdef Py_ssize_t j = panels * t // threads * width, end = min(panels * (t + 1) // threads * width, x.cols)
    if j >= end:
        return
    table_of(size).column_sums(element(sums, j, size), at(x, 0, j, size), x.rows, x.row, end - j)


cdef void multiply(const Product *p, size_t size) noexcept:
    cdef fm_work work
    cdef Py_ssize_t t = 0
    cdef int threads = team(cost(p, size))
    if threads == 1:
        with nogil:
            share(p, 0, 1, size)
        team_done()
        return
    share_work(&work, threads, threads)
    with nogil, parallel(num_threads=threads):
        t = join_team(&work)
        while t >= 0:
            share(p, t, threads, size)
            t = next_block(&work)
        leave_team()
    team_done()


cdef void multiply_backward(const Product *dx, const Product *dw, void *db, const Matrix *grad,
                            size_t size) noexcept:
    """Both products (dx may be NULL) and the sums of grad's columns in one region."""
    cdef fm_work work
    cdef Py_ssize_t t = 0
    cdef int threads = team((0 if dx == NULL else cost(dx, size)) + cost(dw, size))
    if threads == 1:
        with nogil:
            if dx != NULL:
                share(dx, 0, 1, size)
            share(dw, 0, 1, size)
            share_sums(db, grad, 0, 1, size)
        team_done()
        return
    share_work(&work, threads, threads)
    with nogil, parallel(num_threads=threads):
        t = join_team(&work)
        while t >= 0:
            if dx != NULL:
                share(dx, t, threads, size)
            share(dw, t, threads, size)
            share_sums(db, grad, t, threads, size)
            t = next_block(&work)
        leave_team()
    team_done()


# ---- arrays ---------------------------------------------------------------------------------------------------


cdef inline bint contiguous(cnp.ndarray x) noexcept:
    return cnp.PyArray_IS_C_CONTIGUOUS(x) or cnp.PyArray_IS_F_CONTIGUOUS(x)


cdef bint takes(object x) noexcept:
    """An exact, aligned, native ndarray of float32 or float64 that `matrix` can see as it lies."""
    return (type(x) is cnp.ndarray and is_real(<cnp.ndarray>x) and PyArray_ISBEHAVED_RO(<cnp.ndarray>x)
            and (cnp.PyArray_NDIM(<cnp.ndarray>x) <= 2 or cnp.PyArray_IS_C_CONTIGUOUS(<cnp.ndarray>x)))


cdef Matrix matrix(cnp.ndarray x) noexcept:
    """x as rows along its last axis."""
    cdef int ndim = cnp.PyArray_NDIM(x)
    cdef Py_ssize_t size = cnp.PyArray_ITEMSIZE(x)
    cdef Py_ssize_t cols = cnp.PyArray_DIM(x, ndim - 1), col = cnp.PyArray_STRIDE(x, ndim - 1) // size, rows = 1
    cdef int i
    for i in range(ndim - 1):
        rows *= cnp.PyArray_DIM(x, i)
    return Matrix(cnp.PyArray_DATA(x), rows, cols,
                  cnp.PyArray_STRIDE(x, 0) // size if ndim == 2 else cols * col, col)


cdef inline bint same_type(cnp.ndarray a, cnp.ndarray b) noexcept:
    return cnp.PyArray_TYPE(a) == cnp.PyArray_TYPE(b)


cdef inline bint fits_rows(cnp.ndarray y, cnp.ndarray x, Py_ssize_t cols) noexcept:
    """y has x's shape but for the last axis, which has length cols."""
    cdef int i, ndim = cnp.PyArray_NDIM(x)
    if cnp.PyArray_NDIM(y) != ndim or cnp.PyArray_DIM(y, ndim - 1) != cols:
        return False
    for i in range(ndim - 1):
        if cnp.PyArray_DIM(y, i) != cnp.PyArray_DIM(x, i):
            return False
    return True


cdef inline bint beside(cnp.ndarray out, cnp.ndarray x) noexcept:
    """x is contiguous, as out is, and apart from it: the product cannot run in place."""
    return contiguous(x) and apart(out, x)


cdef inline cnp.ndarray rows_like(cnp.ndarray x, Py_ssize_t cols):
    """A new array of x's shape but for the last axis."""
    cdef cnp.npy_intp shape[64]  # NumPy's limit
    cdef int i, ndim = cnp.PyArray_NDIM(x)
    for i in range(ndim - 1):
        shape[i] = cnp.PyArray_DIM(x, i)
    shape[ndim - 1] = cols
    return new_array(ndim, shape, cnp.PyArray_TYPE(x))


cdef inline int check_features(cnp.ndarray x, cnp.ndarray weight) except -1:
    """x (..., in) and weight (out, in)."""
    cdef int ndim = cnp.PyArray_NDIM(x)
    if cnp.PyArray_NDIM(weight) != 2 or ndim == 0 or cnp.PyArray_DIM(x, ndim - 1) != cnp.PyArray_DIM(weight, 1):
        _features.refuse((<object>x).shape, (<object>weight).shape)
    return 0


def _shape_like(x, cols):
    return (*x.shape[: x.ndim - 1], cols)


def _taken(names, arrays):
    """The arrays in one dtype, each as the kernel takes it."""
    arrays = _check.as_reals(list(zip(names, arrays, strict=True)))
    return [a if takes(a) else _check.plain(a) for a in arrays]


def linear(x, weight, bias, activation, out):
    cdef fm_scope _scope = fm_switch(FM_FLUSH)
    cdef Product p
    cdef Py_ssize_t features
    cdef cnp.ndarray y
    given = (x, weight, bias)
    if not (takes(x) and takes(weight) and same_type(<cnp.ndarray>x, <cnp.ndarray>weight)):
        x, weight = _taken(("x", "weight"), (x, weight))
    check_features(<cnp.ndarray>x, <cnp.ndarray>weight)
    features = cnp.PyArray_DIM(<cnp.ndarray>weight, 0)
    if bias is not None:
        if not (takes(bias) and same_type(<cnp.ndarray>x, <cnp.ndarray>bias)
                and cnp.PyArray_IS_C_CONTIGUOUS(<cnp.ndarray>bias)):
            bias = _check.plain(_check.as_real(bias, "bias", x.dtype))
        if cnp.PyArray_NDIM(<cnp.ndarray>bias) != 1 or cnp.PyArray_DIM(<cnp.ndarray>bias, 0) != features:
            _check.refuse_shape("bias", (features,), bias.shape)
    if activation is not None and not is_text(activation, "relu"):
        _features.check_activation(activation)

    if out is None:
        y = rows_like(<cnp.ndarray>x, features)
    elif (takes(out) and PyArray_ISBEHAVED(<cnp.ndarray>out) and same_type(<cnp.ndarray>x, <cnp.ndarray>out)
            and cnp.PyArray_IS_C_CONTIGUOUS(<cnp.ndarray>out) and fits_rows(<cnp.ndarray>out, <cnp.ndarray>x, features)
            and beside(<cnp.ndarray>out, <cnp.ndarray>x) and beside(<cnp.ndarray>out, <cnp.ndarray>weight)
            and (bias is None or beside(<cnp.ndarray>out, <cnp.ndarray>bias)) and given[2] is bias):
        y = <cnp.ndarray>out
    else:
        out_memory = _check.check_out(out, _shape_like(x, features), x.dtype, given)
        if (takes(out) and cnp.PyArray_IS_C_CONTIGUOUS(<cnp.ndarray>out)
                and not any(_check.overlap(out, a) for a in (x, weight, bias) if a is not None)):
            y = <cnp.ndarray>out
        else:
            y = rows_like(<cnp.ndarray>x, features)

    p.c = matrix(y)
    p.a = matrix(<cnp.ndarray>x)
    p.b = matrix(<cnp.ndarray>weight)
    p.b = transposed(&p.b)
    p.bias = data(bias)
    p.relu = activation is not None
    p.add = False
    multiply(&p, cnp.PyArray_ITEMSIZE(y))
    if out is not None and y is not <cnp.ndarray>out:
        out_memory[...] = y
    return y if out is None else out


def linear_backward(grad, x, weight, input_grad):
    cdef fm_scope _scope = fm_switch(FM_FLUSH)
    cdef Product dx, dw
    cdef Matrix dz
    cdef cnp.npy_intp features
    cdef cnp.ndarray dx_array, dw_array, db_array
    input_grad = flag(input_grad, "input_grad")
    if not (takes(grad) and takes(x) and takes(weight) and same_type(<cnp.ndarray>grad, <cnp.ndarray>x)
            and same_type(<cnp.ndarray>grad, <cnp.ndarray>weight)):
        grad, x, weight = _taken(("grad", "x", "weight"), (grad, x, weight))
    check_features(<cnp.ndarray>x, <cnp.ndarray>weight)
    features = cnp.PyArray_DIM(<cnp.ndarray>weight, 0)
    if cnp.PyArray_NDIM(<cnp.ndarray>grad) == 0 or not fits_rows(<cnp.ndarray>grad, <cnp.ndarray>x, features):
        _check.refuse_shape("grad", _shape_like(x, features), grad.shape)
    if not cnp.PyArray_IS_C_CONTIGUOUS(<cnp.ndarray>grad):
        grad = _check.plain(grad)

    dx_array = rows_like(<cnp.ndarray>x, cnp.PyArray_DIM(<cnp.ndarray>weight, 1)) if input_grad else None
    dw_array = new_array(2, cnp.PyArray_DIMS(<cnp.ndarray>weight), cnp.PyArray_TYPE(<cnp.ndarray>x))
    db_array = new_array(1, &features, cnp.PyArray_TYPE(<cnp.ndarray>x))
    dz = matrix(<cnp.ndarray>grad)
    if input_grad:
        dx.c = matrix(dx_array)
    dx.a = dz
    dx.b = matrix(<cnp.ndarray>weight)
    dw.c = matrix(dw_array)
    dw.a = transposed(&dz)
    dw.b = matrix(<cnp.ndarray>x)
    dx.bias = dw.bias = NULL
    dx.relu = dw.relu = dx.add = dw.add = False
    multiply_backward(&dx if input_grad else NULL, &dw, cnp.PyArray_DATA(db_array), &dz,
                      cnp.PyArray_ITEMSIZE(dw_array))
    return dx_array, dw_array, db_array
