from typing import Literal, overload

from numpy.typing import NDArray

from .._choices import Reduced
from .._typing import F, Float, Floats, Reals, Target

@overload
def linear_cross_entropy_with_grad(
    x: NDArray[F],
    weight: NDArray[F],
    target: Target,
    *,
    bias: Reals | None = None,
    class_weight: Reals | None = None,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    reduction: Reduced = "mean",
) -> tuple[F, NDArray[F], NDArray[F], NDArray[F]]: ...
@overload
def linear_cross_entropy_with_grad(
    x: NDArray[F],
    weight: NDArray[F],
    target: Target,
    *,
    bias: Reals | None = None,
    class_weight: Reals | None = None,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    reduction: Literal["none"],
) -> tuple[NDArray[F], NDArray[F], NDArray[F], NDArray[F]]: ...
@overload
def linear_cross_entropy_with_grad(
    x: Reals,
    weight: Reals,
    target: Target,
    *,
    bias: Reals | None = None,
    class_weight: Reals | None = None,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    reduction: Reduced = "mean",
) -> tuple[Float, Floats, Floats, Floats]: ...
@overload
def linear_cross_entropy_with_grad(
    x: Reals,
    weight: Reals,
    target: Target,
    *,
    bias: Reals | None = None,
    class_weight: Reals | None = None,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    reduction: Literal["none"],
) -> tuple[Floats, Floats, Floats, Floats]: ...
