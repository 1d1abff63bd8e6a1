"""The softmax family along thousands of nearly equal entries: sums of terms whose roundings all go one way."""

import numpy as np
import pytest

import fastml
from fastml import _simd, nn, optim

from .common import DTYPES

FAR = (0.02, 5, 8.3, 10, 14, 17, 34)  # how far below one largest entry the others lie
# docs/numerics.md: float32, float64
ULP = {"softmax": (2, 4), "log_softmax": (3, 5), "logsumexp": (2, 4), "loss": (3, 5), "gradient": (3, 5)}
TWICE = _simd.target == "baseline"  # a multiply-add that rounds twice costs up to an ulp more


def rows_of(n, far, dtype):
    """Rows with the others equal, equal to the last digits and within 0.01, the largest entry anywhere."""
    rng = np.random.default_rng(n + int(far))
    x = np.full((6, n), -far, dtype) + rng.random((6, 1)).astype(dtype)
    x[2:4] += (x[2:4] * np.finfo(dtype).eps * rng.integers(0, 3, (2, n))).astype(dtype)
    x[4:] += (0.01 * rng.standard_normal((2, n))).astype(dtype)
    labels = rng.integers(0, n, 6)
    x[np.arange(6), labels] = 1 + rng.random(6).astype(dtype)
    return x, labels


def exact(x, labels):
    """Of rows with one largest entry, the label, in extended precision."""
    x, at = x.astype(np.longdouble), (np.arange(len(x)), labels)
    top = x[at][:, None]
    e = np.exp(x - top)
    e[at] = 0
    others = e.sum(axis=1, keepdims=True)
    e[at] = 1
    want = {"softmax": e / (1 + others), "log_softmax": (x - top) - np.log1p(others)}
    want["logsumexp"], want["loss"] = (top + np.log1p(others))[:, 0], np.log1p(others)[:, 0]
    want["gradient"] = want["softmax"].copy()
    want["gradient"][at] = -(others / (1 + others))[:, 0]
    return want


def computed(x, labels, axis):
    loss = fastml.cross_entropy(x, labels, axis=axis, reduction="none")
    gradient = fastml.cross_entropy_with_grad(x, labels, axis=axis, reduction="sum")[1]
    results = {name: getattr(fastml, name)(x, axis) for name in ("softmax", "log_softmax", "logsumexp")}
    return results | {"loss": loss, "gradient": gradient}


def check(name, got, want, what):
    error = np.abs(got.astype(np.longdouble) - want) / np.spacing(np.abs(want).astype(got.dtype))
    assert error.max() <= ULP[name][got.dtype == np.float64] + TWICE, f"{name} {what}: {float(error.max()):.1f} ulp"


@pytest.mark.parametrize("axis", [1, 0])
@pytest.mark.parametrize("n", [4096, 8192, 32_000])
@pytest.mark.parametrize("dtype", DTYPES)
def test_nearly_equal_entries(dtype, n, axis):
    for far in FAR:
        x, labels = rows_of(n, far, dtype)
        want = exact(x, labels)
        for name, got in computed(x if axis else np.ascontiguousarray(x.T), labels, axis).items():
            check(name, got if axis or got.ndim == 1 else got.T, want[name], f"{far} below")


@pytest.mark.parametrize("dtype", DTYPES)
def test_probabilities_as_target(dtype):
    for far in FAR:
        x, labels = rows_of(8192, far, dtype)
        target = np.zeros_like(x)
        target[np.arange(len(x)), labels] = 1
        check("loss", fastml.cross_entropy(x, target, reduction="none"), exact(x, labels)["loss"], f"{far} below")


@pytest.mark.parametrize("dtype", DTYPES)
def test_in_a_step_and_fused_with_a_layer(dtype):
    """A layer of one input, 1, whose weights are the logits."""
    one, n = np.ones((1, 1), dtype), 8192
    for far in FAR:
        x, labels = rows_of(n, far, dtype)
        want = exact(x, labels)
        for row in (0, 2, 4):
            weight, label = x[row][:, None].copy(), labels[row : row + 1]
            loss, _, slope, _ = fastml.linear_cross_entropy_with_grad(one, weight, label)
            check("loss", np.asarray(loss, dtype), want["loss"][row], f"{far} below, fused")
            check("gradient", slope[:, 0], want["gradient"][row], f"{far} below, fused")
            model = nn.Sequential(nn.Linear(1, n, dtype=dtype))
            model.load_state_dict({"0.weight": weight, "0.bias": np.zeros(n, dtype)})
            step = nn.compile_step(model, nn.CrossEntropyLoss(), optim.SGD(model.parameters(), lr=0.1))
            check("loss", np.asarray(step(one, label), dtype), want["loss"][row], f"{far} below, step")
