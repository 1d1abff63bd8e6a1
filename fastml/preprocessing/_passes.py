"""One pass over a matrix: what it gathers from every column. The kernel's numbers by name."""

import numpy as np

from .._kernels import columns

_MOMENTS, _WEIGHTED, _EXTREMES = range(3)


def column_moments(x):
    """(mean, m2) of every column, m2 the squared deviations from its mean; not finite where an element is not."""
    _, mean, m2 = columns.gather(x, _MOMENTS, None)
    return mean, m2


def weighted_moments(x, weight=None):
    """(sum of weights, weighted mean, weighted m2) of every column's elements but NaN; weight: (rows,) of float64."""
    count, mean, m2 = columns.gather(x, _WEIGHTED, weight)
    return count, mean, m2


def column_extremes(x):
    """(least, greatest) element of every column but NaN, in x's dtype; inf and -inf where there is nothing else."""
    low, high, _ = columns.gather(x, _EXTREMES, None).astype(x.dtype, copy=False)
    return low, high


def check_infinity(x):
    """The columns' extremes; ValueError where x has an infinite element. NaN may be there."""
    low, high = column_extremes(x)
    if (low == -np.inf).any() or (high == np.inf).any():
        raise ValueError(f"Input X contains infinity or a value too large for {x.dtype!r}.")
    return low, high
