"""Layer normalisation, and what it shares with RMS normalisation."""

import numpy as np

from .._check import flag, number, shape_of, size
from .._kernels.step import layer_norm as tiles
from .._memory import filled
from ..ops.layer_norm import layer_norm, layer_norm_backward
from ._reuse import Results
from .module import Module, Parameter, float_dtype, holding


class TrailingNorm(Module):
    """A normalisation of each sample over its last axes; ``weight`` and ``bias`` may be None."""

    def __init__(self, normalized_shape, eps, weight, bias, dtype):
        if not isinstance(normalized_shape, (tuple, list)):
            normalized_shape = (normalized_shape,)
        self.normalized_shape = shape = tuple([size(n, "normalized_shape") for n in normalized_shape])
        if not shape:
            raise ValueError("normalized_shape must have at least one size, not ()")
        dtype = float_dtype(dtype)
        self.eps = number(eps, "eps", 0)
        self.elementwise_affine = weight
        with holding(self, normalized_shape=shape):
            self.weight = Parameter(filled(shape, 1, dtype)) if weight else None
            self.bias = Parameter(filled(shape, 0, dtype)) if bias else None
        # One axis as an int: the kernel's fast path.
        self._axis = -1 if len(shape) == 1 else tuple(range(-len(shape), 0))
        self._results = Results()
        self._gradients = Results()

    def _values(self, x=None):
        """The arrays of weight and bias; x, where it is given, ends in normalized_shape."""
        if x is not None:
            shape = shape_of(x, "x")
            if shape[max(len(shape) - len(self.normalized_shape), 0) :] != self.normalized_shape:
                raise ValueError(f"x must have the shape (..., {str(self.normalized_shape)[1:]}, not {shape}")
        return [None if parameter is None else parameter.value for parameter in (self.weight, self.bias)]

    def lower(self, plan, x, name):
        if self.normalized_shape != x.shape:
            kind = type(self).__name__
            raise ValueError(f"{name}: {kind} normalises {self.normalized_shape}, the layer before gives {x.shape}")
        n = x.cols
        weight, bias = (
            plan.parameter(parameter, f"{name}.{what}", self.normalized_shape, optional=True)
            for parameter, what in ((self.weight, "weight"), (self.bias, "bias"))
        )
        self._normalise(np.zeros(self.normalized_shape, plan.dtype), None, None, None)  # refuses a wrong eps
        y, inv_std = plan.activation(n, shape=x.shape), plan.matrix(f"{name}.inv_std", 1)
        mean = plan.matrix(f"{name}.mean", 1) if isinstance(self, LayerNorm) else None
        plan.keep(x)
        plan.emit(tiles.layer_norm, y=y, mean=mean, inv_std=inv_std, x=x, weight=weight, bias=bias, eps=self.eps)

        def backward(dy, wanted):
            # The weight's sums begin a row of all sums, the bias's follow from column n on.
            both = ((self.weight, weight, 0), (self.bias, bias, n))
            learnt = [found for found in both if found[0] is not None and plan.learns(found[0])]
            block = tiles.BLOCK_ROWS
            sums = plan.vector(f"d{name}.sums", -(-plan.rows // block), 2 * n) if learnt else None
            plan.emit(
                tiles.layer_norm_backward, dx=dy, sums=sums, dy=dy, x=x, weight=weight, mean=mean, inv_std=inv_std,
                multiple=block if learnt else 1, scratch=None if learnt else 2 * n * dy.itemsize,
            )  # fmt: skip
            for parameter, value, first in learnt:
                gradient = plan.vector(f"d{value}", value.rows, value.cols)
                plan.emit(tiles.layer_norm_join, sum=gradient, sums=sums, first=first, scratch=tiles.JOIN_BYTES)
                plan.learn(parameter, value, gradient)
            return dy

        return y, backward


class LayerNorm(TrailingNorm):
    """Layer normalisation y = (x − mean) / √(var + eps) · weight + bias, per sample over the last axes.

    x: (..., *normalized_shape), where ``normalized_shape`` is an int or a tuple of ints. ``weight`` and ``bias``: of
    that shape, ones and zeros at first. Both are None with ``elementwise_affine=False``, bias with ``bias=False``.

    Raises ValueError for a size under 1, no size, a negative eps, and an x that does not end in normalized_shape.

    Source: J. L. Ba, J. R. Kiros, G. E. Hinton, Layer Normalization, 2016; ``torch.nn.LayerNorm``.

    >>> from fastml import nn
    >>> nn.LayerNorm(3)(np.array([[0, 2, 4], [1, 1, 1]], np.float32)).round(3).tolist()
    [[-1.225000023841858, 0.0, 1.225000023841858], [0.0, 0.0, 0.0]]
    """

    def __init__(self, normalized_shape, eps=1e-5, elementwise_affine=True, bias=True, *, dtype=np.float32):
        super().__init__(
            normalized_shape,
            eps,
            flag(elementwise_affine, "elementwise_affine"),
            flag(bias, "bias") and elementwise_affine,
            dtype,
        )

    def forward(self, x):
        weight, bias = self._values(x)
        y, mean, inv_std = self._normalise(x, weight, bias, self._results.like(x, weight))
        self._saved = x, mean, inv_std
        return y

    def backward(self, grad):
        x, mean, inv_std = self._last()
        weight, _ = self._values()
        dx, dweight, dbias = layer_norm_backward(
            grad, x, weight, mean, inv_std, axis=self._axis, out=self._gradients.like(grad, x)
        )
        self._learn((self.weight, dweight), (self.bias, dbias))
        return dx

    def _normalise(self, x, weight, bias, out):
        return layer_norm(x, weight, bias, axis=self._axis, eps=self.eps, out=out)

    def extra_repr(self):
        shape = self.normalized_shape
        return f"{shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}, bias={self.bias is not None}"
