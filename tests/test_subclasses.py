"""Subclasses of ndarray that lie about shape, strides, dtype or flags, and masked arrays: C sees the real array."""

import numpy as np
import pytest

import fastml
from fastml import data, metrics, nn, optim, preprocessing

from .arrays import assert_same_bits, normal
from .common import OPS, copy_args, map_arrays


class Liar(np.ndarray):
    """Says something else of itself than NumPy knows."""

    shape = (10**6, 10**6)
    strides = (0, 0)
    ndim = 2
    size = 10**12
    dtype = np.dtype(np.float64)
    flags = np.zeros(1).flags
    nbytes = 1

    def __len__(self):
        return 10**6

    def __setitem__(self, key, value):
        raise AssertionError("a subclass's own __setitem__ is none of the library's business")


def lying(a):
    return a.view(Liar)


def results(op, args):
    return [np.asarray(r) for r in op.run(args)]


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.id)
def test_a_lying_subclass_is_the_array_that_it_is(op):
    shape = (6, 10)
    args = op.make(shape, np.float32, seed=1)
    want = results(op, copy_args(args))
    names = (*op.arrays, "labels")
    got = results(op, map_arrays(copy_args(args), names, lying))
    for k, (g, w) in enumerate(zip(got, want, strict=True)):
        assert_same_bits(g, w, f"{op.id} result {k}")


@pytest.mark.parametrize("layout", ["contiguous", "strided"])
@pytest.mark.parametrize("op", [op for op in OPS if op.out is not None], ids=lambda op: op.id)
def test_out_of_a_lying_subclass(op, layout):
    args = op.make((6, 10), np.float32, seed=1)
    want = results(op, copy_args(args))[op.out]
    memory = np.zeros((*want.shape, 2), want.dtype)[..., 0] if layout == "strided" else np.zeros_like(want)
    out = lying(memory)
    got = op.run({**copy_args(args), "out": out})[op.out]
    assert got is out
    assert_same_bits(memory, want, op.id)


@pytest.mark.parametrize("op", [op for op in OPS if op.out is not None], ids=lambda op: op.id)
def test_out_that_claims_the_right_shape(op):
    """The lie is what a check wants to hear."""
    args = op.make((6, 10), np.float32, seed=1)
    want = results(op, copy_args(args))[op.out]
    kind = type("Right", (np.ndarray,), {"shape": want.shape, "ndim": want.ndim, "dtype": want.dtype})
    memory = np.zeros(3, want.dtype)
    with pytest.raises((ValueError, TypeError), match="out"):
        op.run({**copy_args(args), "out": memory.view(kind)})
    assert not memory.any()


def test_parameters_and_states_that_claim_the_right_shape():
    kind = type("Right", (np.ndarray,), {"shape": (1000,), "size": 1000})
    for name in ("params", "grads", "velocities"):
        args = {n: [np.zeros(1000, np.float32)] for n in ("params", "grads", "velocities")}
        args[name] = [np.zeros(3, np.float32).view(kind)]
        with pytest.raises(ValueError, match=r"params\[0\]|grads\[0\]|velocities\[0\]"):
            fastml.sgd_step(**args, lr=0.1, momentum=0.9)
    small = np.zeros(3, np.float32).view(type("Right", (np.ndarray,), {"shape": (10,)}))
    for name in ("running_mean", "running_var"):
        statistics = {"running_mean": np.zeros(10, np.float32), "running_var": np.ones(10, np.float32), name: small}
        with pytest.raises(ValueError, match=name):
            fastml.batch_norm(normal((6, 10)), **statistics)


def masked(a):
    return np.ma.MaskedArray(a, mask=np.arange(a.size).reshape(a.shape) % 2 == 0)


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.id)
def test_masked_arrays_are_refused(op):
    """Each array in turn, out too."""
    args = op.make((6, 10), np.float32, seed=1)
    for name in (*op.arrays, *(["labels"] if "labels" in args else [])):
        if args.get(name) is not None:
            with pytest.raises(TypeError, match=rf"{name}.* without a mask"):
                op.run(map_arrays(copy_args(args), [name], masked))
    if op.out is not None:
        out = masked(np.zeros(op.run(copy_args(args))[op.out].shape, np.float32))
        with pytest.raises(TypeError, match="out must be an array without a mask"):
            op.run({**copy_args(args), "out": out})


X, Y = masked(normal((8, 3))), masked(np.arange(8) % 2)
MASKED = {
    "batches": ("arrays", lambda: data.batches(X, Y)),
    "split": ("arrays", lambda: data.split(X)),
    "StandardScaler": ("X", lambda: preprocessing.StandardScaler().fit(X)),
    "MinMaxScaler": ("X", lambda: preprocessing.MinMaxScaler().fit(X)),
    "RobustScaler": ("X", lambda: preprocessing.RobustScaler().fit(X)),
    "Normalizer": ("X", lambda: preprocessing.Normalizer().fit(X)),
    "OneHotEncoder": ("X", lambda: preprocessing.OneHotEncoder().fit(X)),
    "sample_weight": (
        "sample_weight",
        lambda: metrics.accuracy_score([0, 1], [0, 1], sample_weight=masked(np.ones(2))),
    ),
    "accuracy_score": ("y_true", lambda: metrics.accuracy_score(Y, np.asarray(Y))),
    "confusion_matrix": ("y_pred", lambda: metrics.confusion_matrix(np.asarray(Y), Y)),
    "log_loss": ("y_proba", lambda: metrics.log_loss([0, 1] * 4, masked(np.full(8, 0.5)))),
    "js_divergence": ("p", lambda: metrics.js_divergence(X, np.asarray(X))),
    "wasserstein": ("v_values", lambda: metrics.wasserstein_distance(np.asarray(Y), Y)),
    "Linear": ("x", lambda: nn.Linear(3, 2)(X)),
    "Flatten": ("x", lambda: nn.Flatten()(X)),
    "loss": ("target", lambda: nn.CrossEntropyLoss()(np.zeros((8, 2)), Y)),
    "compile_step": ("x", lambda: _step()(X, np.asarray(Y))),
    "compile_step's target": ("target", lambda: _step()(np.asarray(X), Y)),
    "MLPClassifier": ("X", lambda: fastml.MLPClassifier(epochs=1).fit(X, np.asarray(Y))),
    "MLPClassifier's y": ("y", lambda: fastml.MLPClassifier(epochs=1).fit(np.asarray(X), Y)),
    "MLPRegressor's y": ("y", lambda: fastml.MLPRegressor(epochs=1).fit(np.asarray(X), masked(np.ones(8)))),
}


def _step():
    model = nn.Sequential(nn.Linear(3, 2, seed=0))
    return nn.compile_step(model, nn.CrossEntropyLoss(), optim.SGD(model.parameters(), lr=0.1))


@pytest.mark.parametrize("name", MASKED)
def test_masked_data_is_refused(name):
    argument, call = MASKED[name]
    with pytest.raises(TypeError, match=rf"{argument}.* without a mask"):
        call()


def test_masked_arrays_are_not_saved(tmp_path):
    with pytest.raises(TypeError, match=r"model_or_state\['a'\].* without a mask"):
        nn.save({"a": np.ma.array([1.0, 2.0], mask=[0, 1])}, tmp_path / "a.safetensors")
    assert not list(tmp_path.iterdir())


def test_masked_arrays_are_not_trained():
    with pytest.raises(TypeError, match=r"params\[0\].* without a mask"):
        optim.SGD([np.ma.zeros(3)], 0.1)


def test_an_array_that_cannot_be_made_is_named():
    class Broken:
        def __array__(self, dtype=None, copy=None):
            raise RuntimeError("no")

    class Wrong:
        def __array__(self, dtype=None, copy=None):
            return [1.0, 2.0]

    for x in (Broken(), Wrong(), [[1, 2], [3]], object()):
        with pytest.raises((ValueError, TypeError), match=r"\bx\b"):
            fastml.softmax(x)
        with pytest.raises((ValueError, TypeError), match="target"):
            fastml.cross_entropy(np.zeros((2, 3)), x)
