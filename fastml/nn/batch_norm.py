"""Batch normalisation."""

import numpy as np

from .._check import choice, flag, integer, number, size
from .._choices import Convention
from .._environment import full
from .._kernels.step import batch_norm as tiles
from .._kernels.step.arguments import Live
from .._kernels.step.program import Stale
from .._memory import filled
from ..ops.batch_norm import batch_norm, batch_norm_backward
from ._reuse import Results
from .module import Module, Parameter, float_dtype, holding

_MOMENTUM = {"torch": 0.1, "onnx": 0.9}
#: How many values fewer than there are running_var's variance divides by.
_DDOF = {"torch": 1, "onnx": 0}


class BatchNorm(Module):
    """Batch normalisation y = (x − mean) / √(var + eps) · weight + bias, per channel.

    x: any rank, channels on ``channel_axis`` (1: (N, C), (N, C, L), (N, C, H, W); −1: channels last). ``weight`` and
    ``bias``: (num_features,), ones and zeros at first, None with ``affine=False``.

    Training takes mean and (biased) variance of the batch and moves ``running_mean`` and ``running_var`` towards them;
    ``momentum=None`` keeps the plain average over all batches. Evaluation uses the running ones, or the batch's where
    ``track_running_stats=False`` keeps none. ``num_batches_tracked`` counts the batches seen in training.

    ``convention`` says how they are moved. "torch": running · (1 − momentum) + batch · momentum, 0.1 where no momentum
    is given, with the unbiased variance of the batch. "onnx": running · momentum + batch · (1 − momentum), 0.9 where
    none is given, with the biased one.

    In a compiled step a sample is (num_features,) or (num_features, ...), the channels first.

    Raises ValueError for a size under 1, a negative eps, another convention, and in training for one value per channel.

    Source: S. Ioffe, C. Szegedy, Batch Normalization, 2015; ``torch.nn.BatchNorm1d``; ONNX operator
    BatchNormalization, version 15.

    >>> from fastml import nn
    >>> layer = nn.BatchNorm(2)
    >>> layer(np.array([[0, 1], [2, 5]], np.float32)).round(3).tolist()
    [[-1.0, -1.0], [1.0, 1.0]]
    >>> layer.running_mean, layer.num_batches_tracked
    (array([0.1, 0.3], dtype=float32), 1)
    """

    buffer_names = ("running_mean", "running_var", "num_batches_tracked")
    _live = frozenset({*Module._live, "eps", "momentum", "num_batches_tracked"})

    def __init__(
        self,
        num_features,
        eps=1e-5,
        momentum="default",
        affine=True,
        track_running_stats=True,
        *,
        channel_axis=1,
        convention="torch",
        dtype=np.float32,
    ):
        self.num_features = n = size(num_features, "num_features")
        choice(convention, "convention", Convention)
        affine, track_running_stats = flag(affine, "affine"), flag(track_running_stats, "track_running_stats")
        dtype = float_dtype(dtype)
        self.eps = number(eps, "eps", 0)
        if isinstance(momentum, str) and momentum == "default":
            momentum = _MOMENTUM[convention]
        self.momentum = None if momentum is None else number(momentum, "momentum", 0, 1)
        self.channel_axis = integer(channel_axis, "channel_axis", -64, 63)
        self.convention = convention
        with holding(self, num_features=n):
            self.weight = Parameter(filled(n, 1, dtype)) if affine else None
            self.bias = Parameter(filled(n, 0, dtype)) if affine else None
            self.running_mean = filled(n, 0, dtype) if track_running_stats else None
            self.running_var = filled(n, 1, dtype) if track_running_stats else None
        self.num_batches_tracked = 0 if track_running_stats else None
        self._results = Results()
        self._gradients = Results()

    def _share(self):
        """The share of the next batch in the running statistics."""
        if self.momentum is not None and self.convention == "torch":
            return self.momentum
        with full():
            return 1 / (self.num_batches_tracked + 1) if self.momentum is None else 1 - self.momentum

    def forward(self, x):
        weight = None if self.weight is None else self.weight.value
        bias = None if self.bias is None else self.bias.value
        tracked = self.num_batches_tracked
        by_batch = self.training or tracked is None
        y, mean, inv_std = batch_norm(
            x,
            weight,
            bias,
            self.running_mean,
            self.running_var,
            training=by_batch,
            momentum=0.0 if tracked is None else self._share(),
            eps=self.eps,
            channel_axis=self.channel_axis,
            unbiased=self.convention == "torch",
            out=self._results.like(x, weight),
        )
        if self.training and tracked is not None:
            self.num_batches_tracked = tracked + 1
        self._saved = x, mean, inv_std, by_batch
        return y

    def backward(self, grad):
        x, mean, inv_std, by_batch = self._last()
        dx, dweight, dbias = batch_norm_backward(
            grad,
            x,
            None if self.weight is None else self.weight.value,
            mean,
            inv_std,
            training=by_batch,
            channel_axis=self.channel_axis,
            out=self._gradients.like(grad, x),
        )
        self._learn((self.weight, dweight), (self.bias, dbias))
        return dx

    def lower(self, plan, x, name):
        n = self.num_features
        if self.channel_axis not in (1, -len(x.shape)):
            raise ValueError(f"{name}: a compiled step takes BatchNorm with channel_axis=1, not {self.channel_axis}")
        if x.shape[0] != n:
            shape = x.cols if len(x.shape) == 1 else x.shape
            raise ValueError(f"{name}: BatchNorm has {n} features, the layer before gives {shape}")
        places = x.cols // n
        tracked = self.num_batches_tracked is not None
        weight, bias = (
            plan.parameter(parameter, f"{name}.{what}", (n,), optional=True)
            for parameter, what in ((self.weight, "weight"), (self.bias, "bias"))
        )
        statistics = {"running_mean": self.running_mean, "running_var": self.running_var}
        if not tracked:
            statistics = dict.fromkeys(statistics)
        running_mean, running_var = (plan.outside(a, f"{name}.{what}", (n,)) for what, a in statistics.items())
        y, mean, inv_std = plan.like(x), plan.vector(f"{name}.mean", n), plan.vector(f"{name}.inv_std", n)
        plan.keep(x)
        eps, momentum = Live(), Live()
        plan.emit(
            tiles.batch_norm, y=y, mean=mean, inv_std=inv_std, x=x, weight=weight, bias=bias, running_mean=running_mean,
            running_var=running_var, places=places, ddof=_DDOF[self.convention], eps=eps, momentum=momentum, cols=n,
            scratch=tiles.scratch_bytes,
        )  # fmt: skip
        probe, known = np.zeros((2, 1), plan.dtype), None

        def prepare(rows):
            nonlocal known
            if (self.num_batches_tracked is not None) != tracked:
                raise Stale
            now = self.eps, self._share() if tracked else 0.0
            if now != known:
                batch_norm(probe, eps=now[0], momentum=now[1])  # refuses what it would refuse in forward
                eps.set(now[0])
                momentum.set(now[1])
                known = now

        def commit(rows):
            if tracked:
                self.num_batches_tracked += 1

        plan.prepare.append(prepare)
        plan.commit.append(commit)
        plan.modes.append(self)
        if places == 1:
            plan.least_rows = 2

        def backward(dy, wanted):
            dweight, dbias = plan.vector(f"d{name}.weight", n), plan.vector(f"d{name}.bias", n)
            plan.emit(
                tiles.batch_norm_backward, dx=dy, dweight=dweight, dbias=dbias, dy=dy, x=x, weight=weight, mean=mean,
                inv_std=inv_std, places=places, cols=n, scratch=tiles.scratch_bytes,
            )  # fmt: skip
            for parameter, value, gradient in ((self.weight, weight, dweight), (self.bias, bias, dbias)):
                if parameter is not None and plan.learns(parameter):
                    plan.learn(parameter, value, gradient)
            return dy

        return y, backward

    def extra_repr(self):
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, "
            f"affine={self.weight is not None}, track_running_stats={self.running_mean is not None}, "
            f"channel_axis={self.channel_axis}"
            + ("" if self.convention == "torch" else f", convention={self.convention!r}")
        )
