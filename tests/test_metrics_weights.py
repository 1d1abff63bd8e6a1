"""Weights of any size: no sum of them overflows in silence."""

import warnings

import numpy as np
import pytest

from fastml import metrics

TRUE, PRED = np.array([0, 1, 1, 2]), np.array([1, 1, 1, 2])
SCORES = np.eye(3)[PRED] * 0.7 + 0.1

#: Each weighs as ones do once it is divided by its size.
LARGE = [np.full(4, 2**62), np.full(4, 2**63 + 2**62, np.uint64), np.full(4, 1e300), np.full(4, 60000, np.float16)]


def _scores(weight):
    w = {"sample_weight": weight}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stream = metrics.ConfusionMatrix(3)
        stream.update(TRUE, PRED, weight)
        return {
            "accuracy": metrics.accuracy_score(TRUE, PRED, **w),
            "balanced": metrics.balanced_accuracy_score(TRUE, PRED, **w),
            "precision": metrics.precision_recall_fscore(TRUE, PRED, **w)[0],
            "f1": metrics.f1_score(TRUE, PRED, average="micro", **w),
            "weighted": metrics.f1_score(TRUE, PRED, average="weighted", **w),
            "table": metrics.confusion_matrix(TRUE, PRED, normalize="all", **w),
            "rows": metrics.confusion_matrix(TRUE, PRED, normalize="true", labels=[2, 1], **w),
            "stream": stream.compute("all"),
            "report": metrics.classification_report(TRUE, PRED, output_dict=True, **w)["accuracy"],
            "top_k": metrics.top_k_accuracy_score(TRUE, SCORES, k=1, **w),
            "kappa": metrics.cohen_kappa_score(TRUE, PRED, weights="linear", **w),
            "matthews": metrics.matthews_corrcoef(TRUE, PRED, **w),
            "stream's": [
                stream.accuracy(),
                stream.balanced_accuracy(),
                stream.cohen_kappa(),
                stream.matthews_corrcoef(),
            ],
            "log_loss": metrics.log_loss(TRUE, SCORES, **w),
        }


@pytest.mark.parametrize("weight", LARGE, ids=lambda w: str(w.dtype))
def test_large_weights_weigh_as_ones(weight):
    ours, ones = _scores(weight), _scores(None)
    for name in ones:
        np.testing.assert_allclose(ours[name], ones[name], rtol=1e-15, err_msg=name)
    assert metrics.accuracy_score(TRUE, PRED, normalize=False, sample_weight=weight) == 3 * float(weight[0])
    assert metrics.confusion_matrix(TRUE, PRED, sample_weight=weight)[1, 1] == 2 * float(weight[0])


def test_tables_are_exact_while_int64_holds_them():
    weight = np.array([2**60 - 1, 2**60, 3, -5])
    table = metrics.confusion_matrix(TRUE, PRED, sample_weight=weight)
    assert table.dtype == np.int64 and table.tolist() == [[0, 2**60 - 1, 0], [0, 2**60 + 3, 0], [0, 0, -5]]
    for small in (weight.astype(np.int8), np.array([True, False, True, True])):
        assert metrics.confusion_matrix(TRUE, PRED, sample_weight=small).dtype == np.int64


def test_a_stream_of_pieces_does_not_overflow():
    whole, part = metrics.ConfusionMatrix(2), metrics.ConfusionMatrix(2)
    for k in range(1, 9):
        whole.update([0, 1], [1, 1], [2**60, 2**60])
        assert whole.compute().dtype == (np.int64 if k == 1 else np.float64)
    part.update([0], [1], [2**61])
    part.merge(part)
    assert whole.compute().tolist() == [[0, 2**63], [0, 2**63]] and whole.accuracy() == 0.5
    assert part.compute().tolist() == [[0, 2**62], [0, 0]]


def test_a_sum_beyond_every_float_is_refused():
    with pytest.raises(ValueError, match="sample_weight must have a finite sum"):
        metrics.accuracy_score(TRUE, PRED, sample_weight=np.full(4, 1e308))
