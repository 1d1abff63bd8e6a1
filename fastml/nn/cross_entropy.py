"""Losses of classes: ``loss, grad = loss_fn(y, target)``, y being logits or log-probabilities."""

import numpy as np

from .._check import as_numbers, choice, number
from .._choices import Reduction
from .._kernels.step import cross_entropy as tiles
from .._tracked import Tracked
from ..ops.cross_entropy import cross_entropy_with_grad
from ..ops.nll_loss import nll_loss_with_grad
from ..step.plan import GIVEN
from ._reuse import Results
from .losses import reduced


class _ClassLoss(Tracked):
    """What both share; a subclass says which function of the kernels it is."""

    z_loss = 0.0

    def __init__(self, weight, ignore_index, label_smoothing, reduction, axis):
        self.reduction = choice(reduction, "reduction", Reduction)
        self.weight = None if weight is None else as_numbers(weight, "weight")
        self.ignore_index = ignore_index
        self.label_smoothing = number(label_smoothing, "label_smoothing", 0, 1)
        self.axis = axis
        self._gradients = Results()

    def _options(self):
        return {
            "ignore_index": self.ignore_index,
            "label_smoothing": self.label_smoothing,
            "reduction": self.reduction,
        }

    def __call__(self, y, target):
        return self._with_grad(y, target, self.axis, weight=self.weight, **self._options(), out=self._gradients.like(y))

    def lower(self, plan, x):
        return self._lower(plan, x, None)

    def lower_each(self, plan, x):
        """What `lower` returns and the matrix of the rows' losses."""
        losses = plan.matrix("row losses", 1)
        losses.result = True
        return *self._lower(plan, x, losses), losses

    def _lower(self, plan, x, losses):
        reduced(self.reduction)
        if self.axis not in (-1, 1):
            raise ValueError(f"compile_step needs the classes on the last axis, not {self.axis}")
        # What is wrong with the options the op says.
        self(np.zeros((1, x.cols), plan.dtype), np.zeros(1, np.int64))
        weight = None if self.weight is None else np.array(self.weight, plan.dtype, order="C", ndmin=1)
        weight = plan.constant(weight, "class weight", self.weight)
        x.spacing.dense = True
        dx = plan.over(x)
        target = plan.matrix("target", 1, dtype=np.int64, array=GIVEN)
        sums = plan.matrix("losses", 1, dtype=np.float64)
        sums.result = True
        weights = None if weight is None else weight.array
        arguments = plan.emit(
            self._kernel, dx=dx, sums=sums, losses=losses, x=x, target=target, weight=weight,
            smoothing=self.label_smoothing, z_loss=self.z_loss,
            weight_sum=x.cols if weights is None else weights.sum(dtype=np.float64),
            multiple=tiles.sum_rows(x.cols),
        )  # fmt: skip

        def bind(program):
            return tiles.Labels(
                program, arguments, target.index, x.cols, weights, self.ignore_index, self.reduction == "mean"
            )

        return dx, bind

    def __repr__(self):
        weight = "None" if self.weight is None else f"array of {self.weight.size}"
        options = ", ".join(f"{name}={value!r}" for name, value in self._options().items())
        return f"{type(self).__name__}(weight={weight}, {options}, axis={self.axis})"


class CrossEntropyLoss(_ClassLoss):
    """Cross-entropy of logits and its gradient: ``loss, grad = loss_fn(logits, target)``.

    The arguments are those of :func:`fastml.cross_entropy_with_grad`, which says what shapes ``target``
    may have: class ``weight`` (C,), ``ignore_index`` (None ignores nothing, PyTorch's default is −100),
    ``label_smoothing`` in 0 … 1, ``z_loss`` (the coefficient of the squared log-sum-exp), ``reduction`` "mean", "sum"
    or "none", class ``axis`` (−1; PyTorch's is 1). ``grad`` is what ``model.backward`` takes; it is not overwritten by
    the next call while it is referred to.

    Raises ValueError for the options, and when called what the op raises: ValueError for shapes,
    IndexError for a label outside 0 … C − 1.

    Source: ``torch.nn.CrossEntropyLoss``.

    >>> from fastml import nn
    >>> loss, grad = nn.CrossEntropyLoss()(np.zeros((1, 2), np.float32), np.array([1]))
    >>> round(float(loss), 4), grad.tolist()
    (0.6931, [[0.5, -0.5]])
    """

    _with_grad = staticmethod(cross_entropy_with_grad)
    _kernel = tiles.cross_entropy

    def __init__(
        self,
        weight=None,
        *,
        ignore_index=None,
        label_smoothing=0.0,
        z_loss=0.0,
        reduction="mean",
        axis=-1,
    ):
        super().__init__(weight, ignore_index, label_smoothing, reduction, axis)
        self.z_loss = number(z_loss, "z_loss", 0)

    def _options(self):
        return {**super()._options(), "z_loss": self.z_loss}


class NLLLoss(_ClassLoss):
    """Negative log-likelihood of log-probabilities and its gradient: ``loss, grad = loss_fn(log_probs, target)``.

    The arguments are :class:`CrossEntropyLoss`'s without ``z_loss``, and those of :func:`fastml.nll_loss_with_grad`,
    which says what shapes ``target`` may have. ``grad`` is what ``model.backward`` takes; it is not overwritten by
    the next call while it is referred to.

    Raises as :class:`CrossEntropyLoss` does.

    Source: ``torch.nn.NLLLoss``.

    >>> from fastml import nn
    >>> loss, grad = nn.NLLLoss()(np.log([[0.25, 0.75]]), np.array([0]))
    >>> round(float(loss), 4), grad.tolist()
    (1.3863, [[-1.0, 0.0]])
    """

    _with_grad = staticmethod(nll_loss_with_grad)
    _kernel = tiles.nll_loss

    def __init__(self, weight=None, *, ignore_index=None, label_smoothing=0.0, reduction="mean", axis=-1):
        super().__init__(weight, ignore_index, label_smoothing, reduction, axis)
