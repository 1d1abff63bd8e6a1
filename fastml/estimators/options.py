"""The constructor's parameters, checked when fit begins, with every choice resolved."""

import math
from numbers import Integral, Real
from types import SimpleNamespace
from typing import get_args

import numpy as np

from .._check import MOST, boolean, choice, number, shown, size
from .._choices import Hidden, Rate, Solver

SOLVERS = get_args(Solver)

# name: range, and which of its ends belong to it.
_NUMBERS = {
    "alpha": (0, math.inf, "[)"),
    "learning_rate_init": (0, math.inf, "()"),
    "power_t": (0, math.inf, "[)"),
    "tol": (0, math.inf, "[)"),
    "momentum": (0, 1),
    "validation_fraction": (0, 1, "()"),
    "beta_1": (0, 1, "[)"),
    "beta_2": (0, 1, "[)"),
    "epsilon": (0, math.inf, "()"),
    "n_iter_no_change": (1, math.inf),
    "dropout": (0, 1, "[)"),
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
        size(o.epochs, "epochs")
        o.max_iter = o.epochs
    if o.optimizer is not None:
        choice(o.optimizer, "optimizer", Solver)
        o.solver = o.optimizer
    if isinstance(o.learning_rate, Real):
        o.learning_rate_init = number(o.learning_rate, "learning_rate", *_NUMBERS["learning_rate_init"])
        o.learning_rate = "constant"
    for name, limits in _NUMBERS.items():
        number(getattr(o, name), name, *limits)
    size(o.max_iter, "max_iter")
    for name in _SWITCHES:
        boolean(getattr(o, name), name)
    if not isinstance(o.verbose, (bool, np.bool_, Integral)):
        raise TypeError(f"verbose must be True, False or an integer, not {shown(o.verbose)}")
    choice(o.activation, "activation", Hidden)
    choice(o.solver, "solver", Solver)
    choice(o.learning_rate, "learning_rate", Rate, ", or a positive number")
    o.hidden_layer_sizes = _widths(o.hidden_layer_sizes)
    if not (o.batch_size is None or (isinstance(o.batch_size, str) and o.batch_size == "auto")):
        size(o.batch_size, "batch_size", ", 'auto' or None")
    if o.batch_norm and o.batch_size == 1:
        raise ValueError("batch_size must be at least two rows with batch_norm=True, not 1")
    return o


def _widths(sizes):
    widths = tuple(sizes) if np.iterable(sizes) and not isinstance(sizes, str) else (sizes,)
    for width in widths:
        if not isinstance(width, Integral) or isinstance(width, (bool, np.bool_)) or not 1 <= width <= MOST:
            raise ValueError(f"hidden_layer_sizes must be integers of at least 1, not {shown(sizes)}")
    return tuple(map(int, widths))
