"""Moving averages of parameters, over one array and over sixty; PyTorch's foreach lerp."""

import numpy as np

import fastml
from fastml import reference

from .bench_adam import SIXTY
from .common import Case, Setup, assert_close, normal, shape_label, to_numpy

DECAY = 0.999


def _ema_case(shapes, label, dtype="float32"):
    def setup():
        averages = [normal(shape, dtype, seed=2 * i) for i, shape in enumerate(shapes)]
        params = [normal(shape, dtype, seed=2 * i + 1) for i, shape in enumerate(shapes)]

        def fastml_():
            e = [a.copy() for a in averages]

            def call():
                fastml.ema_step(e, params, decay=DECAY)
                return e

            return call

        def torch_():
            import torch

            e, p = ([torch.from_numpy(a.copy()) for a in arrays] for arrays in (averages, params))
            update = torch.optim.swa_utils.get_ema_multi_avg_fn(DECAY)

            def call():
                update(e, p, None)
                return e

            return call

        def numpy_():
            e, work = ([a.copy() for a in averages] for _ in range(2))

            def call():
                for average, p, a in zip(e, params, work, strict=True):
                    np.subtract(p, average, out=a)
                    np.multiply(a, 1 - DECAY, out=a)
                    np.add(average, a, out=average)
                return e

            return call

        def check(result, peer):
            for i in {0, len(params) - 1}:
                e, p = (arrays[i].ravel()[-4096:].astype("float64") for arrays in (averages, params))
                reference.ema_step([e], [p], decay=DECAY)
                assert_close(to_numpy(result[i]).ravel()[-4096:], e, dtype, peer)

        return Setup({"fastml": fastml_, "torch": torch_, "numpy": numpy_}, check)

    # Read average and parameter; write the average.
    nbytes = 3 * sum(int(np.prod(shape)) for shape in shapes) * np.dtype(dtype).itemsize
    return Case("ema_step", label, dtype, setup, nbytes=nbytes, peers=("torch", "numpy"))


CASES = [
    *(_ema_case([shape], shape_label(shape)) for shape in ((10**3,), (10**5,), (10**7,))),
    _ema_case(SIXTY, "60 arrays"),
]
