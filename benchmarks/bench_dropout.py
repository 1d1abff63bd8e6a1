"""Dropout with p = 0.5. The backward of the peers reads the mask they stored; fastml's function draws it again, its
layer reads the bits that it kept."""

import numpy as np

import fastml
from fastml import nn, reference

from .common import Case, Setup, assert_close, normal, shape_label, to_numpy

P, SEED = 0.5, 7


def _draw_torch(torch, like):
    """What torch.nn.functional.dropout does, into memory given beforehand."""
    noise = torch.empty_like(like)
    return lambda: noise.bernoulli_(1 - P).div_(1 - P)


def _check_peer(result, x, peer):
    """Every kept element is x / (1 − p); the share of kept ones lies within six standard deviations."""
    kept = result != 0
    assert_close(result, np.where(kept, x / (1 - P), 0), str(x.dtype), peer)
    _check_rate(kept, peer)


def _check_rate(kept, peer):
    if abs(kept.mean() - (1 - P)) > 6 * np.sqrt(P * (1 - P) / kept.size):
        raise AssertionError(f"{peer}: {kept.mean():.4f} of the elements kept, expected {1 - P}")


def _check_fastml(result, x):
    """The last elements equal the reference's, drawn there alone by their offset."""
    tail = min(x.size, 4096)
    expected = reference.dropout(x.ravel()[-tail:], P, seed=SEED, offset=x.size - tail)
    assert_close(result.ravel()[-tail:], expected, str(x.dtype), "fastml")


def _forward_case(shape, dtype="float32"):
    def setup():
        x = normal(shape, dtype, shift=10)

        def fastml_():
            out = np.empty_like(x)
            return lambda: fastml.dropout(x, P, seed=SEED, out=out)

        def torch_():
            import torch

            t = torch.from_numpy(x)
            out, draw = torch.empty_like(t), _draw_torch(torch, t)
            return lambda: torch.mul(t, draw(), out=out)

        def numpy_():
            rng = np.random.default_rng(SEED)
            out, uniform, kept = np.empty_like(x), np.empty_like(x), np.empty(x.shape, bool)

            def call():
                rng.random(out=uniform, dtype=uniform.dtype)
                np.greater_equal(uniform, P, out=kept)
                np.multiply(x, kept, out=out)
                return np.multiply(out, 1 / (1 - P), out=out)

            return call

        def jax_():
            import jax

            a, key = jax.numpy.asarray(x), jax.random.key(SEED)
            kernel = jax.jit(lambda a, key: jax.numpy.where(jax.random.bernoulli(key, 1 - P, a.shape), a / (1 - P), 0))
            return lambda: kernel(a, key).block_until_ready()

        def check(result, peer):
            _check_peer(to_numpy(result), x, peer)
            if peer == "fastml":
                _check_fastml(result, x)

        return Setup({"fastml": fastml_, "torch": torch_, "numpy": numpy_, "jax": jax_}, check)

    nbytes = 2 * int(np.prod(shape)) * np.dtype(dtype).itemsize
    return Case("dropout", shape_label(shape), dtype, setup, nbytes=nbytes)


def _backward_case(shape, dtype="float32", layer=False):
    def setup():
        grad = normal(shape, dtype, shift=10)
        kept = np.random.default_rng(SEED).random(shape) >= P

        def fastml_():
            if layer:
                dropout = nn.Dropout(P, seed=SEED)
                dropout(grad)
                return lambda: dropout.backward(grad)
            out = np.empty_like(grad)
            return lambda: fastml.dropout_backward(grad, P, seed=SEED, out=out)

        def torch_():
            import torch

            g = torch.from_numpy(grad)
            noise, out = torch.from_numpy(kept / np.asarray(1 - P, dtype)), torch.empty_like(g)
            return lambda: torch.mul(g, noise, out=out)

        def numpy_():
            noise, out = kept / np.asarray(1 - P, dtype), np.empty_like(grad)
            return lambda: np.multiply(grad, noise, out=out)

        def jax_():
            import jax

            g, mask = jax.numpy.asarray(grad), jax.numpy.asarray(kept)
            kernel = jax.jit(lambda g, mask: jax.numpy.where(mask, g / (1 - P), 0))
            return lambda: kernel(g, mask).block_until_ready()

        def check(result, peer):
            _check_peer(to_numpy(result), grad, peer)
            if peer == "fastml":
                _check_fastml(result, grad)

        return Setup({"fastml": fastml_, "torch": torch_, "numpy": numpy_, "jax": jax_}, check)

    nbytes = 2 * int(np.prod(shape)) * np.dtype(dtype).itemsize
    return Case(
        "dropout_layer_backward" if layer else "dropout_backward", shape_label(shape), dtype, setup, nbytes=nbytes
    )


def _mask_case(shape):
    def setup():
        def fastml_():
            return lambda: fastml.dropout_mask(shape, P, seed=SEED)

        def torch_():
            import torch

            kept = torch.empty(shape, dtype=torch.bool)
            return lambda: kept.bernoulli_(1 - P)

        def numpy_():
            rng = np.random.default_rng(SEED)
            uniform, kept = np.empty(shape, "float32"), np.empty(shape, bool)

            def call():
                rng.random(out=uniform, dtype=uniform.dtype)
                return np.greater_equal(uniform, P, out=kept)

            return call

        def jax_():
            import jax

            key = jax.random.key(SEED)
            kernel = jax.jit(lambda key: jax.random.bernoulli(key, 1 - P, shape))
            return lambda: kernel(key).block_until_ready()

        def check(result, peer):
            _check_rate(to_numpy(result), peer)
            if peer == "fastml":
                tail = min(result.size, 4096)
                expected = reference.dropout_mask((tail,), P, seed=SEED, offset=result.size - tail)
                if not np.array_equal(result.ravel()[-tail:], expected):
                    raise AssertionError("fastml: the mask differs from the reference")

        return Setup({"fastml": fastml_, "torch": torch_, "numpy": numpy_, "jax": jax_}, check)

    return Case("dropout_mask", shape_label(shape), "bool", setup, nbytes=int(np.prod(shape)))


CASES = [
    *(_forward_case(shape) for shape in ((32, 10), (128, 256), (10**6,), (10**7,))),
    _forward_case((10**6,), dtype="float64"),
    *(_backward_case(shape) for shape in ((128, 256), (10**6,), (10**7,))),
    *(_backward_case(shape, layer=True) for shape in ((32, 10), (128, 256), (10**6,), (10**7,))),
    _mask_case((10**6,)),
]
