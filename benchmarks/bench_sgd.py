"""SGD with momentum: one array, and sixty arrays in one call."""

import numpy as np

import fastml
from fastml import reference

from .common import Case, Setup, shape_label
from .updates import Lists, moved

LR, MOMENTUM = 1e-4, 0.9
# Twenty blocks of a 3×3 convolution with 16 or 32 channels and its batch norm.
SIXTY = [shape for c in (16, 32) for _ in range(10) for shape in ((c, c, 3, 3), (c,), (c,))]


def _numpy(lists):
    p, v, work = lists.copies(), lists.zeros(), lists.copies()

    def call():
        for param, grad, velocity, scratch in zip(p, lists.grads, v, work, strict=True):
            np.multiply(velocity, MOMENTUM, out=velocity)
            np.add(velocity, grad, out=velocity)
            np.multiply(velocity, LR, out=scratch)
            np.subtract(param, scratch, out=param)
        return p

    return call


def _jax(lists):
    import jax

    state = [jax.numpy.asarray(a) for a in lists.copies()], [jax.numpy.asarray(a) for a in lists.zeros()]
    g = [jax.numpy.asarray(a) for a in lists.grads]

    def update(state, grads):
        v = [MOMENTUM * v + g for v, g in zip(state[1], grads, strict=True)]
        return [p - LR * v for p, v in zip(state[0], v, strict=True)], v

    kernel = jax.jit(update, donate_argnums=0)

    def call():
        nonlocal state
        state = jax.block_until_ready(kernel(state, g))
        return state[0]

    return call


def _sgd_case(shapes, label, dtype="float32"):
    def setup():
        lists = Lists(shapes, dtype)

        def fastml_():
            p, v = lists.copies(), lists.zeros()

            def call():
                fastml.sgd_step(p, lists.grads, v, lr=LR, momentum=MOMENTUM)
                return p

            return call

        def first(p, g):
            reference.sgd_step([p], [g], [np.zeros_like(p)], lr=LR, momentum=MOMENTUM)

        torch_ = lists.torch("SGD", lr=LR, momentum=MOMENTUM, fused=True)
        builders = {"fastml": fastml_, "torch": torch_, "numpy": lambda: _numpy(lists), "jax": lambda: _jax(lists)}
        return Setup(builders, lists.check(first))

    # Read parameter, gradient and velocity; write parameter and velocity.
    return Case("sgd_step", label, dtype, setup, nbytes=moved(shapes, dtype, 5))


CASES = [
    *(_sgd_case([shape], shape_label(shape)) for shape in ((10**3,), (10**5,), (10**7,))),
    _sgd_case(SIXTY, "60 arrays"),
    _sgd_case([(10**5,)], "1e5", dtype="float64"),
]
