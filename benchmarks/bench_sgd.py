"""SGD with momentum: one array, and sixty arrays in one call."""

import numpy as np

import fastml
from fastml import reference

from .common import Case, Setup, assert_close, normal, shape_label, to_numpy

LR, MOMENTUM = 1e-4, 0.9
# Twenty blocks of a 3×3 convolution with 16 or 32 channels and its batch norm.
SIXTY = [shape for c in (16, 32) for _ in range(10) for shape in ((c, c, 3, 3), (c,), (c,))]


def _sgd_case(shapes, label, dtype="float32"):
    def setup():
        params = [normal(shape, dtype, seed=2 * i) for i, shape in enumerate(shapes)]
        grads = [normal(shape, dtype, seed=2 * i + 1) for i, shape in enumerate(shapes)]

        def fastml_():
            p, v = [a.copy() for a in params], [np.zeros_like(a) for a in params]

            def call():
                fastml.sgd_step(p, grads, v, lr=LR, momentum=MOMENTUM)
                return p

            return call

        def torch_():
            import torch

            p = [torch.nn.Parameter(torch.from_numpy(a.copy())) for a in params]
            for one, grad in zip(p, grads, strict=True):
                one.grad = torch.from_numpy(grad.copy())
            step = torch.optim.SGD(p, lr=LR, momentum=MOMENTUM, fused=True).step

            def call():
                step()
                return p

            return call

        def numpy_():
            p, v, work = [a.copy() for a in params], [np.zeros_like(a) for a in params], [a.copy() for a in params]

            def call():
                for param, grad, velocity, scratch in zip(p, grads, v, work, strict=True):
                    np.multiply(velocity, MOMENTUM, out=velocity)
                    np.add(velocity, grad, out=velocity)
                    np.multiply(velocity, LR, out=scratch)
                    np.subtract(param, scratch, out=param)
                return p

            return call

        def jax_():
            import jax

            state = [jax.numpy.asarray(a.copy()) for a in params], [jax.numpy.zeros_like(a) for a in params]
            g = [jax.numpy.asarray(a) for a in grads]

            def update(state, grads):
                v = [MOMENTUM * v + g for v, g in zip(state[1], grads, strict=True)]
                return [p - LR * v for p, v in zip(state[0], v, strict=True)], v

            kernel = jax.jit(update, donate_argnums=0)

            def call():
                nonlocal state
                state = jax.block_until_ready(kernel(state, g))
                return state[0]

            return call

        def check(result, peer):
            """The first step, from zero velocities."""
            for i in {0, len(params) - 1}:
                p = params[i].ravel()[-4096:].astype("float64")
                g = grads[i].ravel()[-4096:].astype("float64")
                reference.sgd_step([p], [g], [np.zeros_like(p)], lr=LR, momentum=MOMENTUM)
                assert_close(to_numpy(result[i]).ravel()[-4096:], p, dtype, peer)

        return Setup({"fastml": fastml_, "torch": torch_, "numpy": numpy_, "jax": jax_}, check)

    # Read parameter, gradient and velocity; write parameter and velocity.
    nbytes = 5 * sum(int(np.prod(shape)) for shape in shapes) * np.dtype(dtype).itemsize
    return Case("sgd_step", label, dtype, setup, nbytes=nbytes)


CASES = [
    *(_sgd_case([shape], shape_label(shape)) for shape in ((10**3,), (10**5,), (10**7,))),
    _sgd_case(SIXTY, "60 arrays"),
    _sgd_case([(10**5,)], "1e5", dtype="float64"),
]
