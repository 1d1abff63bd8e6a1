"""Rows of length 1."""

import numpy as np

from .._check import boolean, choice
from .._choices import Norm
from .._environment import in_full_mode
from .._kernels import scaling
from .._memory import empty_like
from ._base import Scaler

_NORMS = {"l1": 1, "l2": 2, "max": 0}


class Normalizer(Scaler):
    r"""Rows divided by their norm.

    .. math:: z = \frac{x}{\lVert x \rVert}, \quad \lVert x \rVert = \sum |x_j|, \;
              \sqrt{\textstyle\sum x_j^2} \; \text{or} \; \max |x_j|

    Parameters and methods are those of ``sklearn.preprocessing.Normalizer``, of which it is a drop-in replacement for
    dense data; scikit-learn is not needed. Nothing is learned: fit checks its input, and transform may be called
    without it. float32 stays float32 (float16 becomes it), with sums in float64; float64 stays, everything else becomes
    float64. A row of norm 0 (less than 10 eps) stays as it is.

    Parameters
    ----------
    norm : "l2", "l1" or "max"
    copy : bool
        False: transform works in place where X is a writable C-contiguous array of float32 or float64.

    Raises ValueError for NaN and infinity, another norm, and input as `StandardScaler` does.

    Examples
    --------
    >>> from fastml.preprocessing import Normalizer
    >>> Normalizer().transform([[3.0, 4.0], [0.0, 0.0]])
    array([[0.6, 0.8],
           [0. , 0. ]])
    """

    _needs_fit = False
    _allows_nan = False

    def __init__(self, norm="l2", *, copy=True):
        self.norm = norm
        self.copy = copy

    def fit(self, X, y=None):
        """Check X; returns self."""
        self._norm()
        x = self._seen(X, reset=True)
        if scaling.normalize(None, x, 0, 0):
            raise _unfinite(x)
        return self

    @in_full_mode
    def fit_transform(self, X, y=None):
        """``fit(X).transform(X)``, with X checked once."""
        return self._deliver(self._normalized(X, self._seen(X, reset=True), self.copy), X)

    @in_full_mode
    def transform(self, X, copy=None):
        """X's rows with norm 1, of X's dtype; ``copy`` takes the place of the parameter where it is not None."""
        return self._deliver(self._normalized(X, self._seen(X, reset=False), self.copy if copy is None else copy), X)

    def _norm(self):
        return _NORMS[choice(self.norm, "norm", Norm)]

    def _normalized(self, X, x, copy):
        norm, x = self._norm(), np.ascontiguousarray(x)
        here = not boolean(copy, "copy") and x is X and x.flags.writeable
        if here and scaling.normalize(None, x, 0, 0):
            raise _unfinite(x)
        y = x if here else empty_like(x)
        if scaling.normalize(y, x, norm, 10 * np.finfo(x.dtype).eps) and not here:
            raise _unfinite(x)
        return y


def _unfinite(x):
    return ValueError(f"Input X contains {'NaN' if np.isnan(x).any() else 'infinity'}, which Normalizer does not take.")
