from typing import Literal, overload

import numpy as np
from numpy.typing import DTypeLike

from .._typing import Floats, Reals
from .module import Module, Parameter

class Linear(Module):
    in_features: int
    out_features: int
    weight: Parameter
    bias: Parameter | None
    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        dtype: DTypeLike = np.float32,
        seed: int | None = None,
    ) -> None: ...
    @overload
    def backward(self, grad: Reals, input_grad: Literal[True] = True) -> Floats: ...
    @overload
    def backward(self, grad: Reals, input_grad: Literal[False]) -> None: ...
    @overload
    def backward(self, grad: Reals, input_grad: bool) -> Floats | None: ...
