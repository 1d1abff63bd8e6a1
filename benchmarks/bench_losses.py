"""Losses of one term an element, with their gradients with respect to the input."""

import numpy as np

import fastml
from fastml import reference

from .common import Case, Setup, assert_close, normal, shape_label, to_numpy


def _mse_numpy(x, t):
    d = np.empty_like(x)

    def call():
        np.subtract(x, t, out=d)
        loss = np.vdot(d, d) / d.size
        np.multiply(d, x.dtype.type(2 / d.size), out=d)
        return loss, d

    return call


def _bce_numpy(x, t):
    e, d, terms = np.empty_like(x), np.empty_like(x), np.empty_like(x)

    def call():
        np.abs(x, out=e)
        np.negative(e, out=e)
        np.exp(e, out=e)
        np.maximum(x, 0, out=terms)
        np.multiply(x, t, out=d)
        np.subtract(terms, d, out=terms)
        np.log1p(e, out=d)
        np.add(terms, d, out=terms)
        np.add(e, 1, out=d)
        np.copyto(e, 1, where=x >= 0)
        np.divide(e, d, out=d)
        np.subtract(d, t, out=d)
        np.multiply(d, x.dtype.type(1 / d.size), out=d)
        return terms.mean(), d

    return call


def _l1_numpy(x, t):
    d, terms = np.empty_like(x), np.empty_like(x)

    def call():
        np.subtract(x, t, out=d)
        np.abs(d, out=terms)
        np.sign(d, out=d)
        np.multiply(d, x.dtype.type(1 / d.size), out=d)
        return terms.mean(), d

    return call


def _huber_numpy(x, t):
    d, c = np.empty_like(x), np.empty_like(x)

    def call():
        np.subtract(x, t, out=d)
        np.clip(d, -1, 1, out=c)
        np.subtract(d, c * x.dtype.type(0.5), out=d)
        loss = np.vdot(d, c) / d.size
        np.multiply(c, x.dtype.type(1 / d.size), out=d)
        return loss, d

    return call


def _log_cosh_numpy(x, t):
    d, size, terms = np.empty_like(x), np.empty_like(x), np.empty_like(x)

    def call():
        np.subtract(x, t, out=d)
        np.abs(d, out=size)
        np.multiply(size, -2, out=terms)
        np.exp(terms, out=terms)
        np.log1p(terms, out=terms)
        np.add(terms, size, out=terms)
        np.tanh(d, out=d)
        np.multiply(d, x.dtype.type(1 / d.size), out=d)
        return terms.mean() - np.log(2), d

    return call


def _kl_numpy(x, t):
    d, terms = np.empty_like(x), np.empty_like(x)

    def call():
        with np.errstate(divide="ignore"):
            np.log(t, out=d)
        np.copyto(d, 0, where=t == 0)
        np.subtract(d, x, out=d)
        np.multiply(t, d, out=terms)
        np.multiply(t, x.dtype.type(-1 / d.size), out=d)
        return terms.mean(), d

    return call


def _jax_l1(x, t):
    return abs(x - t).mean()


def _jax_huber(x, t):
    import jax

    d = x - t
    c = jax.numpy.clip(d, -1, 1)
    return (c * (d - c / 2)).mean()


def _jax_log_cosh(x, t):
    import jax

    return (jax.numpy.logaddexp(x - t, t - x) - np.log(2)).mean()


def _jax_kl(x, t):
    import jax

    return (jax.scipy.special.xlogy(t, t) - t * x).mean()


def _jax_mse(x, t):
    return ((x - t) ** 2).mean()


def _jax_bce(x, t):
    import jax

    return (jax.nn.softplus(x) - x * t).mean()


NUMPY = {
    "mse_loss": _mse_numpy,
    "l1_loss": _l1_numpy,
    "huber_loss": _huber_numpy,
    "log_cosh_loss": _log_cosh_numpy,
    "binary_cross_entropy_with_logits": _bce_numpy,
    "kl_div_loss": _kl_numpy,
}
JAX = {
    "mse_loss": _jax_mse,
    "l1_loss": _jax_l1,
    "huber_loss": _jax_huber,
    "log_cosh_loss": _jax_log_cosh,
    "binary_cross_entropy_with_logits": _jax_bce,
    "kl_div_loss": _jax_kl,
}


def _case(name, shape, dtype="float32"):
    def setup():
        x, t = normal(shape, dtype, scale=3), (normal(shape, dtype, seed=1) > 0).astype(dtype)

        def fastml_():
            out, function = np.empty_like(x), getattr(fastml, f"{name}_with_grad")
            return lambda: function(x, t, out=out)

        def torch_():
            import torch

            a, b = torch.from_numpy(x).requires_grad_(), torch.from_numpy(t)
            if name == "log_cosh_loss":  # composed: PyTorch has none

                def function(a, b):
                    size = (a - b).abs()
                    return (size + torch.nn.functional.softplus(-2 * size) - np.log(2)).mean()
            else:
                function = getattr(torch.nn.functional, name.replace("kl_div_loss", "kl_div"))

            def call():
                loss = function(a, b)
                return loss, torch.autograd.grad(loss, a)[0]

            return call

        def jax_():
            import jax

            a, b = jax.numpy.asarray(x), jax.numpy.asarray(t)
            kernel = jax.jit(jax.value_and_grad(JAX[name]))
            return lambda: jax.block_until_ready(kernel(a, b))

        loss, grad = getattr(reference, f"{name}_with_grad")(x.astype("float64"), t)
        grad = grad[-64:]

        def check(result, peer):
            assert_close(result[0], loss, dtype, f"{peer} loss")
            assert_close(to_numpy(result[1])[-64:], grad, dtype, f"{peer} gradient")

        return Setup({"fastml": fastml_, "torch": torch_, "numpy": lambda: NUMPY[name](x, t), "jax": jax_}, check)

    nbytes = 3 * int(np.prod(shape)) * np.dtype(dtype).itemsize
    return Case(f"{name}_with_grad", shape_label(shape), dtype, setup, nbytes=nbytes)


SHAPES = ((128, 1), (128, 784), (4096, 1024))
CASES = [
    *(_case(name, shape) for name in NUMPY for shape in SHAPES),
    *(_case(name, (128, 784), dtype="float64") for name in NUMPY),
]
