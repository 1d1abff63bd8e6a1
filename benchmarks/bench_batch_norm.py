"""Batch norm in training, over axis 1: forward with running statistics, backward, and the statistics of a piece."""

import numpy as np

import fastml
from fastml import reference

from .common import Case, Setup, assert_close, each_close, jax_call, normal, shape_label, to_numpy

EPS, MOMENTUM = 1e-5, 0.1


def _inputs(shape, dtype):
    x = normal(shape, dtype, scale=2, shift=3)
    return x, normal(shape[1:2], dtype, seed=1, shift=1), normal(shape[1:2], dtype, seed=2)


def _channels(shape):
    """Axes to reduce, the shape that spreads a channel vector over x, and a slice of channels to check."""
    axes = (0, *range(2, len(shape)))
    return axes, (shape[1], *(1,) * (len(shape) - 2)), slice(0, None, max(1, shape[1] // 16))


def _forward_case(shape, dtype="float32"):
    def setup():
        x, weight, bias = _inputs(shape, dtype)
        axes, spread, some = _channels(shape)
        m = x.size // shape[1]
        mean0, var0 = np.zeros(shape[1], dtype), np.ones(shape[1], dtype)

        def fastml_():
            out, mean, var = np.empty_like(x), mean0.copy(), var0.copy()
            return lambda: fastml.batch_norm(x, weight, bias, mean, var, momentum=MOMENTUM, eps=EPS, out=out)

        def torch_():
            import torch

            t, w, b, rm, rv = map(torch.from_numpy, (x, weight, bias, mean0.copy(), var0.copy()))
            y, mean, inv_std = torch.empty_like(t), torch.empty_like(w), torch.empty_like(w)
            kernel = torch.ops.aten.native_batch_norm.out
            return lambda: kernel(t, w, b, rm, rv, True, MOMENTUM, EPS, out=y, save_mean=mean, save_invstd=inv_std)

        def numpy_():
            y, work = np.empty_like(x), np.empty_like(x)
            running_mean, running_var = mean0.copy(), var0.copy()

            def call():
                mean = x.mean(axes)
                np.subtract(x, mean.reshape(spread), out=y)
                var = np.multiply(y, y, out=work).mean(axes)
                inv_std = 1 / np.sqrt(var + EPS)
                np.multiply(y, (weight * inv_std).reshape(spread), out=y)
                np.add(y, bias.reshape(spread), out=y)
                running_mean[:] += MOMENTUM * (mean - running_mean)
                running_var[:] += MOMENTUM * (var * (m / (m - 1)) - running_var)
                return y, mean, inv_std

            return call

        def jax_(jnp, x, weight, bias, running_mean, running_var):
            mean, var = x.mean(axes), x.var(axes)
            inv_std = 1 / jnp.sqrt(var + EPS)
            y = (x - mean.reshape(spread)) * (weight * inv_std).reshape(spread) + bias.reshape(spread)
            running_mean += MOMENTUM * (mean - running_mean)
            running_var += MOMENTUM * (var * (m / (m - 1)) - running_var)
            return y, mean, inv_std, running_mean, running_var

        expected = reference.batch_norm(x[:, some].astype("float64"), weight[some], bias[some], eps=EPS)

        def check(result, peer):
            assert_close(to_numpy(result[0])[:, some], expected[0], dtype, f"{peer} y")
            for name, got, want in zip(("mean", "inv_std"), result[1:], expected[1:], strict=False):
                assert_close(to_numpy(got)[some], want, dtype, f"{peer} {name}")

        builders = {"fastml": fastml_, "torch": torch_, "numpy": numpy_}
        return Setup(builders | {"jax": jax_call(jax_, x, weight, bias, mean0, var0)}, check)

    nbytes = 2 * int(np.prod(shape)) * np.dtype(dtype).itemsize
    return Case("batch_norm", shape_label(shape), dtype, setup, nbytes=nbytes)


def _backward_case(shape, dtype="float32"):
    def setup():
        x, weight, _ = _inputs(shape, dtype)
        grad = normal(shape, dtype, seed=3)
        axes, spread, some = _channels(shape)
        m = x.size // shape[1]
        mean = x.mean(axes, dtype="float64").astype(dtype)
        inv_std = (1 / np.sqrt(x.var(axes, dtype="float64") + EPS)).astype(dtype)

        def fastml_():
            out = np.empty_like(x)
            return lambda: fastml.batch_norm_backward(grad, x, weight, mean, inv_std, out=out)

        def torch_():
            import torch

            g, t, w, mu, s = map(torch.from_numpy, (grad, x, weight, mean, inv_std))
            kernel = torch.ops.aten.native_batch_norm_backward
            return lambda: kernel(g, t, w, None, None, mu, s, True, EPS, [True, True, True])

        def numpy_():
            dx, xhat, work = np.empty_like(x), np.empty_like(x), np.empty_like(x)

            def call():
                np.subtract(x, mean.reshape(spread), out=xhat)
                np.multiply(xhat, inv_std.reshape(spread), out=xhat)
                dbias = grad.sum(axes)
                dweight = np.multiply(grad, xhat, out=work).sum(axes)
                np.multiply(xhat, (dweight / m).reshape(spread), out=xhat)
                np.subtract(grad, xhat, out=dx)
                np.subtract(dx, (dbias / m).reshape(spread), out=dx)
                np.multiply(dx, (weight * inv_std).reshape(spread), out=dx)
                return dx, dweight, dbias

            return call

        def jax_(jnp, grad, x, weight, mean, inv_std):
            xhat = (x - mean.reshape(spread)) * inv_std.reshape(spread)
            dbias = grad.sum(axes)
            dweight = (grad * xhat).sum(axes)
            dx = grad - (dbias / m).reshape(spread) - xhat * (dweight / m).reshape(spread)
            return dx * (weight * inv_std).reshape(spread), dweight, dbias

        expected = reference.batch_norm_backward(
            grad[:, some].astype("float64"), x[:, some].astype("float64"), weight[some], mean[some], inv_std[some]
        )

        def check(result, peer):
            assert_close(to_numpy(result[0])[:, some], expected[0], dtype, f"{peer} dx")
            for name, got, want in zip(("dweight", "dbias"), result[1:], expected[1:], strict=True):
                assert_close(to_numpy(got)[some], want, dtype, f"{peer} {name}")

        builders = {"fastml": fastml_, "torch": torch_, "numpy": numpy_}
        return Setup(builders | {"jax": jax_call(jax_, grad, x, weight, mean, inv_std)}, check)

    nbytes = 3 * int(np.prod(shape)) * np.dtype(dtype).itemsize
    return Case("batch_norm_backward", shape_label(shape), dtype, setup, nbytes=nbytes)


def _stats_case(shape, dtype="float32"):
    def setup():
        x, *_ = _inputs(shape, dtype)
        axes, _, _ = _channels(shape)

        def torch_():
            import torch

            t = torch.from_numpy(x)
            kernel = torch.ops.aten.var_mean.correction

            def call():
                var, mean = kernel(t, axes, correction=0)
                return x.size // shape[1], mean, var * (x.size // shape[1])

            return call

        def numpy_():
            return lambda: (x.size // shape[1], x.mean(axes), x.var(axes) * (x.size // shape[1]))

        expected = reference.batch_norm_stats(x)

        builders = {"fastml": lambda: lambda: fastml.batch_norm_stats(x), "torch": torch_, "numpy": numpy_}
        return Setup(builders, each_close(("count", "mean", "m2"), expected, dtype))

    nbytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
    return Case("batch_norm_stats", shape_label(shape), dtype, setup, nbytes=nbytes, peers=("torch", "numpy"))


SHAPES = ((128, 256), (4096, 512), (32, 256, 14, 14))
CASES = [
    *(_forward_case(shape) for shape in SHAPES),
    _forward_case((128, 256), dtype="float64"),
    *(_backward_case(shape) for shape in SHAPES),
    _backward_case((128, 256), dtype="float64"),
    *(_stats_case(shape) for shape in SHAPES),
]
