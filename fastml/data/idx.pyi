from typing import Any

from numpy.typing import NDArray

from .._typing import Path, Reals

def read_idx(path: Path) -> NDArray[Any]: ...
def write_idx(path: Path, array: Reals) -> None: ...
