"""OneHotEncoder: by hand, and beside scikit-learn's over kinds of data and options."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastml.preprocessing import OneHotEncoder, _categories

RNG = np.random.default_rng(0)


def dense(**options):
    return OneHotEncoder(sparse_output=False, **options)


COLUMNS = {
    "int": RNG.integers(-3, 4, (60, 2)),
    "wide int": RNG.integers(0, 2**62, 8)[RNG.integers(0, 8, (60, 2))],
    "uint64": np.array([0, 2**64 - 1, 5], np.uint64)[RNG.integers(0, 3, (60, 2))],
    "int8": RNG.integers(-128, 128, (60, 2)).astype(np.int8),
    "bool": RNG.random((60, 2)) < 0.5,
    "float": RNG.choice([0.5, -1.0, 2.0, np.nan], (60, 2)),
    "str": RNG.choice(["red", "green", "bluish", ""], (60, 2)),
    "long str": RNG.choice(["a" * 30, "a" * 29 + "b", "é", "日本"], (60, 2)),
    "bytes": RNG.choice([b"a", b"bc"], (60, 2)),
    "object": RNG.choice(np.array(["x", "yy", "z"], dtype=object), (60, 2)),
    "missing": RNG.choice(np.array(["x", None, np.nan], dtype=object), (60, 2)),
    "object int": RNG.integers(0, 4, (60, 2)).astype(object),
}
OPTIONS = [
    {},
    {"drop": "first"},
    {"drop": "if_binary"},
    {"handle_unknown": "ignore"},
    {"min_frequency": 12},
    {"min_frequency": 0.3, "handle_unknown": "infrequent_if_exist"},
    {"max_categories": 2, "handle_unknown": "warn"},
    {"max_categories": 1},
    {"max_categories": 3, "min_frequency": 5, "drop": "first"},
    {"dtype": np.float32},
    {"dtype": bool},
]


def test_by_hand():
    x = [["Male", 1], ["Female", 3], ["Female", 2]]
    encoder = dense(handle_unknown="ignore").fit(x)
    assert [c.tolist() for c in encoder.categories_] == [["Female", "Male"], [1, 2, 3]]
    y = encoder.transform([["Female", 1], ["Male", 4]])
    assert y.tolist() == [[1, 0, 1, 0, 0], [0, 1, 0, 0, 0]] and y.dtype == np.float64
    assert encoder.inverse_transform(y).tolist() == [["Female", 1], ["Male", None]]
    assert encoder.get_feature_names_out(["g", "n"]).tolist() == ["g_Female", "g_Male", "n_1", "n_2", "n_3"]
    first = dense(drop="first").fit(x)
    assert first.transform(x).tolist() == [[1, 0, 0], [0, 0, 1], [0, 1, 0]] and first.drop_idx_.tolist() == [0, 0]
    assert first.inverse_transform(first.transform(x)).tolist() == x
    named = dense(drop=["Male", 2]).fit(x)
    assert named.get_feature_names_out().tolist() == ["x0_Female", "x1_1", "x1_3"]
    few = dense(max_categories=2).fit(np.array([["a"] * 5 + ["b"] * 9 + ["c"] * 2]).T)
    assert [c.tolist() for c in few.infrequent_categories_] == [["a", "c"]]
    assert few.transform(np.array([["a"], ["b"]])).tolist() == [[0, 1], [1, 0]]
    assert dense(feature_name_combiner=lambda f, c: f"{c}!{f}").fit([["u"]]).get_feature_names_out()[0] == "u!x0"


def test_sparse_output():
    pytest.importorskip("scipy")
    for x in COLUMNS.values():
        for options in ({}, {"drop": "first"}):
            y = OneHotEncoder(**options).fit_transform(x)
            assert y.format == "csr" and y.has_canonical_format and y.indices.dtype == np.int32
            np.testing.assert_array_equal(y.toarray(), dense(**options).fit_transform(x))
            encoder = OneHotEncoder(**options).fit(x)
            if options:
                np.testing.assert_array_equal(
                    encoder.inverse_transform(y).astype(str), encoder.inverse_transform(y.toarray()).astype(str)
                )


@pytest.mark.filterwarnings("ignore:Found unknown categories")
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("kind", COLUMNS)
def test_as_scikit_learn(kind, options):
    theirs = pytest.importorskip("sklearn.preprocessing")
    x = COLUMNS[kind]
    a, b = dense(**options).fit(x), theirs.OneHotEncoder(sparse_output=False, **options).fit(x)
    for got, want in zip(a.categories_, b.categories_, strict=True):
        assert got.dtype == want.dtype
        np.testing.assert_array_equal(got.astype(str), want.astype(str))
    np.testing.assert_array_equal(a.drop_idx_, b.drop_idx_)
    y, want = a.transform(x), b.transform(x)
    np.testing.assert_array_equal(y, want)
    assert y.dtype == want.dtype
    np.testing.assert_array_equal(dense(**options).fit_transform(x), want)
    assert a.get_feature_names_out().tolist() == b.get_feature_names_out().tolist()
    if hasattr(b, "infrequent_categories_"):
        assert str(a.infrequent_categories_) == str(b.infrequent_categories_)
    if y.shape[1]:
        np.testing.assert_array_equal(a.inverse_transform(y).astype(str), b.inverse_transform(y).astype(str))
    if kind in ("int", "str", "object") and options.get("handle_unknown", "error") != "error":
        other = np.concatenate([x, np.array([[99, 98]]) if kind == "int" else np.array([["a longer one", "?"]])])
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            got = a.transform(other)
            assert len(caught) == (options["handle_unknown"] == "warn")
        np.testing.assert_array_equal(got, b.transform(other))
        np.testing.assert_array_equal(a.inverse_transform(got).astype(str), b.inverse_transform(got).astype(str))


def test_given_categories():
    encoder = dense(categories=[["b", "a"], [1, 2, 3]]).fit(np.array([["a", 1], ["b", 3]], dtype=object))
    assert encoder.transform([["a", 2]]).tolist() == [[0, 1, 0, 1, 0]]
    assert dense(categories=[["long one", "a"]]).fit(np.array([["a"]])).transform([["long one"]]).tolist() == [[1, 0]]
    assert dense(categories=[[1.0, np.nan]]).fit_transform([[np.nan], [1.0]]).tolist() == [[0, 1], [1, 0]]


@pytest.mark.parametrize(
    ("options", "x", "error", "match"),
    [
        ({}, [["a", 1], [2, 3]], TypeError, r"uniformly strings or numbers. Got \['int', 'str'\]"),
        ({}, ["a", "b"], ValueError, "Expected 2D"),
        ({}, [[np.inf]], ValueError, "infinity"),
        ({}, [[1j]], ValueError, "Complex"),
        ({"categories": [[1, 2]]}, [[3]], ValueError, r"unknown categories \[3\] in column 0 during fit"),
        ({"categories": [[2, 1]]}, [[1]], ValueError, "Unsorted"),
        ({"categories": [[1, 1]]}, [[1]], ValueError, "duplicate"),
        ({"categories": [[np.nan, 1.0]]}, [[1.0]], ValueError, "Nan should be the last"),
        ({"categories": [[1], [2]]}, [[1]], ValueError, "Shape mismatch"),
        ({"categories": [[]]}, [[1]], ValueError, "with elements"),
        ({"categories": "all"}, [[1]], ValueError, "categories must be 'auto'"),
        ({"drop": "last"}, [[1]], ValueError, "drop must be"),
        ({"drop": [7]}, [[1]], ValueError, "7 of feature 0"),
        ({"drop": [1, 2]}, [[1]], ValueError, "one category a feature"),
        ({"drop": [1], "min_frequency": 2}, [[1], [2], [2]], ValueError, "infrequent"),
        ({"handle_unknown": "zeros"}, [[1]], ValueError, "handle_unknown"),
        ({"min_frequency": 0}, [[1]], ValueError, "min_frequency"),
        ({"max_categories": 0}, [[1]], ValueError, "max_categories"),
        ({"feature_name_combiner": "join"}, [[1]], ValueError, "feature_name_combiner"),
        ({"sparse_output": 1}, [[1]], TypeError, "sparse_output"),
        ({"dtype": "nothing"}, [[1]], TypeError, "nothing"),
    ],
)
def test_errors(options, x, error, match):
    with pytest.raises(error, match=match):
        OneHotEncoder(**options).fit(x)


def test_errors_after_fit():
    encoder = dense().fit([[1], [2]])
    with pytest.raises(ValueError, match=r"unknown categories \[3\] in column 0 during transform"):
        encoder.transform([[3], [1]])
    with pytest.raises(ValueError, match="Expected 2 columns, got 3"):
        encoder.inverse_transform(np.eye(3))
    with pytest.raises(ValueError, match=r"Samples \[1\] can not be inverted"):
        encoder.inverse_transform([[1, 0], [0, 0]])
    with pytest.raises(AttributeError, match="min_frequency"):
        _ = encoder.infrequent_categories_
    with pytest.raises(ValueError, match="does not support sparse"):
        OneHotEncoder().set_output(transform="pandas").fit_transform([[1]])
    with pytest.raises(TypeError, match="must return strings"):
        dense(feature_name_combiner=lambda f, c: c).fit([[1]]).get_feature_names_out()


@settings(deadline=None, max_examples=100)
@given(st.lists(st.text(max_size=6).filter(lambda s: "\0" not in s), min_size=1, max_size=40))
def test_strings_are_found(items):
    column = np.array(items)
    values, index = _categories.factorize(column)
    np.testing.assert_array_equal(values, np.unique(column))
    np.testing.assert_array_equal(values[index], column)


def test_strings_of_one_hash_are_told_apart(monkeypatch):
    monkeypatch.setattr(_categories, "_FACTOR", np.uint64(0))  # the last character decides
    column = np.array(["ab", "cb", "ab", "bb", "zz"])
    values, index = _categories.factorize(column)
    assert values.tolist() == ["ab", "bb", "cb", "zz"]
    np.testing.assert_array_equal(values[index], column)


@pytest.mark.parametrize("row", [[np.nan, np.nan], [0.0, np.nan], [1.0, np.nan]])
def test_inverse_transform_refuses_nan(row):
    encoder = OneHotEncoder(sparse_output=False).fit([["a"], ["b"]])
    sparse = pytest.importorskip("scipy.sparse")
    for X in ([row], sparse.csr_matrix([row])):
        with pytest.raises(ValueError, match="NaN"):
            encoder.inverse_transform(X)
