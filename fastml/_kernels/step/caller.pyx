"""The short way from a Python call to a training step's program, and whether the program still is what was asked for.

A program is made from the model, the loss, the optimizer and their arrays as they are at one moment. In every call four
things tell, in some tens of nanoseconds, that nothing of it has changed since:

- the count of attributes set (_tracked.pyx): options, layers, parameters, arrays put in the place of others;
- the version of each class: a method replaced for all its objects;
- of each array its data, shape, dtype and flags, from NumPy's own struct, which no subclass can colour: an array that
  was given another shape, that was made read-only, whose memory went elsewhere;
- the bytes of arrays that the program has copied: class weights.

Where one of them differs the call writes nothing and raises Stale: nn/step.py finds out what it was, makes another
program and calls again.
"""

cimport cython
from ... cimport _numpy as cnp
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp

from ..._check cimport PyArray_ISCARRAY_RO
from ..._tracked cimport Tracked, changes, fm_claim, fm_count, fm_release, int64_t
from .program cimport Program

import numpy as np

from .program import Stale

cnp.import_array()

cdef extern from *:
    """
    /* 0: the class has changed and nobody has looked at it since. */
    #define fm_version(cls) __atomic_load_n(&((PyTypeObject *)(cls))->tp_version_tag, __ATOMIC_RELAXED)
    """
    unsigned int fm_version(object cls) noexcept

cdef extern from "numpy/arrayobject.h":
    ctypedef struct PyArray_Descr
    PyArray_Descr *PyArray_DESCR(cnp.ndarray) noexcept

cdef enum:
    AXES = 8   # at most, of an array
    GIVEN = 4  # arrays that a call brings along: the batch, its target
    PLAIN = cnp.NPY_ARRAY_C_CONTIGUOUS | cnp.NPY_ARRAY_ALIGNED
    FLAGS = cnp.NPY_ARRAY_C_CONTIGUOUS | cnp.NPY_ARRAY_ALIGNED | cnp.NPY_ARRAY_WRITEABLE

MOST_AXES = AXES

# An array outside the program, as it was when it was bound.
cdef struct Bound:
    char *data
    Py_ssize_t bytes
    PyArray_Descr *descr
    int flags
    int ndim
    Py_ssize_t shape[AXES]
    bint written


def facts(array):
    """What NumPy's struct says of an array: (address, bytes, shape, dtype, whether it lies in one piece, whether it may
    be written)."""
    cdef cnp.ndarray a = array
    shape = tuple([cnp.PyArray_DIM(a, i) for i in range(cnp.PyArray_NDIM(a))])
    flags = cnp.PyArray_FLAGS(a)
    return (<size_t>cnp.PyArray_DATA(a), cnp.PyArray_NBYTES(a), shape, <object>cnp.PyArray_DESCR(a),
            flags & PLAIN == PLAIN, flags & cnp.NPY_ARRAY_WRITEABLE != 0)


def version(cls):
    """Another number whenever the class has changed, or one of its bases; 0: nobody has looked at it since."""
    return fm_version(cls)


cdef int remember(Bound *b, cnp.ndarray array, bint written) except -1:
    cdef int i
    b.data, b.bytes, b.descr = cnp.PyArray_BYTES(array), cnp.PyArray_NBYTES(array), PyArray_DESCR(array)
    b.flags, b.ndim, b.written = cnp.PyArray_FLAGS(array) & FLAGS, cnp.PyArray_NDIM(array), written
    if b.ndim > AXES:
        raise SystemError(f"{b.ndim} axes")  # step/plan.py has refused them
    for i in range(b.ndim):
        b.shape[i] = cnp.PyArray_DIM(array, i)
    return 0


cdef inline bint unchanged(const Bound *b, cnp.ndarray array) noexcept:
    cdef int i
    if (cnp.PyArray_BYTES(array) != b.data or PyArray_DESCR(array) != b.descr or cnp.PyArray_NDIM(array) != b.ndim
            or cnp.PyArray_FLAGS(array) & FLAGS != b.flags):
        return False
    for i in range(b.ndim):
        if cnp.PyArray_DIM(array, i) != b.shape[i]:
            return False
    return True


cdef inline bint same_bytes(object source, bytes copied):
    """The array (or what made one) still holds what was copied."""
    if type(source) is cnp.ndarray and cnp.PyArray_IS_C_CONTIGUOUS(<cnp.ndarray>source):
        return (cnp.PyArray_NBYTES(<cnp.ndarray>source) == len(copied)
                and memcmp(cnp.PyArray_DATA(<cnp.ndarray>source), <const char *>copied, len(copied)) == 0)
    return np.asarray(source).tobytes() == copied


@cython.auto_pickle(False)
cdef class Caller(Tracked):
    """Base of nn.step.Step, which has ``_anew(x, y)``: the call where something is not as it was."""

    cdef int taken
    cdef int64_t seen           # the count of attributes set, when all was last found as it was
    cdef tuple classes          # of all objects that the program was made from
    cdef unsigned int *versions
    cdef list arrays
    cdef list descrs            # which `bounds` points to
    cdef Bound *bounds
    cdef list copied            # (source, bytes)
    cdef object signature       # to be asked in every call, as some object does not count; None where all do
    cdef object looked          # in a call that looks closely: the signature that tells whose attribute was set
    cdef Program program
    cdef object target
    cdef tuple given            # the views of what a call brings along, the batch's first
    cdef list prepare, commit
    cdef Py_ssize_t capacity, least
    cdef Py_ssize_t shape[AXES]  # of a batch; the first is another in every call
    cdef int ndim, typenum
    cdef double nanoseconds

    def __cinit__(self):
        self.classes, self.arrays = (), []

    def __dealloc__(self):
        free(self.versions)
        free(self.bounds)

    def __call__(self, x, y=None):
        """One step on the batch (x, y); returns its loss, taken before the update."""
        if not fm_claim(&self.taken):
            raise RuntimeError("this step is running already: a step belongs to one thread at a time; "
                               "copy.deepcopy(step) is one for another thread, over a copy of the model")
        try:
            try:
                return self._quick(x, y)
            except Stale:
                pass
            return self._anew(x, y)
        finally:
            fm_release(&self.taken)

    def _arm(self, Program program, target, plan, Py_ssize_t capacity, tuple sample, double nanoseconds):
        """Take a program, and what a plan says about its calls."""
        cdef int i
        self._disarm()
        free(self.bounds)
        self.bounds = NULL
        self.arrays = [array for array, _, _ in plan.bound]
        self.descrs = [<object>PyArray_DESCR(<cnp.ndarray?>array) for array in self.arrays]
        self.bounds = <Bound *>calloc(len(self.arrays) + 1, sizeof(Bound))
        if self.bounds == NULL:
            raise MemoryError
        for i, (array, _, written) in enumerate(plan.bound):
            remember(&self.bounds[i], array, written)
        self.copied, self.prepare, self.commit = plan.copied, plan.prepare, plan.commit
        self.target, self.given, self.capacity, self.least = target, plan.given, capacity, plan.least_rows
        self.ndim, self.nanoseconds = 1 + len(sample), nanoseconds
        for i, size in enumerate(sample):
            self.shape[i + 1] = size
        self.typenum = cnp.NPY_FLOAT if program.itemsize == sizeof(float) else cnp.NPY_DOUBLE
        self.program = program

    def _watch(self, signature):
        """See from here on what becomes of the objects of a signature."""
        cdef int i
        free(self.versions)
        self.versions = NULL
        self.classes = tuple(signature.classes)
        self.versions = <unsigned int *>calloc(len(self.classes) + 1, sizeof(int))
        if self.versions == NULL:
            raise MemoryError
        self.signature = None if signature.counts else signature
        for i, cls in enumerate(self.classes):
            getattr(cls, "__init__", None)  # a class that changed gets its version when it is next asked
            self.versions[i] = fm_version(cls)

    def _disarm(self):
        """From here on no call is quick until the next program comes."""
        self.program = None

    def _armed(self):
        return self.program is not None

    def _count(self):
        """The count of attributes set: to be taken before anything is looked at, for `_as_it_was`."""
        return fm_count(&changes)

    def _as_it_was(self, int64_t seen):
        """All was found as it was after the count was this."""
        self.seen = seen

    def _look_closely(self, signature):
        """Until this is called with None it does not matter that other threads set attributes of other objects."""
        self.looked = signature

    cdef bint settled(self) except -1:
        """No attribute has been set since all was last found as it was, or none of this step's."""
        return fm_count(&changes) == self.seen or (self.looked is not None and self.looked.holds())

    def _untouched(self):
        """Nothing has been set since all was last found as it was, as far as the objects tell."""
        return self.signature is None and fm_count(&changes) == self.seen and self.classes_hold()

    cdef bint classes_hold(self) noexcept:
        cdef Py_ssize_t i
        for i in range(len(self.classes)):
            if fm_version(<object>self.classes[i]) != self.versions[i] or self.versions[i] == 0:
                return False
        return True

    def _same_classes(self):
        """No class has changed since the program came."""
        return self.classes_hold()

    cdef inline bint fits(self, cnp.ndarray x, Py_ssize_t rows) noexcept:
        """x is a batch of so many rows for the program."""
        cdef int i
        if (cnp.PyArray_NDIM(x) != self.ndim or cnp.PyArray_TYPE(x) != self.typenum or not PyArray_ISCARRAY_RO(x)
                or cnp.PyArray_DIM(x, 0) != rows or not self.least <= rows <= self.capacity):
            return False
        for i in range(1, self.ndim):
            if cnp.PyArray_DIM(x, i) != self.shape[i]:
                return False
        return True

    cdef bint clear(self, cnp.ndarray x) except -1:
        """All arrays are as they were, and what a call brings along shares no memory with those that are written."""
        cdef Py_ssize_t i, k, n = len(self.given)
        cdef const char *first[GIVEN]
        cdef const char *last[GIVEN]
        cdef cnp.ndarray given
        cdef const Bound *b = self.bounds
        for k in range(n):
            given = x if k == 0 else <cnp.ndarray>self.program.held[<int>self.given[k]]
            first[k] = cnp.PyArray_BYTES(given)
            last[k] = first[k] + cnp.PyArray_NBYTES(given)
        for i in range(len(self.arrays)):
            if not unchanged(b, <cnp.ndarray>self.arrays[i]):
                return False
            if b.written:
                for k in range(n):
                    if b.data < last[k] and first[k] < b.data + b.bytes:
                        return False
            b += 1
        return True

    cpdef object _quick(self, x, y):
        """One step: the loss. Stale, and nothing written, where something is not what the program was made for."""
        cdef Py_ssize_t rows
        cdef cnp.ndarray batch
        if (y is None or self.program is None or not self.settled() or not self.classes_hold()
                or type(x) is not cnp.ndarray or cnp.PyArray_NDIM(<cnp.ndarray>x) == 0):
            raise Stale
        batch = <cnp.ndarray>x
        rows = cnp.PyArray_DIM(batch, 0)
        if not self.fits(batch, rows) or (self.signature is not None and not self.signature.holds()):
            raise Stale
        for source, copied in self.copied:
            if not same_bytes(source, copied):
                raise Stale
        self.target.bind(y, rows)
        # To become an array y may have run anything: the last look comes after that.
        if not self.settled() or not self.fits(batch, rows) or not self.clear(batch):
            raise Stale
        for prepare in self.prepare:
            prepare(rows)
        self.program.bind(0, batch)
        self.program.execute(rows, self.nanoseconds * rows)
        for commit in self.commit:
            commit(rows)
        return self.target.loss(rows)
