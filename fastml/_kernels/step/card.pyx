"""Cards of kernels, and what stages are given by them. card.pxd shows how a kernel is written."""

from libc.stdint cimport int64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcpy

cdef double[RULER_WORDS] marks
cdef Py_ssize_t _k
for _k in range(RULER_WORDS):
    marks[_k] = _k + 1
ruler = marks


class CardError(Exception):
    """A card that contradicts its struct."""


cdef class Kernel:
    """A kernel of a training step, as a plan names it: its function and its card."""

    def __repr__(self):
        return f"<kernel {self.name}>"


cdef Py_ssize_t word(object mark) except -1:
    """The word of the ruler from which a number was read: a double is the mark itself, an integer has its bits."""
    cdef double value
    cdef unsigned long long bits
    if isinstance(mark, float):
        value = mark
    else:
        bits = mark
        memcpy(&value, &bits, sizeof(double))
    if not 1 <= value <= RULER_WORDS or value != <Py_ssize_t>value:
        raise CardError("members must have 8 bytes: View, double, an integer of 64 bits, or a struct of such numbers")
    return <Py_ssize_t>value - 1


cdef tuple names_of(str text, object known, str name, str what):
    """The words of a text, which are all known."""
    names = tuple(text.split())
    for each in names:
        if each not in known:
            raise CardError(f"{name} has no {what} {each}")
    return names


def card(size_t tile, str name, str formula, dict fields, *, str out="", str inout="", str optional="", str later="",
         str rows=None, str columns=None, str rectifier=None, fm_environment mode=FM_FULL):
    """The kernel of the function at address ``tile``, and its card.

    ``fields``: its struct, read from the ruler. ``out``, ``inout``, ``optional``: names of operands; ``later``: numbers
    that are set after `emit`, by the kernel's own target; ``rectifier``: the one that a fusion sets. ``rows``,
    ``columns``: the operands that such a tile needs whole, None where there is no such cut. ``mode``: that of the op
    that it stands for.
    """
    cdef Kernel made = Kernel.__new__(Kernel)
    cdef Py_ssize_t at = 0, first
    operands, numbers, places = [], {}, {}
    for field, value in fields.items():
        if isinstance(value, dict) and "where" in value:
            if numbers:
                raise CardError(f"{name}: operands must come before numbers, not {field}")
            marks_of = list(value.values())
            operands.append(field)
        elif isinstance(value, dict):
            marks_of = list(value.values())
            numbers[field] = tuple(value)
            places[field] = "struct", 8 * at, 8 * len(marks_of)
        else:
            marks_of = [value]
            numbers[field] = "real" if isinstance(value, float) else "integer"
            places[field] = numbers[field], 8 * at, 8
        for mark in marks_of:
            first = word(mark)
            if first != at:
                raise CardError(f"{name}: {field} lies at word {first}, not {at}")
            at += 1
    made.tile, made.name, made.formula, made.mode, made.bytes = <TileFunction>tile, name, formula, mode, 8 * at
    made.operands, made.numbers, made.places = tuple(operands), numbers, places
    written = names_of(f"{out} {inout}", operands, name, "operand")
    made.outs = written
    made.ins = tuple([each for each in operands if each not in out.split()])
    made.optional = frozenset(names_of(optional, operands, name, "operand"))
    made.rectifier = rectifier
    made.later = frozenset(names_of(f"{later} {rectifier or ''}", numbers, name, "number"))
    made.names = frozenset(fields) - made.later
    made.cuts = {
        cut: names_of(whole, operands, name, "operand")
        for cut, whole in (("rows", rows), ("columns", columns)) if whole is not None
    }
    return made


cdef class Arguments:
    """What one stage gives its kernel: operands, which the program puts in, and numbers by name."""

    def __cinit__(self, Kernel kernel):
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
        raise CardError(f"a struct of {size} bytes is set from as many, not from {len(value)}")
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
            raise CardError(f"{arguments.kernel.name} takes another kind of number for {name}")
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
