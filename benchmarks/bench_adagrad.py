"""Adagrad over one array and over sixty in one call; PyTorch's fused=True."""

import numpy as np

import fastml
from fastml import reference

from .bench_adam import SIXTY
from .common import Case, Setup, assert_close, normal, shape_label, to_numpy

LR, EPS = 1e-3, 1e-10


def _adagrad_case(shapes, label, dtype="float32"):
    def setup():
        params = [normal(shape, dtype, seed=2 * i) for i, shape in enumerate(shapes)]
        grads = [normal(shape, dtype, seed=2 * i + 1) for i, shape in enumerate(shapes)]

        def fastml_():
            p, s, step = [a.copy() for a in params], [np.zeros_like(a) for a in params], 0

            def call():
                nonlocal step
                step += 1
                fastml.adagrad_step(p, grads, s, step, lr=LR, eps=EPS)
                return p

            return call

        def torch_():
            import torch

            p = [torch.nn.Parameter(torch.from_numpy(a.copy())) for a in params]
            for one, grad in zip(p, grads, strict=True):
                one.grad = torch.from_numpy(grad.copy())
            step = torch.optim.Adagrad(p, lr=LR, eps=EPS, fused=True).step

            def call():
                step()
                return p

            return call

        def numpy_():
            p, s = [a.copy() for a in params], [np.zeros_like(a) for a in params]
            work = [a.copy() for a in params]

            def call():
                for param, grad, total, a in zip(p, grads, s, work, strict=True):
                    np.multiply(grad, grad, out=a)
                    np.add(total, a, out=total)
                    np.sqrt(total, out=a)
                    np.add(a, EPS, out=a)
                    np.divide(grad, a, out=a)
                    np.multiply(a, LR, out=a)
                    np.subtract(param, a, out=param)
                return p

            return call

        def check(result, peer):
            """The first step, from zero sums."""
            for i in {0, len(params) - 1}:
                p, g = (arrays[i].ravel()[-4096:].astype("float64") for arrays in (params, grads))
                reference.adagrad_step([p], [g], [np.zeros_like(p)], 1, lr=LR, eps=EPS)
                assert_close(to_numpy(result[i]).ravel()[-4096:], p, dtype, peer)

        return Setup({"fastml": fastml_, "torch": torch_, "numpy": numpy_}, check)

    # Read parameter, gradient and sum; write parameter and sum.
    nbytes = 5 * sum(int(np.prod(shape)) for shape in shapes) * np.dtype(dtype).itemsize
    return Case("adagrad_step", label, dtype, setup, nbytes=nbytes, peers=("torch", "numpy"))


CASES = [
    *(_adagrad_case([shape], shape_label(shape)) for shape in ((10**3,), (10**5,), (10**7,))),
    _adagrad_case(SIXTY, "60 arrays"),
    _adagrad_case([(10**5,)], "1e5", dtype="float64"),
]
