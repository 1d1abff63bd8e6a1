from collections.abc import Sequence
from typing import Any, Literal, SupportsIndex, overload

from numpy.typing import ArrayLike, NDArray

from .._choices import Averaged, KappaWeights, Normalize
from .._typing import Double, Reals
from .precision_recall import _Label, _ZeroDivision

class ConfusionMatrix:
    labels: NDArray[Any]
    def __init__(self, num_classes: SupportsIndex | None = None, *, labels: ArrayLike | None = None) -> None: ...
    def update(self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: Reals | None = None) -> None: ...
    def merge(self, other: ConfusionMatrix) -> None: ...
    def compute(self, normalize: Normalize = None) -> NDArray[Any]: ...
    def accuracy(self) -> float: ...
    def balanced_accuracy(self, *, adjusted: bool = False) -> float: ...
    def cohen_kappa(self, *, weights: KappaWeights = None) -> float: ...
    def matthews_corrcoef(self) -> float: ...
    @overload
    def precision_recall_fscore(
        self,
        *,
        beta: float = 1.0,
        labels: ArrayLike | None = None,
        pos_label: _Label = 1,
        average: None = None,
        zero_division: _ZeroDivision = "warn",
    ) -> tuple[Double, Double, Double, NDArray[Any]]: ...
    @overload
    def precision_recall_fscore(
        self,
        *,
        beta: float = 1.0,
        labels: ArrayLike | None = None,
        pos_label: _Label = 1,
        average: Averaged,
        zero_division: _ZeroDivision = "warn",
    ) -> tuple[float, float, float, None]: ...
    @overload
    def classification_report(
        self,
        *,
        target_names: Sequence[str] | None = None,
        digits: int = 2,
        output_dict: Literal[False] = False,
        zero_division: _ZeroDivision = "warn",
    ) -> str: ...
    @overload
    def classification_report(
        self,
        *,
        target_names: Sequence[str] | None = None,
        digits: int = 2,
        output_dict: Literal[True],
        zero_division: _ZeroDivision = "warn",
    ) -> dict[str, Any]: ...
