"""Softmax family. Inputs near 100: a version that forgets to subtract the maximum overflows in float32."""

import numpy as np

import fastml
from fastml import reference

from .common import Case, Setup, assert_close, normal, sample_rows, shape_label, to_numpy


def _numpy(op, x, axis):
    out, work = np.empty_like(x), np.empty_like(x)

    def softmax():
        np.subtract(x, x.max(axis, keepdims=True), out=out)
        np.exp(out, out=out)
        return np.divide(out, out.sum(axis, keepdims=True), out=out)

    def log_softmax():
        np.subtract(x, x.max(axis, keepdims=True), out=out)
        np.exp(out, out=work)
        return np.subtract(out, np.log(work.sum(axis, keepdims=True)), out=out)

    return softmax if op == "softmax" else log_softmax


def _forward_case(op, shape, axis=-1, dtype="float32"):
    def setup():
        x = normal(shape, dtype, scale=5, shift=100)
        kernel = getattr(fastml, op)

        def fastml_():
            out = np.empty_like(x)
            return lambda: kernel(x, axis, out=out)

        def torch_():
            import torch

            t = torch.from_numpy(x)
            out = torch.empty_like(t)
            kernel = getattr(torch, op)
            return lambda: kernel(t, axis, out=out)

        def scipy_():
            import scipy.special

            kernel = getattr(scipy.special, op)
            return lambda: kernel(x, axis)

        def jax_():
            import jax

            a = jax.numpy.asarray(x)
            kernel = jax.jit(lambda a: getattr(jax.nn, op)(a, axis))
            return lambda: kernel(a).block_until_ready()

        def sklearn_():
            from sklearn.utils.extmath import softmax

            return lambda: softmax(x)

        rows = sample_rows(shape[0])
        expected = getattr(reference, op)(x[rows].astype("float64"), axis)

        def check(result, peer):
            assert_close(to_numpy(result)[rows], expected, dtype, peer)

        builders = {"fastml": fastml_, "torch": torch_, "scipy": scipy_, "jax": jax_}
        builders["numpy"] = lambda: _numpy(op, x, axis)
        return Setup(builders | ({"sklearn": sklearn_} if "sklearn" in peers else {}), check)

    label = shape_label(shape) + ("" if axis == -1 else f" axis {axis}")
    peers = ("torch", "numpy", "scipy", "jax")
    if op == "softmax" and len(shape) == 2:
        peers += ("sklearn",)
    nbytes = 2 * int(np.prod(shape)) * np.dtype(dtype).itemsize
    return Case(op, label, dtype, setup, nbytes=nbytes, peers=peers)


def _logsumexp_case(shape, dtype="float32"):
    def setup():
        x = normal(shape, dtype, scale=5, shift=100)

        def fastml_():
            return lambda: fastml.logsumexp(x, -1)

        def torch_():
            import torch

            t = torch.from_numpy(x)
            out = torch.empty(shape[:-1], dtype=t.dtype)
            return lambda: torch.logsumexp(t, -1, out=out)

        def numpy_():
            work = np.empty_like(x)

            def call():
                top = x.max(-1, keepdims=True)
                np.subtract(x, top, out=work)
                np.exp(work, out=work)
                return top[..., 0] + np.log(work.sum(-1))

            return call

        def scipy_():
            import scipy.special

            return lambda: scipy.special.logsumexp(x, -1)

        def jax_():
            import jax

            a = jax.numpy.asarray(x)
            kernel = jax.jit(lambda a: jax.nn.logsumexp(a, -1))
            return lambda: kernel(a).block_until_ready()

        rows = sample_rows(shape[0])
        expected = reference.logsumexp(x[rows].astype("float64"), -1)

        def check(result, peer):
            assert_close(to_numpy(result)[rows], expected, dtype, peer)

        return Setup({"fastml": fastml_, "torch": torch_, "numpy": numpy_, "scipy": scipy_, "jax": jax_}, check)

    nbytes = (int(np.prod(shape)) + shape[0]) * np.dtype(dtype).itemsize
    return Case("logsumexp", shape_label(shape), dtype, setup, nbytes=nbytes, peers=("torch", "numpy", "scipy", "jax"))


def _backward_case(op, shape, dtype="float32"):
    def setup():
        grad = normal(shape, dtype, seed=1)
        y = getattr(reference, op.removesuffix("_backward"))(normal(shape, dtype)).astype(dtype, copy=False)
        kernel = getattr(fastml, op)

        def fastml_():
            out = np.empty_like(y)
            return lambda: kernel(grad, y, -1, out=out)

        def torch_():
            import torch

            g, t = torch.from_numpy(grad), torch.from_numpy(y)
            out = torch.empty_like(t)
            if op == "softmax_backward":
                kernel = torch.ops.aten._softmax_backward_data.out
                return lambda: kernel(g, t, -1, t.dtype, grad_input=out)
            kernel = torch.ops.aten._log_softmax_backward_data.out
            return lambda: kernel(g, t, -1, t.dtype, out=out)

        def numpy_():
            out = np.empty_like(y)

            def softmax_backward():
                np.subtract(grad, np.einsum("ij,ij->i", grad, y)[:, None], out=out)
                return np.multiply(out, y, out=out)

            def log_softmax_backward():
                np.exp(y, out=out)
                np.multiply(out, grad.sum(-1, keepdims=True), out=out)
                return np.subtract(grad, out, out=out)

            return softmax_backward if op == "softmax_backward" else log_softmax_backward

        def jax_():
            import jax

            jnp = jax.numpy
            g, t = jnp.asarray(grad), jnp.asarray(y)
            if op == "softmax_backward":
                kernel = jax.jit(lambda g, t: (g - (g * t).sum(-1, keepdims=True)) * t)
            else:
                kernel = jax.jit(lambda g, t: g - jnp.exp(t) * g.sum(-1, keepdims=True))
            return lambda: kernel(g, t).block_until_ready()

        rows = sample_rows(shape[0])
        expected = getattr(reference, op)(grad[rows].astype("float64"), y[rows].astype("float64"), -1)

        def check(result, peer):
            assert_close(to_numpy(result)[rows], expected, dtype, peer)

        return Setup({"fastml": fastml_, "torch": torch_, "numpy": numpy_, "jax": jax_}, check)

    nbytes = 3 * int(np.prod(shape)) * np.dtype(dtype).itemsize
    return Case(op, shape_label(shape), dtype, setup, nbytes=nbytes)


SMALL, MIDDLE, LARGE = (128, 10), (256, 512), (512, 32000)
CASES = [
    *(_forward_case("softmax", shape) for shape in ((32, 10), SMALL, MIDDLE, LARGE)),
    _forward_case("softmax", (32, 10, 64, 64), axis=1),
    _forward_case("softmax", MIDDLE, dtype="float64"),
    *(_forward_case("log_softmax", shape) for shape in (SMALL, MIDDLE, LARGE)),
    *(_logsumexp_case(shape) for shape in (SMALL, MIDDLE, LARGE)),
    *(_backward_case("softmax_backward", shape) for shape in (SMALL, MIDDLE, LARGE)),
    *(_backward_case("log_softmax_backward", shape) for shape in (SMALL, MIDDLE, LARGE)),
]
