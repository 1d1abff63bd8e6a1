"""AdamW over one array and over sixty in one call; PyTorch's fused=True, and its default in rows of their own."""

import numpy as np

import fastml
from fastml import reference

from .common import Case, Setup, shape_label
from .updates import SIXTY, Lists, moved

LR, DECAY = 1e-3, 0.01
BETAS, EPS = (0.9, 0.999), 1e-8
HYPER = {"lr": LR, "betas": BETAS, "eps": EPS, "weight_decay": DECAY}


def _corrections(step):
    """The rate, and the root by which that of the squares is divided."""
    return LR / (1 - BETAS[0] ** step), (1 - BETAS[1] ** step) ** 0.5


def _fastml(lists, amsgrad):
    p, m, v, step = lists.copies(), lists.zeros(), lists.zeros(), 0
    largest = {"max_exp_avg_sqs": lists.zeros()} if amsgrad else {}

    def call():
        nonlocal step
        step += 1
        fastml.adam_step(p, lists.grads, m, v, step, **largest, **HYPER, decoupled=True)
        return p

    return call


def _numpy(lists):
    p, m, v, step = lists.copies(), lists.zeros(), lists.zeros(), 0
    first, second = lists.copies(), lists.copies()

    def call():
        nonlocal step
        step += 1
        rate, root = _corrections(step)
        for param, grad, mean, square, a, b in zip(p, lists.grads, m, v, first, second, strict=True):
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


def _jax(lists):
    import jax

    state = [[jax.numpy.asarray(a) for a in arrays] for arrays in (lists.copies(), lists.zeros(), lists.zeros())]
    g, step = [jax.numpy.asarray(a) for a in lists.grads], 0

    def one(p, g, m, v, rate, root):
        m = m + (1 - BETAS[0]) * (g - m)
        v = BETAS[1] * v + (1 - BETAS[1]) * g * g
        return p * (1 - LR * DECAY) - rate * m / (jax.numpy.sqrt(v) / root + EPS), m, v

    def update(state, grads, rate, root):
        each = [one(p, g, m, v, rate, root) for g, p, m, v in zip(grads, *state, strict=True)]
        return [list(column) for column in zip(*each, strict=True)]

    kernel = jax.jit(update, donate_argnums=0)

    def call():
        nonlocal state, step
        step += 1
        state = jax.block_until_ready(kernel(state, g, *_corrections(step)))
        return state[0]

    return call


def _first(p, g):
    reference.adam_step([p], [g], [np.zeros_like(p)], [np.zeros_like(p)], 1, **HYPER, decoupled=True)


def _adam_case(op, shapes, label, dtype="float32"):
    amsgrad = op == "adam_step_amsgrad"
    peers = {"adam_step": ("torch", "numpy", "jax"), "adam_step_default": ("torch", "numpy")}.get(op, ("torch",))

    def setup():
        lists = Lists(shapes, dtype)
        builders = {
            "fastml": lambda: _fastml(lists, amsgrad),
            "torch": lists.torch("AdamW", fused=None if op == "adam_step_default" else True, amsgrad=amsgrad, **HYPER),
            "numpy": lambda: _numpy(lists),
            "jax": lambda: _jax(lists),
        }
        return Setup({name: builders[name] for name in ("fastml", *peers)}, lists.check(_first))

    # Read parameter, gradient and averages; write parameter and averages.
    return Case(op, label, dtype, setup, nbytes=moved(shapes, dtype, 9 if amsgrad else 7), peers=peers)


CASES = [
    *(_adam_case("adam_step", [shape], shape_label(shape)) for shape in ((10**3,), (10**5,), (10**7,))),
    _adam_case("adam_step", SIXTY, "60 arrays"),
    _adam_case("adam_step_default", [(10**3,)], "1e3"),
    _adam_case("adam_step_default", SIXTY, "60 arrays"),
    _adam_case("adam_step", [(10**5,)], "1e5", dtype="float64"),
    _adam_case("adam_step_amsgrad", [(10**5,)], "1e5"),
    _adam_case("adam_step_amsgrad", SIXTY, "60 arrays"),
]
