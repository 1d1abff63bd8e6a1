"""Samples of several axes as plain rows."""

import math

from .._check import as_array
from .module import Module


class Flatten(Module):
    """x: (n, ...) → y: (n, features), the axes of each sample as one; a view where x is contiguous.

    Raises ValueError for an x without a first axis.

    Source: ``torch.nn.Flatten``.

    >>> from fastml import nn
    >>> import numpy as np
    >>> layer = nn.Flatten()
    >>> layer(np.zeros((5, 28, 28), np.float32)).shape, layer.backward(np.zeros((5, 784), np.float32)).shape
    ((5, 784), (5, 28, 28))
    """

    def forward(self, x):
        x = as_array(x, "x")
        if x.ndim == 0:
            raise ValueError("x must have a first axis that counts the samples, not the shape ()")
        self._saved = x.shape
        return x.reshape(len(x), math.prod(x.shape[1:]))

    def backward(self, grad):
        grad, shape = as_array(grad, "grad"), self._last()
        if grad.shape != (shape[0], math.prod(shape[1:])):
            raise ValueError(f"grad must have the result's shape {(shape[0], math.prod(shape[1:]))}, not {grad.shape}")
        return grad.reshape(shape)

    def sample_shape(self, shape):
        return None

    def lower(self, plan, x, name):
        x.shape = (x.cols,)
        return x, lambda dy, wanted: dy
