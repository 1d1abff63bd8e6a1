from ._optimizer import Optimizer, _Params

class Lion(Optimizer):
    lr: float
    betas: tuple[float, float]
    weight_decay: float
    maximize: bool
    def __init__(
        self,
        params: _Params,
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
        maximize: bool = False,
    ) -> None: ...
