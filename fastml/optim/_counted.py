"""Optimizers that count the steps of each parameter and keep arrays like it."""

from .. import _check
from .._kernels.step.arguments import Live
from .._kernels.step.program import Stale
from .._memory import filled
from ._optimizer import Optimizer, check_update


class Counted(Optimizer):
    """A subclass adds

    - ``_names``: PyTorch's names of the arrays that a parameter has, in the kernel's order;
    - ``_asked_for_by``: for each of them the option that asks for it when it is not 0, or None;
    - ``_update(group, values, grads, step, *states)``: the op, one list of arrays (or None) for each name;
    - ``_kernel``: its kernel in a compiled step;
    - ``_operands``: what that kernel calls the arrays of a parameter;
    - ``_step_options(group, step)``: the options that it takes.
    """

    __slots__ = ("_arrays", "_steps")

    _names = ()
    _operands = ()
    _asked_for_by = ()
    # Whether PyTorch's optimizer has a state before the first step.
    _begun = False

    def __init__(self, params, options):
        super().__init__(params, options)
        self._take_states({}, [self._options_of(group) for group in self._groups])

    def _lists(self):
        """For every name the list of its arrays, None where no group uses it. New ones are kept with the first step."""
        lists = []
        for name, option in zip(self._names, self._asked_for_by, strict=True):
            if option is None or self._asked(option):
                lists.append(self._arrays.get(name) or self._fresh(self._groups))
            else:
                lists.append(None)
        return lists

    def _asked(self, option):
        """Whether one of the groups has the option."""
        for group in self._groups:
            if group[option]:
                return True
        return False

    def _keep(self, lists):
        for name, arrays in zip(self._names, lists, strict=True):
            if arrays is not None:
                self._arrays[name] = arrays

    def _fresh(self, options):
        return [
            filled(p.value.shape, self._start(own), p.value.dtype)
            for group, own in zip(self._groups, options, strict=True)
            for p in group["params"]
        ]

    def _start(self, options):
        """What elements are before the first step."""
        return 0.0

    def _used_by(self, group, lists):
        """Of the lists of arrays those that the group uses, None in the place of others."""
        return [
            arrays if option is None or group[option] else None
            for option, arrays in zip(self._asked_for_by, lists, strict=True)
        ]

    # What is saved

    def _states(self):
        used = {name: a for name, a in zip(self._names, self._lists(), strict=True) if a is not None}
        return {
            i: {"step": step, **{name: arrays[i].copy() for name, arrays in {**used, **self._arrays}.items()}}
            for i, step in enumerate(self._each_step())
            if step or self._begun
        }

    def _take_states(self, states, options):
        options_of = [options[k] for k in self._group_of_each()]
        steps = [0] * len(self._params)
        arrays = {}
        for i, entry in states.items():
            asked = zip(self._names, self._asked_for_by, strict=True)
            needed = [name for name, option in asked if option is None or options_of[i][option]]
            step, *_ = _check.entries(entry, ("step", *needed), type(self).__name__, f"state[{i}]")
            steps[i] = _check.whole(step, f"step {i} of state")
            for name in entry:
                if name != "step" and name not in self._names:  # another optimizer's, which may have all of ours too
                    own = ", ".join(("step", *self._names))
                    raise ValueError(f"state[{i}] must hold {own} of {type(self).__name__}, not {_check.shown(name)}")
            saved = {name: entry[name] for name in self._names if name in entry}
            for name, array in saved.items():
                if name not in arrays:
                    arrays[name] = self._fresh(options)
                arrays[name][i] = self._like_parameter(array, i, name)
        self._arrays = arrays
        self._set_steps(steps)

    # The steps taken: one number where all parameters have taken as many, else a list.

    def _each_step(self):
        return [self._steps] * len(self._params) if isinstance(self._steps, int) else list(self._steps)

    def _set_steps(self, steps):
        self._steps = steps[0] if len(set(steps)) == 1 else steps

    def _advance(self, group, values, grads):
        if isinstance(self._steps, int):
            lists = self._lists()
            self._update(group, values, grads, self._steps + 1, *lists)
            self._keep(lists)
            self._steps += 1
        else:
            check_update(range(len(values)), values, grads)
            self._advance_some(group, range(len(values)), values, grads)

    def _advance_some(self, group, chosen, values, grads):
        steps = self._each_step()
        lists = self._lists()
        columns = (values, grads, *self._used_by(group, lists))
        for step in {steps[i] for i in chosen}:
            alike = [i for i in chosen if steps[i] == step]
            p, g, *states = (None if column is None else [column[i] for i in alike] for column in columns)
            self._update(group, p, g, step + 1, *states)
            self._keep(lists)
        for i in chosen:
            steps[i] += 1
        self._set_steps(steps)

    def lower(self, plan):
        """Write the update into a compiled step's plan: a function of (parameter, value, gradient) for each."""
        lists = self._lists()
        columns_of = [self._used_by(group, lists) for group in self._groups]
        index = {id(p): i for i, p in enumerate(self._params)}
        plan.learnt.update(index)
        group_of, before_it = self._group_of_each(), self._each_step()
        parts = {}  # by the group and the steps taken: numbers and parameters
        moved = []
        held = [(name, arrays) for name, arrays in zip(self._names, lists, strict=True) if arrays is not None]
        asked = [(group, name, bool(group[name])) for group in self._groups for name in self._asked_for_by if name]

        def update(parameter, value, gradient):
            i = index[id(parameter)]
            k = group_of[i]
            _, options, members = parts.setdefault((k, before_it[i]), (self._groups[k], Live(), []))
            members.append(i)
            moved.append(i)
            states = dict.fromkeys(self._operands)
            for operand, name, arrays in zip(self._operands, self._names, columns_of[k], strict=False):
                if arrays is not None:
                    states[operand] = plan.outside(arrays[i], f"{name} of {value}", parameter.value.shape)
            plan.emit(self._kernel, parameter=value, **states, gradient=gradient, options=options)

        def prepare(rows):
            for group, name, used in asked:
                if bool(group[name]) != used:
                    raise Stale
            for name, arrays in held:
                if self._arrays.get(name, arrays) is not arrays:
                    raise Stale
            if isinstance(self._steps, int) and len(moved) == len(index):
                for group, options, _ in parts.values():
                    options.set(self._step_options(group, self._steps + 1))
                return
            steps = self._each_step()
            for _, _, members in parts.values():
                if any(steps[i] != steps[members[0]] for i in members):
                    raise Stale
            for group, options, members in parts.values():
                options.set(self._step_options(group, steps[members[0]] + 1))

        def commit(rows):
            self._arrays.update(held)
            if isinstance(self._steps, int) and len(moved) == len(index):
                self._steps += 1
                return
            steps = self._each_step()
            for i in moved:
                steps[i] += 1
            self._set_steps(steps)

        plan.prepare.append(prepare)
        plan.commit.append(commit)
        return update
