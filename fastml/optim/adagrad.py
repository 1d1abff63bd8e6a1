"""Adagrad."""

from operator import itemgetter

from .._check import number
from .._kernels.adaptive import adagrad_options
from .._kernels.step import update as tiles
from ..ops.adagrad import adagrad_step
from ._counted import Counted
from ._optimizer import options_of

_read = itemgetter("lr", "lr_decay", "weight_decay", "eps", "maximize")  # what the op takes of a group


class Adagrad(Counted):
    """Adagrad; per parameter p with gradient g, in its step t = 1, 2, …:

        g ← (−g if maximize else g) + weight_decay · p
        s ← s + g²                               (from initial_accumulator_value)
        p ← p − lr / (1 + (t − 1) · lr_decay) · g / (√s + eps)

    ``params``, groups of them, ``step()`` and options between steps: as of every optimizer (`fastml.optim`).

    Raises ValueError for a negative option.

    Source: ``torch.optim.Adagrad``; Duchi, Hazan and Singer, JMLR 12, 2011.

    >>> import numpy as np
    >>> from fastml import optim
    >>> w = np.array([1.0, 2.0])
    >>> opt = optim.Adagrad([w], lr=0.1)
    >>> opt.step([np.array([3.0, -1.0])])
    >>> w.round(6).tolist()
    [0.9, 2.1]
    """

    __slots__ = ()

    _names = ("sum",)
    _asked_for_by = (None,)
    _operands = ("square_avg", "grad_avg", "momentum_buffer")
    _kernel = tiles.rms
    _begun = True

    def __init__(
        self, params, lr=1e-2, lr_decay=0.0, weight_decay=0.0, initial_accumulator_value=0.0, eps=1e-10, maximize=False
    ):
        super().__init__(params, locals())

    _options = options_of(__init__)

    def _start(self, options):
        return options["initial_accumulator_value"]

    def _check_options(self, options):
        options = dict(options)
        number(options.pop("initial_accumulator_value"), "initial_accumulator_value", 0)
        # With empty lists the op does nothing but check its options.
        adagrad_step([], [], [], 1, **options)

    def _update(self, group, values, grads, step, sums):
        lr, lr_decay, weight_decay, eps, maximize = _read(group)
        adagrad_step(
            values, grads, sums, step, lr=lr, lr_decay=lr_decay, weight_decay=weight_decay, eps=eps, maximize=maximize
        )

    def _step_options(self, group, step):
        return adagrad_options(step, *_read(group))
