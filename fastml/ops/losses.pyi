from typing import Literal, overload

from numpy.typing import NDArray

from .._choices import Reduced, ReducedKL
from .._typing import F, Float, Floats, Reals

@overload
def mse_loss(input: NDArray[F], target: Reals, *, reduction: Reduced = "mean") -> F: ...
@overload
def mse_loss(input: NDArray[F], target: Reals, *, reduction: Literal["none"]) -> NDArray[F]: ...
@overload
def mse_loss(input: Reals, target: Reals, *, reduction: Reduced = "mean") -> Float: ...
@overload
def mse_loss(input: Reals, target: Reals, *, reduction: Literal["none"]) -> Floats: ...
@overload
def mse_loss_with_grad(
    input: NDArray[F], target: Reals, *, reduction: Reduced = "mean", out: NDArray[F] | None = None
) -> tuple[F, NDArray[F]]: ...
@overload
def mse_loss_with_grad(
    input: NDArray[F], target: Reals, *, reduction: Literal["none"], out: NDArray[F] | None = None
) -> tuple[NDArray[F], NDArray[F]]: ...
@overload
def mse_loss_with_grad(
    input: Reals, target: Reals, *, reduction: Reduced = "mean", out: Floats | None = None
) -> tuple[Float, Floats]: ...
@overload
def mse_loss_with_grad(
    input: Reals, target: Reals, *, reduction: Literal["none"], out: Floats | None = None
) -> tuple[Floats, Floats]: ...
@overload
def l1_loss(input: NDArray[F], target: Reals, *, reduction: Reduced = "mean") -> F: ...
@overload
def l1_loss(input: NDArray[F], target: Reals, *, reduction: Literal["none"]) -> NDArray[F]: ...
@overload
def l1_loss(input: Reals, target: Reals, *, reduction: Reduced = "mean") -> Float: ...
@overload
def l1_loss(input: Reals, target: Reals, *, reduction: Literal["none"]) -> Floats: ...
@overload
def l1_loss_with_grad(
    input: NDArray[F], target: Reals, *, reduction: Reduced = "mean", out: NDArray[F] | None = None
) -> tuple[F, NDArray[F]]: ...
@overload
def l1_loss_with_grad(
    input: NDArray[F], target: Reals, *, reduction: Literal["none"], out: NDArray[F] | None = None
) -> tuple[NDArray[F], NDArray[F]]: ...
@overload
def l1_loss_with_grad(
    input: Reals, target: Reals, *, reduction: Reduced = "mean", out: Floats | None = None
) -> tuple[Float, Floats]: ...
@overload
def l1_loss_with_grad(
    input: Reals, target: Reals, *, reduction: Literal["none"], out: Floats | None = None
) -> tuple[Floats, Floats]: ...
@overload
def huber_loss(input: NDArray[F], target: Reals, *, delta: float = 1.0, reduction: Reduced = "mean") -> F: ...
@overload
def huber_loss(input: NDArray[F], target: Reals, *, delta: float = 1.0, reduction: Literal["none"]) -> NDArray[F]: ...
@overload
def huber_loss(input: Reals, target: Reals, *, delta: float = 1.0, reduction: Reduced = "mean") -> Float: ...
@overload
def huber_loss(input: Reals, target: Reals, *, delta: float = 1.0, reduction: Literal["none"]) -> Floats: ...
@overload
def huber_loss_with_grad(
    input: NDArray[F], target: Reals, *, delta: float = 1.0, reduction: Reduced = "mean", out: NDArray[F] | None = None
) -> tuple[F, NDArray[F]]: ...
@overload
def huber_loss_with_grad(
    input: NDArray[F], target: Reals, *, delta: float = 1.0, reduction: Literal["none"], out: NDArray[F] | None = None
) -> tuple[NDArray[F], NDArray[F]]: ...
@overload
def huber_loss_with_grad(
    input: Reals, target: Reals, *, delta: float = 1.0, reduction: Reduced = "mean", out: Floats | None = None
) -> tuple[Float, Floats]: ...
@overload
def huber_loss_with_grad(
    input: Reals, target: Reals, *, delta: float = 1.0, reduction: Literal["none"], out: Floats | None = None
) -> tuple[Floats, Floats]: ...
@overload
def log_cosh_loss(input: NDArray[F], target: Reals, *, reduction: Reduced = "mean") -> F: ...
@overload
def log_cosh_loss(input: NDArray[F], target: Reals, *, reduction: Literal["none"]) -> NDArray[F]: ...
@overload
def log_cosh_loss(input: Reals, target: Reals, *, reduction: Reduced = "mean") -> Float: ...
@overload
def log_cosh_loss(input: Reals, target: Reals, *, reduction: Literal["none"]) -> Floats: ...
@overload
def log_cosh_loss_with_grad(
    input: NDArray[F], target: Reals, *, reduction: Reduced = "mean", out: NDArray[F] | None = None
) -> tuple[F, NDArray[F]]: ...
@overload
def log_cosh_loss_with_grad(
    input: NDArray[F], target: Reals, *, reduction: Literal["none"], out: NDArray[F] | None = None
) -> tuple[NDArray[F], NDArray[F]]: ...
@overload
def log_cosh_loss_with_grad(
    input: Reals, target: Reals, *, reduction: Reduced = "mean", out: Floats | None = None
) -> tuple[Float, Floats]: ...
@overload
def log_cosh_loss_with_grad(
    input: Reals, target: Reals, *, reduction: Literal["none"], out: Floats | None = None
) -> tuple[Floats, Floats]: ...
@overload
def binary_cross_entropy_with_logits(
    input: NDArray[F],
    target: Reals,
    *,
    weight: Reals | None = None,
    pos_weight: Reals | None = None,
    reduction: Reduced = "mean",
) -> F: ...
@overload
def binary_cross_entropy_with_logits(
    input: NDArray[F],
    target: Reals,
    *,
    weight: Reals | None = None,
    pos_weight: Reals | None = None,
    reduction: Literal["none"],
) -> NDArray[F]: ...
@overload
def binary_cross_entropy_with_logits(
    input: Reals,
    target: Reals,
    *,
    weight: Reals | None = None,
    pos_weight: Reals | None = None,
    reduction: Reduced = "mean",
) -> Float: ...
@overload
def binary_cross_entropy_with_logits(
    input: Reals,
    target: Reals,
    *,
    weight: Reals | None = None,
    pos_weight: Reals | None = None,
    reduction: Literal["none"],
) -> Floats: ...
@overload
def binary_cross_entropy_with_logits_with_grad(
    input: NDArray[F],
    target: Reals,
    *,
    weight: Reals | None = None,
    pos_weight: Reals | None = None,
    reduction: Reduced = "mean",
    out: NDArray[F] | None = None,
) -> tuple[F, NDArray[F]]: ...
@overload
def binary_cross_entropy_with_logits_with_grad(
    input: NDArray[F],
    target: Reals,
    *,
    weight: Reals | None = None,
    pos_weight: Reals | None = None,
    reduction: Literal["none"],
    out: NDArray[F] | None = None,
) -> tuple[NDArray[F], NDArray[F]]: ...
@overload
def binary_cross_entropy_with_logits_with_grad(
    input: Reals,
    target: Reals,
    *,
    weight: Reals | None = None,
    pos_weight: Reals | None = None,
    reduction: Reduced = "mean",
    out: Floats | None = None,
) -> tuple[Float, Floats]: ...
@overload
def binary_cross_entropy_with_logits_with_grad(
    input: Reals,
    target: Reals,
    *,
    weight: Reals | None = None,
    pos_weight: Reals | None = None,
    reduction: Literal["none"],
    out: Floats | None = None,
) -> tuple[Floats, Floats]: ...
@overload
def kl_div_loss(input: NDArray[F], target: Reals, *, log_target: bool = False, reduction: ReducedKL = "mean") -> F: ...
@overload
def kl_div_loss(
    input: NDArray[F], target: Reals, *, log_target: bool = False, reduction: Literal["none"]
) -> NDArray[F]: ...
@overload
def kl_div_loss(input: Reals, target: Reals, *, log_target: bool = False, reduction: ReducedKL = "mean") -> Float: ...
@overload
def kl_div_loss(input: Reals, target: Reals, *, log_target: bool = False, reduction: Literal["none"]) -> Floats: ...
@overload
def kl_div_loss_with_grad(
    input: NDArray[F],
    target: Reals,
    *,
    log_target: bool = False,
    reduction: ReducedKL = "mean",
    out: NDArray[F] | None = None,
) -> tuple[F, NDArray[F]]: ...
@overload
def kl_div_loss_with_grad(
    input: NDArray[F],
    target: Reals,
    *,
    log_target: bool = False,
    reduction: Literal["none"],
    out: NDArray[F] | None = None,
) -> tuple[NDArray[F], NDArray[F]]: ...
@overload
def kl_div_loss_with_grad(
    input: Reals, target: Reals, *, log_target: bool = False, reduction: ReducedKL = "mean", out: Floats | None = None
) -> tuple[Float, Floats]: ...
@overload
def kl_div_loss_with_grad(
    input: Reals, target: Reals, *, log_target: bool = False, reduction: Literal["none"], out: Floats | None = None
) -> tuple[Floats, Floats]: ...
