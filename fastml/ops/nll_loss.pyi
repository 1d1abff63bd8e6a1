from typing import Literal, overload

from numpy.typing import NDArray

from .._choices import Reduced
from .._typing import F, Float, Floats, Reals, Target

@overload
def nll_loss(
    log_probs: NDArray[F],
    target: Target,
    axis: int = -1,
    *,
    weight: Reals | None = None,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    reduction: Reduced = "mean",
) -> F: ...
@overload
def nll_loss(
    log_probs: NDArray[F],
    target: Target,
    axis: int = -1,
    *,
    weight: Reals | None = None,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    reduction: Literal["none"],
) -> NDArray[F]: ...
@overload
def nll_loss(
    log_probs: Reals,
    target: Target,
    axis: int = -1,
    *,
    weight: Reals | None = None,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    reduction: Reduced = "mean",
) -> Float: ...
@overload
def nll_loss(
    log_probs: Reals,
    target: Target,
    axis: int = -1,
    *,
    weight: Reals | None = None,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    reduction: Literal["none"],
) -> Floats: ...
@overload
def nll_loss_with_grad(
    log_probs: NDArray[F],
    target: Target,
    axis: int = -1,
    *,
    weight: Reals | None = None,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    reduction: Reduced = "mean",
    out: NDArray[F] | None = None,
) -> tuple[F, NDArray[F]]: ...
@overload
def nll_loss_with_grad(
    log_probs: NDArray[F],
    target: Target,
    axis: int = -1,
    *,
    weight: Reals | None = None,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    reduction: Literal["none"],
    out: NDArray[F] | None = None,
) -> tuple[NDArray[F], NDArray[F]]: ...
@overload
def nll_loss_with_grad(
    log_probs: Reals,
    target: Target,
    axis: int = -1,
    *,
    weight: Reals | None = None,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    reduction: Reduced = "mean",
    out: Floats | None = None,
) -> tuple[Float, Floats]: ...
@overload
def nll_loss_with_grad(
    log_probs: Reals,
    target: Target,
    axis: int = -1,
    *,
    weight: Reals | None = None,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    reduction: Literal["none"],
    out: Floats | None = None,
) -> tuple[Floats, Floats]: ...
