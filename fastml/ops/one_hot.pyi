from typing import Any, SupportsIndex, TypeVar, overload

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .._choices import Unknown
from .._typing import Labels

_S = TypeVar("_S", bound=np.generic)

@overload
def one_hot(
    labels: Labels,
    num_classes: SupportsIndex | None = None,
    *,
    axis: int = -1,
    dtype: type[np.float32] = np.float32,
    unknown: Unknown = "error",
) -> NDArray[np.float32]: ...
@overload
def one_hot(
    labels: Labels,
    num_classes: SupportsIndex | None = None,
    *,
    axis: int = -1,
    dtype: type[_S] | np.dtype[_S],
    unknown: Unknown = "error",
) -> NDArray[_S]: ...
@overload
def one_hot(
    labels: Labels,
    num_classes: SupportsIndex | None = None,
    *,
    axis: int = -1,
    dtype: DTypeLike,
    unknown: Unknown = "error",
) -> NDArray[Any]: ...
