from typing import Self, overload

from numpy.typing import NDArray

from .._typing import F, Floats, Reals
from ._base import Scaler

class _ByExtremes(Scaler):
    clip: bool
    scale_: Floats
    n_samples_seen_: int
    def fit(self, X: Reals, y: object = None) -> Self: ...
    def partial_fit(self, X: Reals, y: object = None) -> Self: ...
    @overload
    def transform(self, X: NDArray[F]) -> NDArray[F]: ...
    @overload
    def transform(self, X: Reals) -> Floats: ...
    @overload
    def inverse_transform(self, X: NDArray[F]) -> NDArray[F]: ...
    @overload
    def inverse_transform(self, X: Reals) -> Floats: ...

class MinMaxScaler(_ByExtremes):
    feature_range: tuple[float, float]
    data_min_: Floats
    data_max_: Floats
    data_range_: Floats
    min_: Floats
    def __init__(
        self, feature_range: tuple[float, float] = (0, 1), *, copy: bool = True, clip: bool = False
    ) -> None: ...
    def merge(self, other: MinMaxScaler) -> Self: ...

class MaxAbsScaler(_ByExtremes):
    max_abs_: Floats
    def __init__(self, *, copy: bool = True, clip: bool = False) -> None: ...
    def merge(self, other: MaxAbsScaler) -> Self: ...
