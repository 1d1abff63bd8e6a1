from typing import Any

from numpy.typing import ArrayLike, NDArray

from .._choices import KappaWeights, Normalize
from .._typing import Reals

def accuracy_score(
    y_true: ArrayLike, y_pred: ArrayLike, *, normalize: bool = True, sample_weight: Reals | None = None
) -> float: ...
def confusion_matrix(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    labels: ArrayLike | None = None,
    sample_weight: Reals | None = None,
    normalize: Normalize = None,
) -> NDArray[Any]: ...
def balanced_accuracy_score(
    y_true: ArrayLike, y_pred: ArrayLike, *, sample_weight: Reals | None = None, adjusted: bool = False
) -> float: ...
def cohen_kappa_score(
    y1: ArrayLike,
    y2: ArrayLike,
    *,
    labels: ArrayLike | None = None,
    weights: KappaWeights = None,
    sample_weight: Reals | None = None,
) -> float: ...
def matthews_corrcoef(y_true: ArrayLike, y_pred: ArrayLike, *, sample_weight: Reals | None = None) -> float: ...
