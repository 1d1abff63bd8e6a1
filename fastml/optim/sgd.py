"""Stochastic gradient descent."""

import numpy as np

from .._check import mapping
from .._kernels import step_update
from .._kernels.program import Numbers, Stale
from ..ops.sgd import sgd_step
from ._optimizer import Optimizer, check_gradients

_OPTIONS = ("lr", "momentum", "dampening", "weight_decay", "nesterov", "maximize")


class SGD(Optimizer):
    """Stochastic gradient descent with momentum; per parameter p with gradient g:

        g ← (−g if maximize else g) + weight_decay · p
        v ← momentum · v + (1 − dampening) · g          (first step: v ← g, undamped, as in PyTorch)
        p ← p − lr · (g + momentum · v if nesterov else v)

    ``params``: ``model.parameters()`` or arrays (float32 or float64, written in place). ``step()`` takes
    each parameter's ``grad`` and passes over those that have none; ``step(grads)`` takes a list with one
    array (or None) per parameter. The options are attributes that may be set between steps: ``opt.lr = 0.01``.

    Raises ValueError for no parameters, one that stands twice, a negative lr, momentum or weight decay,
    and Nesterov without momentum or with dampening; TypeError for anything that is no parameter or array.

    Source: ``torch.optim.SGD``.

    >>> from fastml import optim
    >>> w = np.array([1.0, 2.0])
    >>> opt = optim.SGD([w], lr=0.1, momentum=0.9)
    >>> opt.step([np.array([1.0, 1.0])])
    >>> w.tolist()
    [0.9, 1.9]
    """

    __slots__ = (*_OPTIONS, "_running", "_velocities")

    _options = _OPTIONS

    def __init__(
        self, params, lr, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False, maximize=False
    ):
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "dampening": dampening,
                "weight_decay": weight_decay,
                "nesterov": nesterov,
                "maximize": maximize,
            },
        )
        self._take_states({}, {})

    def _check_options(self, options):
        # With empty lists the op does nothing but check its options.
        sgd_step([], [], [], **options)

    def _states(self):
        return {i: {"momentum_buffer": v.copy()} for i, v in enumerate(self._velocities) if v is not None}

    def _take_states(self, states, options):
        # One velocity per parameter, None before its first step with momentum; _running: none is None.
        velocities = [None] * len(self._params)
        for i, entry in states.items():
            buffer = mapping(entry, f"state[{i}]").get("momentum_buffer")
            if buffer is not None:
                velocities[i] = self._like_parameter(buffer, i, "momentum_buffer")
        self._velocities = velocities
        self._running = all(v is not None for v in velocities)

    def _advance(self, values, grads):
        if self.momentum == 0:
            self._update(values, grads, None, self.dampening)
        elif self._running:
            self._update(values, grads, self._velocities, self.dampening)
        else:
            self._advance_some(range(len(values)), values, grads)

    def _advance_some(self, chosen, values, grads):
        check_gradients(chosen, values, grads)
        if self.momentum == 0:
            self._update([values[i] for i in chosen], [grads[i] for i in chosen], None, self.dampening)
            return
        velocities = self._velocities
        running = [i for i in chosen if velocities[i] is not None]
        starting = [i for i in chosen if velocities[i] is None]
        # From v = 0 an undamped step gives v = g.
        zeros = [np.zeros_like(values[i], order="C") for i in starting]
        if running:
            self._update(
                [values[i] for i in running],
                [grads[i] for i in running],
                [velocities[i] for i in running],
                self.dampening,
            )
        self._update([values[i] for i in starting], [grads[i] for i in starting], zeros, 0.0)
        for i, v in zip(starting, zeros, strict=True):
            velocities[i] = v
        self._running = all(v is not None for v in velocities)

    def _update(self, values, grads, velocities, dampening):
        sgd_step(
            values,
            grads,
            velocities,
            lr=self.lr,
            momentum=self.momentum,
            dampening=dampening,
            weight_decay=self.weight_decay,
            nesterov=self.nesterov,
            maximize=self.maximize,
        )

    def lower(self, plan):
        """Write the update into a compiled step's plan: a function of (parameter, value, gradient) for each."""
        options, numbers = None, Numbers()
        velocities = self._velocities
        with_momentum = self.momentum != 0
        index = {id(p): i for i, p in enumerate(self._params)}
        plan.learnt.update(index)
        starting = {}  # velocities that begin with this program's first step

        def update(parameter, value, gradient):
            velocity = None
            if with_momentum:
                i = index[id(parameter)]
                if velocities[i] is None:
                    starting[i] = np.zeros_like(parameter.value, order="C")
                velocity = plan.outside(
                    starting.get(i, velocities[i]), f"velocity of {value}", parameter.value.shape
                )
            plan.emit(
                step_update.sgd, [value, velocity], [gradient],
                cols=value.rows, columns=[], numbers=numbers,
            )  # fmt: skip

        def prepare(rows):
            nonlocal options
            if self._velocities is not velocities or (self.momentum != 0) != with_momentum:
                raise Stale
            if starting and any(velocities[i] is not None for i in starting):
                raise Stale  # explicit steps have begun them
            damp = 1 - self.dampening
            if starting:
                if damp != 1 and len(starting) < len(velocities):
                    raise ValueError("SGD with dampening cannot start some velocities later than others")
                damp = 1.0
            now = (
                self.lr,
                self.momentum,
                damp,
                self.weight_decay,
                -1.0 if self.maximize else 1.0,
                self.nesterov,
            )
            if now != options:
                self._set_options({name: getattr(self, name) for name in _OPTIONS})
                numbers.set(now[:5], now[5:])
                options = now

        def commit(rows):
            if starting:
                for i, v in starting.items():
                    velocities[i] = v
                starting.clear()
                self._running = all(v is not None for v in velocities)

        plan.prepare.append(prepare)
        plan.commit.append(commit)
        return update
