"""Activations as layers."""

import math

import numpy as np

from .._check import choice, nonzero, number
from .._choices import Approximate
from .._kernels import activations as _kernel
from .._kernels.step import elementwise as tiles
from ..ops import activations as ops
from ..ops import activations_smooth as smooth_ops
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
        y = ops.relu(x, out=self._results.like(x))
        self._saved = x
        return y

    def backward(self, grad):
        x = self._last()
        return ops.relu_backward(grad, x, out=self._gradients.like(grad, x))

    def lower(self, plan, x, name):
        y = plan.over(x)
        plan.emit(tiles.relu, y=y, x=x)
        plan.keep(y)

        def backward(dy, wanted):
            plan.emit(tiles.relu_backward, dx=dy, dy=dy, y=y, scale=1.0)
            return dy

        return y, backward


class _Smooth(Module):
    """What the activations share whose backward reads x: a subclass has its op, the op's gradient, its kind in the
    compiled step, and in ``_options`` the names of its parameters, which are attributes."""

    _options = ()

    def __init__(self):
        self._results = Results()
        self._gradients = Results()

    def _arguments(self):
        return {name: getattr(self, name) for name in self._options}

    def _numbers(self):
        """Those of the step's kernels."""
        alpha, threshold = (*self._arguments().values(), 1.0, math.inf)[:2]
        return {"kind": self._kind, "alpha": alpha, "threshold": threshold}

    def forward(self, x):
        arguments = self._arguments()
        y = self._op(x, **arguments, out=self._results.like(x))
        self._saved = x, arguments
        return y

    def backward(self, grad):
        x, arguments = self._last()
        return self._op_backward(grad, x, **arguments, out=self._gradients.like(grad, x))

    def lower(self, plan, x, name):
        self._op(np.zeros(1, plan.dtype), **self._arguments())  # refuses wrong options
        plan.keep(x)
        y = plan.activation(x.cols, shape=x.shape)
        numbers = self._numbers()
        plan.emit(tiles.activation, y=y, x=x, **numbers)

        def backward(dy, wanted):
            plan.emit(tiles.activation_backward, dx=dy, dy=dy, x=x, **numbers)
            return dy

        return y, backward

    def extra_repr(self):
        return ", ".join(f"{name}={value!r}" for name, value in self._arguments().items())


class GELU(_Smooth):
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

    _op, _op_backward = staticmethod(smooth_ops.gelu), staticmethod(smooth_ops.gelu_backward)
    _options = ("approximate",)

    def __init__(self, approximate="none"):
        super().__init__()
        self.approximate = choice(approximate, "approximate", Approximate)

    def _numbers(self):
        kind = _kernel.GELU_TANH if self.approximate == "tanh" else _kernel.GELU
        return {"kind": kind, "alpha": 1.0, "threshold": math.inf}


class SiLU(_Smooth):
    """Sigmoid linear unit, or swish, y = x σ(x), elementwise, any shape.

    Source: ``torch.nn.SiLU``.

    >>> from fastml import nn
    >>> import numpy as np
    >>> nn.SiLU()(np.array([-1.0, 2.0])).round(4).tolist()
    [-0.2689, 1.7616]
    """

    _op, _op_backward = staticmethod(smooth_ops.silu), staticmethod(smooth_ops.silu_backward)
    _kind = _kernel.SILU


class Hardswish(_Smooth):
    """Piecewise form of swish, y = x min(max(x + 3, 0), 6) / 6, elementwise, any shape.

    Source: ``torch.nn.Hardswish``.

    >>> from fastml import nn
    >>> import numpy as np
    >>> nn.Hardswish()(np.array([-1.0, 2.0])).round(4).tolist()
    [-0.3333, 1.6667]
    """

    _op, _op_backward = staticmethod(ops.hard_swish), staticmethod(ops.hard_swish_backward)
    _kind = _kernel.HARD_SWISH


class Sigmoid(_Smooth):
    """Logistic function y = 1 / (1 + e⁻ˣ), elementwise, any shape.

    Source: ``torch.nn.Sigmoid``.

    >>> from fastml import nn
    >>> import numpy as np
    >>> nn.Sigmoid()(np.array([-1.0, 2.0])).round(4).tolist()
    [0.2689, 0.8808]
    """

    _op, _op_backward = staticmethod(smooth_ops.sigmoid), staticmethod(smooth_ops.sigmoid_backward)
    _kind = _kernel.SIGMOID


class Tanh(_Smooth):
    """Hyperbolic tangent, elementwise, any shape.

    Source: ``torch.nn.Tanh``.

    >>> from fastml import nn
    >>> import numpy as np
    >>> nn.Tanh()(np.array([-1.0, 2.0])).round(4).tolist()
    [-0.7616, 0.964]
    """

    _op, _op_backward = staticmethod(smooth_ops.tanh), staticmethod(smooth_ops.tanh_backward)
    _kind = _kernel.TANH


class Softplus(_Smooth):
    """Softplus y = log(1 + exp(beta x)) / beta, and x where beta x > threshold; elementwise, any shape.

    Source: ``torch.nn.Softplus``.

    >>> from fastml import nn
    >>> import numpy as np
    >>> nn.Softplus()(np.array([-1.0, 2.0])).round(4).tolist()
    [0.3133, 2.1269]
    """

    _op, _op_backward = staticmethod(smooth_ops.softplus), staticmethod(smooth_ops.softplus_backward)
    _kind = _kernel.SOFTPLUS
    _options = ("beta", "threshold")

    def __init__(self, beta=1.0, threshold=20.0):
        super().__init__()
        self.beta, self.threshold = nonzero(beta, "beta"), number(threshold, "threshold")


class ELU(_Smooth):
    """Exponential linear unit: x where x > 0, otherwise alpha (eˣ - 1); elementwise, any shape.

    Source: ``torch.nn.ELU``.

    >>> from fastml import nn
    >>> import numpy as np
    >>> nn.ELU()(np.array([-1.0, 2.0])).round(4).tolist()
    [-0.6321, 2.0]
    """

    _op, _op_backward = staticmethod(ops.elu), staticmethod(ops.elu_backward)
    _kind = _kernel.ELU
    _options = ("alpha",)

    def __init__(self, alpha=1.0):
        super().__init__()
        self.alpha = number(alpha, "alpha")


class LeakyReLU(_Smooth):
    """Leaky rectified linear unit: x where x > 0, otherwise negative_slope x; elementwise, any shape.

    Source: ``torch.nn.LeakyReLU``.

    >>> from fastml import nn
    >>> import numpy as np
    >>> nn.LeakyReLU(0.1)(np.array([-1.0, 2.0])).round(4).tolist()
    [-0.1, 2.0]
    """

    _op, _op_backward = staticmethod(ops.leaky_relu), staticmethod(ops.leaky_relu_backward)
    _kind = _kernel.LEAKY_RELU
    _options = ("negative_slope",)

    def __init__(self, negative_slope=0.01):
        super().__init__()
        self.negative_slope = number(negative_slope, "negative_slope")
