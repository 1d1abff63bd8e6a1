from collections.abc import Sequence
from typing import Literal, Self

import numpy as np
from numpy.typing import ArrayLike

from .._choices import Hidden, Rate, RegressionLoss, Solver
from .._typing import Floats, Reals
from .base import BaseMLP, _Features

class MLPRegressor(BaseMLP):
    loss: RegressionLoss
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
        optimizer: Solver | None = None,
        epochs: int | None = None,
        loss: RegressionLoss = "squared_error",
    ) -> None: ...
    def partial_fit(self, X: _Features, y: ArrayLike, sample_weight: Reals | None = None) -> Self: ...
    def score(self, X: _Features, y: ArrayLike, sample_weight: Reals | None = None) -> float: ...
    def predict(self, X: _Features) -> Floats: ...
