from collections.abc import Iterable
from typing import overload

from numpy.typing import NDArray

from .._typing import Double, F, Floats, Reals

def batch_norm_stats(x: Reals, *, channel_axis: int = 1) -> tuple[int, Double, Double]: ...
def merge_norm_stats(stats: Iterable[tuple[int, Reals, Reals]]) -> tuple[int, Double, Double]: ...
@overload
def batch_norm_apply(
    x: NDArray[F],
    mean: Reals,
    inv_std: Reals,
    weight: Reals | None = None,
    bias: Reals | None = None,
    *,
    channel_axis: int = 1,
    out: NDArray[F] | None = None,
) -> NDArray[F]: ...
@overload
def batch_norm_apply(
    x: Reals,
    mean: Reals,
    inv_std: Reals,
    weight: Reals | None = None,
    bias: Reals | None = None,
    *,
    channel_axis: int = 1,
    out: Floats | None = None,
) -> Floats: ...
def batch_norm_backward_stats(
    grad: Reals, x: Reals, mean: Reals, inv_std: Reals, *, channel_axis: int = 1
) -> tuple[Double, Double]: ...
@overload
def batch_norm_backward_apply(
    grad: NDArray[F],
    x: NDArray[F],
    weight: Reals | None,
    mean: Reals,
    inv_std: Reals,
    dweight: Reals,
    dbias: Reals,
    count: int,
    *,
    channel_axis: int = 1,
    out: NDArray[F] | None = None,
) -> NDArray[F]: ...
@overload
def batch_norm_backward_apply(
    grad: Reals,
    x: Reals,
    weight: Reals | None,
    mean: Reals,
    inv_std: Reals,
    dweight: Reals,
    dbias: Reals,
    count: int,
    *,
    channel_axis: int = 1,
    out: Floats | None = None,
) -> Floats: ...
