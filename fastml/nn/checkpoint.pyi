from typing import Any, Protocol

from .._typing import Path
from .module import Module

class _Part(Protocol):
    def state_dict(self) -> Any: ...
    def load_state_dict(self, state: Any) -> object: ...

def save_checkpoint(
    path: Path,
    *,
    model: Module,
    optimizer: _Part | None = None,
    schedule: _Part | None = None,
    ema: _Part | None = None,
    scaler: _Part | None = None,
    batches: _Part | None = None,
    extra: Any = None,
) -> None: ...
def load_checkpoint(
    path: Path,
    *,
    model: Module,
    optimizer: _Part | None = None,
    schedule: _Part | None = None,
    ema: _Part | None = None,
    scaler: _Part | None = None,
    batches: _Part | None = None,
) -> Any: ...
