"""ReLU and its backward, nothing but memory, so that the share of the limit is the figure to look at; GELU and its
backward."""

import numpy as np

import fastml
from fastml import reference

from .common import Case, Setup, assert_close, normal, shape_label, to_numpy


def _relu_case(shape, dtype="float32"):
    def setup():
        x = normal(shape, dtype)

        def fastml_():
            out = np.empty_like(x)
            return lambda: fastml.relu(x, out=out)

        def torch_():
            import torch

            t = torch.from_numpy(x)
            out = torch.empty_like(t)
            return lambda: torch.clamp_min(t, 0, out=out)  # torch.relu itself takes no out=

        def numpy_():
            out = np.empty_like(x)
            return lambda: np.maximum(x, 0, out=out)

        def jax_():
            import jax

            a = jax.numpy.asarray(x)
            kernel = jax.jit(jax.nn.relu)
            return lambda: kernel(a).block_until_ready()

        def check(result, peer):
            assert_close(to_numpy(result)[-4096:], reference.relu(x[-4096:]), dtype, peer)

        return Setup({"fastml": fastml_, "torch": torch_, "numpy": numpy_, "jax": jax_}, check)

    nbytes = 2 * int(np.prod(shape)) * np.dtype(dtype).itemsize
    return Case("relu", shape_label(shape), dtype, setup, nbytes=nbytes)


def _relu_backward_case(shape, dtype="float32"):
    def setup():
        x, grad = normal(shape, dtype), normal(shape, dtype, seed=1)

        def fastml_():
            out = np.empty_like(x)
            return lambda: fastml.relu_backward(grad, x, out=out)

        def torch_():
            import torch

            t, g = torch.from_numpy(x), torch.from_numpy(grad)
            out = torch.empty_like(t)
            kernel = torch.ops.aten.threshold_backward.grad_input
            return lambda: kernel(g, t, 0, grad_input=out)

        def numpy_():
            out, positive = np.empty_like(x), np.empty(shape, bool)

            def call():
                np.greater(x, 0, out=positive)
                return np.multiply(grad, positive, out=out)

            return call

        def jax_():
            import jax

            a, g = jax.numpy.asarray(x), jax.numpy.asarray(grad)
            kernel = jax.jit(lambda g, a: jax.numpy.where(a > 0, g, 0))
            return lambda: kernel(g, a).block_until_ready()

        def check(result, peer):
            expected = reference.relu_backward(grad[-4096:], x[-4096:])
            assert_close(to_numpy(result)[-4096:], expected, dtype, peer)

        return Setup({"fastml": fastml_, "torch": torch_, "numpy": numpy_, "jax": jax_}, check)

    nbytes = 3 * int(np.prod(shape)) * np.dtype(dtype).itemsize
    return Case("relu_backward", shape_label(shape), dtype, setup, nbytes=nbytes)


def _gelu_case(shape, dtype="float32", approximate="none"):
    def setup():
        x = normal(shape, dtype)

        def fastml_():
            out = np.empty_like(x)
            return lambda: fastml.gelu(x, approximate=approximate, out=out)

        def torch_():
            import torch

            t = torch.from_numpy(x)
            out = torch.empty_like(t)
            kernel = torch.ops.aten.gelu.out
            return lambda: kernel(t, approximate=approximate, out=out)

        def jax_():
            import jax

            a = jax.numpy.asarray(x)
            kernel = jax.jit(lambda a: jax.nn.gelu(a, approximate=approximate == "tanh"))
            return lambda: kernel(a).block_until_ready()

        def check(result, peer):
            expected = reference.gelu(x[-4096:], approximate=approximate)
            assert_close(to_numpy(result)[-4096:], expected, dtype, peer)

        return Setup({"fastml": fastml_, "torch": torch_, "jax": jax_}, check)

    nbytes = 2 * int(np.prod(shape)) * np.dtype(dtype).itemsize
    name = "gelu" if approximate == "none" else f"gelu_{approximate}"
    return Case(name, shape_label(shape), dtype, setup, nbytes=nbytes, peers=("torch", "jax"))


def _gelu_backward_case(shape, dtype="float32", approximate="none"):
    def setup():
        x, grad = normal(shape, dtype), normal(shape, dtype, seed=1)

        def fastml_():
            out = np.empty_like(x)
            return lambda: fastml.gelu_backward(grad, x, approximate=approximate, out=out)

        def torch_():
            import torch

            t, g = torch.from_numpy(x), torch.from_numpy(grad)
            out = torch.empty_like(t)
            kernel = torch.ops.aten.gelu_backward.grad_input
            return lambda: kernel(g, t, approximate=approximate, grad_input=out)

        def jax_():
            import jax

            a, g = jax.numpy.asarray(x), jax.numpy.asarray(grad)
            slope = jax.vmap(jax.grad(lambda v: jax.nn.gelu(v, approximate=approximate == "tanh")))
            kernel = jax.jit(lambda g, a: g * slope(a))
            return lambda: kernel(g, a).block_until_ready()

        def check(result, peer):
            expected = reference.gelu_backward(grad[-4096:], x[-4096:], approximate=approximate)
            assert_close(to_numpy(result)[-4096:], expected, dtype, peer)

        return Setup({"fastml": fastml_, "torch": torch_, "jax": jax_}, check)

    nbytes = 3 * int(np.prod(shape)) * np.dtype(dtype).itemsize
    name = "gelu_backward" if approximate == "none" else f"gelu_{approximate}_backward"
    return Case(name, shape_label(shape), dtype, setup, nbytes=nbytes, peers=("torch", "jax"))


SHAPES = ((10**4,), (10**6,), (10**7,))
CASES = [
    *(_relu_case(shape) for shape in SHAPES),
    _relu_case((10**6,), dtype="float64"),
    *(_relu_backward_case(shape) for shape in SHAPES),
    *(_gelu_case(shape) for shape in SHAPES),
    _gelu_case((10**6,), dtype="float64"),
    *(_gelu_case((n,), approximate="tanh") for n in (10**4, 10**6)),
    *(_gelu_backward_case(shape) for shape in SHAPES),
    *(_gelu_backward_case((n,), approximate="tanh") for n in (10**4, 10**6)),
]
