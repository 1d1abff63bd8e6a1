"""Divergences between distributions, and distances between samples, as SciPy defines them."""

import math

import numpy as np

from .. import _check
from .._environment import in_full_mode
from .._kernels import distances as _kernel
from .._threads import get_num_threads

SPLIT = 1 << 16  # numbers from which on two sorts at once pay
PRECISIONS = (np.dtype(np.float32), np.dtype(np.float64))
FAR = 2.0**500  # sums and distances beyond which, or below whose reciprocal, they are taken of scaled numbers


@in_full_mode
def kl_divergence(p, q, axis=-1):
    r"""Kullback-Leibler divergence of q from p, in nats.

    .. math:: D(p \| q) = \sum_i p_i \log \frac{p_i}{q_i}

    ``p``, ``q``: numbers >= 0 in shapes that broadcast, made distributions along ``axis`` by dividing them by their
    sums. Returns one number for each distribution, in the shape without ``axis``: float64, or float32 where both
    are. Sums are taken in double and the exact zero of equal distributions stays one.

    Where p is 0, q may be. Where q alone is 0 the divergence is infinite, as it is for a negative number. Sums of 0,
    NaN and infinities give NaN. ValueError for shapes and axis, TypeError for kinds of arrays.

    Source: S. Kullback and R. A. Leibler, On information and sufficiency, 1951; ``scipy.stats.entropy(p, q)``.

    >>> round(float(kl_divergence([1, 1], [9, 1])), 12)
    0.510825623766
    """
    found = _kernel.kl_divergence(p, q, axis)
    return _arranged(_kernel.kl_divergence, {"p": p, "q": q}, axis) if found is None else found


@in_full_mode
def js_divergence(p, q, axis=-1, base=None):
    r"""Jensen-Shannon divergence: how far p and q are from what lies between them.

    .. math:: \mathrm{JS}(p, q) = \tfrac12 D(p \| m) + \tfrac12 D(q \| m), \quad m = \tfrac12 (p + q)

    The square of SciPy's ``jensenshannon``, which is its square root, a metric. ``base``: of the logarithms, e where
    None; with 2 the largest value is 1. Otherwise as :func:`kl_divergence`; ValueError also for a base that is not
    positive, or 1. A base below 1 has a negative logarithm, so that divergences in it are negative.

    Source: J. Lin, Divergence measures based on the Shannon entropy, 1991;
    ``scipy.spatial.distance.jensenshannon(p, q, base) ** 2``.

    >>> float(js_divergence([1, 0], [0, 1], base=2))
    1.0
    """
    unit = _unit(base)
    found = _kernel.js_divergence(p, q, axis, unit=unit)
    return _arranged(_kernel.js_divergence, {"p": p, "q": q}, axis, unit=unit) if found is None else found


@in_full_mode
def total_variation(p, q, axis=-1):
    r"""Total variation distance: the largest difference of the probabilities that p and q give to any event.

    .. math:: \mathrm{TV}(p, q) = \tfrac12 \sum_i |p_i - q_i|

    Arguments, result and errors as :func:`kl_divergence`'s.

    Source: D. A. Levin and Y. Peres, Markov chains and mixing times, 2017, section 4.1.

    >>> float(total_variation([0.5, 0.5], [0.75, 0.25]))
    0.25
    """
    found = _kernel.total_variation(p, q, axis)
    return _arranged(_kernel.total_variation, {"p": p, "q": q}, axis) if found is None else found


@in_full_mode
def entropy(p, axis=-1, base=None):
    r"""Shannon entropy of a distribution.

    .. math:: H(p) = -\sum_i p_i \log p_i

    ``base``: of the logarithm, e where None. Otherwise as :func:`kl_divergence`; a negative number gives -inf.

    Source: C. E. Shannon, A mathematical theory of communication, 1948; ``scipy.stats.entropy(p)``.

    >>> float(entropy([1, 1, 1, 1], base=2))
    2.0
    """
    unit = _unit(base)
    found = _kernel.entropy(p, axis, unit=unit)
    return _arranged(_kernel.entropy, {"p": p}, axis, unit=unit) if found is None else found


@in_full_mode
def wasserstein_distance(u_values, v_values, u_weights=None, v_weights=None, *, p=1):
    r"""Wasserstein distance of order p between two samples on the line: the least mean distance to move one to the
    other.

    .. math:: W_p(u, v) = \Big( \int_0^1 |U^{-1}(t) - V^{-1}(t)|^p\, dt \Big)^{1/p}

    with the quantile functions of both samples; for p = 1 the area between their distribution functions.

    ``u_values`` (n,), ``v_values`` (m,): the samples; or (B, n) and (B, m): B pairs, B distances. ``u_weights``,
    ``v_weights``: what each value counts, of the values' shape, or (n,) and (m,) for all rows; they need not sum to
    1. ``p`` >= 1. Returns float64. A NaN among the values gives NaN.

    Raises ValueError for shapes, empty samples, p below 1, weights that are negative or whose sum is 0 or not
    finite; TypeError for kinds of arguments.

    Source: C. Villani, Optimal transport, 2009, chapter 6; ``scipy.stats.wasserstein_distance`` for p = 1.

    >>> float(wasserstein_distance([0, 1, 3], [5, 6, 8]))
    5.0
    >>> float(wasserstein_distance([0.0, 1.0], [0.0, 1.0], [3, 1], [2, 2], p=2))
    0.5
    """
    if u_weights is None and v_weights is None and p == 1 and type(p) is int and _are_plain(u_values, v_values):
        found = _kernel.gap_means(*_both(_sorted, (u_values,), (v_values,)))
        if found == 0 or 1 / FAR < found < FAR:
            return found
    p = _check.number(p, "p", 1, np.finfo(np.float64).max)
    u, v, deliver = _samples(u_values, v_values)
    u_weights, v_weights = _weights(u_weights, u, "u_weights"), _weights(v_weights, v, "v_weights")
    if u_weights is None and v_weights is None and u.shape == v.shape:
        return deliver(_unit_free(lambda u, v: _paired(u, v, p), *_both(np.sort, (u,), (v,))))
    (u, cu), (v, cv) = _both(_ranked, (u, u_weights), (v, v_weights))
    return deliver(_unit_free(lambda u, v: _transported(u, cu, v, cv, p), u, v))


@in_full_mode
def wasserstein_distance_histogram(u_counts, v_counts, support=None, axis=-1, *, p=1):
    r"""Wasserstein distance of order p between two histograms over the same bins.

    As :func:`wasserstein_distance` of samples whose values are ``support`` (n,), the places of the bins (0 ... n - 1
    where None; in any order), with ``u_counts`` and ``v_counts`` as weights, in shapes that broadcast. Returns
    float64, in the shape without ``axis``.

    Raises ValueError for shapes, axis, p below 1, counts that are negative or whose sum is 0 or not finite; TypeError
    for kinds of arguments.

    Source: as :func:`wasserstein_distance`.

    >>> float(wasserstein_distance_histogram([1, 0, 0], [0, 1, 1], [0.0, 1.0, 4.0]))
    2.5
    """
    p = _check.number(p, "p", 1, np.finfo(np.float64).max)
    (u, v), deliver = _rows({"u_counts": u_counts, "v_counts": v_counts}, axis, np.float64)
    if u.shape[1] == 0:
        raise ValueError("u_counts and v_counts must have at least one bin, not 0")
    u, v = _check_weights(u, "u_counts"), _check_weights(v, "v_counts")
    if support is None:
        support = np.arange(u.shape[1], dtype=np.float64)
    else:
        support = _real(support, "support").astype(np.float64)
        if support.shape != (u.shape[1],):
            raise ValueError(f"support must have shape ({u.shape[1]},), one for each bin, not {support.shape}")
        order = np.argsort(support)
        support, u, v = support[order], u[:, order], v[:, order]
    cu, cv = _shares(u), _shares(v)
    return deliver(_unit_free(lambda u, v: _transported(u, cu, v, cv, p), support[None], support[None]))


@in_full_mode
def energy_distance(u_values, v_values, u_weights=None, v_weights=None):
    r"""Energy distance between two samples on the line.

    .. math:: \Big( 2 \int_{-\infty}^{\infty} (U(x) - V(x))^2\, dx \Big)^{1/2}

    with their distribution functions: :math:`(2 E|X - Y| - E|X - X'| - E|Y - Y'|)^{1/2}` for independent draws.
    Arguments, result and errors as :func:`wasserstein_distance`'s.

    Source: G. J. Székely and M. L. Rizzo, Energy statistics, 2013; ``scipy.stats.energy_distance``.

    >>> float(energy_distance([0], [2]))
    2.0
    """
    u, v, deliver = _samples(u_values, v_values)
    u_weights, v_weights = _weights(u_weights, u, "u_weights"), _weights(v_weights, v, "v_weights")
    (u, cu), (v, cv) = _both(_ranked, (u, u_weights), (v, v_weights))
    distance = _unit_free(lambda u, v: np.sqrt(2 * _kernel.cdf_distance(u, cu, v, cv)), u, v, root=2)
    return deliver(distance)


# ---- distributions along an axis


def _real(x, name):
    """x as an array of float32 or float64; integers, which may be large counts, in double."""
    array = _check.as_array(x, name)
    return _check.as_real(array, name, np.float64 if array.dtype.kind in "biu" else None)


def _rows(named, axis, dtype=None):
    """The arrays as plain (rows, n) of one dtype, and what puts one result a row into the shape without the axis."""
    arrays = [_real(x, name) for name, x in named.items()]
    result = np.result_type(*arrays) if dtype is None else np.dtype(dtype)
    try:
        shape = np.broadcast_shapes(*[a.shape for a in arrays])
    except ValueError:
        shapes = " and ".join(str(a.shape) for a in arrays)
        raise ValueError(f"{' and '.join(named)} must have shapes that broadcast, not {shapes}") from None
    if not shape:
        raise ValueError(f"{' and '.join(named)} must have at least one dimension, not 0")
    axis = _check.axis_index(axis)
    if not -len(shape) <= axis < len(shape):
        _check.raise_axis(axis, len(shape))
    turned = [np.moveaxis(np.broadcast_to(a, shape), axis, -1) for a in arrays]
    *outer, n = turned[0].shape
    rows = [_check.plain(a.astype(result, copy=False)).reshape(math.prod(outer), n) for a in turned]
    return rows, lambda values: values.astype(result).reshape(outer)[()]


def _arranged(function, named, axis, **unit):
    """The kernel's results of arrays of any kind, with rows whose sums are far brought near 1."""
    arrays, deliver = _rows(named, axis)
    found = function(*arrays, -1, **unit)
    if found is None:
        with np.errstate(over="ignore", invalid="ignore"):
            near = [_near(x, x.sum(axis=-1, dtype=np.float64)) for x in arrays]
        found = function(*near, -1, anyway=True, **unit)
    return deliver(found)


def _far(*sums):
    """Whether sums of some rows are so large or small that products or quotients with them leave the range."""
    return any(((total != 0) & ~((total > 1 / FAR) & (total < FAR))).any() for total in sums)


def _near(x, sums):
    """x in which rows of such sums are divided by a power of two near their largest number."""
    top = np.abs(x).max(axis=-1, keepdims=True, initial=0)
    top[np.isfinite(sums) & (sums > 1 / FAR) & (sums < FAR)] = 1
    return np.ldexp(x.astype(np.float64, copy=False), -np.frexp(np.where(np.isfinite(top), top, 1))[1])


def _unit(base):
    """The natural logarithm of the base."""
    if base is None:
        return 1.0
    base = _check.number(base, "base", 0, np.finfo(np.float64).max)
    if base in (0, 1):
        raise ValueError(f"base must be positive and not 1, not {base}")
    return math.log(base)


# ---- samples


def _are_plain(u, v):
    """Two vectors of one size and precision, which need no further check."""
    return (
        type(u) is type(v) is np.ndarray
        and u.ndim == 1
        and u.shape == v.shape
        and u.size > 0
        and u.dtype in PRECISIONS
        and u.dtype == v.dtype
    )


def _sorted(x):
    """As np.sort, without the way there."""
    x = x.copy()
    x.sort()
    return x


def _samples(u, v):
    """Both as plain (rows, n) of one dtype, and what makes of one result a row what the caller gets."""
    u, v = _real(u, "u_values"), _real(v, "v_values")
    for a, name in ((u, "u_values"), (v, "v_values")):
        if a.ndim not in (1, 2) or a.shape[-1] == 0:
            raise ValueError(f"{name} must have shape (n,) or (B, n) with n >= 1, not {a.shape}")
    if u.shape[:-1] != v.shape[:-1]:
        raise ValueError(f"u_values and v_values must have as many rows, not shapes {u.shape} and {v.shape}")
    dtype, shape = np.result_type(u, v), u.shape[:-1]
    u, v = (_check.plain(np.atleast_2d(a).astype(dtype, copy=False)) for a in (u, v))
    return u, v, lambda values: values.reshape(shape)[()]


def _weights(weights, values, name):
    if weights is None:
        return None
    weights = _real(weights, name).astype(np.float64)
    if weights.ndim not in (1, 2) or weights.shape not in (values.shape, values.shape[1:], (1, *values.shape[1:])):
        raise ValueError(f"{name} must have the shape of its values, {values.shape}, not {weights.shape}")
    return np.broadcast_to(_check_weights(weights, name), values.shape)


def _check_weights(weights, name):
    """The weights, in which a row whose sum would overflow is divided by a power of two."""
    if (weights < 0).any():
        raise ValueError(f"{name} must be at least 0, not {weights.min()}")
    with np.errstate(over="ignore"):
        totals = weights.sum(axis=-1, keepdims=True)
    top = weights.max(axis=-1, keepdims=True)
    good = (totals > 0) & (top < np.inf)
    if not good.all():
        raise ValueError(f"{name} must have a positive, finite sum, not {totals[~good][0]}")
    return weights if np.isfinite(totals).all() else np.where(totals < np.inf, weights, np.ldexp(weights, -64))


def _shares(weights):
    """The share of the weights up to and with each of a row: the last is 1."""
    sums = np.cumsum(np.ascontiguousarray(weights), axis=-1)
    sums /= sums[:, -1:].copy()
    return sums


def _ranked(values, weights):
    """Sorted values in double, and the share of the weights up to and with each."""
    if weights is None:
        n = values.shape[1]
        return np.sort(values, axis=-1).astype(np.float64, copy=False), np.arange(1, n + 1)[None] / n
    order = np.argsort(values, axis=-1)
    values = np.take_along_axis(values, order, -1).astype(np.float64, copy=False)
    return values, _shares(np.take_along_axis(weights, order, -1))


def _both(function, first, second):
    """The function of both, in two threads where that pays: NumPy sorts without the GIL."""
    if get_num_threads() == 1 or min(first[0].size, second[0].size) < SPLIT:
        return function(*first), function(*second)
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(function, *second)
        return function(*first), other.result()


def _unit_free(distance, u, v, root=1):
    """distance(u, v) of sorted rows, where it or its parts may leave the range taken in units of a power of two and
    brought back: a factor of the values is one of the distance, or its root."""
    with np.errstate(over="ignore", invalid="ignore"):
        found = distance(u, v)
        if not _far(found) and (root == 1 or found.all()):  # squares may have vanished
            return found
        ends = np.abs([u[:, 0], u[:, -1], np.broadcast_to(v[:, 0], u[:, 0].shape), v[:, -1]]).max(axis=0)
        power = np.frexp(np.where(np.isfinite(ends), ends, 1))[1] + 1
        power += power % root
        u, v = (np.ldexp(x.astype(np.float64, copy=False), -power[:, None]) for x in (u, v))
        return np.ldexp(distance(u, v), power // root)


def _paired(u, v, p):
    """The distance of order p of samples of one size."""
    if p == 1:
        return _kernel.gap_means(u, v)
    return _power_mean(np.abs(u.astype(np.float64) - v), 1 / u.shape[1], p)


def _transported(u, cu, v, cv, p):
    if p == 1:
        return _kernel.transport(u, cu, v, cv, False)
    return _power_mean(*_kernel.transport(u, cu, v, cv, True), p)


def _power_mean(gaps, shares, p):
    """(sum of shares * gaps^p)^(1/p) of each row, relative to the largest gap: no power overflows."""
    top = gaps.max(axis=-1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        scaled = np.where(top > 0, gaps / top, gaps)  # infinite gaps: NaN, mended below
        power = scaled * scaled if p == 2 else scaled**p
        mean = (power * shares).sum(axis=-1)
        roots = np.sqrt(mean) if p == 2 else mean ** (1 / p)
    return np.where(np.isposinf(top[:, 0]), np.inf, roots * top[:, 0])
