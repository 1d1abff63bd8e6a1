from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from .._tracked import Tracked
from .._typing import Arrays, Floats, Reals
from ._groups import Group, _Trained

#: Parameters or arrays, or groups of them with options of their own.
_Params: TypeAlias = Sequence[_Trained] | Arrays | Sequence[_Trained | Floats] | Sequence[dict[str, Any]]

class Optimizer(Tracked):
    initial_lr: float | None
    def __init__(self, params: _Params, options: Mapping[str, Any]) -> None: ...
    @property
    def param_groups(self) -> list[Group]: ...
    def step(self, grads: Sequence[Reals | None] | None = None) -> None: ...
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: Mapping[str, Any]) -> None: ...
