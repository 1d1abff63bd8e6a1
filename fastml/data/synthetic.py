"""Point sets in the plane with classes that a straight line does not tell apart, drawn from a seed.

Moons, circles and blobs are scikit-learn's (its names of arguments, its shapes); spirals, xor and gaussians are
TensorFlow Playground's (https://github.com/tensorflow/playground, dataset.ts). All return ``(X, y)``: X (n, 2)
float32, y (n,) int64, in an order that is shuffled by the seed. The draws are NumPy's default_rng in float64,
rounded once.
"""

import sys

import numpy as np

from .._check import as_array, as_real, each, number, size
from .._environment import in_full_mode
from ._seeds import seed_of

FINITE = -sys.float_info.max, sys.float_info.max
MOST_NOISE = 1e30  # the points are float32 numbers


@in_full_mode
def make_spirals(n, noise=0.1, seed=0, *, classes=2):
    r"""Spirals around one centre, an arm for each class: ``(X, y)``.

    .. math:: X_i = \big(r \sin\varphi,\; r \cos\varphi\big) + u_i, \qquad
        r = 5 t, \quad \varphi = 3.5 \pi t + 2 \pi y_i / \mathrm{classes}, \quad 0 \le t < 1

    Each arm has n / classes points at even steps of t (the first n mod classes arms one more), so radii up to 5 and
    one and three quarter turns; u is uniform in ± noise, in the unit of X. ``seed=None`` takes one from the operating
    system.

    Raises ValueError for n or classes under 1 and a noise outside 0 … 1e30, TypeError for the kind of an argument.

    Source: TensorFlow Playground, classifySpiralData (its noise of 0 … 50 is 0 … 0.5 here).

    >>> X, y = make_spirals(200)
    >>> X.shape, X.dtype.name, np.bincount(y).tolist()
    ((200, 2), 'float32', [100, 100])
    """
    n, noise, rng = _options(n, noise, seed)
    classes = size(classes, "classes")
    y, within, sizes = _labels(n, classes)
    t = within / sizes[y]
    angle = 3.5 * np.pi * t + 2 * np.pi * y / classes
    X = 5 * t[:, None] * np.stack([np.sin(angle), np.cos(angle)], axis=1)
    return _shuffled(X + rng.uniform(-noise, noise, X.shape), y, rng)


@in_full_mode
def make_moons(n, noise=0.1, seed=0):
    r"""Two half circles that reach into each other: ``(X, y)``.

    .. math:: y = 0: (\cos\varphi, \sin\varphi), \qquad y = 1: (1 - \cos\varphi, \tfrac12 - \sin\varphi),
        \qquad 0 \le \varphi \le \pi

    n // 2 points of class 0 and the rest of class 1, at even steps; noise is the standard deviation of the normal
    numbers added to them, None for none (scikit-learn's default). ``seed=None`` takes one from the operating system.

    Raises ValueError for n under 1 and a noise outside 0 … 1e30, TypeError for the kind of an argument.

    Source: sklearn.datasets.make_moons.

    >>> X, y = make_moons(5, noise=None)
    >>> sorted([round(float(v), 1) for v in row] for row in X[y == 1])
    [[0.0, 0.5], [1.0, -0.5], [2.0, 0.5]]
    """
    n, noise, rng = _options(n, noise, seed)
    y = np.repeat([0, 1], [n // 2, n - n // 2])
    angle = np.concatenate([np.linspace(0, np.pi, n // 2), np.linspace(0, np.pi, n - n // 2)])
    X = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    X[y == 1] = [1, 0.5] - X[y == 1]
    return _shuffled(X + noise * rng.standard_normal(X.shape), y, rng)


@in_full_mode
def make_circles(n, noise=0.05, seed=0, *, factor=0.8):
    r"""A circle of radius 1 and one of radius ``factor`` within: ``(X, y)``.

    .. math:: X = r \, (\cos\varphi, \sin\varphi), \qquad
              r = 1 \text{ where } y = 0, \; \mathrm{factor} \text{ where } y = 1

    n // 2 points of class 0 and the rest of class 1, at even steps; noise is the standard deviation of the normal
    numbers added to them, None for none (scikit-learn's default). ``seed=None`` takes one from the operating system.

    Raises ValueError for n under 1, a noise outside 0 … 1e30 and a factor outside 0 … 1 (1 itself too), TypeError for
    the kind of an argument.

    Source: sklearn.datasets.make_circles.

    >>> X, y = make_circles(400, noise=None, factor=0.5)
    >>> np.unique(np.linalg.norm(X, axis=1).round(3)).tolist()
    [0.5, 1.0]
    """
    n, noise, rng = _options(n, noise, seed)
    factor = number(factor, "factor", 0, 1, "[)")
    y, within, sizes = _labels(n, 2, last_first=True)
    angle = 2 * np.pi * within / sizes[y]
    X = np.where(y == 0, 1, factor)[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return _shuffled(X + noise * rng.standard_normal(X.shape), y, rng)


@in_full_mode
def make_blobs(n, centers=3, cluster_std=1.0, seed=0, *, center_box=(-10.0, 10.0)):
    r"""Clouds of normal numbers, one for each class: ``(X, y)``.

    .. math:: X_i = c_{y_i} + \sigma_{y_i} z_i, \qquad z_i \sim \mathcal N(0, I)

    ``centers`` is a number of clouds, whose centres are drawn uniformly from ``center_box`` in both coordinates, or an
    array of centres, (classes, features): X then has as many features. ``cluster_std`` is one standard deviation, or
    one for each cloud. Each class has n / classes points, the first n mod classes one more. ``seed=None`` takes one
    from the operating system.

    Raises ValueError for n or centers under 1, a negative cluster_std, one that is not one per cloud, and a box that
    is empty, TypeError for the kind of an argument.

    Source: sklearn.datasets.make_blobs.

    >>> X, y = make_blobs(6, centers=[[0, 0], [100, 100]], seed=1)
    >>> np.array_equal(y, X[:, 0] > 50)
    True
    """
    n, _, rng = _options(n, 0, seed)
    if not isinstance(centers, (list, tuple)) and as_array(centers, "centers").ndim == 0:
        box = each(center_box, "center_box")
        if len(box) != 2:
            raise ValueError(f"center_box must be (low, high), not {len(box)} values")
        low, high = (number(bound, "center_box", *FINITE) for bound in box)
        if low > high:
            raise ValueError(f"center_box must not be empty, not {center_box}")
        centers = rng.uniform(low, high, (size(centers, "centers", " or an array"), 2))
    centers = as_real(centers, "centers", np.float64)
    if centers.ndim != 2 or len(centers) == 0 or not np.isfinite(centers).all():
        raise ValueError(f"centers must be finite, one row for each cloud, not of shape {centers.shape}")
    std = as_real(cluster_std, "cluster_std", np.float64)
    if std.shape not in ((), (len(centers),)) or not (np.isfinite(std) & (std >= 0)).all():
        raise ValueError(
            f"cluster_std must be a number >= 0, or one for each of the {len(centers)} clouds, not {cluster_std}"
        )
    y, _, _ = _labels(n, len(centers))
    z = rng.standard_normal((n, centers.shape[1]))
    return _shuffled(centers[y] + np.broadcast_to(std, len(centers))[y, None] * z, y, rng)


@in_full_mode
def make_xor(n, noise=0.1, seed=0):
    r"""Four quadrants, class 1 where one coordinate alone is positive: ``(X, y)``.

    .. math:: y = [\, (X_1 + u_1)(X_2 + u_2) < 0 \,]

    The coordinates are uniform in ± 5, then moved 0.3 away from the axes; u is uniform in ± 5 · noise and decides on
    the class alone, so near the axes some points have the other one. ``seed=None`` takes one from the operating
    system.

    Raises ValueError for n under 1 and a noise outside 0 … 1e30, TypeError for the kind of an argument.

    Source: TensorFlow Playground, classifyXORData.

    >>> X, y = make_xor(100, noise=0)
    >>> np.array_equal(y, X[:, 0] * X[:, 1] < 0), round(float(np.abs(X).min()), 1) >= 0.3
    (True, True)
    """
    n, noise, rng = _options(n, noise, seed)
    X = rng.uniform(-5, 5, (n, 2))
    X += np.where(X > 0, 0.3, -0.3)
    moved = X + 5 * noise * rng.uniform(-1, 1, (n, 2))
    return X.astype(np.float32), (moved[:, 0] * moved[:, 1] < 0).astype(np.int64)


@in_full_mode
def make_gaussians(n, noise=0.1, seed=0):
    r"""Two clouds of normal numbers, around (2, 2) and (−2, −2): ``(X, y)``.

    .. math:: X_i \sim \mathcal N\big(\pm(2, 2),\; (0.5 + 7 \, \mathrm{noise}) I\big)

    Class 0 is around (2, 2), with n − n // 2 points. noise sets the variance, from 0.5 to 4 at a noise of 0.5.
    ``seed=None`` takes one from the operating system.

    Raises ValueError for n under 1 and a noise outside 0 … 1e30, TypeError for the kind of an argument.

    Source: TensorFlow Playground, classifyTwoGaussData.

    >>> X, y = make_gaussians(1000, noise=0)
    >>> X[y == 0].mean(axis=0).round().tolist(), X[y == 1].mean(axis=0).round().tolist()
    ([2.0, 2.0], [-2.0, -2.0])
    """
    n, noise, rng = _options(n, noise, seed)
    y, _, _ = _labels(n, 2)
    X = np.where(y == 0, 2, -2)[:, None] + np.sqrt(0.5 + 7 * noise) * rng.standard_normal((n, 2))
    return _shuffled(X, y, rng)


def _options(n, noise, seed):
    """n and noise (0 for None), checked, and the generator."""
    n = size(n, "n")
    noise = 0.0 if noise is None else number(noise, "noise", 0, MOST_NOISE)
    return n, noise, np.random.default_rng(seed_of(seed))


def _labels(n, classes, last_first=False):
    """Labels of n points in even shares, each point's number within its class, and the classes' sizes.

    What is left over goes to the first classes, one each, or (last_first) to the last ones.
    """
    sizes = np.full(classes, n // classes)
    sizes[:: -1 if last_first else 1][: n % classes] += 1
    y = np.repeat(np.arange(classes), sizes)
    return y, np.arange(n) - (np.cumsum(sizes) - sizes)[y], sizes


def _shuffled(X, y, rng):
    order = rng.permutation(len(y))
    return X[order].astype(np.float32), y[order].astype(np.int64)
