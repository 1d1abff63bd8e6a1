"""What the transformers refuse, and with which words."""

import numpy as np
import pytest

from fastml.preprocessing import MinMaxScaler, Normalizer, RobustScaler, StandardScaler


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: StandardScaler().transform([[1.0]]), ValueError, "not fitted"),
        (lambda: StandardScaler().transform([[1.0]]), AttributeError, "not fitted"),
        (lambda: StandardScaler().fit([1.0, 2.0]), ValueError, r"Expected 2D array, got 1D .*\(2,\)"),
        (lambda: StandardScaler().fit(np.zeros((0, 3))), ValueError, "0 sample"),
        (lambda: StandardScaler().fit(np.zeros((3, 0))), ValueError, "0 feature"),
        (lambda: StandardScaler().fit([["a"]]), ValueError, "could not convert"),
        (lambda: StandardScaler().fit([[1j]]), ValueError, "Complex"),
        (lambda: StandardScaler().fit(np.zeros((2, 2), "M8[s]")), TypeError, "numbers"),
        (lambda: StandardScaler().fit([[1.0]]).transform([[1.0, 2.0]]), ValueError, "X has 2 features"),
        (lambda: StandardScaler().fit([[1.0]]).inverse_transform([[1.0, 2.0]]), ValueError, "X has 2 features"),
        (
            lambda: StandardScaler().fit([[1.0]], sample_weight=[1, 2]),
            ValueError,
            r"sample_weight must .* shape \(1,\), not \(2,\)",
        ),
        (
            lambda: StandardScaler().fit([[1.0]], sample_weight=[[1]]),
            ValueError,
            r"sample_weight must .* shape \(1,\), not \(1, 1\)",
        ),
        (
            lambda: StandardScaler().fit([[1.0]], sample_weight=[0]),
            ValueError,
            "sample_weight must not be zero for every row",
        ),
        (
            lambda: StandardScaler().fit([[1.0]], sample_weight=[np.nan]),
            ValueError,
            "sample_weight must be finite and at least 0, not nan",
        ),
        (lambda: StandardScaler(copy="no").fit([[1.0]]), TypeError, "copy must be True or False, not 'no'"),
        (lambda: MinMaxScaler((1, 1)).fit([[1.0]]), ValueError, r"feature_range must be .* not \(1, 1\)"),
        (lambda: MinMaxScaler(3).fit([[1.0]]), TypeError, "feature_range must be a list or a tuple, not 3"),
        (lambda: RobustScaler(quantile_range=(90, 10)).fit([[1.0]]), ValueError, r"\(90, 10\)"),
        (lambda: RobustScaler(quantile_range=None).fit([[1.0]]), ValueError, "None"),
        (lambda: Normalizer("l3").fit([[1.0]]), ValueError, "norm must be 'l1', 'l2' or 'max', not 'l3'"),
        (lambda: Normalizer().fit([[np.nan]]), ValueError, "NaN"),
        (lambda: StandardScaler().set_output(transform="arrow"), ValueError, "'arrow'"),
        (
            lambda: StandardScaler().fit([[1.0], [2.0]], sample_weight=[1, -2]),
            ValueError,
            "sample_weight must be finite and at least 0, not -2.0",
        ),
    ],
)
def test_errors(call, error, match):
    with pytest.raises(error, match=match):
        call()
