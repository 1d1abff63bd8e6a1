"""RMSprop."""

from operator import itemgetter

from .._kernels.adaptive import rmsprop_options
from .._kernels.step import update as tiles
from ..ops.rmsprop import rmsprop_step
from ._counted import Counted
from ._optimizer import options_of


class RMSprop(Counted):
    """RMSprop; per parameter p with gradient g:

        g ← (−g if maximize else g) + weight_decay · p
        s ← alpha · s + (1 − alpha) · g²
        m ← alpha · m + (1 − alpha) · g          (centered)
        u ← g / (√(s − m² if centered else s) + eps)
        b ← momentum · b + u                     (with momentum; b then stands in for u in the next line)
        p ← p − lr · u

    A variance s − m² below what rounding makes of none counts as that (`fastml.rmsprop_step`).

    ``params``, groups of them, ``step()`` and options between steps: as of every optimizer (`fastml.optim`).

    Raises ValueError for a negative lr, eps, weight decay or momentum, and alpha outside [0, 1].

    Source: ``torch.optim.RMSprop``; Tieleman and Hinton, Neural networks for machine learning, lecture 6e, 2012;
    centered: Graves, arXiv 1308.0850, 2013.

    >>> import numpy as np
    >>> from fastml import optim
    >>> w = np.array([1.0, 2.0])
    >>> opt = optim.RMSprop([w], lr=0.1, alpha=0.75)
    >>> opt.step([np.array([3.0, -1.0])])
    >>> w.round(6).tolist()
    [0.8, 2.2]
    """

    __slots__ = ()

    _names = ("square_avg", "grad_avg", "momentum_buffer")
    _asked_for_by = (None, "centered", "momentum")
    _operands = ("square_avg", "grad_avg", "momentum_buffer")
    _kernel = tiles.rms

    def __init__(
        self, params, lr=1e-2, alpha=0.99, eps=1e-8, weight_decay=0.0, momentum=0.0, centered=False, maximize=False
    ):
        super().__init__(params, locals())

    _options = options_of(__init__)

    def _check_options(self, options):
        # With empty lists the op does nothing but check its options.
        rmsprop_step([], [], [], [], [], **options)

    def _update(self, group, values, grads, step, square_avgs, grad_avgs, momentum_buffers):
        lr, alpha, eps, weight_decay, momentum, centered, maximize = _read(group)
        rmsprop_step(
            values,
            grads,
            square_avgs,
            grad_avgs,
            momentum_buffers,
            lr=lr,
            alpha=alpha,
            eps=eps,
            weight_decay=weight_decay,
            momentum=momentum,
            centered=centered,
            maximize=maximize,
        )

    def _step_options(self, group, step):
        return rmsprop_options(*_read(group))


_read = itemgetter(*RMSprop._options)  # all of a group's options
