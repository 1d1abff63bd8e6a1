"""Regression."""

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score

from .. import nn
from .._check import choice
from .._choices import RegressionLoss
from .._environment import in_full_mode
from .base import BaseMLP

# Losses and their factors: scikit-learn's gradient is that of half the squared error, summed over the outputs; it shows
# the mean.
_LOSSES = {"squared_error": (nn.MSELoss, 0.5), "absolute_error": (nn.L1Loss, 1.0), "huber": (nn.HuberLoss, 1.0)}


class MLPRegressor(RegressorMixin, BaseMLP):
    """Multi-layer perceptron for regression, a scikit-learn estimator on fastml's kernels.

    Minimises half the squared error, or another ``loss``; y may have several columns.

    A drop-in for ``sklearn.neural_network.MLPRegressor``: the same parameters under the same names, other
    than ``solver="lbfgs"`` and its ``max_fun`` and ``loss="poisson"``; ``loss`` goes by name. float32 input
    is trained in float32, float64 in float64 at half the speed, anything else in float32; sparse input
    becomes dense batch by batch.

    loss : "squared_error" (half of it), "absolute_error" or "huber" (with delta 1, in the units of y; both bear
        outliers), summed over the columns of y.
    early_stopping, validation_fraction : hold out that share of the rows (at random), score it after each
        epoch (R²), and keep the weights of the best epoch.

    All other parameters and the attributes after fit are those of :class:`MLPClassifier`, but for its ``class_weight``
    and ``classes_``.

    Source: ``sklearn.neural_network.MLPRegressor``; G. Hinton, Connectionist learning procedures, Artificial
    Intelligence 40, 1989.

    >>> import fastml
    >>> X = np.linspace(-1, 1, 200, dtype=np.float32)[:, None]
    >>> reg = fastml.MLPRegressor(hidden_layer_sizes=(32, 32), learning_rate_init=0.01, random_state=0)
    >>> bool(reg.fit(X, np.sin(3 * X[:, 0])).score(X, np.sin(3 * X[:, 0])) > 0.99)
    True
    """

    def __init__(
        self,
        hidden_layer_sizes=(100,),
        activation="relu",
        *,
        solver="adam",
        alpha=0.0001,
        batch_size="auto",
        learning_rate="constant",
        learning_rate_init=0.001,
        power_t=0.5,
        max_iter=200,
        shuffle=True,
        random_state=None,
        tol=1e-4,
        verbose=False,
        warm_start=False,
        momentum=0.9,
        nesterovs_momentum=True,
        early_stopping=False,
        validation_fraction=0.1,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        n_iter_no_change=10,
        batch_norm=False,
        dropout=0.0,
        optimizer=None,
        epochs=None,
        loss="squared_error",
    ):
        self._store(locals())

    _numeric = True

    @in_full_mode
    def partial_fit(self, X, y, sample_weight=None):
        """One epoch over X and y; returns self. Raises as :meth:`fit`, and ValueError for early stopping."""
        return self._fit(X, y, sample_weight, once=True)

    @in_full_mode
    def predict(self, X):
        """Values for each row of X: (n,), or (n, outputs) where y has several columns."""
        y = self._outputs(X)
        return y[:, 0] if y.shape[1] == 1 else y

    def _encode(self, y, dtype, fresh, once, classes):
        choice(self.loss, "loss", RegressionLoss)
        with np.errstate(over="ignore"):
            target = y.astype(dtype).reshape(len(y), -1)
        if not np.isfinite(target).all():
            raise ValueError(f"y must hold no value too large for {dtype}")
        if fresh:
            self.n_outputs_ = target.shape[1]
            self.out_activation_ = "identity"
        elif target.shape[1] != self.n_outputs_:
            raise ValueError(f"y must have {self.n_outputs_} columns, as in the first fit, not the shape {y.shape}")
        return target

    def _loss(self):
        loss, factor = _LOSSES[self.loss]
        return loss, self.n_outputs_ * factor, factor

    def _score_outputs(self, outputs, target, weight):
        if not np.isfinite(outputs).all():
            return float("nan")
        return float(r2_score(target, outputs, sample_weight=weight))
