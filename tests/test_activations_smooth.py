"""GELU, SiLU, hard swish, sigmoid, tanh, softplus, ELU and their gradients in units in the last place; leaky ReLU
exactly."""

import numpy as np
import pytest

import fastml
from fastml import _simd, reference

from .common import DTYPES, LENGTHS, assert_same_bits, normal, run_python, ulp_error, with_threads
from .kinds import ACTIVATIONS, class_of, of_torch

BIG = 300_007
TANH_FORM = {"approximate": "tanh"}


#: What fm.h promises of floats, in units in the last place: the curves need fused multiply-adds.
FLOATS = 4 if _simd.target == "baseline" else 1


def case(name, options=None, forward=4, backward=4):
    """A function with its options, and what fm.h promises of doubles, y and dx, in units in the last place."""
    return pytest.param(name, options or {}, forward, backward, id=name + ("-tanh" if options == TANH_FORM else ""))


CASES = [
    case("gelu"),
    case("gelu", TANH_FORM, backward=6),
    case("silu"),
    case("hard_swish"),
    case("sigmoid"),
    case("tanh"),
    case("softplus", {"threshold": np.inf}),
    case("elu"),
]
every_case = pytest.mark.parametrize(("name", "options", "forward", "backward"), CASES)
FUNCTIONS = [(c.values[0], c.values[1]) for c in CASES]
FUNCTIONS += [
    ("elu", {"alpha": 0.7}),
    ("softplus", {"beta": 1.7, "threshold": 2.5}),
    ("leaky_relu", {"negative_slope": 0.1}),
]


def both(name, options, grad, x):
    return getattr(fastml, name)(x, **options), getattr(fastml, f"{name}_backward")(grad, x, **options)


def sweep(dtype, step=1):
    """Every part of the range: the middle densely, the tails to where they underflow, all magnitudes."""
    end = 112 if dtype is np.float32 else 760
    rng = np.random.default_rng(0)
    magnitudes = np.exp(rng.uniform(-103 if dtype is np.float32 else -700, 6.6, 6000))
    parts = (
        np.linspace(-end, end, 30_001),
        np.linspace(-20, 20, 30_001),
        rng.normal(size=20_000),
        magnitudes,
        -magnitudes,
    )
    return np.concatenate(parts).astype(dtype)[::step]


def exact(name, options, x, mp):
    """y, dy/dx and the larger of its two terms (of the one, where there is but one), as numbers of mpmath."""
    x = mp.mpf(float(x))
    e = mp.exp(-abs(x))
    lower, upper = e / (1 + e), 1 / (1 + e)
    share = lower if x < 0 else upper
    if name == "hard_swish":
        if abs(x) >= 3:
            return (x, mp.mpf(1), 1) if x > 0 else (mp.mpf(0), mp.mpf(0), 0)
        return x * (x + 3) / 6, (2 * x + 3) / 6, 0
    if name == "sigmoid":
        return share, lower * upper, lower * upper
    if name == "softplus":
        return max(x, 0) + mp.log1p(e), share, share
    if name == "tanh":
        slope = 1 / mp.cosh(x) ** 2
        return mp.tanh(x), slope, slope
    if name == "elu":
        return (x, mp.mpf(1), 1) if x > 0 else (mp.expm1(x), e, e)
    if name == "silu":
        slope = lower * upper
    elif options == TANH_FORM:
        c = mp.mpf("0.044715")
        two_u = mp.sqrt(8 / mp.pi) * (x + c * x**3)
        share = 1 / (1 + mp.exp(-two_u))
        slope = share / (1 + mp.exp(two_u)) * mp.sqrt(8 / mp.pi) * (1 + 3 * c * x * x)
    else:
        share, slope = mp.erfc(-x / mp.sqrt(2)) / 2, mp.exp(-x * x / 2) / mp.sqrt(2 * mp.pi)
    return x * share, share + x * slope, max(share, abs(x * slope))


@every_case
@pytest.mark.parametrize("dtype", DTYPES)
def test_to_the_last_place(dtype, name, options, forward, backward):
    mp = pytest.importorskip("mpmath").mp.clone()
    mp.dps = 40
    x = sweep(dtype, 29)
    got = both(name, options, np.ones_like(x), x)
    tiny = np.finfo(dtype).smallest_subnormal
    worst = [0.0, 0.0]
    for k, value in enumerate(x):
        y, slope, term = exact(name, options, value, mp)
        for i, (want, size) in enumerate(((y, abs(y)), (slope, max(abs(slope), term)))):
            unit = max(np.spacing(dtype(float(size))), tiny)
            worst[i] = max(worst[i], float(abs(mp.mpf(float(got[i][k])) - want) / mp.mpf(float(unit))))
    if dtype is np.float32:
        forward, backward = min(forward, FLOATS), min(backward, FLOATS * backward // 4)
    assert worst[0] <= forward and worst[1] <= backward, worst


@every_case
def test_float32_everywhere(name, options, forward, backward):
    """Against the float64 result, which is exact enough; and against the reference, where that is."""
    forward, backward = min(forward, FLOATS), min(backward, FLOATS * backward // 4)
    x = np.concatenate([sweep(np.float32), np.arange(0, 2**32, 30_011, dtype=np.uint32).view(np.float32)])
    x = x[np.isfinite(x)]
    ones = np.ones_like(x)
    want, slope = both(name, options, ones.astype(np.float64), x.astype(np.float64))
    y, dx = both(name, options, ones, x)
    assert ulp_error(y, want) <= forward + 0.1
    term = np.minimum(np.exp(-np.abs(x.astype(np.float64))), 1) if name in ("gelu", "silu") else 0.0
    assert ulp_error(dx, slope, term) <= backward + 0.1
    if name not in ("gelu", "silu"):  # whose reference multiplies x by a share that has underflowed
        with np.errstate(all="ignore"):
            wanted = getattr(reference, name)(x.astype(np.float64), **options)
        assert ulp_error(y, wanted) <= forward + 0.1


@pytest.mark.parametrize(("name", "options"), FUNCTIONS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_lengths(dtype, name, options):
    """The same bits wherever an element lies in a vector, and whatever lies beside it; near the tails too."""
    for scale in (4, 40):
        x, grad = normal(BIG, dtype, 3, scale), normal(BIG, dtype, 4)
        y, dx = both(name, options, grad, x)
        for n in (*LENGTHS, 1000):
            for start in (0, 5):
                part = slice(start, start + n)
                got, slope = both(name, options, grad[part], x[part])
                assert_same_bits(got, y[part], f"{n}")
                assert_same_bits(slope, dx[part], f"{n}")


NAN, INF = np.nan, np.inf
#              x =  0.0, -0.0, inf, -inf, nan, largest, -largest
SPECIAL = {
    "gelu": ([0.0, -0.0, INF, NAN, NAN, None, -0.0], [0.5, 0.5, NAN, NAN, NAN, 1, 0]),
    "silu": ([0.0, -0.0, INF, NAN, NAN, None, -0.0], [0.5, 0.5, NAN, NAN, NAN, 1, 0]),
    "hard_swish": ([0.0, -0.0, INF, NAN, NAN, None, -0.0], [0.5, 0.5, 1, 0, NAN, 1, 0]),
    "sigmoid": ([0.5, 0.5, 1, 0, NAN, 1, 0], [0.25, 0.25, 0, 0, NAN, 0, 0]),
    "tanh": ([0.0, -0.0, 1, -1, NAN, 1, -1], [1, 1, 0, 0, NAN, 0, 0]),
    "softplus": ([np.log(2), np.log(2), INF, 0, NAN, None, 0], [0.5, 0.5, 1, 0, NAN, 1, 0]),
    "elu": ([0.0, -0.0, INF, -1, NAN, None, -1], [1, 1, 1, 0, NAN, 1, 0]),
    "leaky_relu": ([0.0, -0.0, INF, -INF, NAN, None, -INF], [1, 1, 1, 0.25, 0.25, 1, 0.25]),
}


@pytest.mark.parametrize(("name", "options"), FUNCTIONS[: len(CASES)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_special_numbers(dtype, name, options):
    largest = np.finfo(dtype).max
    x = np.array([0.0, -0.0, INF, -INF, NAN, largest, -largest], dtype)
    wanted, slope = SPECIAL[name]
    got, dx = both(name, options, np.ones_like(x), x)
    assert_same_bits(got, np.array([largest if v is None else v for v in wanted], dtype))
    np.testing.assert_array_equal(dx, np.array(slope, dtype))


@pytest.mark.parametrize("dtype", DTYPES)
def test_leaky_relu_is_exact(dtype):
    for slope in (0.25, 0.01, -0.5, 0.0):
        x, grad = normal(BIG, dtype, 1), normal(BIG, dtype, 2)
        x[::7], x[1::7], x[2::7] = 0.0, -0.0, np.nan
        factor = dtype(slope)
        y, dx = both("leaky_relu", {"negative_slope": slope}, grad, x)
        assert_same_bits(y, np.where(x > 0, x, factor * x))
        assert_same_bits(dx, np.where(x > 0, grad, factor * grad))


@pytest.mark.parametrize("dtype", DTYPES)
def test_hard_swish_at_its_corners(dtype):
    below, above = np.nextafter(dtype([-3, 3]), dtype(0))
    x = np.array([-3, below, above, 3], dtype)
    y, dx = both("hard_swish", {}, np.ones_like(x), x)
    np.testing.assert_allclose(y, [0, -(below + 3) / 2, 3, 3], rtol=1e-6)
    np.testing.assert_allclose(dx, [0, -0.5, 1.5, 1], rtol=1e-6)


def test_softplus_joins_the_line_at_its_threshold():
    x = np.linspace(-30, 30, 1201)
    for dtype in DTYPES:
        for beta, threshold in ((1.0, 20.0), (1.0, 2.0), (0.5, 3.0), (3.0, 20.0), (1.0, np.inf), (-2.0, 20.0)):
            v = x.astype(dtype)
            y, dx = both("softplus", {"beta": beta, "threshold": threshold}, np.ones_like(v), v)
            line = beta * v > threshold
            assert_same_bits(y[line], v[line])
            assert np.all(dx[line] == 1) and (np.all(y[~line] != v[~line]) or dtype is np.float32)
            z = beta * v.astype(np.longdouble)
            want = np.where(line, v, np.logaddexp(0, z) / beta)
            assert ulp_error(y, want) <= 6


@pytest.mark.parametrize(("name", "options"), FUNCTIONS)
def test_as_pytorch(name, options):
    torch = pytest.importorskip("torch")
    x, grad = normal((50, 67), np.float64, 5, 3), normal((50, 67), np.float64, 6)
    tensor = torch.tensor(x, requires_grad=True)
    want = of_torch(name)(tensor, **options)
    want.backward(torch.tensor(grad))
    y, dx = both(name, options, grad, x)
    np.testing.assert_allclose(y, want.detach().numpy(), rtol=1e-10, atol=1e-15)
    np.testing.assert_allclose(dx, tensor.grad.numpy(), rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("make", ACTIVATIONS)
def test_layers_as_pytorchs(make):
    torch = pytest.importorskip("torch")
    ours, theirs = make(), of_torch(class_of(make).__name__, "nn")(**getattr(make, "keywords", {}))
    x, grad = normal((4, 9), np.float64, 8), normal((4, 9), np.float64, 9)
    t = torch.tensor(x, requires_grad=True)
    want = theirs(t)
    want.backward(torch.from_numpy(grad))
    np.testing.assert_allclose(ours(x), want.detach(), rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(ours.backward(grad), t.grad, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("module", [fastml, reference], ids=["fastml", "reference"])
def test_gelu_wrong_form(module):
    out = np.full(3, 99.0)
    for error, wrong in ((ValueError, "erf"), (ValueError, ""), (TypeError, None), (TypeError, True)):
        with pytest.raises(error, match="approximate"):
            module.gelu(np.ones(3), approximate=wrong, out=out)
        with pytest.raises(error, match="approximate"):
            module.gelu_backward(np.ones(3), np.ones(3), approximate=wrong, out=out)
    assert np.all(out == 99)


CODE = """
    import numpy as np, fastml
    from tests.test_activations_smooth import FUNCTIONS, sweep
    result = {}
    for dtype in (np.float32, np.float64):
        x = np.concatenate([sweep(dtype), np.array([np.nan, np.inf, -np.inf, -0.0], dtype)])
        for k, (name, options) in enumerate(FUNCTIONS):
            for shift in (0, 3):
                memory = np.full((2, x.size + 9), 99, dtype)
                place = slice(shift, shift + x.size)
                getattr(fastml, name)(x, out=memory[0, place], **options)
                getattr(fastml, f"{name}_backward")(x[::-1], x, out=memory[1, place], **options)
                result[f"{dtype.__name__} {k} {name} {shift}"] = memory
"""


def test_targets_and_stores_past_the_caches():
    first, *others = [
        run_python(CODE, FASTML_ISA=target, FASTML_CACHE_BYTES=size)
        for target in _simd.available_targets()
        if target != "baseline"
        for size in ("1000000000", "1000")
    ]
    for other in others:
        for name, value in first.items():
            assert_same_bits(other[name], value, name)


def test_the_baseline_is_close():
    """Without fused multiply-adds the far tails lose some places more."""
    if "baseline" not in _simd.available_targets():
        pytest.skip("no baseline target")
    first, other = (run_python(CODE, FASTML_ISA=t) for t in (_simd.available_targets()[0], "baseline"))
    for name, value in first.items():
        rtol = 3e-5 if "float32" in name else 1e-12
        np.testing.assert_allclose(other[name][0], value[0], rtol=rtol, atol=1e-37, err_msg=name)
        # slopes cross zero
        np.testing.assert_allclose(other[name][1], value[1], rtol=rtol, atol=rtol * 100, err_msg=name)


BY_RESULT = {"sigmoid": lambda y: y * (1 - y), "tanh": lambda y: (1 - y) * (1 + y)}


@pytest.mark.parametrize("name", BY_RESULT)
@pytest.mark.parametrize("dtype", DTYPES)
def test_gradient_by_the_result(name, dtype):
    backward, slope = getattr(fastml, f"{name}_backward"), BY_RESULT[name]
    for n in (*LENGTHS, BIG):
        x, grad = normal(n, dtype, 1, 4), normal(n, dtype, 2)
        y = getattr(fastml, name)(x)
        y[:7] = [0.0, -0.0, 1, NAN, 1e-40, 0.5, np.nextafter(dtype(1), dtype(0))][:n]
        want = getattr(reference, f"{name}_backward")(grad, y=y)
        got = backward(grad, y=y)
        assert ulp_error(got, slope(y.astype(np.longdouble)) * grad) <= 2 and got.dtype == want.dtype
        np.testing.assert_allclose(got, want, rtol=4 * np.finfo(dtype).eps, atol=np.finfo(dtype).tiny)
        out, over_grad, over_y = np.empty_like(y), grad.copy(), y.copy()
        assert backward(grad, x, y=y, out=out) is out
        backward(over_grad, y=y, out=over_grad)
        backward(grad, y=over_y, out=over_y)
        for other in (out, over_grad, over_y):
            assert_same_bits(other, got)
        for threads in (2, 7):
            assert_same_bits(with_threads(threads, backward, grad, y=y), got)
        assert_same_bits(backward(grad[::-1], y=y[::-1]), got[::-1])


@pytest.mark.parametrize("module", [fastml, reference])
@pytest.mark.parametrize("name", BY_RESULT)
def test_errors_of_the_gradient_by_the_result(module, name):
    backward, four, three = getattr(module, f"{name}_backward"), np.ones(4), np.ones(3)
    for given, options in (((four,), {"y": three}), ((four, three), {"y": four}), ((four,), {"y": four, "out": three})):
        with pytest.raises(ValueError, match="must have "):
            backward(*given, **options)
    for given, options in (((four,), {}), ((four, None), {}), ((four,), {"y": "1"})):
        with pytest.raises(TypeError):
            backward(*given, **options)
    if module is fastml:
        with pytest.raises(TypeError, match=r"x must be .*, not None; or y= the function's result"):
            backward(four)
