from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

from numpy.typing import ArrayLike, NDArray

from .._choices import Normalize
from .._typing import Reals

class ConfusionMatrixDisplay:
    confusion_matrix: NDArray[Any]
    display_labels: Sequence[Any] | NDArray[Any] | None
    ax_: Any
    figure_: Any
    im_: Any
    text_: NDArray[Any] | None
    def __init__(
        self, confusion_matrix: Reals, *, display_labels: Sequence[Any] | NDArray[Any] | None = None
    ) -> None: ...
    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike,
        y_pred: ArrayLike,
        *,
        labels: ArrayLike | None = None,
        sample_weight: Reals | None = None,
        normalize: Normalize = None,
        display_labels: Sequence[Any] | NDArray[Any] | None = None,
        **options: Any,
    ) -> Self: ...
    @classmethod
    def from_estimator(cls, estimator: Any, X: Any, y: ArrayLike, **options: Any) -> Self: ...
    def plot(
        self,
        *,
        include_values: bool = True,
        cmap: Any = "viridis",
        xticks_rotation: float | Literal["horizontal", "vertical"] = "horizontal",
        values_format: str | None = None,
        ax: Any = None,
        colorbar: bool = True,
        im_kw: Mapping[str, Any] | None = None,
        text_kw: Mapping[str, Any] | None = None,
    ) -> Self: ...
