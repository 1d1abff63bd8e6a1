from collections.abc import Sequence
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._choices import Hidden, Rate, Solver
from .._typing import Floats, Reals
from .base import BaseMLP, _Features

class MLPClassifier(BaseMLP):
    class_weight: Literal["balanced"] | dict[Any, float] | list[dict[Any, float]] | None
    classes_: Any
    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] = (100,),
        activation: Hidden = "relu",
        *,
        solver: Solver = "adam",
        alpha: float = 0.0001,
        batch_size: int | Literal["auto"] | None = "auto",
        learning_rate: Rate | float = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: int | np.random.RandomState | None = None,
        tol: float = 1e-4,
        verbose: bool | int = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: int = 10,
        batch_norm: bool = False,
        dropout: float = 0.0,
        class_weight: Literal["balanced"] | dict[Any, float] | list[dict[Any, float]] | None = None,
        optimizer: Solver | None = None,
        epochs: int | None = None,
    ) -> None: ...
    def partial_fit(
        self, X: _Features, y: ArrayLike, classes: ArrayLike | None = None, sample_weight: Reals | None = None
    ) -> Self: ...
    def score(self, X: _Features, y: ArrayLike, sample_weight: Reals | None = None) -> float: ...
    def predict(self, X: _Features) -> NDArray[Any]: ...
    def predict_proba(self, X: _Features) -> Floats: ...
    def predict_log_proba(self, X: _Features) -> Floats: ...
