"""Reductions in extended precision (64 bits), added pairwise: what reductions.py calls exact."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

PIECE = 1 << 20
EXTENDED = np.longdouble


def wide(x: np.ndarray) -> np.ndarray:
    return x.astype(EXTENDED)


def total(term: Callable[..., np.ndarray], *arrays: np.ndarray) -> Any:
    """The exact sum of term(*arrays), element by element, over the first axis."""
    pieces: Iterator[int] = iter(range(0, len(arrays[0]), PIECE))
    return sum((term(*(wide(a[i : i + PIECE]) for a in arrays)).sum(axis=0) for i in pieces), EXTENDED(0))


def mean(term: Callable[..., np.ndarray], *arrays: np.ndarray) -> Any:
    return total(term, *arrays) / len(arrays[0])


def variance(x: np.ndarray) -> Any:
    center = mean(lambda v: v, x)
    return mean(lambda v: (v - center) ** 2, x)


def log_sum_exp(x: np.ndarray) -> Any:
    top = x.max()
    count = np.count_nonzero(x == top)
    rest = total(lambda v: np.where(v == top, 0, np.exp(v - top)), x)
    return EXTENDED(top) + np.log(EXTENDED(count)) + np.log1p(rest / count)


def cross_entropy(x: np.ndarray, label: np.ndarray) -> Any:
    def term(x: np.ndarray, label: np.ndarray) -> np.ndarray:
        top = x.max(axis=1)
        own = np.take_along_axis(x, label.astype(np.int64)[:, None], 1)[:, 0]
        return top - own + np.log(np.exp(x - top[:, None]).sum(axis=1))

    return mean(term, x, label)


def relative_entropy(p: np.ndarray, q: np.ndarray) -> Any:
    a, b = total(lambda v: v, p), total(lambda v: v, q)
    return total(lambda u, v: u / a * np.log((u / a) / (v / b)), p, q)


def jensen_shannon(p: np.ndarray, q: np.ndarray) -> Any:
    a, b = total(lambda v: v, p), total(lambda v: v, q)

    def term(u: np.ndarray, v: np.ndarray) -> np.ndarray:
        u, v = u / a, v / b
        m = (u + v) / 2
        return (u * np.log(u / m) + v * np.log(v / m)) / 2

    return total(term, p, q)


def shannon(p: np.ndarray, _: np.ndarray) -> Any:
    a = total(lambda v: v, p)
    return -total(lambda v: v / a * np.log(v / a), p)


def total_variation(p: np.ndarray, q: np.ndarray) -> Any:
    a, b = total(lambda v: v, p), total(lambda v: v, q)
    return total(lambda u, v: np.abs(u / a - v / b), p, q) / 2


def wasserstein(u: np.ndarray, v: np.ndarray) -> Any:
    return mean(lambda u, v: np.abs(u - v), np.sort(u), np.sort(v))


def quantile(x: np.ndarray, quarter: int) -> Any:
    at, rest = divmod((len(x) - 1) * quarter, 4)
    low, high = np.partition(x, (at, min(at + 1, len(x) - 1)))[[at, min(at + 1, len(x) - 1)]].astype(EXTENDED)
    return low + (high - low) * rest / 4


def energy(u: np.ndarray, v: np.ndarray) -> Any:
    points = np.sort(np.concatenate([u, v]))
    f, g = (wide(np.searchsorted(np.sort(x), points[:-1], side="right")) / len(x) for x in (u, v))
    return np.sqrt(2 * ((f - g) ** 2 * np.diff(wide(points))).sum())
