"""The one-cycle schedule."""

import math

from .._check import choice, flag, integer, number, positive
from .._choices import Anneal
from .._environment import in_full_mode
from ._schedules import MOST, Schedule, check_optimizer


class OneCycleLR(Schedule):
    """One cycle of the rate: from max_lr / div_factor up to ``max_lr`` in ``pct_start`` of ``total_steps``, then down
    to max_lr / div_factor / final_div_factor; the momentum (or β₁) the other way, from ``max_momentum`` to
    ``base_momentum`` and back. ``step()`` comes after every batch.

    Each phase goes from a to b along half a cosine, b + (a − b) · (1 + cos(π · x)) / 2 with x from 0 to 1, or along a
    line (``anneal_strategy="linear"``). With ``three_phase`` the way down takes as long as the way up, and a third
    phase leads to the least rate. ``total_steps`` may be given as ``epochs`` and ``steps_per_epoch``.

    Raises ValueError for steps that are missing, options out of range, an optimizer without momentum or betas where
    ``cycle_momentum``, and when it is asked for more than ``total_steps`` steps.

    Source: ``torch.optim.lr_scheduler.OneCycleLR``; L. N. Smith and N. Topin, Super-convergence, arXiv 1708.07120,
    2018.

    >>> import numpy as np
    >>> from fastml import optim
    >>> opt = optim.SGD([np.zeros(2)], lr=0.1, momentum=0.9)
    >>> schedule, rates = optim.OneCycleLR(opt, max_lr=1.0, total_steps=5, pct_start=0.4), []
    >>> for _ in range(5):
    ...     rates.append((round(opt.lr, 4), round(opt.momentum, 4)))
    ...     if len(rates) < 5:
    ...         schedule.step()
    >>> rates
    [(0.04, 0.95), (1.0, 0.85), (0.75, 0.875), (0.25, 0.925), (0.0, 0.95)]
    """

    @in_full_mode
    def __init__(
        self,
        optimizer,
        max_lr,
        total_steps=None,
        epochs=None,
        steps_per_epoch=None,
        pct_start=0.3,
        anneal_strategy="cos",
        cycle_momentum=True,
        base_momentum=0.85,
        max_momentum=0.95,
        div_factor=25.0,
        final_div_factor=1e4,
        three_phase=False,
        last_epoch=-1,
    ):
        check_optimizer(optimizer)
        if total_steps is not None:
            self.total_steps = integer(total_steps, "total_steps", 1, MOST)
        elif epochs is None or steps_per_epoch is None:
            raise ValueError("total_steps must be given, or epochs and steps_per_epoch, not None")
        else:
            self.total_steps = integer(epochs, "epochs", 1, MOST)
            self.total_steps *= integer(steps_per_epoch, "steps_per_epoch", 1, MOST)
        self.anneal_strategy = choice(anneal_strategy, "anneal_strategy", Anneal)
        cycle_momentum, three_phase = flag(cycle_momentum, "cycle_momentum"), flag(three_phase, "three_phase")
        pct_start = number(pct_start, "pct_start", 0, 1)
        up, down = pct_start * self.total_steps - 1, 2 * pct_start * self.total_steps - 2
        last = self.total_steps - 1.0
        # (last step, rates and momenta from and to, by name) of each phase.
        self.phases = (
            [
                (up, "initial", "max", "max", "base"),
                (down, "max", "initial", "base", "max"),
                (last, "initial", "min", "max", "max"),
            ]
            if three_phase
            else [(up, "initial", "max", "max", "base"), (last, "max", "min", "base", "max")]
        )
        highest = number(max_lr, "max_lr", 0)
        initial = highest / positive(div_factor, "div_factor")
        self.lrs = {"initial": initial, "max": highest, "min": initial / positive(final_div_factor, "final_div_factor")}
        self.momenta = None
        if cycle_momentum:
            if not {"momentum", "betas"} & optimizer.param_groups[0].keys():
                name = type(optimizer).__name__
                raise ValueError(
                    f"cycle_momentum must be False for {name}, which has no momentum and no betas, not True"
                )
            self.momenta = {
                "base": number(base_momentum, "base_momentum", 0, 1),
                "max": number(max_momentum, "max_momentum", 0, 1),
            }
        if isinstance(last_epoch, int) and last_epoch == -1:
            optimizer.initial_lr = initial
        super().__init__(optimizer, last_epoch)

    def _set(self, epoch, from_start=False):
        super()._set(epoch, from_start)
        if self.momenta is None:
            return
        _, (momentum_from, momentum_to), share = self._phase()
        momentum = self._between(self.momenta[momentum_from], self.momenta[momentum_to], share)
        for group in self.optimizer.param_groups:
            if "betas" in group:
                group["betas"] = (momentum, *group["betas"][1:])
            else:
                group["momentum"] = momentum

    def _rate(self, lr, base):
        (lr_from, lr_to), _, share = self._phase()
        return self._between(self.lrs[lr_from], self.lrs[lr_to], share)

    def _phase(self):
        """At ``last_epoch``: the names of the rates and of the momenta between which they are, and how far between."""
        t, start = self.last_epoch, 0.0
        if t > self.total_steps:
            raise ValueError(f"step() must be called no more than total_steps={self.total_steps} times, not {t}")
        for phase in self.phases:
            end, lr_from, lr_to, momentum_from, momentum_to = phase
            if t <= end or phase is self.phases[-1]:
                break
            start = end
        share = (t - start) / (end - start) if end != start else 1.0
        return (lr_from, lr_to), (momentum_from, momentum_to), share

    def _between(self, a, b, share):
        if self.anneal_strategy == "linear":
            return (b - a) * share + a
        return b + (a - b) / 2.0 * (math.cos(math.pi * share) + 1)
