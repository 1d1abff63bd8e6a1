"""What the schedules of the learning rate share: the base, its state, and what an optimizer must be."""

import copy
from collections import Counter

from .._check import flag, integer, mapping, number, shown
from .._environment import in_full_mode
from ._optimizer import Optimizer

MOST = 2**53  # steps


class Schedule:
    """The base of a schedule, which adds two functions.

    ``_rate(lr, base)`` is a group's rate at ``last_epoch``, where it has been ``lr`` and began with ``base``.
    ``_closed_form(base)`` is the same without a rate before it.
    """

    _is_initial = False
    _PARTS = ("optimizer", "_schedulers")  # which have states of their own

    def __init__(self, optimizer, last_epoch=-1):
        self.optimizer = check_optimizer(optimizer)
        self.last_epoch = integer(last_epoch, "last_epoch", -1, MOST)
        for group in optimizer.param_groups:
            if group["initial_lr"] is None:
                if self.last_epoch != -1:
                    raise ValueError(
                        f"last_epoch must be -1 where the optimizer has no initial_lr, not {self.last_epoch}"
                    )
                group["initial_lr"] = group["lr"]
        self.base_lrs = [float(group["initial_lr"]) for group in optimizer.param_groups]
        self._initial_step()

    @in_full_mode
    def step(self):
        """The next rate: after ``optimizer.step()``, once per epoch or per batch as the schedule is meant."""
        self._set(self.last_epoch + 1)

    @in_full_mode
    def get_lr(self):
        """The rates at ``last_epoch``, one for each parameter group. They are found from those that the optimizer has,
        and not set."""
        groups = self.optimizer.param_groups
        return [self._rate(group["lr"], base) for group, base in zip(groups, self.base_lrs, strict=True)]

    def get_last_lr(self):
        """The rates last set, one for each parameter group."""
        return list(self._last_lr)

    def state_dict(self):
        """Everything but the optimizer."""
        return {name: copy.deepcopy(value) for name, value in vars(self).items() if name not in self._PARTS}

    def load_state_dict(self, state):
        """Take over a saved state.

        Before anything changes: ValueError where something of it is missing or not as long as it must be, TypeError
        where something is of another kind. Both name it.
        """
        vars(self).update(self._checked(state))

    def _checked(self, state):
        """What is taken over of a saved state: all that the schedule has itself, in kind."""
        state = mapping(state, "state")
        mine = {name: own for name, own in vars(self).items() if name not in ("_is_initial", *self._PARTS)}
        missing = [name for name in mine if name not in state]
        if missing:
            raise ValueError(f"state must be that of a {type(self).__name__}: {', '.join(missing)} missing")
        return {name: like(own, state[name], name) for name, own in mine.items()}

    def _initial_step(self):
        self._is_initial = True
        self.step()
        self._is_initial = False

    def _set(self, epoch, from_start=False):
        self.last_epoch = epoch
        rates = [self._closed_form(base) for base in self.base_lrs] if from_start else self.get_lr()
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
        self._last_lr = list(map(float, rates))

    def _closed_form(self, base):
        return self._rate(None, base)

    def _undo(self):
        """As before the first step, for another schedule to begin."""
        self.last_epoch -= 1

    def __repr__(self):
        rates = [group["lr"] for group in self.optimizer.param_groups]
        return f"{type(self).__name__}(last_epoch={self.last_epoch}, lr={rates[0] if len(set(rates)) == 1 else rates})"


def like(own, value, name):
    """A copy of ``value``, which takes the place of ``own``; in lists, tuples and dicts too.

    TypeError where it is of another kind, ValueError for another number of rates.
    """
    if isinstance(own, bool):
        return flag(value, name)
    if isinstance(own, int):
        return integer(value, name, -MOST, MOST)
    if isinstance(own, float):
        return number(value, name)
    if type(value) is not type(own):
        kind = "None" if own is None else f"a {type(own).__name__}"
        raise TypeError(f"{name} must be {kind}, not {shown(value)}")
    if isinstance(own, Counter):
        return Counter(
            {like(0, key, f"a key of {name}"): like(0, times, f"{name}[{key}]") for key, times in value.items()}
        )
    if isinstance(own, dict):
        if own.keys() != value.keys():
            raise ValueError(f"{name} must have the keys {', '.join(own)}, not {shown(tuple(value))}")
        return {key: like(own[key], value[key], f"{name}[{key!r}]") for key in own}
    if isinstance(own, (list, tuple)):
        plain = all(isinstance(entry, float) for entry in own) or isinstance(own, tuple)
        if plain and len(own) != len(value):
            raise ValueError(f"{name} must have {len(own)} entries, not {len(value)}")
        return type(own)(like(own[min(i, len(own) - 1)], entry, f"{name}[{i}]") for i, entry in enumerate(value))
    return value


def check_optimizer(optimizer):
    """``optimizer``, or TypeError."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"optimizer must be one of fastml.optim, not {shown(optimizer)}")
    return optimizer
