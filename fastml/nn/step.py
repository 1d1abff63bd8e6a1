"""compile_step: forward, loss, backward and optimizer as one native program."""

import math

import numpy as np

from .._check import as_array, number
from .._kernels.program import Caller, Program
from ._schedule import Schedule
from .flatten import Flatten
from .linear import Linear
from .plan import GIVEN, Plan

FIRST_ROWS = 128  # the batch that a program is made for before it has seen one


def compile_step(model, loss_fn, optimizer, *, max_norm=None, clip_value=None, ema=None):
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
    parameters' ``grad`` is not filled. A loss that is not finite is returned as it is, and the update that follows
    from it is made: to pass over such updates (``optim.GradScaler``), or to add up gradients (``optim.Accumulate``), take
    the explicit calls. A step belongs to one thread at a time.

    Parameters
    ----------
    model : Module
        A Sequential of layers that have a program; in training mode.
    loss_fn : loss with reduction "mean" or "sum"
    optimizer : optimizer over parameters of the model
        Parameters that it does not hold stay as they are.
    max_norm : float, optional
        Bound of the norm of all gradients together: :func:`fastml.clip_grad_norm` before ``optimizer.step()``.
    clip_value : float, optional
        Bound of each of their elements: :func:`fastml.clip_grad_value`, before ``max_norm`` where both are given.
    ema : optim.EMA, optional
        Averages of parameters, which ``ema.update()`` moves after ``optimizer.step()``.

    Returns
    -------
    Step
        ``step(x, y)``: x of shape (n, features) in the model's dtype, or (n, …) where the layers take samples of
        more axes and an ``nn.Flatten`` comes before the first Linear; y what the loss takes. n may change from call
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
    if ema is not None and not hasattr(ema, "lower"):
        raise TypeError(f"compile_step has no program for the averages {type(ema).__name__}")
    if max_norm is not None:
        max_norm = number(max_norm, "max_norm", 0)
    if clip_value is not None:
        clip_value = number(clip_value, "clip_value", 0)
    return Step(model, loss_fn, optimizer, max_norm, clip_value, ema)


class Step:
    """What :func:`compile_step` returns."""

    def __init__(self, model, loss_fn, optimizer, max_norm=None, clip_value=None, ema=None):
        self.model = model
        self.loss_fn = loss_fn
        self.optimizer = optimizer
        self.max_norm = max_norm
        self.clip_value = clip_value
        self.ema = ema
        self._parameters = model.parameters()
        if not self._parameters:
            raise ValueError("the model has no parameters: there is nothing to train")
        self._dtype = self._parameters[0].value.dtype
        self._sample = _sample(model)
        self._schedule = None
        self._least_rows = 1
        self._modes = [model]
        self._rows = 0  # of the largest batch so far
        if self._sample is not None:
            self._plan(FIRST_ROWS, self._sample)  # for its errors

    def __call__(self, x, y):
        """One step on the batch (x, y); returns its loss, taken before the update."""
        loss = self._call(x, y) if self._rows else None
        return self._call_anew(x, y) if loss is None else loss

    def _call_anew(self, x, y):
        """The call where something stood in its way: an array of another kind, a larger batch, other parameters."""
        array = as_array(x, "x")
        if array.dtype != self._dtype:
            raise ValueError(f"x must be {self._dtype} as the model's parameters are, not {array.dtype}")
        least = self._least_rows
        if array.ndim < 2 or len(array) < least or self._sample not in (None, array.shape[1:]):
            rows = "n" if least == 1 else f"n >= {least}"
            sample = "…" if self._sample is None else ", ".join(map(str, self._sample))
            raise ValueError(f"x must have the shape ({rows}, {sample}), not {array.shape}")
        for module in self._modes:
            if not module.training:
                what = "the model" if module is self.model else f"its {type(module).__name__}"
                raise ValueError(f"{what} is in evaluation mode: call model.train() first")
        plain = np.require(array, requirements="CA")
        loss = self._call(plain, y) if self._rows and plain is not x else None
        if loss is None:
            rows = self._rows
            if len(array) > rows:  # room for more where batches keep growing
                rows = max(len(array), 3 * rows // 2)
            self._make(rows, array.shape[1:])
            loss = self._call(plain, y)
        return loss

    def describe(self):
        """The program as text: phases, tiles, the stages of each, memory and arithmetic."""
        if self._schedule is None and self._sample is None:
            raise ValueError("the program is made with the first batch: call the step first")
        return (self._schedule or Schedule(self._plan(FIRST_ROWS, self._sample)[0])).describe()

    def _plan(self, rows, sample):
        """The plan for batches of up to ``rows`` samples, and what makes the loss's part of it."""
        plan = Plan(rows, self._dtype, self.max_norm, self.clip_value)
        x = plan.matrix("x", math.prod(sample), array=GIVEN, shape=sample)
        updates = [part.lower(plan) for part in (self.optimizer, self.ema) if part is not None]
        plan.update_with(*updates)
        if not any(map(plan.learns, self._parameters)):
            raise ValueError("the optimizer holds none of the model's parameters")
        if self.ema is not None and not any(map(self.ema.holds, self._parameters)):
            raise ValueError("ema holds none of the model's parameters")
        y, backward = self.model.lower(plan, x, "")
        if len(y.shape) > 1:
            shape = f"(n, {str(y.shape)[1:]}"
            raise ValueError(
                f"compile_step needs a model that gives (n, features), not {shape}: end it in nn.Flatten()"
            )
        dy, bind = self.loss_fn.lower(plan, y)
        backward(dy, False)
        if self.max_norm is not None:
            plan.clip(self._parameters)
        self._least_rows = plan.least_rows
        self._modes = [self.model, *plan.modes]
        return plan, bind

    def _make(self, rows, sample):
        plan, bind = self._plan(rows, sample)
        schedule = Schedule(plan)
        program = Program(*schedule.lists())
        for m in plan.matrices:
            if m.array is not None and m.array is not GIVEN:
                program.bind(m.index, m.array)
        self._schedule, self._rows, self._sample = schedule, rows, sample
        self._call = Caller(
            program, self._modes, bind(program), plan.before, self._parameters, rows, sample,
            plan.least_rows, schedule.nanoseconds / rows,
        )  # fmt: skip

    def __repr__(self):
        return f"Step({self.model!r}, {self.loss_fn!r}, {self.optimizer!r})"


def _sample(model):
    """The shape of a sample, or None where only the first batch tells: a Linear takes plain rows."""
    for module in model.modules():
        if isinstance(module, Flatten):
            return None
        if isinstance(module, Linear):
            return (module.in_features,)
    return None
