"""Objects that tell when one of their attributes is set.

A compiled step is made from layers, options and arrays that their owner may change between two calls. To look at all of
them in every call would cost more than a small step, so these objects count instead: whoever finds `changes` where it
was knows that nothing public has been set since, on any of them. Where it has moved, the step looks closely.

Rejected: properties for every option (each class would have to think of it), a walk over all attributes in every call
(0.8 of the 3.9 microseconds of a step of 4-16-16-3), the versions of dictionaries (gone since Python 3.12).
"""

cimport cython

cdef extern from "Python.h":
    int PyObject_GenericSetAttr(object owner, object name, PyObject *value) except -1
    ctypedef struct PyObject

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
