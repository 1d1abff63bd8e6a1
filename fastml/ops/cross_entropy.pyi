from typing import Literal, overload

from numpy.typing import NDArray

from .._choices import Reduced
from .._typing import F, Float, Floats, Reals, Target

@overload
def cross_entropy(
    logits: NDArray[F],
    target: Target,
    axis: int = -1,
    *,
    weight: Reals | None = None,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    reduction: Reduced = "mean",
) -> F: ...
@overload
def cross_entropy(
    logits: NDArray[F],
    target: Target,
    axis: int = -1,
    *,
    weight: Reals | None = None,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    reduction: Literal["none"],
) -> NDArray[F]: ...
@overload
def cross_entropy(
    logits: Reals,
    target: Target,
    axis: int = -1,
    *,
    weight: Reals | None = None,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    reduction: Reduced = "mean",
) -> Float: ...
@overload
def cross_entropy(
    logits: Reals,
    target: Target,
    axis: int = -1,
    *,
    weight: Reals | None = None,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    reduction: Literal["none"],
) -> Floats: ...
@overload
def cross_entropy_with_grad(
    logits: NDArray[F],
    target: Target,
    axis: int = -1,
    *,
    weight: Reals | None = None,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    reduction: Reduced = "mean",
    out: NDArray[F] | None = None,
) -> tuple[F, NDArray[F]]: ...
@overload
def cross_entropy_with_grad(
    logits: NDArray[F],
    target: Target,
    axis: int = -1,
    *,
    weight: Reals | None = None,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    reduction: Literal["none"],
    out: NDArray[F] | None = None,
) -> tuple[NDArray[F], NDArray[F]]: ...
@overload
def cross_entropy_with_grad(
    logits: Reals,
    target: Target,
    axis: int = -1,
    *,
    weight: Reals | None = None,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    reduction: Reduced = "mean",
    out: Floats | None = None,
) -> tuple[Float, Floats]: ...
@overload
def cross_entropy_with_grad(
    logits: Reals,
    target: Target,
    axis: int = -1,
    *,
    weight: Reals | None = None,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    reduction: Literal["none"],
    out: Floats | None = None,
) -> tuple[Floats, Floats]: ...
