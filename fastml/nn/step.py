"""compile_step: forward, loss, backward and optimizer as one native program."""

from collections import Counter

import numpy as np

from .._check import as_array, number, shown
from .._kernels.step.caller import Caller, facts
from .._kernels.step.program import Stale
from .._tracked import attributes
from ..step.compile import Parts, build, write
from ..step.schedule import Schedule
from ..step.signature import Signature, check_program
from .module import Module, Parameter
from .sequential import check_once

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
    and evaluation may come at any time. Whatever is changed between two steps (options, arrays, layers, what is tied or
    frozen) is seen in the next: it does what the explicit calls would do, or raises an error that names the object
    before anything is written. Only what is written past the attributes (``vars(layer)["p"] = …``) is not seen, and the
    parameters' ``grad`` is not filled. A loss that is not finite is returned as it is, and the update that follows
    from it is made: to pass over such updates (``optim.GradScaler``), or to add up gradients (``optim.Accumulate``),
    take the explicit calls. A step belongs to one thread at a time; a copy of it (``copy.deepcopy``) trains a copy
    of the model.

    Parameters
    ----------
    model : Module
        A Sequential of layers that have a program; in training mode.
    loss_fn : loss with reduction "mean" or "sum"
    optimizer : optimizer over parameters of the model
        Parameters that it does not hold stay as they are, and so do those of it that are not in the model.
    max_norm : float, optional
        Bound of the norm of all gradients that the optimizer takes together: :func:`fastml.clip_grad_norm` before
        ``optimizer.step()``.
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
        A layer, loss or optimizer that has no program, or that overrides what its program stands for, by name.
    ValueError
        A layer that does not fit the one before; a loss with reduction "none"; a parameter or statistic of another
        shape, not contiguous, read-only, or in memory that it shares. When called: all of these where something was
        changed, x of another shape or dtype, a model in evaluation mode, and what the loss raises, before anything is
        written.
    RuntimeError
        A call while another is running.

    >>> from fastml import nn, optim
    >>> model = nn.Sequential(nn.Linear(2, 8, seed=0), nn.ReLU(), nn.Linear(8, 2, seed=1))
    >>> step = nn.compile_step(model, nn.CrossEntropyLoss(), optim.SGD(model.parameters(), lr=0.5))
    >>> x, y = np.array([[0, 1], [1, 0]], np.float32), np.array([0, 1])
    >>> losses = [step(x, y) for _ in range(50)]
    >>> bool(losses[-1] < 0.1 * losses[0])
    True
    """
    return Step(model, loss_fn, optimizer, max_norm, clip_value, ema)


class Step(Caller):
    """What :func:`compile_step` returns."""

    _live = frozenset({"_least_rows", "_modes", "_outside", "_parts", "_rows", "_sample", "_schedule", "_signature"})

    def __init__(self, model, loss_fn, optimizer, max_norm=None, clip_value=None, ema=None):
        self.model = model
        self.loss_fn = loss_fn
        self.optimizer = optimizer
        self.max_norm = max_norm
        self.clip_value = clip_value
        self.ema = ema
        self._rows = 0  # of the largest batch so far
        self._look()
        if self._sample is not None:
            self._note(write(self._parts, FIRST_ROWS, self._sample)[0])  # and for its errors

    def _look(self):
        """See what there is to make a program from."""
        self._disarm()
        self._signature = self._schedule = None
        now = self._count()
        if not isinstance(self.model, Module):
            raise TypeError(f"model must be a Module, not {shown(self.model)}")
        check_program(self.loss_fn, "the loss_fn", Module)
        check_program(self.optimizer, "the optimizer", Module)
        if self.ema is not None:
            check_program(self.ema, "the ema", Module)
        check_program(self.model, "the model", Module)
        modules = list(_named_modules(self.model))
        check_once([module for _, module in modules])
        for name, module in modules[1:]:
            check_program(module, f"layer {name},", Module)
        max_norm, clip_value = (
            None if bound is None else number(bound, name, 0)
            for bound, name in ((self.max_norm, "max_norm"), (self.clip_value, "clip_value"))
        )
        named = self.model.named_parameters()
        if not named:
            raise ValueError("the model has no parameters: there is nothing to train")
        parameters, dtype = [parameter for _, parameter in named], _dtype(*named[0])
        strangers = [p for p in _parameters_of(self.optimizer) if p not in parameters]
        self._parts = Parts(
            self.model, self.loss_fn, self.optimizer, self.ema, max_norm, clip_value, parameters, _shared(self.model),
            strangers, dtype,
        )  # fmt: skip
        self._sample = self.model.sample_shape(None)
        self._least_rows, self._modes = 1, [self.model]
        parts = [part for part in (self.loss_fn, self.optimizer, self.ema) if part is not None]
        parameters = dict.fromkeys([*parameters, *(p for part in parts for p in _parameters_of(part))])
        self._signature = Signature([self, *parts, *(module for _, module in modules), *parameters])
        self._watch(self._signature)
        self._as_it_was(now)

    def _anew(self, x, y):
        """The call where something stood in its way: an array of another kind, a larger batch, another model, or only
        another thread that has set an attribute of another one."""
        if y is None:
            raise TypeError("y must be what the loss takes, not None: step(x, y)")
        try:
            return self._looking(x, y)
        finally:
            self._look_closely(None)

    def _looking(self, x, y):
        now = self._count()
        if self._signature is None or not (self._untouched() or self._same_classes() and self._signature.holds()):
            self._look()
        else:
            self._as_it_was(now)
        self._look_closely(self._signature)
        array = as_array(x, "x")
        if array.dtype != self._parts.dtype:
            raise ValueError(f"x must be {self._parts.dtype} as the model's parameters are, not {array.dtype}")
        self._check_shape(array)
        plain = np.require(array, requirements="CA")
        if self._armed():
            self._check_training()
            try:
                return self._quick(plain, y)
            except Stale:
                pass
        rows = self._rows
        if len(array) > rows:  # room for more where batches keep growing
            rows = max(len(array), 3 * rows // 2)
        self._make(rows, array.shape[1:])
        self._check_shape(array)
        self._check_training()
        now = self._count()
        if not self._untouched() and self._signature.holds():  # a lower may set attributes of objects that it makes
            self._as_it_was(now)
        try:
            return self._quick(plain, y)
        except Stale:
            self._refuse_shared(x=plain, target=y)
            raise RuntimeError("the model, the loss or the optimizer was changed while the step was called") from None

    def _check_shape(self, array):
        least = self._least_rows
        if array.ndim < 2 or len(array) < least or self._sample not in (None, array.shape[1:]):
            rows = "n" if least == 1 and array.shape[:1] != (0,) else f"n >= {least}"
            sample = "…" if self._sample is None else ", ".join(map(str, self._sample))
            raise ValueError(f"x must have the shape ({rows}, {sample}), not {array.shape}")

    def _check_training(self):
        """ValueError where a module that does something else then is in evaluation mode."""
        for module in self._modes:
            if not module.training:
                what = "the model" if module is self.model else f"its {type(module).__name__}"
                raise ValueError(f"{what} is in evaluation mode: call model.train() first")

    def _refuse_shared(self, **given):
        for what, array in given.items():
            for owner, name, writes in self._outside:
                if writes and isinstance(array, np.ndarray) and np.may_share_memory(array, owner):
                    raise ValueError(f"{what} shares memory with {name}, which the step writes")

    def describe(self):
        """The program as text: phases, tiles, the stages of each, memory and arithmetic."""
        if self._schedule is None and self._sample is None:
            raise ValueError("the program is made with the first batch: call the step first")
        return (self._schedule or Schedule(write(self._parts, FIRST_ROWS, self._sample)[0])).describe()

    def _note(self, plan):
        """What a plan asks of each batch and of the modules' modes."""
        self._least_rows = plan.least_rows
        self._modes = [self.model, *plan.modes]

    def _make(self, rows, sample):
        self._disarm()
        plan, bind = write(self._parts, rows, sample)
        self._note(plan)
        schedule, program, target = build(plan, bind)
        self._schedule, self._rows, self._sample = schedule, rows, sample
        self._outside = plan.bound
        self._arm(program, target, plan, rows, sample, schedule.nanoseconds / rows)

    def __reduce__(self):
        # Copies and pickles make a program of their own.
        return type(self), (self.model, self.loss_fn, self.optimizer, self.max_norm, self.clip_value, self.ema)

    def __repr__(self):
        return f"Step({self.model!r}, {self.loss_fn!r}, {self.optimizer!r})"


def _parameters_of(part):
    """The parameters that an optimizer or an EMA holds; they may hold plain arrays, too."""
    return [p for p in getattr(part, "_params", ()) if isinstance(p, Parameter)]


def _dtype(name, parameter):
    """The dtype of a parameter's array."""
    if not isinstance(parameter.value, np.ndarray):
        raise TypeError(f"{name} must be a NumPy array, not {type(parameter.value).__name__}")
    dtype = facts(parameter.value)[3]
    if dtype not in (np.float32, np.float64):
        raise TypeError(f"{name} must be float32 or float64, not {dtype}")
    return dtype


def _named_modules(module, name=""):
    """A module and all below it with their dotted names."""
    yield name, module
    for child_name, child in module.named_children():
        yield from _named_modules(child, f"{name}.{child_name}" if name else child_name)


def _shared(model):
    """The parameters that stand in more than one place: of each the gradient is complete only at the end."""
    places = Counter(
        value for module in model.modules() for value in attributes(module).values() if isinstance(value, Parameter)
    )
    return {parameter for parameter, count in places.items() if count > 1}
