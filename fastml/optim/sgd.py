"""Stochastic gradient descent."""

import numpy as np

from .._kernels import step_update
from .._kernels.program import Numbers, Stale
from ..ops.sgd import sgd_step

_OPTIONS = ("lr", "momentum", "dampening", "weight_decay", "nesterov", "maximize")


class SGD:
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

    __slots__ = (*_OPTIONS, "_params", "_running", "_velocities")

    def __init__(
        self, params, lr, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False, maximize=False
    ):
        self._params = _checked(params)
        # One velocity per parameter, None before its first step with momentum; _running: none is None.
        self._velocities = [None] * len(self._params)
        self._running = False
        self._set_options(
            {
                "lr": lr,
                "momentum": momentum,
                "dampening": dampening,
                "weight_decay": weight_decay,
                "nesterov": nesterov,
                "maximize": maximize,
            }
        )

    def step(self, grads=None):
        """One update of all parameters; TypeError for arrays without ``grads``, ValueError where no
        parameter has a gradient and for shapes that differ, before anything is written."""
        params = self._params
        if grads is None:
            grads = [p.grad for p in params]
        elif len(grads) != len(params):
            raise ValueError(f"grads must have one array per parameter, got {len(grads)} for {len(params)}")
        values = [p.value for p in params]
        for g in grads:
            if g is None:
                return self._some(values, grads)
        if self.momentum == 0:
            return self._update(values, grads, None, self.dampening)
        if self._running:
            return self._update(values, grads, self._velocities, self.dampening)
        return self._some(values, grads)

    def state_dict(self):
        """Options and velocities (copies) in the layout of PyTorch's optimizers."""
        velocities = {
            i: {"momentum_buffer": v.copy()} for i, v in enumerate(self._velocities) if v is not None
        }
        options = {name: getattr(self, name) for name in _OPTIONS}
        return {"state": velocities, "param_groups": [options | {"params": list(range(len(self._params)))}]}

    def load_state_dict(self, state):
        """Take over options and velocities: the steps that follow are those of the optimizer that was saved.

        Also reads a ``torch.optim.SGD`` state with one parameter group. Raises ValueError where the number
        of parameters or a shape differs, before anything is written.
        """
        try:
            (group,) = state["param_groups"]
            options = {name: group[name] for name in _OPTIONS}
            saved = state["state"]
            count = len(group["params"])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"not the state of an SGD with one parameter group: {error!r}") from None
        if count != len(self._params):
            raise ValueError(f"state has {count} parameters, the optimizer {len(self._params)}")
        velocities = [None] * count
        for i, entry in saved.items():
            buffer = entry.get("momentum_buffer")
            if buffer is None:
                continue
            if i not in range(count):
                raise ValueError(f"state has a momentum_buffer {i!r}, the optimizer {count} parameters")
            value, buffer = self._params[i].value, np.asarray(buffer)
            if buffer.shape != value.shape:
                raise ValueError(f"momentum_buffer {i} has shape {buffer.shape}, its parameter {value.shape}")
            velocities[i] = buffer.astype(value.dtype, order="C")
        self._set_options(options)
        self._velocities = velocities
        self._running = all(v is not None for v in velocities)

    def _set_options(self, options):
        # With empty lists the op does nothing but check its options.
        sgd_step([], [], [], **options)
        for name, value in options.items():
            setattr(self, name, value)

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

    def _some(self, values, grads):
        """A step in which a gradient is missing or a velocity starts."""
        chosen = [i for i, g in enumerate(grads) if g is not None]
        if not chosen:
            raise ValueError("no parameter has a gradient: call backward first")
        # Two calls of the op below: what it would refuse must be refused before the first of them.
        for i in chosen:
            if np.shape(grads[i]) != values[i].shape:
                raise ValueError(
                    f"gradient {i} has shape {np.shape(grads[i])}, its parameter {values[i].shape}"
                )
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
                    starting[i] = np.zeros_like(parameter.value)
                velocity = plan.outside(starting.get(i, velocities[i]), f"velocity of {value}")
            plan.emit(
                step_update.sgd, [value, velocity], [gradient],
                cols=value.rows, columns=[], numbers=numbers,
            )  # fmt: skip

        def before(rows):
            nonlocal options
            if self._velocities is not velocities or (self.momentum != 0) != with_momentum:
                raise Stale
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
            if starting:
                for i, v in starting.items():
                    velocities[i] = v
                starting.clear()
                self._running = all(v is not None for v in velocities)

        plan.before.append(before)
        return update

    def __repr__(self):
        options = ", ".join(f"{name}={getattr(self, name)}" for name in _OPTIONS)
        return f"SGD({len(self._params)} parameters, {options})"


class _Array:
    """A plain array in the place of a Parameter: its gradients come with step(grads)."""

    __slots__ = ("value",)

    def __init__(self, value):
        self.value = value

    @property
    def grad(self):
        raise TypeError("step() needs grads where the parameters are plain arrays")


def _checked(params):
    """``params`` as a list of objects with .value and .grad."""
    if isinstance(params, np.ndarray) or hasattr(params, "value"):
        raise TypeError(f"params must be a list of parameters or arrays, got one {type(params).__name__}")
    params = list(params)
    if not params:
        raise ValueError("params is empty: there is nothing to optimize")
    seen = set()
    for i, p in enumerate(params):
        value = getattr(p, "value", p)
        if not isinstance(value, np.ndarray) or value.dtype not in (np.float32, np.float64):
            kind = value.dtype if isinstance(value, np.ndarray) else type(p).__name__
            raise TypeError(f"params[{i}] must be a parameter or a float32 or float64 array, got {kind}")
        if not value.flags.writeable:
            raise ValueError(f"params[{i}] is read-only")
        if id(value) in seen:
            raise ValueError(f"params[{i}] stands in params twice")
        seen.add(id(value))
        params[i] = _Array(p) if p is value else p
    return params
