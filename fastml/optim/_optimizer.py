"""What all optimizers share: their parameters and options, which gradients a step has, and saved states."""

import inspect

from .. import _check
from .._kernels.updates import takes_as_they_are
from .._memory import copied
from .._tracked import Tracked
from ._groups import grouped, option


class Optimizer(Tracked):
    """The base of an optimizer, which adds

    - ``_options``: the names of its options;
    - ``_check_options(options)``: refuses wrong ones;
    - ``_advance(group, values, grads)``: one step of all parameters, which are of one group;
    - ``_advance_some(group, chosen, values, grads)``: one step of those that ``chosen`` counts;
    - ``_states()``: what is saved of each parameter, as a dict from its index;
    - ``_take_states(states, options)``: the way back, with the options of each group;
    - ``lower(plan)``: its place in a compiled step.

    Each group has options of its own. An option is an attribute too: to read or set it is to do so for all groups.
    """

    __slots__ = ("_groups", "_params")

    _options = ()
    initial_lr = option("initial_lr")

    def __init_subclass__(cls, **arguments):
        # A compiled step reads the options in every call.
        super().__init_subclass__(**arguments)
        cls._live = frozenset({*Tracked._live, *cls._options, "initial_lr", "_steps", "_running"})
        for name in vars(cls).get("_options", ()):
            setattr(cls, name, option(name))

    def __init__(self, params, options):
        """``options`` has at least those of ``_options``: the ``locals()`` of an ``__init__`` that takes them."""
        self._groups = grouped(params, {name: options[name] for name in self._options}, type(self).__name__)
        self._params = [p for group in self._groups for p in group["params"]]
        for group in self._groups:
            self._check_options(self._options_of(group))

    @property
    def param_groups(self):
        """The groups of parameters, as in PyTorch: ``param_groups[1]["lr"] = 0.01`` between two steps."""
        return list(self._groups)

    def step(self, grads=None):
        """One update of all parameters; TypeError for arrays without ``grads``, ValueError where no
        parameter has a gradient, for shapes that differ, and where one shares memory with another, before anything is
        written."""
        params = self._params
        if grads is None:
            grads = [p.grad for p in params]
        elif type(grads) is not list or len(grads) != len(params):
            grads = one_each(grads, params)
        values = [p.value for p in params]
        groups = self._groups
        if len(groups) == 1:
            for g in grads:
                if g is None:
                    break
            else:
                return self._advance(groups[0], values, grads)
        chosen = [i for i, g in enumerate(grads) if g is not None]
        if not chosen:
            raise ValueError("no parameter has a gradient, or grads are all None: call backward first")
        check_update(chosen, values, grads)
        if len(groups) > 1:
            for group in groups:
                self._check_options(self._options_of(group))
        for group, members in self._members():
            mine = [i for i in chosen if i in members]
            if mine:
                self._advance_some(group, mine, values, grads)

    def state_dict(self):
        """Options and state (copies) in the layout of PyTorch's optimizers."""
        groups = []
        for group, members in self._members():
            groups.append({**self._saved_options(group), "params": list(members)})
            if group["initial_lr"] is not None:
                groups[-1]["initial_lr"] = group["initial_lr"]
        return {"state": self._states(), "param_groups": groups}

    def load_state_dict(self, state):
        """Take over options and state: the steps that follow are those of the optimizer that was saved.

        Also reads the state of PyTorch's optimizer of this name. Raises ValueError where the number of groups, of their
        parameters or a shape differs, before anything is written.
        """
        kind, mine = type(self).__name__, self._groups
        given, saved = _check.entries(state, ("param_groups", "state"), kind)
        given, saved = _check.each(given, "state['param_groups']"), _check.mapping(saved, "state['state']")
        if len(given) != len(mine):
            raise ValueError(f"state must have {len(mine)} param_groups, as the optimizer has, not {len(given)}")
        options = []
        for k, (group, theirs) in enumerate(zip(mine, given, strict=True)):
            where = f"state['param_groups'][{k}]"
            *values, members = _check.entries(theirs, (*self._options, "params"), kind, where)
            options.append(dict(zip(self._options, values, strict=True)))
            for name, value in self._saved_options(group).items():
                saved_value = theirs.get(name, value)
                if name not in self._options and not (type(saved_value) is type(value) and saved_value == value):
                    raise ValueError(f"state must be of {name}={value}, as {kind} is, not {_check.shown(saved_value)}")
            count, needed = len(_check.each(members, f"{where}['params']")), len(group["params"])
            if count != needed:
                of_group = f" in param_groups[{k}]" if len(mine) > 1 else ""
                raise ValueError(f"state must have {needed} parameters{of_group}, as the optimizer has, not {count}")
        for i in saved:
            if i not in range(len(self._params)):
                raise ValueError(
                    f"state must be of the optimizer's {len(self._params)} parameters, not of {_check.shown(i)}"
                )
        for own in options:
            self._check_options(own)
        self._take_states(saved, options)
        for group, theirs, own in zip(self._groups, given, options, strict=True):
            group.update(own, initial_lr=theirs.get("initial_lr", group["initial_lr"]))

    def _members(self):
        """Each group with the range of its parameters' numbers."""
        first = 0
        for group in self._groups:
            end = first + len(group["params"])
            yield group, range(first, end)
            first = end

    def _group_of_each(self):
        """The group's number, for each parameter."""
        return [k for k, group in enumerate(self._groups) for _ in group["params"]]

    def _options_of(self, group):
        return {name: group[name] for name in self._options}

    def _saved_options(self, group):
        """The options, and what else tells the state apart from another optimizer's."""
        return self._options_of(group)

    def _like_parameter(self, array, i, name):
        """A copy of a saved array for parameter i, in its dtype."""
        return like_parameter(self._params[i].value, array, i, name)

    def __repr__(self):
        groups = [
            f"{len(group['params'])} parameters, " + ", ".join(f"{name}={group[name]}" for name in self._options)
            for group in self._groups
        ]
        return f"{type(self).__name__}({'; '.join(groups)})"


def options_of(init):
    """The names of an optimizer's options: what its ``__init__`` takes beside the parameters."""
    return tuple(inspect.signature(init).parameters)[2:]


def like_parameter(value, array, i, name):
    """A copy of a saved array for parameter i, which is ``value``, in its dtype."""
    array = _check.as_real(array, f"{name} {i} of state")
    if array.shape != value.shape:
        raise ValueError(f"{name} {i} of state must have its parameter's shape {value.shape}, not {array.shape}")
    return copied(array, value.dtype)


def check_update(chosen, values, grads):
    """Refuse what the op would refuse, for a step of several calls: before the first of them."""
    params, grads = [values[i] for i in chosen], [grads[i] for i in chosen]
    if not takes_as_they_are(params, grads):
        _check.arrange_update(("params",), (params,), ("grads",), (grads,), chosen)


def one_each(grads, params):
    """``grads`` as a tuple of one for each parameter."""
    grads = _check.each(grads, "grads")
    if len(grads) != len(params):
        raise ValueError(f"grads must have one array per parameter, {len(params)}, not {len(grads)}")
    return grads
