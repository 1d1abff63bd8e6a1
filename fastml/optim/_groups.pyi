from collections.abc import Mapping
from typing import Any, Protocol

from .._typing import Floats

# A Parameter, or what else has a value and its gradient.
class _Trained(Protocol):
    value: Floats
    grad: Floats | None

class Group(dict[str, Any]):
    def __init__(self, params: tuple[_Trained, ...], options: Mapping[str, Any]) -> None: ...
