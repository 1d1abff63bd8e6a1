from collections.abc import Sequence

import numpy as np
from numpy.typing import DTypeLike

from .layer_norm import TrailingNorm

class RMSNorm(TrailingNorm):
    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-6,
        elementwise_affine: bool = True,
        *,
        dtype: DTypeLike = np.float32,
    ) -> None: ...
