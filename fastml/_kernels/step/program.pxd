"""A training step as a program: instructions, sweeps of them over tiles, phases of sweeps."""

from ... cimport _numpy as cnp

from ..._environment cimport fm_environment
from ..._openmp cimport fm_phase
from .arguments cimport TileFunction, View

# A stage of the plan: its kernel's function, the mode that it runs in, and what it is given.
cdef struct Instruction:
    TileFunction tile
    fm_environment mode
    const void *arguments

# Consecutive instructions, through which each tile goes before the next tile does.
cdef struct Sweep:
    int first           # instruction
    int last
    bint by_columns
    Py_ssize_t extent   # columns; -1: rows of the batch
    Py_ssize_t widest   # rows or columns in one tile, at most
    Py_ssize_t width    # and now
    int tiles

# Sweeps that do not depend on each other.
cdef struct Phase:
    int first           # sweep
    int last
    int tiles


cdef class Program:
    cdef Instruction *instructions
    cdef Sweep *sweeps
    cdef Phase *phases
    cdef fm_phase *sync
    cdef View **uses    # of each matrix in turn, where instructions have it
    cdef int *first_use
    cdef char *arena
    cdef char *scratch
    cdef size_t scratch_bytes
    cdef int scratch_threads
    cdef int n_phases
    cdef size_t itemsize
    cdef Py_ssize_t rows, panel
    cdef int threads    # for which the sweeps are cut
    cdef list held
    cdef readonly size_t arena_bytes

    cdef int place(self, list matrices, list stages) except -1
    cpdef bind(self, int matrix, cnp.ndarray array)
    cdef int execute(self, Py_ssize_t rows, double nanoseconds) except -1
    cdef int resize(self, Py_ssize_t rows, int threads) except -1
    cdef int reserve(self, int threads) except -1
    cdef fm_environment sweep_tile(self, const Phase *phase, int i, char *scratch, fm_environment mode) noexcept nogil
    cdef char *scratch_of(self, int thread) noexcept nogil
    cdef void alone(self) noexcept nogil
    cdef void together(self, int thread) noexcept nogil
