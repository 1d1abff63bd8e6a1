from collections.abc import Sequence

from .._typing import Arrays, Reals

def ema_step(averages: Arrays, params: Sequence[Reals], *, decay: float = 0.999) -> None: ...
