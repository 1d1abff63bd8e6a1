"""AdamW over one array and over sixty in one call; PyTorch's fused=True, and its default in rows of their own."""

import numpy as np

import fastml
from fastml import reference

from .common import Case, Setup, assert_close, normal, shape_label, to_numpy

LR, DECAY = 1e-3, 0.01
BETAS, EPS = (0.9, 0.999), 1e-8
# A small transformer: a table of embeddings, the layers' matrices, and their biases and norms beside them; a head
# of two outputs. 60 arrays, 1.2 million elements.
WIDTH = 128
BLOCK = [(3 * WIDTH, WIDTH), (3 * WIDTH,), (WIDTH, WIDTH), (WIDTH,), (WIDTH,), (WIDTH,), (WIDTH,), (WIDTH,)]
BLOCK += [(4 * WIDTH, WIDTH), (4 * WIDTH,), (WIDTH, 4 * WIDTH), (WIDTH,), (2,), (2,)]
SIXTY = [(3200, WIDTH), (64, WIDTH), *BLOCK * 4, (2, WIDTH), (2,)]


def _adam_case(op, shapes, label, dtype="float32"):
    decoupled = {"lr": LR, "betas": BETAS, "eps": EPS, "weight_decay": DECAY, "decoupled": True}
    amsgrad = op == "adam_step_amsgrad"

    def setup():
        params = [normal(shape, dtype, seed=2 * i) for i, shape in enumerate(shapes)]
        grads = [normal(shape, dtype, seed=2 * i + 1) for i, shape in enumerate(shapes)]

        def state():
            return [a.copy() for a in params], *([np.zeros_like(a) for a in params] for _ in range(2))

        def fastml_():
            p, m, v = state()
            largest = {"max_exp_avg_sqs": [np.zeros_like(a) for a in params]} if amsgrad else {}
            step = 0

            def call():
                nonlocal step
                step += 1
                fastml.adam_step(p, grads, m, v, step, **largest, **decoupled)
                return p

            return call

        def torch_():
            import torch

            p = [torch.nn.Parameter(torch.from_numpy(a.copy())) for a in params]
            for one, grad in zip(p, grads, strict=True):
                one.grad = torch.from_numpy(grad.copy())
            fused = None if op == "adam_step_default" else True
            options = {"lr": LR, "betas": BETAS, "eps": EPS, "weight_decay": DECAY, "amsgrad": amsgrad}
            step = torch.optim.AdamW(p, fused=fused, **options).step

            def call():
                step()
                return p

            return call

        def numpy_():
            p, m, v = state()
            first, second = ([a.copy() for a in params] for _ in range(2))
            step = 0

            def call():
                nonlocal step
                step += 1
                rate, root = LR / (1 - BETAS[0] ** step), (1 - BETAS[1] ** step) ** 0.5
                for param, grad, mean, square, a, b in zip(p, grads, m, v, first, second, strict=True):
                    np.multiply(param, 1 - LR * DECAY, out=param)
                    np.subtract(grad, mean, out=a)
                    np.multiply(a, 1 - BETAS[0], out=a)
                    np.add(mean, a, out=mean)
                    np.multiply(grad, grad, out=a)
                    np.multiply(a, 1 - BETAS[1], out=a)
                    np.multiply(square, BETAS[1], out=square)
                    np.add(square, a, out=square)
                    np.sqrt(square, out=b)
                    np.divide(b, root, out=b)
                    np.add(b, EPS, out=b)
                    np.divide(mean, b, out=b)
                    np.multiply(b, rate, out=b)
                    np.subtract(param, b, out=param)
                return p

            return call

        def jax_():
            import jax

            kept = [[jax.numpy.asarray(a) for a in arrays] for arrays in state()]
            g = [jax.numpy.asarray(a) for a in grads]

            def one(p, g, m, v, rate, root):
                m = m + (1 - BETAS[0]) * (g - m)
                v = BETAS[1] * v + (1 - BETAS[1]) * g * g
                return p * (1 - LR * DECAY) - rate * m / (jax.numpy.sqrt(v) / root + EPS), m, v

            def update(state, grads, rate, root):
                each = [one(p, g, m, v, rate, root) for g, p, m, v in zip(grads, *state, strict=True)]
                return [list(column) for column in zip(*each, strict=True)]

            kernel = jax.jit(update, donate_argnums=0)
            step = 0

            def call():
                nonlocal kept, step
                step += 1
                rate, root = LR / (1 - BETAS[0] ** step), (1 - BETAS[1] ** step) ** 0.5
                kept = jax.block_until_ready(kernel(kept, g, rate, root))
                return kept[0]

            return call

        def check(result, peer):
            """The first step, from zero averages."""
            for i in {0, len(params) - 1}:
                p, g = (arrays[i].ravel()[-4096:].astype("float64") for arrays in (params, grads))
                reference.adam_step([p], [g], [np.zeros_like(p)], [np.zeros_like(p)], 1, **decoupled)
                assert_close(to_numpy(result[i]).ravel()[-4096:], p, dtype, peer)

        builders = {"fastml": fastml_, "torch": torch_, "numpy": numpy_, "jax": jax_}
        return Setup({name: builders[name] for name in ("fastml", *peers)}, check)

    peers = {"adam_step": ("torch", "numpy", "jax"), "adam_step_default": ("torch", "numpy")}.get(op, ("torch",))
    # Read parameter, gradient and averages; write parameter and averages.
    nbytes = (9 if amsgrad else 7) * sum(int(np.prod(shape)) for shape in shapes) * np.dtype(dtype).itemsize
    return Case(op, label, dtype, setup, nbytes=nbytes, peers=peers)


CASES = [
    *(_adam_case("adam_step", [shape], shape_label(shape)) for shape in ((10**3,), (10**5,), (10**7,))),
    _adam_case("adam_step", SIXTY, "60 arrays"),
    _adam_case("adam_step_default", [(10**3,)], "1e3"),
    _adam_case("adam_step_default", SIXTY, "60 arrays"),
    _adam_case("adam_step", [(10**5,)], "1e5", dtype="float64"),
    _adam_case("adam_step_amsgrad", [(10**5,)], "1e5"),
    _adam_case("adam_step_amsgrad", SIXTY, "60 arrays"),
]
