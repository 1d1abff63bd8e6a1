"""The constructor's parameters, checked when fit begins, with every choice resolved."""

import math
from numbers import Integral, Real
from types import SimpleNamespace

import numpy as np

from .._check import shown
from ..nn.module import MOST
from .network import ACTIVATIONS

SOLVERS = ("adagrad", "adam", "adamw", "rmsprop", "sgd")
RATES = ("constant", "cosine", "invscaling", "adaptive")

# name: kind, least, greatest, and which of the two belong to the range.
_NUMBERS = {
    "alpha": (Real, 0, math.inf, "[)"),
    "learning_rate_init": (Real, 0, math.inf, "()"),
    "power_t": (Real, 0, math.inf, "[)"),
    "max_iter": (Integral, 1, math.inf, "[)"),
    "tol": (Real, 0, math.inf, "[)"),
    "momentum": (Real, 0, 1, "[]"),
    "validation_fraction": (Real, 0, 1, "()"),
    "beta_1": (Real, 0, 1, "[)"),
    "beta_2": (Real, 0, 1, "[)"),
    "epsilon": (Real, 0, math.inf, "()"),
    "n_iter_no_change": (Real, 1, math.inf, "[]"),
    "dropout": (Real, 0, 1, "[)"),
}
_SWITCHES = ("shuffle", "warm_start", "nesterovs_momentum", "early_stopping", "batch_norm")


def resolve(estimator):
    """The parameters of ``estimator`` as attributes: ``optimizer`` and ``epochs`` have gone into ``solver``
    and ``max_iter``, a number for ``learning_rate`` into ``learning_rate_init``, and
    ``hidden_layer_sizes`` is a tuple of integers. ValueError (TypeError for another kind of value) names the
    parameter and what was seen."""
    o = SimpleNamespace(**estimator.get_params(deep=False))
    # Whoever counts the epochs, or lets the rate fall to zero in the last one, does not ask for convergence.
    o.ends_by_plan = o.epochs is not None or (isinstance(o.learning_rate, str) and o.learning_rate == "cosine")
    if o.epochs is not None:
        _number("epochs", o.epochs, *_NUMBERS["max_iter"])
        o.max_iter = o.epochs
    if o.optimizer is not None:
        _choice("optimizer", o.optimizer, SOLVERS)
        o.solver = o.optimizer
    if isinstance(o.learning_rate, Real):
        _number("learning_rate", o.learning_rate, *_NUMBERS["learning_rate_init"])
        o.learning_rate, o.learning_rate_init = "constant", float(o.learning_rate)
    for name, limits in _NUMBERS.items():
        _number(name, getattr(o, name), *limits)
    for name in _SWITCHES:
        value = getattr(o, name)
        if not isinstance(value, (bool, np.bool_)):
            raise TypeError(f"{name} must be True or False, got {value!r}")
    if not isinstance(o.verbose, (bool, np.bool_, Integral)):
        raise TypeError(f"verbose must be True, False or an integer, not {shown(o.verbose)}")
    _choice("activation", o.activation, tuple(ACTIVATIONS))
    _choice("solver", o.solver, SOLVERS)
    _choice("learning_rate", o.learning_rate, RATES, " or a positive number")
    o.hidden_layer_sizes = _widths(o.hidden_layer_sizes)
    if not (o.batch_size is None or (isinstance(o.batch_size, str) and o.batch_size == "auto")):
        _number("batch_size", o.batch_size, Integral, 1, math.inf, "[)", ", 'auto' or None")
    if o.batch_norm and o.batch_size == 1:
        raise ValueError("batch_norm=True needs at least two rows in a batch, got batch_size=1")
    return o


def _number(name, value, kind, low, high, ends, others=""):
    if not isinstance(value, kind) or isinstance(value, (bool, np.bool_)):
        wanted = "an integer" if kind is Integral else "a number"
        raise TypeError(f"{name} must be {wanted}{others}, got {value!r}")
    too_low = not (value > low if ends[0] == "(" else value >= low)
    too_high = not (value < high if ends[1] == ")" else value <= high)
    if too_low or too_high:
        raise ValueError(f"{name} must lie in {ends[0]}{low}, {high}{ends[1]}{others}, got {value!r}")


def _choice(name, value, choices, others=""):
    if not isinstance(value, str) or value not in choices:
        listed = ", ".join(map(repr, choices))
        raise ValueError(f"{name} must be one of {listed}{others}, got {value!r}")


def _widths(sizes):
    widths = tuple(sizes) if np.iterable(sizes) and not isinstance(sizes, str) else (sizes,)
    for width in widths:
        if not isinstance(width, Integral) or isinstance(width, (bool, np.bool_)) or not 1 <= width <= MOST:
            raise ValueError(f"hidden_layer_sizes must be integers from 1 to {MOST}, got {sizes!r}")
    return tuple(map(int, widths))
