"""RMS norm over the last axis with weight: forward, and backward with both gradients."""

import numpy as np

import fastml
from fastml import reference

from .bench_layer_norm import SHAPES
from .common import Case, Setup, assert_close, normal, sample_rows, shape_label, to_numpy

EPS = 1e-6


def _inputs(shape, dtype):
    return normal(shape, dtype, scale=2, shift=1), normal(shape[1:], dtype, seed=1, shift=1)


def _forward_case(shape, dtype="float32"):
    def setup():
        x, weight = _inputs(shape, dtype)

        def fastml_():
            out = np.empty_like(x)
            return lambda: fastml.rms_norm(x, weight, eps=EPS, out=out)[0]

        def torch_():
            import torch

            t, w = map(torch.from_numpy, (x, weight))
            return lambda: torch.nn.functional.rms_norm(t, shape[1:], w, EPS)

        def numpy_():
            y = np.empty_like(x)

            def call():
                inv_rms = 1 / np.sqrt(np.multiply(x, x, out=y).mean(1, keepdims=True) + EPS)
                np.multiply(x, inv_rms, out=y)
                return np.multiply(y, weight, out=y)

            return call

        def jax_():
            import jax

            jnp = jax.numpy
            arrays = [jnp.asarray(a) for a in (x, weight)]

            @jax.jit
            def kernel(x, weight):
                return x / jnp.sqrt((x * x).mean(1, keepdims=True) + EPS) * weight

            return lambda: jax.block_until_ready(kernel(*arrays))

        some = sample_rows(shape[0])
        expected, _ = reference.rms_norm(x[some].astype("float64"), weight, eps=EPS)

        def check(result, peer):
            assert_close(to_numpy(result)[some], expected, dtype, peer)

        return Setup({"fastml": fastml_, "torch": torch_, "numpy": numpy_, "jax": jax_}, check)

    nbytes = 2 * int(np.prod(shape)) * np.dtype(dtype).itemsize
    return Case("rms_norm", shape_label(shape), dtype, setup, nbytes=nbytes)


def _backward_case(shape, dtype="float32"):
    def setup():
        x, weight = _inputs(shape, dtype)
        grad = normal(shape, dtype, seed=3)
        inv_rms = (1 / np.sqrt((x.astype("float64") ** 2).mean(1, keepdims=True) + EPS)).astype(dtype)

        def fastml_():
            out = np.empty_like(x)
            return lambda: fastml.rms_norm_backward(grad, x, weight, inv_rms, out=out)

        def torch_():
            import torch

            # Its CPU build has no backward kernel: autograd goes back through the forward's operations.
            g, t, w = map(torch.from_numpy, (grad, x.copy(), weight.copy()))
            y = torch.nn.functional.rms_norm(t.requires_grad_(), shape[1:], w.requires_grad_(), EPS)
            return lambda: torch.autograd.grad(y, (t, w), g, retain_graph=True)

        def numpy_():
            dx, xhat, work = np.empty_like(x), np.empty_like(x), np.empty_like(x)

            def call():
                np.multiply(x, inv_rms, out=xhat)
                dweight = np.multiply(grad, xhat, out=work).sum(0)
                np.multiply(grad, weight, out=dx)
                slope = np.multiply(dx, xhat, out=work).mean(1, keepdims=True)
                np.multiply(xhat, slope, out=xhat)
                np.subtract(dx, xhat, out=dx)
                return np.multiply(dx, inv_rms, out=dx), dweight

            return call

        def jax_():
            import jax

            arrays = [jax.numpy.asarray(a) for a in (grad, x, weight, inv_rms)]

            @jax.jit
            def kernel(grad, x, weight, inv_rms):
                xhat = x * inv_rms
                g = grad * weight
                return (g - xhat * (g * xhat).mean(1, keepdims=True)) * inv_rms, (grad * xhat).sum(0)

            return lambda: jax.block_until_ready(kernel(*arrays))

        expected = reference.rms_norm_backward(*(a.astype("float64") for a in (grad, x, weight, inv_rms)))

        def check(result, peer):
            for name, got, want in zip(("dx", "dweight"), result, expected, strict=True):
                assert_close(got, want, dtype, f"{peer} {name}")

        return Setup({"fastml": fastml_, "torch": torch_, "numpy": numpy_, "jax": jax_}, check)

    nbytes = 3 * int(np.prod(shape)) * np.dtype(dtype).itemsize
    return Case("rms_norm_backward", shape_label(shape), dtype, setup, nbytes=nbytes)


CASES = [
    *(_forward_case(shape) for shape in SHAPES),
    _forward_case((128, 256), dtype="float64"),
    *(_backward_case(shape) for shape in SHAPES),
    _backward_case((128, 256), dtype="float64"),
]
