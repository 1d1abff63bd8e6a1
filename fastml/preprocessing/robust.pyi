from typing import NoReturn, Self, overload

from numpy.typing import NDArray

from .._typing import Double, F, Floats, Reals
from ._base import Scaler

class RobustScaler(Scaler):
    with_centering: bool
    with_scaling: bool
    quantile_range: tuple[float, float]
    unit_variance: bool
    center_: Double | None
    scale_: Double | None
    def __init__(
        self,
        *,
        with_centering: bool = True,
        with_scaling: bool = True,
        quantile_range: tuple[float, float] = (25.0, 75.0),
        copy: bool = True,
        unit_variance: bool = False,
    ) -> None: ...
    def fit(self, X: Reals, y: object = None) -> Self: ...
    @overload
    def transform(self, X: NDArray[F]) -> NDArray[F]: ...
    @overload
    def transform(self, X: Reals) -> Floats: ...
    @overload
    def inverse_transform(self, X: NDArray[F]) -> NDArray[F]: ...
    @overload
    def inverse_transform(self, X: Reals) -> Floats: ...
    def merge(self, other: RobustScaler) -> NoReturn: ...
