from numpy.typing import ArrayLike

from .._typing import Reals

def top_k_accuracy_score(
    y_true: ArrayLike,
    y_score: Reals,
    *,
    k: int = 2,
    normalize: bool = True,
    sample_weight: Reals | None = None,
    labels: ArrayLike | None = None,
) -> float: ...
def log_loss(
    y_true: ArrayLike,
    y_proba: Reals,
    *,
    normalize: bool = True,
    sample_weight: Reals | None = None,
    labels: ArrayLike | None = None,
) -> float: ...
