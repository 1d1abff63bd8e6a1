"""Losses: ``loss, grad = loss_fn(y, target)``."""

import numpy as np

from .._kernels import step_cross_entropy, step_losses
from .._kernels.losses import repeating
from ..ops.cross_entropy import cross_entropy_with_grad
from ..ops.losses import binary_cross_entropy_with_logits_with_grad, mse_loss_with_grad
from ._reuse import Results
from .plan import GIVEN


def _check_reduction(reduction):
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"reduction must be 'mean', 'sum' or 'none', got {reduction!r}")
    return reduction


class CrossEntropyLoss:
    """Cross-entropy of logits and its gradient: ``loss, grad = loss_fn(logits, target)``.

    The arguments are those of :func:`fastml.cross_entropy_with_grad`, which says what shapes ``target``
    may have: class ``weight`` (C,), ``ignore_index`` (None ignores nothing, PyTorch's default is −100),
    ``label_smoothing`` in 0 … 1, ``reduction`` "mean", "sum" or "none", class ``axis`` (−1; PyTorch's is
    1). ``grad`` is what ``model.backward`` takes; it is not overwritten by the next call while it is
    referred to.

    Raises ValueError for the options, and when called what the op raises: ValueError for shapes,
    IndexError for a label outside 0 … C − 1.

    Source: ``torch.nn.CrossEntropyLoss``.

    >>> from fastml import nn
    >>> loss, grad = nn.CrossEntropyLoss()(np.zeros((1, 2), np.float32), np.array([1]))
    >>> round(float(loss), 4), grad.tolist()
    (0.6931, [[0.5, -0.5]])
    """

    def __init__(self, weight=None, *, ignore_index=None, label_smoothing=0.0, reduction="mean", axis=-1):
        _check_reduction(reduction)
        if not 0 <= label_smoothing <= 1:
            raise ValueError(f"label_smoothing must lie between 0 and 1, got {label_smoothing}")
        self.weight = None if weight is None else np.asarray(weight)
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing
        self.reduction = reduction
        self.axis = axis
        self._gradients = Results()

    def __call__(self, y, target):
        return cross_entropy_with_grad(
            y,
            target,
            self.axis,
            weight=self.weight,
            ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
            reduction=self.reduction,
            out=self._gradients.like(y),
        )

    def lower(self, plan, x):
        if self.reduction == "none":
            raise ValueError("compile_step needs a loss with reduction 'mean' or 'sum', not 'none'")
        if self.axis not in (-1, 1):
            raise ValueError(f"compile_step needs the classes on the last axis, not {self.axis}")
        weight = self.weight
        if weight is not None:
            if weight.shape != (x.cols,):
                raise ValueError(
                    f"weight must have shape ({x.cols},), one for each class, not {weight.shape}"
                )
            weight = plan.outside(np.ascontiguousarray(weight, plan.dtype), "class weight")
        x.layout.dense = True
        dx = plan.over(x)
        target = plan.matrix("target", 1, dtype=np.int64, array=GIVEN)
        sums = plan.matrix("losses", 1, dtype=np.float64)
        sums.result = True
        numbers = plan.emit(
            step_cross_entropy.cross_entropy, [dx, sums], [x, target, weight],
            rows=[weight], multiple=step_cross_entropy.group_rows(x.cols),
        )  # fmt: skip

        def bind(program):
            return step_cross_entropy.Labels(
                program, numbers, target.index, sums.index, x.cols, None if weight is None else weight.array,
                self.ignore_index, self.label_smoothing, self.reduction == "mean",
            )  # fmt: skip

        return dx, bind

    def __repr__(self):
        weight = "None" if self.weight is None else f"array of {self.weight.size}"
        return (
            f"CrossEntropyLoss(weight={weight}, ignore_index={self.ignore_index}, "
            f"label_smoothing={self.label_smoothing}, reduction={self.reduction!r}, axis={self.axis})"
        )


def _lower_elementwise(plan, x, kernel, reduction, factors):
    """The stage of a loss of one term an element; ``factors``: its own parameters as (array or None, name)."""
    if reduction == "none":
        raise ValueError("compile_step needs a loss with reduction 'mean' or 'sum', not 'none'")
    tables, periods = [], []
    for factor, name in factors:
        table, period = repeating(factor, name, x.cols, plan.dtype)
        tables.append(plan.outside(table, name))
        periods.append(period)
    x.layout.dense = True
    dx = plan.over(x)
    target = plan.matrix("target", x.cols, array=GIVEN)
    terms = plan.matrix("losses", x.cols, layout=x.layout)
    terms.result = True
    numbers = plan.emit(kernel, [dx, terms], [x, target, *tables], rows=tables, integers=periods)

    def bind(program):
        return step_losses.Targets(program, numbers, target.index, terms.index, x.cols, reduction == "mean")

    return dx, bind


class MSELoss:
    """Mean squared error and its gradient: ``loss, grad = loss_fn(y, target)``.

    ``target`` has y's shape (nothing is broadcast); ``reduction`` is "mean" (over all elements), "sum" or "none".
    ``grad`` is what ``model.backward`` takes; it is not overwritten by the next call while it is referred to.

    Raises ValueError for the option, and when called what :func:`fastml.mse_loss_with_grad` raises.

    Source: ``torch.nn.MSELoss``.

    >>> from fastml import nn
    >>> loss, grad = nn.MSELoss()(np.array([1.0, 3.0]), np.array([1.0, 1.0]))
    >>> float(loss), grad.tolist()
    (2.0, [0.0, 2.0])
    """

    def __init__(self, *, reduction="mean"):
        self.reduction = _check_reduction(reduction)
        self._gradients = Results()

    def __call__(self, y, target):
        return mse_loss_with_grad(y, target, reduction=self.reduction, out=self._gradients.like(y))

    def lower(self, plan, x):
        factors = (None, ""), (None, "")
        return _lower_elementwise(plan, x, step_losses.mse_loss, self.reduction, factors)

    def __repr__(self):
        return f"MSELoss(reduction={self.reduction!r})"


class BCEWithLogitsLoss:
    """Binary cross-entropy of logits and its gradient: ``loss, grad = loss_fn(logits, target)``.

    ``target`` has the logits' shape and numbers in 0 … 1. ``weight`` is a factor for each loss, ``pos_weight`` one
    for the positive answers, usually one for each entry of the last axis; both broadcast to the logits' shape.
    ``reduction`` is "mean" (over all elements), "sum" or "none". ``grad`` is what ``model.backward`` takes; it is
    not overwritten by the next call while it is referred to.

    Raises ValueError for the option, and when called what
    :func:`fastml.binary_cross_entropy_with_logits_with_grad` raises.

    Source: ``torch.nn.BCEWithLogitsLoss``.

    >>> from fastml import nn
    >>> loss, grad = nn.BCEWithLogitsLoss(pos_weight=[3.0])(np.zeros((2, 1)), np.array([[1.0], [0.0]]))
    >>> round(float(loss), 4), grad.tolist()
    (1.3863, [[-0.75], [0.25]])
    """

    def __init__(self, weight=None, *, pos_weight=None, reduction="mean"):
        self.weight = None if weight is None else np.asarray(weight)
        self.pos_weight = None if pos_weight is None else np.asarray(pos_weight)
        self.reduction = _check_reduction(reduction)
        self._gradients = Results()

    def __call__(self, y, target):
        return binary_cross_entropy_with_logits_with_grad(
            y,
            target,
            weight=self.weight,
            pos_weight=self.pos_weight,
            reduction=self.reduction,
            out=self._gradients.like(y),
        )

    def lower(self, plan, x):
        kernel = step_losses.binary_cross_entropy_with_logits
        factors = (self.weight, "weight"), (self.pos_weight, "pos_weight")
        return _lower_elementwise(plan, x, kernel, self.reduction, factors)

    def __repr__(self):
        weight, pos_weight = (
            "None" if w is None else f"array of shape {w.shape}" for w in (self.weight, self.pos_weight)
        )
        return f"BCEWithLogitsLoss(weight={weight}, pos_weight={pos_weight}, reduction={self.reduction!r})"
