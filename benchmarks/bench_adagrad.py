"""Adagrad over one array and over sixty in one call; PyTorch's fused=True."""

import numpy as np

import fastml
from fastml import reference

from .common import Case, Setup, shape_label
from .updates import SIXTY, Lists, moved

LR, EPS = 1e-3, 1e-10


def _adagrad_case(shapes, label, dtype="float32"):
    def setup():
        lists = Lists(shapes, dtype)

        def fastml_():
            p, s, step = lists.copies(), lists.zeros(), 0

            def call():
                nonlocal step
                step += 1
                fastml.adagrad_step(p, lists.grads, s, step, lr=LR, eps=EPS)
                return p

            return call

        def numpy_():
            p, s, work = lists.copies(), lists.zeros(), lists.copies()

            def call():
                for param, grad, total, a in zip(p, lists.grads, s, work, strict=True):
                    np.multiply(grad, grad, out=a)
                    np.add(total, a, out=total)
                    np.sqrt(total, out=a)
                    np.add(a, EPS, out=a)
                    np.divide(grad, a, out=a)
                    np.multiply(a, LR, out=a)
                    np.subtract(param, a, out=param)
                return p

            return call

        def first(p, g):
            reference.adagrad_step([p], [g], [np.zeros_like(p)], 1, lr=LR, eps=EPS)

        torch_ = lists.torch("Adagrad", lr=LR, eps=EPS, fused=True)
        return Setup({"fastml": fastml_, "torch": torch_, "numpy": numpy_}, lists.check(first))

    # Read parameter, gradient and sum; write parameter and sum.
    return Case("adagrad_step", label, dtype, setup, nbytes=moved(shapes, dtype, 5), peers=("torch", "numpy"))


CASES = [
    *(_adagrad_case([shape], shape_label(shape)) for shape in ((10**3,), (10**5,), (10**7,))),
    _adagrad_case(SIXTY, "60 arrays"),
    _adagrad_case([(10**5,)], "1e5", dtype="float64"),
]
