"""What classifier and regressor share: fit from validated input to a trained network.

A subclass says what its targets are (``_encode``), which loss they take (``_loss``) and how a validation set
is scored (``_score_outputs``).
"""

import copy
import math
import warnings
from abc import ABC, abstractmethod

import numpy as np
from scipy.sparse import issparse
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_array, check_consistent_length, check_random_state
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

from .._check import as_array, named, shown
from .._environment import in_full_mode
from .._progress import Progress
from ..nn.losses import WeightedLoss
from ..nn.step import compile_step
from . import network
from .options import resolve
from .training import Plateau, Rows, Solver


class BaseMLP(BaseEstimator, ABC):
    """Base of the two estimators; constructors store their arguments and do nothing else."""

    def _store(self, arguments):
        """Keep a constructor's arguments, its ``locals()``, as attributes."""
        vars(self).update((name, value) for name, value in arguments.items() if name != "self")

    @in_full_mode
    def fit(self, X, y, sample_weight=None):
        """Train on X (n, features), dense or sparse, and y; returns self.

        ``sample_weight``: (n,) non-negative; the loss of a batch is its weighted mean, and rows of weight 0
        take no part. With ``warm_start=True`` training goes on from where the last fit ended.

        Ctrl-C ends training with a warning, and the estimator has the weights after the last whole step. Raises
        ValueError for parameters, for input that does not fit, and as soon as the loss is not finite; after an
        exception the estimator is what it was before the call. Warns (ConvergenceWarning) where ``max_iter``
        ends training.
        """
        return self._fit(X, y, sample_weight, once=False)

    # Training

    def _fit(self, X, y, sample_weight, once, classes=None):
        """fit and partial_fit (``once``): all of it, or after an exception nothing."""
        o = resolve(self)
        if once and o.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")
        fresh = not hasattr(self, "_model") or not (once or self.warm_start)
        before = dict(vars(self))
        if not fresh:
            # Training writes into the network, so there is a second one. Where a program has been made for the first,
            # that goes on; else the second is trained, for the first may be read-only, as joblib maps it.
            second = copy.deepcopy({name: before[name] for name in ("_model", "_optimizer", "_plateau")})
            (before if self._steps else vars(self)).update(second)
        try:
            self._learn(X, y, sample_weight, o, fresh, once, classes)
        except BaseException:
            vars(self).clear()
            vars(self).update(before, **{"_steps": {}} if "_steps" in before else {})
            raise
        return self

    def _learn(self, X, y, sample_weight, o, fresh, once, classes):
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None")
        X = self._features(X, [np.float32, np.float64] if fresh else self._dtype, fresh)
        with named("y"):
            y = check_array(as_given(y, "y"), accept_sparse="csr", ensure_2d=False, dtype=None, input_name="y")
            if self._numeric and y.dtype.kind == "O":
                y = y.astype(np.float64)
        with named("X and y"):
            check_consistent_length(X, y)
        if issparse(y):
            y = y.toarray()
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        target = self._encode(y, X.dtype, fresh, once, classes)
        weight = self._class_weighted(y, _weights(sample_weight, X), o, once)
        if weight is not None and not weight.any():
            raise ValueError("sample_weight (times class_weight) must not be zero for every row")
        o.unit = 1.0  # of the rows' weights
        if weight is not None:
            if not weight.all():
                kept = np.flatnonzero(weight)
                X, target, weight = X[kept], target[kept], weight[kept]
            o.unit = weight.max()
            weight = weight / o.unit
        rng = _generator(self.random_state)
        widths = (X.shape[1], *o.hidden_layer_sizes, self.n_outputs_)
        if fresh:
            self._begin(widths, o, rng, X.dtype)
        elif (self._widths, self._kind) != (widths, (o.activation, o.batch_norm, o.dropout)):
            raise ValueError(
                f"training cannot go on with layers {widths}, activation={o.activation!r}, batch_norm="
                f"{o.batch_norm}, dropout={o.dropout}: the fitted network has layers {self._widths}, "
                "activation={!r}, batch_norm={}, dropout={}".format(*self._kind)
            )
        held_out = None
        if o.early_stopping:
            X, target, weight, held_out = self._hold_out(X, target, weight, o.validation_fraction, rng)
        self._train(X, target, weight, held_out, o, rng, once)

    def _begin(self, widths, o, rng, dtype):
        """A new network, and the attributes as they are before the first epoch."""
        self._model = network.build(widths, o.activation, o.batch_norm, o.dropout, rng, dtype)
        self._widths, self._kind = widths, (o.activation, o.batch_norm, o.dropout)
        self._optimizer, self._plateau = None, Plateau()
        self._steps = {}
        self.n_layers_ = len(widths)
        self.n_iter_ = self.t_ = 0
        self.loss_ = math.nan
        self.loss_curve_ = []
        self.best_loss_ = self.validation_scores_ = None

    def _hold_out(self, X, target, weight, share, rng):
        """(X, target, weight) without the validation set, and the validation set."""
        n = X.shape[0]
        n_val = math.ceil(share * n)
        if n_val < 2:
            raise ValueError(
                f"validation_fraction must leave at least 2 of {n} rows for validation, not {n_val} as {share}"
            )
        rows, rows_val = train_test_split(
            np.arange(n), test_size=n_val, random_state=rng, stratify=self._strata(target, n_val)
        )
        held_out = X[rows_val], target[rows_val], None if weight is None else weight[rows_val]
        return X[rows], target[rows], None if weight is None else weight[rows], held_out

    def _train(self, X, target, weight, held_out, o, rng, once):
        batch_size = _batch_size(o.batch_size, X.shape[0])
        if o.batch_norm and batch_size == 1:
            raise ValueError("X must have at least two rows with batch_norm=True, not 1")
        solver, step, shown = self._program(o, weight is not None, once)
        # A batch of one row has no variance to normalise by: that row waits for another epoch.
        rows = Rows(X, target, weight, batch_size, 2 if o.batch_norm else 1, o.shuffle, rng)
        self._watch(held_out)
        self.loss_curve_ = list(self.loss_curve_)
        best = None
        epochs = 1 if once else o.max_iter
        self.n_iter_ = 0
        total = seen = 0
        self._model.train()
        try:
            with Progress(epochs, rows.count, quiet=not o.verbose) as progress:
                for epoch in range(epochs):
                    solver.begin_epoch(epoch, self.t_)
                    total = seen = 0
                    for x, t, w in rows.epoch():
                        penalty = solver.begin_step(len(x) if w is None else o.unit * w.sum())
                        loss = shown * step(x, t if w is None else (t, w)) + penalty
                        total += loss * len(x)
                        seen += len(x)
                        if not math.isfinite(total):
                            raise ValueError(
                                f"training diverged: the loss of epoch {epoch + 1} is {total / seen}; scale "
                                "the input or lower learning_rate_init"
                            )
                        progress.advance(len(x))
                    solver.end_epoch()
                    loss = total / seen
                    self.t_ += rows.count
                    self.loss_ = loss
                    self.loss_curve_.append(loss)
                    self.n_iter_ += 1
                    total = seen = 0
                    figures, better = self._judge(loss, held_out, o.tol)
                    best = better or best
                    stop = self._stops(o.n_iter_no_change, solver)
                    progress.end_epoch(epoch, *figures, last=stop)
                    if stop:
                        break
                else:
                    if not (once or o.ends_by_plan):
                        warnings.warn(
                            f"training ended after max_iter={epochs} epochs, before it converged",
                            ConvergenceWarning,
                            stacklevel=5,
                        )
        except KeyboardInterrupt:
            warnings.warn("training interrupted: the model is that after the last whole step", stacklevel=5)
        finally:
            if seen:
                self.loss_ = total / seen  # of an epoch that did not end
            if best is not None:
                self._model.load_state_dict(best)
            self._model.eval()
            if not once:
                self._steps = {}

    def _program(self, o, weighted, once):
        """The solver and the compiled step, which the calls of partial_fit share, and what the loss is shown times."""
        loss, scale, shown = self._loss()
        solver = self._optimizer
        if solver is None or not once or solver.kind != o.solver:
            solver = self._optimizer = Solver(self._model, o, scale)
            self._steps = {}
        solver.set_options(o)
        if weighted not in self._steps:
            loss_fn = WeightedLoss(loss) if weighted else loss()
            self._steps[weighted] = compile_step(self._model, loss_fn, solver.optimizer)
        return solver, self._steps[weighted], shown

    def _watch(self, held_out):
        """Begin to watch the loss or the validation score; a fit that goes on may watch the other.

        Losses are compared from call to call. Scores are not: another fit holds out other rows.
        """
        if held_out is None:
            if self.best_loss_ is None:
                self.best_loss_, self._plateau = math.inf, Plateau()
            self.validation_scores_ = self.best_validation_score_ = None
        else:
            self.validation_scores_ = list(self.validation_scores_ or [])
            self.best_loss_, self.best_validation_score_, self._plateau = None, -math.inf, Plateau()

    def _judge(self, loss, held_out, tol):
        """The figures of an epoch to print, and the model's state where its validation score is the best so far."""
        figures = [f"loss {loss:.4f}"]
        if held_out is None:
            self._plateau.add(loss, tol)
            self.best_loss_ = min(self.best_loss_, loss)
            return figures, None
        score = self._score_outputs(network.outputs(self._model, held_out[0]), *held_out[1:])
        self._model.train()
        self.validation_scores_.append(score)
        figures.append(f"validation score {score:.4f}")
        if not self._plateau.add(-score, tol):
            return figures, None
        best, self.best_validation_score_ = self._model.state_dict(), score
        return figures, best

    def _stops(self, patience, solver):
        """Whether so many epochs have brought nothing better; a rate that can be lowered begins the count anew."""
        if not self._plateau.reached(patience):
            return False
        if not solver.lower_rate():
            return True
        self._plateau.begin_anew()
        return False

    def __getstate__(self):
        # A program belongs to the memory it was made for.
        state = dict(super().__getstate__())
        return state | {"_steps": {}} if "_steps" in state else state

    # Prediction

    def _outputs(self, X):
        """The network's outputs, (n, n_outputs_), for input as the user gives it."""
        check_is_fitted(self)
        return network.outputs(self._model, self._features(X, self._dtype, reset=False))

    def _features(self, X, dtype, reset):
        """X checked, with its features set or compared."""
        with named("X"):
            X = as_given(X, "X")
            return validate_data(self, X, accept_sparse="csr", dtype=dtype, order="C", reset=reset)

    @property
    def _dtype(self):
        return self._model[0].weight.value.dtype

    def __sklearn_is_fitted__(self):
        return hasattr(self, "_model")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    @property
    def coefs_(self):
        """Weight matrix of each layer, (in, out); views, or with ``batch_norm`` arrays with it folded in."""
        return [weight.T for weight, _ in self._maps()]

    @property
    def intercepts_(self):
        """Bias of each layer, (out,); with ``batch_norm`` the normalisation's, mean and scale folded in."""
        return [bias for _, bias in self._maps()]

    def _maps(self):
        if not hasattr(self, "_model"):
            raise AttributeError(f"this {type(self).__name__} has no weights before fit")
        return network.affine_maps(self._model)

    # What a subclass says

    _numeric = False

    @abstractmethod
    def _encode(self, y, dtype, fresh, once, classes):
        """The target as the loss takes it, real ones in ``dtype``. Where ``fresh`` it sets what depends on the target,
        such as n_outputs_."""

    def _class_weighted(self, y, weight, o, once):
        """The rows' weights with those of their classes in them, or None."""
        return weight

    @abstractmethod
    def _loss(self):
        """(kind of loss, scale, shown): the gradient of scikit-learn's objective is ``scale`` times that of
        the loss, the value that scikit-learn shows is ``shown`` times the loss."""

    @abstractmethod
    def _score_outputs(self, outputs, target, weight):
        """Validation score of the network's outputs."""

    def _strata(self, target, n_val):
        """What the validation split is stratified by, or None."""


def _weights(sample_weight, X):
    if sample_weight is None:
        return None
    with named("sample_weight"):
        weight = as_given(sample_weight, "sample_weight")
        weight = check_array(weight, ensure_2d=False, dtype=np.float64, input_name="sample_weight")
        if weight.ndim != 1:
            raise ValueError(f"sample_weight must have one axis, not the shape {weight.shape}")
        check_consistent_length(X, weight)
    if (weight < 0).any():
        raise ValueError(f"sample_weight must be at least 0, not {weight.min()}")
    return weight


def as_given(x, name):
    """x as scikit-learn takes it: an array, or what it knows to read itself, frames and sparse matrices."""
    return x if issparse(x) or hasattr(x, "columns") else as_array(x, name)


def _generator(random_state):
    try:
        return check_random_state(random_state)
    except (ValueError, TypeError):
        raise ValueError(
            f"random_state must be None, an integer from 0 to 2**32 - 1 or a RandomState, not {shown(random_state)}"
        ) from None


def _batch_size(batch_size, n):
    if batch_size is None:
        return n
    if batch_size == "auto":
        return min(200, n)
    if batch_size > n:
        warnings.warn(f"batch_size={batch_size} is more than the {n} rows: it is taken as {n}", stacklevel=6)
    return min(int(batch_size), n)
