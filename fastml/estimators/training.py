"""The parts of the training loop: batches of rows, one step, the learning rate, and when to stop."""

import math

import numpy as np

from .. import nn, optim
from ..data import batches

LEAST_RATE = 1e-6  # where 'adaptive' gives up, as in scikit-learn


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
        self._x = None if _sparse(X) else np.empty((batch_size, X.shape[1]), X.dtype)

    def epoch(self):
        """(x, target, weight) of each batch; x lies in memory that the next batch overwrites."""
        if self._rng is not None:
            mixed = np.arange(len(self._order))
            self._rng.shuffle(mixed)
            self._order = self._order[mixed]
        X, target, weight, buffer = self._X, self._target, self._weight, self._x
        for (rows,) in batches(self._order[: self.count], batch_size=self._size, shuffle=False):
            if buffer is None:
                x = X[rows].toarray()
            else:
                x = buffer[: len(rows)]
                X.take(rows, 0, x, "clip")  # "raise" would go through a copy
            yield x, target.take(rows, 0), None if weight is None else weight.take(rows)


def _sparse(X):
    return not isinstance(X, np.ndarray)


def make_step(model, loss_fn, optimizer):
    """``step(x, y) -> loss``: forward and backward pass and update, as one native program where the loss and the
    optimizer have one (weighted losses do not), and with the same bits otherwise."""
    if hasattr(loss_fn, "lower") and hasattr(optimizer, "lower"):
        return nn.compile_step(model, loss_fn, optimizer)

    def step(x, y):
        loss, grad = loss_fn(model(x), y)
        model.backward(grad)
        optimizer.step()
        return float(loss)

    return step


class Weighted:
    """A loss of class ``loss`` with one weight per row: Σᵢ wᵢ · lossᵢ / Σᵢ wᵢ, where lossᵢ is that of row i
    (the mean over its outputs, where each of them has one). The target comes as (target, weight)."""

    def __init__(self, loss):
        self._loss_fn = loss(reduction="none")

    def __call__(self, y, target):
        target, weight = target
        losses, grad = self._loss_fn(y, target)
        losses = losses.reshape(len(y), -1)
        shares = (weight / (weight.sum() * losses.shape[1])).astype(y.dtype)[:, None]
        return np.sum(losses * shares), grad * shares


def make_optimizer(params, o, scale, batch_size):
    """The optimizer of the resolved options ``o`` for an objective that is ``scale`` times the loss.

    Scaling gradients by a number is scaling SGD's learning rate; the steps of the others do not see it, their eps does.
    The penalty is alpha / 2 · |p|² per batch, and AdamW's decay is alpha itself.
    """
    rate, decay = o.learning_rate_init, o.alpha_by_row / batch_size / scale
    if o.solver == "sgd":
        nesterov = bool(o.nesterovs_momentum and o.momentum > 0)
        return optim.SGD(params, rate * scale, o.momentum, weight_decay=decay, nesterov=nesterov)
    options = {"lr": rate, "eps": o.epsilon / scale}
    if o.solver in ("rmsprop", "adagrad"):
        kind = optim.RMSprop if o.solver == "rmsprop" else optim.Adagrad
        return kind(params, weight_decay=decay, **options)
    options["betas"] = (o.beta_1, o.beta_2)
    if o.solver == "adam":
        return optim.Adam(params, weight_decay=decay, **options)
    return optim.AdamW(params, weight_decay=o.alpha, **options)


class Rate:
    """The learning rate at the start of each epoch."""

    def __init__(self, o):
        self._kind, self._start, self._epochs, self._power = (
            o.learning_rate,
            o.learning_rate_init,
            o.max_iter,
            o.power_t,
        )
        if o.solver != "sgd" and self._kind in ("invscaling", "adaptive"):
            self._kind = "constant"  # as in scikit-learn

    def at(self, epoch, samples):
        """Rate of ``epoch`` (from 0), before which the solver has seen ``samples`` rows."""
        if self._kind == "cosine":
            return self._start * (1 + math.cos(math.pi * epoch / self._epochs)) / 2
        if self._kind == "invscaling" and epoch > 0:
            return self._start / (samples + 1) ** self._power
        return self._start

    def lower(self):
        """Take the next lower rate; False where there is none, and training is to stop."""
        if self._kind != "adaptive" or self._start <= LEAST_RATE:
            return False
        self._start /= 5
        return True


class Plateau:
    """Counts the epochs in a row that did not lower the best loss (raise the best score) by ``tol``."""

    def __init__(self, tol, patience):
        self._tol, self._patience = tol, patience
        self.best = math.inf
        self._waited = 0

    def add(self, loss):
        """Take an epoch's loss; True where it is the best so far."""
        # NaN compares false: a score that is not a number never counts as a gain.
        self._waited = 0 if loss <= self.best - self._tol else self._waited + 1
        if loss < self.best:
            self.best = loss
            return True
        return False

    def reached(self):
        """Whether patience is over; counting then begins anew."""
        if self._waited <= self._patience:
            return False
        self._waited = 0
        return True
