"""Divergences and distances between distributions in their plainest form.

Kullback-Leibler and Jensen-Shannon divergence and entropy are those of scipy.stats and scipy.spatial, the
Wasserstein and the energy distance those of scipy.stats; the first goes by quantiles, so that any order p is one
formula: Villani, "Optimal transport" (2009), chapter 6.
"""

import numpy as np

from ._arrays import as_array


def _distribution(x, name, axis):
    x = as_array(x, name, np.float64)
    return x / x.sum(axis=axis, keepdims=True)


def _relative_entropy(p, q):
    """p log(p / q); 0 where p is 0, infinite where q is not positive or p is negative."""
    with np.errstate(all="ignore"):
        value = np.where(p > 0, np.where(q > 0, p * np.log(p / q), np.inf), np.where((p == 0) & (q >= 0), 0, np.inf))
    return np.where(np.isnan(p + q), np.nan, value)


def kl_divergence(p, q, axis=-1):
    """sum p log(p / q) of the normalised distributions."""
    with np.errstate(all="ignore"):
        p, q = np.broadcast_arrays(_distribution(p, "p", axis), _distribution(q, "q", axis))
    return _relative_entropy(p, q).sum(axis=axis)


def js_divergence(p, q, axis=-1, base=None):
    """Half the divergences of p and of q from their mean."""
    with np.errstate(all="ignore"):
        p, q = _distribution(p, "p", axis), _distribution(q, "q", axis)
    m = (p + q) / 2
    both = _relative_entropy(p, m) + _relative_entropy(q, m)
    return both.sum(axis=axis) / 2 / (1 if base is None else np.log(base))


def total_variation(p, q, axis=-1):
    """Half the sum of |p - q|."""
    return np.abs(_distribution(p, "p", axis) - _distribution(q, "q", axis)).sum(axis=axis) / 2


def entropy(p, axis=-1, base=None):
    """-sum p log p of the normalised distribution."""
    p = _distribution(p, "p", axis)
    return -_relative_entropy(p, np.ones_like(p)).sum(axis=axis) / (1 if base is None else np.log(base))


def _pairs(function, u, v, u_weights, v_weights):
    """The function of every pair of rows, or of the two samples."""
    u, v = as_array(u, "u_values", np.float64), as_array(v, "v_values", np.float64)
    weights = [
        np.broadcast_to(1.0 if w is None else as_array(w, name, np.float64), x.shape)
        for name, w, x in (("u_weights", u_weights, u), ("v_weights", v_weights, v))
    ]
    if u.ndim == 1:
        return function(u, v, *weights)
    return np.array([function(*row) for row in zip(u, v, *weights, strict=True)])


def _cumulated(x, w):
    order = np.argsort(x, kind="stable")
    sums = np.cumsum(w[order])
    return x[order], sums / sums[-1]


def wasserstein_distance(u_values, v_values, u_weights=None, v_weights=None, *, p=1):
    """The p-th root of the integral of |U^-1 - V^-1|^p over 0 .. 1."""

    def one(u, v, wu, wv):
        (u, cu), (v, cv) = _cumulated(u, wu), _cumulated(v, wv)
        ends = np.union1d(cu, cv)
        shares = np.diff(ends, prepend=0)
        gaps = np.abs(u[np.searchsorted(cu, ends)] - v[np.searchsorted(cv, ends)])
        return (shares[shares > 0] * gaps[shares > 0] ** p).sum() ** (1 / p)

    return _pairs(one, u_values, v_values, u_weights, v_weights)


def wasserstein_distance_histogram(u_counts, v_counts, support=None, axis=-1, *, p=1):
    """The same of one set of values with two sets of weights."""
    u, v = as_array(u_counts, "u_counts", np.float64), as_array(v_counts, "v_counts", np.float64)
    u, v = (np.moveaxis(x, axis, -1) for x in np.broadcast_arrays(u, v))
    support = np.arange(u.shape[-1]) if support is None else as_array(support, "support", np.float64)
    rows = zip(u.reshape(-1, u.shape[-1]), v.reshape(-1, u.shape[-1]), strict=True)
    return np.array([wasserstein_distance(support, support, *row, p=p) for row in rows]).reshape(u.shape[:-1])[()]


def energy_distance(u_values, v_values, u_weights=None, v_weights=None):
    """The square root of 2 E|X - Y| - E|X - X'| - E|Y - Y'|, by the distribution functions: of 2 (U - V)^2 dx."""

    def one(u, v, wu, wv):
        places = np.sort(np.concatenate([u, v]))
        (u, cu), (v, cv) = _cumulated(u, wu), _cumulated(v, wv)
        below_u, below_v = (
            np.concatenate([[0], c])[np.searchsorted(x, places[:-1], "right")] for x, c in ((u, cu), (v, cv))
        )
        return np.sqrt(2 * ((below_u - below_v) ** 2 * np.diff(places)).sum())

    return _pairs(one, u_values, v_values, u_weights, v_weights)
