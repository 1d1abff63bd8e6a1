"""Classification."""

import numpy as np
from scipy.special import expit, log_expit
from sklearn.base import ClassifierMixin
from sklearn.preprocessing import LabelEncoder
from sklearn.utils.multiclass import check_classification_targets, type_of_target

from .. import nn
from .._check import as_array, named
from .._environment import in_full_mode
from ..ops.softmax import log_softmax, softmax
from .base import BaseMLP
from .class_weight import class_weights


class MLPClassifier(ClassifierMixin, BaseMLP):
    """Multi-layer perceptron for classification, a scikit-learn estimator on fastml's kernels.

    Minimises cross-entropy: with softmax for three classes or more, with the logistic function for two
    and for multilabel targets (an indicator matrix of 0 and 1), where the labels' losses are added up.

    A drop-in for ``sklearn.neural_network.MLPClassifier``: the same parameters under the same names, other
    than ``solver="lbfgs"`` and its ``max_fun``. float32 input is trained in float32, float64 in float64 at
    half the speed, anything else in float32; sparse input becomes dense batch by batch.

    hidden_layer_sizes : widths of the hidden layers, a tuple or one integer; () has none.
    activation : "relu", "tanh", "logistic", "identity", "gelu", "silu", "hard_swish", "elu", "leaky_relu" or
        "softplus", of the hidden layers.
    solver : "adam", "adamw", "rmsprop", "adagrad", "lion" or "sgd". ``optimizer`` is another name for it and wins where
        it is not None.
    alpha : the penalty alpha / 2 · Σ W² of the layers' weights (not of biases, nor of batch normalisation), divided by
        the rows of each batch, or the sum of their weights. With "adamw" and "lion" the decoupled decay of these
        weights.
    batch_size : rows of a batch; "auto" is min(200, n), None is n.
    learning_rate : how the rate runs from ``learning_rate_init`` (a number stands for both): "constant";
        "cosine", to zero over all epochs; and with "sgd" alone "invscaling", divided by t^power_t after t rows,
        and "adaptive", divided by 5 where training would stop.
    max_iter : epochs at most. ``epochs`` is another name for it and wins where it is not None; then, and with
        "cosine", nothing warns that training has not converged.
    tol, n_iter_no_change : training stops once more than ``n_iter_no_change`` epochs in a row have not
        improved the loss (with early stopping: the score) by ``tol``.
    early_stopping, validation_fraction : hold out that share of the rows (stratified by class where every class
        has rows enough), score it after each epoch (accuracy), and keep the weights of the best epoch.
    momentum, nesterovs_momentum : of "sgd". beta_1, beta_2 : of "adam", "adamw" and "lion". epsilon : of all but "sgd"
        and "lion"; with "adam" and "adamw" added before the averages are corrected for their start, as in scikit-learn.
    batch_norm : batch normalisation between each hidden layer and its activation.
    dropout : probability of dropping a hidden value in training.
    class_weight : weights of the classes, a dict {class: weight} or "balanced" (n / (classes · rows of the
        class)), for multilabel targets a list of one dict {0: weight, 1: weight} each; they multiply ``sample_weight``.
    shuffle : whether each epoch has an order of its own. random_state : an int, RandomState or None; the same
        int gives the same bits, and begins with scikit-learn's weights and batches.
    warm_start : whether fit goes on from the last fit. verbose : whether to show progress on standard error.

    Attributes after fit: ``classes_``, ``coefs_`` and ``intercepts_`` (each layer's (in, out) and (out,)),
    ``loss_curve_``, ``loss_``, ``best_loss_``, ``validation_scores_``, ``best_validation_score_`` (None
    without early stopping), ``n_iter_`` (epochs), ``t_`` (rows seen), ``n_features_in_``,
    ``feature_names_in_``, ``n_layers_``, ``n_outputs_``, ``out_activation_``.

    Source: ``sklearn.neural_network.MLPClassifier``; G. Hinton, Connectionist learning procedures, Artificial
    Intelligence 40, 1989.

    >>> import fastml
    >>> from fastml import data
    >>> X, y = data.load_digits()
    >>> X_train, X_test, y_train, y_test = data.split(X / 16, y, seed=0)
    >>> clf = fastml.MLPClassifier((64,), batch_norm=True, epochs=20, random_state=0).fit(X_train, y_train)
    >>> bool(clf.score(X_test, y_test) > 0.95)
    True
    >>> clf.predict_proba(X_test[:2]).shape
    (2, 10)
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
        class_weight=None,
        optimizer=None,
        epochs=None,
    ):
        self._store(locals())

    @in_full_mode
    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """One epoch over X and y; returns self.

        ``classes``: all classes there will be, needed in the first call (not for multilabel targets).
        Raises as :meth:`fit`, and ValueError for early stopping, for ``class_weight="balanced"`` and for a
        class that the first call did not name.
        """
        return self._fit(X, y, sample_weight, once=True, classes=classes)

    @in_full_mode
    def predict(self, X):
        """Class of each row of X: (n,), for multilabel targets (n, outputs) of 0 and 1."""
        z = self._outputs(X)
        if self._encoder is None:
            return (z > 0).astype(np.int64)
        return self.classes_[self._index(z)]

    @in_full_mode
    def predict_proba(self, X):
        """Probabilities: (n, classes) in the order of ``classes_``; (n, outputs) for multilabel."""
        z = self._outputs(X)
        if self.out_activation_ == "softmax":
            return softmax(z, out=z)
        return expit(z if self._encoder is None else _both(z))

    @in_full_mode
    def predict_log_proba(self, X):
        """Logarithms of the probabilities, accurate also where those underflow."""
        z = self._outputs(X)
        if self.out_activation_ == "softmax":
            return log_softmax(z, out=z)
        return log_expit(z if self._encoder is None else _both(z))

    def _index(self, z):
        """Index of the class, from the outputs of a single-label network."""
        return z.argmax(axis=1) if self.out_activation_ == "softmax" else (z[:, 0] > 0).astype(np.int64)

    def _encode(self, y, dtype, fresh, once, classes):
        check_classification_targets(y)
        if y.ndim == 2:
            return self._encode_multilabel(y, dtype, fresh)
        if fresh:
            if once and classes is None:
                raise ValueError("classes must be given in the first call to partial_fit")
            with named("classes"):
                self._encoder = LabelEncoder().fit(as_array(classes, "classes") if once else y)
            self.classes_ = self._encoder.classes_
            # Two classes need one output: the logit of the second.
            self.n_outputs_ = 1 if len(self.classes_) == 2 else len(self.classes_)
            self.out_activation_ = "logistic" if len(self.classes_) == 2 else "softmax"
        elif self._encoder is None:
            raise ValueError(f"y must have {self.n_outputs_} columns, as in the first fit, not the shape {y.shape}")
        elif classes is not None:
            with named("classes"):
                same = np.array_equal(self.classes_, np.unique(as_array(classes, "classes")))
            if not same:
                raise ValueError(f"classes must be those of the first fit, {self.classes_}, not {classes}")
        if not fresh and not once and not np.array_equal(self.classes_, np.unique(y)):
            raise ValueError(
                f"y must have the classes of the previous fit with warm_start=True, {self.classes_}, not {np.unique(y)}"
            )
        labels = self._encoder.transform(y)
        return labels if self.out_activation_ == "softmax" else labels.astype(dtype)[:, None]

    def _encode_multilabel(self, y, dtype, fresh):
        if type_of_target(y) != "multilabel-indicator" or not np.isin(y, (0, 1)).all():
            seen = ", ".join(map(str, np.unique(y)[:5]))
            raise ValueError(f"y with several columns (one for each label) must hold 0 and 1 alone, not {seen}")
        if fresh:
            self._encoder = None
            self.classes_ = np.arange(y.shape[1])
            self.n_outputs_ = y.shape[1]
            self.out_activation_ = "logistic"
        elif self._encoder is not None or y.shape[1] != self.n_outputs_:
            raise ValueError(f"y must fit the {self.n_outputs_} outputs of the first fit, not have the shape {y.shape}")
        return y.astype(dtype)

    def _class_weighted(self, y, weight, o, once):
        if o.class_weight is None:
            return weight
        if once and isinstance(o.class_weight, str):
            raise ValueError(
                f"class_weight must be a dict or None in partial_fit, not {o.class_weight!r}, which is of all rows"
            )
        by_class = class_weights(o.class_weight, y, None if self._encoder is None else self.classes_)
        return by_class if weight is None else weight * by_class

    def _loss(self):
        if self.out_activation_ == "softmax":
            return nn.CrossEntropyLoss, 1, 1
        return nn.BCEWithLogitsLoss, self.n_outputs_, self.n_outputs_

    def _score_outputs(self, outputs, target, weight):
        if self._encoder is None:
            right = ((outputs > 0) == target).all(axis=1)
        else:
            right = self._index(outputs) == target.reshape(-1)
        return float(np.average(right, weights=weight))

    def _strata(self, target, n_val):
        if self._encoder is None:
            return None
        labels = target.reshape(-1).astype(np.int64)
        counts = np.bincount(labels)
        counts = counts[counts > 0]
        # Each class needs two rows, and each part a place for every class.
        possible = counts.min() >= 2 and len(counts) <= min(n_val, len(labels) - n_val)
        return labels if possible else None

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


def _both(z):
    """Logits of both classes, (n, 2), from the logit of the second, (n, 1)."""
    return np.concatenate([-z, z], axis=1)
