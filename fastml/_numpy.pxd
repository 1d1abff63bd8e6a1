"""What the kernels take of NumPy's C API, in NumPy's words.

NumPy's own declarations would make every module import sixteen types and hold their names, though it needs one or two.
"""

cdef extern from "numpy/arrayobject.h":
    ctypedef Py_ssize_t npy_intp

    enum NPY_TYPES:
        NPY_BOOL
        NPY_INT
        NPY_INT64
        NPY_FLOAT
        NPY_DOUBLE

    enum:
        NPY_ARRAY_ALIGNED
        NPY_ARRAY_C_CONTIGUOUS
        NPY_ARRAY_CARRAY
        NPY_ARRAY_OWNDATA
        NPY_ARRAY_WRITEABLE

    ctypedef class numpy.dtype [object PyArray_Descr, check_size ignore]:
        pass

    ctypedef class numpy.ndarray [object PyArrayObject, check_size ignore]:
        @property
        cdef inline dtype descr(self):
            return <dtype>PyArray_DESCR(self)

        @property
        cdef inline int ndim(self) noexcept nogil:
            return PyArray_NDIM(self)

        @property
        cdef inline npy_intp *shape(self) noexcept nogil:
            return PyArray_DIMS(self)

    # What an array has of its memory.
    ctypedef struct PyArrayObject_fields:
        int flags
        void *mem_handler

    ctypedef struct PyDataMemAllocator:
        void *ctx
        void *(*malloc)(void *context, size_t bytes) noexcept
        void *(*calloc)(void *context, size_t count, size_t bytes) noexcept
        void *(*realloc)(void *context, void *memory, size_t bytes) noexcept
        void (*free)(void *context, void *memory, size_t bytes) noexcept

    ctypedef struct PyDataMem_Handler:
        char name[127]
        unsigned char version
        PyDataMemAllocator allocator

    int import_array "_import_array"() except -1

    bint PyArray_IS_C_CONTIGUOUS(ndarray x) noexcept nogil
    bint PyArray_IS_F_CONTIGUOUS(ndarray x) noexcept nogil
    bint PyArray_ISBEHAVED_RO(ndarray x) noexcept nogil
    bint PyTypeNum_ISINTEGER(int type) noexcept nogil
    bint PyTypeNum_ISSIGNED(int type) noexcept nogil

    char *PyArray_BYTES(ndarray x) noexcept nogil
    void *PyArray_DATA(ndarray x) noexcept nogil
    void *PyArray_DESCR(ndarray x) noexcept nogil
    npy_intp PyArray_DIM(ndarray x, size_t axis) noexcept nogil
    npy_intp *PyArray_DIMS(ndarray x) noexcept nogil
    int PyArray_FLAGS(ndarray x) noexcept nogil
    npy_intp PyArray_ITEMSIZE(ndarray x) noexcept nogil
    npy_intp PyArray_NBYTES(ndarray x) noexcept nogil
    int PyArray_NDIM(ndarray x) noexcept nogil
    npy_intp PyArray_SIZE(ndarray x) noexcept nogil
    npy_intp PyArray_STRIDE(ndarray x, size_t axis) noexcept nogil
    int PyArray_TYPE(ndarray x) noexcept nogil
    npy_intp PyDataType_ELSIZE(dtype x) noexcept nogil

    object PyArray_SimpleNewFromData(int ndim, npy_intp *shape, int type, void *data)
    object PyArray_ZEROS(int ndim, npy_intp *shape, int type, int fortran)
    int PyArray_SetBaseObject(ndarray x, object base) except -1  # keeps the reference to base that it is given
