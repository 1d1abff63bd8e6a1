"""Activations as layers."""

from .._kernels import step_elementwise, step_linear
from ..ops.activations import gelu, gelu_backward, relu, relu_backward
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

    def lower(self, plan, x, name):
        y = plan.over(x)
        if y is x and x.made_by is not None and x.made_by.kernel is step_linear.linear:
            x.made_by.rectify()
        else:
            plan.emit(step_elementwise.relu, [y], [x], rows=[], columns=[])
        y.gate = y.kept = True

        def backward(dy, wanted):
            if dy.gate:  # a dropout behind it has done it already
                return dy
            plan.emit(step_elementwise.relu_backward, [dy], [dy, y], rows=[], columns=[], reals=[1])
            return dy

        return y, backward


class GELU(Module):
    """Gaussian error linear unit y = x Φ(x), elementwise, any shape.

    ``approximate="tanh"`` takes x (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2 in its place.

    Raises ValueError for any other ``approximate``.

    Source: D. Hendrycks, K. Gimpel, Gaussian Error Linear Units, 2016; ``torch.nn.GELU``.

    >>> from fastml import nn
    >>> import numpy as np
    >>> layer = nn.GELU()
    >>> layer(np.array([-1.0, 2.0])).round(4).tolist(), layer.backward(np.array([3.0, 3.0])).round(4).tolist()
    ([-0.1587, 1.9545], [-0.2499, 3.2557])
    """

    def __init__(self, approximate="none"):
        if approximate not in ("none", "tanh"):
            raise ValueError(f"approximate must be 'none' or 'tanh', got {approximate!r}")
        self.approximate = approximate
        self._results = Results()
        self._gradients = Results()

    def forward(self, x):
        y = gelu(x, approximate=self.approximate, out=self._results.like(x))
        self._saved = x
        return y

    def backward(self, grad):
        x = self._last()
        return gelu_backward(grad, x, approximate=self.approximate, out=self._gradients.like(grad, x))

    def lower(self, plan, x, name):
        plan.keep(x)
        y = plan.activation(x.cols, shape=x.shape)
        form = [self.approximate == "tanh"]
        plan.emit(step_elementwise.gelu, [y], [x], rows=[], columns=[], integers=form)

        def backward(dy, wanted):
            plan.emit(step_elementwise.gelu_backward, [dy], [dy, x], rows=[], columns=[], integers=form)
            return dy

        return y, backward

    def extra_repr(self):
        return f"approximate={self.approximate!r}"
