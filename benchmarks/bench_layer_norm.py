"""Layer norm over the last axis with weight and bias: forward, and backward with all three gradients."""

import numpy as np

import fastml
from fastml import reference

from .common import Case, Setup, each_close, jax_call, normal, sample_rows, shape_label

EPS = 1e-5


def _inputs(shape, dtype):
    x = normal(shape, dtype, scale=2, shift=3)
    return x, normal(shape[1:], dtype, seed=1, shift=1), normal(shape[1:], dtype, seed=2)


def _forward_case(shape, dtype="float32"):
    def setup():
        x, weight, bias = _inputs(shape, dtype)

        def fastml_():
            out = np.empty_like(x)
            return lambda: fastml.layer_norm(x, weight, bias, eps=EPS, out=out)

        def torch_():
            import torch

            t, w, b = map(torch.from_numpy, (x, weight, bias))
            y, mean, inv_std = torch.empty_like(t), torch.empty_like(t[:, :1]), torch.empty_like(t[:, :1])
            kernel = torch.ops.aten.native_layer_norm.out
            return lambda: kernel(t, shape[1:], w, b, EPS, out0=y, out1=mean, out2=inv_std)

        def numpy_():
            y, work = np.empty_like(x), np.empty_like(x)

            def call():
                mean = x.mean(1, keepdims=True)
                np.subtract(x, mean, out=y)
                inv_std = 1 / np.sqrt(np.multiply(y, y, out=work).mean(1, keepdims=True) + EPS)
                np.multiply(y, inv_std, out=y)
                np.multiply(y, weight, out=y)
                np.add(y, bias, out=y)
                return y, mean, inv_std

            return call

        def jax_(jnp, x, weight, bias):
            mean = x.mean(1, keepdims=True)
            inv_std = 1 / jnp.sqrt(x.var(1, keepdims=True) + EPS)
            return (x - mean) * inv_std * weight + bias, mean, inv_std

        some = sample_rows(shape[0])
        expected = reference.layer_norm(x[some].astype("float64"), weight, bias, eps=EPS)
        builders = {"fastml": fastml_, "torch": torch_, "numpy": numpy_, "jax": jax_call(jax_, x, weight, bias)}
        return Setup(builders, each_close(("y", "mean", "inv_std"), expected, dtype, some))

    nbytes = 2 * int(np.prod(shape)) * np.dtype(dtype).itemsize
    return Case("layer_norm", shape_label(shape), dtype, setup, nbytes=nbytes)


def _backward_case(shape, dtype="float32"):
    def setup():
        x, weight, _ = _inputs(shape, dtype)
        grad = normal(shape, dtype, seed=3)
        mean = x.mean(1, keepdims=True, dtype="float64").astype(dtype)
        inv_std = (1 / np.sqrt(x.var(1, keepdims=True, dtype="float64") + EPS)).astype(dtype)

        def fastml_():
            out = np.empty_like(x)
            return lambda: fastml.layer_norm_backward(grad, x, weight, mean, inv_std, out=out)

        def torch_():
            import torch

            g, t, w, mu, s = map(torch.from_numpy, (grad, x, weight, mean, inv_std))
            kernel = torch.ops.aten.native_layer_norm_backward
            return lambda: kernel(g, t, shape[1:], mu, s, w, w, [True, True, True])

        def numpy_():
            dx, xhat, work = np.empty_like(x), np.empty_like(x), np.empty_like(x)

            def call():
                np.subtract(x, mean, out=xhat)
                np.multiply(xhat, inv_std, out=xhat)
                dbias = grad.sum(0)
                dweight = np.multiply(grad, xhat, out=work).sum(0)
                np.multiply(grad, weight, out=dx)
                slope = np.multiply(dx, xhat, out=work).mean(1, keepdims=True)
                np.subtract(dx, dx.mean(1, keepdims=True), out=dx)
                np.multiply(xhat, slope, out=xhat)
                np.subtract(dx, xhat, out=dx)
                np.multiply(dx, inv_std, out=dx)
                return dx, dweight, dbias

            return call

        def jax_(jnp, grad, x, weight, mean, inv_std):
            xhat = (x - mean) * inv_std
            g = grad * weight
            dx = (g - g.mean(1, keepdims=True) - xhat * (g * xhat).mean(1, keepdims=True)) * inv_std
            return dx, (grad * xhat).sum(0), grad.sum(0)

        arrays = (grad, x, weight, mean, inv_std)
        expected = reference.layer_norm_backward(*(a.astype("float64") for a in arrays))
        builders = {"fastml": fastml_, "torch": torch_, "numpy": numpy_, "jax": jax_call(jax_, *arrays)}
        return Setup(builders, each_close(("dx", "dweight", "dbias"), expected, dtype))

    nbytes = 3 * int(np.prod(shape)) * np.dtype(dtype).itemsize
    return Case("layer_norm_backward", shape_label(shape), dtype, setup, nbytes=nbytes)


SHAPES = ((32, 64), (128, 256), (512, 4096), (4096, 1024))
CASES = [
    *(_forward_case(shape) for shape in SHAPES),
    _forward_case((128, 256), dtype="float64"),
    *(_backward_case(shape) for shape in SHAPES),
    _backward_case((128, 256), dtype="float64"),
]
