"""ReLU and its gradient, exact: every comparison is of bits. Smooth functions are in test_activations_smooth.py."""

import numpy as np
import pytest

import fastml
from fastml import _simd, reference

from .common import (
    DTYPES,
    LAYOUTS,
    LENGTHS,
    adversarial,
    assert_same_bits,
    flushed,
    normal,
    relayout,
    run_python,
    with_threads,
)

BIG = 300_007
SPECIAL = (0.0, -0.0, 1.5, -1.5, np.nan, np.inf, -np.inf, 5e-324, -5e-324, 1e-45, -1e-45)


def expected(x):
    return np.where(x < 0, x.dtype.type(0), x)


def expected_backward(grad, x):
    """Denormals count as zeros."""
    return np.where(flushed(x) <= 0, grad.dtype.type(0), flushed(grad))


@pytest.mark.parametrize("dtype", DTYPES)
def test_lengths(dtype):
    for n in (*LENGTHS, BIG):
        x, grad = normal(n, dtype, seed=n), normal(n, dtype, seed=n + 1)
        assert_same_bits(fastml.relu(x), expected(x), f"{n}")
        assert_same_bits(fastml.relu(x), reference.relu(x), f"{n} reference")
        assert_same_bits(fastml.relu_backward(grad, x), expected_backward(grad, x), f"{n} backward")
        assert_same_bits(fastml.relu_backward(grad, x), reference.relu_backward(grad, x), f"{n} reference backward")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("place", [0, 5, 15, 16, 32])
def test_special_numbers(dtype, place):
    """NaN and -0 pass, as in PyTorch; in whole vectors and in a tail."""
    for value in SPECIAL:
        x = normal(35, dtype)
        x[place] = value
        y = fastml.relu(x)
        assert_same_bits(y, expected(x), f"{value}")
        for g in SPECIAL:
            grad = normal(35, dtype, seed=1)
            grad[place] = g
            assert_same_bits(fastml.relu_backward(grad, x), expected_backward(grad, x), f"{value} {g}")


@pytest.mark.parametrize("kind", ["inf", "nan", "denormal", "all -inf"])
def test_as_pytorch(kind):
    torch = pytest.importorskip("torch")
    x, grad = adversarial((9, 35), kind), normal((9, 35), seed=1)
    x[:, ::4] = -0.0
    tensor = torch.tensor(x, requires_grad=True)
    y = torch.relu(tensor)
    y.backward(torch.tensor(grad))
    assert_same_bits(fastml.relu(x), y.detach().numpy())
    assert_same_bits(fastml.relu_backward(grad, x), expected_backward(grad, x))
    if kind != "denormal":
        assert_same_bits(fastml.relu_backward(grad, x), tensor.grad.numpy())


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_layouts_and_out(layout, dtype):
    x, grad = normal((6, 7, 5), dtype), normal((6, 7, 5), dtype, seed=1)
    view, grad_view = relayout(x, layout), relayout(grad, layout)
    out = relayout(np.full_like(x, 99), layout)
    assert_same_bits(fastml.relu(view), expected(x))
    assert_same_bits(fastml.relu_backward(grad_view, x), expected_backward(grad, x))
    if layout == "swapped":
        return
    assert fastml.relu(view, out=out) is out
    assert_same_bits(np.array(out), expected(x))
    assert fastml.relu_backward(grad_view, view, out=out) is out
    assert_same_bits(np.array(out), expected_backward(grad, x))
    assert fastml.relu_backward(grad_view, view, out=grad_view) is grad_view
    assert_same_bits(np.array(grad_view), expected_backward(grad, x))
    assert_same_bits(fastml.relu_backward(grad, view, out=view), expected_backward(grad, x))
    view[...] = x
    assert fastml.relu(view, out=view) is view
    assert_same_bits(np.array(view), expected(x))


def test_conversions():
    assert_same_bits(fastml.relu([-1, 2]), np.array([0, 2], np.float32))
    assert_same_bits(fastml.relu(np.float64(-3.5)), np.array(0.0))
    assert_same_bits(fastml.relu(np.array([True, False])), np.array([1, 0], np.float32))
    assert fastml.relu(np.zeros((0, 3))).shape == (0, 3)


def test_result_and_input_give_the_same_gradient():
    x, grad = normal(BIG), normal(BIG, seed=1)
    assert_same_bits(fastml.relu_backward(grad, fastml.relu(x)), fastml.relu_backward(grad, x))


@pytest.mark.parametrize("dtype", DTYPES)
def test_threads(dtype):
    """Thirty calls in quick succession, because only then does a team pay."""
    x, grad = normal(BIG, dtype), normal(BIG, dtype, seed=1)
    y, dx = np.empty_like(x), np.empty_like(x)

    def repeat():
        for _ in range(30):
            y.fill(99)
            fastml.relu(x, out=y)
        for _ in range(30):
            dx.fill(99)
            fastml.relu_backward(grad, x, out=dx)

    for threads in (1, 2, 3, 7):
        with_threads(threads, repeat)
        assert_same_bits(y, expected(x))
        assert_same_bits(dx, expected_backward(grad, x))


CODE = """
    import numpy as np, fastml
    x, grad = np.random.default_rng(0).standard_normal((2, 70_003))
    x[::9], x[1::9] = np.nan, -0.0
    result = {}
    for shift in range(0, 20, 3):
        for t in "fd":
            a, g, memory = x.astype(t), grad.astype(t), np.full(70_050, 99, t)
            fastml.relu(a, out=memory[shift : shift + 70_003])
            result[f"{shift} {t}"] = memory.copy()
            fastml.relu_backward(g, a, out=memory[shift : shift + 70_003])
            result[f"{shift} {t} backward"] = memory
"""


def test_targets_and_stores_past_the_caches():
    first, *others = [
        run_python(CODE, FASTML_ISA=target, FASTML_CACHE_BYTES=size)
        for target in _simd.available_targets()
        for size in ("1000000000", "1000")
    ]
    for other in others:
        for name, value in first.items():
            assert_same_bits(other[name], value, name)


def test_wrong_arguments_write_nothing():
    x, out = np.ones((2, 3)), np.full((2, 3), 99.0)
    for error, name, args in (
        (ValueError, "x", {"x": np.ones((3, 2))}),
        (TypeError, "x", {"x": np.ones((2, 3), complex)}),
        (TypeError, "grad", {"grad": [["a"] * 3] * 2}),
        (ValueError, "out", {"out": np.ones(6)}),
        (TypeError, "out", {"out": np.ones((2, 3), np.float32)}),
        (TypeError, "out", {"out": [0.0]}),
    ):
        given = {"grad": x, "x": x, "out": out, **args}
        with pytest.raises(error, match=name):
            fastml.relu_backward(**given)
        assert np.all(out == 99)
    memory = np.ones(10)
    with pytest.raises(ValueError, match="out"):
        fastml.relu(memory[1:], out=memory[:-1])
    read_only = np.ones(3)
    read_only.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        fastml.relu(np.ones(3), out=read_only)
    assert np.all(memory == 1) and np.all(read_only == 1)
