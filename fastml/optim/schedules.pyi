from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from .._choices import Mode, ThresholdMode
from .._typing import Reals
from ._optimizer import Optimizer
from ._schedules import Schedule

class StepLR(Schedule):
    step_size: int
    gamma: float
    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1) -> None: ...

class MultiStepLR(Schedule):
    milestones: Counter[int]
    gamma: float
    def __init__(
        self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1, last_epoch: int = -1
    ) -> None: ...

class LinearWarmup(Schedule):
    total_iters: int
    start_factor: float
    def __init__(
        self, optimizer: Optimizer, total_iters: int = 5, start_factor: float = ..., last_epoch: int = -1
    ) -> None: ...

class CosineAnnealingLR(Schedule):
    T_max: int
    eta_min: float
    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> None: ...

class SequentialLR(Schedule):
    def __init__(self, optimizer: Optimizer, schedulers: Iterable[Schedule], milestones: Iterable[int]) -> None: ...

class ReduceLROnPlateau:
    optimizer: Optimizer
    mode: Mode
    threshold_mode: ThresholdMode
    factor: float
    patience: int
    cooldown: int
    threshold: float
    min_lrs: list[float]
    eps: float
    last_epoch: int
    cooldown_counter: int
    num_bad_epochs: int
    best: float
    def __init__(
        self,
        optimizer: Optimizer,
        mode: Mode = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: ThresholdMode = "rel",
        cooldown: int = 0,
        min_lr: float = 0.0,
        eps: float = 1e-8,
    ) -> None: ...
    def step(self, metrics: Reals) -> None: ...
    def get_last_lr(self) -> list[float]: ...
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: Mapping[str, Any]) -> None: ...
