"""Dropout as a layer."""

from .._kernels import step_elementwise
from ..ops.dropout import dropout, dropout_backward
from ._reuse import Results
from .module import Module
from .seeding import check_seed, next_seed


class Dropout(Module):
    """Dropout: in training every element is zeroed with probability p, the rest scaled by 1/(1 − p).

    Any shape. In evaluation, and with p = 0, the input itself comes back. No mask is stored: element i of
    a forward pass is kept or dropped by (``seed``, ``offset`` + i) alone, where ``offset`` counts the
    elements drawn before; each pass draws a new mask and backward draws the same again. Both attributes
    may be set, to repeat or resume. Without ``seed`` one comes from :func:`fastml.nn.manual_seed`'s stream.

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

    def __init__(self, p=0.5, seed=None):
        if not 0 <= p <= 1:
            raise ValueError(f"p must lie between 0 and 1, got {p}")
        self.p = float(p)
        self.seed = next_seed() if seed is None else check_seed(seed, 1 << 64)
        self.offset = 0
        self._results = Results()
        self._gradients = Results()

    def forward(self, x):
        if not self.training or self.p == 0:
            self._saved = (None, None, None)
            return x
        offset = self.offset
        y = dropout(x, self.p, seed=self.seed, offset=offset, out=self._results.like(x))
        self.offset = offset + y.size
        self._saved = self.seed, offset, y.shape
        return y

    def backward(self, grad):
        seed, offset, shape = self._last()
        if shape is None:
            return grad
        # The mask depends on the flat position alone: only the shape tells another gradient apart.
        if getattr(grad, "shape", shape) != shape:
            raise ValueError(f"grad has shape {grad.shape}, the last result has {shape}")
        return dropout_backward(grad, self.p, seed=seed, offset=offset, out=self._gradients.like(grad))

    def lower(self, plan, x, name):
        if self.p == 0:
            return x, lambda dy, wanted: dy
        gate = x.gate
        y = plan.over(x, adds_zeros=True)
        threshold, scale = step_elementwise.dropout_threshold(self.p)
        numbers = plan.emit(
            step_elementwise.dropout,
            [y],
            [x],
            rows=[],
            columns=[],
            reals=[scale],
            integers=[self.seed, 0, threshold],
        )

        y.gate = y.kept = gate

        def draw(rows):
            offset = self.offset
            numbers.set(integers=[self.seed, offset])
            self.offset = offset + rows * x.cols

        plan.before.append(draw)
        plan.modes.append(self)

        def backward(dy, wanted):
            if gate:  # dropped or not above zero: either way no gradient, and no mask to draw again
                plan.emit(step_elementwise.relu_backward, [dy], [dy, y], rows=[], columns=[], reals=[scale])
                dy.gate = True
            else:
                plan.emit(step_elementwise.dropout, [dy], [dy], rows=[], columns=[], numbers=numbers)
            return dy

        return y, backward

    def extra_repr(self):
        return f"p={self.p}"
