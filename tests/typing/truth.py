"""What a type says of a value, looked up at run time: the types that a checker infers must be those of the values."""

from collections.abc import Sequence
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

import numpy as np


def assert_type(value: Any, expected: Any) -> None:
    """typing.assert_type, which does nothing when it runs, with a look at the value."""
    assert holds(value, expected), f"{expected} is not the type of {value!r}"


def holds(value: Any, expected: Any) -> bool:
    """Whether a value is of a type, elements of tuples, lists and dicts included."""
    origin, args = get_origin(expected), get_args(expected)
    if expected is Any:
        return True
    if expected is None:
        return value is None
    if isinstance(expected, str):  # a class that cannot be subscripted at run time
        return type(value).__name__ == expected.partition("[")[0].rpartition(".")[2]
    if hasattr(alias := origin or expected, "__value__"):  # a "type" statement's, as NumPy's NDArray is from 2.5 on
        return holds(value, alias.__value__[args] if args else alias.__value__)
    if origin in (Union, UnionType):
        return any(holds(value, one) for one in args)
    if origin is Literal:
        return value in args
    if origin is np.ndarray:
        (scalar,) = get_args(args[1])
        return isinstance(value, np.ndarray) and (scalar is Any or issubclass(value.dtype.type, kinds(scalar)))
    if origin is tuple:
        args = args[:1] * len(value) if args[-1] is ... else args
        return isinstance(value, tuple) and len(value) == len(args) and all(map(holds, value, args))
    if origin is type:
        return isinstance(value, type) and issubclass(value, kinds(*args))
    if origin is Sequence:
        return isinstance(value, Sequence) and all(holds(item, *args) for item in value)
    if getattr(expected, "_is_protocol", False) and not getattr(expected, "_is_runtime_protocol", False):
        return hasattr(value, "__array__")
    if origin in (list, dict):
        pairs = value.items() if origin is dict else [(item,) for item in value]
        return isinstance(value, origin) and all(all(map(holds, pair, args)) for pair in pairs)
    return isinstance(value, kinds(expected))


def kinds(scalar: Any) -> Any:
    """The classes that a scalar's type stands for."""
    if get_origin(scalar) in (Union, UnionType):
        return tuple(kinds(one) for one in get_args(scalar))
    if isinstance(scalar, TypeVar):
        return scalar.__bound__ or scalar.__constraints__
    return get_origin(scalar) or scalar
