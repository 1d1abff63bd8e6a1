"""sgd_step: against the reference and PyTorch, over lists; nothing written before all checks pass."""

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

OPTIONS = [
    {"momentum": m, "dampening": d, "weight_decay": w, "nesterov": n, "maximize": x}
    for m, d, w, n, x in itertools.product((0.0, 0.9), (0.0, 0.25), (0.0, 0.01), (False, True), (False, True))
    if not n or (m > 0 and d == 0)
]
MIXED = [(3,), (), (64, 65), (0, 4), (17,), (100_003,), (5, 3, 2), (16,)]


def lists(shapes, dtypes=(np.float32,), seed=0):
    """params, grads, velocities: the dtypes take turns."""
    pairs = list(zip(shapes, itertools.cycle(dtypes), strict=False))
    return [[normal(s, d, seed + 100 * k + i) for i, (s, d) in enumerate(pairs)] for k in range(3)]


def step(arrays, module=fastml, **options):
    """The step on copies: params and velocities afterwards."""
    p, g, v = ([np.array(a) for a in column] for column in arrays)
    assert module.sgd_step(p, g, v, **options) is None
    for a, b in zip(g, arrays[1], strict=True):
        assert_same_bits(a, b)
    return p + v


def assert_steps_agree(arrays, ulp=4, **options):
    """In units of 1 at least: p and v are sums of terms of about 1 that may cancel."""
    for got, want in zip(step(arrays, **options), step(arrays, reference, **options), strict=True):
        assert_close(got, want, ulp, scale=1.0, what=str(options))


@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: " ".join(k for k, v in o.items() if v) or "plain")
@pytest.mark.parametrize("dtype", DTYPES)
def test_options(dtype, options):
    assert_steps_agree(lists([(n,) for n in LENGTHS] + [(7, 9)], [dtype]), lr=0.1, **options)


@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: " ".join(k for k, v in o.items() if v) or "plain")
def test_as_pytorch(options):
    torch = pytest.importorskip("torch")
    p, g, v = lists([(40,), (3, 5)], [np.float64])
    tensors = [torch.nn.Parameter(torch.tensor(a)) for a in p]
    optimizer = torch.optim.SGD(tensors, lr=0.1, foreach=False, **options)
    if options["momentum"]:
        for tensor, velocity in zip(tensors, v, strict=True):
            optimizer.state[tensor]["momentum_buffer"] = torch.tensor(velocity)
    for k in range(3):
        grads = [a * (k + 1) for a in g]
        for tensor, grad in zip(tensors, grads, strict=True):
            tensor.grad = torch.tensor(grad)
        optimizer.step()
        fastml.sgd_step(p, grads, v, lr=0.1, **options)
    for tensor, array in zip(tensors, p, strict=True):
        np.testing.assert_allclose(array, tensor.detach().numpy(), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("count", [0, 1, 31, 32, 33, 200])
def test_many_arrays_of_both_dtypes(count):
    shapes = list(itertools.islice(itertools.cycle(MIXED), count))
    assert_steps_agree(lists(shapes, DTYPES), lr=0.1, momentum=0.9)


def test_each_array_as_if_alone():
    """The list, its order and the cut show in no bit."""
    arrays = lists(MIXED * 3, (np.float32, np.float64, np.float64))
    together = step(arrays, lr=0.1, momentum=0.9, weight_decay=0.01)
    for i in range(len(arrays[0])):
        alone = step([column[i : i + 1] for column in arrays], lr=0.1, momentum=0.9, weight_decay=0.01)
        assert_same_bits(together[i], alone[0])
        assert_same_bits(together[len(arrays[0]) + i], alone[1])


@pytest.mark.parametrize("options", [{}, {"momentum": 0.9, "nesterov": True, "weight_decay": 0.01}])
def test_large_arrays(options):
    """Each goes by itself, to the bits that it has among small ones; transposed ones by way of copies."""
    large = lists([(1202, 500), (600_001,), (0,)], DTYPES)
    many = lists([(1202, 500), (600_001,), *[(16,)] * 50], DTYPES)
    assert_steps_agree(large, lr=0.1, **options)
    alone, among = step(large, lr=0.1, **options), step(many, lr=0.1, **options)
    for k in (0, 1):
        assert_same_bits(alone[k], among[k])
        assert_same_bits(alone[len(large[0]) + k], among[len(many[0]) + k])
    turned = step([[a.T for a in column] for column in large], lr=0.1, **options)
    for got, want in zip(turned, alone, strict=True):
        assert_same_bits(got, want.T)


def test_threads():
    arrays = lists([(300_007,), *MIXED, (4099,), *[(16,)] * 50, (50_000, 3)], DTYPES)

    def steps(count=30):  # in quick succession: only then does a team pay
        p, g, v = ([np.array(a) for a in column] for column in arrays)
        for _ in range(count):
            fastml.sgd_step(p, g, v, lr=0.01, momentum=0.9, nesterov=True)
        return p + v

    assert_same_for_any_threads(steps)


def test_targets():
    code = """
        import numpy as np, fastml
        result = {}
        for t in "fd":
            p, g, v = ([a.astype(t) for a in np.random.default_rng(k).standard_normal((3, 1037))] for k in range(3))
            for nesterov in (False, True):
                fastml.sgd_step(p, g, v, lr=0.1, momentum=0.9, weight_decay=0.01, nesterov=nesterov)
            fastml.sgd_step(p, g, v, lr=0.1, momentum=0.9, dampening=0.3, maximize=True)
            fastml.sgd_step(p, g, lr=0.1)
            result |= {f"{t} {i}": a for i, a in enumerate(p + v)}
    """
    assert_same_on_fma_targets(code, baseline_ulp=4)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("which", ["params", "grads", "velocities", "all"])
def test_layouts(layout, which):
    """Strides, alignment and byte order of any list; the arrays themselves are updated."""
    arrays = dict(zip(("params", "grads", "velocities"), lists([(6, 5, 7), (9,)], DTYPES), strict=True))
    want = step(list(arrays.values()), lr=0.1, momentum=0.9)
    given = {
        name: [relayout(a, layout) if which in (name, "all") else np.array(a) for a in column]
        for name, column in arrays.items()
    }
    before = [a for column in given.values() for a in column]
    fastml.sgd_step(**given, lr=0.1, momentum=0.9)
    for a, b in zip((a for column in given.values() for a in column), before, strict=True):
        assert a is b
    for got, w in zip(given["params"] + given["velocities"], want, strict=True):
        assert_same_bits(got.astype(got.dtype.newbyteorder("=")), w)


def test_lists_and_tuples():
    arrays = lists([(5,), (6,)])
    want = step(arrays, lr=0.1, momentum=0.9)
    p, g, v = (tuple(np.array(a) for a in column) for column in arrays)
    fastml.sgd_step(p, g, v, lr=0.1, momentum=0.9)
    for got, w in zip(p + v, want, strict=True):
        assert_same_bits(got, w)
    p = [np.array([1.0, 2.0])]
    fastml.sgd_step(p, [[1, 0]], lr=np.float32(0.5))
    assert_same_bits(p[0], np.array([0.5, 2.0]))


def test_without_momentum_velocities_are_untouched():
    (p,), (g,), (v,) = lists([(40,)])
    before, want = v.copy(), p.copy()
    fastml.sgd_step([p], [g], [v], lr=0.1, weight_decay=0.1)
    fastml.sgd_step([want], [g], lr=0.1, weight_decay=0.1)
    assert_same_bits(v, before)
    assert_same_bits(p, want)


def test_without_decay_an_infinite_parameter_stays():
    p, v = np.array([np.inf, -np.inf, np.nan, 1.0]), np.zeros(4)
    fastml.sgd_step([p], [np.ones(4)], [v], lr=0.5, momentum=0.5)
    np.testing.assert_array_equal(p, [np.inf, -np.inf, np.nan, 0.5])
    np.testing.assert_array_equal(v, np.ones(4))


def test_gradient_in_the_parameters_own_memory():
    """d = p: the gradient of |p|^2 / 2."""
    (p,), _, (v,) = lists([(1000,)])
    want = [p.copy(), v.copy()]
    fastml.sgd_step(want[:1], [p.copy()], want[1:], lr=0.1, momentum=0.9)
    fastml.sgd_step([p], [p], [v], lr=0.1, momentum=0.9)
    assert_same_bits(p, want[0])
    assert_same_bits(v, want[1])


def read_only(a):
    a.flags.writeable = False
    return a


def overlapping():
    memory = np.ones(9, np.float32)
    return memory[:8], memory[1:]


A, B = overlapping()
ONES = np.ones(8, np.float32)
GOOD = {"lr": 0.1, "momentum": 0.9}
WRONG = [
    (TypeError, "params", {"params": ONES}),
    (TypeError, "params", {"params": (a for a in [ONES, ONES])}),
    (TypeError, "grads", {"grads": None}),
    (TypeError, "velocities", {"velocities": {0: ONES}}),
    (ValueError, "grads", {"grads": [ONES]}),
    (ValueError, "velocities", {"velocities": [ONES] * 3}),
    (TypeError, r"params\[1\]", {"params": [ONES, ONES.tolist()]}),
    (TypeError, r"params\[1\]", {"params": [ONES, ONES.astype(int)]}),
    (TypeError, r"params\[1\]", {"params": [ONES, ONES.astype("f2")]}),
    (TypeError, r"params\[1\]", {"params": [ONES, ONES.astype("c8")]}),
    (ValueError, r"params\[1\]", {"params": [ONES, read_only(ONES.copy())]}),
    (TypeError, r"grads\[1\]", {"grads": [ONES, None]}),
    (TypeError, r"grads\[1\]", {"grads": [ONES, ONES * 1j]}),
    (ValueError, r"grads\[1\]", {"grads": [ONES, ONES[:7]]}),
    (ValueError, r"grads\[1\]", {"grads": [ONES, ONES[None]]}),
    (TypeError, r"velocities\[1\]", {"velocities": [ONES.copy(), ONES.astype(float)]}),
    (TypeError, r"velocities\[1\]", {"velocities": [ONES.copy(), ONES.tolist()]}),
    (ValueError, r"velocities\[1\]", {"velocities": [ONES.copy(), ONES[:7]]}),
    (ValueError, r"velocities\[1\]", {"velocities": [ONES.copy(), read_only(ONES.copy())]}),
    (ValueError, "memory", {"params": [ONES.copy(), A], "grads": [ONES, B]}),
    (ValueError, "memory", {"params": [ONES.copy(), A], "velocities": [ONES.copy(), B]}),
    (ValueError, "memory", {"params": [ONES.copy(), A], "velocities": [ONES.copy(), A]}),
    (ValueError, "memory", {"grads": [ONES.copy(), A], "velocities": [ONES.copy(), B]}),
    (ValueError, "velocities", {"velocities": None}),
    (ValueError, "nesterov", {"nesterov": True, "momentum": 0}),
    (ValueError, "nesterov", {"nesterov": True, "dampening": 0.1}),
    *((ValueError, name, {name: x}) for name in ("lr", "momentum", "weight_decay") for x in (-1, np.nan, np.inf)),
    *((ValueError, "lr", {"lr": x}) for x in (np.float32(np.inf), 10**400, -(10**400))),
    *((ValueError, "dampening", {"dampening": x}) for x in (np.nan, np.inf, -np.inf)),
    *((TypeError, name, {name: x}) for name in ("lr", "dampening") for x in ("1", None, True, [0.1])),
]


@pytest.mark.parametrize("error, name, options", WRONG)
def test_errors_write_nothing(error, name, options):
    given = {k: [np.full(8, 9, np.float32), np.full(8, 9, np.float32)] for k in ("params", "grads", "velocities")}
    given |= {**GOOD, **options}
    watched = [a for column in given.values() if isinstance(column, list) for a in column if isinstance(a, np.ndarray)]
    before = [a.copy() for a in watched]
    with pytest.raises(error, match=name):
        fastml.sgd_step(**given)
    for a, b in zip(watched, before, strict=True):
        np.testing.assert_array_equal(a, b)
