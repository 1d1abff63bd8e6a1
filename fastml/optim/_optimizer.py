"""What all optimizers share: their parameters, their options, which gradients a step has, and saved states."""

import numpy as np

from .. import _check
from .._tracked import Tracked


class Optimizer(Tracked):
    """The base of an optimizer, which adds

    ``_options``: the names of its options, which are attributes; ``_check_options(options)`` refuses wrong ones;
    ``_advance(values, grads)``: one step of all parameters;
    ``_advance_some(chosen, values, grads)``: of those that ``chosen`` counts, where a gradient is missing;
    ``_states()``: what is saved of each parameter, as a dict from its index; ``_take_states(states, options)``.
    """

    __slots__ = ("_params", "initial_lr")

    _options = ()

    def __init_subclass__(cls, **arguments):
        # A compiled step reads the options in every call.
        super().__init_subclass__(**arguments)
        cls._live = frozenset({*Tracked._live, *cls._options, "initial_lr", "_steps", "_running"})

    def __init__(self, params, options):
        self._params = checked(params)
        self.initial_lr = None  # a schedule's: the learning rate that it began with
        self._set_options(options)

    def step(self, grads=None):
        """One update of all parameters; TypeError for arrays without ``grads``, ValueError where no
        parameter has a gradient and for shapes that differ, before anything is written."""
        params = self._params
        if grads is None:
            grads = [p.grad for p in params]
        elif type(grads) is not list or len(grads) != len(params):
            grads = one_each(grads, params)
        values = [p.value for p in params]
        for g in grads:
            if g is None:
                return self._some(values, grads)
        return self._advance(values, grads)

    def state_dict(self):
        """Options and state (copies) in the layout of PyTorch's optimizers."""
        group = {**self._saved_options(), "params": list(range(len(self._params)))}
        if self.initial_lr is not None:
            group["initial_lr"] = self.initial_lr
        return {"state": self._states(), "param_groups": [group]}

    def load_state_dict(self, state):
        """Take over options and state: the steps that follow are those of the optimizer that was saved.

        Also reads the state of PyTorch's optimizer of this name, with one parameter group. Raises ValueError
        where the number of parameters or a shape differs, before anything is written.
        """
        kind = type(self).__name__
        groups, saved = _check.entries(state, ("param_groups", "state"), kind)
        groups = _check.each(groups, "state['param_groups']")
        if len(groups) != 1:
            raise ValueError(f"state must have one parameter group, not {len(groups)}")
        group, saved = groups[0], _check.mapping(saved, "state['state']")
        _check.entries(group, (*self._options, "params"), kind, "state['param_groups'][0]")
        options = {name: group[name] for name in self._options}
        count = len(_check.each(group["params"], "state['param_groups'][0]['params']"))
        for name, value in self._saved_options().items():
            saved_value = group.get(name, value)
            if name not in self._options and not (type(saved_value) is type(value) and saved_value == value):
                raise ValueError(f"state must be of {name}={value}, as {kind} is, not {_check.shown(saved_value)}")
        if count != len(self._params):
            raise ValueError(f"state must have {len(self._params)} parameters, as the optimizer has, not {count}")
        for i in saved:
            if i not in range(count):
                raise ValueError(f"state must be of the optimizer's {count} parameters, not of {_check.shown(i)}")
        self._check_options(options)
        self._take_states(saved, options)
        self._set_options(options)
        self.initial_lr = group.get("initial_lr", self.initial_lr)

    def _saved_options(self):
        """The options, and what else tells the state apart from another optimizer's."""
        return {name: getattr(self, name) for name in self._options}

    def _set_options(self, options):
        self._check_options(options)
        for name, value in options.items():
            setattr(self, name, value)

    def _like_parameter(self, array, i, name):
        """A copy of a saved array for parameter i, in its dtype."""
        return like_parameter(self._params[i].value, array, i, name)

    def _some(self, values, grads):
        chosen = [i for i, g in enumerate(grads) if g is not None]
        if not chosen:
            raise ValueError("no parameter has a gradient, or grads are all None: call backward first")
        self._advance_some(chosen, values, grads)

    def __repr__(self):
        options = ", ".join(f"{name}={getattr(self, name)}" for name in self._options)
        return f"{type(self).__name__}({len(self._params)} parameters, {options})"


def like_parameter(value, array, i, name):
    """A copy of a saved array for parameter i, which is ``value``, in its dtype."""
    array = _check.as_real(array, f"{name} {i} of state")
    if array.shape != value.shape:
        raise ValueError(f"{name} {i} of state must have its parameter's shape {value.shape}, not {array.shape}")
    return array.astype(value.dtype, order="C")


def check_gradients(chosen, values, grads):
    """Refuse what the op would refuse, for a step of several calls: before the first of them."""
    for i in chosen:
        g = _check.as_real(grads[i], f"grads[{i}]")
        if g.shape != values[i].shape:
            raise ValueError(f"grads[{i}] must have its parameter's shape {values[i].shape}, not {g.shape}")


def one_each(grads, params):
    """``grads`` as a tuple of one for each parameter."""
    grads = _check.each(grads, "grads")
    if len(grads) != len(params):
        raise ValueError(f"grads must have one array per parameter, {len(params)}, not {len(grads)}")
    return grads


class PlainArray:
    """A plain array in the place of a Parameter: its gradients come with step(grads)."""

    __slots__ = ("value",)

    def __init__(self, value):
        self.value = value

    @property
    def grad(self):
        raise TypeError("step() needs grads where the parameters are plain arrays")


def checked(params):
    """``params`` as a list of objects with .value and .grad."""
    if isinstance(params, np.ndarray) or hasattr(params, "value"):
        raise TypeError(f"params must be a list of parameters or arrays, not one {type(params).__name__}")
    params = list(_check.each(params, "params"))
    if not params:
        raise ValueError("params is empty: there is nothing to optimize")
    seen = []
    for i, p in enumerate(params):
        value = getattr(p, "value", p)
        _check.check_parameter(value, f"params[{i}]")
        if not value.flags.writeable:
            raise ValueError(f"params[{i}] is read-only")
        seen.append(value)
        params[i] = PlainArray(p) if p is value else p
    check_apart(seen)
    return params


def check_apart(arrays):
    """ValueError where one of params stands twice or shares memory with another."""
    spans = [_check.span(array) for array in arrays]
    order = sorted(range(len(arrays)), key=spans.__getitem__)
    for k, i in enumerate(order):
        for j in order[k + 1 :]:
            if spans[j][0] >= spans[i][1]:
                break
            first, second = min(i, j), max(i, j)
            if arrays[i] is arrays[j]:
                raise ValueError(f"params[{second}] stands in params twice")
            if _check.overlap(arrays[i], arrays[j]):
                raise ValueError(f"params[{second}] shares memory with params[{first}]")
