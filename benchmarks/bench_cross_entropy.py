"""Mean cross-entropy of integer labels, alone and with its gradient with respect to the logits; with a z-loss; and
the negative log-likelihood of log-probabilities with its gradient."""

import numpy as np

import fastml
from fastml import reference

from .common import Case, Setup, assert_close, normal, sample_rows, shape_label, to_numpy


def _inputs(shape, dtype):
    logits = normal(shape, dtype, scale=5, shift=100)
    return logits, np.random.default_rng(1).integers(0, shape[1], shape[0])


def _with_grad_case(shape, dtype="float32"):
    n = shape[0]

    def setup():
        logits, target = _inputs(shape, dtype)

        def fastml_():
            out = np.empty_like(logits)
            return lambda: fastml.cross_entropy_with_grad(logits, target, out=out)

        def torch_():
            import torch

            x, t = torch.from_numpy(logits).requires_grad_(), torch.from_numpy(target)
            cross_entropy = torch.nn.functional.cross_entropy

            def call():
                loss = cross_entropy(x, t)
                return loss, torch.autograd.grad(loss, x)[0]

            return call

        def numpy_():
            d, rows = np.empty_like(logits), np.arange(n)

            def call():
                np.subtract(logits, logits.max(1, keepdims=True), out=d)
                picked = d[rows, target]
                np.exp(d, out=d)
                total = d.sum(1)
                loss = np.mean(np.log(total) - picked)
                np.multiply(d, (1 / (n * total))[:, None], out=d)
                d[rows, target] -= 1 / n
                return loss, d

            return call

        def jax_():
            import jax

            x, t = jax.numpy.asarray(logits), jax.numpy.asarray(target)

            def loss(x, t):
                return -jax.numpy.take_along_axis(jax.nn.log_softmax(x), t[:, None], 1).mean()

            kernel = jax.jit(jax.value_and_grad(loss))
            return lambda: jax.block_until_ready(kernel(x, t))

        rows = sample_rows(n)
        loss = reference.cross_entropy(logits.astype("float64"), target)
        grad = reference.cross_entropy_with_grad(logits[rows].astype("float64"), target[rows], reduction="sum")[1] / n

        def check(result, peer):
            assert_close(result[0], loss, dtype, f"{peer} loss")
            assert_close(to_numpy(result[1])[rows], grad, dtype, f"{peer} gradient")

        return Setup({"fastml": fastml_, "torch": torch_, "numpy": numpy_, "jax": jax_}, check)

    nbytes = 2 * int(np.prod(shape)) * np.dtype(dtype).itemsize + 8 * n
    return Case("cross_entropy_with_grad", shape_label(shape), dtype, setup, nbytes=nbytes)


def _loss_case(shape, dtype="float32"):
    n = shape[0]

    def setup():
        logits, target = _inputs(shape, dtype)

        def fastml_():
            return lambda: fastml.cross_entropy(logits, target)

        def torch_():
            import torch

            x, t = torch.from_numpy(logits), torch.from_numpy(target)
            cross_entropy = torch.nn.functional.cross_entropy
            return lambda: cross_entropy(x, t)

        def numpy_():
            d, rows = np.empty_like(logits), np.arange(n)

            def call():
                np.subtract(logits, logits.max(1, keepdims=True), out=d)
                picked = d[rows, target]
                np.exp(d, out=d)
                return np.mean(np.log(d.sum(1)) - picked)

            return call

        def jax_():
            import jax

            x, t = jax.numpy.asarray(logits), jax.numpy.asarray(target)
            kernel = jax.jit(lambda x, t: -jax.numpy.take_along_axis(jax.nn.log_softmax(x), t[:, None], 1).mean())
            return lambda: kernel(x, t).block_until_ready()

        expected = reference.cross_entropy(logits.astype("float64"), target)

        def check(result, peer):
            assert_close(result, expected, dtype, peer)

        return Setup({"fastml": fastml_, "torch": torch_, "numpy": numpy_, "jax": jax_}, check)

    nbytes = int(np.prod(shape)) * np.dtype(dtype).itemsize + 8 * n
    return Case("cross_entropy", shape_label(shape), dtype, setup, nbytes=nbytes)


Z = 1e-4


def _z_loss_case(shape, dtype="float32"):
    def setup():
        logits, target = _inputs(shape, dtype)

        def fastml_():
            out = np.empty_like(logits)
            return lambda: fastml.cross_entropy_with_grad(logits, target, z_loss=Z, out=out)

        def torch_():
            import torch

            x, t = torch.from_numpy(logits).requires_grad_(), torch.from_numpy(target)
            cross_entropy = torch.nn.functional.cross_entropy

            def call():
                loss = cross_entropy(x, t) + Z * torch.logsumexp(x, 1).square().mean()
                return loss, torch.autograd.grad(loss, x)[0]

            return call

        def jax_():
            import jax

            x, t = jax.numpy.asarray(logits), jax.numpy.asarray(target)

            def loss(x, t):
                lse = jax.nn.logsumexp(x, 1)
                return (lse - jax.numpy.take_along_axis(x, t[:, None], 1)[:, 0] + Z * lse**2).mean()

            kernel = jax.jit(jax.value_and_grad(loss))
            return lambda: jax.block_until_ready(kernel(x, t))

        rows = sample_rows(len(logits))
        loss = reference.cross_entropy(logits.astype("float64"), target, z_loss=Z)
        part = logits[rows].astype("float64"), target[rows]
        grad = reference.cross_entropy_with_grad(*part, z_loss=Z, reduction="sum")[1] / len(logits)

        def check(result, peer):
            assert_close(result[0], loss, dtype, f"{peer} loss")
            assert_close(to_numpy(result[1])[rows], grad, dtype, f"{peer} gradient")

        return Setup({"fastml": fastml_, "torch": torch_, "jax": jax_}, check)

    nbytes = 2 * int(np.prod(shape)) * np.dtype(dtype).itemsize + 8 * shape[0]
    return Case("cross_entropy_z_loss", shape_label(shape), dtype, setup, nbytes=nbytes, peers=("torch", "jax"))


def _nll_case(shape, dtype="float32"):
    n = shape[0]

    def setup():
        logits, target = _inputs(shape, dtype)
        log_probs = fastml.log_softmax(logits)

        def fastml_():
            out = np.empty_like(log_probs)
            return lambda: fastml.nll_loss_with_grad(log_probs, target, out=out)

        def torch_():
            import torch

            x, t = torch.from_numpy(log_probs).requires_grad_(), torch.from_numpy(target)
            nll_loss = torch.nn.functional.nll_loss

            def call():
                loss = nll_loss(x, t)
                return loss, torch.autograd.grad(loss, x)[0]

            return call

        def numpy_():
            d, rows = np.empty_like(log_probs), np.arange(n)

            def call():
                d.fill(0)
                d[rows, target] = -1 / n
                return -log_probs[rows, target].mean(), d

            return call

        def jax_():
            import jax

            x, t = jax.numpy.asarray(log_probs), jax.numpy.asarray(target)
            kernel = jax.jit(jax.value_and_grad(lambda x, t: -jax.numpy.take_along_axis(x, t[:, None], 1).mean()))
            return lambda: jax.block_until_ready(kernel(x, t))

        loss, grad = reference.nll_loss_with_grad(log_probs.astype("float64"), target)

        def check(result, peer):
            assert_close(result[0], loss, dtype, f"{peer} loss")
            assert_close(to_numpy(result[1]), grad, dtype, f"{peer} gradient")

        return Setup({"fastml": fastml_, "torch": torch_, "numpy": numpy_, "jax": jax_}, check)

    nbytes = int(np.prod(shape)) * np.dtype(dtype).itemsize + 16 * n
    return Case("nll_loss_with_grad", shape_label(shape), dtype, setup, nbytes=nbytes)


SHAPES = ((128, 10), (256, 512), (64, 50257))
CASES = [
    *(_with_grad_case(shape) for shape in SHAPES),
    _with_grad_case((256, 512), dtype="float64"),
    *(_loss_case(shape) for shape in SHAPES),
    *(_z_loss_case(shape) for shape in SHAPES[1:]),
    *(_nll_case(shape) for shape in SHAPES),
]
