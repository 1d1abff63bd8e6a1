"""Lion."""

from operator import itemgetter

from .._kernels.adaptive import lion_options
from .._kernels.step import update as tiles
from ..ops.lion import lion_step
from ._counted import Counted
from ._optimizer import options_of

_read = itemgetter("lr", "betas", "weight_decay", "maximize")  # what the op takes of a group


class Lion(Counted):
    """Lion; per parameter p with gradient g:

        g ← −g if maximize else g
        u ← sign(β₁ · m + (1 − β₁) · g)
        p ← p − lr · (u + weight_decay · p)
        m ← β₂ · m + (1 − β₂) · g

    Every element moves by lr in every step, unless its average is 0; a denormal average counts as 0. So lr is 3 to 10
    times smaller than Adam's, the weight decay as much larger.

    ``params``, groups of them, ``step()`` and options between steps: as of every optimizer (`fastml.optim`).

    Raises ValueError for a negative lr or weight decay, and betas outside [0, 1).

    Source: Chen et al., Symbolic Discovery of Optimization Algorithms, NeurIPS 2023.

    >>> import numpy as np
    >>> from fastml import optim
    >>> w = np.array([1.0, 2.0])
    >>> opt = optim.Lion([w], lr=0.1)
    >>> opt.step([np.array([3.0, -1.0])])
    >>> w.round(6).tolist()
    [0.9, 2.1]
    """

    __slots__ = ()

    _names = _operands = ("exp_avg",)
    _asked_for_by = (None,)
    _kernel = tiles.lion

    def __init__(self, params, lr=1e-4, betas=(0.9, 0.99), weight_decay=0.0, maximize=False):
        super().__init__(params, locals())

    _options = options_of(__init__)

    def _check_options(self, options):
        # With empty lists the op does nothing but check its options.
        lion_step([], [], [], **options)

    def _update(self, group, values, grads, step, exp_avgs):
        lr, betas, weight_decay, maximize = _read(group)
        lion_step(values, grads, exp_avgs, lr=lr, betas=betas, weight_decay=weight_decay, maximize=maximize)

    def _step_options(self, group, step):
        return lion_options(*_read(group))
