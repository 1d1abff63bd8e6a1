from collections.abc import Sequence
from typing import overload

import numpy as np
from numpy.typing import NDArray

from .._typing import F, Floats, Reals

@overload
def dropout(
    x: NDArray[F], p: float = 0.5, *, seed: int, offset: int = 0, out: NDArray[F] | None = None
) -> NDArray[F]: ...
@overload
def dropout(x: Reals, p: float = 0.5, *, seed: int, offset: int = 0, out: Floats | None = None) -> Floats: ...
@overload
def dropout_backward(
    grad: NDArray[F], p: float = 0.5, *, seed: int, offset: int = 0, out: NDArray[F] | None = None
) -> NDArray[F]: ...
@overload
def dropout_backward(
    grad: Reals, p: float = 0.5, *, seed: int, offset: int = 0, out: Floats | None = None
) -> Floats: ...
def dropout_mask(shape: int | Sequence[int], p: float = 0.5, *, seed: int, offset: int = 0) -> NDArray[np.bool_]: ...
