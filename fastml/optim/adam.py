"""Adam and AdamW."""

import numpy as np

from .._kernels import step_update
from .._kernels.adaptive import adam_numbers as coefficients
from .._kernels.program import Numbers, Stale
from ..ops.adam import adam_step
from ._optimizer import Optimizer, check_gradients

_OPTIONS = ("lr", "betas", "eps", "weight_decay", "maximize")


class Adam(Optimizer):
    """Adam; per parameter p with gradient g, in its step t = 1, 2, …:

        g ← (−g if maximize else g) + weight_decay · p
        m ← β₁ · m + (1 − β₁) · g
        v ← β₂ · v + (1 − β₂) · g²
        p ← p − lr · m / (1 − β₁ᵗ) / (√v / √(1 − β₂ᵗ) + eps)

    ``params``: ``model.parameters()`` or arrays (float32 or float64, written in place). ``step()`` takes
    each parameter's ``grad`` and passes over those that have none; ``step(grads)`` takes a list with one
    array (or None) per parameter. The options are attributes that may be set between steps: ``opt.lr = 0.01``.

    Raises ValueError for no parameters, one that stands twice, a negative lr, eps or weight decay, and betas
    outside [0, 1); TypeError for anything that is no parameter or array.

    Source: ``torch.optim.Adam``.

    >>> from fastml import optim
    >>> w = np.array([1.0, 2.0])
    >>> opt = optim.Adam([w], lr=0.1)
    >>> opt.step([np.array([3.0, -1.0])])
    >>> w.round(6).tolist()
    [0.9, 2.1]
    """

    __slots__ = (*_OPTIONS, "_exp_avg_sqs", "_exp_avgs", "_steps")

    _options = _OPTIONS
    _decoupled = False

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, maximize=False):
        super().__init__(
            params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "maximize": maximize}
        )
        self._take_states({})

    def _check_options(self, options):
        # With empty lists the op does nothing but check its options.
        adam_step([], [], [], [], 1, **options)

    def _saved_options(self):
        options = super()._saved_options()
        return {**options, "amsgrad": False, "decoupled_weight_decay": self._decoupled}

    def _states(self):
        return {
            i: {"step": step, "exp_avg": m.copy(), "exp_avg_sq": v.copy()}
            for i, (step, m, v) in enumerate(
                zip(self._each_step(), self._exp_avgs, self._exp_avg_sqs, strict=True)
            )
            if step
        }

    def _take_states(self, states):
        steps = [0] * len(self._params)
        exp_avgs, exp_avg_sqs = ([np.zeros_like(p.value, order="C") for p in self._params] for _ in range(2))
        for i, entry in states.items():
            try:
                step, m, v = int(entry["step"]), entry["exp_avg"], entry["exp_avg_sq"]
            except (KeyError, TypeError) as error:
                raise ValueError(f"state {i} is not one of Adam: {error!r}") from None
            if step < 0:
                raise ValueError(f"state {i} has step {step}")
            steps[i] = step
            exp_avgs[i] = self._like_parameter(m, i, "exp_avg")
            exp_avg_sqs[i] = self._like_parameter(v, i, "exp_avg_sq")
        self._exp_avgs, self._exp_avg_sqs = exp_avgs, exp_avg_sqs
        self._set_steps(steps)

    # The steps taken: one number where all parameters have taken as many, else a list.

    def _each_step(self):
        return [self._steps] * len(self._params) if isinstance(self._steps, int) else list(self._steps)

    def _set_steps(self, steps):
        self._steps = steps[0] if len(set(steps)) == 1 else steps

    def _advance(self, values, grads):
        if isinstance(self._steps, int):
            self._update(values, grads, self._exp_avgs, self._exp_avg_sqs, self._steps + 1)
            self._steps += 1
        else:
            self._advance_some(range(len(values)), values, grads)

    def _advance_some(self, chosen, values, grads):
        check_gradients(chosen, values, grads)
        steps = self._each_step()
        for step in {steps[i] for i in chosen}:
            alike = [i for i in chosen if steps[i] == step]
            arrays = ([a[i] for i in alike] for a in (values, grads, self._exp_avgs, self._exp_avg_sqs))
            self._update(*arrays, step + 1)
        for i in chosen:
            steps[i] += 1
        self._set_steps(steps)

    def lower(self, plan):
        """Write the update into a compiled step's plan: a function of (parameter, value, gradient) for each."""
        exp_avgs, exp_avg_sqs = self._exp_avgs, self._exp_avg_sqs
        index = {id(p): i for i, p in enumerate(self._params)}
        plan.learnt.update(index)
        before_it = self._each_step()
        groups = {}  # by the steps taken: numbers and parameters
        moved = []

        def update(parameter, value, gradient):
            i = index[id(parameter)]
            numbers, members = groups.setdefault(before_it[i], (Numbers(), []))
            members.append(i)
            moved.append(i)
            m = plan.outside(exp_avgs[i], f"exp_avg of {value}")
            v = plan.outside(exp_avg_sqs[i], f"exp_avg_sq of {value}")
            plan.emit(
                step_update.adam, [value, m, v, None], [gradient], cols=value.rows, columns=[], numbers=numbers
            )

        def before(rows):
            if self._exp_avgs is not exp_avgs:
                raise Stale
            options = self.lr, self.betas, self.eps, self.weight_decay, self._decoupled, self.maximize
            if isinstance(self._steps, int) and len(moved) == len(index):
                now = coefficients(self._steps + 1, *options)
                for numbers, _ in groups.values():
                    numbers.set(*now)
                self._steps += 1
                return
            steps = self._each_step()
            for _, members in groups.values():
                if any(steps[i] != steps[members[0]] for i in members):
                    raise Stale
            for numbers, members in groups.values():
                numbers.set(*coefficients(steps[members[0]] + 1, *options))
                for i in members:
                    steps[i] += 1
            self._set_steps(steps)

        plan.before.append(before)
        return update

    def _update(self, values, grads, exp_avgs, exp_avg_sqs, step):
        adam_step(
            values,
            grads,
            exp_avgs,
            exp_avg_sqs,
            step,
            lr=self.lr,
            betas=self.betas,
            eps=self.eps,
            weight_decay=self.weight_decay,
            decoupled=self._decoupled,
            maximize=self.maximize,
        )


class AdamW(Adam):
    """Adam with decoupled weight decay:

        p ← p − lr · weight_decay · p
        m, v and p as in Adam without weight decay

    Arguments, steps and errors are Adam's; the weight decay is 0.01 by default.

    Source: ``torch.optim.AdamW``.

    >>> from fastml import optim
    >>> w = np.array([1.0, 2.0])
    >>> opt = optim.AdamW([w], lr=0.1, weight_decay=0.1)
    >>> opt.step([np.array([3.0, -1.0])])
    >>> w.round(6).tolist()
    [0.89, 2.08]
    """

    __slots__ = ()

    _decoupled = True

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01, maximize=False):
        super().__init__(params, lr, betas, eps, weight_decay, maximize)
