from abc import ABC
from collections.abc import Sequence
from typing import Any, Literal, Protocol, Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from .._choices import Hidden, Rate, Solver
from .._typing import Floats, Reals

class _Sparse(Protocol):
    def tocsr(self) -> Any: ...

_Features: TypeAlias = Reals | _Sparse

class BaseMLP(ABC):
    hidden_layer_sizes: int | Sequence[int]
    activation: Hidden
    solver: Solver
    alpha: float
    batch_size: int | Literal["auto"] | None
    learning_rate: Rate | float
    learning_rate_init: float
    power_t: float
    max_iter: int
    shuffle: bool
    random_state: int | np.random.RandomState | None
    tol: float
    verbose: bool | int
    warm_start: bool
    momentum: float
    nesterovs_momentum: bool
    early_stopping: bool
    validation_fraction: float
    beta_1: float
    beta_2: float
    epsilon: float
    n_iter_no_change: int
    batch_norm: bool
    dropout: float
    optimizer: Solver | None
    epochs: int | None
    n_features_in_: int
    n_layers_: int
    n_outputs_: int
    n_iter_: int
    t_: int
    out_activation_: str
    loss_: float
    loss_curve_: list[float]
    best_loss_: float | None
    validation_scores_: list[float] | None
    best_validation_score_: float | None
    @property
    def coefs_(self) -> list[Floats]: ...
    @property
    def intercepts_(self) -> list[Floats]: ...
    def fit(self, X: _Features, y: ArrayLike, sample_weight: Reals | None = None) -> Self: ...
    def get_params(self, deep: bool = True) -> dict[str, Any]: ...
    def set_params(self, **params: Any) -> Self: ...
