"""The functions of kernels, and what stages give them. arguments.pxd shows how a kernel is written."""

from libc.stdint cimport int64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcpy

cdef double[RULER_WORDS] marks
cdef Py_ssize_t _k
for _k in range(RULER_WORDS):
    marks[_k] = _k + 1
ruler = marks

# For card.py.
FULL = FM_FULL
MARKS = RULER_WORDS


cdef class Function:
    """Of a kernel, what a program needs. card.py has the rest: the names, and how a stage may be cut."""

    def __init__(self, size_t tile, fm_environment mode, size_t words, dict places):
        self.tile, self.mode, self.bytes, self.places = <TileFunction>tile, mode, 8 * words, places


cdef class Arguments:
    """What one stage gives its kernel: operands, which the program puts in, and numbers by name."""

    def __cinit__(self, Function kernel):
        self.kernel = kernel
        self.memory = calloc(1, kernel.bytes)
        if self.memory == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.memory)

    def set(self, **numbers):
        """Numbers by name: their values, or a Live that will have them."""
        for name, value in numbers.items():
            if isinstance(value, Live):
                (<Live>value).join(self, name)
            else:
                kind, first, size = self.kernel.places[name]
                store(<char *>self.memory + <Py_ssize_t>first, kind, size, value)


cdef int store(char *place, str kind, Py_ssize_t size, object value) except -1:
    """Write a number, or the bytes of some."""
    if kind == "real":
        (<double *>place)[0] = value
    elif kind == "integer":
        (<int64_t *>place)[0] = <int64_t><unsigned long long>(value & 0xFFFFFFFFFFFFFFFF)
    elif len(<bytes?>value) != size:
        raise SystemError(f"a struct of {size} bytes is set from as many, not from {len(value)}")
    else:
        memcpy(place, <const char *><bytes>value, size)
    return 0


cdef class Live:
    """A number that is looked up before each step: `emit` takes it in the place of a value, in one stage or in many,
    and `set` gives all of them what it is now."""

    def __cinit__(self):
        self.stages = []

    def __dealloc__(self):
        free(self.places)

    cdef int join(self, Arguments arguments, str name) except -1:
        kind, first, size = arguments.kernel.places[name]
        if self.count and self.kind != (kind, size):
            raise SystemError(f"{name} must be {self.kind[0]} as where the Live is already, not {kind}")
        places = <char **>realloc(self.places, (self.count + 1) * sizeof(char *))
        if places == NULL:
            raise MemoryError
        self.places, self.kind = places, (kind, size)
        self.places[self.count] = <char *>arguments.memory + <Py_ssize_t>first
        self.count += 1
        self.stages.append(arguments)
        return 0

    def set(self, value):
        """Give it to all stages that hold it."""
        cdef Py_ssize_t k, size
        if self.count == 0:
            return
        kind, size = self.kind
        store(self.places[0], kind, size, value)
        for k in range(1, self.count):
            memcpy(self.places[k], self.places[0], size)
