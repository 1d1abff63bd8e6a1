"""Stochastic gradient descent."""

from operator import itemgetter

from .._check import mapping
from .._kernels.step import update as tiles
from .._kernels.step.arguments import Live
from .._kernels.step.program import Stale
from .._memory import filled
from ..ops.sgd import sgd_step
from ._optimizer import Optimizer, check_update, options_of


class SGD(Optimizer):
    """Stochastic gradient descent with momentum; per parameter p with gradient g:

        g ← (−g if maximize else g) + weight_decay · p
        v ← momentum · v + (1 − dampening) · g          (first step: v ← g, undamped, as in PyTorch)
        p ← p − lr · (g + momentum · v if nesterov else v)

    ``params``, groups of them, ``step()`` and options between steps: as of every optimizer (`fastml.optim`).

    Raises ValueError for a negative lr, momentum or weight decay, and Nesterov without momentum or with dampening.

    Source: ``torch.optim.SGD``.

    >>> import numpy as np
    >>> from fastml import optim
    >>> w = np.array([1.0, 2.0])
    >>> opt = optim.SGD([w], lr=0.1, momentum=0.9)
    >>> opt.step([np.array([1.0, 1.0])])
    >>> w.tolist()
    [0.9, 1.9]
    """

    __slots__ = ("_running", "_velocities")

    def __init__(self, params, lr, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False, maximize=False):
        super().__init__(params, locals())
        self._take_states({}, {})

    _options = options_of(__init__)

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

    def _advance(self, group, values, grads):
        if group["momentum"] == 0:
            _update(group, values, grads, None, group["dampening"])
        elif self._running:
            _update(group, values, grads, self._velocities, group["dampening"])
        else:
            check_update(range(len(values)), values, grads)
            self._advance_some(group, range(len(values)), values, grads)

    def _advance_some(self, group, chosen, values, grads):
        if group["momentum"] == 0:
            _update(group, [values[i] for i in chosen], [grads[i] for i in chosen], None, group["dampening"])
            return
        velocities = self._velocities
        running = [i for i in chosen if velocities[i] is not None]
        starting = [i for i in chosen if velocities[i] is None]
        # From v = 0 an undamped step gives v = g.
        zeros = [filled(values[i].shape, 0, values[i].dtype) for i in starting]
        if running:
            _update(
                group,
                [values[i] for i in running],
                [grads[i] for i in running],
                [velocities[i] for i in running],
                group["dampening"],
            )
        _update(group, [values[i] for i in starting], [grads[i] for i in starting], zeros, 0.0)
        for i, v in zip(starting, zeros, strict=True):
            velocities[i] = v
        self._running = all(v is not None for v in velocities)

    def lower(self, plan):
        """Write the update into a compiled step's plan: a function of (parameter, value, gradient) for each."""
        velocities = self._velocities
        index = {id(p): i for i, p in enumerate(self._params)}
        plan.learnt.update(index)
        parts = [_Part(group) for group in self._groups]
        part_of = [parts[k] for k in self._group_of_each()]

        def update(parameter, value, gradient):
            i = index[id(parameter)]
            part, velocity = part_of[i], None
            if part.with_momentum:
                velocity = velocities[i]
                if velocity is None:
                    velocity = part.starting[i] = filled(parameter.value.shape, 0, parameter.value.dtype)
                velocity = plan.outside(velocity, f"velocity of {value}", parameter.value.shape)
            part.moved += 1
            plan.emit(tiles.sgd, parameter=value, velocity=velocity, gradient=gradient, options=part.live)

        def prepare(rows):
            if self._velocities is not velocities:
                raise Stale
            for part in parts:
                part.prepare(self, velocities)

        def commit(rows):
            for part in parts:
                if part.starting:
                    for i, v in part.starting.items():
                        velocities[i] = v
                    part.starting = {}
                    self._running = all(v is not None for v in velocities)

        plan.prepare.append(prepare)
        plan.commit.append(commit)
        return update


_read = itemgetter(*SGD._options)  # all of a group's options


class _Part:
    """A group's part of a compiled step."""

    __slots__ = ("_options", "group", "live", "moved", "starting", "with_momentum")

    def __init__(self, group):
        self.group, self.live, self._options = group, Live(), None
        self.with_momentum = group["momentum"] != 0
        self.moved = 0
        self.starting = {}  # velocities that begin with this program's first step, by the parameter's number

    def prepare(self, optimizer, velocities):
        group, starting = self.group, self.starting
        options = _read(group)
        if not starting and options == self._options:
            return
        lr, momentum, dampening, weight_decay, nesterov, maximize = options
        if (momentum != 0) != self.with_momentum:
            raise Stale
        if starting and any(velocities[i] is not None for i in starting):
            raise Stale  # explicit steps have begun them
        optimizer._check_options(optimizer._options_of(group))
        damp = 1 - dampening
        if starting:
            if damp != 1 and len(starting) < self.moved:
                raise ValueError("SGD with dampening cannot start some velocities later than others")
            damp = 1.0
        sign = -1.0 if maximize else 1.0
        self.live.set(tiles.sgd_options(lr, momentum, damp, weight_decay, sign, nesterov))
        self._options = None if starting else options


def _update(group, values, grads, velocities, dampening):
    lr, momentum, _, weight_decay, nesterov, maximize = _read(group)
    sgd_step(
        values,
        grads,
        velocities,
        lr=lr,
        momentum=momentum,
        dampening=dampening,
        weight_decay=weight_decay,
        nesterov=nesterov,
        maximize=maximize,
    )
