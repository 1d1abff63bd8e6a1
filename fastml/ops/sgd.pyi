from collections.abc import Sequence

from .._typing import Arrays, Reals

def sgd_step(
    params: Arrays,
    grads: Sequence[Reals],
    velocities: Arrays | None = None,
    *,
    lr: float,
    momentum: float = 0.0,
    dampening: float = 0.0,
    weight_decay: float = 0.0,
    nesterov: bool = False,
    maximize: bool = False,
) -> None: ...
