from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Generic, Literal, TypeAlias, TypeVar, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

_A = TypeVar("_A", bound=np.generic)
_B = TypeVar("_B", bound=np.generic)
_C = TypeVar("_C", bound=np.generic)
_Batch_co = TypeVar("_Batch_co", covariant=True)
_Size: TypeAlias = int | Literal["auto"] | None
_Arrays: TypeAlias = tuple[NDArray[Any], ...]

# The tuples of up to three arrays keep the arrays' types.
@overload
def batches(
    a: NDArray[_A],
    /,
    *,
    batch_size: _Size = "auto",
    shuffle: bool = True,
    seed: int | None = 0,
    drop_last: bool = False,
    prefetch: int = 0,
) -> Batches[tuple[NDArray[_A]]]: ...
@overload
def batches(
    a: NDArray[_A],
    b: NDArray[_B],
    /,
    *,
    batch_size: _Size = "auto",
    shuffle: bool = True,
    seed: int | None = 0,
    drop_last: bool = False,
    prefetch: int = 0,
) -> Batches[tuple[NDArray[_A], NDArray[_B]]]: ...
@overload
def batches(
    a: NDArray[_A],
    b: NDArray[_B],
    c: NDArray[_C],
    /,
    *,
    batch_size: _Size = "auto",
    shuffle: bool = True,
    seed: int | None = 0,
    drop_last: bool = False,
    prefetch: int = 0,
) -> Batches[tuple[NDArray[_A], NDArray[_B], NDArray[_C]]]: ...
@overload
def batches(
    *arrays: ArrayLike,
    batch_size: _Size = "auto",
    shuffle: bool = True,
    seed: int | None = 0,
    drop_last: bool = False,
    prefetch: int = 0,
) -> Batches[_Arrays]: ...
@overload
def split(a: NDArray[_A], /, *, test_size: float = 0.2, seed: int | None = 0) -> tuple[NDArray[_A], NDArray[_A]]: ...
@overload
def split(
    a: NDArray[_A], b: NDArray[_B], /, *, test_size: float = 0.2, seed: int | None = 0
) -> tuple[NDArray[_A], NDArray[_A], NDArray[_B], NDArray[_B]]: ...
@overload
def split(
    a: NDArray[_A], b: NDArray[_B], c: NDArray[_C], /, *, test_size: float = 0.2, seed: int | None = 0
) -> tuple[NDArray[_A], NDArray[_A], NDArray[_B], NDArray[_B], NDArray[_C], NDArray[_C]]: ...
@overload
def split(*arrays: ArrayLike, test_size: float = 0.2, seed: int | None = 0) -> _Arrays: ...

class Batches(Generic[_Batch_co]):
    arrays: _Arrays
    batch_size: int
    shuffle: bool
    seed: int
    drop_last: bool
    prefetch: int
    epoch: int
    def __init__(
        self: Batches[_Arrays],
        arrays: Iterable[ArrayLike],
        batch_size: _Size = "auto",
        shuffle: bool = True,
        seed: int | None = 0,
        drop_last: bool = False,
        prefetch: int = 0,
    ) -> None: ...
    def __len__(self) -> int: ...
    def __iter__(self) -> Pass[_Batch_co]: ...
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: Mapping[str, Any]) -> None: ...

class Pass(Iterator[_Batch_co]):
    epoch: int
    over: bool
    @property
    def batch(self) -> int: ...
    def __init__(self, batches: Iterator[_Batch_co], epoch: int, batch: int) -> None: ...
    def __next__(self) -> _Batch_co: ...
    def close(self) -> None: ...
