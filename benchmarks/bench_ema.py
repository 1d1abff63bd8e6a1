"""Moving averages of parameters, over one array and over sixty; PyTorch's foreach lerp."""

import numpy as np

import fastml
from fastml import reference

from .common import Case, Setup, shape_label
from .updates import SIXTY, Lists, moved

DECAY = 0.999


def _ema_case(shapes, label, dtype="float32"):
    def setup():
        lists = Lists(shapes, dtype)
        params = lists.grads  # what is averaged; the averages are what is written, as parameters are in an update

        def fastml_():
            e = lists.copies()

            def call():
                fastml.ema_step(e, params, decay=DECAY)
                return e

            return call

        def torch_():
            import torch

            e, p = ([torch.from_numpy(a.copy()) for a in arrays] for arrays in (lists.params, params))
            update = torch.optim.swa_utils.get_ema_multi_avg_fn(DECAY)

            def call():
                update(e, p, None)
                return e

            return call

        def numpy_():
            e, work = lists.copies(), lists.copies()

            def call():
                for average, p, a in zip(e, params, work, strict=True):
                    np.subtract(p, average, out=a)
                    np.multiply(a, 1 - DECAY, out=a)
                    np.add(average, a, out=average)
                return e

            return call

        def first(e, p):
            reference.ema_step([e], [p], decay=DECAY)

        return Setup({"fastml": fastml_, "torch": torch_, "numpy": numpy_}, lists.check(first))

    # Read average and parameter; write the average.
    return Case("ema_step", label, dtype, setup, nbytes=moved(shapes, dtype, 3), peers=("torch", "numpy"))


CASES = [
    *(_ema_case([shape], shape_label(shape)) for shape in ((10**3,), (10**5,), (10**7,))),
    _ema_case(SIXTY, "60 arrays"),
]
