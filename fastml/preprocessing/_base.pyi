from typing import Any, Literal, Self, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._choices import Frame
from .._typing import F, Floats, Reals

class Transformer:
    n_features_in_: int
    feature_names_in_: NDArray[np.object_]
    def get_params(self, deep: bool = True) -> dict[str, Any]: ...
    def set_params(self, **params: Any) -> Self: ...
    # What makes frames of them is no longer known to return arrays.
    @overload
    def set_output(self, *, transform: Frame) -> Any: ...
    @overload
    def set_output(self, *, transform: Literal["default"] | None = None) -> Self: ...
    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray[np.object_]: ...

class Scaler(Transformer):
    copy: bool
    @overload
    def fit_transform(self, X: NDArray[F], y: object = None) -> NDArray[F]: ...
    @overload
    def fit_transform(self, X: Reals, y: object = None) -> Floats: ...
