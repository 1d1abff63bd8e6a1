"""Objects that tell when one of their attributes is set, and what only one thread may have at a time.

A compiled step is made from layers, options and arrays that their owner may change between two calls. To look at all of
them in every call would cost more than a small step, so these objects count instead: whoever finds `changes` where it
was knows that nothing public has been set since, on any of them. Where it has moved, the step looks closely.

Rejected: properties for every option (each class would have to think of it), a walk over all attributes in every call
(0.8 of the 3.9 microseconds of a step of 4-16-16-3), the versions of dictionaries (gone since Python 3.12).

Without the GIL two threads may ask at the same moment. A reference count is two numbers then: one of the thread that
made the object, one of all others. Their sum misses a reference that goes from one thread to another meanwhile.
"""

from time import sleep

cimport cython

cdef extern from "Python.h":
    int PyObject_GenericSetAttr(object owner, object name, PyObject *value) except -1
    ctypedef struct PyObject

cdef extern from *:
    """
    #if PY_VERSION_HEX >= 0x030E0000
    #define fm_only_reference PyUnstable_Object_IsUniquelyReferenced
    #elif defined(Py_GIL_DISABLED)
    #define fm_only_reference(object) \\
        (_Py_IsOwnedByCurrentThread(object) && _Py_atomic_load_uint32_relaxed(&(object)->ob_ref_local) == 1 && \\
         _Py_atomic_load_ssize_relaxed(&(object)->ob_ref_shared) == 0)
    #else
    #define fm_only_reference(object) (Py_REFCNT(object) == 1)
    #endif
    """
    bint fm_only_reference(object)

changes = 0
# What every forward and every backward sets: never counted, and told apart without a look into the class.
cdef str SAVED = "_saved", GRAD = "grad"


@cython.auto_pickle(False)
cdef class Tracked:
    """Tracked()
--

    Base of what a compiled step is made from. Setting or deleting an attribute counts, unless the class names it in
    ``_live``: what changes with every step, or is read in every step. The names ``grad`` and ``_saved`` never count."""
    # The docstring's first lines are the signature that inspect finds for classes without an __init__.

    _live = frozenset({"_saved", "grad"})

    def __setattr__(self, name, value):
        PyObject_GenericSetAttr(self, name, <PyObject *>value)
        if name is not SAVED and name is not GRAD and name not in type(self)._live:
            fm_count_up(&changes)

    def __delattr__(self, name):
        PyObject_GenericSetAttr(self, name, NULL)
        fm_count_up(&changes)


def count():
    """How often an attribute has been set so far."""
    return fm_count(&changes)


def attributes(thing):
    """The attributes of an object's ``__dict__`` as they are now. The dict itself cannot be walked through while one is
    set."""
    cdef object own = getattr(thing, "__dict__", None)
    return {} if own is None else own.copy()


def take_first(list things):
    """(the first of a list, taken out; whether nobody else has a reference to it). IndexError where there is none."""
    thing = things.pop(0)
    cdef bint alone = fm_only_reference(thing)
    return thing, alone


@cython.auto_pickle(False)
cdef class Claim:
    """Who uses what only one may use at a time; copies and pickles are free."""

    cdef int taken

    def take(self):
        """Whether it was free; then it is the caller's until `release`."""
        return fm_claim(&self.taken)

    def release(self):
        fm_release(&self.taken)

    def __bool__(self):
        """Whether it is taken."""
        return fm_taken(&self.taken)

    def __reduce__(self):
        return Claim, ()


@cython.auto_pickle(False)
cdef class Turns:
    """An iterator over another one, a generator maybe, of which threads take their things in turn: ``given`` counts
    those that were handed out, ``over`` says that there are no more."""

    cdef int taken
    cdef object source
    cdef public bint over
    cdef public Py_ssize_t given

    def __init__(self, source, Py_ssize_t given=0):
        self.source, self.given = source, given

    def __iter__(self):
        return self

    def __next__(self):
        await_turn(&self.taken)
        try:
            thing = next(self.source)
            self.given += 1
            return thing
        except StopIteration:
            self.over = True
            raise
        finally:
            fm_release(&self.taken)

    def close(self):
        """Leave it here."""
        self.over = True
        await_turn(&self.taken)
        try:
            self.source.close()
        finally:
            fm_release(&self.taken)


cdef inline int await_turn(int *taken) except -1:
    while not fm_claim(taken):
        sleep(20e-6)
    return 0
