from typing import overload

from numpy.typing import NDArray

from .._typing import F, Floats, Reals

@overload
def layer_norm(
    x: NDArray[F],
    weight: Reals | None = None,
    bias: Reals | None = None,
    *,
    axis: int | tuple[int, ...] = -1,
    eps: float = 1e-5,
    out: NDArray[F] | None = None,
) -> tuple[NDArray[F], NDArray[F], NDArray[F]]: ...
@overload
def layer_norm(
    x: Reals,
    weight: Reals | None = None,
    bias: Reals | None = None,
    *,
    axis: int | tuple[int, ...] = -1,
    eps: float = 1e-5,
    out: Floats | None = None,
) -> tuple[Floats, Floats, Floats]: ...
@overload
def layer_norm_backward(
    grad: NDArray[F],
    x: NDArray[F],
    weight: Reals | None,
    mean: Reals,
    inv_std: Reals,
    *,
    axis: int | tuple[int, ...] = -1,
    out: NDArray[F] | None = None,
) -> tuple[NDArray[F], NDArray[F], NDArray[F]]: ...
@overload
def layer_norm_backward(
    grad: Reals,
    x: Reals,
    weight: Reals | None,
    mean: Reals,
    inv_std: Reals,
    *,
    axis: int | tuple[int, ...] = -1,
    out: Floats | None = None,
) -> tuple[Floats, Floats, Floats]: ...
