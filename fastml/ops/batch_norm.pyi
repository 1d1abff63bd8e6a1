from typing import overload

from numpy.typing import NDArray

from .._typing import F, Floats, Reals

@overload
def batch_norm(
    x: NDArray[F],
    weight: Reals | None = None,
    bias: Reals | None = None,
    running_mean: Reals | None = None,
    running_var: Reals | None = None,
    *,
    training: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
    channel_axis: int = 1,
    unbiased: bool = True,
    out: NDArray[F] | None = None,
) -> tuple[NDArray[F], NDArray[F], NDArray[F]]: ...
@overload
def batch_norm(
    x: Reals,
    weight: Reals | None = None,
    bias: Reals | None = None,
    running_mean: Reals | None = None,
    running_var: Reals | None = None,
    *,
    training: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
    channel_axis: int = 1,
    unbiased: bool = True,
    out: Floats | None = None,
) -> tuple[Floats, Floats, Floats]: ...
@overload
def batch_norm_backward(
    grad: NDArray[F],
    x: NDArray[F],
    weight: Reals | None,
    mean: Reals,
    inv_std: Reals,
    *,
    training: bool = True,
    channel_axis: int = 1,
    out: NDArray[F] | None = None,
) -> tuple[NDArray[F], NDArray[F], NDArray[F]]: ...
@overload
def batch_norm_backward(
    grad: Reals,
    x: Reals,
    weight: Reals | None,
    mean: Reals,
    inv_std: Reals,
    *,
    training: bool = True,
    channel_axis: int = 1,
    out: Floats | None = None,
) -> tuple[Floats, Floats, Floats]: ...
