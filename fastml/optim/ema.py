"""Exponential moving averages of the parameters."""

from contextlib import contextmanager

import numpy as np

from .._check import each, entries, number, shown
from .._kernels.sgd import ema_numbers
from .._kernels.step import update as tiles
from .._kernels.step.arguments import Live
from .._kernels.step.program import Stale
from .._memory import copied
from .._tracked import Claim, Tracked
from ..ops.ema import ema_step
from ._groups import checked
from ._optimizer import like_parameter


class EMA(Tracked):
    """Averages of parameters over the steps of training, which often generalise better than the last ones:

        e ← decay · e + (1 − decay) · p

    from e = p at the start. ``params``: ``model.parameters()`` or arrays. ``update()`` comes after each step of the
    optimizer; ``nn.compile_step(…, ema=ema)`` does it inside the step. Within ``with ema.average_parameters():`` the
    parameters have the averages' values, in place. Running statistics of batch normalisation are not parameters:
    they stay those of the last steps. ``decay`` is an attribute that may be set between updates.

    Raises ValueError for no parameters, one that stands twice, and a decay outside [0, 1]; TypeError for
    anything that is no parameter or array.

    Source: ``torch.optim.swa_utils``; Polyak and Juditsky, SIAM J. Control Optim. 30, 1992.

    >>> import numpy as np
    >>> from fastml import optim
    >>> w = np.array([1.0, 2.0])
    >>> ema = optim.EMA([w], decay=0.5)
    >>> w[:] = 3.0
    >>> ema.update()
    >>> with ema.average_parameters():
    ...     w.tolist()
    [2.0, 2.5]
    >>> w.tolist()
    [3.0, 3.0]
    """

    _live = frozenset({"decay"})

    def __init__(self, params, decay=0.999):
        self._params = checked(params)
        self.decay = number(decay, "decay", 0, 1)
        self._averages = [copied(p.value) for p in self._params]
        self._swapped = Claim()

    def update(self):
        """Move the averages towards the parameters; RuntimeError inside ``average_parameters``."""
        self.check_free()
        ema_step(self._averages, [p.value for p in self._params], decay=self.decay)

    @contextmanager
    def average_parameters(self):
        """A context in which the parameters' arrays hold the averages; what they held before comes back at its end."""
        if not self._swapped.take():
            self._refuse()
        try:
            values = [p.value for p in self._params]
            before = [value.copy() for value in values]
            try:
                for value, average in zip(values, self._averages, strict=True):
                    value[...] = average
                yield
            finally:
                for value, old in zip(values, before, strict=True):
                    value[...] = old
        finally:
            self._swapped.release()

    def state_dict(self):
        """The decay and copies of the averages."""
        return {"decay": self.decay, "averages": [average.copy() for average in self._averages]}

    def load_state_dict(self, state):
        """Take over decay and averages; ValueError where their number or a shape differs, before anything changes."""
        decay, saved = entries(state, ("decay", "averages"), "an EMA")
        saved = each(saved, "state['averages']")
        if len(saved) != len(self._params):
            raise ValueError(f"state must have {len(self._params)} averages, as the EMA has, not {len(saved)}")
        decay = number(decay, "decay", 0, 1)
        self._averages = [
            like_parameter(p.value, average, i, "average")
            for i, (p, average) in enumerate(zip(self._params, saved, strict=True))
        ]
        self.decay = decay

    def holds(self, parameter):
        """Whether it averages this parameter."""
        if not hasattr(parameter, "value"):
            raise TypeError(f"parameter must be a Parameter, not {shown(parameter)}")
        return any(p.value is parameter.value for p in self._params)

    def lower(self, plan):
        """Write the update into a compiled step's plan: a function of (parameter, value, gradient) for each."""
        averages, options = self._averages, Live()
        index = {id(p.value): i for i, p in enumerate(self._params)}
        at_rest = set(range(len(averages)))

        def update(parameter, value, gradient):
            i = index.get(id(parameter.value))
            if i is not None:
                at_rest.discard(i)
                average = plan.outside(averages[i], f"average of {value}", parameter.value.shape)
                plan.emit(tiles.ema, parameter=average, velocity=None, gradient=value, options=options)

        def close():
            for i in sorted(at_rest):  # the step does not move these
                value, name = self._params[i].value, f"parameter {i} of ema"
                if not (isinstance(value, np.ndarray) and value.shape == averages[i].shape):
                    raise ValueError(f"{name} must be an array of shape {averages[i].shape}")
                plan.beside += [(averages[i], f"average of {name}", True), (value, name, False)]

        def prepare(rows):
            if self._averages is not averages:
                raise Stale
            self.check_free()
            reals, integers = ema_numbers(number(self.decay, "decay", 0, 1))
            options.set(tiles.sgd_options(*reals, *integers))

        def commit(rows):
            if at_rest:
                resting = sorted(at_rest)
                ema_step([averages[i] for i in resting], [self._params[i].value for i in resting], decay=self.decay)

        plan.closing.append(close)
        plan.prepare.append(prepare)
        plan.commit.append(commit)
        return update

    def check_free(self):
        """RuntimeError inside ``average_parameters``."""
        if self._swapped:
            self._refuse()

    def _refuse(self):
        raise RuntimeError("the parameters hold their averages: leave average_parameters() first")

    def __repr__(self):
        return f"EMA({len(self._params)} parameters, decay={self.decay})"
