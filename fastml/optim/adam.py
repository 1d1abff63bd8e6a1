"""Adam and AdamW."""

from operator import itemgetter

from .._check import flag
from .._kernels.adaptive import adam_options
from .._kernels.step import update as tiles
from ..ops.adam import adam_step
from ._counted import Counted
from ._optimizer import options_of

_read = itemgetter("lr", "betas", "eps", "weight_decay", "maximize")  # what the op takes of a group


class Adam(Counted):
    """Adam; per parameter p with gradient g, in its step t = 1, 2, …:

        g ← (−g if maximize else g) + weight_decay · p
        m ← β₁ · m + (1 − β₁) · g
        v ← β₂ · v + (1 − β₂) · g²
        v̂ ← max(v̂, v)                        (amsgrad; v̂ then stands in for v in the next line)
        p ← p − lr · m / (1 − β₁ᵗ) / (√v / √(1 − β₂ᵗ) + eps)

    ``params``, groups of them, ``step()`` and options between steps: as of every optimizer (`fastml.optim`).

    Raises ValueError for a negative lr, eps or weight decay, and betas outside [0, 1).

    Source: ``torch.optim.Adam``; Kingma and Ba, ICLR 2015; amsgrad: Reddi, Kale and Kumar, ICLR 2018.

    >>> import numpy as np
    >>> from fastml import optim
    >>> w = np.array([1.0, 2.0])
    >>> opt = optim.Adam([w], lr=0.1)
    >>> opt.step([np.array([3.0, -1.0])])
    >>> w.round(6).tolist()
    [0.9, 2.1]
    """

    __slots__ = ()

    _names = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")
    _asked_for_by = (None, None, "amsgrad")
    _operands = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")
    _kernel = tiles.adam
    _decoupled = False

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, amsgrad=False, maximize=False):
        super().__init__(params, locals())

    _options = options_of(__init__)

    def _check_options(self, options):
        flag(options["amsgrad"], "amsgrad")
        # With empty lists the op does nothing but check its options.
        adam_step([], [], [], [], 1, **{name: options[name] for name in options if name != "amsgrad"})

    def _saved_options(self, group):
        return {**super()._saved_options(group), "decoupled_weight_decay": self._decoupled}

    def _update(self, group, values, grads, step, exp_avgs, exp_avg_sqs, max_exp_avg_sqs):
        lr, betas, eps, weight_decay, maximize = _read(group)
        adam_step(
            values,
            grads,
            exp_avgs,
            exp_avg_sqs,
            step,
            max_exp_avg_sqs=max_exp_avg_sqs,
            lr=lr,
            betas=betas,
            eps=eps,
            weight_decay=weight_decay,
            decoupled=self._decoupled,
            maximize=maximize,
        )

    def _step_options(self, group, step):
        lr, betas, eps, weight_decay, maximize = _read(group)
        return adam_options(step, lr, betas, eps, weight_decay, self._decoupled, maximize)


class AdamW(Adam):
    """Adam with decoupled weight decay:

        p ← p − lr · weight_decay · p
        m, v and p as in Adam without weight decay

    Arguments, steps and errors are Adam's; the weight decay is 0.01 by default.

    Source: ``torch.optim.AdamW``; Loshchilov and Hutter, ICLR 2019.

    >>> import numpy as np
    >>> from fastml import optim
    >>> w = np.array([1.0, 2.0])
    >>> opt = optim.AdamW([w], lr=0.1, weight_decay=0.1)
    >>> opt.step([np.array([3.0, -1.0])])
    >>> w.round(6).tolist()
    [0.89, 2.08]
    """

    __slots__ = ()

    _decoupled = True

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01, amsgrad=False, maximize=False):
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize)
