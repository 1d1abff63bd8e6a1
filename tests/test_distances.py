"""Distances between distributions: SciPy's values, the reference's, digits, any axis, batches, threads, errors."""

import itertools

import numpy as np
import pytest

import fastml
from fastml import metrics, reference

from .common import (
    DTYPES,
    LAYOUTS,
    assert_same_bits,
    assert_same_for_any_threads,
    assert_same_on_fma_targets,
    relayout,
    ulp_error,
)

stats = pytest.importorskip("scipy.stats")
every_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=["float32", "float64"])
# Name, whether it takes q, options.
DIVERGENCES = [
    ("kl_divergence", True, {}),
    ("js_divergence", True, {}),
    ("js_divergence", True, {"base": 2}),
    ("total_variation", True, {}),
    ("entropy", False, {}),
    ("entropy", False, {"base": 10}),
]
every_divergence = pytest.mark.parametrize("name, two, options", DIVERGENCES, ids=str)
SHAPES = [(1,), (2,), (7,), (8,), (9,), (33,), (4096,), (4097,), (20_000,), (3, 5), (40, 17), (2, 3, 50), (5, 9001)]


def draw(shape, dtype=np.float64, seed=0, zeros=0.1):
    """Counts that are not normalised, some of them zero."""
    rng = np.random.default_rng(seed)
    return (rng.exponential(3, shape) * (rng.uniform(size=shape) >= zeros)).astype(dtype)


def scipys(name, p, q=None, axis=-1, base=None):
    from scipy.spatial.distance import jensenshannon

    if name == "kl_divergence":
        return stats.entropy(p, q, axis=axis)
    if name == "js_divergence":
        return jensenshannon(p, q, base, axis=axis) ** 2
    if name == "entropy":
        return stats.entropy(p, base=base, axis=axis)
    return np.abs(p / p.sum(axis, keepdims=True) - q / q.sum(axis, keepdims=True)).sum(axis) / 2


def pair(shape, dtype=np.float64, two=True, seed=0):
    """p, and q without zeros."""
    p = draw(shape, dtype, seed)
    p[..., 0] = 1
    return (p, draw(shape, dtype, seed + 1, 0) + dtype(0.01)) if two else (p,)


@every_divergence
@every_dtype
def test_values_are_scipys_and_the_references(dtype, name, two, options):
    for shape in SHAPES:
        args = pair(shape, dtype, two)
        for axis in range(-len(shape), len(shape)):
            moved = [np.ascontiguousarray(np.moveaxis(a, -1, axis)) for a in args]
            got = getattr(metrics, name)(*moved, axis=axis, **options)
            assert got.dtype == dtype and got.shape == shape[:-1]
            wide = [a.astype(np.float64) for a in moved]
            for want in (
                getattr(reference, name)(*wide, axis=axis, **options),
                scipys(name, *wide, axis=axis, **options),
            ):
                rtol = 1e-13 if dtype is np.float64 else 2 * np.finfo(np.float32).eps
                np.testing.assert_allclose(got, want, rtol=rtol, atol=1e-15 if dtype is np.float64 else 1e-7)


@every_divergence
def test_special_values(name, two, options):
    """Zeros, negative numbers, NaN, infinities, sums of zero: as SciPy's."""
    numbers = [0.0, 1.0, 3.0]
    for p in itertools.product(numbers, repeat=3):
        for q in itertools.product(numbers, repeat=3) if two else [None]:
            args = [np.array(a) for a in (p, q) if a is not None]
            with np.errstate(all="ignore"):
                want = scipys(name, *args, **options)
            got = getattr(metrics, name)(*args, **options)
            np.testing.assert_allclose(got, want, rtol=1e-14, atol=1e-16, err_msg=f"{p} {q}")
            assert not np.signbit(got) or np.isnan(got)
    for bad in (np.nan, np.inf):
        for at in range(2 if two else 1):
            args = [np.ones(20) for _ in range(2 if two else 1)]
            args[at][13] = bad
            assert np.isnan(getattr(metrics, name)(*args, **options))


def test_negative_numbers_are_no_probabilities():
    assert metrics.kl_divergence([-1.0, 3.0], [1.0, 1.0]) == stats.entropy([-1.0, 3.0], [1.0, 1.0]) == np.inf
    assert metrics.entropy([-1.0, 3.0]) == stats.entropy([-1.0, 3.0]) == -np.inf


@every_dtype
def test_equal_distributions_are_at_distance_zero(dtype):
    """Exactly; to rounding where their sums differ; and certainty has no entropy."""
    for n in (3, 1000, 10_000):
        p = draw((n,), dtype)
        for name in ("kl_divergence", "js_divergence", "total_variation"):
            assert getattr(metrics, name)(p, p) == 0
            assert getattr(metrics, name)(p, 4 * p) < 1e-15
    assert metrics.entropy(np.array([0, 1234.5, 0], dtype)) == 0


@pytest.mark.parametrize("distance", [1e-3, 1e-6, 1e-9])
def test_close_distributions_keep_their_digits(distance):
    """A divergence of the order of distance^2 out of terms of the order of distance, also of float32."""
    rng = np.random.default_rng(0)
    p = rng.uniform(0.5, 1.5, 20_000)
    p /= p.sum()
    q = p * (1 + distance * rng.standard_normal(p.size))
    for dtype in (np.float64, np.float32):
        wide = [a.astype(dtype).astype(np.longdouble) for a in (p, q)]
        exact_p, exact_q = (a / a.sum() for a in wide)
        want = (exact_p * np.log(exact_p / exact_q)).sum()
        got = metrics.kl_divergence(p.astype(dtype).astype(np.float64), q.astype(dtype).astype(np.float64))
        assert abs(got - want) <= 4e-16 + 1e-6 * want
        single = metrics.kl_divergence(p.astype(dtype), q.astype(dtype))
        assert abs(single - want) <= 4e-16 + 1e-6 * want


def test_every_term_is_accurate():
    """log(p / q) of any two numbers, denormals included."""
    rng = np.random.default_rng(1)
    p, q = np.exp2(rng.uniform(-1074, 1020, (2, 30_000)))
    q[:10_000] = p[:10_000] * (1 + rng.uniform(-1e-8, 1e-8, 10_000))
    q[10_000:20_000] = p[10_000:20_000] * rng.uniform(0.5, 2, 10_000)
    p[:3], q[:3] = (5e-324, 5e-324, 1.7e308), (5e-324, 1e308, 5e-324)
    from fastml._kernels import distances

    assert (distances.entropy_sums(p[:, None], p[:, None])[:, 2] == 0).all()
    got = distances.entropy_sums(p[:, None], q[:, None])[:, 2]
    exact = p.astype(np.longdouble) * np.log(p.astype(np.longdouble) / q)
    near = np.abs(q - p) < 1e-6 * p
    exact[near] = p[near] * np.log1p(((p - q).astype(np.longdouble) / q)[near])
    kept = (np.abs(exact) > 1e-300) & (np.abs(exact) < 1e308)
    assert ulp_error(got[kept], exact[kept].astype(np.float64)) <= 4
    rows = distances.entropy_sums(p[:9000].reshape(-1, 300), q[:9000].reshape(-1, 300))[
        :, 2
    ]  # odd numbers among others
    np.testing.assert_allclose(rows, got[:9000].reshape(-1, 300).sum(axis=1), rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [7, 8, 10, 300, 5000])
def test_odd_numbers_count_alone(n, dtype):
    """A zero, a denormal or a negative number in a row is a term of its own kind, wherever it stands."""
    rng = np.random.default_rng(n)
    p, q = rng.random((2, n)).astype(dtype) + dtype(0.1)
    for at in (0, n // 2, n - 1):
        for name in ("kl_divergence", "js_divergence", "total_variation"):
            for a, b in ((0, 0), (0, 0.3), (np.finfo(dtype).smallest_subnormal, 0.2), (0.2, 0), (0.4, 1e-40)):
                p[at], q[at] = a, b
                got, want = (getattr(home, name)(p, q) for home in (metrics, reference))
                np.testing.assert_allclose(got, want, rtol=1e-5 if dtype == np.float32 else 1e-9)
        p[at], q[at] = 0, -1e-3
        assert np.isinf(metrics.kl_divergence(p, q))
        p[at], q[at] = -1e-3, 0.1
        assert np.isinf(metrics.kl_divergence(p, q)) and np.isneginf(metrics.entropy(p))
        p[at], q[at] = 0.3, 0.4


@pytest.mark.parametrize("layout", LAYOUTS)
@every_divergence
def test_layouts_broadcasting_and_kinds(name, two, options, layout):
    args = pair((4, 6, 9), np.float32, two)
    function = getattr(metrics, name)
    want = function(*args, axis=1, **options)
    assert_same_bits(function(*[relayout(a, layout) for a in args], axis=1, **options), want)
    if two:
        p, q = args
        np.testing.assert_allclose(
            function(p, q[0, 0], **options), function(p, np.broadcast_to(q[0, 0], p.shape), **options)
        )
    counts = [np.ceil(a).astype(np.int64) for a in args]
    got = function(*counts, **options)
    assert got.dtype == np.float64
    assert_same_bits(got, function(*[c.astype(np.float64) for c in counts], **options))
    assert_same_bits(function(*[c[0, 0].tolist() for c in counts], **options), got[0, 0])


# ---- samples


def samples(n, m, dtype=np.float64, seed=0, ties=False):
    rng = np.random.default_rng(seed)
    u, v = rng.standard_normal(n) * 3, rng.standard_normal(m) + 1
    if ties:
        u, v = np.round(u), np.round(v)
    return u.astype(dtype), v.astype(dtype), rng.uniform(0, 2, n), rng.integers(0, 3, m) + (np.arange(m) == 0)


SIZES = [(1, 1), (1, 5), (7, 7), (9, 40), (1000, 1000), (1001, 777), (5000, 5000)]


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("n, m", SIZES)
@every_dtype
def test_samples_as_scipy(dtype, n, m, ties):
    u, v, wu, wv = samples(n, m, dtype, ties=ties)
    for name in ("wasserstein_distance", "energy_distance"):
        for weights in ((), (wu,), (None, wv), (wu, wv), (wu.tolist(), wv.astype(np.int8))):
            got = getattr(metrics, name)(u, v, *weights)
            want = getattr(stats, name)(u, v, *weights)
            assert type(got) is np.float64
            np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-12)
            np.testing.assert_allclose(getattr(reference, name)(u, v, *weights), want, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("p", [1, 1.5, 2, 3, 50])
@pytest.mark.parametrize("n, m", SIZES[:-1])
def test_any_order(n, m, p):
    u, v, wu, wv = samples(n, m)
    for weights in ((), (wu, wv), (None, wv)):
        want = reference.wasserstein_distance(u, v, *weights, p=p)
        np.testing.assert_allclose(metrics.wasserstein_distance(u, v, *weights, p=p), want, rtol=1e-9)
        np.testing.assert_allclose(metrics.wasserstein_distance(v, u, *weights[::-1], p=p), want, rtol=1e-9)
    assert metrics.wasserstein_distance(u * 1e200, u * 1e200, p=p) == 0
    big = metrics.wasserstein_distance(u * 1e200, v * 1e200, p=p)
    np.testing.assert_allclose(big, 1e200 * metrics.wasserstein_distance(u, v, p=p))


def test_by_hand():
    assert metrics.wasserstein_distance([0, 4], [1, 1]) == 2
    np.testing.assert_allclose(metrics.wasserstein_distance([0, 4], [1, 1], p=2), np.sqrt(5))
    assert metrics.wasserstein_distance([0, 1, 7], [7, 0, 1], [1, 1, 0], [0, 2, 2]) == 0
    assert metrics.wasserstein_distance([0, np.inf], [0, 5], [1, 0]) == 2.5
    assert metrics.wasserstein_distance([np.inf], [5.0]) == np.inf
    assert metrics.wasserstein_distance([np.inf], [5.0], p=3) == np.inf
    for p in (1, 2, 2.5):
        assert np.isnan(metrics.wasserstein_distance([np.nan, 1], [1, 2], p=p))
        assert np.isnan(metrics.wasserstein_distance([np.nan, 1], [1, 2, 3], p=p))
    assert np.isnan(metrics.energy_distance([np.nan, 1], [1, 2]))
    assert metrics.energy_distance([1, 2], [2, 1]) == 0
    large = np.array([2**53 - 1, 2**53])
    assert metrics.wasserstein_distance(large, large - 1) == 1  # integers are not rounded to float32


@pytest.mark.parametrize("name", ["wasserstein_distance", "energy_distance"])
def test_batches(name):
    """(B, n) and (B, m): each row as if it were alone."""
    rng = np.random.default_rng(0)
    for n, m in ((30, 30), (30, 17)):
        u, v = rng.standard_normal((5, n)), rng.standard_normal((5, m))
        wu, wv = rng.uniform(size=(5, n)), rng.uniform(size=m)
        function = getattr(metrics, name)
        for weights in ((), (wu, wv), (None, wv)):
            got = function(u, v, *weights)
            rows = [[None if w is None else np.broadcast_to(w, (5, w.shape[-1]))[i] for w in weights] for i in range(5)]
            want = [function(u[i], v[i], *row) for i, row in enumerate(rows)]
            np.testing.assert_allclose(got, want, rtol=1e-15)
            np.testing.assert_allclose(got, getattr(reference, name)(u, v, *weights), rtol=1e-9)
            np.testing.assert_array_equal(function(np.asfortranarray(u), v[:, ::1], *weights), got)
    assert metrics.wasserstein_distance(np.zeros((0, 3)), np.zeros((0, 4))).shape == (0,)


@pytest.mark.parametrize("p", [1, 2, 3])
@every_dtype
def test_histograms(dtype, p):
    rng = np.random.default_rng(0)
    u, v = draw((4, 3, 12), dtype), draw((4, 3, 12), dtype, 1)
    for support in (None, np.sort(rng.standard_normal(12)), rng.permutation(12)):
        want = reference.wasserstein_distance_histogram(u, v, support, p=p)
        got = metrics.wasserstein_distance_histogram(u, v, support, p=p)
        np.testing.assert_allclose(got, want, rtol=1e-6 if dtype is np.float32 else 1e-9)
        moved = [np.moveaxis(a, -1, 0) for a in (u, v)]
        assert_same_bits(metrics.wasserstein_distance_histogram(*moved, support, axis=0, p=p), got)
        places = np.arange(12) if support is None else support
        one = metrics.wasserstein_distance(places, places, u[1, 2], v[1, 2], p=p)
        np.testing.assert_allclose(got[1, 2], one, rtol=1e-12)


def test_same_bits_for_any_number_of_threads():
    p, q = pair((3, 30_001), np.float32)
    u, v, wu, wv = samples(100_001, 100_001)
    few = v[:70_001]
    calls = [(getattr(metrics, name), *((p, q) if two else (p,))) for name, two, _ in DIVERGENCES]
    calls += [
        (metrics.wasserstein_distance, u, v), (metrics.wasserstein_distance, u, v, wu, wv),
        (metrics.wasserstein_distance, u, few), (metrics.energy_distance, u, few),
        (metrics.energy_distance, u.reshape(11, -1), v.reshape(11, -1)),
    ]  # fmt: skip
    for call in calls:
        assert_same_for_any_threads(*call)


CODE = """
import numpy
from fastml import metrics
rng = numpy.random.default_rng(0)
result = {}
for dtype in (numpy.float32, numpy.float64):
    for n in (3, 8, 100, 9001):
        p, q = rng.exponential(3, (2, 4, n)).astype(dtype)
        p[0, 0] = 0
        name = f"{dtype.__name__} {n}"
        result[f"kl {name}"], result[f"js {name}"] = metrics.kl_divergence(p, q), metrics.js_divergence(p, q)
        result[f"tv {name}"], result[f"entropy {name}"] = metrics.total_variation(p, q), metrics.entropy(p)
        result[f"w {name}"] = metrics.wasserstein_distance(p, q)
"""


def test_same_bits_on_every_target_with_fma():
    assert_same_on_fma_targets(CODE)


ONES = np.ones(3)
WRONG = [
    (
        "kl_divergence",
        ValueError,
        r"p and q must have shapes that broadcast, not \(3,\) and \(2,\)",
        (ONES, ONES[:2]),
        {},
    ),
    ("kl_divergence", ValueError, "axis 1", (ONES, ONES), {"axis": 1}),
    ("kl_divergence", TypeError, "axis", (ONES, ONES), {"axis": 0.5}),
    ("kl_divergence", ValueError, "at least one dimension", (1.0, 1.0), {}),
    ("kl_divergence", TypeError, "q must be", (ONES, ONES + 0j), {}),
    ("kl_divergence", TypeError, "p must be", (["a"], ONES), {}),
    ("js_divergence", ValueError, "base must be positive and not 1, not 1", (ONES, ONES), {"base": 1}),
    ("js_divergence", ValueError, "base", (ONES, ONES), {"base": -2}),
    ("entropy", ValueError, "base", (ONES,), {"base": 0}),
    ("entropy", TypeError, "base", (ONES,), {"base": "e"}),
    ("wasserstein_distance", ValueError, r"u_values must have shape \(n,\) or \(B, n\)", ([], ONES), {}),
    ("wasserstein_distance", ValueError, "v_values must have shape", (ONES, np.zeros((2, 0))), {}),
    ("wasserstein_distance", ValueError, "u_values must have shape", (1.0, ONES), {}),
    ("wasserstein_distance", ValueError, "as many rows", (np.ones((2, 3)), ONES), {}),
    ("wasserstein_distance", ValueError, "u_weights must have the shape", (ONES, ONES, ONES[:2]), {}),
    ("wasserstein_distance", ValueError, "v_weights must be at least 0, not -1", (ONES, ONES, None, [1, 2, -1]), {}),
    (
        "wasserstein_distance",
        ValueError,
        "u_weights must have a positive, finite sum, not 0",
        (ONES, ONES, 0 * ONES),
        {},
    ),
    (
        "wasserstein_distance",
        ValueError,
        "u_weights must have a positive, finite sum",
        (ONES, ONES, [1, np.inf, 1]),
        {},
    ),
    (
        "wasserstein_distance",
        ValueError,
        "u_weights must have a positive, finite sum",
        (ONES, ONES, [1, np.nan, 1]),
        {},
    ),
    ("wasserstein_distance", ValueError, "p must be at least 1, not 0.5", (ONES, ONES), {"p": 0.5}),
    ("wasserstein_distance", ValueError, "p must be finite, not inf", (ONES, ONES), {"p": np.inf}),
    ("wasserstein_distance", TypeError, "p must be", (ONES, ONES), {"p": "1"}),
    ("energy_distance", ValueError, "v_values", (ONES, []), {}),
    ("energy_distance", TypeError, "u_values", (ONES + 0j, ONES), {}),
    ("wasserstein_distance_histogram", ValueError, "support must have shape", (ONES, ONES, ONES[:2]), {}),
    ("wasserstein_distance_histogram", ValueError, "u_counts must be at least 0", (-ONES, ONES), {}),
    ("wasserstein_distance_histogram", ValueError, "v_counts must have a positive, finite sum", (ONES, 0 * ONES), {}),
    ("wasserstein_distance_histogram", ValueError, "at least one bin", ([], []), {}),
]


@pytest.mark.parametrize("name, error, match, args, options", WRONG)
def test_errors(name, error, match, args, options):
    with pytest.raises(error, match=match):
        getattr(metrics, name)(*args, **options)


def test_inputs_are_left_alone():
    u, v, wu, wv = samples(50, 50)
    before = [a.copy() for a in (u, v, wu, wv)]
    with fastml.num_threads(2):
        metrics.wasserstein_distance(u, v, wu, wv)
        metrics.wasserstein_distance(u, v)
        metrics.energy_distance(u, v)
        metrics.kl_divergence(np.abs(u), np.abs(v))
    for a, b in zip((u, v, wu, wv), before, strict=True):
        np.testing.assert_array_equal(a, b)
