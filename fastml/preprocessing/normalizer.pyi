from typing import Self, overload

from numpy.typing import NDArray

from .._choices import Norm
from .._typing import F, Floats, Reals
from ._base import Scaler

class Normalizer(Scaler):
    norm: Norm
    def __init__(self, norm: Norm = "l2", *, copy: bool = True) -> None: ...
    def fit(self, X: Reals, y: object = None) -> Self: ...
    @overload
    def transform(self, X: NDArray[F], copy: bool | None = None) -> NDArray[F]: ...
    @overload
    def transform(self, X: Reals, copy: bool | None = None) -> Floats: ...
