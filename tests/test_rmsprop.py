"""rmsprop_step: against the reference and PyTorch, over lists; nothing written before all checks pass."""

import itertools

import numpy as np
import pytest

import fastml
from fastml import reference

from .common import DTYPES, LENGTHS, assert_close, assert_same_bits, normal
from .test_adam import MIXED

STATES = ("square_avgs", "grad_avgs", "momentum_buffers")
OPTIONS = [
    {"weight_decay": w, "momentum": m, "centered": c, "maximize": x, "alpha": a}
    for w, m, c, x, a in itertools.product((0.0, 0.1), (0.0, 0.9), (False, True), (False, True), (0.99, 0.3))
]
every_option = pytest.mark.parametrize("options", OPTIONS, ids=lambda o: "-".join(map(str, o.values())))


def lists(shapes, dtypes=(np.float32,), seed=0):
    """Arguments by name, with states as after some steps: the mean square is above the square of the mean."""
    pairs = list(zip(shapes, itertools.cycle(dtypes), strict=False))
    p, g, m, b = ([normal(s, d, seed + 100 * k + i) for i, (s, d) in enumerate(pairs)] for k in range(4))
    m = [np.asarray(a / 4, a.dtype) for a in m]
    s = [np.asarray(a * a + 0.25, a.dtype) for a in m]
    return dict(zip(("params", "grads", *STATES), (p, g, s, m, b), strict=True))


def step(arrays, module=fastml, **options):
    """The step on copies: params and states afterwards."""
    given = {name: [np.array(a) for a in column] for name, column in arrays.items()}
    assert module.rmsprop_step(**given, **options) is None
    for a, b in zip(given.pop("grads"), arrays["grads"], strict=True):
        assert_same_bits(a, b)
    return [a for column in given.values() for a in column]


@every_option
@pytest.mark.parametrize("dtype", DTYPES)
def test_options(dtype, options):
    arrays = lists([(n,) for n in LENGTHS] + [(7, 9), (1000,)], [dtype])
    got = step(arrays, lr=0.1, **options)
    want = step(arrays, reference, lr=0.1, **options)
    for g, w in zip(got, want, strict=True):
        assert_close(g, w, ulp=64, scale=1.0, what=str(options))


@pytest.mark.parametrize("foreach", [False, True])
@every_option
def test_as_pytorch(options, foreach):
    """60 arrays of mixed sizes over 10 steps."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(5)
    shapes = [(2,), (64, 48), (), *[tuple(rng.integers(1, 40, rng.integers(1, 4))) for _ in range(57)]]
    arrays = lists(shapes, [np.float64])
    p, states = arrays["params"], [[np.zeros_like(a) for a in arrays["params"]] for _ in STATES]
    tensors = [torch.nn.Parameter(torch.tensor(a)) for a in p]
    optimizer = torch.optim.RMSprop(tensors, lr=0.01, foreach=foreach, **options)
    for number in range(10):
        grads = [normal(a.shape, np.float64, 1000 * number + i) for i, a in enumerate(p)]
        for tensor, grad in zip(tensors, grads, strict=True):
            tensor.grad = torch.tensor(grad)
        optimizer.step()
        fastml.rmsprop_step(p, grads, *states, lr=0.01, **options)
    names = ["square_avg", *["grad_avg"] * options["centered"], *["momentum_buffer"] * (options["momentum"] > 0)]
    columns = [s for s, used in zip(states, (1, options["centered"], options["momentum"]), strict=True) if used]
    for i, tensor in enumerate(tensors):
        np.testing.assert_allclose(p[i], tensor.detach().numpy(), rtol=1e-12, atol=1e-12)
        for name, column in zip(names, columns, strict=True):
            theirs = optimizer.state[tensor][name].numpy()
            np.testing.assert_allclose(column[i], theirs, rtol=1e-12, atol=1e-12)


def test_states_without_use_are_untouched():
    arrays = lists(MIXED, DTYPES)
    count = len(MIXED)
    got = step(arrays)
    for g, w in zip(got[2 * count :], arrays["grad_avgs"] + arrays["momentum_buffers"], strict=True):
        assert_same_bits(g, w)
    plain = {name: arrays[name] for name in ("params", "grads", "square_avgs")}
    for g, w in zip(step(plain), got, strict=False):
        assert_same_bits(g, w)


def test_each_array_as_if_alone():
    """The list, its order and the cut show in no bit."""
    arrays = lists(MIXED * 3, (np.float32, np.float64, np.float64))
    options = {"momentum": 0.5, "centered": True, "weight_decay": 0.01}
    together = step(arrays, **options)
    count = len(arrays["params"])
    for i in range(count):
        alone = step({name: column[i : i + 1] for name, column in arrays.items()}, **options)
        for k in range(4):
            assert_same_bits(together[k * count + i], alone[k])


def test_a_variance_of_zero_is_never_negative():
    """Always the same gradient: s and m² differ by rounding alone."""
    p, s, m = (np.zeros(1000, np.float32) for _ in range(3))
    g = normal((1000,))
    for _ in range(400):
        fastml.rmsprop_step([p], [g], [s], [m], lr=1e-3, alpha=0.8, eps=0.1, centered=True)
    assert np.isfinite(p).all()
    nan = np.full(3, np.nan, np.float32)
    fastml.rmsprop_step([p[:3]], [nan], [s[:3]], [m[:3]], centered=True)
    assert np.isnan(p[:3]).all()


def test_without_decay_an_infinite_parameter_stays():
    p, s = np.array([np.inf, -np.inf, np.nan, 1.0]), np.zeros(4)
    fastml.rmsprop_step([p], [np.ones(4)], [s], lr=0.5, alpha=0.0, eps=0.0)
    np.testing.assert_allclose(p, [np.inf, -np.inf, np.nan, 0.5])


MEMORY = np.ones(9, np.float32)
A, B = MEMORY[:8], MEMORY[1:]
ONES = np.ones(8, np.float32)
INF, NAN = np.inf, np.nan
WRONG = [
    (ValueError, "square_avgs", {"square_avgs": [ONES]}),
    (TypeError, "grad_avgs", {"grad_avgs": ONES}),
    (ValueError, "momentum_buffers", {"momentum_buffers": [ONES]}),
    (ValueError, "grad_avgs", {"grad_avgs": None, "centered": True}),
    (ValueError, "momentum_buffers", {"momentum_buffers": None, "momentum": 0.9}),
    (TypeError, r"square_avgs\[1\]", {"square_avgs": [ONES.copy(), ONES.astype(float)]}),
    (ValueError, r"grad_avgs\[1\]", {"grad_avgs": [ONES.copy(), ONES[:7]]}),
    (ValueError, "memory", {"params": [ONES.copy(), A], "momentum_buffers": [ONES.copy(), B]}),
    (ValueError, "memory", {"square_avgs": [ONES.copy(), A], "momentum_buffers": [ONES.copy(), A]}),
    (ValueError, "memory", {"grad_avgs": [ONES.copy(), A], "momentum_buffers": [ONES.copy(), B]}),
    (ValueError, "memory", {"grads": [ONES.copy(), A], "momentum_buffers": [ONES.copy(), B]}),
    *(
        (ValueError, name, {name: x})
        for name in ("lr", "alpha", "eps", "weight_decay", "momentum")
        for x in (-1, NAN, INF)
    ),
    (ValueError, "alpha", {"alpha": 1.1}),
    *((TypeError, name, {name: x}) for name in ("lr", "alpha") for x in ("1", None, True)),
]


@pytest.mark.parametrize("module", [fastml, reference], ids=["fastml", "reference"])
@pytest.mark.parametrize("error, name, options", WRONG)
def test_errors_write_nothing(error, name, options, module):
    if name == "memory" and module is reference:
        pytest.skip("the reference does not look at memory")
    names = ("params", "grads", *STATES)
    given = {k: [np.full(8, 9, np.float32), np.full(8, 9, np.float32)] for k in names} | options
    columns = [column for column in given.values() if isinstance(column, list)]
    watched = [a for column in columns for a in column if isinstance(a, np.ndarray)]
    before = [a.copy() for a in watched]
    with pytest.raises(error, match=name):
        module.rmsprop_step(**given)
    for a, b in zip(watched, before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_centred_steps_stay_bounded_in_float32():
    """Gradients that vary by 0.02 %: what rounding leaves of s - m^2 is no variance (0.1.0: steps of 7.7e6)."""
    largest = {}
    for dtype in DTYPES:
        p, s, m = (np.zeros(64, dtype) for _ in range(3))
        rng, largest[dtype] = np.random.default_rng(0), 0.0
        for _ in range(3000):
            before = p.copy()
            g = (1 + 2e-4 * rng.standard_normal(64)).astype(dtype)
            fastml.rmsprop_step([p], [g], [s], [m], lr=0.01, centered=True)
            largest[dtype] = max(largest[dtype], np.abs(p - before).max())
    assert 5 < largest[np.float32] < largest[np.float64] < 150
