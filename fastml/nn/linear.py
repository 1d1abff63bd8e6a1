"""The linear layer."""

import math

import numpy as np

from .._check import flag, size
from .._environment import full
from .._kernels.step import linear as tiles
from .._memory import copied
from ..ops.linear import linear, linear_backward
from ._reuse import Results
from .module import Module, Parameter, float_dtype, holding
from .seeding import seed_or_next

# Weights up to this size are packed again for every tile of rows, so that layers follow each other without a barrier.
ROWS_BYTES = 1 << 16


class Linear(Module):
    """Linear layer y = x Wᵀ + b over the last axis.

    x: (…, in_features) → y: (…, out_features); ``weight`` W: (out_features, in_features), ``bias`` b:
    (out_features,) or None. Both start uniform in ±1/√in_features, as in PyTorch (Kaiming uniform with
    a = √5), drawn by NumPy's ``default_rng(seed)``; without ``seed`` one comes from
    :func:`fastml.nn.manual_seed`'s stream. ``dtype``: float32 or float64.

    Raises ValueError for sizes under 1 and a negative seed, TypeError for other types of arguments.

    Source: ``torch.nn.Linear``.

    >>> from fastml import nn
    >>> layer = nn.Linear(4, 3, seed=0)
    >>> layer(np.zeros((5, 4), np.float32)).shape, layer.backward(np.ones((5, 3), np.float32)).shape
    ((5, 3), (5, 4))
    >>> layer.bias.grad
    array([5., 5., 5.], dtype=float32)
    """

    def __init__(self, in_features, out_features, bias=True, *, dtype=np.float32, seed=None):
        self.in_features = size(in_features, "in_features")
        self.out_features = size(out_features, "out_features")
        dtype = float_dtype(dtype)
        rng = np.random.default_rng(seed_or_next(seed))
        bound = 1 / math.sqrt(self.in_features)
        shape = (self.out_features, self.in_features)
        bias = flag(bias, "bias")
        with holding(self, in_features=self.in_features, out_features=self.out_features), full():
            self.weight = Parameter(copied(rng.uniform(-bound, bound, shape), dtype))
            self.bias = Parameter(copied(rng.uniform(-bound, bound, self.out_features), dtype)) if bias else None
        self._results = Results()

    def forward(self, x):
        weight, bias = self.weight.value, self.bias
        out = self._results.like(x, weight, width=self.out_features)
        y = linear(x, weight, None if bias is None else bias.value, out=out)
        self._saved = x
        return y

    def backward(self, grad, input_grad=True):
        dx, dweight, dbias = linear_backward(grad, self._last(), self.weight.value, input_grad=input_grad)
        self.weight.grad = dweight
        if self.bias is not None:
            self.bias.grad = dbias
        return dx

    def sample_shape(self, shape):
        return (self.in_features,)

    def lower(self, plan, x, name):
        if x.shape != (self.in_features,):
            shape = x.cols if len(x.shape) == 1 else f"{x.shape}: put nn.Flatten() between them"
            raise ValueError(f"{name}: Linear takes {self.in_features} features, the layer before gives {shape}")
        weight = plan.parameter(self.weight, f"{name}.weight", (self.out_features, self.in_features))
        bias = plan.parameter(self.bias, f"{name}.bias", (self.out_features,), optional=True)
        y = plan.activation(self.out_features)
        flops = 2 * plan.rows * self.in_features * self.out_features
        # A tile of rows packs the whole weight for itself, a tile of columns its own part of it.
        cuts = ("columns",) if self.weight.value.nbytes > ROWS_BYTES else ("rows", "columns")
        plan.emit(tiles.linear, y=y, x=x, weight=weight, bias=bias, cuts=cuts, flops=flops)
        plan.keep(x)

        def backward(dy, wanted):
            dx = None
            if wanted:
                dx = plan.gradient(x)
                plan.emit(tiles.linear_backward, dx=dx, dy=dy, weight=weight, cuts=cuts, flops=flops)
            if plan.learns(self.weight):
                dweight = plan.vector(f"d{name}.weight", self.out_features, self.in_features)
                plan.emit(tiles.linear_dweight, dweight=dweight, dy=dy, x=x, flops=flops)
                plan.learn(self.weight, weight, dweight)
            if self.bias is not None and plan.learns(self.bias):
                dbias = plan.vector(f"d{name}.bias", self.out_features)
                plan.emit(tiles.linear_dbias, dbias=dbias, dy=dy)
                plan.learn(self.bias, bias, dbias)
            return dx

        return y, backward

    def extra_repr(self):
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"
