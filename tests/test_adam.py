"""adam_step: against the reference and PyTorch, over lists; nothing written before all checks pass."""

import itertools

import numpy as np
import pytest

import fastml
from fastml import reference

from .common import (
    DTYPES,
    LAYOUTS,
    LENGTHS,
    assert_close,
    assert_same_bits,
    assert_same_for_any_threads,
    assert_same_on_fma_targets,
    normal,
    relayout,
)

NAMES = ("params", "grads", "exp_avgs", "exp_avg_sqs")
OPTIONS = [
    {"weight_decay": w, "decoupled": d, "maximize": x, "betas": b}
    for w, d, x, b in itertools.product((0.0, 0.1), (False, True), (False, True), ((0.9, 0.999), (0.0, 0.5)))
]
MIXED = [(3,), (), (64, 65), (0, 4), (2,), (100_003,), (5, 3, 2), (16,)]
every_option = pytest.mark.parametrize("options", OPTIONS, ids=lambda o: "-".join(map(str, o.values())))


def lists(shapes, dtypes=(np.float32,), seed=0):
    """params, grads, exp_avgs, exp_avg_sqs: the dtypes take turns."""
    pairs = list(zip(shapes, itertools.cycle(dtypes), strict=False))
    p, g, m, v = ([normal(s, d, seed + 100 * k + i) for i, (s, d) in enumerate(pairs)] for k in range(4))
    return [p, g, m, [np.asarray(a * a + 0.25, a.dtype) for a in v]]


def step(arrays, number=3, module=fastml, **options):
    """The step on copies: params and averages afterwards."""
    p, g, m, v = ([np.array(a) for a in column] for column in arrays)
    assert module.adam_step(p, g, m, v, number, **options) is None
    for a, b in zip(g, arrays[1], strict=True):
        assert_same_bits(a, b)
    return p + m + v


@every_option
@pytest.mark.parametrize("dtype", DTYPES)
def test_options(dtype, options):
    arrays = lists([(n,) for n in LENGTHS] + [(7, 9)], [dtype])
    for number in (1, 2, 1000):
        got = step(arrays, number, lr=0.1, **options)
        want = step(arrays, number, reference, lr=0.1, **options)
        for g, w in zip(got, want, strict=True):
            assert_close(g, w, ulp=4, scale=1.0, what=str(options))


@pytest.mark.parametrize("way", ["fused", "foreach", "single"])
@every_option
def test_as_pytorch(options, way):
    """60 arrays of mixed sizes over 10 steps."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(5)
    shapes = [(2,), (64, 48), (), *[tuple(rng.integers(1, 40, rng.integers(1, 4))) for _ in range(57)]]
    p, _, m, v = lists(shapes)
    m, v = ([np.zeros_like(a) for a in p] for _ in range(2))
    tensors = [torch.nn.Parameter(torch.tensor(a)) for a in p]
    decoupled = options["decoupled"]
    others = {name: value for name, value in options.items() if name != "decoupled"}
    kind = torch.optim.AdamW if decoupled else torch.optim.Adam
    optimizer = kind(tensors, lr=0.01, foreach=way == "foreach", fused=way == "fused", **others)
    for number in range(1, 11):
        grads = [normal(a.shape, np.float32, 1000 * number + i) for i, a in enumerate(p)]
        for tensor, grad in zip(tensors, grads, strict=True):
            tensor.grad = torch.tensor(grad)
        optimizer.step()
        fastml.adam_step(p, grads, m, v, number, lr=0.01, **options)
    for tensor, *ours in zip(tensors, p, m, v, strict=True):
        state = optimizer.state[tensor]
        for a, b in zip(ours, (tensor.detach(), state["exp_avg"], state["exp_avg_sq"]), strict=True):
            np.testing.assert_allclose(a, b.numpy(), rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("beta", [0.0, 1e-300, 0.5, 0.9, 0.999, 1 - 2**-30, 1 - 2**-53])
def test_bias_correction(beta):
    """From m = v = 0, with both betas alike and eps = 0, p moves by lr sqrt((1 - beta) / (1 - beta^t))."""
    for number in (1, 2, 3, 17, 10**6, 2**53):
        p, m, v = np.zeros(3), np.zeros(3), np.zeros(3)
        fastml.adam_step([p], [np.ones(3)], [m], [v], number, lr=1.0, betas=(beta, beta), eps=0.0)
        correction = -np.expm1(number * np.log1p(beta - 1)) if beta > 1e-9 else 1.0
        np.testing.assert_allclose(p, -np.sqrt((1 - beta) / correction), rtol=1e-13)


@pytest.mark.parametrize("count", [0, 1, 31, 32, 33, 200])
def test_many_arrays_of_both_dtypes(count):
    shapes = list(itertools.islice(itertools.cycle(MIXED), count))
    arrays = lists(shapes, DTYPES)
    for got, want in zip(step(arrays), step(arrays, module=reference), strict=True):
        assert_close(got, want, ulp=4, scale=1.0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("decoupled", [False, True])
def test_amsgrad(decoupled, dtype):
    """Against the reference, and the largest average stays."""
    arrays = lists([(n,) for n in LENGTHS] + MIXED, [dtype])
    options = {"lr": 0.1, "weight_decay": 0.1, "decoupled": decoupled, "betas": (0.5, 0.8)}
    results = []
    for module in (fastml, reference):
        p, g, m, v = ([np.array(a) for a in column] for column in arrays)
        top = [np.asarray(a * a, dtype) for a in g]
        module.adam_step(p, g, m, v, 3, max_exp_avg_sqs=top, **options)
        results.append(p + m + v + top)
        for now, average, gradient in zip(top, v, g, strict=True):
            assert (now >= average).all() and (now >= np.asarray(gradient * gradient, dtype)).all()
    for got, want in zip(*results, strict=True):
        assert_close(got, want, ulp=4, scale=1.0)


@pytest.mark.parametrize("way", ["fused", "foreach", "single"])
def test_amsgrad_as_pytorch(way):
    torch = pytest.importorskip("torch")
    p, _, m, v = lists(MIXED, [np.float64])
    m, v, top = ([np.zeros_like(a) for a in p] for _ in range(3))
    tensors = [torch.nn.Parameter(torch.tensor(a)) for a in p]
    optimizer = torch.optim.Adam(
        tensors, lr=0.01, amsgrad=True, weight_decay=0.1, foreach=way == "foreach", fused=way == "fused"
    )
    for number in range(1, 11):
        grads = [normal(a.shape, np.float64, 1000 * number + i) / number for i, a in enumerate(p)]
        for tensor, grad in zip(tensors, grads, strict=True):
            tensor.grad = torch.tensor(grad)
        optimizer.step()
        fastml.adam_step(p, grads, m, v, number, max_exp_avg_sqs=top, lr=0.01, weight_decay=0.1)
    for tensor, *ours in zip(tensors, p, m, v, top, strict=True):
        state = optimizer.state[tensor]
        names = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")
        for a, b in zip(ours, (tensor.detach(), *(state[name] for name in names)), strict=True):
            np.testing.assert_allclose(a, b.numpy(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("average, largest", [(np.nan, 1.0), (1.0, np.nan)])
def test_amsgrad_keeps_nan(average, largest):
    p, m, v, top = np.ones(20), np.zeros(20), np.full(20, average), np.full(20, largest)
    fastml.adam_step([p], [np.ones(20)], [m], [v], 1, max_exp_avg_sqs=[top])
    assert np.isnan(top).all() and np.isnan(p).all()


def test_each_array_as_if_alone():
    """The list, its order and the cut show in no bit."""
    arrays = lists(MIXED * 3, (np.float32, np.float64, np.float64))
    together = step(arrays, weight_decay=0.01)
    count = len(arrays[0])
    for i in range(count):
        alone = step([column[i : i + 1] for column in arrays], weight_decay=0.01)
        for k in range(3):
            assert_same_bits(together[k * count + i], alone[k])


def test_threads():
    arrays = lists([(300_007,), *MIXED, (4099,), *[(16,)] * 50, (50_000, 3)], DTYPES)

    def steps(count=30):  # in quick succession: only then does a team pay
        p, g, m, v = ([np.array(a) for a in column] for column in arrays)
        for k in range(count):
            fastml.adam_step(p, g, m, v, k + 1, weight_decay=0.1, decoupled=True)
        return p + m + v

    assert_same_for_any_threads(steps)


def test_targets():
    code = """
        import numpy as np, fastml
        result = {}
        for t in "fd":
            p, g, m, v = ([a.astype(t) for a in np.random.default_rng(k).standard_normal((3, 1037))] for k in range(4))
            v = [a * a for a in v]
            for number, betas in enumerate([(0.9, 0.999), (0.3, 0.9)], 1):
                for decoupled in (False, True):
                    fastml.adam_step(p, g, m, v, number, betas=betas, weight_decay=0.1, decoupled=decoupled, eps=0.01)
            result |= {f"{t} {i}": a for i, a in enumerate(p + m + v)}
    """
    assert_same_on_fma_targets(code, baseline_ulp=4)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("which", [*NAMES, "all"])
def test_layouts(layout, which):
    """Strides, alignment and byte order of any list; the arrays themselves are updated."""
    arrays = dict(zip(NAMES, lists([(6, 5, 7), (9,)], DTYPES), strict=True))
    want = step(list(arrays.values()))
    given = {
        name: [relayout(a, layout) if which in (name, "all") else np.array(a) for a in column]
        for name, column in arrays.items()
    }
    fastml.adam_step(**given, step=3)
    updated = given["params"] + given["exp_avgs"] + given["exp_avg_sqs"]
    for got, w in zip(updated, want, strict=True):
        assert_same_bits(got.astype(got.dtype.newbyteorder("=")), w)


def test_without_decay_an_infinite_parameter_stays():
    p, m, v = np.array([np.inf, -np.inf, np.nan, 1.0]), np.zeros(4), np.zeros(4)
    fastml.adam_step([p], [np.ones(4)], [m], [v], 1, lr=0.5, eps=0.0)
    np.testing.assert_allclose(p, [np.inf, -np.inf, np.nan, 0.5])
    np.testing.assert_allclose(m, 0.1)


def test_gradient_in_memory_that_is_updated():
    for name in (0, 2, 3):
        arrays = lists([(1000,)])
        want = step([*arrays[:1], arrays[name], *arrays[2:]])
        p, _, m, v = arrays
        fastml.adam_step(p, arrays[name], m, v, 3)
        for a, b in zip(p + m + v, want, strict=True):
            assert_same_bits(a, b)


def read_only(a):
    a.flags.writeable = False
    return a


MEMORY = np.ones(9, np.float32)
A, B = MEMORY[:8], MEMORY[1:]
ONES = np.ones(8, np.float32)
INF, NAN = np.inf, np.nan
WRONG = [
    (TypeError, "params", {"params": ONES}),
    (TypeError, "grads", {"grads": None}),
    (TypeError, "exp_avgs", {"exp_avgs": None}),
    (TypeError, "exp_avg_sqs", {"exp_avg_sqs": {0: ONES}}),
    (ValueError, "grads", {"grads": [ONES]}),
    (ValueError, "exp_avgs", {"exp_avgs": [ONES] * 3}),
    (ValueError, "exp_avg_sqs", {"exp_avg_sqs": []}),
    (TypeError, r"params\[1\]", {"params": [ONES, ONES.tolist()]}),
    (TypeError, r"params\[1\]", {"params": [ONES, ONES.astype("f2")]}),
    (ValueError, r"params\[1\]", {"params": [ONES, read_only(ONES.copy())]}),
    (TypeError, r"grads\[1\]", {"grads": [ONES, None]}),
    (ValueError, r"grads\[1\]", {"grads": [ONES, ONES[:7]]}),
    (TypeError, r"exp_avgs\[1\]", {"exp_avgs": [ONES.copy(), ONES.astype(float)]}),
    (ValueError, r"exp_avgs\[1\]", {"exp_avgs": [ONES.copy(), ONES[:7]]}),
    (ValueError, r"exp_avg_sqs\[1\]", {"exp_avg_sqs": [ONES.copy(), read_only(ONES.copy())]}),
    (ValueError, r"exp_avg_sqs\[1\]", {"exp_avg_sqs": [ONES.copy(), ONES[None]]}),
    (ValueError, "memory", {"params": [ONES.copy(), A], "grads": [ONES, B]}),
    (ValueError, "memory", {"params": [ONES.copy(), A], "exp_avgs": [ONES.copy(), B]}),
    (ValueError, "memory", {"params": [ONES.copy(), A], "exp_avg_sqs": [ONES.copy(), A]}),
    (ValueError, "memory", {"exp_avgs": [ONES.copy(), A], "exp_avg_sqs": [ONES.copy(), A]}),
    (ValueError, "memory", {"grads": [ONES.copy(), A], "exp_avg_sqs": [ONES.copy(), B]}),
    (ValueError, "max_exp_avg_sqs", {"max_exp_avg_sqs": [ONES]}),
    (TypeError, r"max_exp_avg_sqs\[1\]", {"max_exp_avg_sqs": [ONES.copy(), ONES.astype(float)]}),
    (ValueError, "memory", {"exp_avg_sqs": [ONES.copy(), A], "max_exp_avg_sqs": [ONES.copy(), A]}),
    (ValueError, "memory", {"exp_avgs": [ONES.copy(), A], "max_exp_avg_sqs": [ONES.copy(), B]}),
    (TypeError, "betas", {"betas": 0.9}),
    (ValueError, "betas", {"betas": (0.9,)}),
    *((ValueError, "betas", {"betas": b}) for b in ((1, 0.9), (0.9, 1.0), (-0.1, 0.9), (0.9, NAN), (INF, 0.9))),
    (TypeError, "betas", {"betas": ("0.9", 0.9)}),
    *((ValueError, "step", {"step": t}) for t in (0, -1, 2**53 + 1)),
    *((TypeError, "step", {"step": t}) for t in (1.0, None, True, "1")),
    *((ValueError, name, {name: x}) for name in ("lr", "eps", "weight_decay") for x in (-1, NAN, INF)),
    *((TypeError, name, {name: x}) for name in ("lr", "eps") for x in ("1", None, True, [0.1])),
]


@pytest.mark.parametrize("module", [fastml, reference], ids=["fastml", "reference"])
@pytest.mark.parametrize("error, name, options", WRONG)
def test_errors_write_nothing(error, name, options, module):
    if name == "memory" and module is reference:
        pytest.skip("the reference does not look at memory")
    given = {k: [np.full(8, 9, np.float32), np.full(8, 9, np.float32)] for k in NAMES} | {"step": 1}
    given |= options
    columns = [column for column in given.values() if isinstance(column, list)]
    watched = [a for column in columns for a in column if isinstance(a, np.ndarray)]
    before = [a.copy() for a in watched]
    with pytest.raises(error, match=name):
        module.adam_step(**given)
    for a, b in zip(watched, before, strict=True):
        np.testing.assert_array_equal(a, b)
