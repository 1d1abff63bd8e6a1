"""Scalers and encoder beside scikit-learn's: its own checks, its values, its pipelines and DataFrames."""

import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn import config_context
from sklearn import preprocessing as theirs
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import check_estimator

from fastml import preprocessing as ours

from .test_preprocessing import attributes, matrix

NAMES = ours.__all__
every_name = pytest.mark.parametrize("name", NAMES)


def make(module, name, **options):
    return getattr(module, name)(**options)


# Checks


@every_name
def test_check_estimator(name):
    """Nothing fails, and nothing is skipped that scikit-learn's own class does not skip."""

    def outcomes(module, status):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            results = check_estimator(make(module, name), on_fail=None, on_skip=None)
        return {r["check_name"]: str(r["exception"]) for r in results if r["status"] == status}

    assert outcomes(ours, "failed") == outcomes(ours, "xfail") == {}
    assert outcomes(ours, "skipped").keys() <= outcomes(theirs, "skipped").keys()


@pytest.mark.parametrize(
    "check",
    [
        "check_dataframe_column_names_consistency",
        "check_transformer_get_feature_names_out",
        "check_transformer_get_feature_names_out_pandas",
        "check_set_output_transform",
        "check_set_output_transform_pandas",
        "check_global_output_transform_pandas",
        "check_get_feature_names_out_error",
        "check_inplace_ensure_writeable",
        "check_estimators_partial_fit_n_features",
    ],
)
@every_name
def test_further_checks(name, check):
    if "pandas" in check or "dataframe" in check:
        pytest.importorskip("pandas")
    options = {"sparse_output": False} if name == "OneHotEncoder" else {}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Estimator.*does not inherit")
        getattr(estimator_checks, check)(name, make(ours, name, **options))


# Values


def assert_same(name, x, sample_weight=None, at=None, **options):
    fit = {} if sample_weight is None else {"sample_weight": sample_weight}
    rtol = 2e-6 if x.dtype == np.float32 else 1e-12
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # columns of nothing but NaN
        a, b = make(ours, name, **options).fit(x, **fit), make(theirs, name, **options).fit(x, **fit)
    got, want = attributes(a), attributes(b)
    assert got.keys() == want.keys()
    size = np.nanmax(np.abs(x))
    for key, value in want.items():
        if value is None:
            assert got[key] is None
        else:
            np.testing.assert_allclose(got[key], value, rtol=rtol, atol=rtol * size**2 * 1e-3, err_msg=key)
            assert np.shape(got[key]) == np.shape(value)
    for z in (x, x[:7] * 2 if at is None else at):
        y, w = a.transform(z), b.transform(z)
        assert y.dtype == w.dtype and y.shape == w.shape
        np.testing.assert_allclose(y, w, rtol=rtol, atol=rtol * 100)
        if hasattr(b, "inverse_transform"):
            np.testing.assert_allclose(a.inverse_transform(w), b.inverse_transform(w), rtol=rtol, atol=rtol * size * 4)


OPTIONS = [
    ("StandardScaler", {}),
    ("StandardScaler", {"with_mean": False}),
    ("StandardScaler", {"with_std": False}),
    ("StandardScaler", {"with_mean": False, "with_std": False}),
    ("MinMaxScaler", {}),
    ("MinMaxScaler", {"feature_range": (-3, 2.5), "clip": True}),
    ("MaxAbsScaler", {}),
    ("MaxAbsScaler", {"clip": True}),
    ("RobustScaler", {}),
    ("RobustScaler", {"quantile_range": (5.0, 60.0), "unit_variance": True}),
    ("RobustScaler", {"with_centering": False}),
    ("RobustScaler", {"with_scaling": False}),
    ("RobustScaler", {"quantile_range": (0, 100)}),
    ("Normalizer", {}),
    ("Normalizer", {"norm": "l1"}),
    ("Normalizer", {"norm": "max"}),
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
@pytest.mark.parametrize(("name", "options"), OPTIONS)
def test_values(name, options, dtype):
    for shape in ((1, 3), (2, 1), (10, 4), (1001, 7), (5000, 20)):
        x = matrix(shape, dtype)
        x[:, 0] = 3  # constant
        assert_same(name, x, **options)
        if dtype != np.int64 and name != "Normalizer":
            x = matrix(shape, dtype)
            x[np.random.default_rng(0).random(shape) < 0.2] = np.nan
            x[0] = 1
            assert_same(name, x, **options)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_values_with_weights(dtype):
    for shape in ((10, 4), (1001, 7)):
        weight = np.random.default_rng(1).random(shape[0]) + 0.01
        x = matrix(shape, dtype)
        assert_same("StandardScaler", x, weight)
        x[::3, 1] = np.nan
        assert_same("StandardScaler", x, weight)
        assert_same("StandardScaler", x, weight, with_std=False)


@pytest.mark.parametrize("name", ["StandardScaler", "MinMaxScaler", "MaxAbsScaler"])
def test_values_after_batches(name):
    x = matrix((500, 6))
    x[::7, 2] = np.nan
    a, b = make(ours, name), make(theirs, name)
    for part in np.array_split(x, 7):
        a.partial_fit(part)
        b.partial_fit(part)
    got, want = attributes(a), attributes(b)
    for key, value in want.items():
        np.testing.assert_allclose(got[key], value, rtol=1e-12, err_msg=key)


def test_almost_constant_columns_are_told_as_scikit_learn_tells_them():
    for value in (1e-8, 1.0, 1e8, 1e12):
        for step in (1e-18, 1e-16, 3e-16, 1e-15, 1e-12, 1e-8):
            x = np.full((100, 1), value)
            x[::2] += value * step
            for name in ("StandardScaler", "MinMaxScaler", "RobustScaler"):
                a, b = make(ours, name).fit(x), make(theirs, name).fit(x)
                np.testing.assert_allclose(a.scale_, b.scale_, rtol=1e-4, err_msg=f"{name} {value} {step}")


# With the rest of scikit-learn


def test_pipeline_grid_search_and_clone():
    x, y = matrix((120, 4)), np.arange(120) % 2
    x[:, 0] += 5 * y
    for scaler in (ours.StandardScaler(), ours.MinMaxScaler(), ours.RobustScaler(), ours.MaxAbsScaler()):
        model = make_pipeline(scaler, LogisticRegression()).fit(x, y)
        assert model.score(x, y) > 0.5
        assert len(model[:-1].get_feature_names_out()) == 4
    search = GridSearchCV(
        make_pipeline(ours.StandardScaler(), LogisticRegression()), {"standardscaler__with_mean": [True, False]}
    )
    assert search.fit(x, y).best_score_ > 0.5
    scaler = ours.MinMaxScaler((0, 3)).set_output(transform="pandas").fit(x)
    copy = clone(scaler)
    assert copy.get_params() == scaler.get_params() and not hasattr(copy, "scale_")
    assert copy._output_kind() == "pandas"
    with pytest.raises(NotFittedError):
        copy.transform(x)
    weighted = make_pipeline(ours.StandardScaler(), LogisticRegression())
    weighted.fit(x, y, standardscaler__sample_weight=np.ones(120))


def test_data_frames():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": [1.0, 2, 3], "b": [1, 5, 5]}, index=[7, 8, 9])
    for name in NAMES:
        options = {"sparse_output": False} if name == "OneHotEncoder" else {}
        a = make(ours, name, **options).set_output(transform="pandas")
        b = make(theirs, name, **options).set_output(transform="pandas")
        pandas.testing.assert_frame_equal(a.fit_transform(frame), b.fit_transform(frame))
        pandas.testing.assert_frame_equal(a.transform(frame), b.transform(frame))
        with config_context(transform_output="pandas"):
            assert list(make(ours, name, **options).fit_transform(frame).index) == [7, 8, 9]
    own = pandas.DataFrame({"a": pandas.array([1.0, None, 3.0], dtype="Float64")})
    assert np.isnan(ours.StandardScaler().fit_transform(own)).tolist() == [[False], [True], [False]]
    with pytest.raises(ValueError, match="seen at fit time, yet now missing"):
        ours.StandardScaler().fit(frame).transform(frame[["a"]])
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        ours.StandardScaler().fit(frame).transform(frame.to_numpy())
    both = ColumnTransformer(
        [("n", ours.StandardScaler(), ["a"]), ("c", ours.OneHotEncoder(sparse_output=False), ["b"])]
    )
    assert both.set_output(transform="pandas").fit_transform(frame).columns.tolist() == ["n__a", "c__b_1", "c__b_5"]


@every_name
def test_sparse_input_is_refused(name):
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(TypeError, match=f"Sparse data was passed for X, but {name} takes dense data only"):
        make(ours, name).fit(sparse.eye(3).tocsr())
