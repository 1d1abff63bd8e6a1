"""Checks of options that the modules of data sets share."""

import math
import operator

import numpy as np

#: More of anything could not be held, and NumPy's own sizes in bytes overflow on the way to saying so.
MOST = 2**48


def integer(value, name, least=None, others="", most=MOST):
    """An integer of at least ``least``, and at most ``most`` (None: any), as an int; a bool is none. ``others``: what
    else may be given, in words."""
    if isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be an integer{others}, got {value!r}")
    try:
        value = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer{others}, got {value!r}") from None
    if least is not None and value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")
    if most is not None and value > most:
        raise ValueError(f"{name} must be at most {most}, got {value}")
    return value


def number(value, name, least=-math.inf, most=math.inf):
    """A finite number from ``least`` to ``most`` as a float."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{name} must be a number, got {value!r}")
    if not (least <= value <= most and math.isfinite(value)):
        raise ValueError(f"{name} must lie between {least:g} and {most:g}, got {value}")
    return float(value)


def seed_of(seed):
    """A seed as an int; None takes one from the operating system."""
    if seed is None:
        return np.random.SeedSequence().entropy
    return integer(seed, "seed", 0, " or None", None)
