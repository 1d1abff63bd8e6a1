"""Scalers of columns whose numbers are near the ends of their type's range."""

import math
from fractions import Fraction

import numpy as np
import pytest

from fastml import preprocessing

SCALERS = [
    preprocessing.MinMaxScaler(),
    preprocessing.MinMaxScaler((-1, 1), clip=True),
    preprocessing.MaxAbsScaler(),
    preprocessing.RobustScaler(),
    preprocessing.StandardScaler(),
]
SIZES = {np.float32: (2e38, 3.4e38, 1e-30, 2.0**-100), np.float64: (1e308, 1.7e308, 1e160, 2.0**-400)}


def _column(dtype, size):
    return (np.array([-1, -0.5, 0.125, 0.25, 0.5, 1]) * size).astype(dtype)


def test_by_hand():
    x = np.array([[-2e38], [0], [2e38]], np.float32)
    for copy in (True, False):
        scaler = preprocessing.MinMaxScaler(copy=copy).fit(x)
        z = scaler.transform(x.copy())
        assert z.tolist() == [[0], [0.5], [1]] and z.dtype == np.float32
        assert scaler.inverse_transform(z).tolist() == x.tolist()
    assert scaler.scale_ == np.float32(2.5e-39) and scaler.min_ == 0.5
    low = preprocessing.MinMaxScaler().fit([[0.0], [2.0]]).min_
    assert low == 0 and not np.signbit(low)


@pytest.mark.parametrize("scaler", SCALERS, ids=repr)
@pytest.mark.parametrize("dtype", SIZES, ids=lambda d: d.__name__)
def test_units_do_not_matter(scaler, dtype):
    """Beside an ordinary column, in either order of memory, in place and not, there and back."""
    plain = _column(dtype, 1)
    for size in SIZES[dtype]:
        threshold = type(scaler) is not preprocessing.StandardScaler and size < 1e-14
        if threshold:  # what lies within 10 eps is a constant, as in scikit-learn
            continue
        x = np.stack([_column(dtype, size), plain, plain * 3], axis=1)
        for given in (x, np.asfortranarray(x)):
            z = scaler.fit_transform(given.copy(order="K"))
            np.testing.assert_allclose(
                z[:, 0], z[:, 1], rtol=8 * np.finfo(dtype).eps, atol=4e-7 if dtype is np.float32 else 1e-15
            )
            back = scaler.inverse_transform(z)
            np.testing.assert_allclose(back / size, x / size, rtol=8 * np.finfo(dtype).eps, atol=np.finfo(dtype).eps)


def test_a_range_that_no_number_holds_is_refused():
    with pytest.raises(ValueError, match="feature_range must be of finite width"):
        preprocessing.MinMaxScaler((-1e308, 1e308)).fit([[1.0], [2.0]])


def test_infinity_is_still_seen_beside_large_numbers():
    x = np.array([[-2e38, 1], [2e38, 2]], np.float32)
    scaler = preprocessing.MinMaxScaler(clip=True).fit(x)
    x[0, 1] = np.inf
    with pytest.raises(ValueError, match="infinity"):
        scaler.transform(x)


def _exact(values):
    """Mean and standard deviation of float64 numbers."""
    values = [Fraction(v) for v in values]
    mean = sum(values) / len(values)
    var = sum((v - mean) ** 2 for v in values) / len(values)
    shift = 120 + var.denominator.bit_length()  # bits of the root
    return mean, Fraction(math.isqrt(int(var * 4**shift)), 2**shift)


GRIDS = [
    (n, mean, spread) for n in (2, 7, 50, 200, 1000) for mean in (0, 1, 1e3, 1.7e9, -3e12) for spread in (1, 1e-3, 2e-6)
]


@pytest.mark.parametrize("weighted", [False, True])
def test_a_small_spread_about_a_large_mean(weighted):
    """scale_ and mean_ of grids within a few ulp of the exact ones of the same numbers (0.1.0: up to 0.3 %)."""
    for n, mean, spread in GRIDS:
        x = (mean + np.arange(float(n)) * spread)[:, None]
        scaler = preprocessing.StandardScaler().fit(
            np.repeat(x, 3, axis=1), sample_weight=np.ones(n) if weighted else None
        )
        center, std = _exact(x[:, 0].tolist())
        if std == 0 or float(std) ** 2 <= n * 2.0**-52 * float(std) ** 2 + (n * float(center) * 2.0**-52) ** 2:
            assert (scaler.scale_ == 1).all()  # constant within rounding, as scikit-learn has it
            continue
        assert np.abs([float((Fraction(v) - std) / std) for v in scaler.scale_.tolist()]).max() < 1e-15, (
            n,
            mean,
            spread,
        )
        assert (
            np.abs([float(Fraction(v) - center) for v in scaler.mean_.tolist()]).max()
            <= np.spacing(abs(float(center)) + 1e-300) * 1.01 + float(std) * 1e-15
        )


@pytest.mark.parametrize(("norm", "want"), [("l2", [0.6, 0, -0.8]), ("l1", [3 / 7, 0, -4 / 7]), ("max", [0.75, 0, -1])])
def test_normalizer(norm, want):
    for size in (1.0, 1e154, 4e307):
        z = preprocessing.Normalizer(norm).transform(np.array([[3.0, 0, -4], [1, 1, 1]]) * [[size], [1]])
        np.testing.assert_allclose(z[0], want, rtol=4e-16)
    with pytest.raises(ValueError, match="infinity"):
        preprocessing.Normalizer(norm).transform([[1e308, np.inf]])
