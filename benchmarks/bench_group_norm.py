"""Group and instance norm over axis 1: forward and backward."""

import numpy as np

import fastml
from fastml import reference

from .common import Case, Setup, each_close, jax_call, normal, shape_label

EPS = 1e-5


def _inputs(shape, dtype):
    x = normal(shape, dtype, scale=2, shift=3)
    return x, normal(shape[1:2], dtype, seed=1, shift=1), normal(shape[1:2], dtype, seed=2)


def _grouped(shape, groups):
    """(N, groups, values of a group), and the shape that spreads a vector per channel over x."""
    return (shape[0], groups, int(np.prod(shape[1:])) // groups), (shape[1], *(1,) * (len(shape) - 2))


def _flat(shape, groups):
    """What PyTorch's kernels take: N, C, places, groups."""
    return shape[0], shape[1], int(np.prod(shape[2:])), groups


def _sum_axes(shape):
    return (0, *range(2, len(shape)))


def _forward_case(shape, groups, dtype="float32"):
    def setup():
        x, weight, bias = _inputs(shape, dtype)
        by_group, spread = _grouped(shape, groups)

        def fastml_():
            out = np.empty_like(x)
            if groups == shape[1]:
                return lambda: fastml.instance_norm(x, weight, bias, eps=EPS, out=out)
            return lambda: fastml.group_norm(x, groups, weight, bias, eps=EPS, out=out)

        def torch_():
            import torch

            t, w, b = map(torch.from_numpy, (x, weight, bias))
            y, statistics = torch.empty_like(t), [torch.empty((shape[0], groups), dtype=t.dtype) for _ in "ab"]
            kernel = torch.ops.aten.native_group_norm.out
            return lambda: kernel(t, w, b, *_flat(shape, groups), EPS, out0=y, out1=statistics[0], out2=statistics[1])

        def numpy_():
            y, work = np.empty_like(x), np.empty_like(x)
            rows, centred, squares = (a.reshape(by_group) for a in (x, y, work))

            def call():
                mean = rows.mean(2, keepdims=True)
                np.subtract(rows, mean, out=centred)
                var = np.multiply(centred, centred, out=squares).mean(2, keepdims=True)
                inv_std = 1 / np.sqrt(var + EPS)
                np.multiply(centred, inv_std, out=centred)
                np.multiply(y, weight.reshape(spread), out=y)
                np.add(y, bias.reshape(spread), out=y)
                return y, mean[..., 0], inv_std[..., 0]

            return call

        def jax_(jnp, x, weight, bias):
            rows = x.reshape(by_group)
            mean = rows.mean(2, keepdims=True)
            inv_std = 1 / jnp.sqrt(rows.var(2, keepdims=True) + EPS)
            y = ((rows - mean) * inv_std).reshape(shape) * weight.reshape(spread) + bias.reshape(spread)
            return y, mean[..., 0], inv_std[..., 0]

        expected = reference.group_norm(x[:2].astype("float64"), groups, weight, bias, eps=EPS)
        builders = {"fastml": fastml_, "torch": torch_, "numpy": numpy_, "jax": jax_call(jax_, x, weight, bias)}
        return Setup(builders, each_close(("y", "mean", "inv_std"), expected, dtype, slice(2)))

    nbytes = 2 * int(np.prod(shape)) * np.dtype(dtype).itemsize
    return Case(_op(shape, groups), _label(shape, groups), dtype, setup, nbytes=nbytes)


def _backward_case(shape, groups, dtype="float32"):
    def setup():
        x, weight, _ = _inputs(shape, dtype)
        grad = normal(shape, dtype, seed=3)
        by_group, spread = _grouped(shape, groups)
        _, mean, inv_std = reference.group_norm(x, groups, eps=EPS)

        def fastml_():
            out = np.empty_like(x)
            if groups == shape[1]:
                return lambda: fastml.instance_norm_backward(grad, x, weight, mean, inv_std, out=out)
            return lambda: fastml.group_norm_backward(grad, x, groups, weight, mean, inv_std, out=out)

        def torch_():
            import torch

            g, t, w, mu, s = map(torch.from_numpy, (grad, x, weight, mean, inv_std))
            kernel = torch.ops.aten.native_group_norm_backward
            return lambda: kernel(g, t, mu, s, w, *_flat(shape, groups), [True, True, True])

        def numpy_():
            dx, xhat, work = np.empty_like(x), np.empty_like(x), np.empty_like(x)
            rows, normed, weighted, products = (a.reshape(by_group) for a in (x, xhat, dx, work))

            def call():
                np.subtract(rows, mean[..., None], out=normed)
                np.multiply(normed, inv_std[..., None], out=normed)
                dbias = grad.sum(_sum_axes(shape))
                dweight = np.multiply(grad, xhat, out=work).sum(_sum_axes(shape))
                np.multiply(grad, weight.reshape(spread), out=dx)
                center = weighted.mean(2, keepdims=True)
                slope = np.multiply(weighted, normed, out=products).mean(2, keepdims=True)
                np.subtract(weighted, center, out=weighted)
                np.subtract(weighted, np.multiply(normed, slope, out=products), out=weighted)
                np.multiply(weighted, inv_std[..., None], out=weighted)
                return dx, dweight, dbias

            return call

        def jax_(jnp, grad, x, weight, mean, inv_std):
            xhat = (x.reshape(by_group) - mean[..., None]) * inv_std[..., None]
            dbias = grad.sum(_sum_axes(shape))
            dweight = (grad * xhat.reshape(shape)).sum(_sum_axes(shape))
            g = (grad * weight.reshape(spread)).reshape(by_group)
            slope = (g * xhat).mean(2, keepdims=True)
            dx = (g - g.mean(2, keepdims=True) - xhat * slope) * inv_std[..., None]
            return dx.reshape(shape), dweight, dbias

        arrays = (grad.astype("float64"), x.astype("float64"), groups, weight, mean, inv_std)
        check = each_close(("dx", "dweight", "dbias"), reference.group_norm_backward(*arrays), dtype)
        builders = {"fastml": fastml_, "torch": torch_, "numpy": numpy_}
        return Setup(builders | {"jax": jax_call(jax_, grad, x, weight, mean, inv_std)}, check)

    nbytes = 3 * int(np.prod(shape)) * np.dtype(dtype).itemsize
    return Case(f"{_op(shape, groups)}_backward", _label(shape, groups), dtype, setup, nbytes=nbytes)


def _op(shape, groups):
    return "instance_norm" if groups == shape[1] else "group_norm"


def _label(shape, groups):
    return shape_label(shape) if groups == shape[1] else f"{shape_label(shape)}/{groups}"


SHAPES = (
    ((128, 256), 8),
    ((32, 256, 14, 14), 32),
    ((16, 64, 56, 56), 32),
    ((32, 64, 14, 14), 64),
    ((16, 64, 56, 56), 64),
)
CASES = [
    *(_forward_case(*case) for case in SHAPES),
    _forward_case((128, 256), 8, dtype="float64"),
    *(_backward_case(*case) for case in SHAPES),
    _backward_case((128, 256), 8, dtype="float64"),
]
