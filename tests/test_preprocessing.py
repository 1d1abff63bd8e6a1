"""The scalers: results by hand, batches, merges, NaN, memory, errors."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastml import preprocessing
from fastml.preprocessing import MaxAbsScaler, MinMaxScaler, Normalizer, RobustScaler, StandardScaler

from .common import DTYPES, run_python

SCALERS = [StandardScaler, MinMaxScaler, MaxAbsScaler, RobustScaler]
MERGEABLE = SCALERS[:3]
RTOL = {np.float32: 3e-7, np.float64: 1e-14}


def matrix(shape, dtype=np.float64, seed=0, order="C"):
    rng = np.random.default_rng(seed)
    x = rng.normal(rng.normal(0, 10, shape[1]), rng.uniform(0.1, 5, shape[1]), shape)
    return np.asarray(x, dtype=dtype, order=order)


def attributes(scaler):
    return {
        k: v for k, v in vars(scaler).items() if k.endswith("_") and k not in ("n_features_in_", "feature_names_in_")
    }


def assert_alike(a, b, rtol, atol=0.0):
    """Two scalers have the same attributes."""
    a, b = attributes(a), attributes(b)
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_allclose(a[name], b[name], rtol=rtol, atol=atol, err_msg=name)


# The scalers


def test_standard_scaler_by_hand():
    scaler = StandardScaler().fit([[0, 0], [0, 0], [1, 1], [1, 1]])
    assert scaler.mean_.tolist() == scaler.scale_.tolist() == [0.5, 0.5]
    assert scaler.var_.tolist() == [0.25, 0.25] and scaler.n_samples_seen_ == 4
    assert scaler.transform([[2, 2]]).tolist() == [[3, 3]]
    assert scaler.inverse_transform([[3, 3]]).tolist() == [[2, 2]]
    assert StandardScaler(with_mean=False).fit_transform([[0.0], [2.0]]).tolist() == [[0], [2]]
    assert StandardScaler(with_std=False).fit_transform([[0.0], [4.0]]).tolist() == [[-2], [2]]
    none = StandardScaler(with_mean=False, with_std=False).fit([[1.0], [2.0]])
    assert none.mean_ is None and none.var_ is None and none.transform([[5.0]]).tolist() == [[5]]


def test_constant_columns_stay():
    for value in (0.0, 0.1, 1e10, 1e-12):
        x = np.full((1000, 3), value)
        for scaler in (StandardScaler(), RobustScaler()):
            assert np.abs(scaler.fit_transform(x)).max() <= 1e-15 * value and (scaler.scale_ == 1).all()
    assert not MinMaxScaler().fit_transform(np.full((5, 2), 7.0)).any()
    assert not MaxAbsScaler().fit_transform(np.zeros((5, 2))).any()
    tiny = np.array([[0.0], [1e-8]])  # not constant, small as it is
    np.testing.assert_allclose(StandardScaler().fit_transform(tiny), [[-1], [1]])


@pytest.mark.parametrize("dtype", DTYPES)
def test_ends_are_exact(dtype):
    x = matrix((3000, 20), dtype)
    y = MinMaxScaler().fit_transform(x)
    assert (y.min(axis=0) == 0).all() and (y.max(axis=0) == 1).all()
    y = MaxAbsScaler().fit_transform(x)
    assert (np.abs(y).max(axis=0) == 1).all()
    wide = MinMaxScaler((-2.0, 3.0), clip=True).fit(x)
    far = np.concatenate([x.min(axis=0, keepdims=True) - 5, x.max(axis=0, keepdims=True) + 5])
    assert wide.transform(far).tolist() == [[-2] * 20, [3] * 20]
    assert MaxAbsScaler(clip=True).fit(x).transform(100 * far).min() == -1


def test_float32_far_from_zero_is_exact_to_its_own_rounding():
    x = (1e4 + np.random.default_rng(0).normal(size=(10_000, 3))).astype(np.float32)
    exact = x.astype(np.float64)
    want = (exact - exact.mean(axis=0)) / exact.std(axis=0)
    np.testing.assert_allclose(StandardScaler().fit_transform(x), want, rtol=1e-6, atol=1e-7)
    want = (exact - exact.min(axis=0)) / np.ptp(exact, axis=0)
    np.testing.assert_allclose(MinMaxScaler().fit_transform(x), want, rtol=1e-6, atol=1e-7)


def test_robust_scaler_by_hand():
    x = np.array([[1.0, -2.0, 2.0], [-2.0, 1.0, 3.0], [4.0, 1.0, -2.0]])
    y = RobustScaler().fit_transform(x)
    np.testing.assert_allclose(y, [[0, -2, 0], [-1, 0, 0.4], [1, 0, -1.6]])
    normal = np.random.default_rng(0).normal(size=(100_000, 2))
    scaled = RobustScaler(quantile_range=(10.0, 90.0), unit_variance=True).fit_transform(normal)
    np.testing.assert_allclose(scaled.std(axis=0), 1, atol=0.01)
    with pytest.raises(TypeError, match="cannot be merged"):
        RobustScaler().fit(x).merge(RobustScaler().fit(x))


@pytest.mark.parametrize("norm", ["l1", "l2", "max"])
def test_normalizer(norm):
    x = np.array([[3.0, -4.0], [0.0, 0.0], [1e-20, 0.0]])
    y = Normalizer(norm).transform(x)
    want = {"l1": [3 / 7, -4 / 7], "l2": [0.6, -0.8], "max": [0.75, -1]}[norm]
    np.testing.assert_allclose(y[0], want, rtol=1e-15)
    assert (y[1:] == x[1:]).all()


@pytest.mark.parametrize("scaler", SCALERS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_inverse(scaler, dtype):
    x = matrix((500, 6), dtype)
    fitted = scaler().fit(x)
    back = fitted.inverse_transform(fitted.transform(x))
    np.testing.assert_allclose(back, x, rtol=1e-5 if dtype == np.float32 else 1e-13, atol=40 * RTOL[dtype])
    assert back.dtype == dtype


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (np.float16, np.float32),
        (np.float32, np.float32),
        (">f4", np.float32),
        (np.float64, np.float64),
        (">f8", np.float64),
        (np.longdouble, np.float64),
        (np.int8, np.float64),
        (np.uint64, np.float64),
        (bool, np.float64),
        (object, np.float64),
    ],
)
def test_types(given, kept):
    x = np.array([[1, 0], [0, 1], [1, 1]]).astype(given)
    for scaler in [*SCALERS, Normalizer]:
        y = scaler().fit_transform(x)
        assert y.dtype == kept and y.dtype.isnative
        np.testing.assert_allclose(y, scaler().fit_transform(x.astype(kept)))


def test_any_layout():
    x = matrix((60, 8))
    for scaler in [*SCALERS, Normalizer]:
        want = scaler().fit_transform(x)
        turned, spread = np.asfortranarray(x), np.repeat(x, 2, axis=1)[:, ::2]
        for same in (turned, spread, x[::-1][::-1], x.tolist()):
            got = scaler().fit_transform(same)
            assert type(got) is np.ndarray
            np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-14)


# Batches and merges


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    cuts=st.lists(st.integers(1, 60), min_size=1, max_size=5),
    width=st.integers(1, 9),
    nan=st.sampled_from([0.0, 0.1, 0.7]),
    weighted=st.booleans(),
    dtype=st.sampled_from(DTYPES),
)
def test_batches_and_merges_are_the_whole(seed, cuts, width, nan, weighted, dtype):
    rng = np.random.default_rng(seed)
    x = matrix((sum(cuts), width), dtype, seed)
    x[rng.random(x.shape) < nan] = np.nan
    weight = rng.integers(1, 5, len(x)).astype(float) if weighted else None
    parts = np.split(np.arange(len(x)), np.cumsum(cuts)[:-1])
    for scaler in MERGEABLE:
        options = {} if weight is None or scaler is not StandardScaler else {"sample_weight": weight}
        part = {k: [v[p] for p in parts] for k, v in options.items()}
        whole = scaler().fit(x, **options)
        batches, merged = scaler(), None
        for i, p in enumerate(parts):
            now = {k: v[i] for k, v in part.items()}
            batches.partial_fit(x[p], **now)
            single = scaler().fit(x[p], **now)
            merged = single if merged is None else merged.merge(single)
        # A column of one value in all has a variance of rounding errors, squared: far below 1e-9.
        for other in (batches, merged):
            assert_alike(other, whole, rtol=1e-9, atol=1e-9)


def test_weights_count_as_repetitions():
    x, weight = matrix((50, 3)), np.random.default_rng(0).integers(0, 4, 50)
    assert_alike(StandardScaler().fit(x, sample_weight=weight), StandardScaler().fit(np.repeat(x, weight, 0)), 1e-12)
    assert_alike(StandardScaler().fit(x, sample_weight=2), StandardScaler().fit(np.repeat(x, 2, 0)), 1e-12)


@pytest.mark.parametrize("scaler", SCALERS)
def test_nan_is_left_out(scaler):
    x = matrix((300, 3))
    x[::3, 1] = np.nan
    fitted = scaler().fit(x)
    alone = scaler().fit(x[~np.isnan(x[:, 1]), 1:2])
    for name, value in attributes(fitted).items():
        if name != "n_samples_seen_":
            np.testing.assert_allclose(value[1], getattr(alone, name)[0], rtol=1e-13)
    assert (np.isnan(fitted.transform(x)) == np.isnan(x)).all()
    empty = scaler().fit(np.full((4, 1), np.nan))
    assert np.isnan(empty.transform([[1.0]])).all()


def test_counts_of_a_scaler():
    x = matrix((10, 2))
    x[:3, 1] = np.nan
    assert StandardScaler().fit(x).n_samples_seen_.tolist() == [10, 7]
    assert StandardScaler().fit(x[3:]).n_samples_seen_ == 7
    assert MinMaxScaler().fit(x).partial_fit(x).n_samples_seen_ == 20


def test_columns_first_seen_late():
    x = matrix((20, 2))
    first = x.copy()
    first[:, 1] = np.nan
    for scaler in MERGEABLE:
        late = scaler().fit(first).partial_fit(x)
        np.testing.assert_allclose(late.transform(x)[:, 1], scaler().fit_transform(x)[:, 1], rtol=1e-12)


def test_fit_forgets_and_merge_changes_one():
    x, z = matrix((30, 4)), matrix((20, 4), seed=1)
    for scaler in MERGEABLE:
        assert_alike(scaler().fit(x).fit(z), scaler().fit(z), 0)
        one, other = scaler().fit(x), scaler().fit(z)
        assert one.merge(other) is one
        assert_alike(other, scaler().fit(z), 0)
        assert_alike(one, scaler().fit(np.concatenate([x, z])), 1e-12)


@pytest.mark.parametrize("scaler", MERGEABLE)
def test_merge_refuses(scaler):
    one = scaler().fit(matrix((5, 3)))
    with pytest.raises(TypeError, match="other must be"):
        one.merge(Normalizer())
    with pytest.raises(ValueError, match="not fitted"):
        one.merge(scaler())
    with pytest.raises(ValueError, match="n_features_in_, 3, not 2"):
        one.merge(scaler().fit(matrix((5, 2))))
    if scaler is MinMaxScaler:
        with pytest.raises(ValueError, match="feature_range"):
            one.merge(scaler((0, 2)).fit(matrix((5, 3))))


# Memory


@pytest.mark.parametrize("scaler", [*SCALERS, Normalizer])
def test_copy(scaler):
    x = matrix((50, 4))
    kept = x.copy()
    want = scaler().fit_transform(x)
    assert (x == kept).all() and not np.shares_memory(want, x)
    y = scaler(copy=False).fit(x).transform(x)
    assert np.shares_memory(y, x)
    np.testing.assert_array_equal(y, want)
    x = kept.copy()
    x.flags.writeable = False
    np.testing.assert_array_equal(scaler(copy=False).fit(x).transform(x), want)
    if scaler is not Normalizer:
        fitted = scaler().fit(kept)
        fitted.copy = False
        back = fitted.inverse_transform(want)
        assert np.shares_memory(back, want)


@pytest.mark.parametrize("scaler", [*SCALERS, Normalizer])
def test_infinity_in_place_is_refused_before_anything_is_written(scaler):
    fitted = scaler(copy=False).fit(matrix((50, 4)))
    for value in (np.inf, -np.inf):
        x = matrix((50, 4))
        x[49, 3] = value
        kept = x.copy()
        with pytest.raises(ValueError, match="infinity"):
            fitted.transform(x)
        assert (x == kept).all()
        with pytest.raises(ValueError, match="infinity"):
            scaler().fit(x)
        with pytest.raises(ValueError, match="infinity"):
            scaler().fit(matrix((50, 4))).transform(x)


# Parameters, errors, scikit-learn absent


def test_parameters():
    scaler = MinMaxScaler((0, 2), clip=True)
    assert scaler.get_params() == {"feature_range": (0, 2), "copy": True, "clip": True}
    assert (
        repr(scaler) == "MinMaxScaler(feature_range=(0, 2), clip=True)" and repr(StandardScaler()) == "StandardScaler()"
    )
    assert scaler.set_params(clip=False).clip is False
    with pytest.raises(ValueError, match="Invalid parameter 'clap'"):
        scaler.set_params(clap=1)


@pytest.mark.parametrize("name", preprocessing.__all__)
def test_pickle(name):
    x = matrix((20, 3)).round()
    fitted = getattr(preprocessing, name)(**({"sparse_output": False} if name == "OneHotEncoder" else {})).fit(x)
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.transform(x), fitted.transform(x))
    assert again.get_feature_names_out().tolist() == fitted.get_feature_names_out().tolist()


def test_without_scikit_learn():
    run_python(
        """
import sys
for name in ("sklearn", "scipy", "pandas"):
    sys.modules[name] = None
import numpy as np
from fastml import preprocessing
x = np.arange(12.0).reshape(4, 3)
for name in preprocessing.__all__:
    scaler = getattr(preprocessing, name)()
    if name == "OneHotEncoder":
        try:
            scaler.fit_transform(x)
        except ImportError as error:
            assert "sparse_output=False" in str(error)
        scaler.set_params(sparse_output=False)
    scaler.fit(x).transform(x)
    assert scaler.fit_transform(x).shape[0] == 4 and repr(scaler) and len(scaler.get_feature_names_out())
try:
    preprocessing.StandardScaler().transform(x)
except ValueError as error:
    assert "not fitted" in str(error)
else:
    raise AssertionError
result = {}
"""
    )


def test_min_max_takes_what_is_set_in_place_and_learns_once(monkeypatch):
    X = np.array([[0.0, 1.0], [4.0, 3.0]])
    scaler, calls = MinMaxScaler().fit(X), []
    was = MinMaxScaler._learnt
    monkeypatch.setattr(MinMaxScaler, "_learnt", lambda self: calls.append(0) or was(self))
    assert scaler.transform(X).tolist() == [[0, 0], [1, 1]] and not calls
    scaler.scale_ *= 2
    assert scaler.transform(X).tolist() == [[0, 0.5], [2, 2.5]]
    scaler.scale_ /= 2
    assert scaler.inverse_transform(scaler.transform(X)).tolist() == X.tolist()
    scaler.feature_range = (3, 2)
    with pytest.raises(ValueError, match="feature_range"):
        scaler.transform(X)
