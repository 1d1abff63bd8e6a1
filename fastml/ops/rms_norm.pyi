from typing import overload

from numpy.typing import NDArray

from .._typing import F, Floats, Reals

@overload
def rms_norm(
    x: NDArray[F],
    weight: Reals | None = None,
    *,
    axis: int | tuple[int, ...] = -1,
    eps: float = 1e-6,
    out: NDArray[F] | None = None,
) -> tuple[NDArray[F], NDArray[F]]: ...
@overload
def rms_norm(
    x: Reals,
    weight: Reals | None = None,
    *,
    axis: int | tuple[int, ...] = -1,
    eps: float = 1e-6,
    out: Floats | None = None,
) -> tuple[Floats, Floats]: ...
@overload
def rms_norm_backward(
    grad: NDArray[F],
    x: NDArray[F],
    weight: Reals | None,
    inv_rms: Reals,
    *,
    axis: int | tuple[int, ...] = -1,
    out: NDArray[F] | None = None,
) -> tuple[NDArray[F], NDArray[F]]: ...
@overload
def rms_norm_backward(
    grad: Reals,
    x: Reals,
    weight: Reals | None,
    inv_rms: Reals,
    *,
    axis: int | tuple[int, ...] = -1,
    out: Floats | None = None,
) -> tuple[Floats, Floats]: ...
