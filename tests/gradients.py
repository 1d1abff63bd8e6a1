"""Gradients against central differences."""

import numpy as np


def numerical_gradient(function, x, step=1e-5):
    """Central differences of a scalar function at x, accurate to about step^2 + 1e-16 / step."""
    gradient = np.empty_like(x)
    for i in np.ndindex(x.shape):
        high, low = x.copy(), x.copy()
        high[i] += step
        low[i] -= step
        gradient[i] = (function(high) - function(low)) / (2 * step)
    return gradient


def assert_gradient(got, function, x, atol=1e-8):
    """``got`` is the gradient of a scalar function at x."""
    np.testing.assert_allclose(got, numerical_gradient(function, x), rtol=1e-6, atol=atol)


def assert_gradients(got, function, args, atol=1e-8):
    """``got`` are the gradients of a scalar function by each of its arguments, which are given by name."""
    for name, gradient in zip(args, got, strict=True):
        assert_gradient(gradient, lambda x, name=name: function(**{**args, name: x}), args[name], atol)
