"""ReLU and its gradient, exact, so that every comparison is of bits; GELU and its gradient in units in the last place."""

from functools import partial

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
    normal,
    relayout,
    run_python,
    ulp_error,
    with_threads,
)

BIG = 300_007
SPECIAL = (0.0, -0.0, 1.5, -1.5, np.nan, np.inf, -np.inf, 5e-324, -5e-324, 1e-45, -1e-45)


def expected(x):
    return np.where(x < 0, x.dtype.type(0), x)


def expected_backward(grad, x):
    return np.where(x <= 0, grad.dtype.type(0), grad)


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


# --- GELU ----------------------------------------------------------------------------------------------------

FORMS = ("none", "tanh")
# What fm.h promises: of y, and of dx in units of the larger of its two terms.
GELU_ULP = {"none": (4, 4), "tanh": (4, 6)}


def sweep(dtype):
    """Every part of the range: the middle densely, the tail to where it underflows, magnitudes to denormal."""
    end = 15 if dtype is np.float32 else 39
    rng = np.random.default_rng(0)
    tiny = np.exp(rng.uniform(-103 if dtype is np.float32 else -700, 3, 4000))
    parts = np.linspace(-end, end, 30_001), rng.normal(size=20_000), tiny, -tiny
    return np.concatenate(parts).astype(dtype)


def exact(x, approximate, mp):
    """y, dy/dx and the larger of its two terms, as numbers of mpmath."""
    x = mp.mpf(float(x))
    if approximate == "none":
        share, slope = mp.erfc(-x / mp.sqrt(2)) / 2, mp.exp(-x * x / 2) / mp.sqrt(2 * mp.pi)
    else:
        c = mp.mpf("0.044715")
        two_u = mp.sqrt(8 / mp.pi) * (x + c * x**3)
        share = 1 / (1 + mp.exp(-two_u))
        slope = share / (1 + mp.exp(two_u)) * mp.sqrt(8 / mp.pi) * (1 + 3 * c * x * x)
    return x * share, share + x * slope, max(share, abs(x * slope))


@pytest.mark.parametrize("approximate", FORMS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_gelu_to_the_last_place(dtype, approximate):
    mp = pytest.importorskip("mpmath").mp.clone()
    mp.dps = 40
    x = sweep(dtype)[:: 9 if dtype is np.float32 else 23]
    got = fastml.gelu(x, approximate=approximate), fastml.gelu_backward(np.ones_like(x), x, approximate=approximate)
    tiny = np.finfo(dtype).smallest_subnormal
    worst = [0.0, 0.0]
    for k, value in enumerate(x):
        y, slope, term = exact(value, approximate, mp)
        for i, (want, size) in enumerate(((y, abs(y)), (slope, term))):
            unit = max(np.spacing(dtype(float(size))), tiny)
            worst[i] = max(worst[i], float(abs(mp.mpf(float(got[i][k])) - want) / mp.mpf(float(unit))))
    assert worst[0] <= GELU_ULP[approximate][0] and worst[1] <= GELU_ULP[approximate][1], worst


@pytest.mark.parametrize("approximate", FORMS)
def test_gelu_of_float32_everywhere(approximate):
    """Against the float64 result, which is exact enough."""
    x = np.concatenate([sweep(np.float32), np.linspace(-15, 15, 2_000_001, dtype=np.float32)])
    want = fastml.gelu(x.astype(np.float64), approximate=approximate)
    assert ulp_error(fastml.gelu(x, approximate=approximate), want) <= 4.1


@pytest.mark.parametrize("approximate", FORMS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_gelu_lengths(dtype, approximate):
    """The same bits wherever an element lies in a vector."""
    x, grad = normal(BIG, dtype, 3, 4), normal(BIG, dtype, 4)
    y, dx = (f(approximate=approximate) for f in (partial(fastml.gelu, x), partial(fastml.gelu_backward, grad, x)))
    for n in (*LENGTHS, 1000):
        for start in (0, 5):
            part = slice(start, start + n)
            assert_same_bits(fastml.gelu(x[part], approximate=approximate), y[part], f"{n}")
            assert_same_bits(fastml.gelu_backward(grad[part], x[part], approximate=approximate), dx[part], f"{n}")


@pytest.mark.parametrize("approximate", FORMS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_gelu_special_numbers(dtype, approximate):
    big = np.finfo(dtype).max
    x = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, big, -big, 60, -60], dtype)
    y = fastml.gelu(x, approximate=approximate)
    assert_same_bits(y, np.array([0.0, -0.0, np.inf, np.nan, np.nan, big, -0.0, 60, -0.0], dtype))
    slope = fastml.gelu_backward(np.ones_like(x), x, approximate=approximate)
    np.testing.assert_array_equal(slope, np.array([0.5, 0.5, np.nan, np.nan, np.nan, 1, 0, 1, 0], dtype))


@pytest.mark.parametrize("approximate", FORMS)
def test_gelu_as_pytorch(approximate):
    torch = pytest.importorskip("torch")
    x, grad = normal((50, 67), np.float64, 5, 3), normal((50, 67), np.float64, 6)
    tensor = torch.tensor(x, requires_grad=True)
    want = torch.nn.functional.gelu(tensor, approximate=approximate)
    want.backward(torch.tensor(grad))
    np.testing.assert_allclose(fastml.gelu(x, approximate=approximate), want.detach().numpy(), rtol=1e-10, atol=1e-15)
    got = fastml.gelu_backward(grad, x, approximate=approximate)
    np.testing.assert_allclose(got, tensor.grad.numpy(), rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("module", [fastml, reference], ids=["fastml", "reference"])
def test_gelu_wrong_form(module):
    out = np.full(3, 99.0)
    for error, wrong in ((ValueError, "erf"), (ValueError, ""), (TypeError, None), (TypeError, True)):
        with pytest.raises(error, match="approximate"):
            module.gelu(np.ones(3), approximate=wrong, out=out)
        with pytest.raises(error, match="approximate"):
            module.gelu_backward(np.ones(3), np.ones(3), approximate=wrong, out=out)
    assert np.all(out == 99)


GELU_CODE = """
    import numpy as np, fastml
    from tests.test_activations import FORMS, sweep
    result = {}
    for dtype in (np.float32, np.float64):
        x = np.concatenate([sweep(dtype), np.array([np.nan, np.inf, -np.inf, -0.0], dtype)])
        for form in FORMS:
            for shift in (0, 3):
                memory = np.full((2, x.size + 9), 99, dtype)
                fastml.gelu(x, approximate=form, out=memory[0, shift : shift + x.size])
                fastml.gelu_backward(x[::-1], x, approximate=form, out=memory[1, shift : shift + x.size])
                result[f"{dtype.__name__} {form} {shift}"] = memory
"""


def test_gelu_targets_and_stores_past_the_caches():
    first, *others = [
        run_python(GELU_CODE, FASTML_ISA=target, FASTML_CACHE_BYTES=size)
        for target in _simd.available_targets()
        if target != "baseline"
        for size in ("1000000000", "1000")
    ]
    for other in others:
        for name, value in first.items():
            assert_same_bits(other[name], value, name)
