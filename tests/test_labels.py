"""Labels in memory that is awkward or that another thread changes: right results or an error, and never a crash."""

import numpy as np
import pytest

import fastml
from fastml import metrics, nn, optim

from .arrays import assert_same_bits, normal
from .processes import run_script

CLASSES = 8

RACE = """
import threading, time, warnings
import numpy as np
import fastml
from fastml import metrics, nn, optim

warnings.simplefilter("ignore")
n, c = {rows}, 8
x = np.random.default_rng(0).standard_normal((n, c)).astype(np.float32)
p, log_p, weight, square = fastml.softmax(x), fastml.log_softmax(x), np.ones(c, np.float32), x[:c]
x_t, log_p_t = np.ascontiguousarray(x.T), np.ascontiguousarray(log_p.T)
labels = np.zeros(n, np.int64)
model = nn.Sequential(nn.Linear(c, c, seed=0))
step = nn.compile_step(model, nn.CrossEntropyLoss(), optim.SGD(model.parameters(), lr=0.1))
calls = [{calls}]
done, deadline = False, time.monotonic() + {seconds}


def change():
    while not done:
        labels[::3] = 2**40
        labels[::3] = 0


other = threading.Thread(target=change)
other.start()
try:
    while time.monotonic() < deadline:
        for call in calls:
            try:
                call()
            except (IndexError, ValueError) as error:
                assert any(name in str(error) for name in ("target", "labels", "y_true")), error
            except MemoryError:  # the number of classes is one more than the largest label
                pass
finally:
    done = True
    other.join()
"""

READERS = {
    "cross_entropy": ["fastml.cross_entropy(x, labels)", "fastml.cross_entropy(x, labels, weight=weight)"],
    "cross_entropy_with_grad": ["fastml.cross_entropy_with_grad(x, labels, label_smoothing=0.1, ignore_index=3)"],
    "columns": ["fastml.cross_entropy_with_grad(x_t, labels, axis=0)"],
    "nll_loss": ["fastml.nll_loss_with_grad(log_p, labels)", "fastml.nll_loss(log_p, labels, weight=weight)"],
    "nll_loss of columns": ["fastml.nll_loss_with_grad(log_p_t, labels, axis=0, weight=weight)"],
    "linear_cross_entropy": ["fastml.linear_cross_entropy_with_grad(x, square, labels)"],
    "log_loss": ["metrics.log_loss(labels, p, labels=range(c))"],
    "top_k": ["metrics.top_k_accuracy_score(labels, p, labels=range(c))"],
    "confusion_matrix": ["metrics.confusion_matrix(labels, labels)"],
    "one_hot": ["fastml.one_hot(labels, c)"],
    "one_hot without a number": ["fastml.one_hot(labels)"],
    "compile_step": ["step(x, labels)"],
}


@pytest.mark.parametrize("name", READERS)
def test_labels_that_another_thread_changes(name):
    calls = ", ".join(f"lambda: {call}" for call in READERS[name])
    rows = 4000 if name == "compile_step" else 200_000
    run_script(RACE.format(calls=calls, rows=rows, seconds=0.4))


def misaligned(labels):
    memory = np.zeros(labels.nbytes + 1, np.uint8)
    view = np.frombuffer(memory, "<i8", len(labels), offset=1)
    assert not view.flags.aligned
    memory[1:] = labels.view(np.uint8)
    return view


LAYOUTS = {
    "misaligned": misaligned,
    "swapped": lambda y: y.astype(">i8"),
    "swapped uint64": lambda y: y.astype(">u8"),
    "uint64": lambda y: y.astype(np.uint64),
    "int8": lambda y: y.astype(np.int8),
    "strided": lambda y: np.repeat(y, 2)[::2],
    "reversed": lambda y: y[::-1].copy()[::-1],
    "list": lambda y: y.tolist(),
    "subclass": lambda y: y.view(type("Labels", (np.ndarray,), {"shape": (3,), "dtype": np.dtype("f4")})),
}


def train(labels):
    model = nn.Sequential(nn.Linear(CLASSES, CLASSES, seed=0))
    step = nn.compile_step(model, nn.CrossEntropyLoss(), optim.SGD(model.parameters(), lr=0.1))
    return step(normal((32, CLASSES), seed=1), labels), step(normal((32, CLASSES), seed=1), labels)


USES = {
    "cross_entropy": lambda y: fastml.cross_entropy_with_grad(normal((32, CLASSES)), y),
    "columns": lambda y: fastml.cross_entropy_with_grad(normal((CLASSES, 32)), y, axis=0, reduction="none"),
    "nll_loss": lambda y: fastml.nll_loss_with_grad(fastml.log_softmax(normal((32, CLASSES))), y),
    "linear_cross_entropy": lambda y: fastml.linear_cross_entropy_with_grad(
        normal((32, 5)), normal((CLASSES, 5), seed=1), y
    ),
    "one_hot": lambda y: (fastml.one_hot(y, CLASSES), fastml.one_hot(y)),
    "log_loss": lambda y: metrics.log_loss(y, fastml.softmax(normal((32, CLASSES))), labels=range(CLASSES)),
    "top_k": lambda y: metrics.top_k_accuracy_score(y, normal((32, CLASSES)), labels=range(CLASSES)),
    "confusion_matrix": lambda y: metrics.confusion_matrix(y, y, labels=np.arange(CLASSES)),
    "compile_step": train,
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("use", USES)
def test_labels_of_every_layout(use, layout):
    labels = np.random.default_rng(2).integers(0, CLASSES, 32)
    labels[0] = CLASSES - 1
    got, want = USES[use](LAYOUTS[layout](labels)), USES[use](labels)
    for g, w in zip(np.atleast_1d(got) if not isinstance(got, tuple) else got,
                    np.atleast_1d(want) if not isinstance(want, tuple) else want, strict=True):  # fmt: skip
        assert_same_bits(g, w, f"{use} {layout}")


@pytest.mark.parametrize("layout", ["swapped", "uint64", "misaligned", "list"])
def test_wrong_labels_of_every_layout(layout):
    labels = np.zeros(32, np.int64)
    labels[5] = CLASSES
    for use in ("cross_entropy", "columns", "nll_loss", "linear_cross_entropy", "compile_step"):
        with pytest.raises(IndexError, match=r"target must lie in 0 \.\. 7, not 8 at index 5"):
            USES[use](LAYOUTS[layout](labels))


def test_an_ignore_index_beyond_int64_ignores_nothing():
    with pytest.raises(IndexError, match="target must lie in"):
        fastml.cross_entropy(np.zeros((2, 3)), [0, -1], ignore_index=2**63)
