"""Scalers and the one-hot encoder beside scikit-learn's: fit_transform, transform and back."""

import numpy as np

from fastml import preprocessing
from fastml.reference import scaling as reference

from .common import Case, Setup, assert_close, normal, sample_rows, shape_label

SMALL, MIDDLE, LARGE = (100, 5), (10_000, 20), (1_000_000, 20)


def _coefficients(name, x):
    """z = (x - center) / scale of each column, in float64."""
    if name == "StandardScaler":
        mean, m2 = reference.column_moments(x)
        return mean, np.sqrt(m2 / len(x))
    low, high = (a.astype(np.float64) for a in reference.column_extremes(x))
    if name == "MinMaxScaler":
        return low, high - low
    if name == "MaxAbsScaler":
        return 0.0, np.maximum(-low, high)
    low, middle, high = np.quantile(x.astype(np.float64), [0.25, 0.5, 0.75], axis=0)
    return middle, high - low


def _scaler_case(op, name, method, shape, dtype="float32"):
    def setup():
        x = normal(shape, dtype, scale=2.0, shift=3.0)
        rows = sample_rows(len(x))
        if name == "Normalizer":
            want = reference.normalize(x[rows], 2)
        else:
            want = reference.rescale(x[rows], *_coefficients(name, x), undo=method == "inverse_transform")

        def builder(module):
            def build():
                call = getattr(getattr(module(), name)().fit(x), method)
                return lambda: call(x)

            return build

        def sklearn():
            import sklearn.preprocessing

            return sklearn.preprocessing

        def check(result, peer):
            assert_close(result[rows], want, dtype, f"{op} {peer}")

        builders = {"fastml": builder(lambda: preprocessing), "sklearn": builder(sklearn)}
        return Setup(builders, check)

    passes = 3 if method == "fit_transform" and name != "Normalizer" else 2
    nbytes = passes * int(np.prod(shape)) * np.dtype(dtype).itemsize
    return Case(op, shape_label(shape), dtype, setup, nbytes=nbytes, peers=("sklearn",))


def _encoder_case(kind, shape, classes):
    def setup():
        codes = np.random.default_rng(0).integers(0, classes, shape)
        x = np.array([f"category {i:02}" for i in range(classes)])[codes] if kind == "str" else codes
        rows = sample_rows(len(x))
        want = np.eye(classes)[codes[rows]].reshape(len(rows), -1)

        def fastml_():
            encoder = preprocessing.OneHotEncoder(sparse_output=False)
            return lambda: encoder.fit_transform(x)

        def sklearn_():
            from sklearn.preprocessing import OneHotEncoder

            encoder = OneHotEncoder(sparse_output=False)
            return lambda: encoder.fit_transform(x)

        def check(result, peer):
            assert_close(result[rows], want, "float64", f"one_hot_encoder {kind} {peer}")

        return Setup({"fastml": fastml_, "sklearn": sklearn_}, check)

    nbytes = 8 * int(np.prod(shape)) * (classes + 1)
    return Case(f"one_hot_encoder_{kind}", f"{shape_label(shape)}, {classes}", "float64", setup, nbytes=nbytes,
                peers=("sklearn",))  # fmt: skip


CASES = [
    *[_scaler_case("standard_scaler", "StandardScaler", "fit_transform", s) for s in (SMALL, MIDDLE, LARGE)],
    _scaler_case("standard_scaler", "StandardScaler", "fit_transform", LARGE, "float64"),
    *[_scaler_case("standard_scaler_transform", "StandardScaler", "transform", s) for s in (SMALL, LARGE)],
    *[_scaler_case("standard_scaler_inverse", "StandardScaler", "inverse_transform", s) for s in (SMALL, LARGE)],
    *[_scaler_case("min_max_scaler", "MinMaxScaler", "fit_transform", s) for s in (SMALL, LARGE)],
    *[_scaler_case("max_abs_scaler", "MaxAbsScaler", "fit_transform", s) for s in (SMALL, LARGE)],
    *[_scaler_case("robust_scaler", "RobustScaler", "fit_transform", s) for s in (SMALL, LARGE)],
    *[_scaler_case("normalizer", "Normalizer", "fit_transform", s) for s in (SMALL, LARGE)],
    *[_encoder_case(kind, s, 10) for kind in ("int", "str") for s in ((1000, 3), (100_000, 3))],
]
