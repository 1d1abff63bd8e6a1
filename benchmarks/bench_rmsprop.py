"""RMSprop over one array and over sixty in one call; PyTorch's foreach=True (it has no fused one)."""

import numpy as np

import fastml
from fastml import reference

from .common import Case, Setup, shape_label
from .updates import SIXTY, Lists, moved

LR, ALPHA, EPS = 1e-3, 0.99, 1e-8
HYPER = {"lr": LR, "alpha": ALPHA, "eps": EPS}


def _numpy(lists, centered=False, momentum=0.0):
    p, square, average, momenta, work = (lists.copies(), *(lists.zeros() for _ in range(3)), lists.copies())

    def call():
        for param, grad, s, m, b, a in zip(p, lists.grads, square, average, momenta, work, strict=True):
            np.multiply(grad, grad, out=a)
            np.multiply(a, 1 - ALPHA, out=a)
            np.multiply(s, ALPHA, out=s)
            np.add(s, a, out=s)
            if centered:
                np.subtract(grad, m, out=a)
                np.multiply(a, 1 - ALPHA, out=a)
                np.add(m, a, out=m)
                np.multiply(m, m, out=a)
                np.subtract(s, a, out=a)
            np.sqrt(a if centered else s, out=a)
            np.add(a, EPS, out=a)
            np.divide(grad, a, out=a)
            if momentum:
                np.multiply(b, momentum, out=b)
                np.add(b, a, out=b)
            np.multiply(b if momentum else a, LR, out=a)
            np.subtract(param, a, out=param)
        return p

    return call


def _rmsprop_case(shapes, label, dtype="float32", **options):
    def setup():
        lists = Lists(shapes, dtype)

        def fastml_():
            p, states = lists.copies(), [lists.zeros() for _ in range(3)]

            def call():
                fastml.rmsprop_step(p, lists.grads, *states, **HYPER, **options)
                return p

            return call

        def first(p, g):
            reference.rmsprop_step([p], [g], *([np.zeros_like(p)] for _ in range(3)), **HYPER, **options)

        torch_ = lists.torch("RMSprop", foreach=True, **HYPER, **options)
        builders = {"fastml": fastml_, "torch": torch_, "numpy": lambda: _numpy(lists, **options)}
        return Setup(builders, lists.check(first))

    # Read parameter, gradient and states; write parameter and states.
    states = 1 + sum(name in options for name in ("centered", "momentum"))
    nbytes = moved(shapes, dtype, 3 + 2 * states)
    return Case("rmsprop_step", label, dtype, setup, nbytes=nbytes, peers=("torch", "numpy"))


CASES = [
    *(_rmsprop_case([shape], shape_label(shape)) for shape in ((10**3,), (10**5,), (10**7,))),
    _rmsprop_case(SIXTY, "60 arrays"),
    _rmsprop_case([(10**5,)], "1e5 centered, momentum", centered=True, momentum=0.9),
    _rmsprop_case([(10**5,)], "1e5", dtype="float64"),
]
