"""Schedules of the learning rate: PyTorch's names, arguments and values, to the last bit.

A schedule sets the ``lr`` of each of the optimizer's parameter groups (OneCycleLR their momentum too): when it is made
and with every ``step()``. So it acts on explicit and on compiled steps. Where PyTorch finds a rate from the one before,
so is it here: whoever changes ``optimizer.lr`` in between changes the course. ``state_dict()`` and
``load_state_dict()`` go with those of the optimizer, which holds the rate itself.
"""

import math
from bisect import bisect_right
from collections import Counter

from .._check import as_numbers, choice, each, integer, number, shown
from .._choices import Mode, ThresholdMode
from .._environment import in_full_mode
from ._schedules import MOST, Schedule, check_optimizer


class StepLR(Schedule):
    """The rate times ``gamma`` every ``step_size`` steps: lr = base · gamma^⌊t / step_size⌋.

    Source: ``torch.optim.lr_scheduler.StepLR``.

    >>> import numpy as np
    >>> from fastml import optim
    >>> opt = optim.SGD([np.zeros(2)], lr=1.0)
    >>> schedule, rates = optim.StepLR(opt, step_size=2, gamma=0.5), []
    >>> for _ in range(5):
    ...     rates.append(opt.lr)
    ...     schedule.step()
    >>> rates
    [1.0, 1.0, 0.5, 0.5, 0.25]
    """

    def __init__(self, optimizer, step_size, gamma=0.1, last_epoch=-1):
        self.step_size = integer(step_size, "step_size", 1, MOST)
        self.gamma = number(gamma, "gamma", 0)
        super().__init__(optimizer, last_epoch)

    def _rate(self, lr, base):
        return lr if self.last_epoch == 0 or self.last_epoch % self.step_size else lr * self.gamma

    def _closed_form(self, base):
        return base * self.gamma ** (self.last_epoch // self.step_size)


class MultiStepLR(Schedule):
    """The rate times ``gamma`` at each of the ``milestones``: lr = base · gamma^|{m ≤ t}|.

    Source: ``torch.optim.lr_scheduler.MultiStepLR``.

    >>> import numpy as np
    >>> from fastml import optim
    >>> opt = optim.SGD([np.zeros(2)], lr=1.0)
    >>> schedule, rates = optim.MultiStepLR(opt, milestones=[1, 3], gamma=0.5), []
    >>> for _ in range(4):
    ...     rates.append(opt.lr)
    ...     schedule.step()
    >>> rates
    [1.0, 0.5, 0.5, 0.25]
    """

    def __init__(self, optimizer, milestones, gamma=0.1, last_epoch=-1):
        self.milestones = Counter(_steps(milestones))
        self.gamma = number(gamma, "gamma", 0)
        super().__init__(optimizer, last_epoch)

    def _rate(self, lr, base):
        times = self.milestones[self.last_epoch]
        return lr * self.gamma**times if times else lr

    def _closed_form(self, base):
        return base * self.gamma ** bisect_right(sorted(self.milestones.elements()), self.last_epoch)


class LinearWarmup(Schedule):
    """From ``start_factor`` times the rate up to the rate, in ``total_iters`` equal steps, and then no change:

        lr = base · (start_factor + (1 − start_factor) · min(t / total_iters, 1))

    Another schedule follows it in :class:`SequentialLR`.

    Source: ``torch.optim.lr_scheduler.LinearLR``; P. Goyal et al., Accurate, large minibatch SGD, arXiv 1706.02677,
    2017.

    >>> import numpy as np
    >>> from fastml import optim
    >>> opt = optim.SGD([np.zeros(2)], lr=1.0)
    >>> schedule, rates = optim.LinearWarmup(opt, total_iters=2, start_factor=0.5), []
    >>> for _ in range(4):
    ...     rates.append(opt.lr)
    ...     schedule.step()
    >>> rates
    [0.5, 0.75, 1.0, 1.0]
    """

    def __init__(self, optimizer, total_iters=5, start_factor=1 / 3, last_epoch=-1):
        self.total_iters = integer(total_iters, "total_iters", 1, MOST)
        self.start_factor = number(start_factor, "start_factor", 0, 1, "(]")  # each rate is found from the one before
        super().__init__(optimizer, last_epoch)

    def _rate(self, lr, base):
        start = self.start_factor
        if self.last_epoch == 0:
            return lr * start
        if self._is_initial or self.last_epoch > self.total_iters:
            return lr
        return lr * (1.0 + (1.0 - start) / (self.total_iters * start + (self.last_epoch - 1) * (1.0 - start)))

    def _closed_form(self, base):
        start = self.start_factor
        passed = min(self.total_iters, self.last_epoch)
        return base * (start + (1.0 - start) * passed / self.total_iters)


class CosineAnnealingLR(Schedule):
    """Half a cosine from the rate down to ``eta_min`` in ``T_max`` steps (and up again after them):

        lr = eta_min + (base − eta_min) · (1 + cos(π · t / T_max)) / 2

    Source: ``torch.optim.lr_scheduler.CosineAnnealingLR``, which finds each rate from the one before; I. Loshchilov
    and F. Hutter, SGDR: Stochastic gradient descent with warm restarts, ICLR 2017.

    >>> import numpy as np
    >>> from fastml import optim
    >>> opt = optim.SGD([np.zeros(2)], lr=1.0)
    >>> schedule, rates = optim.CosineAnnealingLR(opt, T_max=3), []
    >>> for _ in range(4):
    ...     rates.append(round(opt.lr, 6))
    ...     schedule.step()
    >>> rates
    [1.0, 0.75, 0.25, 0.0]
    """

    def __init__(self, optimizer, T_max, eta_min=0.0, last_epoch=-1):
        self.T_max = integer(T_max, "T_max", 1, MOST)
        self.eta_min = number(eta_min, "eta_min", 0)
        super().__init__(optimizer, last_epoch)

    def _rate(self, lr, base):
        t, most, least = self.last_epoch, self.T_max, self.eta_min
        if self._is_initial:
            return lr
        if (t - 1 - most) % (2 * most) == 0:
            return lr + (base - least) * (1 - math.cos(math.pi / most)) / 2
        before = 1 + math.cos(math.pi * (t - 1) / most)
        return (1 + math.cos(math.pi * t / most)) / before * (lr - least) + least

    def _closed_form(self, base):
        height = 1 + math.cos(math.pi * self.last_epoch / self.T_max)
        return self.eta_min + (base - self.eta_min) * height / 2


class SequentialLR(Schedule):
    """One schedule after the other: ``schedulers[i]`` until step ``milestones[i]``, where the next one begins.

    All of them are made with the same optimizer before. Source: ``torch.optim.lr_scheduler.SequentialLR``.

    >>> import numpy as np
    >>> from fastml import optim
    >>> opt = optim.SGD([np.zeros(2)], lr=1.0)
    >>> parts = [optim.LinearWarmup(opt, 2, 0.5), optim.CosineAnnealingLR(opt, T_max=3)]
    >>> schedule, rates = optim.SequentialLR(opt, parts, milestones=[2]), []
    >>> for _ in range(5):
    ...     rates.append(round(opt.lr, 6))
    ...     schedule.step()
    >>> rates
    [0.5, 0.75, 1.0, 0.75, 0.25]
    """

    def __init__(self, optimizer, schedulers, milestones):
        self.optimizer = check_optimizer(optimizer)
        self._schedulers = list(each(schedulers, "schedulers"))
        self._milestones = _steps(milestones)
        for schedule in self._schedulers:
            if not isinstance(schedule, Schedule) or isinstance(schedule, SequentialLR):
                raise TypeError(f"schedulers must be schedules of one part each, not {shown(schedule)}")
            if schedule.optimizer is not optimizer:
                raise ValueError(f"schedulers must be made with the same optimizer, not as {schedule!r}")
        if not self._schedulers or len(self._milestones) != len(self._schedulers) - 1:
            raise ValueError(
                f"milestones must be one fewer than schedulers, {len(self._schedulers) - 1}, "
                f"not {len(self._milestones)}"
            )
        self.last_epoch = 0
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"]
        for schedule in self._schedulers:
            schedule._undo()
        self._initial_step()

    @in_full_mode
    def step(self):
        """The next rate."""
        self.last_epoch += 1
        part = self._part()
        schedule = self._schedulers[part]
        if part > 0 and self._milestones[part - 1] == self.last_epoch:
            schedule._set(0, from_start=True)
        else:
            schedule.step()
        self._last_lr = schedule.get_last_lr()

    def state_dict(self):
        """Everything but the optimizer, with the states of all schedules."""
        state = super().state_dict()
        return state | {"_schedulers": [schedule.state_dict() for schedule in self._schedulers]}

    def load_state_dict(self, state):
        """Take over a saved state of as many schedules.

        ValueError where something of it is missing, TypeError where something is of another kind, before anything
        changes.
        """
        mine, saved = self._checked(state), state.get("_schedulers")
        if not isinstance(saved, list) or len(saved) != len(self._schedulers):
            raise ValueError(f"state must be that of a SequentialLR of {len(self._schedulers)} schedules")
        theirs = [schedule._checked(part) for schedule, part in zip(self._schedulers, saved, strict=True)]
        for schedule, part in zip(self._schedulers, theirs, strict=True):
            vars(schedule).update(part)
        vars(self).update(mine)

    @in_full_mode
    def get_lr(self):
        """The rates that the schedule finds whose turn it is."""
        return self._schedulers[self._part()].get_lr()

    def _part(self):
        """The number of the schedule whose turn it is."""
        return bisect_right(self._milestones, self.last_epoch)

    def _initial_step(self):
        schedule = self._schedulers[self._part()]
        schedule._initial_step()
        self._last_lr = schedule.get_last_lr()


class ReduceLROnPlateau:
    """The rate times ``factor`` where ``step(metrics)`` has seen no better value for more than ``patience`` steps.

    Better is below the best by more than ``threshold`` (``mode="max"``: above it), relative to it or
    (``threshold_mode="abs"``) not; for ``cooldown`` steps after a reduction nothing is counted. The rate does not fall
    below ``min_lr``, nor by less than ``eps``. NaN is never better.

    Source: ``torch.optim.lr_scheduler.ReduceLROnPlateau``.

    >>> import numpy as np
    >>> from fastml import optim
    >>> opt = optim.SGD([np.zeros(2)], lr=1.0)
    >>> schedule, rates = optim.ReduceLROnPlateau(opt, factor=0.5, patience=1), []
    >>> for loss in (3.0, 2.0, 2.0, 2.0, 1.0):
    ...     schedule.step(loss)
    ...     rates.append(opt.lr)
    >>> rates
    [1.0, 1.0, 1.0, 0.5, 0.5]
    """

    def __init__(
        self,
        optimizer,
        mode="min",
        factor=0.1,
        patience=10,
        threshold=1e-4,
        threshold_mode="rel",
        cooldown=0,
        min_lr=0.0,
        eps=1e-8,
    ):
        self.optimizer = check_optimizer(optimizer)
        for name, value, choices in (
            ("mode", mode, Mode),
            ("threshold_mode", threshold_mode, ThresholdMode),
        ):
            choice(value, name, choices)
        self.mode, self.threshold_mode = mode, threshold_mode
        self.factor = number(factor, "factor", 0, 1, "[)")
        self.patience = integer(patience, "patience", 0, MOST)
        self.cooldown = integer(cooldown, "cooldown", 0, MOST)
        self.threshold = number(threshold, "threshold")
        self.min_lrs = [number(min_lr, "min_lr", 0)] * len(optimizer.param_groups)
        self.eps = number(eps, "eps", 0)
        self.last_epoch = self.cooldown_counter = self.num_bad_epochs = 0
        self.best = math.inf if mode == "min" else -math.inf
        self._last_lr = [float(group["lr"]) for group in optimizer.param_groups]

    @in_full_mode
    def step(self, metrics):
        """Take in a value: a loss or a score."""
        current = as_numbers(metrics, "metrics")
        if current.size != 1:
            raise ValueError(f"metrics must be one number, not of shape {current.shape}")
        current = current.item()
        self.last_epoch += 1
        if self._is_better(current):
            self.best = current
            self.num_bad_epochs = 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            for group, least in zip(self.optimizer.param_groups, self.min_lrs, strict=True):
                lower = max(group["lr"] * self.factor, least)
                if group["lr"] - lower > self.eps:
                    group["lr"] = lower
            self.cooldown_counter = self.cooldown
            self.num_bad_epochs = 0
        self._last_lr = [float(group["lr"]) for group in self.optimizer.param_groups]

    def _is_better(self, value):
        if self.threshold_mode == "abs":
            bound = self.best - self.threshold if self.mode == "min" else self.best + self.threshold
        else:
            bound = self.best * (1.0 - self.threshold if self.mode == "min" else self.threshold + 1.0)
        return value < bound if self.mode == "min" else value > bound

    get_last_lr = Schedule.get_last_lr
    state_dict = Schedule.state_dict
    load_state_dict = Schedule.load_state_dict
    _checked = Schedule._checked
    _PARTS = Schedule._PARTS
    __repr__ = Schedule.__repr__


def _steps(milestones):
    """Numbers of steps, a list."""
    return [integer(m, f"milestones[{i}]", 0, MOST) for i, m in enumerate(each(milestones, "milestones"))]
