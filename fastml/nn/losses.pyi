from typing import Any, Generic, Literal, overload

from numpy.typing import NDArray
from typing_extensions import TypeVar

from .._choices import Reduced, ReducedKL, ReductionKL
from .._tracked import Tracked
from .._typing import Float, Floats, Reals, Target

_L_co = TypeVar("_L_co", Float, Floats, default=Float, covariant=True)

# A loss of one number, or with reduction="none" of an array of them.
class _ElementLoss(Tracked, Generic[_L_co]):
    reduction: ReductionKL
    def __init__(self, reduction: str, reductions: Any = ...) -> None: ...
    def __call__(self, y: Reals, target: Target) -> tuple[_L_co, Floats]: ...

class MSELoss(_ElementLoss[_L_co]):
    @overload
    def __init__(self: MSELoss[Float], *, reduction: Reduced = "mean") -> None: ...
    @overload
    def __init__(self: MSELoss[Floats], *, reduction: Literal["none"]) -> None: ...

class L1Loss(_ElementLoss[_L_co]):
    @overload
    def __init__(self: L1Loss[Float], *, reduction: Reduced = "mean") -> None: ...
    @overload
    def __init__(self: L1Loss[Floats], *, reduction: Literal["none"]) -> None: ...

class HuberLoss(_ElementLoss[_L_co]):
    delta: float
    @overload
    def __init__(self: HuberLoss[Float], *, delta: float = 1.0, reduction: Reduced = "mean") -> None: ...
    @overload
    def __init__(self: HuberLoss[Floats], *, delta: float = 1.0, reduction: Literal["none"]) -> None: ...

class LogCoshLoss(_ElementLoss[_L_co]):
    @overload
    def __init__(self: LogCoshLoss[Float], *, reduction: Reduced = "mean") -> None: ...
    @overload
    def __init__(self: LogCoshLoss[Floats], *, reduction: Literal["none"]) -> None: ...

class BCEWithLogitsLoss(_ElementLoss[_L_co]):
    weight: NDArray[Any] | None
    pos_weight: NDArray[Any] | None
    @overload
    def __init__(
        self: BCEWithLogitsLoss[Float],
        weight: Reals | None = None,
        *,
        pos_weight: Reals | None = None,
        reduction: Reduced = "mean",
    ) -> None: ...
    @overload
    def __init__(
        self: BCEWithLogitsLoss[Floats],
        weight: Reals | None = None,
        *,
        pos_weight: Reals | None = None,
        reduction: Literal["none"],
    ) -> None: ...

class KLDivLoss(_ElementLoss[_L_co]):
    log_target: bool
    @overload
    def __init__(self: KLDivLoss[Float], *, log_target: bool = False, reduction: ReducedKL = "mean") -> None: ...
    @overload
    def __init__(self: KLDivLoss[Floats], *, log_target: bool = False, reduction: Literal["none"]) -> None: ...
