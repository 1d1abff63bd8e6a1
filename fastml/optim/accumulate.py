"""Gradient accumulation."""

from .._check import each, entries, flag, integer
from .._memory import copied
from ..ops.clip import unscale_grads
from ..ops.sgd import sgd_step
from ._groups import PlainArray
from ._optimizer import Optimizer, check_update, like_parameter, one_each

MOST = 2**53  # micro-batches


class Accumulate:
    """One step of the optimizer for every ``steps`` micro-batches: a batch that is too large to compute at once.

    ``step()`` in the place of ``optimizer.step()`` adds up the gradients of the last ``backward`` and, with every
    ``steps``-th call, updates with their mean (``average=False``: their sum): with a loss of reduction "mean" that is
    the step of the whole batch where the micro-batches are of one size, and with "sum" ``average=False`` is. It returns
    whether it updated. What belongs between the two goes between ``add()``, which returns True once all are in and
    every parameter's ``grad`` is the result, and ``optimizer.step()``:

    .. code-block:: python

        if accumulate.add():
            fastml.clip_grad_norm(accumulate.grads, 1.0)
            optimizer.step()

    ``flush()`` updates with the fewer micro-batches that are there: at the end of an epoch. Batch normalisation and
    dropout see micro-batches. A parameter without a gradient adds nothing.

    Raises ValueError for ``steps`` under 1, TypeError for other kinds, and what ``optimizer.step`` raises.

    >>> import numpy as np
    >>> from fastml import optim
    >>> w = np.array([1.0, 2.0])
    >>> accumulate = optim.Accumulate(optim.SGD([w], lr=1.0), steps=2)
    >>> accumulate.step([np.array([1.0, 0.0])]), accumulate.step([np.array([0.0, 3.0])])
    (False, True)
    >>> w.tolist()
    [0.5, 0.5]
    """

    def __init__(self, optimizer, steps, average=True):
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"optimizer must be an optimizer, not {type(optimizer).__name__}")
        self.optimizer = optimizer
        self.steps = integer(steps, "steps", 1, MOST)
        self.average = flag(average, "average")
        self._params = optimizer._params
        self._sums = [None] * len(self._params)
        self._count = 0

    @property
    def grads(self):
        """The gradients added up so far; after the last micro-batch the result. None where there was none."""
        return list(self._sums)

    def add(self, grads=None):
        """Add one micro-batch's gradients; whether all are in."""
        grads = one_each([p.grad for p in self._params] if grads is None else grads, self._params)
        values = [p.value for p in self._params]
        chosen = [i for i, g in enumerate(grads) if g is not None]
        check_update(chosen, values, grads)
        if self._count == 0:
            self._sums = [None] * len(values)
        known = [i for i in chosen if self._sums[i] is not None]
        # sum − 1 · (−g)
        sgd_step([self._sums[i] for i in known], [grads[i] for i in known], lr=1.0, maximize=True)
        for i in chosen:
            if self._sums[i] is None:
                self._sums[i] = copied(grads[i], values[i].dtype)
        self._count += 1
        if self._count < self.steps:
            return False
        self._finish()
        return True

    def step(self, grads=None):
        """Add one micro-batch's gradients and update if all are in; whether it did."""
        if not self.add(grads):
            return False
        self.optimizer.step(self._sums)
        return True

    def flush(self):
        """Update with the micro-batches that are there; whether there were any."""
        if self._count == 0:
            return False
        self._finish()
        self.optimizer.step(self._sums)
        return True

    def state_dict(self):
        """The optimizer's state, the options, and copies of what is added up.

        So ``save_checkpoint(…, optimizer=accumulate)`` inside a batch of several micro-batches loses none of them.
        """
        sums = [None if g is None or self._count == 0 else g.copy() for g in self._sums]
        return {
            "optimizer": self.optimizer.state_dict(), "steps": self.steps, "average": self.average,
            "count": self._count, "sums": sums,
        }  # fmt: skip

    def load_state_dict(self, state):
        """Take over a saved state: the micro-batches that follow are added to those that it holds.

        Raises ValueError where something of it is missing or does not fit the parameters, TypeError where it is of
        another kind. Nothing has changed then.
        """
        names = ("optimizer", "steps", "average", "count", "sums")
        theirs, steps, average, count, sums = entries(state, names, "an Accumulate")
        steps, average = integer(steps, "steps", 1, MOST), flag(average, "average")
        count = integer(count, "count", 0, steps - 1)
        sums = each(sums, "sums")
        if len(sums) != len(self._params):
            raise ValueError(f"state must have {len(self._params)} sums, as there are parameters, not {len(sums)}")
        sums = [
            None if g is None else like_parameter(p.value, g, i, "sum")
            for i, (p, g) in enumerate(zip(self._params, sums, strict=True))
        ]
        self.optimizer.load_state_dict(theirs)
        self.steps, self.average, self._count, self._sums = steps, average, count, sums

    def _finish(self):
        sums = [g for g in self._sums if g is not None]
        if self.average and self._count > 1:
            unscale_grads(sums, self._count)
        for p, g in zip(self._params, self._sums, strict=True):
            if not isinstance(p, PlainArray):
                p.grad = g
        self._count = 0

    def __repr__(self):
        return f"Accumulate({self.optimizer!r}, {self.steps})"
