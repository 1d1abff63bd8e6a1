"""The one place where fastml's arrays get their memory.

An array from here owns its memory as any of NumPy's does, only that its handler (NEP 49) is fastml's, so that NumPy
gives the memory back to src_c/memory.h, resizes it there, and tracemalloc sees it. NumPy's own memory begins 16 bytes
off a cache line, where every vector of 64 bytes that is read or written crosses one.

Rejected: setting the handler in a context for the time of a call, as NEP 49 has it (a context variable set and set
back for every result); a capsule as the array's base (the array does not own its memory then: no resize).
"""

import os

import numpy as np

from . cimport _numpy as cnp
from cpython.pycapsule cimport PyCapsule_New
from cpython.ref cimport Py_DECREF, Py_INCREF, PyObject
from libc.stdint cimport uintptr_t
from libc.string cimport strcpy

cnp.import_array()

cdef extern from "Python.h":
    int PyTraceMalloc_Track(unsigned int domain, uintptr_t memory, size_t bytes)

cdef extern from "numpy/arrayobject.h":
    cnp.dtype PyArray_DescrFromType(int type)
    bint PyDataType_REFCHK(cnp.dtype descr)
    PyObject *PyArray_NewFromDescr(type subtype, cnp.dtype descr, int nd, cnp.npy_intp *dims,
                                   cnp.npy_intp *strides, void *data, int flags, PyObject *obj)

cdef extern from "memory.h" nogil:
    void fm_memory_begin(bint keeps)
    void fm_memory_kept(size_t *kept)
    void *fm_lines_new(size_t bytes, bint *zero)
    void fm_lines_free(void *memory)
    Py_ssize_t fm_array_bytes(int ndim, const Py_ssize_t *shape, Py_ssize_t size)
    void *fm_array_new(size_t bytes, bint *zero)
    void fm_array_free(void *memory)
    void *fm_numpy_new(void *context, size_t bytes) noexcept
    void *fm_numpy_zeros(void *context, size_t count, size_t bytes) noexcept
    void *fm_numpy_resize(void *context, void *memory, size_t bytes) noexcept
    void fm_numpy_free(void *context, void *memory, size_t bytes) noexcept

cdef enum:
    TRACE_DOMAIN = 389047  # np.lib.tracemalloc_domain

cdef cnp.PyDataMem_Handler handler
strcpy(handler.name, "fastml")
handler.version = 1
handler.allocator.ctx = NULL
handler.allocator.malloc = fm_numpy_new
handler.allocator.calloc = fm_numpy_zeros
handler.allocator.realloc = fm_numpy_resize
handler.allocator.free = fm_numpy_free
cdef object capsule = PyCapsule_New(&handler, "mem_handler", NULL)

fm_memory_begin(not os.environ.get("PYTHONMALLOC", "").startswith("malloc"))


cdef PyObject *new(int ndim, cnp.npy_intp *shape, cnp.dtype dtype, bint *zero) except NULL:
    """A new reference."""
    cdef Py_ssize_t bytes = fm_array_bytes(ndim, shape, cnp.PyDataType_ELSIZE(dtype))
    cdef void *memory = NULL
    cdef PyObject *y
    cdef cnp.PyArrayObject_fields *fields
    zero[0] = False
    if bytes >= 0:
        memory = fm_array_new(bytes, zero)
    Py_INCREF(dtype)  # which the array takes
    if memory == NULL:  # NumPy says why
        return PyArray_NewFromDescr(cnp.ndarray, dtype, ndim, shape, NULL, NULL, 0, NULL)
    y = PyArray_NewFromDescr(cnp.ndarray, dtype, ndim, shape, NULL, memory, cnp.NPY_ARRAY_CARRAY, NULL)
    if y == NULL:
        fm_array_free(memory)
        return NULL
    fields = <cnp.PyArrayObject_fields *>y
    fields.flags |= cnp.NPY_ARRAY_OWNDATA
    Py_INCREF(capsule)
    fields.mem_handler = <void *>capsule
    PyTraceMalloc_Track(TRACE_DOMAIN, <uintptr_t>memory, bytes)
    return y


cdef cnp.ndarray new_array_of(int ndim, cnp.npy_intp *shape, cnp.dtype dtype, bint *zero):
    cdef PyObject *y = new(ndim, shape, dtype, zero)
    made = <cnp.ndarray>y
    Py_DECREF(made)
    return made


cdef cnp.ndarray new_array(int ndim, cnp.npy_intp *shape, int type):
    cdef bint zero
    return new_array_of(ndim, shape, PyArray_DescrFromType(type), &zero)


cdef void *lines(size_t bytes) noexcept nogil:
    cdef bint zero
    return fm_lines_new(bytes, &zero)


cdef void free_lines(void *memory) noexcept nogil:
    fm_lines_free(memory)


def empty(shape, dtype):
    """np.empty, for a shape of one number or several and a dtype without Python's objects, which this memory would not
    begin with."""
    cdef cnp.npy_intp sizes[64]
    cdef int ndim = 0
    cdef bint zero
    dtype = np.dtype(dtype)
    if PyDataType_REFCHK(<cnp.dtype>dtype):
        raise TypeError(f"dtype must hold no Python objects, not {dtype}")
    if type(shape) is not tuple:
        shape = (shape,)
    if len(shape) > 64:  # which NumPy refuses
        return np.empty(shape, dtype)
    for size in <tuple>shape:
        sizes[ndim] = size
        ndim += 1
    return new_array_of(ndim, sizes, <cnp.dtype>dtype, &zero)


def empty_like(x):
    """np.empty_like of an array that is contiguous in C's order or Fortran's."""
    return empty(x.shape, x.dtype) if x.flags.c_contiguous else empty(x.shape[::-1], x.dtype).T


def filled(shape, value, dtype):
    """np.full."""
    y = empty(shape, dtype)
    y.fill(value)
    return y


def copied(x, dtype=None):
    """np.array(x, dtype, order="C") of an array."""
    y = empty(x.shape, dtype or x.dtype)
    y[...] = x
    return y


def kept():
    """The bytes of freed memory that are kept: small, middle, large and lent blocks."""
    cdef size_t bytes[4]
    fm_memory_kept(bytes)
    return tuple(bytes)
