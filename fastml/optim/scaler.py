"""Scaled losses, and steps that are passed over where gradients are not finite."""

import numpy as np

from .._check import as_numbers, entries, flag, integer, number, shown
from .._environment import full
from ..ops.clip import unscale_grads
from ._optimizer import Optimizer, one_each
from .accumulate import Accumulate

#: The scale's bounds: within them scale and 1 / scale are normal float32 numbers.
LEAST, MOST = 2.0**-126, 2.0**126
LONGEST = 2**31 - 1  # growth interval


class GradScaler:
    """Scale the loss's gradient up, gradients down again, and pass over steps whose gradients are not all finite.

    .. code-block:: python

        loss, grad = loss_fn(model(x), y)
        model.backward(scaler.scale(grad))
        scaler.step(optimizer)
        scaler.update()

    The scale is multiplied by ``backoff_factor`` after a step that was passed over, and by ``growth_factor`` after
    ``growth_interval`` others in a row. It is a float32 number, as PyTorch's, within 2⁻¹²⁶ … 2¹²⁶, where its reciprocal
    is one too: however many bad steps come in a row, the next good one is taken. With init_scale, growth_factor and
    backoff_factor of 1.0 the scaler only passes over bad steps. With ``enabled=False`` it takes no part. The options
    are attributes that may be set between steps.

    Raises ValueError for factors out of range, TypeError for other kinds, and RuntimeError where ``unscale_``, ``step``
    and ``update`` come in another order.

    Source: ``torch.amp.GradScaler``; P. Micikevicius et al., Mixed precision training, ICLR 2018.

    >>> import numpy as np
    >>> from fastml import optim
    >>> w = np.array([1.0, 2.0])
    >>> opt, scaler = optim.SGD([w], lr=1.0), optim.GradScaler(init_scale=4.0)
    >>> for g in (np.array([1.0, 0.5]), np.array([np.inf, 1.0])):
    ...     scaler.step(opt, [scaler.scale(g)])
    ...     scaler.update()
    >>> w.tolist(), scaler.get_scale()
    ([0.0, 1.5], 2.0)
    """

    def __init__(self, init_scale=65536.0, growth_factor=2.0, backoff_factor=0.5, growth_interval=2000, enabled=True):
        self.enabled = flag(enabled, "enabled")
        self._scale = _float32(number(init_scale, "init_scale", LEAST, MOST))
        self.growth_factor = number(growth_factor, "growth_factor", 1)
        self.backoff_factor = number(backoff_factor, "backoff_factor", 0, 1, "(]")
        self.growth_interval = integer(growth_interval, "growth_interval", 1, LONGEST)
        self._growth_tracker = 0
        # By optimizer, since the last update: (the optimizer, whether all is finite, whether it stepped).
        self._seen = {}

    def scale(self, outputs):
        """A loss, its gradient, or a list or tuple of them, times the scale."""
        if not self.enabled:
            return outputs
        if isinstance(outputs, (list, tuple)):
            return type(outputs)([self.scale(x) for x in outputs])
        x = as_numbers(outputs, "outputs")
        with full():
            return x * (x.dtype.type(self._scale) if x.dtype.kind == "f" else self._scale)

    def unscale_(self, optimizer, grads=None):
        """Divide the gradients (of the optimizer's parameters, unless given) by the scale, in place; once before
        ``step``, for what works on gradients as they are, such as ``clip_grad_norm``."""
        _check_stepping(optimizer)
        if not self.enabled:
            return
        if id(optimizer) in self._seen:
            raise RuntimeError("unscale_() or step() has already been called since the last update()")
        self._unscale(optimizer, grads)

    def step(self, optimizer, grads=None):
        """``optimizer.step(grads)`` with unscaled gradients, unless one of them is not finite."""
        _check_stepping(optimizer)
        if not self.enabled:
            return optimizer.step(grads)
        if id(optimizer) not in self._seen:
            self._unscale(optimizer, grads)
        _, finite, stepped = self._seen[id(optimizer)]
        if stepped:
            raise RuntimeError("step() has already been called since the last update()")
        result = optimizer.step(grads) if finite else None
        self._seen[id(optimizer)] = optimizer, finite, True
        return result

    def update(self, new_scale=None):
        """The scale for the next step, by what the last ones found; or ``new_scale``."""
        if not self.enabled:
            return
        if new_scale is not None:
            self._scale = _float32(number(new_scale, "new_scale", LEAST, MOST))
        elif not self._seen:
            raise RuntimeError("update() needs a step() or unscale_() before it")
        elif not all(finite for _, finite, _ in self._seen.values()):
            self._scale = _float32(max(LEAST, self._scale * self.backoff_factor))
            self._growth_tracker = 0
        else:
            self._growth_tracker += 1
            if self._growth_tracker == self.growth_interval:
                self._scale = _float32(min(MOST, self._scale * self.growth_factor))
                self._growth_tracker = 0
        self._seen = {}

    def get_scale(self):
        """The scale; 1.0 where it is not enabled."""
        return self._scale if self.enabled else 1.0

    def is_enabled(self):
        """Whether it takes part."""
        return self.enabled

    def state_dict(self):
        """Scale, options and the count of good steps, under PyTorch's names; empty where it is not enabled."""
        if not self.enabled:
            return {}
        return {
            "scale": self._scale,
            "growth_factor": self.growth_factor,
            "backoff_factor": self.backoff_factor,
            "growth_interval": self.growth_interval,
            "_growth_tracker": self._growth_tracker,
        }

    def load_state_dict(self, state):
        """Take over a saved state, PyTorch's too; ValueError where something of it is missing."""
        if not self.enabled:
            return
        names = ("growth_factor", "backoff_factor", "growth_interval")
        scale, tracker, *values = entries(state, ("scale", "_growth_tracker", *names), "a GradScaler that is enabled")
        scale, tracker = number(scale, "scale", LEAST, MOST), integer(tracker, "_growth_tracker", 0, LONGEST)
        options = dict(zip(names, values, strict=True))
        vars(self).update(vars(GradScaler(scale, **options)))  # which looks at all of them before
        self._growth_tracker = tracker

    def _unscale(self, optimizer, grads):
        params = optimizer._params
        grads = one_each([p.grad for p in params] if grads is None else grads, params)
        finite = unscale_grads([g for g in grads if g is not None], self._scale)
        self._seen[id(optimizer)] = optimizer, finite, False

    def __repr__(self):
        return f"GradScaler(scale={self.get_scale()})"


def _check_stepping(optimizer):
    if not isinstance(optimizer, (Optimizer, Accumulate)):
        raise TypeError(f"optimizer must be one of fastml.optim, not {shown(optimizer)}")


def _float32(x):
    return float(np.float32(x))
