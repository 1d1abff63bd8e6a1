"""Losses of one term an element: ``loss, grad = loss_fn(y, target)``."""

import numpy as np

from .._check import as_numbers, choice, flag
from .._choices import Reduction, ReductionKL
from .._kernels import losses as _kernel
from .._kernels.step import losses as tiles
from .._tracked import Tracked
from ..ops.losses import (
    binary_cross_entropy_with_logits_with_grad,
    huber_loss_with_grad,
    kl_div_loss_with_grad,
    l1_loss_with_grad,
    log_cosh_loss_with_grad,
    mse_loss_with_grad,
)
from ..step.plan import GIVEN
from ._reuse import Results


def reduced(reduction):
    """ValueError where a loss gives no single number."""
    if reduction == "none":
        raise ValueError("compile_step needs a loss with reduction 'mean' or 'sum', not 'none'")


class _ElementLoss(Tracked):
    """What all share. A subclass has ``_with_grad``, the function; ``_options``, its arguments by name; ``_kind``, the
    number of the loss in a step's kernel; and ``_factors``, its own parameters as (array or None, name)."""

    _kind = None

    def __init__(self, reduction, reductions=Reduction):
        self.reduction = choice(reduction, "reduction", reductions)
        self._gradients = Results()

    def _options(self):
        return {}

    def _factors(self):
        return (None, ""), (None, "")

    def __call__(self, y, target):
        out = self._gradients.like(y)
        return self._with_grad(y, target, **self._options(), reduction=self.reduction, out=out)

    def lower(self, plan, x):
        return self.lower_each(plan, x)[:2]

    def lower_each(self, plan, x):
        """What `lower` returns and the matrix of the single losses."""
        reduced(self.reduction)
        tables, periods = [], []
        for factor, name in self._factors():
            table, period = _kernel.repeating(factor, name, x.cols, plan.dtype)
            tables.append(plan.constant(table, name, factor))
            periods.append(period)
        # What is wrong with the options the op says.
        self(*np.zeros((2, 1, x.cols), plan.dtype))
        x.spacing.dense = True
        dx = plan.over(x)
        target = plan.matrix("target", x.cols, array=GIVEN)
        terms = plan.matrix("losses", x.cols, spacing=x.spacing)
        terms.result = True
        (a, b), (a_period, b_period) = tables, periods
        arguments = plan.emit(
            tiles.loss, dx=dx, terms=terms, x=x, target=target, a=a, b=b, kind=self._kind, a_period=a_period,
            b_period=b_period,
        )  # fmt: skip

        def bind(program):
            return tiles.Targets(program, arguments, target.index, x.cols, self.reduction)

        return dx, bind, terms

    def __repr__(self):
        options = "".join(f"{name}={_shown(value)}, " for name, value in self._options().items())
        return f"{type(self).__name__}({options}reduction={self.reduction!r})"


class WeightedLoss(Tracked):
    """A loss of class ``kind`` with a weight for each row: Σᵢ wᵢ · lossᵢ / Σᵢ wᵢ, where lossᵢ is that of row i (the
    mean over its outputs, where each of them has one). In compiled steps alone: ``step(x, (target, weight))``."""

    def __init__(self, kind):
        self._loss = kind(reduction="sum")

    def lower(self, plan, x):
        dx, bind, terms = self._loss.lower_each(plan, x)
        share = plan.matrix("share", 1, array=GIVEN)
        arguments = plan.emit(tiles.weigh, gradient=dx, losses=terms, share=share)

        def bind_both(program):
            return tiles.Shares(program, arguments, bind(program), share.index, terms.cols)

        return dx, bind_both


def _shown(value):
    return f"array of shape {value.shape}" if isinstance(value, np.ndarray) else repr(value)


class MSELoss(_ElementLoss):
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

    _with_grad = staticmethod(mse_loss_with_grad)
    _kind = _kernel.MSE

    def __init__(self, *, reduction="mean"):
        super().__init__(reduction)


class L1Loss(_ElementLoss):
    """Mean absolute error and its gradient: ``loss, grad = loss_fn(y, target)``.

    ``target``, ``reduction`` and ``grad`` are as in :class:`MSELoss`; the gradient where both are equal is 0.

    Raises ValueError for the option, and when called what :func:`fastml.l1_loss_with_grad` raises.

    Source: ``torch.nn.L1Loss``.

    >>> from fastml import nn
    >>> loss, grad = nn.L1Loss()(np.array([1.0, 3.0]), np.array([1.0, 1.0]))
    >>> float(loss), grad.tolist()
    (1.0, [0.0, 0.5])
    """

    _with_grad = staticmethod(l1_loss_with_grad)
    _kind = _kernel.L1

    def __init__(self, *, reduction="mean"):
        super().__init__(reduction)


class HuberLoss(_ElementLoss):
    """Huber loss and its gradient: half the squared error within ``delta`` of the target, linear beyond.

    ``target``, ``reduction`` and ``grad`` are as in :class:`MSELoss`.

    Raises ValueError for a delta that is not positive and for the reduction, TypeError for a delta that is no number,
    and when called what :func:`fastml.huber_loss_with_grad` raises.

    Source: ``torch.nn.HuberLoss``.

    >>> from fastml import nn
    >>> loss, grad = nn.HuberLoss(delta=0.5)(np.array([1.0, 3.0]), np.array([1.0, 1.0]))
    >>> float(loss), grad.tolist()
    (0.4375, [0.0, 0.25])
    """

    _with_grad = staticmethod(huber_loss_with_grad)
    _kind = _kernel.HUBER

    def __init__(self, *, delta=1.0, reduction="mean"):
        self.delta = _kernel.check_delta(delta)
        super().__init__(reduction)

    def _options(self):
        return {"delta": self.delta}

    def _factors(self):
        return (self.delta, "delta"), (None, "")


class LogCoshLoss(_ElementLoss):
    """Logarithm of the error's hyperbolic cosine and its gradient: half the squared error of small errors, their size
    of large ones, smooth between.

    ``target``, ``reduction`` and ``grad`` are as in :class:`MSELoss`.

    Raises ValueError for the option, and when called what :func:`fastml.log_cosh_loss_with_grad` raises.

    Source: as :func:`fastml.log_cosh_loss`.

    >>> from fastml import nn
    >>> loss, grad = nn.LogCoshLoss()(np.array([1.0, 3.0]), np.array([1.0, 1.0]))
    >>> round(float(loss), 4), grad.round(4).tolist()
    (0.6625, [0.0, 0.482])
    """

    _with_grad = staticmethod(log_cosh_loss_with_grad)
    _kind = _kernel.LOG_COSH

    def __init__(self, *, reduction="mean"):
        super().__init__(reduction)


class BCEWithLogitsLoss(_ElementLoss):
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

    _with_grad = staticmethod(binary_cross_entropy_with_logits_with_grad)
    _kind = _kernel.BCE

    def __init__(self, weight=None, *, pos_weight=None, reduction="mean"):
        self.weight = None if weight is None else as_numbers(weight, "weight")
        self.pos_weight = None if pos_weight is None else as_numbers(pos_weight, "pos_weight")
        super().__init__(reduction)

    def _options(self):
        return {"weight": self.weight, "pos_weight": self.pos_weight}

    def _factors(self):
        return (self.weight, "weight"), (self.pos_weight, "pos_weight")


class KLDivLoss(_ElementLoss):
    """Kullback-Leibler divergence of log-probabilities from ``target``: ``loss, grad = loss_fn(log_probs, target)``.

    ``target`` has y's shape and holds probabilities, or with ``log_target`` their logarithms. ``reduction`` is
    "batchmean" (over the samples), "mean" (over all elements, PyTorch's default too), "sum" or "none". ``grad`` is as
    in :class:`MSELoss`.

    Raises ValueError for the option, and when called what :func:`fastml.kl_div_loss_with_grad` raises.

    Source: ``torch.nn.KLDivLoss``.

    >>> from fastml import nn
    >>> loss, grad = nn.KLDivLoss(reduction="batchmean")(np.log([[0.5, 0.5]]), np.array([[0.25, 0.75]]))
    >>> round(float(loss), 4), grad.tolist()
    (0.1308, [[-0.25, -0.75]])
    """

    _with_grad = staticmethod(kl_div_loss_with_grad)

    def __init__(self, *, log_target=False, reduction="mean"):
        self.log_target = flag(log_target, "log_target")
        super().__init__(reduction, ReductionKL)

    @property
    def _kind(self):
        return _kernel.KL_LOG if self.log_target else _kernel.KL

    def _options(self):
        return {"log_target": self.log_target}
