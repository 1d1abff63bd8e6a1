"""Activation functions and their gradients.

Rectified linear unit: Nair, Hinton, "Rectified linear units improve restricted Boltzmann machines" (ICML 2010).
Gaussian error linear unit: Hendrycks, Gimpel (2016), https://arxiv.org/abs/1606.08415.
Leaky rectified linear unit: Maas, Hannun, Ng (ICML 2013). Exponential linear unit: Clevert, Unterthiner, Hochreiter,
https://arxiv.org/abs/1511.07289. Sigmoid linear unit: Elfwing, Uchibe, Doya, https://arxiv.org/abs/1702.03118.
Softplus: Dugas et al. (NeurIPS 2000). Hard swish: Howard et al., https://arxiv.org/abs/1905.02244.
"""

from math import erfc

import numpy as np

from ._arrays import as_float64, as_float64s, check_out, check_range, check_same_shape, finish

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
        raise TypeError(f"approximate must be 'none' or 'tanh', not {approximate!r}")
    if approximate not in ("none", "tanh"):
        raise ValueError(f"approximate must be 'none' or 'tanh', not {approximate!r}")


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


def _forward(function, x, out):
    x64, dtype = as_float64(x, "x")
    check_out(out, x64.shape, dtype, x=x)
    with np.errstate(all="ignore"):
        return finish(function(x64), dtype, out)


def _backward(slope, grad, x, out):
    grad64, x64, dtype = as_float64s(grad=grad, x=x)
    check_same_shape(grad64, "grad", x64, "x")
    check_out(out, grad64.shape, dtype, grad=grad, x=x)
    with np.errstate(all="ignore"):
        return finish(grad64 * slope(x64), dtype, out)


def _by_result(slope, grad, x, y, out):
    if x is not None:
        check_same_shape(np.asarray(x), "x", np.asarray(y), "y")
    grad64, y64, dtype = as_float64s(grad=grad, y=y)
    check_same_shape(grad64, "grad", y64, "y")
    check_out(out, grad64.shape, dtype, grad=grad, y=y)
    with np.errstate(all="ignore"):
        return finish(grad64 * slope(y64), dtype, out)


def _logistic(x):
    """1 / (1 + e^-x), below 0 as e^x / (1 + e^x): e^-x would overflow there, and 1 + e^-x lose the 1."""
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1) / (1 + e)


def leaky_relu(x, *, negative_slope=0.01, out=None):
    """y = x where x > 0, otherwise negative_slope x."""
    slope = check_range(negative_slope, "negative_slope", -np.inf)
    return _forward(lambda x: np.where(x > 0, x, slope * x), x, out)


def leaky_relu_backward(grad, x, *, negative_slope=0.01, out=None):
    """dx = grad where x > 0, otherwise negative_slope grad."""
    slope = check_range(negative_slope, "negative_slope", -np.inf)
    return _backward(lambda x: np.where(x > 0, 1, slope), grad, x, out)


def elu(x, *, alpha=1.0, out=None):
    """y = x where x > 0, otherwise alpha (e^x - 1)."""
    alpha = check_range(alpha, "alpha", -np.inf)
    return _forward(lambda x: np.where(x < 0, alpha * np.expm1(x), x), x, out)


def elu_backward(grad, x, *, alpha=1.0, out=None):
    """dx = grad where x > 0, otherwise alpha e^x grad."""
    alpha = check_range(alpha, "alpha", -np.inf)
    return _backward(lambda x: np.where(x > 0, 1, alpha * np.exp(x)), grad, x, out)


def silu(x, *, out=None):
    """y = x sigmoid(x) = x / (1 + e^-x)."""
    return _forward(lambda x: x * _logistic(x), x, out)


def silu_backward(grad, x, *, out=None):
    """dx = grad sigmoid(x) (1 + x sigmoid(-x))."""
    return _backward(lambda x: _logistic(x) * (1 + x * _logistic(-x)), grad, x, out)


def hard_swish(x, *, out=None):
    """y = x relu6(x + 3) / 6."""
    return _forward(lambda x: x * (np.clip(x + 3, 0, 6) / 6), x, out)


def hard_swish_backward(grad, x, *, out=None):
    """dx = grad (2x + 3) / 6 where -3 < x < 3; 0 below and grad above."""
    return _backward(lambda x: np.where(x <= -3, 0, np.where(x >= 3, 1, (2 * x + 3) / 6)), grad, x, out)


def sigmoid(x, *, out=None):
    """y = 1 / (1 + e^-x)."""
    return _forward(_logistic, x, out)


def sigmoid_backward(grad, x=None, *, y=None, out=None):
    """dx = grad sigmoid(x) sigmoid(-x); with y = sigmoid(x): grad y (1 - y)."""
    if y is not None:
        return _by_result(lambda y: y * (1 - y), grad, x, y, out)
    return _backward(lambda x: _logistic(x) * _logistic(-x), grad, x, out)


def tanh(x, *, out=None):
    """y = tanh(x)."""
    return _forward(np.tanh, x, out)


def tanh_backward(grad, x=None, *, y=None, out=None):
    """dx = grad / cosh(x)^2 = 4 grad sigmoid(2x) sigmoid(-2x), which does not overflow; with y = tanh(x):
    grad (1 - y) (1 + y)."""
    if y is not None:
        return _by_result(lambda y: (1 - y) * (1 + y), grad, x, y, out)
    return _backward(lambda x: 4 * _logistic(2 * x) * _logistic(-2 * x), grad, x, out)


def _check_softplus(beta, threshold):
    beta = check_range(beta, "beta", -np.inf)
    if beta == 0:
        raise ValueError("beta must be other than 0")
    return beta, check_range(threshold, "threshold", -np.inf)


def softplus(x, *, beta=1.0, threshold=20.0, out=None):
    """y = log(1 + e^(beta x)) / beta, and x where beta x > threshold."""
    beta, threshold = _check_softplus(beta, threshold)

    def value(x):
        z = beta * x
        return np.where(z > threshold, x, (np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))) / beta)

    return _forward(value, x, out)


def softplus_backward(grad, x, *, beta=1.0, threshold=20.0, out=None):
    """dx = grad sigmoid(beta x), and grad where beta x > threshold."""
    beta, threshold = _check_softplus(beta, threshold)
    return _backward(lambda x: np.where(beta * x > threshold, 1, _logistic(beta * x)), grad, x, out)
