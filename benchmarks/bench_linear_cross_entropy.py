"""Mean cross-entropy of x Wᵀ with the gradients by x, W and the bias: hidden states × vocabulary. The peers build all
logits."""

import numpy as np

import fastml
from fastml import reference

from .common import Case, Setup, each_close, normal, shape_label


def _expected(x, weight, target):
    """The reference, 128 samples at a time."""
    totals = None
    for i in range(0, len(x), 128):
        part = reference.linear_cross_entropy_with_grad(
            x[i : i + 128].astype("float64"), weight, target[i : i + 128], reduction="sum"
        )
        if totals is None:
            totals = [part[0], [part[1]], *part[2:]]
            continue
        totals[0] += part[0]
        totals[1].append(part[1])
        totals[2] += part[2]
        totals[3] += part[3]
    loss, dx, dweight, dbias = totals
    return [value / len(x) for value in (loss, np.concatenate(dx), dweight, dbias)]


def _numpy(x, weight, bias, target):
    d, rows = np.empty((len(x), len(weight)), x.dtype), np.arange(len(x))

    def call():
        np.matmul(x, weight.T, out=d)
        np.add(d, bias, out=d)
        np.subtract(d, d.max(1, keepdims=True), out=d)
        picked = d[rows, target]
        np.exp(d, out=d)
        total = d.sum(1)
        loss = np.mean(np.log(total) - picked)
        np.multiply(d, (1 / (len(x) * total))[:, None], out=d)
        d[rows, target] -= 1 / len(x)
        return loss, d @ weight, d.T @ x, d.sum(0)

    return call


def _case(samples, features, classes, dtype="float32"):
    def setup():
        x, weight = normal((samples, features), dtype), normal((classes, features), dtype, 1, features**-0.5)
        bias, target = np.zeros(classes, dtype), np.random.default_rng(2).integers(0, classes, samples)

        def fastml_():
            return lambda: fastml.linear_cross_entropy_with_grad(x, weight, target, bias=bias)

        def torch_():
            import torch

            leaves = [torch.from_numpy(a).requires_grad_() for a in (x, weight, bias)]
            t, functional = torch.from_numpy(target), torch.nn.functional

            def call():
                loss = functional.cross_entropy(functional.linear(*leaves), t)
                return loss, *torch.autograd.grad(loss, leaves)

            return call

        def jax_():
            import jax

            t = jax.numpy.asarray(target)
            leaves = [jax.numpy.asarray(a) for a in (x, weight, bias)]

            def loss(x, w, b):
                log_p = jax.nn.log_softmax(x @ w.T + b)
                return -jax.numpy.take_along_axis(log_p, t[:, None], 1).mean()

            kernel = jax.jit(jax.value_and_grad(loss, (0, 1, 2)))

            def call():
                value, gradients = jax.block_until_ready(kernel(*leaves))
                return value, *gradients

            return call

        expected = _expected(x, weight.astype("float64"), target)
        builders = {"fastml": fastml_, "torch": torch_, "numpy": lambda: _numpy(x, weight, bias, target), "jax": jax_}
        return Setup(builders, each_close(("loss", "dx", "dweight", "dbias"), expected, dtype))

    shape = shape_label((samples, features, classes))
    flops = 6 * samples * features * classes
    return Case("linear_cross_entropy_with_grad", shape, dtype, setup, flops=flops)


CASES = [_case(128, 64, 1000), _case(512, 256, 8192), _case(512, 256, 8192, dtype="float64"), _case(2048, 512, 32000)]
