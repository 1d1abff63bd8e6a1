"""What a kernel of a training step sees: docs/adding.md shows how to write one.

A kernel runs one stage on one tile: rows lo ... hi of the batch with all columns, or columns lo ... hi with all
rows. Parameters and what belongs to them (gradients, momenta) are cut with the columns that they make.
"""

cimport numpy as cnp
from libc.stdint cimport int64_t

from ..._environment cimport FM_FULL, fm_environment
from ..._openmp cimport fm_phase

cdef enum:
    OPERANDS = 10
    NUMBERS = 8

# A matrix in memory: element (i, j) is at data + (i row + j) elements; vectors of parameters have row = 1.
cdef struct View:
    char *data
    Py_ssize_t row
    Py_ssize_t cols
    bint private        # a tile's own piece in the thread's scratch, `data` being its offset there

cdef struct Tile:
    Py_ssize_t lo
    Py_ssize_t hi
    Py_ssize_t rows     # of the batch
    bint by_columns
    char *scratch       # this thread's

# What a stage is given: its operands in the order in which it was emitted, outputs first, and its numbers.
cdef struct Args:
    View *v[OPERANDS]   # NULL: an operand that is None
    double *x
    int64_t *n
    size_t size         # of an element

ctypedef void (*Kernel)(const Args *args, const Tile *tile) noexcept nogil


cdef inline void *at(const View *v, const Tile *tile, Py_ssize_t i, Py_ssize_t j, size_t size) noexcept nogil:
    """Element (i, j) of a view; NULL of None."""
    if v == NULL:
        return NULL
    if v.private:
        return tile.scratch + <size_t>v.data + ((i - tile.lo) * v.row + j) * size
    return v.data + (i * v.row + j) * size


# A tile of a matrix of the batch: rows i ... i + rows, columns j ... j + cols.
cdef struct Block:
    Py_ssize_t i
    Py_ssize_t j
    Py_ssize_t rows
    Py_ssize_t cols


cdef inline Block block(const Tile *tile, Py_ssize_t cols) noexcept nogil:
    if tile.by_columns:
        return Block(0, tile.lo, tile.rows, tile.hi - tile.lo)
    return Block(tile.lo, 0, tile.hi - tile.lo, cols)


cdef class KernelOf:
    cdef Kernel run
    cdef fm_environment mode
    cdef readonly str name


cdef inline KernelOf kernel(Kernel run, str name, fm_environment mode=FM_FULL):
    """A kernel as Python passes it around; it runs in the mode of the op that it stands for."""
    cdef KernelOf made = KernelOf.__new__(KernelOf)
    made.run, made.name, made.mode = run, name, mode
    return made


cdef class Numbers:
    cdef double x[NUMBERS]
    cdef int64_t n[NUMBERS]


cdef struct Stage:
    Kernel run
    fm_environment mode
    Args args

# Consecutive stages that go over the same tiles.
cdef struct Job:
    int first
    int last
    bint by_columns
    Py_ssize_t extent   # columns; -1: rows of the batch
    Py_ssize_t tile     # rows or columns in one
    int tiles

cdef struct Phase:
    int first           # job
    int last
    int tiles


# What a program has learnt about the team: another process on one of its CPUs makes it slower than one thread.
cdef struct Habit:
    double alone        # the time on one thread over the estimate
    int known           # how many runs that is from
    int calm            # team runs in a row that paid
    int slow            # and that did not
    double rest         # how long the last rest of the team was
    double until        # and when it ended: nanoseconds of the clock


cdef class Program:
    cdef Habit habit
    cdef double ended   # the last run
    cdef Stage *stages
    cdef Job *jobs
    cdef Phase *phases
    cdef View *views
    cdef fm_phase *sync
    cdef char *arena
    cdef char *scratch
    cdef size_t scratch_bytes
    cdef int scratch_threads
    cdef int n_phases
    cdef size_t size
    cdef Py_ssize_t rows
    cdef list held
    cdef readonly size_t arena_bytes

    cpdef bind(self, int view, cnp.ndarray array)
    cdef int run(self, Py_ssize_t rows, double nanoseconds) except -1
    cdef int resize(self, Py_ssize_t rows) except -1
    cdef int reserve(self, int threads) except -1
    cdef fm_environment tile(self, const Phase *phase, int i, char *scratch, fm_environment mode) noexcept nogil
    cdef char *scratch_of(self, int thread) noexcept nogil
    cdef void alone(self) noexcept nogil
    cdef void together(self, int thread) noexcept nogil
