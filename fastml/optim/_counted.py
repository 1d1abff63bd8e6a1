"""Optimizers that count the steps of each parameter and keep arrays like it: Adam, RMSprop, Adagrad."""

import numpy as np

from .. import _check
from .._kernels.program import Numbers, Stale
from ._optimizer import Optimizer, check_gradients

PLACES = 3  # for arrays beside the parameter in a compiled step's kernels


class Counted(Optimizer):
    """A subclass adds

    ``_names``: PyTorch's names of the arrays that a parameter has, in the kernel's order; ``_asked_for_by``: for
    each of them the option that asks for it when it is not 0, or None; ``_start``: what elements are before the first step;
    ``_update(values, grads, step, *states)``: the op, one list of arrays (or None) for each name;
    ``_kernel``, ``_numbers(step)``: its kernel in a compiled step and what that is given.
    """

    __slots__ = ("_arrays", "_steps")

    _names = ()
    _asked_for_by = ()
    _start = 0.0
    # Whether PyTorch's optimizer has a state before the first step.
    _begun = False

    def __init__(self, params, options):
        super().__init__(params, options)
        self._take_states({}, options)

    def _lists(self):
        """For every name the list of its arrays, None where it is not in use; new arrays are kept with the first step."""
        lists = []
        for name, option in zip(self._names, self._asked_for_by, strict=True):
            if option is not None and not getattr(self, option):
                lists.append(None)
            else:
                lists.append(self._arrays.get(name) or self._fresh())
        return lists

    def _keep(self, lists):
        self._arrays.update((name, a) for name, a in zip(self._names, lists, strict=True) if a is not None)

    def _fresh(self):
        return [np.full_like(p.value, self._start, order="C") for p in self._params]

    # What is saved

    def _states(self):
        used = {name: a for name, a in zip(self._names, self._lists(), strict=True) if a is not None}
        return {
            i: {"step": step, **{name: arrays[i].copy() for name, arrays in {**used, **self._arrays}.items()}}
            for i, step in enumerate(self._each_step())
            if step or self._begun
        }

    def _take_states(self, states, options):
        asked = zip(self._names, self._asked_for_by, strict=True)
        needed = [name for name, option in asked if option is None or options[option]]
        steps = [0] * len(self._params)
        arrays = {}
        for i, entry in states.items():
            step, *_ = _check.entries(entry, ("step", *needed), type(self).__name__, f"state[{i}]")
            steps[i] = _check.whole(step, f"step {i} of state")
            saved = {name: entry[name] for name in self._names if name in entry}
            for name, array in saved.items():
                column = arrays.setdefault(name, self._fresh())
                column[i] = self._like_parameter(array, i, name)
        self._arrays = arrays
        self._set_steps(steps)

    # The steps taken: one number where all parameters have taken as many, else a list.

    def _each_step(self):
        return [self._steps] * len(self._params) if isinstance(self._steps, int) else list(self._steps)

    def _set_steps(self, steps):
        self._steps = steps[0] if len(set(steps)) == 1 else steps

    def _advance(self, values, grads):
        if isinstance(self._steps, int):
            lists = self._lists()
            self._update(values, grads, self._steps + 1, *lists)
            self._keep(lists)
            self._steps += 1
        else:
            self._advance_some(range(len(values)), values, grads)

    def _advance_some(self, chosen, values, grads):
        check_gradients(chosen, values, grads)
        steps = self._each_step()
        lists = self._lists()
        columns = (values, grads, *lists)
        for step in {steps[i] for i in chosen}:
            alike = [i for i in chosen if steps[i] == step]
            p, g, *states = (None if column is None else [column[i] for i in alike] for column in columns)
            self._update(p, g, step + 1, *states)
            self._keep(lists)
        for i in chosen:
            steps[i] += 1
        self._set_steps(steps)

    def lower(self, plan):
        """Write the update into a compiled step's plan: a function of (parameter, value, gradient) for each."""
        lists = self._lists()
        index = {id(p): i for i, p in enumerate(self._params)}
        plan.learnt.update(index)
        before_it = self._each_step()
        groups = {}  # by the steps taken: numbers and parameters
        moved = []

        def update(parameter, value, gradient):
            i = index[id(parameter)]
            numbers, members = groups.setdefault(before_it[i], (Numbers(), []))
            members.append(i)
            moved.append(i)
            states = [
                None if arrays is None else plan.outside(arrays[i], f"{name} of {value}", parameter.value.shape)
                for name, arrays in zip(self._names, lists, strict=True)
            ]
            states += [None] * (PLACES - len(states))
            plan.emit(
                self._kernel, [value, *states], [gradient], cols=value.rows, columns=[], numbers=numbers
            )

        def prepare(rows):
            for name, option, arrays in zip(self._names, self._asked_for_by, lists, strict=True):
                used = option is None or bool(getattr(self, option))
                if used != (arrays is not None) or (used and self._arrays.get(name, arrays) is not arrays):
                    raise Stale
            if isinstance(self._steps, int) and len(moved) == len(index):
                now = self._numbers(self._steps + 1)
                for numbers, _ in groups.values():
                    numbers.set(*now)
                return
            steps = self._each_step()
            for _, members in groups.values():
                if any(steps[i] != steps[members[0]] for i in members):
                    raise Stale
            for numbers, members in groups.values():
                numbers.set(*self._numbers(steps[members[0]] + 1))

        def commit(rows):
            self._keep(lists)
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
