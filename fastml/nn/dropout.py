"""Dropout as layers: of elements, of whole channels, and the one that keeps mean and variance."""

import math

import numpy as np

from .. import _check
from .._environment import flush, full
from .._kernels import dropout as _kernel
from .._kernels.step import elementwise as tiles
from .._kernels.step.arguments import Live
from .._memory import empty
from ..ops.dropout import dropout, dropout_mask
from ._reuse import Results
from .module import Module
from .seeding import seed_or_next

#: SELU's limit for x → −∞: −λα with λ = 1.0507009873554805, α = 1.6732632423543772.
_ALPHA = -1.7580993408473766


class _Dropping(Module):
    """What the dropouts share: p, and the place in the generator's stream."""

    place_names = ("seed", "offset")
    _live = frozenset({*Module._live, "offset"})

    def __init__(self, p=0.5, seed=None):
        self.p = _check.number(p, "p", 0, 1)
        self.seed = seed_or_next(seed)
        self.offset = 0
        self._results = Results()
        self._gradients = Results()

    def _gradient(self, grad, shape):
        """As an array; ValueError where it has another shape than the last result."""
        (grad,) = _check.as_reals([("grad", grad)])
        if grad.shape != shape:
            _check.refuse_last_shape(grad, shape)
        return grad

    def _advance(self, offset, words):
        """``words`` have been drawn from ``offset`` on; the stream is a ring of 2⁶⁴."""
        self.offset = (int(offset) + words) % (1 << 64)

    def _drawn(self, plan, count):
        """The numbers of a plan's kernels, whose offset moves by ``count`` words a sample in each step."""
        threshold, scale = self._threshold()
        p, seed, place, offset = self.p, self.seed, Live(), 0

        def prepare(rows):
            nonlocal offset
            offset = self.offset
            if type(offset) is not int or not 0 <= offset < 1 << 64:
                dropout([], p, seed=seed, offset=offset)  # refuses what it would refuse in forward
            place.set(offset)

        def commit(rows):
            self._advance(offset, rows * count)

        plan.prepare.append(prepare)
        plan.commit.append(commit)
        plan.modes.append(self)
        return {"seed": seed, "offset": place, "threshold": threshold, "scale": scale}

    def _threshold(self):
        """What the step's kernels take for p; ValueError and TypeError as in forward."""
        dropout([], self.p, seed=self.seed)
        return tiles.dropout_threshold(self.p)

    def extra_repr(self):
        return f"p={self.p}"


class Dropout(_Dropping):
    """Dropout: in training every element is zeroed with probability p, the rest scaled by 1/(1 − p).

    Any shape. In evaluation, and with p = 0, the input itself comes back. Element i of a forward pass is kept or
    dropped by (``seed``, ``offset`` + i) alone, where ``offset`` counts the elements drawn before, modulo 2⁶⁴; each
    pass draws a new mask, and keeps one bit an element of it for backward. Both attributes may be set, to repeat or
    resume. Without ``seed`` one comes from :func:`fastml.nn.manual_seed`'s stream.

    Raises ValueError for p outside 0 … 1 and a seed outside 0 … 2⁶⁴ − 1, TypeError for a seed that is no
    integer.

    Source: N. Srivastava et al., Dropout, JMLR 15, 2014; ``torch.nn.Dropout``.

    >>> from fastml import nn
    >>> import numpy as np
    >>> layer, x = nn.Dropout(0.5, seed=0), np.ones(1000, np.float32)
    >>> y = layer(x)
    >>> np.unique(y).tolist(), bool((layer.backward(x) == y).all()), bool((layer(x) == y).all())
    ([0.0, 2.0], True, False)
    """

    def forward(self, x):
        if not self.training or self.p == 0:
            self._saved = False  # nothing was dropped
            return x
        offset = self.offset
        y, kept = _kernel.dropout_keeping(x, self.p, self.seed, offset, self._results.like(x))
        self._advance(offset, y.size)
        self._saved = kept
        return y

    def backward(self, grad):
        kept = self._saved
        if not kept:
            self._last()
            return grad
        return _kernel.dropout_kept(grad, kept, self._gradients.like(grad) if kept.large else None)

    def lower(self, plan, x, name):
        if self.p == 0:
            return x, lambda dy, wanted: dy
        y, numbers = plan.over(x), self._drawn(plan, x.cols)
        kept = plan.bits(y)
        plan.emit(tiles.dropout, y=y, kept=kept, x=x, **numbers)

        def backward(dy, wanted):
            plan.emit(tiles.dropout_backward, dx=dy, dy=dy, kept=kept, scale=numbers["scale"])
            return dy

        return y, backward


class _ChannelDropout(_Dropping):
    """Whole channels; a subclass says of how many axes a batch may be, and of how many one sample, if it takes one."""

    _sample = None

    def forward(self, x):
        shape = _check.shape_of(x, "x")
        if len(shape) not in self._batches and len(shape) != self._sample:
            raise ValueError(f"x must have the shape {self._shapes}, not {shape}")
        if not self.training or self.p == 0:
            self._saved = (None, None)
            return x
        (x,) = _check.as_reals([("x", x)])
        channels = shape[: 1 if x.ndim == self._sample else 2]
        offset = self.offset
        scale = dropout(np.ones(channels, x.dtype), self.p, seed=self.seed, offset=offset)
        self._advance(offset, scale.size)
        scale = scale.reshape(channels + (1,) * (x.ndim - len(channels)))
        with full():
            y = np.multiply(x, scale, out=self._results.like(x))
        self._saved = scale, shape
        return y

    def backward(self, grad):
        scale, shape = self._last()
        if scale is None:
            return grad
        grad = self._gradient(grad, shape)
        with full():
            return np.multiply(grad, scale, out=self._gradients.like(grad, scale))

    def lower(self, plan, x, name):
        if len(x.shape) + 1 not in self._batches:
            raise ValueError(f"{name}: {type(self).__name__} takes {self._shapes}, the layer before gives {x.shape}")
        if self.p == 0:
            return x, lambda dy, wanted: dy
        y, numbers = plan.over(x), {"places": math.prod(x.shape[1:]), **self._drawn(plan, x.shape[0])}
        plan.emit(tiles.channel_dropout, y=y, x=x, **numbers)

        def backward(dy, wanted):
            plan.emit(tiles.channel_dropout, y=dy, x=dy, **numbers)
            return dy

        return y, backward


class Dropout1d(_ChannelDropout):
    """Dropout of channels: each channel of each sample is zeroed with probability p, the rest scaled by 1/(1 − p).

    x: (N, C, L), or (C, L) for one sample → y of x's shape, y[n, c] = x[n, c] m[n, c] / (1 − p) with one m of 0 or 1
    for a channel. In a compiled step x is (N, C, L). In evaluation, and with p = 0, the input itself comes back.
    A dropped channel is multiplied by 0: NaN and infinity become NaN. Channel i of the batch, counted in the order
    of x, is kept or dropped by (``seed``, ``offset`` + i) alone; ``offset`` counts the channels drawn before, and
    both may be set. Without ``seed`` one comes from :func:`fastml.nn.manual_seed`'s stream.

    Raises ValueError for p outside 0 … 1, a seed outside 0 … 2⁶⁴ − 1 and an x of any other rank, TypeError for a
    seed that is no integer and an x that holds no real numbers.

    Source: J. Tompson et al., Efficient object localization using convolutional networks, CVPR 2015;
    ``torch.nn.Dropout1d``.

    >>> from fastml import nn
    >>> import numpy as np
    >>> layer, x = nn.Dropout1d(0.5, seed=0), np.ones((2, 3, 4), np.float32)
    >>> y = layer(x)
    >>> y[:, :, 0].tolist(), bool((y == y[:, :, :1]).all()), bool((layer.backward(x) == y).all())
    ([[0.0, 2.0, 2.0], [2.0, 2.0, 0.0]], True, True)
    """

    _batches, _sample = (3,), 2
    _shapes = "(N, C, L) or (C, L)"


class Dropout2d(_ChannelDropout):
    """Dropout of channels: each channel of each sample is zeroed with probability p, the rest scaled by 1/(1 − p).

    x: (N, C, H, W), or (N, C, L) as in :class:`Dropout1d`, never a single (C, H, W): so PyTorch reads three axes.
    y, seed, offset, evaluation and errors are those of :class:`Dropout1d`.

    Source: J. Tompson et al., Efficient object localization using convolutional networks, CVPR 2015;
    ``torch.nn.Dropout2d``.

    >>> from fastml import nn
    >>> import numpy as np
    >>> layer, x = nn.Dropout2d(0.5, seed=0), np.ones((2, 3, 4, 4), np.float32)
    >>> y = layer(x)
    >>> y[:, :, 0, 0].tolist(), bool((y == y[:, :, :1, :1]).all()), layer.offset
    ([[0.0, 2.0, 2.0], [2.0, 2.0, 0.0]], True, 6)
    """

    _batches = (3, 4)
    _shapes = "(N, C, H, W) or (N, C, L)"


class AlphaDropout(_Dropping):
    """Dropout to SELU's lower limit α' that keeps mean 0 and variance 1 as they are.

    Any shape. Each element is, with probability p, set to α' = −1.7580993408473766 (SELU's −λα), and all go through
    a line: y = a (m x + (1 − m) α') + b with a = 1/√((1 − p)(1 + p α'²)) and b = −a p α'; dx = a m dy. m is the
    mask of :func:`fastml.dropout_mask`: ``seed``, ``offset``, evaluation and p = 0 as in :class:`Dropout`. With p = 1
    everything becomes 0.

    Raises ValueError for p outside 0 … 1 and a seed outside 0 … 2⁶⁴ − 1, TypeError for a seed that is no integer
    and an x that holds no real numbers.

    Source: G. Klambauer et al., Self-normalizing neural networks, NeurIPS 2017; ``torch.nn.AlphaDropout``.

    >>> from fastml import nn
    >>> import numpy as np
    >>> layer = nn.AlphaDropout(0.5, seed=0)
    >>> layer(np.array([1.0, -1.0, 0.0, 2.0])).round(4).tolist()
    [-0.7792, -0.1072, 0.7792, 2.552]
    >>> layer.backward(np.ones(4)).round(4).tolist()
    [0.0, 0.8864, 0.8864, 0.8864]
    """

    def _line(self):
        """a, b, and y where dropped."""
        p = self.p
        if p == 1:
            return 0.0, 0.0, 0.0
        with full():
            a = 1 / math.sqrt((1 - p) * (1 + p * _ALPHA * _ALPHA))
            return a, -a * p * _ALPHA, a * (1 - p) * _ALPHA

    def forward(self, x):
        if not self.training or self.p == 0:
            self._saved = (None, None, None)
            return x
        (x,) = _check.as_reals([("x", x)])
        offset = self.offset
        kept = dropout_mask(x.shape, self.p, seed=self.seed, offset=offset)
        scale, shift, low = self._line()
        y = self._results.like(x)
        with full():
            y = np.multiply(x, scale, out=empty(x.shape, x.dtype) if y is None else y)
            y += shift
            _replace_dropped(y, kept, low)
        self._advance(offset, y.size)
        self._saved = kept, scale, y.shape
        return y

    def backward(self, grad):
        kept, scale, shape = self._last()
        if shape is None:
            return grad
        grad = self._gradient(grad, shape)
        dx = self._gradients.like(grad)
        with flush():  # as all of dropout
            dx = np.multiply(grad, scale, out=empty(shape, grad.dtype) if dx is None else dx)
        _replace_dropped(dx, kept, 0)
        return dx

    def lower(self, plan, x, name):
        if self.p == 0:
            return x, lambda dy, wanted: dy
        y, drawn = plan.over(x), self._drawn(plan, x.cols)
        kept = plan.bits(y)
        scale, shift, low = self._line()
        plan.emit(tiles.alpha_dropout, y=y, kept=kept, x=x, **{**drawn, "scale": scale}, shift=shift, low=low)

        def backward(dy, wanted):
            plan.emit(tiles.dropout_backward, dx=dy, dy=dy, kept=kept, scale=scale)
            return dy

        return y, backward


def _replace_dropped(y, kept, low):
    """Write ``low`` into y where not kept; by bits, as choosing by a random mask costs several times as much."""
    integer = np.dtype(f"i{y.itemsize}")
    mask = np.negative(kept.view(np.int8), dtype=integer)
    low, bits = y.dtype.type(low).view(integer), y.view(integer)
    bits ^= low
    bits &= mask
    bits ^= low
