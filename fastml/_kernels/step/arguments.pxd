"""What a kernel of a training step is: a function over one tile, and a card with the names of all that it is given.

A tile is rows lo ... hi of the batch with all columns, or columns lo ... hi with all rows. Parameters and what belongs
to them (gradients, momenta) are cut with the columns that they make. A kernel takes three things:

    cdef struct Scale:              # what it is given: operands first, then numbers
        View y
        View x
        double factor

    cdef void scale_tile(const Scale *p, const Tile *t) noexcept nogil:
        cdef Block b = block(t, p.y.cols)
        cdef Py_ssize_t i
        for i in range(b.i, b.i + b.rows):
            table_of(t.size).scale(at(&p.y, t, i, b.j), at(&p.x, t, i, b.j), b.cols, p.factor)

    scale = card(<size_t>scale_tile, "scale", "y = factor x", (<const Scale *>ruler)[0], out="y", rows="", columns="")

The struct is the card: its members are the names that a plan's `emit` asks for, so a name and its place cannot differ.
A View is an operand, a double and an integer of 64 bits are numbers, and a struct of such numbers is set at once, from
its bytes.
"""

from libc.stdint cimport int64_t

from ..._environment cimport FM_FULL, fm_environment

# How the memory of an operand is found.
cdef enum:
    ABSENT = 0          # an optional operand that a stage does not have
    MEMORY = 1          # at its address
    SCRATCH = 2         # in the thread's scratch, where every tile has its own piece of the matrix

# A matrix in memory: element (i, j) is at data + (i row + j) size; vectors of parameters have row = 1.
cdef struct View:
    size_t data         # the address, or the place in the scratch
    Py_ssize_t row      # elements from one row to the next
    Py_ssize_t cols
    size_t size         # bytes of an element
    size_t where

cdef struct Tile:
    Py_ssize_t lo
    Py_ssize_t hi
    Py_ssize_t rows     # of the batch
    bint by_columns
    size_t size         # bytes of an element of the model
    char *scratch       # this thread's

ctypedef void (*TileFunction)(const void *arguments, const Tile *tile) noexcept nogil


cdef inline void *at(const View *v, const Tile *tile, Py_ssize_t i, Py_ssize_t j) noexcept nogil:
    """Element (i, j) of an operand; NULL of one that is absent."""
    if v.where == MEMORY:
        return <char *>v.data + (i * v.row + j) * <Py_ssize_t>v.size
    if v.where == ABSENT:
        return NULL
    return tile.scratch + v.data + ((i - tile.lo) * v.row + j) * <Py_ssize_t>v.size


cdef inline bint given(const View *v) noexcept nogil:
    """The stage has this optional operand."""
    return v.where != ABSENT


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


cdef enum:
    RULER_WORDS = 128

# Memory in which word k holds the double k + 1: a struct read from it tells where its members lie.
cdef double *ruler


cdef class Function:
    cdef TileFunction tile
    cdef fm_environment mode
    cdef size_t bytes               # of the struct
    cdef dict places                # name of a number: (kind, first byte, bytes)


cdef class Arguments:
    cdef readonly Function kernel
    cdef void *memory               # the kernel's struct


cdef class Live:
    cdef list stages                # the Arguments that hold it
    cdef char **places              # where in them
    cdef Py_ssize_t count
    cdef tuple kind                 # what it is there: (kind, bytes)

    cdef int join(self, Arguments arguments, str name) except -1
