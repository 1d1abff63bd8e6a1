from collections.abc import Sequence

import numpy as np
from numpy.typing import DTypeLike

from .module import Module, Parameter

class TrailingNorm(Module):
    normalized_shape: tuple[int, ...]
    eps: float
    elementwise_affine: bool
    weight: Parameter | None
    bias: Parameter | None
    def __init__(
        self, normalized_shape: int | Sequence[int], eps: float, weight: bool, bias: bool, dtype: DTypeLike
    ) -> None: ...

class LayerNorm(TrailingNorm):
    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        *,
        dtype: DTypeLike = np.float32,
    ) -> None: ...
