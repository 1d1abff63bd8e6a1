from typing import overload

from numpy.typing import NDArray

from .._typing import F, Floats, Reals

@overload
def group_norm(
    x: NDArray[F],
    num_groups: int,
    weight: Reals | None = None,
    bias: Reals | None = None,
    *,
    eps: float = 1e-5,
    out: NDArray[F] | None = None,
) -> tuple[NDArray[F], NDArray[F], NDArray[F]]: ...
@overload
def group_norm(
    x: Reals,
    num_groups: int,
    weight: Reals | None = None,
    bias: Reals | None = None,
    *,
    eps: float = 1e-5,
    out: Floats | None = None,
) -> tuple[Floats, Floats, Floats]: ...
@overload
def group_norm_backward(
    grad: NDArray[F],
    x: NDArray[F],
    num_groups: int,
    weight: Reals | None,
    mean: Reals,
    inv_std: Reals,
    *,
    out: NDArray[F] | None = None,
) -> tuple[NDArray[F], NDArray[F], NDArray[F]]: ...
@overload
def group_norm_backward(
    grad: Reals,
    x: Reals,
    num_groups: int,
    weight: Reals | None,
    mean: Reals,
    inv_std: Reals,
    *,
    out: Floats | None = None,
) -> tuple[Floats, Floats, Floats]: ...
@overload
def instance_norm(
    x: NDArray[F],
    weight: Reals | None = None,
    bias: Reals | None = None,
    *,
    eps: float = 1e-5,
    out: NDArray[F] | None = None,
) -> tuple[NDArray[F], NDArray[F], NDArray[F]]: ...
@overload
def instance_norm(
    x: Reals, weight: Reals | None = None, bias: Reals | None = None, *, eps: float = 1e-5, out: Floats | None = None
) -> tuple[Floats, Floats, Floats]: ...
@overload
def instance_norm_backward(
    grad: NDArray[F], x: NDArray[F], weight: Reals | None, mean: Reals, inv_std: Reals, *, out: NDArray[F] | None = None
) -> tuple[NDArray[F], NDArray[F], NDArray[F]]: ...
@overload
def instance_norm_backward(
    grad: Reals, x: Reals, weight: Reals | None, mean: Reals, inv_std: Reals, *, out: Floats | None = None
) -> tuple[Floats, Floats, Floats]: ...
