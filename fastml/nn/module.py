"""Module and Parameter: what every layer shares.

A module finds its parameters and submodules among its attributes, in the order in which they were set, so
a user's own module is a class with a forward and a backward. Nothing is registered, and all that happens
when an attribute is set is that it is counted (_tracked.pyx).
"""

from contextlib import contextmanager

import numpy as np

from .._check import as_array, as_dtype, as_numbers, check_parameter, flag, hint, mapping, text, whole
from .._tracked import Tracked, attributes
from ..ops.sgd import sgd_step

#: Of so many unexpected names in a state an error says what may have been meant: more are another model's.
FEW = 8


class Parameter(Tracked):
    """An array that is learnt (``value``) and its gradient (``grad``, None before the first backward).

    ``value``: float32 or float64, kept as it is and written in place. TypeError for anything else.
    """

    __slots__ = ("grad", "value")

    def __init__(self, value):
        check_parameter(value, "value")
        self.value = value
        self.grad = None

    def __repr__(self):
        return f"Parameter(shape={self.value.shape}, dtype={self.value.dtype})"


class Module(Tracked):
    """Base of all layers: ``y = module(x)`` and ``dx = module.backward(dy)``.

    ``forward`` keeps what ``backward`` needs, by reference: an input changed in place between the two
    changes the gradient. ``backward`` returns the gradient with respect to the last input and sets every
    parameter's ``grad`` to the gradient of this one pass: each call replaces the last, nothing is added
    up. ``Linear`` and ``Sequential`` take ``backward(dy, input_grad=False)`` where nobody wants the input's
    gradient: the first layer of a network then does half the work. It may be called again with another ``dy``; before
    the first forward it is a RuntimeError. Copies and pickles carry parameters and buffers and not what forward kept.

    In the explicit calls forward comes before the loss sees its target: where that refuses a label, running statistics
    and dropout's place have moved already. A compiled step looks at the target first.

    Results belong to the caller: the next call does not overwrite an array that is still referred to. In evaluation
    threads may share a module; in training it is one thread's at a time, as its backward is that of the last forward.

    A subclass defines ``forward`` and ``backward``; its attributes that are Parameters or Modules are
    found by themselves, those named in ``buffer_names`` are saved along with them, integers named in ``place_names``
    in checkpoints alone.

    >>> from fastml import nn
    >>> import numpy as np
    >>> class Twice(nn.Module):
    ...     def forward(self, x):
    ...         return 2 * x
    ...     def backward(self, grad):
    ...         return 2 * grad
    >>> nn.Sequential(nn.Linear(4, 3, seed=0), Twice())(np.ones((5, 4), np.float32)).shape
    (5, 3)
    """

    training = True
    buffer_names = ()
    # Integers that tell where a generator is: they go into checkpoints alone, as PyTorch's states have none.
    place_names = ()
    # What forward keeps for backward; never copied or pickled.
    _saved = None

    def __call__(self, x):
        return self.forward(x)

    def forward(self, x):
        """Result for x."""
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def backward(self, grad):
        """Gradient with respect to the last input, from the gradient with respect to its result."""
        raise NotImplementedError(f"{type(self).__name__} has no backward")

    def sample_shape(self, shape):
        """The shape of a sample whose result has this shape, None where only a batch tells.

        :func:`compile_step` plans for it before it has seen a batch. A layer keeps the shape unless it says otherwise.
        """
        for _, child in reversed(self.named_children()):
            shape = child.sample_shape(shape)
        return shape

    def lower(self, plan, x, name):
        """Write this layer into a compiled step's plan: ``(y, backward)``; see :func:`compile_step`.

        x and y are matrices of the plan, ``name`` is the layer's dotted name. ``backward(dy, wanted)`` writes
        down the gradient and returns dx (None where it is not ``wanted``).
        """
        raise TypeError(f"compile_step has no program for {type(self).__name__} (layer {name or 'model'})")

    def train(self, mode=True):
        """Switch this module and all below it to training (or, with False, to evaluation); returns self."""
        mode = flag(mode, "mode")
        for module in self.modules():
            if module.training is not mode:  # what is set counts as a change of the model
                module.training = mode
        return self

    def eval(self):
        """Switch to evaluation: running statistics, no dropout; returns self."""
        return self.train(False)

    def named_children(self):
        """Direct submodules as (name, module) pairs."""
        return [(name, value) for name, value in attributes(self).items() if isinstance(value, Module)]

    def modules(self):
        """This module and all below it, top down."""
        return [self, *(module for _, child in self.named_children() for module in child.modules())]

    def named_parameters(self, prefix=""):
        """All parameters as (name, parameter) pairs with PyTorch's dotted names; one that stands in several places
        once, under its first name."""
        prefix = text(prefix, "prefix")
        found = [(prefix + name, value) for name, value in attributes(self).items() if isinstance(value, Parameter)]
        for name, child in self.named_children():
            found += child.named_parameters(f"{prefix}{name}.")
        first = {}
        for name, parameter in found:
            first.setdefault(id(parameter), (name, parameter))
        return list(first.values())

    def parameters(self):
        """All parameters, in the order of :meth:`named_parameters`."""
        return [parameter for _, parameter in self.named_parameters()]

    def state_dict(self):
        """Copies of all parameters and buffers under PyTorch's names: a snapshot, a dict of arrays."""
        return {
            name: np.array(_read(owner, attribute), order="C") for name, (owner, attribute) in self._state().items()
        }

    def load_state_dict(self, state):
        """Write arrays (or CPU tensors) into the parameters and buffers of the same names, in place.

        Values are converted to the type of the place they go to. Raises ValueError that lists every
        missing and unexpected name, every shape that differs and every array that is read-only, TypeError for values
        that are no real numbers; nothing is written then.
        """
        if faults := self.state_faults(state):
            raise ValueError(f"state does not fit {type(self).__name__}: {'; '.join(faults)}")
        arrays = {place: as_array(state[name], name) for name, place in self._state().items()}
        for place, array in arrays.items():
            _write(*place, array)

    def state_faults(self, state):
        """Why :meth:`load_state_dict` would refuse a state, in words; empty where it fits. TypeError as there."""
        places, state = self._state(), mapping(state, "state")
        faults = []
        if missing := [name for name in places if name not in state]:
            faults.append(f"missing: {', '.join(missing)}")
        if unexpected := [str(name) for name in state if name not in places]:
            few = missing if len(unexpected) <= FEW else ()
            faults.append(f"unexpected: {', '.join(name + hint(name, few) for name in unexpected)}")
        for name, place in places.items():
            if name not in state:
                continue
            array, mine = as_numbers(state[name], f"state[{name!r}]"), _read(*place)
            if array.shape != mine.shape:
                faults.append(f"{name}: shape {array.shape} instead of {mine.shape}")
            elif isinstance(getattr(*place), int):
                whole(array, f"state[{name!r}]")
            if isinstance(mine, np.ndarray) and not mine.flags.writeable:
                faults.append(f"{name}: its array is read-only")
        return faults

    def _state(self, prefix=""):
        """name → (owner, attribute) of every parameter and buffer; parameters before buffers."""
        mine = attributes(self).items()
        found = {prefix + name: (value, "value") for name, value in mine if isinstance(value, Parameter)}
        for name in self.buffer_names:
            if getattr(self, name) is not None:
                found[prefix + name] = (self, name)
        for name, child in self.named_children():
            found |= child._state(f"{prefix}{name}.")
        return found

    def _learn(self, *gradients):
        """Give each (parameter or None) of these pairs its gradient; one that stands twice gets their sum."""
        seen = set()
        for parameter, gradient in gradients:
            if parameter is not None:
                parameter.grad = added(parameter.grad, gradient) if id(parameter) in seen else gradient
                seen.add(id(parameter))

    def _last(self):
        """What the last forward kept."""
        if self._saved is None:
            raise RuntimeError(f"{type(self).__name__}.backward() needs a forward pass before it")
        return self._saved

    def __getstate__(self):
        return {name: value for name, value in attributes(self).items() if name not in ("_saved", "_ties")}

    def extra_repr(self):
        """The arguments between the brackets of repr()."""
        return ""

    def __repr__(self):
        return f"{type(self).__name__}({_body(self)})"


def added(a, b):
    """a + b of one parameter's gradients, in a's type, by the primitive that adds them in a compiled step."""
    total = np.array(a, order="C")
    sgd_step([total], [b], lr=1.0, maximize=True)  # a − 1 · (−b)
    return total


def float_dtype(dtype):
    """``dtype`` as np.float32 or np.float64; TypeError for any other."""
    dtype = as_dtype(dtype)
    if dtype not in (np.float32, np.float64):
        raise TypeError(f"dtype must be float32 or float64, not {dtype}")
    return dtype


@contextmanager
def holding(layer, **sizes):
    """MemoryError that names a layer's sizes where its arrays cannot be held."""
    try:
        yield
    except (MemoryError, ValueError):  # ValueError: more bytes than there are addresses
        said = ", ".join(f"{name}={value}" for name, value in sizes.items())
        raise MemoryError(f"{type(layer).__name__}({said}) needs more memory than there is") from None


def _read(owner, attribute):
    value = getattr(owner, attribute)
    return np.int64(value) if isinstance(value, int) else value


def _write(owner, attribute, array):
    value = getattr(owner, attribute)
    if isinstance(value, int):
        setattr(owner, attribute, int(array))
    else:
        value[...] = array


def _body(module):
    children = module.named_children()
    if not children:
        return module.extra_repr()
    lines = [f"({name}): {child!r}".replace("\n", "\n  ") for name, child in children]
    return "\n  " + "\n  ".join(lines) + "\n"
