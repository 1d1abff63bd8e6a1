from collections.abc import Sequence

from .._typing import Arrays, Reals

def lion_step(
    params: Arrays,
    grads: Sequence[Reals],
    exp_avgs: Arrays,
    *,
    lr: float = 1e-4,
    betas: tuple[float, float] = (0.9, 0.99),
    weight_decay: float = 0.0,
    maximize: bool = False,
) -> None: ...
