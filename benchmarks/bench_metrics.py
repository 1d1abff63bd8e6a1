"""Scores of a classifier: fastml, scikit-learn, and NumPy as one would write it; 1e6 labels and 100."""

import numpy as np

from fastml.reference import classification as reference

from .common import Case, Setup, shape_label

CLASSES = 10


def _labels(n, classes, dtype="int64"):
    rng = np.random.default_rng(0)
    true = rng.integers(0, classes, n)
    pred = np.where(rng.random(n) < 0.9, true, rng.integers(0, classes, n))
    return true.astype(dtype), pred.astype(dtype)


def _case(op, label, dtype, calls, want, nbytes):
    """`calls`: by peer, a function that imports the peer and returns the call; `want()` is the answer."""

    def check(result, peer):
        results, answers = ((x if isinstance(x, tuple) else (x,)) for x in (result, want()))
        for got, answer in zip(results, answers, strict=True):
            if not np.allclose(got, answer, rtol=1e-5 if dtype == "float32" else 1e-10, atol=0):
                raise AssertionError(f"{peer}: {got}, expected {answer}")

    peers = tuple(peer for peer in calls if peer != "fastml")
    return Case(op, label, dtype, lambda: Setup(calls, check), nbytes=nbytes, peers=peers)


def _sklearn(name, *args, **options):
    def build():
        import sklearn.metrics

        function = getattr(sklearn.metrics, name)
        return lambda: function(*args, **options)

    return build


def _fastml(name, *args, **options):
    def build():
        from fastml import metrics

        function = getattr(metrics, name)
        return lambda: function(*args, **options)

    return build


def _confusion_case(n, classes=CLASSES, dtype="int64", weights=False):
    true, pred = _labels(n, classes, dtype)
    weight = np.random.default_rng(1).random(n) if weights else None

    def numpy_():
        def call():
            cell = true.astype(np.intp) * classes + pred
            return np.bincount(cell, weight, minlength=classes**2).reshape(classes, classes)

        def plain():
            return np.bincount(true * classes + pred, minlength=classes**2).reshape(classes, classes)

        return plain if dtype == "int64" and not weights else call

    calls = {
        "fastml": _fastml("confusion_matrix", true, pred, sample_weight=weight),
        "sklearn": _sklearn("confusion_matrix", true, pred, sample_weight=weight),
        "numpy": numpy_,
    }
    label = f"{shape_label((n,))}, {classes} classes" + (", weights" if weights else "")
    nbytes = true.nbytes + pred.nbytes + (weight.nbytes if weights else 0)

    def want():
        return reference.confusion_matrix(true, pred, sample_weight=weight)

    return _case("confusion_matrix", label, dtype, calls, want, nbytes)


def _accuracy_case(n):
    true, pred = _labels(n, CLASSES)
    calls = {
        "fastml": _fastml("accuracy_score", true, pred),
        "sklearn": _sklearn("accuracy_score", true, pred),
        "numpy": lambda: lambda: float(np.mean(true == pred)),
    }
    return _case("accuracy_score", shape_label((n,)), "int64", calls, lambda: float(np.mean(true == pred)), 16 * n)


def _score_case(ours, n, theirs=None):
    """Scores that have no short form in NumPy."""
    true, pred = _labels(n, CLASSES)
    calls = {"fastml": _fastml(ours, true, pred), "sklearn": _sklearn(theirs or ours, true, pred)}
    return _case(ours, shape_label((n,)), "int64", calls, lambda: getattr(reference, ours)(true, pred), 16 * n)


def _probabilities(n, dtype):
    p = np.random.default_rng(1).random((n, CLASSES))
    return (p / p.sum(axis=1, keepdims=True)).astype(dtype)


def _top_k_case(n, dtype):
    true, p, k = _labels(n, CLASSES)[0], _probabilities(n, dtype), 3

    def numpy_():
        def call():
            best = np.argpartition(p, -k, axis=1)[:, -k:]
            return float(np.mean((best == true[:, None]).any(axis=1)))

        return call

    calls = {
        "fastml": _fastml("top_k_accuracy_score", true, p, k=k),
        "sklearn": _sklearn("top_k_accuracy_score", true, p, k=k),
        "numpy": numpy_,
    }

    def want():
        return reference.top_k_accuracy_score(true, p, k=k)

    label = f"{shape_label((n,))}, {CLASSES} classes"
    return _case("top_k_accuracy_score", label, dtype, calls, want, 8 * n + p.nbytes)


def _log_loss_case(n, dtype):
    true, p = _labels(n, CLASSES)[0], _probabilities(n, dtype)

    def numpy_():
        """The loss alone, without looking at the probabilities."""
        eps, rows = np.finfo(p.dtype).eps, np.arange(n)
        return lambda: float(-np.mean(np.log(np.clip(p[rows, true], eps, 1 - eps))))

    calls = {"fastml": _fastml("log_loss", true, p), "sklearn": _sklearn("log_loss", true, p), "numpy": numpy_}
    label = f"{shape_label((n,))}, {CLASSES} classes"
    return _case("log_loss", label, dtype, calls, lambda: reference.log_loss(true, p), 8 * n + p.nbytes)


def _stream_case(n):
    true, pred = _labels(n, CLASSES)

    def fastml_():
        from fastml import metrics

        def call():
            stream = metrics.ConfusionMatrix(CLASSES)
            stream.update(true, pred)
            return stream.compute()

        return call

    def numpy_():
        def call():
            matrix = np.zeros((CLASSES, CLASSES), np.int64)
            np.add.at(matrix, (true, pred), 1)
            return matrix

        return call

    calls = {"fastml": fastml_, "numpy": numpy_}
    return _case(
        "ConfusionMatrix.update",
        shape_label((n,)),
        "int64",
        calls,
        lambda: reference.confusion_matrix(true, pred),
        16 * n,
    )


SIZES = (100, 10**6)
CASES = [
    *(_confusion_case(n) for n in SIZES),
    _confusion_case(10**6, 100),
    _confusion_case(10**6, dtype="int32"),
    _confusion_case(10**6, dtype="uint8"),
    _confusion_case(10**6, weights=True),
    *(_stream_case(n) for n in SIZES),
    *(_accuracy_case(n) for n in SIZES),
    *(_score_case("precision_recall_fscore", n, "precision_recall_fscore_support") for n in SIZES),
    *(_score_case("balanced_accuracy_score", n) for n in SIZES),
    *(_score_case("cohen_kappa_score", n) for n in SIZES),
    *(_score_case("matthews_corrcoef", n) for n in SIZES),
    *(_top_k_case(n, "float64") for n in SIZES),
    _top_k_case(10**6, "float32"),
    *(_log_loss_case(n, "float64") for n in SIZES),
    _log_loss_case(10**6, "float32"),
]
