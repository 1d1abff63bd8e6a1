from typing import Any

from .._typing import Float, Reals
from ..optim._optimizer import Optimizer
from ..optim.ema import EMA
from .cross_entropy import _ClassLoss
from .losses import _ElementLoss
from .module import Module

def compile_step(
    model: Module,
    loss_fn: _ElementLoss[Float] | _ClassLoss[Float],
    optimizer: Optimizer,
    *,
    max_norm: float | None = None,
    clip_value: float | None = None,
    ema: EMA | None = None,
) -> Step: ...

class Step:
    model: Module
    loss_fn: _ElementLoss[Float] | _ClassLoss[Float]
    optimizer: Optimizer
    max_norm: float | None
    clip_value: float | None
    ema: EMA | None
    def __init__(
        self,
        model: Module,
        loss_fn: _ElementLoss[Float] | _ClassLoss[Float],
        optimizer: Optimizer,
        max_norm: float | None = None,
        clip_value: float | None = None,
        ema: EMA | None = None,
    ) -> None: ...
    def __call__(self, x: Reals, y: Any) -> Float: ...
    def describe(self) -> str: ...
