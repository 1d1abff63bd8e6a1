"""Layer normalisation."""

import numpy as np

from ..ops.layer_norm import layer_norm, layer_norm_backward
from ._reuse import Results
from .module import Module, Parameter, float_dtype, size


class LayerNorm(Module):
    """Layer normalisation y = (x − mean) / √(var + eps) · weight + bias, per sample over the last axes.

    x: (..., *normalized_shape); ``normalized_shape``: an int or a tuple of ints; ``weight``, ``bias``: of that shape,
    ones and zeros at first, both None with ``elementwise_affine=False``, ``bias`` None with ``bias=False``.

    Raises ValueError for a size under 1, no size, a negative eps, and an x that does not end in normalized_shape.

    Source: J. L. Ba, J. R. Kiros, G. E. Hinton, Layer Normalization, 2016; ``torch.nn.LayerNorm``.

    >>> from fastml import nn
    >>> nn.LayerNorm(3)(np.array([[0, 2, 4], [1, 1, 1]], np.float32)).round(3).tolist()
    [[-1.225000023841858, 0.0, 1.225000023841858], [0.0, 0.0, 0.0]]
    """

    def __init__(self, normalized_shape, eps=1e-5, elementwise_affine=True, bias=True, *, dtype=np.float32):
        if not isinstance(normalized_shape, (tuple, list)):
            normalized_shape = (normalized_shape,)
        self.normalized_shape = shape = tuple([size(n, "normalized_shape") for n in normalized_shape])
        if not shape:
            raise ValueError("normalized_shape must have at least one size, got ()")
        if not eps >= 0:
            raise ValueError(f"eps must not be negative, got {eps}")
        dtype = float_dtype(dtype)
        self.eps = eps
        self.elementwise_affine = bool(elementwise_affine)
        self.weight = Parameter(np.ones(shape, dtype)) if elementwise_affine else None
        self.bias = Parameter(np.zeros(shape, dtype)) if elementwise_affine and bias else None
        # One axis as an int: the kernel's fast path.
        self._axis = -1 if len(shape) == 1 else tuple(range(-len(shape), 0))
        self._results = Results()
        self._gradients = Results()

    def forward(self, x):
        shape = np.shape(x)
        if shape[max(len(shape) - len(self.normalized_shape), 0) :] != self.normalized_shape:
            raise ValueError(f"x must have the shape (..., {str(self.normalized_shape)[1:]}, got {shape}")
        weight = None if self.weight is None else self.weight.value
        bias = None if self.bias is None else self.bias.value
        y, mean, inv_std = layer_norm(
            x, weight, bias, axis=self._axis, eps=self.eps, out=self._results.like(x, weight)
        )
        self._saved = x, mean, inv_std
        return y

    def backward(self, grad):
        x, mean, inv_std = self._last()
        weight = None if self.weight is None else self.weight.value
        dx, dweight, dbias = layer_norm_backward(
            grad, x, weight, mean, inv_std, axis=self._axis, out=self._gradients.like(grad, x)
        )
        if self.weight is not None:
            self.weight.grad = dweight
        if self.bias is not None:
            self.bias.grad = dbias
        return dx

    def extra_repr(self):
        shape = self.normalized_shape
        return f"{shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}, bias={self.bias is not None}"
