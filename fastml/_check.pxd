"""The gate for arrays: the inline fast path. The slow path and the error texts are in _check.py.

A kernel asks `is_plain` of its inputs and `fits` of out. Where the answer is yes it runs; otherwise it calls
`_check.arrange`, which raises or returns plain stand-ins, runs itself on those and lets `finish` deliver.
"""

from . cimport _numpy as cnp
from ._memory cimport new_array

cdef extern from "Python.h":
    object PyImport_ImportModule(const char *name)
    long long PyLong_AsLongLongAndOverflow(object x, int *overflow)

cdef extern from "numpy/arrayobject.h":
    int PyArray_ISCARRAY(cnp.ndarray) noexcept
    int PyArray_ISCARRAY_RO(cnp.ndarray) noexcept

# An array seen along one axis: `outer` blocks of `n` steps of `inner` neighbours.
cdef struct Layout:
    Py_ssize_t outer
    Py_ssize_t n
    Py_ssize_t inner


cdef inline Py_ssize_t ceil_div(Py_ssize_t a, Py_ssize_t b) noexcept nogil:
    """How many blocks of b hold a."""
    return (a + b - 1) // b


cdef inline bint flag(object value, str name) except -1:
    """True or False as C has them; TypeError for anything else but 1 and 0."""
    if value is True:
        return True
    if value is False:
        return False
    return PyImport_ImportModule("fastml._check").flag(value, name)


cdef inline double real_number(object value, str name, double most) except? -1:
    """A real number from 0 to `most` as a double."""
    if type(value) is float and 0 <= <double>value <= most:
        return value
    return PyImport_ImportModule("fastml._check").number(value, name, 0, most)


cdef inline bint is_text(object value, str text) noexcept:
    """value is this very text: an option may be anything, also an array."""
    return type(value) is str and <str>value == text


cdef inline bint is_real(cnp.ndarray x) noexcept:
    cdef int t = cnp.PyArray_TYPE(x)
    return t == cnp.NPY_FLOAT or t == cnp.NPY_DOUBLE


cdef inline bint is_plain(object x) noexcept:
    """An exact ndarray of float32 or float64, C-contiguous, aligned, in native byte order."""
    return type(x) is cnp.ndarray and is_real(<cnp.ndarray>x) and PyArray_ISCARRAY_RO(<cnp.ndarray>x)


cdef inline bint same_shape(cnp.ndarray a, cnp.ndarray b) noexcept:
    cdef int i, ndim = cnp.PyArray_NDIM(a)
    if ndim != cnp.PyArray_NDIM(b):
        return False
    for i in range(ndim):
        if cnp.PyArray_DIM(a, i) != cnp.PyArray_DIM(b, i):
            return False
    return True


cdef inline bint alike(cnp.ndarray a, object b) noexcept:
    """b is a plain array of a's shape and dtype."""
    return (is_plain(b) and cnp.PyArray_TYPE(<cnp.ndarray>b) == cnp.PyArray_TYPE(a)
            and same_shape(a, <cnp.ndarray>b))


cdef inline bint apart(cnp.ndarray a, object b) noexcept:
    """b is None, or two contiguous arrays share no memory."""
    cdef const char *p = cnp.PyArray_BYTES(a)
    cdef const char *q
    if b is None:
        return True
    q = cnp.PyArray_BYTES(<cnp.ndarray>b)
    return p + cnp.PyArray_NBYTES(a) <= q or q + cnp.PyArray_NBYTES(<cnp.ndarray>b) <= p


cdef inline bint same_or_apart(cnp.ndarray a, cnp.ndarray b) noexcept:
    """Two contiguous arrays of one size are the very same memory, or apart."""
    return cnp.PyArray_BYTES(a) == cnp.PyArray_BYTES(b) or apart(a, b)


cdef inline bint fits(cnp.ndarray x, object out) noexcept:
    """out is None, or a plain writable array like x that is x itself or apart from it."""
    if out is None:
        return True
    return alike(x, out) and PyArray_ISCARRAY(<cnp.ndarray>out) and same_or_apart(x, <cnp.ndarray>out)


cdef inline void *data(object x) noexcept:
    """Where an array's elements are; NULL for None."""
    return NULL if x is None else cnp.PyArray_DATA(<cnp.ndarray>x)


cdef inline bint is_vector(object v, cnp.ndarray x, Py_ssize_t n, object out) noexcept:
    """v is None, or a plain vector of n elements of x's dtype, apart from out."""
    if v is None:
        return True
    return (is_plain(v) and cnp.PyArray_TYPE(<cnp.ndarray>v) == cnp.PyArray_TYPE(x)
            and cnp.PyArray_NDIM(<cnp.ndarray>v) == 1 and cnp.PyArray_DIM(<cnp.ndarray>v, 0) == n
            and apart(<cnp.ndarray>v, out))


cdef inline cnp.ndarray vector_like(cnp.ndarray x, Py_ssize_t n):
    """A new vector of n elements of x's dtype."""
    cdef cnp.npy_intp size = n
    return new_array(1, &size, cnp.PyArray_TYPE(x))


cdef inline cnp.ndarray result_like(cnp.ndarray x, object out):
    """out, or a new array of x's shape and dtype."""
    if out is not None:
        return <cnp.ndarray>out
    return new_array(cnp.PyArray_NDIM(x), cnp.PyArray_DIMS(x), cnp.PyArray_TYPE(x))


cdef inline bint is_axis(object axis, cnp.ndarray x) noexcept:
    """axis is an int that names one of x's axes."""
    cdef Py_ssize_t a
    if type(axis) is not int:
        return False
    a = <Py_ssize_t>axis if -64 <= axis < 64 else 64
    return -cnp.PyArray_NDIM(x) <= a < cnp.PyArray_NDIM(x)


cdef inline bint lay(cnp.ndarray x, object axis, Layout *at) except -1:
    """Lay x out along `axis` (an integer; checked)."""
    cdef Py_ssize_t i, a, ndim = cnp.PyArray_NDIM(x)
    cdef int beyond = 0
    if type(axis) is not int:
        axis = PyImport_ImportModule("fastml._check").axis_index(axis)
    a = PyLong_AsLongLongAndOverflow(axis, &beyond)
    if a < 0:
        a += ndim if ndim else 1
    if beyond or a < 0 or a >= (ndim if ndim else 1):
        PyImport_ImportModule("fastml._check").raise_axis(axis, ndim)
    at.outer = at.n = at.inner = 1
    for i in range(ndim):
        if i < a:
            at.outer *= cnp.PyArray_DIM(x, <int>i)
        elif i == a:
            at.n = cnp.PyArray_DIM(x, <int>i)
        else:
            at.inner *= cnp.PyArray_DIM(x, <int>i)
    return True


cdef inline bint labels_fit(cnp.ndarray x, object target, object axis) noexcept:
    """target is a plain int64 array of x's shape without the axis, which may be out of range."""
    cdef Py_ssize_t i, a, ndim = cnp.PyArray_NDIM(x)
    cdef int beyond = 0
    if type(target) is not cnp.ndarray or type(axis) is not int:
        return False
    if (cnp.PyArray_TYPE(<cnp.ndarray>target) != cnp.NPY_INT64 or not PyArray_ISCARRAY_RO(<cnp.ndarray>target)
            or cnp.PyArray_NDIM(<cnp.ndarray>target) != ndim - 1):
        return False
    a = PyLong_AsLongLongAndOverflow(axis, &beyond)
    if a < 0:
        a += ndim
    if beyond or a < 0 or a >= ndim:
        return False
    for i in range(ndim - 1):
        if cnp.PyArray_DIM(<cnp.ndarray>target, <int>i) != cnp.PyArray_DIM(x, <int>(i + (i >= a))):
            return False
    return True


cdef inline cnp.ndarray as3d(cnp.ndarray x, const Layout *at):
    """A plain array's memory as (outer, n, inner); the caller keeps x alive."""
    cdef cnp.npy_intp shape[3]
    shape[0], shape[1], shape[2] = at.outer, at.n, at.inner
    return cnp.PyArray_SimpleNewFromData(3, shape, cnp.PyArray_TYPE(x), cnp.PyArray_DATA(x))


cdef inline cnp.ndarray as1d(cnp.ndarray x):
    """A plain array's memory as one run; the caller keeps x alive."""
    cdef cnp.npy_intp size = cnp.PyArray_SIZE(x)
    return cnp.PyArray_SimpleNewFromData(1, &size, cnp.PyArray_TYPE(x), cnp.PyArray_DATA(x))
