"""What a compiled step was made from, and whether it still is: the objects' attributes, and who may stand in for whom.

The caller (_kernels/step/caller.pyx) looks here only where an attribute of some object has been set since the last
call.
"""

import functools
import types
import weakref

import numpy as np

from .._kernels.step.caller import version
from .._tracked import Tracked, attributes

_PLAIN = (int, float, complex, str, bytes, bool, np.generic, np.dtype)
#: What a subclass may change without changing what its objects compute.
_HARMLESS = {
    "_live", "buffer_names", "extra_repr", "load_state_dict", "lower", "modules", "named_children", "named_parameters",
    "parameters", "place_names", "sample_shape", "state_dict", "training",
}  # fmt: skip
_TELLING = {"__call__", "__getattribute__", "__setattr__", "__delattr__"}


class Signature:
    """The attributes of some objects as they are now."""

    def __init__(self, things):
        self._states = [(thing, type(thing), _state(thing)) for thing in things]
        #: Whether every attribute that is set on one of the objects counts.
        self.counts = all(isinstance(thing, Tracked) for thing in things)
        #: Of the objects, each once.
        self.classes = list(dict.fromkeys(map(type, things)))

    def holds(self):
        """Whether they still are."""
        return all(type(t) is kind and _same(_state(t), state) for t, kind, state in self._states)


def _state(thing):
    """The attributes of an object, without those that a step reads in every call."""
    live = getattr(thing, "_live", ())
    found = {name: value for name, value in attributes(thing).items() if name not in live}
    for name in _slots(type(thing)):
        if name not in live and hasattr(thing, name):
            found[name] = getattr(thing, name)
    return found


@functools.lru_cache(1000)
def _slots(kind):
    """The names of an object's attributes that are not in its ``__dict__``."""
    slots = [vars(base).get("__slots__", ()) for base in kind.__mro__]
    return tuple([name for names in slots for name in ([names] if isinstance(names, str) else names)])


def _same(a, b):
    """Plain values by what they say, everything else by identity."""
    if a is b:
        return True
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_same(a[name], b[name]) for name in a)
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(_same, a, b))
    return isinstance(a, _PLAIN) and bool(a == b)


def check_program(thing, what, root):
    """TypeError where ``thing`` has no ``lower`` or computes something else than the one that it has says.

    ``lower`` writes down what the class computes in which it stands. A class derived from that one, or the object
    itself, that has another ``forward`` says otherwise. ``root`` is the class whose ``lower`` says that there is none.
    """
    kind = type(thing)
    if not hasattr(thing, "lower") or isinstance(thing, (str, bytes)):  # a text has one of its own
        name = what.removeprefix("the ").removesuffix(",")
        raise TypeError(f"compile_step has no program for {what} {kind.__name__}: {name} must have a lower")
    own = attributes(thing)
    if "lower" in own:
        return
    now = version(kind)
    known, owner = _checked.get(kind, (0, None))
    if now == 0 or known != now:
        owner = _check_class(kind, what, root)
        _checked[kind] = version(kind), owner
    if owner is root:
        return
    for name in own:
        if name not in _HARMLESS and callable(getattr(kind, name, None)):
            _refuse(what, kind, f"the object's own {name}", owner, "a class of your own")


#: Classes that were found to be what their ``lower`` says: their version then, and whose ``lower`` it is.
_checked = weakref.WeakKeyDictionary()


def _check_class(kind, what, root):
    """The class of which a ``lower`` is; TypeError where ``kind`` changes something beside it."""
    at = next(i for i, k in enumerate(kind.__mro__) if "lower" in vars(k))
    owner = kind.__mro__[at]
    if owner is root:
        return owner
    for derived in kind.__mro__[:at]:
        if not _is_ours(derived):
            for name, value in vars(derived).items():
                if _changes(owner, name, value):
                    _refuse(what, kind, f"{derived.__name__}.{name}", owner, derived.__name__)
    for k in kind.__mro__[at:]:
        for name, value in vars(k).items() if _is_ours(k) else ():
            if isinstance(value, types.FunctionType) and not value.__module__.startswith("fastml."):
                _refuse(what, kind, f"what was put in the place of {k.__name__}.{name}", owner, "a class of your own")
    return owner


def _is_ours(kind):
    return kind.__module__.startswith("fastml.")


def _changes(owner, name, value):
    """Whether a class attribute beside owner's makes another object of it."""
    if name.startswith("__") and name.endswith("__"):
        return name in _TELLING
    if isinstance(value, (types.MemberDescriptorType, types.GetSetDescriptorType)):
        return False
    if isinstance(value, property):
        return value.fset is not None or hasattr(owner, name)
    return name not in _HARMLESS and (hasattr(owner, name) or hasattr(type(value), "__set__"))


def _refuse(what, kind, culprit, owner, place):
    raise TypeError(
        f"compile_step cannot take {what} {kind.__name__}: {culprit} may compute something else than the program that "
        f"{owner.__name__} has; define lower in {place}, too, or take the explicit calls"
    )
