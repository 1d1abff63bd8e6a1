from collections.abc import Sequence

from .._typing import Arrays, Reals

def adagrad_step(
    params: Arrays,
    grads: Sequence[Reals],
    state_sums: Arrays,
    step: int,
    *,
    lr: float = 1e-2,
    lr_decay: float = 0.0,
    weight_decay: float = 0.0,
    eps: float = 1e-10,
    maximize: bool = False,
) -> None: ...
