"""Activation functions and their gradients.

Rectified linear unit: Nair, Hinton, "Rectified linear units improve restricted Boltzmann machines" (ICML 2010).
Gaussian error linear unit: Hendrycks, Gimpel (2016), https://arxiv.org/abs/1606.08415.
"""

from math import erfc

import numpy as np

from ._arrays import as_float64, as_float64s, check_out, check_same_shape, finish

_erfc = np.vectorize(erfc, otypes=[np.float64])


def relu(x, *, out=None):
    """y = max(x, 0); NaN stays NaN."""
    x64, dtype = as_float64(x, "x")
    check_out(out, x64.shape, dtype, x=x)
    return finish(np.where(x64 <= 0, 0, x64), dtype, out)


def relu_backward(grad, x, *, out=None):
    """dx = grad where x > 0 or x is NaN, otherwise 0 (so also at x = 0), as PyTorch has it."""
    grad64, x64, dtype = as_float64s(grad=grad, x=x)
    check_same_shape(grad64, "grad", x64, "x")
    check_out(out, grad64.shape, dtype, grad=grad, x=x)
    return finish(np.where(x64 <= 0, 0, grad64), dtype, out)


def _check_approximate(approximate):
    if not isinstance(approximate, str):
        raise TypeError(f"approximate must be 'none' or 'tanh', got {approximate!r}")
    if approximate not in ("none", "tanh"):
        raise ValueError(f"approximate must be 'none' or 'tanh', got {approximate!r}")


def _share(x, approximate):
    """The factor of x in GELU, and its derivative: Phi and phi, or 1 / (1 + exp(-2u)) = (1 + tanh(u)) / 2."""
    if approximate == "none":
        return _erfc(-x / np.sqrt(2)) / 2, np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)
    u = np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)
    du = np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * x**2)
    upper, lower = 1 / (1 + np.exp(-2 * u)), 1 / (1 + np.exp(2 * u))
    # The product of both falls off as exp(-2 |u|): past any power of x.
    return upper, np.where(np.abs(x) > 100, 0, 2 * du * upper * lower)


def gelu(x, *, approximate="none", out=None):
    """y = x Phi(x), or x (1 + tanh(u)) / 2 with u = sqrt(2 / pi) (x + 0.044715 x^3)."""
    x64, dtype = as_float64(x, "x")
    _check_approximate(approximate)
    check_out(out, x64.shape, dtype, x=x)
    with np.errstate(all="ignore"):
        share, _ = _share(x64, approximate)
        return finish(x64 * share, dtype, out)


def gelu_backward(grad, x, *, approximate="none", out=None):
    """dx = grad (share + x share'), share being the factor of x in y."""
    grad64, x64, dtype = as_float64s(grad=grad, x=x)
    check_same_shape(grad64, "grad", x64, "x")
    _check_approximate(approximate)
    check_out(out, grad64.shape, dtype, grad=grad, x=x)
    with np.errstate(all="ignore"):
        share, slope = _share(x64, approximate)
        return finish(grad64 * (share + x64 * slope), dtype, out)
