"""Group and instance normalisation."""

import math

import numpy as np

from .._check import flag, number, shape_of, size
from .._kernels.step import group_norm as tiles
from .._memory import filled
from ..ops.group_norm import group_norm, group_norm_backward, instance_norm, instance_norm_backward
from ._reuse import Results
from .module import Module, Parameter, float_dtype, holding


class _Grouped(Module):
    """What both have: weight and bias per channel, statistics per group of a sample. A subclass has ``_form()``, the
    numbers of groups and of channels, the op and its gradient."""

    def __init__(self, channels, eps, affine, dtype):
        dtype = float_dtype(dtype)
        self.eps = number(eps, "eps", 0)
        self.affine = flag(affine, "affine")
        with holding(self, channels=channels):
            self.weight = Parameter(filled(channels, 1, dtype)) if self.affine else None
            self.bias = Parameter(filled(channels, 0, dtype)) if self.affine else None
        self._results = Results()
        self._gradients = Results()

    def forward(self, x):
        shape, (_, channels) = shape_of(x, "x"), self._form()
        if len(shape) < 2 or shape[1] != channels:
            raise ValueError(f"x must have the shape (N, {channels}, ...), not {shape}")
        weight = None if self.weight is None else self.weight.value
        bias = None if self.bias is None else self.bias.value
        y, mean, inv_std = self._normalise(x, weight, bias, self._results.like(x, weight))
        self._saved = x, mean, inv_std
        return y

    def backward(self, grad):
        x, mean, inv_std = self._last()
        weight = None if self.weight is None else self.weight.value
        dx, dweight, dbias = self._differentiate(grad, x, weight, mean, inv_std, self._gradients.like(grad, x))
        self._learn((self.weight, dweight), (self.bias, dbias))
        return dx

    def lower(self, plan, x, name):
        (groups, channels), n = self._form(), math.prod(x.shape[1:])
        if x.shape[0] != channels:
            raise ValueError(f"{name}: {type(self).__name__} has {channels} channels, the layer before gives {x.shape}")
        self._normalise(np.zeros((2, channels, 2), plan.dtype), None, None, None)  # refuses wrong options
        form = {"groups": groups, "channels": channels // groups, "places": n}
        if form["channels"] * n == 1:
            plan.least_rows = max(plan.least_rows, 2)
        block, scratch = tiles.rows_of_block(*form.values()), tiles.scratch_bytes(*form.values())
        weight, bias = (
            plan.parameter(parameter, f"{name}.{what}", (channels,), optional=True)
            for parameter, what in ((self.weight, "weight"), (self.bias, "bias"))
        )
        y = plan.activation(x.cols, shape=x.shape)
        mean, inv_std = plan.matrix(f"{name}.mean", groups), plan.matrix(f"{name}.inv_std", groups)
        plan.keep(x)
        plan.emit(
            tiles.group_norm, y=y, mean=mean, inv_std=inv_std, x=x, weight=weight, bias=bias, eps=self.eps, **form,
            scratch=scratch,
        )  # fmt: skip

        def backward(dy, wanted):
            # The weight's sums begin a row of all sums, the bias's follow from column `channels` on.
            both = ((self.weight, weight, 0), (self.bias, bias, channels))
            learnt = [found for found in both if found[0] is not None and plan.learns(found[0])]
            sums = None
            if learnt:
                sums = plan.vector(f"d{name}.sums", -(-plan.rows // block), 2 * channels, np.float64)
            plan.emit(
                tiles.group_norm_backward, dx=dy, sums=sums, dy=dy, x=x, weight=weight, mean=mean, inv_std=inv_std,
                **form, multiple=block if learnt else 1, scratch=scratch,
            )  # fmt: skip
            for parameter, value, first in learnt:
                gradient = plan.vector(f"d{value}", channels)
                plan.emit(
                    tiles.group_norm_join, sum=gradient, sums=sums, first=first, block=block, scratch=tiles.JOIN_BYTES
                )
                plan.learn(parameter, value, gradient)
            return dy

        return y, backward


class GroupNorm(_Grouped):
    """Group normalisation y = (x − mean) / √(var + eps) · weight + bias, per sample over groups of channels.

    x: (N, num_channels, ...), its channels in num_groups groups of neighbours; ``weight``, ``bias``: (num_channels,),
    ones and zeros at first, None with ``affine=False``. Training and evaluation do the same.

    Raises ValueError for a size under 1, channels that num_groups does not divide, a negative eps, and an x of other
    channels or with a single value in all of a group.

    Source: Y. Wu, K. He, Group normalization, 2018; ``torch.nn.GroupNorm``.

    >>> from fastml import nn
    >>> layer = nn.GroupNorm(2, 4)
    >>> layer(np.array([[0, 2, 10, 10], [1, 3, 6, 2]], np.float32)).round(3).tolist()
    [[-1.0, 1.0, 0.0, 0.0], [-1.0, 1.0, 1.0, -1.0]]
    """

    def __init__(self, num_groups, num_channels, eps=1e-5, affine=True, *, dtype=np.float32):
        self.num_groups = size(num_groups, "num_groups")
        self.num_channels = size(num_channels, "num_channels")
        if self.num_channels % self.num_groups:
            raise ValueError(f"num_groups must divide num_channels, not {num_groups} and {num_channels}")
        super().__init__(self.num_channels, eps, affine, dtype)

    def _form(self):
        return self.num_groups, self.num_channels

    def _normalise(self, x, weight, bias, out):
        return group_norm(x, self.num_groups, weight, bias, eps=self.eps, out=out)

    def _differentiate(self, grad, x, weight, mean, inv_std, out):
        return group_norm_backward(grad, x, self.num_groups, weight, mean, inv_std, out=out)

    def extra_repr(self):
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}"


class InstanceNorm(_Grouped):
    """Instance normalisation y = (x − mean) / √(var + eps) · weight + bias, per sample and channel.

    x: (N, num_features, ...) of any rank above two; ``weight``, ``bias``: (num_features,), ones and zeros at first,
    there with ``affine=True`` only. Training and evaluation do the same: there are no running statistics, which
    PyTorch's layer keeps on request.

    Raises ValueError for a size under 1, a negative eps, and an x of other channels or with one spatial element.

    Source: D. Ulyanov, A. Vedaldi, V. Lempitsky, Instance normalization, 2016; ``torch.nn.InstanceNorm2d``.

    >>> from fastml import nn
    >>> nn.InstanceNorm(2)(np.array([[[0, 2, 4], [1, 1, 1]]], np.float32)).round(3).tolist()
    [[[-1.225000023841858, 0.0, 1.225000023841858], [0.0, 0.0, 0.0]]]
    """

    def __init__(self, num_features, eps=1e-5, affine=False, *, dtype=np.float32):
        self.num_features = size(num_features, "num_features")
        super().__init__(self.num_features, eps, affine, dtype)

    def _form(self):
        return self.num_features, self.num_features

    def _normalise(self, x, weight, bias, out):
        return instance_norm(x, weight, bias, eps=self.eps, out=out)

    def _differentiate(self, grad, x, weight, mean, inv_std, out):
        return instance_norm_backward(grad, x, weight, mean, inv_std, out=out)

    def lower(self, plan, x, name):
        if math.prod(x.shape[1:]) == 1:
            raise ValueError(
                f"{name}: InstanceNorm takes more than one spatial element, the layer before gives {x.shape}"
            )
        return super().lower(plan, x, name)

    def extra_repr(self):
        return f"{self.num_features}, eps={self.eps}, affine={self.affine}"
