"""Divergences and distances of numbers from the whole range of float64: nothing overflows or vanishes on the way."""

import math

import numpy as np
import pytest

from fastml import metrics

from .common import assert_same_bits

RNG = np.random.default_rng(5)
P, Q = RNG.random((4, 30)), RNG.random((4, 30))
POWERS = (-1070, -1022, -600, -1, 0, 300, 1000, 1023)
DIVERGENCES = (metrics.kl_divergence, metrics.js_divergence, metrics.total_variation)


def test_by_hand():
    log = math.log
    js = 0.5 * (0.5 * log(4 / 3) + 0.5 * log(4 / 5)) + 0.5 * (0.25 * log(2 / 3) + 0.75 * log(6 / 5))
    assert metrics.js_divergence([0.0, 1.0], [5e-324, 1.0]) == 0
    assert metrics.js_divergence([1e-309, 1e-309], [1.0, 3.0]) == pytest.approx(js, rel=1e-14)
    assert metrics.entropy([1e308, 1e308]) == math.log(2)
    assert metrics.entropy([5e-324, 5e-324], base=2) == 1
    kl = 0.5 * log(2) + 0.5 * log(2 / 3)
    assert metrics.kl_divergence([1e308, 1e308], [1e-309, 3e-309]) == pytest.approx(kl, rel=1e-14)
    assert metrics.total_variation([1e308, 1e308], [2**-1074, 3 * 2**-1074]) == 0.25
    assert metrics.js_divergence([1, 0], [0, 1], base=0.5) == -1
    assert metrics.js_divergence([1, 2], [1, 2], base=0.5) == 0


@pytest.mark.parametrize("function", DIVERGENCES, ids=lambda f: f.__name__)
def test_units_do_not_matter(function):
    """Powers of two show in the last digits at most; beside rows that are ordinary, too."""
    expected = function(P, Q)
    for i in POWERS:
        for j in (0, 1023 if i < 0 else -1000):
            p, q = P.copy(), Q.copy()
            p[1] = np.ldexp(np.round(P[1] * 8), i - 5)
            q[1] = np.ldexp(np.round(Q[1] * 8), j - 5)
            if i < -1022:
                p[1] = np.ldexp(np.round(P[1] * 8), i)
            whole = function(np.round(P[1] * 8), np.round(Q[1] * 8))
            got = function(p, q)
            assert_same_bits(got[[0, 2, 3]], expected[[0, 2, 3]])
            assert got[1] == pytest.approx(whole, rel=1e-12), (i, j)
    for i in POWERS:
        assert metrics.entropy(np.ldexp(np.round(P * 8), max(i - 8, -1074))) == pytest.approx(
            metrics.entropy(np.round(P * 8)), rel=1e-14
        )


@pytest.mark.parametrize("power", [-1074, -1040, -700, 0, 700, 1012])
@pytest.mark.parametrize("weights", [False, True])
def test_distances_are_in_the_unit_of_the_values(power, weights):
    u, v = RNG.integers(-900, 900, (3, 7)) * 1.0, RNG.integers(-900, 900, (3, 7)) * 1.0
    w = (RNG.integers(1, 9, 7) * 1.0, RNG.integers(1, 9, 7) * 1.0) if weights else ()
    far = [np.ldexp(x, 1020 if k else -1074) for k, x in enumerate(w)]
    for order in (1, 2, 3):
        near = metrics.wasserstein_distance(u, v, *w, p=order)
        got = metrics.wasserstein_distance(np.ldexp(u, power), np.ldexp(v, power), *far, p=order)
        np.testing.assert_allclose(np.ldexp(got, -power), near, rtol=1e-13, atol=0.5 if power < -1022 else 0)
    near = metrics.energy_distance(u, v, *w)
    got = metrics.energy_distance(np.ldexp(u, power), np.ldexp(v, power), *far)
    np.testing.assert_allclose(np.ldexp(got, -power // 2), near, rtol=1e-13)


def test_distances_by_hand():
    assert metrics.wasserstein_distance([1e308] * 3, [0, 0, 0]) == 1e308
    assert metrics.wasserstein_distance([1.5 * 2.0**1023, 0, 0, 0], [-1.5 * 2.0**1023, 0, 0, 0]) == 1.5 * 2.0**1022
    assert metrics.wasserstein_distance([1.7e308], [-1.7e308]) == np.inf
    assert metrics.wasserstein_distance([1, 2], [1, 3], [1e308] * 2, [1e-320] * 2) == 0.5
    assert metrics.wasserstein_distance_histogram([1e308, 1e308], [1, 0], [0, 2.0**1000]) == 2.0**999
    assert metrics.energy_distance([0], [2.0**1023]) == 2.0**512
    assert metrics.energy_distance([0, 0], [2.0**-1073, 0]) == 2.0**-537
    assert metrics.energy_distance([1e-320, 5], [1e-320, 5]) == 0
