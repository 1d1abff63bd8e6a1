"""Memory of fastml's own: arrays and scratch that begin on a cache line; _memory.pyx says how.

    y = new_array(ndim, shape, type)       # an array like any of NumPy's
    scratch = lines(bytes)                 # NULL: there is none; any thread, without the lock too
    free_lines(scratch)
"""

from . cimport _numpy as cnp

cdef cnp.ndarray new_array(int ndim, cnp.npy_intp *shape, int type)
# The same of any dtype; *zero: its memory is known to be all zero.
cdef cnp.ndarray new_array_of(int ndim, cnp.npy_intp *shape, cnp.dtype dtype, bint *zero)
cdef void *lines(size_t bytes) noexcept nogil
cdef void free_lines(void *memory) noexcept nogil
