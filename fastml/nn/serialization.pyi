from typing import Any, Protocol

from numpy.typing import NDArray

from .._typing import Path, Reals

class _HasState(Protocol):
    def state_dict(self) -> dict[str, Any]: ...

def save(
    model_or_state: _HasState | dict[str, Reals] | dict[str, NDArray[Any]],
    path: Path,
    metadata: dict[str, str] | None = None,
) -> None: ...
def load(path: Path) -> dict[str, NDArray[Any]]: ...
def load_metadata(path: Path) -> dict[str, str]: ...
