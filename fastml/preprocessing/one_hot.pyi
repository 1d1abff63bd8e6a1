from collections.abc import Callable, Sequence
from typing import Any, Literal, Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from .._choices import HandleUnknown
from ._base import Transformer

# Rows of what may be of several kinds.
_Table: TypeAlias = ArrayLike | Sequence[Sequence[Any]]

class OneHotEncoder(Transformer):
    categories: Literal["auto"] | Sequence[ArrayLike]
    drop: Literal["first", "if_binary"] | ArrayLike | None
    sparse_output: bool
    dtype: DTypeLike
    handle_unknown: HandleUnknown
    min_frequency: float | None
    max_categories: int | None
    feature_name_combiner: Literal["concat"] | Callable[[Any, Any], str]
    categories_: list[NDArray[Any]]
    drop_idx_: NDArray[np.object_] | None
    def __init__(
        self,
        *,
        categories: Literal["auto"] | Sequence[ArrayLike] = "auto",
        drop: Literal["first", "if_binary"] | ArrayLike | None = None,
        sparse_output: bool = True,
        dtype: DTypeLike = np.float64,
        handle_unknown: HandleUnknown = "error",
        min_frequency: float | None = None,
        max_categories: int | None = None,
        feature_name_combiner: Literal["concat"] | Callable[[Any, Any], str] = "concat",
    ) -> None: ...
    @property
    def infrequent_categories_(self) -> list[NDArray[Any] | None]: ...
    def fit(self, X: _Table, y: object = None) -> Self: ...
    # A SciPy matrix, or with sparse_output=False an array.
    def fit_transform(self, X: _Table, y: object = None) -> Any: ...
    def transform(self, X: _Table) -> Any: ...
    def inverse_transform(self, X: Any) -> NDArray[Any]: ...
