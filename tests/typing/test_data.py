"""Data, preprocessing, metrics and estimators."""

import os
import tempfile
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pytest import raises

import fastml
from fastml import data, metrics, preprocessing

if TYPE_CHECKING:
    from typing import assert_type
else:
    from .truth import assert_type

X, y = data.load_digits()
X, y = X[:200], y[:200]


def test_batches_keep_the_types_of_their_arrays() -> None:
    batches = data.batches(X, y, batch_size=32, seed=None)
    assert_type(batches, "data.Batches[tuple[NDArray[np.float32], NDArray[np.int64]]]")
    for xb, yb in batches:
        assert_type(xb, NDArray[np.float32])
        assert_type(yb, NDArray[np.int64])
    for listed in data.batches([1, 2, 3], ["a", "b", "c"], batch_size=None):
        assert_type(listed, tuple[NDArray[Any], ...])
    assert_type(len(batches), int)
    batches.load_state_dict(batches.state_dict())
    parts = data.split(X, y, test_size=50)
    assert_type(parts[1], NDArray[np.float32])
    assert_type(parts[2], NDArray[np.int64])
    for make in (data.make_spirals, data.make_moons, data.make_circles, data.make_xor, data.make_gaussians):
        assert_type(make(10), tuple[NDArray[np.float32], NDArray[np.int64]])
    assert data.make_blobs(10, [[0, 0], [1, 1]], cluster_std=[0.1, 0.2])[0].shape == (10, 2)

    with tempfile.TemporaryDirectory() as folder:
        for part in ("train", "t10k"):
            data.write_idx(os.path.join(folder, f"{part}-images-idx3-ubyte"), np.zeros((2, 28, 28), np.uint8))
            data.write_idx(os.path.join(folder, f"{part}-labels-idx1-ubyte"), np.arange(2, dtype=np.uint8))
        assert_type(data.read_idx(os.path.join(folder, "train-labels-idx1-ubyte")), NDArray[Any])
        images, digits = data.load_mnist(folder)[:2]
        assert_type(images, NDArray[np.uint8])
        assert_type(digits, NDArray[np.int64])


def test_scalers_keep_the_precision() -> None:
    assert_type(preprocessing.StandardScaler().fit(X), preprocessing.StandardScaler)
    assert_type(preprocessing.StandardScaler().fit_transform(X), NDArray[np.float32])
    assert_type(
        preprocessing.MinMaxScaler((-1, 1), clip=True).fit_transform([[1, 2], [3, 4]]), NDArray[np.floating[Any]]
    )
    assert_type(preprocessing.RobustScaler().fit(X).transform(X), NDArray[np.float32])
    assert_type(preprocessing.MaxAbsScaler().fit(X).inverse_transform(X.astype(np.float64)), NDArray[np.float64])
    assert_type(preprocessing.Normalizer("l1").transform(X), NDArray[np.float32])
    assert_type(preprocessing.StandardScaler().set_output(transform="default"), preprocessing.StandardScaler)
    assert_type(preprocessing.StandardScaler().set_output(transform="pandas"), Any)
    encoder = preprocessing.OneHotEncoder(sparse_output=False, handle_unknown="ignore").fit([["red", 1], ["blue", 2]])
    assert_type(encoder.transform([["red", 2]]), Any)
    assert_type(encoder.categories_, list[NDArray[Any]])


def test_metrics() -> None:
    assert_type(metrics.accuracy_score(["cat", "dog"], ["cat", "cat"]), float)
    assert_type(metrics.confusion_matrix(y, y, normalize="true"), NDArray[Any])
    assert_type(metrics.f1_score(y, y, average="macro"), float)
    assert_type(metrics.fbeta_score(y, y, beta=2, average="micro"), float)
    assert_type(metrics.recall_score(y, y, average=None), NDArray[np.float64])
    assert_type(metrics.precision_score(y, y, average="weighted"), float)
    assert_type(metrics.precision_recall_fscore(y, y)[0], NDArray[np.float64])
    assert_type(metrics.precision_recall_fscore(y, y, average="micro"), tuple[float, float, float, None])
    assert_type(metrics.classification_report(y, y), str)
    assert_type(metrics.classification_report(y, y, output_dict=True), dict[str, Any])
    assert_type(metrics.balanced_accuracy_score(y, y, adjusted=True), float)
    assert_type(metrics.cohen_kappa_score(y, y, weights="linear"), float)
    assert_type(metrics.matthews_corrcoef(y, y), float)
    proba = np.full((200, 10), 0.1)
    assert_type(metrics.log_loss(y, proba), float)
    assert_type(metrics.top_k_accuracy_score(y, proba, k=3), float)
    stream = metrics.ConfusionMatrix(10)
    stream.update(y, y)
    assert_type(stream.compute(), NDArray[Any])
    assert_type(stream.precision_recall_fscore(average="macro"), tuple[float, float, float, None])
    assert_type(metrics.ConfusionMatrixDisplay(stream.compute()).confusion_matrix, NDArray[Any])
    assert issubclass(metrics.UndefinedMetricWarning, UserWarning)
    p, q = np.full((2, 4), 0.25, np.float32), np.full((2, 4), 0.25, np.float32)
    for divergence in (metrics.kl_divergence(p, q), metrics.js_divergence(p, q, base=2), metrics.total_variation(p, q)):
        assert_type(divergence, np.float32 | NDArray[np.float32])
    assert_type(metrics.entropy([1, 1]), np.floating[Any] | NDArray[np.floating[Any]])
    assert_type(metrics.wasserstein_distance([0, 1], [1, 2], p=2), np.float64 | NDArray[np.float64])
    assert_type(metrics.wasserstein_distance_histogram(p, q), np.float64 | NDArray[np.float64])
    assert_type(metrics.energy_distance([0], [2]), np.float64 | NDArray[np.float64])


def test_estimators() -> None:
    classifier = fastml.MLPClassifier((8,), "tanh", learning_rate="cosine", epochs=1, random_state=0)
    assert_type(classifier.fit(X, y), fastml.MLPClassifier)
    assert_type(classifier.predict(X), NDArray[Any])
    assert_type(classifier.predict_proba(X), NDArray[np.floating[Any]])
    assert_type(classifier.score(X, y), float)
    assert_type(classifier.coefs_, list[NDArray[np.floating[Any]]])
    regressor = fastml.MLPRegressor(8, loss="absolute_error", solver="adamw", epochs=1, batch_size=16)
    assert_type(regressor.fit(X, y).predict(X), NDArray[np.floating[Any]])


def test_what_is_refused() -> None:
    with raises(ValueError):
        data.batches(X, batch_size="all")  # type: ignore[call-overload]
    with raises(ValueError):
        metrics.f1_score(y, y, average="samples")  # type: ignore[call-overload]
    with raises(ValueError):
        metrics.confusion_matrix(y, y, normalize="rows")  # type: ignore[arg-type]
    with raises(ValueError):
        metrics.cohen_kappa_score(y, y, weights="cubic")  # type: ignore[arg-type]
    with raises(ValueError):
        preprocessing.Normalizer("l3").fit(X)  # type: ignore[arg-type]
    with raises(ValueError):
        preprocessing.OneHotEncoder(handle_unknown="zeros").fit([[1]])  # type: ignore[arg-type]
    with raises(ValueError):
        preprocessing.StandardScaler().set_output(transform="dask")  # type: ignore[call-overload]
    with raises(TypeError):
        preprocessing.StandardScaler(True)  # type: ignore[call-arg]
    with raises(TypeError):
        data.read_idx(5)  # type: ignore[arg-type]
    with raises(TypeError):
        data.make_moons("100")  # type: ignore[arg-type]
    with raises(ValueError):
        fastml.MLPClassifier(solver="lbfgs").fit(X, y)  # type: ignore[arg-type]
    with raises(ValueError):
        fastml.MLPRegressor(loss="mse").fit(X, y)  # type: ignore[arg-type]
