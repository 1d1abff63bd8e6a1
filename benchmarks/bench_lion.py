"""Lion over one array and over sixty in one call; PyTorch has none."""

import numpy as np

import fastml
from fastml import reference

from .common import Case, Setup, shape_label
from .updates import SIXTY, Lists, moved

LR, BETAS = 1e-4, (0.9, 0.99)


def _lion_case(shapes, label, dtype="float32"):
    def setup():
        lists = Lists(shapes, dtype)

        def fastml_():
            p, m = lists.copies(), lists.zeros()

            def call():
                fastml.lion_step(p, lists.grads, m, lr=LR, betas=BETAS)
                return p

            return call

        def numpy_():
            p, m, work = lists.copies(), lists.zeros(), lists.copies()

            def call():
                for param, grad, mean, a in zip(p, lists.grads, m, work, strict=True):
                    np.subtract(mean, grad, out=a)
                    np.multiply(a, BETAS[0], out=a)
                    np.add(a, grad, out=a)
                    np.sign(a, out=a)
                    np.multiply(a, LR, out=a)
                    np.subtract(param, a, out=param)
                    np.subtract(mean, grad, out=a)
                    np.multiply(a, BETAS[1], out=a)
                    np.add(a, grad, out=mean)
                return p

            return call

        def first(p, g):
            reference.lion_step([p], [g], [np.zeros_like(p)], lr=LR, betas=BETAS)

        return Setup({"fastml": fastml_, "numpy": numpy_}, lists.check(first))

    # Read parameter, gradient and average; write parameter and average.
    return Case("lion_step", label, dtype, setup, nbytes=moved(shapes, dtype, 5), peers=("numpy",))


CASES = [
    *(_lion_case([shape], shape_label(shape)) for shape in ((10**3,), (10**5,), (10**7,))),
    _lion_case(SIXTY, "60 arrays"),
    _lion_case([(10**5,)], "1e5", dtype="float64"),
]
