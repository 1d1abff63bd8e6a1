"""DataFrames of pandas and polars and pyarrow's Tables, in and out."""

import datetime
import decimal
import warnings

import numpy as np
import pytest

from fastml.preprocessing import MaxAbsScaler, MinMaxScaler, Normalizer, OneHotEncoder, RobustScaler, StandardScaler

SCALERS = (StandardScaler, MinMaxScaler, MaxAbsScaler, RobustScaler)
FRAMES = {"pandas": "DataFrame", "polars": "DataFrame", "pyarrow": "table"}


@pytest.fixture(params=FRAMES)
def library(request):
    pytest.importorskip(request.param)
    return request.param


@pytest.fixture
def frame(library):
    return getattr(pytest.importorskip(library), FRAMES[library])


COLUMNS = {
    "float": [1.5, 2.0, -4.0],
    "integer": [4, 5, 9],
    "bool": [True, False, True],
    "missing integer": [1, None, 3],
    "missing float": [0.5, 1.5, None],
    "missing bool": [True, None, False],
    "decimal": [decimal.Decimal("1.5"), decimal.Decimal("2.25"), decimal.Decimal(-1)],
    "numbers as strings": ["1", "2.5", "-3"],
}


@pytest.mark.parametrize("scaler", SCALERS)
def test_scalers_take_numbers_of_every_kind(scaler, frame):
    """As the matrix of the same numbers, where what is missing is NaN."""
    matrix = np.array([[np.nan if v is None else float(v) for v in column] for column in COLUMNS.values()]).T
    for data, wanted in ((COLUMNS, matrix), ({"float": COLUMNS["float"]}, matrix[:, :1])):
        fitted = scaler().fit(frame(data))
        np.testing.assert_array_equal(fitted.transform(frame(data)), scaler().fit_transform(wanted))
        assert fitted.feature_names_in_.tolist() == list(data)


def test_single_precision_stays(frame):
    data = {"a": np.array([1, 2, 4], np.float32), "b": np.array([0, 1, 5], np.float32)}
    assert StandardScaler().fit_transform(frame(data)).dtype == np.float32
    assert StandardScaler().fit_transform(frame(data | {"c": np.arange(3)})).dtype == np.float64
    assert Normalizer().fit_transform(frame(data)).dtype == np.float32


@pytest.mark.parametrize(
    ("column", "error"),
    [
        (["x", "2", "3"], ValueError),
        ([datetime.date(2020, 1, 1)] * 3, TypeError),
        ([datetime.datetime(2020, 1, 1)] * 3, TypeError),
    ],
)
def test_what_is_no_number_is_named(column, error, frame):
    with pytest.raises(error, match="X must hold numbers, not .*column 'when'|X must hold numbers, not datetime64"):
        StandardScaler().fit(frame({"a": [1, 2, 3], "when": column}))


def test_one_hot_takes_columns_as_they_are(frame):
    X = frame({"word": ["x", "y", "x"], "n": [3, 1, 3], "flag": [True, False, True], "gap": ["u", None, "v"]})
    encoder = OneHotEncoder(sparse_output=False).fit(X)
    assert [c.tolist()[:2] for c in encoder.categories_] == [["x", "y"], [1, 3], [False, True], ["u", "v"]]
    assert len(encoder.categories_[3]) == 3
    y = encoder.transform(X)
    assert y.astype(int).tolist() == [
        [1, 0, 0, 1, 0, 1, 1, 0, 0], [0, 1, 1, 0, 1, 0, 0, 0, 1], [1, 0, 0, 1, 0, 1, 0, 1, 0],
    ]  # fmt: skip
    np.testing.assert_array_equal(encoder.fit_transform(X), y)
    assert encoder.get_feature_names_out().tolist()[:4] == ["word_x", "word_y", "n_1", "n_3"]
    assert encoder.inverse_transform(y)[:, :3].tolist() == [["x", 3, True], ["y", 1, False], ["x", 3, True]]


def test_one_hot_takes_missing_numbers(frame):
    X = frame({"n": [1, None, 2], "flag": [True, None, False]})
    encoder = OneHotEncoder(sparse_output=False).fit(X)
    np.testing.assert_array_equal(encoder.categories_, [[1, 2, np.nan], [0, 1, np.nan]])
    assert encoder.transform(X).astype(int).tolist() == [
        [1, 0, 0, 0, 1, 0], [0, 0, 1, 0, 0, 1], [0, 1, 0, 1, 0, 0],
    ]  # fmt: skip


def test_pandas_own_types():
    pandas = pytest.importorskip("pandas")
    for kind, values in (("boolean", [True, None, False]), ("Int64", [1, None, 2]), ("Float32", [1.5, None, 2])):
        X = pandas.DataFrame({"c": pandas.array(values, dtype=kind)})
        numbers = [[np.nan if v is None else float(v)] for v in values]
        np.testing.assert_array_equal(StandardScaler().fit_transform(X), StandardScaler().fit_transform(numbers))
        encoder = OneHotEncoder(sparse_output=False)
        np.testing.assert_array_equal(
            encoder.fit_transform(X), OneHotEncoder(sparse_output=False).fit_transform(numbers)
        )
    for kind in ("string", "category", "object"):
        X = pandas.DataFrame({"c": pandas.Series(["x", None, "y"], dtype=kind)})
        assert OneHotEncoder(sparse_output=False).fit_transform(X).astype(int).tolist() == [
            [1, 0, 0], [0, 0, 1], [0, 1, 0],
        ]  # fmt: skip


def test_polars_own_types():
    polars = pytest.importorskip("polars")
    X = polars.DataFrame({"c": polars.Series(["y", "x", None], dtype=polars.Categorical)})
    encoder = OneHotEncoder(sparse_output=False).fit(X)
    assert encoder.categories_[0].tolist() == ["x", "y", None]
    X = polars.DataFrame({"c": polars.Series(["y", "x"], dtype=polars.Enum(["y", "x"]))})
    assert encoder.transform(X).tolist() == [[0, 1, 0], [1, 0, 0]]
    with pytest.raises(ValueError, match="column 'c'"):
        StandardScaler().fit(X)
    for column in (
        polars.Series([1, 2], dtype=polars.Int128), polars.Series([[1, 2], [3]]), polars.Series([{"x": 1}, {"x": 2}]),
    ):  # fmt: skip
        for transformer in (StandardScaler(), OneHotEncoder()):
            with pytest.raises((TypeError, ValueError), match=r"\bX\b.*column 'big'|column 'big' of X"):
                transformer.fit(polars.DataFrame({"a": [1, 2], "big": column}))
    with pytest.raises(TypeError, match=r"X must be a DataFrame, not a LazyFrame: pass X.collect\(\)"):
        StandardScaler().fit(polars.LazyFrame({"a": [1, 2]}))


@pytest.mark.parametrize("given", [*FRAMES, "array"])
def test_output(given, library):
    """Values, names and, in pandas, the index of the input."""
    data = {"a": [1.0, 2.0, 4.0], "b": [3.0, 1.0, 2.0]}
    X = np.array(list(data.values())).T
    if given != "array":
        X = getattr(pytest.importorskip(given), FRAMES[given])(data)
    if given == "pandas":
        X.index = [7, 8, 9]
    for transformer in (*(scaler() for scaler in SCALERS), Normalizer(), OneHotEncoder(sparse_output=False)):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            y = transformer.set_output(transform=library).fit_transform(X)
            again = transformer.transform(X)
        assert type(y).__module__.split(".")[0] == type(again).__module__.split(".")[0] == library
        names = list(getattr(y, "column_names", y.columns))
        assert names == transformer.get_feature_names_out().tolist()
        transformer.set_output(transform="default")
        np.testing.assert_array_equal(np.asarray(y), transformer.transform(X))
        if library == given == "pandas":
            assert y.index.tolist() == [7, 8, 9]
    with pytest.raises(ValueError, match="does not support sparse"):
        OneHotEncoder().set_output(transform=library).fit_transform(X)


def test_output_in_scikit_learns_pipelines():
    polars, compose = pytest.importorskip("polars"), pytest.importorskip("sklearn.compose")
    X = polars.DataFrame({"n": [1.0, 2.0, 4.0], "word": ["x", "y", "x"]})
    both = compose.ColumnTransformer(
        [("n", StandardScaler(), ["n"]), ("word", OneHotEncoder(sparse_output=False), ["word"])]
    ).set_output(transform="polars")
    y = both.fit_transform(X)
    assert isinstance(y, polars.DataFrame) and y.columns == ["n__n", "word__word_x", "word__word_y"]


@pytest.mark.parametrize("clip", [False, True])
def test_min_max_scale_by_hand_counts(clip):
    """As in scikit-learn, z = x scale_ + min_, whatever they have been set to."""
    X = np.array([[0.0, 1.0], [2.0, 5.0], [1.0, 2.0]], np.float32)
    scaler = MinMaxScaler(clip=clip).fit(X)
    usual = scaler.transform(X)
    scaler.scale_ = np.array([3.0, 0.0])
    z = X * [3.0, 0.0] + scaler.min_
    np.testing.assert_allclose(scaler.transform(X), np.clip(z, 0, 1) if clip else z)
    np.testing.assert_allclose(scaler.inverse_transform(X)[:, 0], (X[:, 0] - scaler.min_[0]) / 3, rtol=1e-6)
    assert scaler.fit(X).transform(X).tobytes() == usual.tobytes()
    # What fit learnt counts, not a range that is set afterwards.
    np.testing.assert_allclose(scaler.set_params(feature_range=(0, 10), clip=False).transform(X), usual)


def test_masked_arrays_are_refused():
    masked = np.ma.masked_array([[1.0], [2.0], [99.0]], mask=[[0], [0], [1]])
    for transformer in (*(scaler() for scaler in SCALERS), Normalizer(), OneHotEncoder()):
        with pytest.raises(TypeError, match="X must be an array without a mask"):
            transformer.fit(masked)
