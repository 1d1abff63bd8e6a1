"""Parameter groups: some of an optimizer's parameters and the options that they are updated with."""

import numpy as np

from .. import _check


class Group(dict):
    """One of ``optimizer.param_groups``: ``group["lr"]`` and the other options may be read, and set between two steps;
    ``group["params"]`` are the parameters, which stay."""

    def __init__(self, params, options):
        super().__init__(options, params=params, initial_lr=None)  # a schedule's: the learning rate that it began with

    def __setitem__(self, name, value):
        if name == "params" or name not in self:
            options = [option for option in self if option not in ("params", "initial_lr")]
            wrong = f"{_check.shown(name)}{_check.hint(name, options)}"
            raise KeyError(f"an option of the group must be one of {', '.join(options)}, not {wrong}")
        super().__setitem__(name, value)

    def __reduce__(self):
        return _restored, (dict(self),)


def _restored(items):
    group = Group(items["params"], items)
    group["initial_lr"] = items["initial_lr"]
    return group


def option(name):
    """The property of an optimizer that is an option of all its groups."""

    def read(self):
        first, *others = self._groups
        if any(group[name] != first[name] for group in others):
            raise ValueError(f"{name} is not the same in all parameter groups: look into param_groups")
        return first[name]

    def write(self, value):
        for group in self._groups:
            group[name] = value

    return property(read, write)


def grouped(params, options, kind):
    """``params``, a list of parameters or of dicts ``{"params": …, option: …}``, as a tuple of Groups, in which
    ``options`` are what a dict does not say."""
    if not _is_one(params):
        params = _check.each(params, "params")
    if _is_one(params) or not any(isinstance(entry, dict) for entry in params):
        return (Group(checked(params), options),)
    groups, names = [], []
    for k, entry in enumerate(params):
        if not isinstance(entry, dict):
            raise TypeError(f"params[{k}] must be a parameter group as others are, not {type(entry).__name__}")
        if "params" not in entry:
            raise ValueError(f"params[{k}] must have 'params', not only {_check.shown(tuple(entry))}")
        own = {name: value for name, value in entry.items() if name != "params"}
        for name in own:
            if name not in options:
                raise ValueError(
                    f"params[{k}] must have options of {kind}, not {_check.shown(name)}{_check.hint(name, options)}"
                )
        members, name = entry["params"], f"params[{k}]['params']"
        members = [members] if _is_one(members) else _check.each(members, name)
        groups.append(Group(_objects(members, name), {**options, **own}))
        names += [f"{name}[{i}]" for i in range(len(members))]
    _check_all([p for group in groups for p in group["params"]], names)
    return tuple(groups)


def checked(params):
    """A list of parameters or arrays as a tuple of objects with .value and .grad, which share no memory."""
    if _is_one(params):
        raise TypeError(f"params must be a list of parameters or arrays, not one {type(params).__name__}")
    params = _objects(_check.each(params, "params"), "params")
    _check_all(params, [f"params[{i}]" for i in range(len(params))])
    return params


def _is_one(params):
    return isinstance(params, np.ndarray) or hasattr(params, "value")


def _objects(params, name):
    found = []
    for i, p in enumerate(params):
        value = getattr(p, "value", p)
        _check.check_parameter(value, f"{name}[{i}]")
        if not value.flags.writeable:
            raise ValueError(f"{name}[{i}] must be writable, not read-only")
        found.append(PlainArray(p) if p is value else p)
    return tuple(found)


def _check_all(params, names):
    if not params:
        raise ValueError("params must have at least one parameter, not 0")
    _check.check_apart([(name, p.value, True) for name, p in zip(names, params, strict=True)])


class PlainArray:
    """A plain array in the place of a Parameter: its gradients come with step(grads)."""

    __slots__ = ("value",)

    def __init__(self, value):
        self.value = value

    @property
    def grad(self):
        raise TypeError("grads must be given where the parameters are plain arrays, not None")
