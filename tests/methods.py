"""A valid call of every public method of every public class, found by introspection: METHODS by "module.Class.method".

Each class has one function here that gives the values which its methods' arguments may have, by the arguments' names; a
method without a value for an argument that it needs makes test_hostile.py fail, and so does a class without such a
function.
"""

import inspect

import numpy as np
import pytest

from fastml import data, metrics, nn, optim, preprocessing

from .arrays import normal
from .calls import CALLABLES, CALLS, Call, P, X, Y, held_gradients, two_steps

try:
    from sklearn.base import BaseEstimator
except ImportError:
    BaseEstimator = ()

#: What y is called by the functions that a step, a loss or a display hands it on to.
HANDED_ON = ("target", "input", "logits", "log_probs", "y_true")
#: What only compile_step calls, with a plan that it makes, and what scikit-learn writes into its estimators.
NOT_OURS = ("lower", "lower_each", "sample_shape", "set_fit_request", "set_partial_fit_request", "set_score_request")


def public_classes():
    """{"module.Class": class} of all public classes, and of the objects that public functions return."""
    found = {name: value for name, value in CALLABLES.items() if inspect.isclass(value)}
    return found | {"fastml.nn.compile_step()": nn.step.Step}


def public_methods(cls):
    """{name: function} of what fastml defines in a class or its bases; bound to the class where that is given to it."""
    found = {}
    for name in dir(cls):
        owner = next(base for base in cls.__mro__ if name in vars(base))
        if name in NOT_OURS or not owner.__module__.startswith("fastml") or not callable(getattr(cls, name)):
            continue
        if name in ("__call__", "__getitem__") or not name.startswith("_"):
            found[name] = getattr(cls, name)
    return found


# ---- values by argument, for an object ------------------------------------------------------------------------


def of_module(module):
    x = normal(
        (5, 4, 3, 2)[: {"Dropout1d": 3, "InstanceNorm": 3, "Dropout2d": 4}.get(type(module).__name__, 2)], seed=3
    )
    values = {"state": module.state_dict(), "index": 0}
    return values if type(module) is nn.Module else {**values, "x": x, "grad": np.ones_like(module(x))}


def of_loss(loss_fn):
    classes = isinstance(loss_fn, (nn.CrossEntropyLoss, nn.NLLLoss))
    return {"y": np.log(P[:, :3] if classes else P), "target": Y if classes else P}


def of_step(step):
    return {"x": X.copy(), "y": Y.copy()}


def of_optimizer(optimizer):
    two_steps(optimizer)
    return {"grads": [np.full(4, 0.5, np.float32), np.full((2, 3), 0.5)], **of_saved(optimizer)}


def of_saved(thing):
    """What only has a state."""
    return {"state": thing.state_dict()} if hasattr(thing, "state_dict") else {}


def of_ema(ema):
    return {"parameter": nn.Parameter(np.ones(3)), **of_saved(ema)}


def of_schedule(schedule):
    return {"metrics": 1.0, **of_saved(schedule)}


def of_scaler(scaler):
    scaler.unscale_(*held_gradients())  # update follows
    return {"optimizer": held_gradients()[0], "outputs": 1.0, "new_scale": 2.0, **of_saved(scaler)}


def of_transformer(transformer):
    one_hot = isinstance(transformer, preprocessing.OneHotEncoder)
    x = Y.reshape(-1, 1).copy() if one_hot else X.copy()
    encoded = transformer.set_params(**{"sparse_output": False} if one_hot else {}).fit(x).transform(x)
    other = type(transformer)().fit(x)
    return {"X": x, "other": other, "inverse_transform": {"X": encoded}}


def of_confusion(matrix):
    matrix.update(Y, Y)
    other = metrics.ConfusionMatrix(3)
    other.update(Y, Y)
    return {"y_true": Y.copy(), "y_pred": Y.copy(), "other": other}


class Predicts:
    def predict(self, X):
        return Y


def of_display(display):
    figure = pytest.importorskip("matplotlib.figure").Figure()
    values = {"y_true": Y.copy(), "y_pred": Y.copy(), "estimator": Predicts(), "X": X.copy(), "y": Y.copy()}
    return {"ax": figure.subplots(), **values}


def of_estimator(estimator):
    y = Y if type(estimator).__name__ == "MLPClassifier" else X[:, 0]
    estimator.fit(X, y)
    return {"X": X.copy(), "y": y.copy()}


FAMILIES = (
    (nn.Module, of_module),
    ((nn.losses._ElementLoss, nn.cross_entropy._ClassLoss), of_loss),
    (nn.step.Step, of_step),
    ((optim._optimizer.Optimizer, optim.Accumulate), of_optimizer),
    (optim.EMA, of_ema),
    ((optim.schedules.Schedule, optim.ReduceLROnPlateau), of_schedule),
    (optim.GradScaler, of_scaler),
    (data.Batches, of_saved),
    (preprocessing._base.Transformer, of_transformer),
    (metrics.ConfusionMatrix, of_confusion),
    (metrics.ConfusionMatrixDisplay, of_display),
    (BaseEstimator, of_estimator),
)


ALWAYS_REFUSED = {(nn.Module, name) for name in ("__call__", "forward", "backward")} | {
    (preprocessing.RobustScaler, "merge")
}


def values_for(thing):
    return next((values(thing) for kinds, values in FAMILIES if isinstance(thing, kinds)), {})


def signature_of(cls, name):
    """Of the method, without the object."""
    if cls is nn.step.Step and name == "__call__":
        return inspect.signature(lambda x, y=None: None)  # compiled: it does not tell
    method = getattr(cls, name)
    parameters = list(inspect.signature(method).parameters.values())
    return inspect.Signature(parameters if inspect.ismethod(method) else parameters[1:])


def call_of(example, cls, name):
    """The method of an object that is made anew for each call."""

    def function(self, **args):
        return getattr(self, name)(**args)

    function.__signature__ = signature_of(cls, name)
    needed = function.__signature__.parameters

    def make():
        args = example.make()
        thing = example.function(*(args.pop(example.star) if example.star else ()), **args)
        values = values_for(thing)
        values |= values.get(name, {})
        return {"self": thing, **{p: values[p] for p in needed if p in values}}

    return Call(function, make, also=(*example.also, *(HANDED_ON if "y" in needed else ())))


METHODS = {
    f"{class_name}.{name}": call_of(CALLS[class_name.removesuffix("()")], cls, name)
    for class_name, cls in public_classes().items()
    for name in public_methods(cls)
    if (cls, name) not in ALWAYS_REFUSED
}
