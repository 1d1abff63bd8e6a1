from typing import Any, Generic, Literal, overload

from numpy.typing import NDArray

from .._choices import Reduced, Reduction
from .._tracked import Tracked
from .._typing import Float, Floats, Reals, Target
from .losses import _L_co

class _ClassLoss(Tracked, Generic[_L_co]):
    reduction: Reduction
    weight: NDArray[Any] | None
    ignore_index: int | None
    label_smoothing: float
    z_loss: float
    axis: int
    def __init__(
        self, weight: Reals | None, ignore_index: int | None, label_smoothing: float, reduction: Reduction, axis: int
    ) -> None: ...
    def __call__(self, y: Reals, target: Target) -> tuple[_L_co, Floats]: ...

class CrossEntropyLoss(_ClassLoss[_L_co]):
    @overload
    def __init__(
        self: CrossEntropyLoss[Float],
        weight: Reals | None = None,
        *,
        ignore_index: int | None = None,
        label_smoothing: float = 0.0,
        z_loss: float = 0.0,
        reduction: Reduced = "mean",
        axis: int = -1,
    ) -> None: ...
    @overload
    def __init__(
        self: CrossEntropyLoss[Floats],
        weight: Reals | None = None,
        *,
        ignore_index: int | None = None,
        label_smoothing: float = 0.0,
        z_loss: float = 0.0,
        reduction: Literal["none"],
        axis: int = -1,
    ) -> None: ...

class NLLLoss(_ClassLoss[_L_co]):
    @overload
    def __init__(
        self: NLLLoss[Float],
        weight: Reals | None = None,
        *,
        ignore_index: int | None = None,
        label_smoothing: float = 0.0,
        reduction: Reduced = "mean",
        axis: int = -1,
    ) -> None: ...
    @overload
    def __init__(
        self: NLLLoss[Floats],
        weight: Reals | None = None,
        *,
        ignore_index: int | None = None,
        label_smoothing: float = 0.0,
        reduction: Literal["none"],
        axis: int = -1,
    ) -> None: ...
