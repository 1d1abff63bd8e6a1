"""compile_step: forward, loss, backward and optimizer as one native program."""

import numpy as np

from .._kernels.program import Program, Stale
from ._schedule import Schedule
from .plan import GIVEN, Plan

FIRST_ROWS = 128  # the batch that a program is made for before it has seen one


def compile_step(model, loss_fn, optimizer):
    """A function ``loss = step(x, y)`` that does one whole training step as one native program.

    The same, to the bit, as

    .. code-block:: python

        loss, grad = loss_fn(model(x), y)
        model.backward(grad)
        optimizer.step()

    but planned beforehand: kernels that can share a tile run one after the other while it is in the caches, the
    update follows its gradient directly, and nothing of Python is touched in between. Parameters, running
    statistics and the optimizer's state are those of the objects themselves, so explicit steps, ``state_dict``
    and evaluation may come at any time; options such as ``optimizer.lr`` may be set between steps. Only the
    parameters' ``grad`` is not filled.

    Parameters
    ----------
    model : Module
        A Sequential of layers that have a program; in training mode.
    loss_fn : loss with reduction "mean" or "sum"
    optimizer : optimizer over parameters of the model
        Parameters that it does not hold stay as they are.

    Returns
    -------
    Step
        ``step(x, y)``: x of shape (n, features) in the model's dtype, y what the loss takes; n may change from call
        to call. ``step.describe()`` is the program in words.

    Raises
    ------
    TypeError
        A layer, loss or optimizer that has no program, by name.
    ValueError
        A layer that does not fit the one before; a loss with reduction "none". When called: x of another shape or
        dtype, a model in evaluation mode, and what the loss raises, before anything is written.

    >>> from fastml import nn, optim
    >>> model = nn.Sequential(nn.Linear(2, 8, seed=0), nn.ReLU(), nn.Linear(8, 2, seed=1))
    >>> step = nn.compile_step(model, nn.CrossEntropyLoss(), optim.SGD(model.parameters(), lr=0.5))
    >>> x, y = np.array([[0, 1], [1, 0]], np.float32), np.array([0, 1])
    >>> losses = [step(x, y) for _ in range(50)]
    >>> bool(losses[-1] < 0.1 * losses[0])
    True
    """
    for what, thing in (("loss", loss_fn), ("optimizer", optimizer), ("model", model)):
        if not hasattr(thing, "lower"):
            raise TypeError(f"compile_step has no program for the {what} {type(thing).__name__}")
    return Step(model, loss_fn, optimizer)


class Step:
    """What :func:`compile_step` returns."""

    def __init__(self, model, loss_fn, optimizer):
        self.model = model
        self.loss_fn = loss_fn
        self.optimizer = optimizer
        self._parameters = model.parameters()
        if not self._parameters:
            raise ValueError("the model has no parameters: there is nothing to train")
        self._dtype = self._parameters[0].value.dtype
        self._rows = 0
        features = _features(model)
        if features is not None:
            self._make(FIRST_ROWS, features)
            self._rows = 0  # the first batch decides

    def __call__(self, x, y):
        """One step on the batch (x, y); returns its loss, taken before the update."""
        if not (type(x) is np.ndarray and x.dtype is self._dtype and x.ndim == 2 and x.flags.c_contiguous):
            x = self._input(x)
        rows = len(x)
        if not self.model.training:
            raise ValueError("the model is in evaluation mode: call model.train() first")
        if rows > self._rows or any(p.value is not a for p, a in self._arrays):
            self._make(rows, x.shape[1] if x.ndim == 2 else -1)
        if x.shape[1] != self._features or rows < self._plan.least_rows:
            raise self._misfit(x)
        target = self._target
        target.bind(y, rows)
        try:
            for before in self._plan.before:
                before(rows)
        except Stale:
            self._make(rows, self._features)
            return self(x, y)
        program = self._program
        program.bind(0, x)
        program.run(rows, self._nanoseconds * rows)
        return target.loss(rows)

    def describe(self):
        """The program as text: phases, tiles, the stages of each, memory and arithmetic."""
        if self._rows == 0 and not hasattr(self, "_schedule"):
            raise ValueError("the program is made with the first batch: call the step first")
        return self._schedule.describe()

    def _input(self, x):
        array = np.asarray(x)
        if array.dtype != self._dtype:
            raise ValueError(f"x must be {self._dtype} as the model's parameters are, not {array.dtype}")
        if array.ndim != 2:
            raise self._misfit(array)
        return np.ascontiguousarray(array)

    def _misfit(self, x):
        least = self._plan.least_rows
        rows = "n" if least == 1 else f"n >= {least}"
        return ValueError(f"x must have the shape ({rows}, {self._features}), not {x.shape}")

    def _make(self, rows, features):
        plan = Plan(rows, self._dtype, {id(p) for p in self._parameters})
        x = plan.matrix("x", features, array=GIVEN)
        plan.update_with(self.optimizer.lower(plan))
        y, backward = self.model.lower(plan, x, "")
        dy, bind = self.loss_fn.lower(plan, y)
        backward(dy, False)
        schedule = Schedule(plan)
        program = Program(*schedule.lists())
        for m in plan.matrices:
            if m.array is not None and m.array is not GIVEN:
                program.bind(m.index, m.array)
        self._plan, self._schedule, self._program, self._target = plan, schedule, program, bind(program)
        self._arrays = [(p, p.value) for p in self._parameters]
        self._rows, self._features = rows, features
        self._nanoseconds = schedule.nanoseconds / rows

    def __repr__(self):
        return f"Step({self.model!r}, {self.loss_fn!r}, {self.optimizer!r})"


def _features(model):
    """The length of a row of the input, or None where no layer says it."""
    for module in model.modules():
        for name in ("in_features", "num_features"):
            if hasattr(module, name):
                return getattr(module, name)
    return None
