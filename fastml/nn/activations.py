"""Activations as layers."""

from ..ops.activations import relu, relu_backward
from ._reuse import Results
from .module import Module


class ReLU(Module):
    """Rectified linear unit y = max(x, 0), elementwise, any shape.

    Source: ``torch.nn.ReLU``.

    >>> from fastml import nn
    >>> import numpy as np
    >>> layer = nn.ReLU()
    >>> layer(np.array([-1.0, 2.0])).tolist(), layer.backward(np.array([3.0, 3.0])).tolist()
    ([0.0, 2.0], [0.0, 3.0])
    """

    def __init__(self):
        self._results = Results()
        self._gradients = Results()

    def forward(self, x):
        y = relu(x, out=self._results.like(x))
        self._saved = x
        return y

    def backward(self, grad):
        x = self._last()
        return relu_backward(grad, x, out=self._gradients.like(grad, x))
