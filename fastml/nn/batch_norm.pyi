from typing import Literal

import numpy as np
from numpy.typing import DTypeLike

from .._choices import Convention
from .._typing import Floats
from .module import Module, Parameter

class BatchNorm(Module):
    num_features: int
    eps: float
    momentum: float | None
    channel_axis: int
    convention: Convention
    weight: Parameter | None
    bias: Parameter | None
    running_mean: Floats | None
    running_var: Floats | None
    num_batches_tracked: int | None
    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | Literal["default"] | None = "default",
        affine: bool = True,
        track_running_stats: bool = True,
        *,
        channel_axis: int = 1,
        convention: Convention = "torch",
        dtype: DTypeLike = np.float32,
    ) -> None: ...
