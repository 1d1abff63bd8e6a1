"""The gate for arguments that are no arrays: numbers, flags, texts, lists, saved states; one form of all errors.

An error says what its argument must be and what was seen. Kernels and faces find all of it in `_check`.
"""

import math
import operator
import os
import re
import sys
from collections.abc import Mapping
from contextlib import contextmanager
from typing import get_args

import numpy as np


def number(value, name, low=-math.inf, high=math.inf, ends="[]", others=""):
    """A real number from low to high as a float; NaN lies in no range. ``ends``: whether low, and high, belong to it,
    "(" and ")" where not. ``others``: what else may be given, in words."""
    if type(value) is float and low < value < high:
        return value
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{name} must be a real number{others}, not {shown(value)}")
    try:
        x = float(value)  # before comparing: a bound would be rounded to a NumPy scalar's own precision
    except OverflowError:
        x = math.inf if value > 0 else -math.inf
    if not low <= x <= high or (x == low and ends[0] == "(") or (x == high and ends[1] == ")"):
        raise outside(name, value, x, low, high, ends, others)
    return x


def positive(value, name, others=""):
    """A real number above 0 as a float."""
    return number(value, name, 0, ends="(]", others=others)


def nonzero(value, name):
    """A real number other than 0 as a float."""
    x = number(value, name)
    if x == 0:
        raise ValueError(f"{name} must be other than 0, not {shown(value)}")
    return x


def integer(value, name, low=-math.inf, high=math.inf, others=""):
    """An integer within [low, high] as an int; a bool is none. ``others``: what else may be given, in words."""
    try:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError
        value = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer{others}, not {shown(value)}") from None
    if not low <= value <= high:
        raise outside(name, value, value, low, high, others=others)
    return value


#: More of anything could not be held, and NumPy's own sizes in bytes overflow on the way to saying so.
MOST = 2**48


def size(value, name, others=""):
    """A number of things, one at least, as an int."""
    return integer(value, name, 1, MOST, others)


def seed(value, others=""):
    """A seed as an int: all generators here begin with 64 bits."""
    return integer(value, "seed", 0, 2**64 - 1, others)


def outside(name, value, x, low, high, ends="[]", others=""):
    """The error for a value that as a number x is outside a range. It names both ends only where both are the
    argument's own: the end of a type's range is nobody's wish."""
    least = f"{'greater than' if ends[0] == '(' else 'at least'} {low}"
    most = f"{'less than' if ends[1] == ')' else 'at most'} {high}"
    if max(abs(low), abs(high)) < 2**31:
        wanted = f"between {low} and {high}" if ends == "[]" else f"{least} and {most}"
    elif math.isfinite(x) or x == low == 0:
        wanted = most if x >= high else least
    else:
        wanted = "a number" if low == -high == -math.inf else "finite" if x == math.inf or low < -(2**31) else least
    return ValueError(f"{name} must be {wanted}{others}, not {shown(value)}")


def flag(value, name):
    """True or False as a bool, 1 and 0 too; anything else, such as the text "False", is a mistake."""
    if isinstance(value, (int, np.integer)) and value in (0, 1):
        return bool(value)
    return boolean(value, name)


def boolean(value, name):
    """True or False as a bool, and nothing else, as scikit-learn takes them."""
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    raise TypeError(f"{name} must be True or False, not {shown(value)}")


def choice(value, name, options, others=""):
    """value, if it is one of the options, a Literal or a tuple of texts (one may be None). ``others``: what else may be
    given."""
    options = get_args(options) or options
    if (value is None or isinstance(value, str)) and value in options:
        return value
    *most, last = map(repr, options)
    raise ValueError(f"{name} must be {', '.join(most)} or {last}{others}, not {shown(value)}{hint(value, options)}")


def hint(value, options):
    """What ends an error about a text that is none of the options: the one that is spelt nearly so, if there is one."""
    if not isinstance(value, str) or len(value) > 60:  # what is longer is no slip
        return ""
    from difflib import get_close_matches  # an error's affair

    names = {option.lower(): option for option in options if isinstance(option, str)}
    near = get_close_matches(value.lower(), names, n=1)
    return f" (did you mean {names[near[0]]!r}?)" if near else ""


def text(value, name):
    """A str."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a text, not {shown(value)}")
    return value


def as_dtype(value, name="dtype"):
    """value as a NumPy dtype."""
    try:
        return np.dtype(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a dtype, not {shown(value)}{hint(value, np.sctypeDict)}") from None


def each(values, name):
    """The values of a list or of anything else that can be gone through, as a tuple."""
    try:
        return tuple(values)
    except TypeError:
        raise TypeError(f"{name} must be a list or a tuple, not {shown(values)}") from None


@contextmanager
def named(name):
    """What another library says about an argument, under the argument's name."""
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:
        if re.search(rf"\b{re.escape(name)}\b", str(error)):
            raise
        kind = ValueError if isinstance(error, ValueError) else TypeError
        raise kind(f"{name} cannot be used: {str(error) or type(error).__name__}") from error


def path(value, name="path"):
    """A path as the text or bytes that it is."""
    try:
        return os.fspath(value)
    except TypeError:
        raise TypeError(f"{name} must be a path, not {shown(value)}") from None


def shown(value):
    """A value as an error shows it: numbers and short texts as they are, everything else by its type."""
    if value is None or isinstance(value, (bool, int, float, str, tuple, np.generic)):
        return repr(value) if len(repr(value)) <= 60 else repr(value)[:57] + "..."
    return type(value).__name__


def entries(state, names, owner, name="state"):
    """The values of these names in a saved state, a dict; ValueError that lists those that it lacks."""
    state = mapping(state, name)
    if missing := [str(key) for key in names if key not in state]:
        raise ValueError(f"{name} must be that of {owner}, not without {', '.join(missing)}")
    return [state[key] for key in names]


def mapping(value, name):
    """A dict, or what is like one."""
    if not isinstance(value, Mapping):
        raise TypeError(f"{name} must be a dict, not {shown(value)}")
    return value


def shape_tuple(shape):
    """An integer or a sequence of integers >= 0 as a tuple."""
    if not isinstance(shape, (tuple, list)):
        shape = (shape,)
    return tuple([integer(n, "shape", 0, sys.maxsize) for n in shape])
