"""RMSprop over one array and over sixty in one call; PyTorch's foreach=True (it has no fused one)."""

import numpy as np

import fastml
from fastml import reference

from .bench_adam import SIXTY
from .common import Case, Setup, assert_close, normal, shape_label, to_numpy

LR, ALPHA, EPS = 1e-3, 0.99, 1e-8


def _rmsprop_case(shapes, label, dtype="float32", **options):
    centered, momentum = options.get("centered", False), options.get("momentum", 0.0)

    def setup():
        params = [normal(shape, dtype, seed=2 * i) for i, shape in enumerate(shapes)]
        grads = [normal(shape, dtype, seed=2 * i + 1) for i, shape in enumerate(shapes)]

        def state():
            return [a.copy() for a in params], *([np.zeros_like(a) for a in params] for _ in range(3))

        def fastml_():
            p, *states = state()

            def call():
                fastml.rmsprop_step(p, grads, *states, lr=LR, alpha=ALPHA, eps=EPS, **options)
                return p

            return call

        def torch_():
            import torch

            p = [torch.nn.Parameter(torch.from_numpy(a.copy())) for a in params]
            for one, grad in zip(p, grads, strict=True):
                one.grad = torch.from_numpy(grad.copy())
            step = torch.optim.RMSprop(p, lr=LR, alpha=ALPHA, eps=EPS, foreach=True, **options).step

            def call():
                step()
                return p

            return call

        def numpy_():
            p, square, average, momenta = state()
            work = [a.copy() for a in params]

            def call():
                for param, grad, s, m, b, a in zip(p, grads, square, average, momenta, work, strict=True):
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

        def check(result, peer):
            """The first step, from zero states."""
            for i in {0, len(params) - 1}:
                p, g = (arrays[i].ravel()[-4096:].astype("float64") for arrays in (params, grads))
                states = ([np.zeros_like(p)] for _ in range(3))
                reference.rmsprop_step([p], [g], *states, lr=LR, alpha=ALPHA, eps=EPS, **options)
                assert_close(to_numpy(result[i]).ravel()[-4096:], p, dtype, peer)

        return Setup({"fastml": fastml_, "torch": torch_, "numpy": numpy_}, check)

    # Read parameter, gradient and states; write parameter and states.
    states = 1 + bool(centered) + bool(momentum)
    elements = sum(int(np.prod(shape)) for shape in shapes)
    nbytes = (3 + 2 * states) * elements * np.dtype(dtype).itemsize
    return Case("rmsprop_step", label, dtype, setup, nbytes=nbytes, peers=("torch", "numpy"))


CASES = [
    *(_rmsprop_case([shape], shape_label(shape)) for shape in ((10**3,), (10**5,), (10**7,))),
    _rmsprop_case(SIXTY, "60 arrays"),
    _rmsprop_case([(10**5,)], "1e5 centered, momentum", centered=True, momentum=0.9),
    _rmsprop_case([(10**5,)], "1e5", dtype="float64"),
]
