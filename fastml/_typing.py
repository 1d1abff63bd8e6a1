"""The types of arrays, for the stubs alone: nothing imports this at run time.

What goes in is wide: arrays, whatever becomes one, numbers, nested lists. What comes out is narrow: a stub's first
overload keeps the array's own precision, its second one is for what has none that a type checker knows.
The types of options are those that the checks at run time read, in `_choices`.
"""

from collections.abc import Sequence
from os import PathLike
from typing import Any, Protocol, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

#: float32 or float64, in and out.
F = TypeVar("F", np.float32, np.float64)
#: A result in the precision of the input, where its type does not tell which that is.
Float: TypeAlias = np.floating[Any]
Floats: TypeAlias = NDArray[np.floating[Any]]
Double: TypeAlias = NDArray[np.float64]


class _HasReals(Protocol):
    """An array of real numbers, a tensor, or what else becomes such an array."""

    def __array__(self) -> NDArray[np.floating[Any] | np.integer[Any] | np.bool_]: ...


class _HasLabels(Protocol):
    def __array__(self) -> NDArray[np.integer[Any]]: ...


class _HasTarget(Protocol):
    def __array__(self) -> NDArray[np.floating[Any] | np.integer[Any]]: ...


E = TypeVar("E")
#: Lists of lists, as far down as anybody writes them: without an end, a text would be one too.
Nested: TypeAlias = E | Sequence[E] | Sequence[Sequence[E]] | Sequence[Sequence[Sequence[E]]]

Reals: TypeAlias = Nested[float | _HasReals]
Labels: TypeAlias = Nested[int | _HasLabels]
#: Class labels, or class probabilities.
Target: TypeAlias = Nested[float | _HasTarget]
#: What is updated in place.
Arrays: TypeAlias = Sequence[NDArray[np.floating[Any]]]
Path: TypeAlias = str | bytes | PathLike[str] | PathLike[bytes]
