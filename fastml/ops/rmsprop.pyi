from collections.abc import Sequence

from .._typing import Arrays, Reals

def rmsprop_step(
    params: Arrays,
    grads: Sequence[Reals],
    square_avgs: Arrays,
    grad_avgs: Arrays | None = None,
    momentum_buffers: Arrays | None = None,
    *,
    lr: float = 1e-2,
    alpha: float = 0.99,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    momentum: float = 0.0,
    centered: bool = False,
    maximize: bool = False,
) -> None: ...
