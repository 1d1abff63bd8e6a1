from collections.abc import Sequence

from .._typing import Arrays, Reals

def adam_step(
    params: Arrays,
    grads: Sequence[Reals],
    exp_avgs: Arrays,
    exp_avg_sqs: Arrays,
    step: int,
    *,
    max_exp_avg_sqs: Arrays | None = None,
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    decoupled: bool = False,
    maximize: bool = False,
) -> None: ...
