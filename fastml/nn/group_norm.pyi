import numpy as np
from numpy.typing import DTypeLike

from .module import Module, Parameter

class _Grouped(Module):
    eps: float
    affine: bool
    weight: Parameter | None
    bias: Parameter | None
    def __init__(self, channels: int, eps: float, affine: bool, dtype: DTypeLike) -> None: ...

class GroupNorm(_Grouped):
    num_groups: int
    num_channels: int
    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        *,
        dtype: DTypeLike = np.float32,
    ) -> None: ...

class InstanceNorm(_Grouped):
    num_features: int
    def __init__(
        self, num_features: int, eps: float = 1e-5, affine: bool = False, *, dtype: DTypeLike = np.float32
    ) -> None: ...
