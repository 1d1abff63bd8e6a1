"""The scalers' passes over a matrix: against the reference, hard data, the same bits everywhere."""

import numpy as np
import pytest

from fastml._kernels import scaling
from fastml.preprocessing import Normalizer, StandardScaler, _passes
from fastml.reference import scaling as reference

from .common import DTYPES, THREADS, assert_same_on_fma_targets, with_threads
from .test_preprocessing import RTOL, SCALERS, matrix

# A lone element, tails of vectors and groups of rows, panels of columns, several chunks.
SHAPES = [(1, 1), (3, 2), (7, 3), (64, 5), (1000, 1), (999, 33), (4100, 20), (130, 513), (9001, 2)]


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_passes(shape, dtype, order):
    x = matrix(shape, dtype, order=order)
    mean, m2 = _passes.column_moments(x)
    want = reference.column_moments(x)
    scale = np.sqrt(m2 / len(x)) + np.abs(mean)
    np.testing.assert_array_less(np.abs(mean - want[0]), 1e-14 * scale + 1e-300)
    np.testing.assert_allclose(m2, want[1], rtol=1e-13, atol=1e-300)
    for got, wanted in zip(_passes.column_extremes(x), reference.column_extremes(x), strict=True):
        assert got.dtype == dtype
        np.testing.assert_array_equal(got, wanted)
    center, scale = mean, np.sqrt(m2 / len(x)) + 0.1
    y = np.empty_like(x)
    for undo in (False, True):
        assert scaling.rescale(y, x, center, scale, -0.5, 2.0, undo) is False
        np.testing.assert_allclose(
            y, reference.rescale(x, center, scale, -0.5, 2.0, undo), rtol=RTOL[dtype], atol=4 * RTOL[dtype]
        )
    x = np.ascontiguousarray(x)
    y = np.empty_like(x)
    for norm in (0, 1, 2):
        assert scaling.normalize(y, x, norm, 0) is False
        np.testing.assert_allclose(y, reference.normalize(x, norm), rtol=2 * RTOL[dtype])


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_weighted_pass(shape, dtype, order):
    x = matrix(shape, dtype, order=order)
    x[np.random.default_rng(1).random(shape) < 0.2] = np.nan
    for weight in (None, np.random.default_rng(2).integers(0, 4, shape[0]).astype(float)):
        for got, want in zip(_passes.weighted_moments(x, weight), reference.weighted_moments(x, weight), strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", DTYPES)
def test_moments_of_hard_data(dtype):
    n = 5000
    x = np.stack(
        [np.arange(n), 1e4 + np.random.default_rng(0).normal(size=n), np.full(n, 0.1), np.repeat([1e3, 0], n // 2)], 1
    ).astype(dtype)
    exact = x.astype(np.longdouble)
    m2 = np.square(exact - exact.mean(axis=0)).sum(axis=0)
    np.testing.assert_allclose(_passes.column_moments(x)[1], m2.astype(float), rtol=1e-12, atol=1e-25)
    np.testing.assert_allclose(_passes.weighted_moments(x, None)[2], m2.astype(float), rtol=1e-12, atol=1e-25)


@pytest.mark.parametrize("where", [0, 17, 99, 4100 * 20 - 1])
def test_what_is_not_finite_is_noticed(where):
    for value in (np.nan, np.inf, -np.inf):
        x = matrix((4100, 20), np.float32)
        x.flat[where] = value
        assert not np.isfinite(_passes.column_moments(x)[0]).all()
        assert scaling.normalize(None, x, 0, 0)
        assert scaling.rescale(np.empty_like(x), x, np.zeros(20), np.ones(20), -np.inf, np.inf, False)


def test_passes_refuse_what_they_cannot_take():
    x, v = matrix((5, 4)), np.ones(4)
    for wrong in (x[:, ::2], x.astype(np.float16), x[0]):
        with pytest.raises(ValueError, match="contiguous"):
            _passes.column_moments(wrong)
    with pytest.raises(ValueError, match="center"):
        scaling.rescale(np.empty_like(x), x, v[:3], v, 0, 1, False)
    with pytest.raises(ValueError, match="y must"):
        scaling.rescale(np.empty((4, 4)), x, v, v, 0, 1, False)
    with pytest.raises(ValueError, match="weight"):
        _passes.weighted_moments(x, v)
    with pytest.raises(ValueError, match="y must"):
        scaling.normalize(np.empty((4, 4)), x, 1, 0)


RESULTS = """
import numpy as np
from fastml import preprocessing as p
result = {}
for dtype in (np.float32, np.float64):
    for shape in ((64, 5), (4100, 20), (9001, 3), (130, 513)):
        x = np.random.default_rng(0).normal(3, 2, shape).astype(dtype)
        x[::7, 0] = np.nan
        for a in (x, np.asfortranarray(x)):
            for scaler in (p.StandardScaler(), p.MinMaxScaler(), p.MaxAbsScaler(clip=True), p.RobustScaler()):
                y = scaler.fit_transform(a)
                result[str(len(result))] = y
                result[str(len(result))] = scaler.inverse_transform(y)
        result[str(len(result))] = p.Normalizer().transform(x[:, 1:])
"""


def test_same_bits_for_every_number_of_threads():
    def run():
        found = []
        for dtype in DTYPES:
            x = matrix((20_000, 7), dtype)
            for scaler in SCALERS:
                fitted = scaler()
                y = fitted.fit_transform(x)
                found += [y.tobytes(), fitted.inverse_transform(y).tobytes()]
            found.append(StandardScaler().fit_transform(x, sample_weight=np.arange(20_000.0)).tobytes())
            found.append(Normalizer().transform(x).tobytes())
        return found

    want = with_threads(THREADS[0], run)
    assert all(with_threads(n, run) == want for n in THREADS[1:])


def test_same_bits_on_every_target():
    assert_same_on_fma_targets(RESULTS)
