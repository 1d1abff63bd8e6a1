"""ReLU and its backward, nothing but memory, so that the share of the limit is the figure to look at; the other
activations and their backwards."""

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


# The derivatives of these take y, PyTorch's nothing else, which saves them the function itself.
_OF_Y = ("sigmoid", "tanh")


def _torch_call(name, options):
    """(forward into out, backward into out) of PyTorch's own operators."""
    import torch

    aten = torch.ops.aten
    if name == "hard_swish":
        gradient = aten.hardswish_backward.out
        return (lambda t, out: aten.hardswish.out(t, out=out)), lambda g, t, out: gradient(g, t, out=out)
    forward = {"sigmoid": torch.sigmoid, "tanh": torch.tanh}.get(name) or getattr(aten, name).out
    gradient = getattr(aten, f"{name}_backward").grad_input
    if name == "elu":
        return (lambda t, out: forward(t, out=out)), lambda g, t, out: gradient(g, 1, 1, 1, False, t, grad_input=out)
    if name == "leaky_relu":
        return (lambda t, out: forward(t, out=out)), lambda g, t, out: gradient(g, t, 0.01, False, grad_input=out)
    if name == "softplus":
        return (lambda t, out: forward(t, out=out)), lambda g, t, out: gradient(g, t, 1, 20, grad_input=out)
    return (lambda t, out: forward(t, out=out, **options)), lambda g, t, out: gradient(g, t, grad_input=out, **options)


def _jax_function(name, options):
    import jax

    if name == "gelu":
        return lambda v: jax.nn.gelu(v, approximate=options.get("approximate") == "tanh")
    return getattr(jax.nn, name)


def _numpy_call(name, x):
    out = np.empty_like(x)
    if name == "tanh":
        return lambda: np.tanh(x, out=out)

    def sigmoid():
        np.exp(np.negative(x, out=out), out=out)
        return np.reciprocal(np.add(out, 1, out=out), out=out)

    return sigmoid


def _smooth_case(name, shape, dtype="float32", **options):
    def setup():
        x = normal(shape, dtype)
        function = getattr(fastml, name)

        def fastml_():
            out = np.empty_like(x)
            return lambda: function(x, out=out, **options)

        def torch_():
            import torch

            t = torch.from_numpy(x)
            out = torch.empty_like(t)
            kernel = _torch_call(name, options)[0]
            return lambda: kernel(t, out)

        def jax_():
            import jax

            a = jax.numpy.asarray(x)
            kernel = jax.jit(_jax_function(name, options))
            return lambda: kernel(a).block_until_ready()

        def check(result, peer):
            expected = getattr(reference, name)(x[-4096:], **options)
            assert_close(to_numpy(result)[-4096:], expected, dtype, peer)

        peers = {"fastml": fastml_, "torch": torch_, "jax": jax_}
        if "numpy" in names:
            peers["numpy"] = lambda: _numpy_call(name, x)
        return Setup(peers, check)

    names = ("torch", "numpy", "jax") if name in ("sigmoid", "tanh") else ("torch", "jax")
    nbytes = 2 * int(np.prod(shape)) * np.dtype(dtype).itemsize
    label = name + ("_tanh" if options else "")
    return Case(label, shape_label(shape), dtype, setup, nbytes=nbytes, peers=names)


def _smooth_backward_case(name, shape, dtype="float32", **options):
    def setup():
        x, grad = normal(shape, dtype), normal(shape, dtype, seed=1)
        function = getattr(fastml, f"{name}_backward")

        def fastml_():
            out = np.empty_like(x)
            if name in _OF_Y:
                y = getattr(fastml, name)(x)
                return lambda: function(grad, y=y, out=out)
            return lambda: function(grad, x, out=out, **options)

        def torch_():
            import torch

            given, g = torch.from_numpy(x), torch.from_numpy(grad)
            given = getattr(torch, name)(given) if name in _OF_Y else given
            out = torch.empty_like(given)
            kernel = _torch_call(name, options)[1]
            return lambda: kernel(g, given, out)

        def jax_():
            import jax

            a, g = jax.numpy.asarray(x), jax.numpy.asarray(grad)
            slope = jax.vmap(jax.grad(_jax_function(name, options)))
            kernel = jax.jit(lambda g, a: g * slope(a))
            return lambda: kernel(g, a).block_until_ready()

        def check(result, peer):
            expected = getattr(reference, f"{name}_backward")(grad[-4096:], x[-4096:], **options)
            assert_close(to_numpy(result)[-4096:], expected, dtype, peer)

        return Setup({"fastml": fastml_, "torch": torch_, "jax": jax_}, check)

    nbytes = 3 * int(np.prod(shape)) * np.dtype(dtype).itemsize
    label = f"{name}{'_tanh' if options else ''}_backward"
    return Case(label, shape_label(shape), dtype, setup, nbytes=nbytes, peers=("torch", "jax"))


SHAPES = ((10**4,), (10**6,), (10**7,))
OTHERS = ("silu", "hard_swish", "sigmoid", "tanh", "softplus", "elu", "leaky_relu")
CASES = [
    *(_relu_case(shape) for shape in SHAPES),
    _relu_case((10**6,), dtype="float64"),
    *(_relu_backward_case(shape) for shape in SHAPES),
    *(_smooth_case("gelu", shape) for shape in ((32, 10), (10**5,), *SHAPES)),
    _smooth_case("gelu", (10**6,), dtype="float64"),
    *(_smooth_case("gelu", (n,), approximate="tanh") for n in (10**4, 10**6)),
    *(_smooth_backward_case("gelu", shape) for shape in ((10**5,), *SHAPES)),
    *(_smooth_backward_case("gelu", (n,), approximate="tanh") for n in (10**4, 10**6)),
    *(_smooth_case(name, shape) for name in OTHERS for shape in ((32, 10), (10**6,))),
    *(_smooth_backward_case(name, shape) for name in OTHERS for shape in ((10**4,), (10**6,))),
]
