"""RMS normalisation."""

import numpy as np

from .._check import flag
from ..ops.rms_norm import rms_norm, rms_norm_backward
from .layer_norm import TrailingNorm


class RMSNorm(TrailingNorm):
    """RMS normalisation y = x / √(mean(x²) + eps) · weight, per sample over the last axes.

    x: (..., *normalized_shape), where ``normalized_shape`` is an int or a tuple of ints. ``weight``: of that shape,
    ones at first, None with ``elementwise_affine=False``. ``eps`` is 1e-6. PyTorch's default, None, stands for
    ``np.finfo(dtype).eps`` (1.2e-7 in float32): pass that for the same numbers.

    Raises ValueError for a size under 1, no size, a negative eps, and an x that does not end in normalized_shape.

    Source: B. Zhang, R. Sennrich, Root Mean Square Layer Normalization, 2019; ``torch.nn.RMSNorm``.

    >>> from fastml import nn
    >>> nn.RMSNorm(4)(np.array([[3, 4, 0, 0], [1, -1, 1, -1]], np.float32)).round(3).tolist()
    [[1.2000000476837158, 1.600000023841858, 0.0, 0.0], [1.0, -1.0, 1.0, -1.0]]
    """

    def __init__(self, normalized_shape, eps=1e-6, elementwise_affine=True, *, dtype=np.float32):
        super().__init__(normalized_shape, eps, flag(elementwise_affine, "elementwise_affine"), False, dtype)

    def forward(self, x):
        weight, _ = self._values(x)
        y, inv_rms = self._normalise(x, weight, None, self._results.like(x, weight))
        self._saved = x, inv_rms
        return y

    def backward(self, grad):
        x, inv_rms = self._last()
        weight, _ = self._values()
        dx, dweight = rms_norm_backward(grad, x, weight, inv_rms, axis=self._axis, out=self._gradients.like(grad, x))
        self._learn((self.weight, dweight))
        return dx

    def _normalise(self, x, weight, bias, out):
        return rms_norm(x, weight, axis=self._axis, eps=self.eps, out=out)

    def extra_repr(self):
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"
