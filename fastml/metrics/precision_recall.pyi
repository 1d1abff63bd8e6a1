from collections.abc import Iterable, Sequence
from typing import Any, Literal, TypeAlias, overload

from numpy.typing import ArrayLike, NDArray

from .._choices import Averaged
from .._typing import Double, Reals

#: What 0/0 is: 0, 1 or NaN, or "warn" for 0 with a warning.
_ZeroDivision: TypeAlias = float | Literal["warn"]
#: One class's label.
_Label: TypeAlias = float | str | bool | None

@overload
def precision_recall_fscore(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    beta: float = 1.0,
    labels: ArrayLike | None = None,
    pos_label: _Label = 1,
    average: None = None,
    warn_for: Iterable[str] = ("precision", "recall", "f-score"),
    sample_weight: Reals | None = None,
    zero_division: _ZeroDivision = "warn",
) -> tuple[Double, Double, Double, NDArray[Any]]: ...
@overload
def precision_recall_fscore(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    beta: float = 1.0,
    labels: ArrayLike | None = None,
    pos_label: _Label = 1,
    average: Averaged,
    warn_for: Iterable[str] = ("precision", "recall", "f-score"),
    sample_weight: Reals | None = None,
    zero_division: _ZeroDivision = "warn",
) -> tuple[float, float, float, None]: ...
@overload
def precision_score(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    labels: ArrayLike | None = None,
    pos_label: _Label = 1,
    average: Averaged = "binary",
    sample_weight: Reals | None = None,
    zero_division: _ZeroDivision = "warn",
) -> float: ...
@overload
def precision_score(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    labels: ArrayLike | None = None,
    pos_label: _Label = 1,
    average: None,
    sample_weight: Reals | None = None,
    zero_division: _ZeroDivision = "warn",
) -> Double: ...
@overload
def recall_score(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    labels: ArrayLike | None = None,
    pos_label: _Label = 1,
    average: Averaged = "binary",
    sample_weight: Reals | None = None,
    zero_division: _ZeroDivision = "warn",
) -> float: ...
@overload
def recall_score(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    labels: ArrayLike | None = None,
    pos_label: _Label = 1,
    average: None,
    sample_weight: Reals | None = None,
    zero_division: _ZeroDivision = "warn",
) -> Double: ...
@overload
def f1_score(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    labels: ArrayLike | None = None,
    pos_label: _Label = 1,
    average: Averaged = "binary",
    sample_weight: Reals | None = None,
    zero_division: _ZeroDivision = "warn",
) -> float: ...
@overload
def f1_score(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    labels: ArrayLike | None = None,
    pos_label: _Label = 1,
    average: None,
    sample_weight: Reals | None = None,
    zero_division: _ZeroDivision = "warn",
) -> Double: ...
@overload
def fbeta_score(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    beta: float,
    labels: ArrayLike | None = None,
    pos_label: _Label = 1,
    average: Averaged = "binary",
    sample_weight: Reals | None = None,
    zero_division: _ZeroDivision = "warn",
) -> float: ...
@overload
def fbeta_score(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    beta: float,
    labels: ArrayLike | None = None,
    pos_label: _Label = 1,
    average: None,
    sample_weight: Reals | None = None,
    zero_division: _ZeroDivision = "warn",
) -> Double: ...
@overload
def classification_report(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    labels: ArrayLike | None = None,
    target_names: Sequence[str] | None = None,
    sample_weight: Reals | None = None,
    digits: int = 2,
    output_dict: Literal[False] = False,
    zero_division: _ZeroDivision = "warn",
) -> str: ...
@overload
def classification_report(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    labels: ArrayLike | None = None,
    target_names: Sequence[str] | None = None,
    sample_weight: Reals | None = None,
    digits: int = 2,
    output_dict: Literal[True],
    zero_division: _ZeroDivision = "warn",
) -> dict[str, Any]: ...
@overload
def classification_report(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    labels: ArrayLike | None = None,
    target_names: Sequence[str] | None = None,
    sample_weight: Reals | None = None,
    digits: int = 2,
    output_dict: bool,
    zero_division: _ZeroDivision = "warn",
) -> str | dict[str, Any]: ...
