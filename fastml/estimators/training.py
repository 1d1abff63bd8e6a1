"""The parts of the training loop: batches of rows, one step, the learning rate, and when to stop."""

import math

import numpy as np

from .. import nn, optim
from .._memory import empty
from ..ops.clip import clip_grad_norm

BLOCK = 4096  # elements of the rows that are gathered at once, where several batches are as few
LEAST_RATE = 1e-6  # where 'adaptive' gives up, as in scikit-learn
LEAST_SHARE = 1e-30  # of the first rate, with 'invscaling': velocities are divided by it


class Rows:
    """The training set, cut into batches in an order that is shuffled anew for each epoch.

    ``X``: (n, features), dense or CSR; ``target``: (n,) or (n, outputs); ``weight``: (n,) or None.
    The order is the one that scikit-learn's own MLP draws from the same ``rng`` (a RandomState).
    """

    def __init__(self, X, target, weight, batch_size, least, shuffle, rng):
        self._X, self._target, self._weight = X, target, weight
        self._order = np.arange(X.shape[0])
        self._rng = rng if shuffle else None
        self._size = batch_size
        # A last batch of fewer rows than ``least`` is left out.
        rest = X.shape[0] % batch_size
        self.count = X.shape[0] - (rest if rest < least else 0)
        # Small batches are gathered several at a time.
        self._block = batch_size * max(1, BLOCK // (batch_size * X.shape[1]))
        self._x = None if _sparse(X) else empty((min(self._block, X.shape[0]), X.shape[1]), X.dtype)

    def epoch(self):
        """(x, target, weight) of each batch; x lies in memory that the next batch overwrites."""
        if self._rng is not None:
            mixed = np.arange(len(self._order))
            self._rng.shuffle(mixed)
            self._order = self._order[mixed]
        X, target, weight, buffer, size = self._X, self._target, self._weight, self._x, self._size
        order = self._order[: self.count]
        for start in range(0, self.count, self._block):
            rows = order[start : start + self._block]
            if buffer is not None:
                x = buffer[: len(rows)]
                X.take(rows, 0, x, "clip")  # "raise" would go through a copy
            else:
                x = X[rows]
            t, w = target.take(rows, 0), None if weight is None else weight.take(rows)
            for i in range(0, len(rows), size):
                part = x[i : i + size] if buffer is not None else x[i : i + size].toarray()
                yield part, t[i : i + size], None if w is None else w[i : i + size]


def _sparse(X):
    return not isinstance(X, np.ndarray)


class Solver:
    """The optimizer of an estimator (``optimizer``): what scikit-learn's is, on fastml's.

    The objective of a batch is Σᵢ wᵢ · lossᵢ / Σᵢ wᵢ + alpha / 2 · |W|² / Σᵢ wᵢ, where W are the weights of the Linear
    layers and nothing else. So these are a group of their own, whose decay each batch sets. (AdamW's and Lion's
    decay is alpha itself.) The objective's gradient is ``scale`` times that of the loss that is trained. To scale
    gradients is to scale SGD's learning rate. The steps of the others do not depend on it, but their eps does.
    """

    def __init__(self, model, o, scale):
        self.kind = o.solver
        self._scale = scale
        decayed = [layer.weight for layer in model if isinstance(layer, nn.Linear)]
        others = [p for p in model.parameters() if all(p is not q for q in decayed)]
        kind = {
            "sgd": optim.SGD,
            "adam": optim.Adam,
            "adamw": optim.AdamW,
            "rmsprop": optim.RMSprop,
            "adagrad": optim.Adagrad,
            "lion": optim.Lion,
        }[o.solver]
        groups = [{"params": decayed}, {"params": others, "weight_decay": 0.0}]
        self.optimizer = kind(groups, lr=o.learning_rate_init)
        self._weights, self._others = self.optimizer.param_groups
        self._steps = self._epochs = self._lowered = 0
        self._penalised = [p.value for p in decayed]

    def set_options(self, o):
        """Take the options; they may be others in each call of partial_fit."""
        if self.kind == "sgd":
            self.optimizer.momentum = o.momentum
            self.optimizer.nesterov = bool(o.nesterovs_momentum and o.momentum > 0)
        elif self.kind != "lion":
            self.optimizer.eps = o.epsilon / self._scale
        if self.kind in ("adam", "adamw", "lion"):
            self.optimizer.betas = (o.beta_1, o.beta_2)
        self._options = o

    def begin_epoch(self, epoch, samples):
        """Set the learning rate of ``epoch`` (of this fit, from 0), before which ``samples`` rows have been seen."""
        o, before = self._options, self.optimizer.lr
        rate = o.learning_rate_init
        if o.learning_rate == "cosine":
            rate *= (1 + math.cos(math.pi * epoch / o.max_iter)) / 2
        elif self.kind == "sgd" and o.learning_rate == "invscaling" and self._epochs:
            rate = max(rate * float(samples + 1) ** -o.power_t, rate * LEAST_SHARE)
        elif self.kind == "sgd" and o.learning_rate == "adaptive":
            rate /= 5**self._lowered
        if self.kind == "sgd":
            rate *= self._scale
            if self._steps and rate != before:
                self._keep_pace(before / rate if rate else 0.0)
        self.optimizer.lr = rate

    def _keep_pace(self, ratio):
        """scikit-learn's velocities are steps, with the rate of their time in them; fastml's (PyTorch's) are sums of
        gradients, and are taken in the unit of the new rate here."""
        for state in self.optimizer._velocities:
            if state is not None:
                state *= ratio

    def end_epoch(self):
        self._epochs += 1

    def lower_rate(self):
        """Take the next lower rate; False where there is none, and training is to stop."""
        o = self._options
        if self.kind != "sgd" or o.learning_rate != "adaptive" or o.learning_rate_init / 5**self._lowered <= LEAST_RATE:
            return False
        self._lowered += 1
        return True

    def begin_step(self, weight):
        """Prepare the step of a batch whose rows have the sum of weights ``weight``; returns its penalty."""
        o = self._options
        self._steps += 1
        if self.kind in ("adam", "adamw"):
            # scikit-learn adds eps where the averages are not yet corrected for having begun at 0.
            eps = o.epsilon / self._scale / math.sqrt(1 - o.beta_2**self._steps)
            self._weights.update(eps=eps)
            self._others.update(eps=eps)
        if self.kind in ("adamw", "lion"):
            self._weights.update(weight_decay=o.alpha)
            return 0.0
        self._weights.update(weight_decay=o.alpha / weight / self._scale)
        if o.alpha == 0:
            return 0.0
        norm = clip_grad_norm(self._penalised, math.inf)  # which clips nothing
        return o.alpha / 2 * norm * norm / weight  # which may be infinite


class Plateau:
    """Counts the epochs in a row that did not lower the best loss (raise the best score) by ``tol``."""

    def __init__(self):
        self.best = math.inf
        self._waited = 0

    def add(self, loss, tol):
        """Take an epoch's loss; True where it is the best so far."""
        # NaN compares false: a score that is not a number never counts as a gain.
        self._waited = 0 if loss <= self.best - tol else self._waited + 1
        if loss < self.best:
            self.best = loss
            return True
        return False

    def reached(self, patience):
        """Whether patience is over."""
        return self._waited > patience

    def begin_anew(self):
        self._waited = 0
