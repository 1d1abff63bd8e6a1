"""lion_step and optim.Lion: against the reference, by hand, over lists."""

import itertools

import numpy as np
import pytest

import fastml
from fastml import nn, optim, reference

from .common import DTYPES, LENGTHS, assert_close, assert_same_bits, normal
from .test_adam import MIXED

OPTIONS = [
    {"betas": b, "weight_decay": w, "maximize": x}
    for b, w, x in itertools.product(((0.9, 0.99), (0.0, 0.3)), (0.0, 0.1), (False, True))
]
every_option = pytest.mark.parametrize("options", OPTIONS, ids=lambda o: "-".join(map(str, o.values())))


def lists(shapes, dtypes=(np.float32,), seed=0):
    """params, grads, exp_avgs: the dtypes take turns."""
    pairs = list(zip(shapes, itertools.cycle(dtypes), strict=False))
    return [[normal(s, d, seed + 100 * k + i) for i, (s, d) in enumerate(pairs)] for k in range(3)]


def step(arrays, module=fastml, **options):
    """The step on copies: params and averages afterwards."""
    p, g, m = ([np.array(a) for a in column] for column in arrays)
    assert module.lion_step(p, g, m, **options) is None
    for a, b in zip(g, arrays[1], strict=True):
        assert_same_bits(a, b)
    return p + m


@every_option
@pytest.mark.parametrize("dtype", DTYPES)
def test_options(dtype, options):
    arrays = lists([(n,) for n in LENGTHS] + [(7, 9), (1000,)], [dtype])
    got, want = (step(arrays, module, lr=0.1, **options) for module in (fastml, reference))
    for g, w in zip(got, want, strict=True):
        assert_close(g, w, ulp=4, scale=1.0, what=str(options))


def test_by_hand():
    """The sign of the average that is to come, 0 and NaN included; the average itself is another one."""
    p, g = np.array([1.0, 1.0, 1.0, 1.0]), np.array([2.0, -1.0, 0.0, np.nan])
    m = np.array([-0.1, 0.2, 0.0, 0.0])
    fastml.lion_step([p], [g], [m], lr=0.25, betas=(0.5, 0.75), weight_decay=0.5)
    np.testing.assert_allclose(p, [0.625, 1.125, 0.875, np.nan])
    np.testing.assert_allclose(m, [0.425, -0.1, 0.0, np.nan])


def test_each_array_as_if_alone():
    arrays = lists(MIXED * 3, (np.float32, np.float64, np.float64))
    together, count = step(arrays, weight_decay=0.01), len(arrays[0])
    for i in range(count):
        alone = step([column[i : i + 1] for column in arrays], weight_decay=0.01)
        for k in range(2):
            assert_same_bits(together[k * count + i], alone[k])


def test_the_optimizer_takes_the_steps_of_the_function():
    params, (w, m) = [normal((5, 3)), normal((7,))], lists([(5, 3), (7,)], seed=3)[:2]
    w, m = [p.copy() for p in params], [np.zeros_like(p) for p in params]
    opt = optim.Lion([{"params": params[:1], "weight_decay": 0.1}, {"params": params[1:]}], lr=0.02)
    for k in range(5):
        grads = [normal((5, 3), seed=10 + k), normal((7,), seed=20 + k)]
        opt.step(grads)
        for i, decay in enumerate((0.1, 0.0)):
            fastml.lion_step(w[i : i + 1], grads[i : i + 1], m[i : i + 1], lr=0.02, weight_decay=decay)
    for got, want in zip(params, w, strict=True):
        assert_same_bits(got, want)
    state = opt.state_dict()["state"]
    assert state[1]["step"] == 5 and list(state[0]) == ["step", "exp_avg"]
    assert_same_bits(state[0]["exp_avg"], m[0])


def test_it_learns():
    nn.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 1))
    step = nn.compile_step(model, nn.MSELoss(), optim.Lion(model.parameters(), lr=3e-3))
    x = normal((200, 2))
    losses = [float(step(x, x[:, :1] * x[:, 1:])) for _ in range(400)]
    assert losses[-1] < 0.1 * losses[0]


ONES = np.ones(8, np.float32)
INF, NAN = np.inf, np.nan
WRONG = [
    (ValueError, "exp_avgs", {"exp_avgs": [ONES]}),
    (TypeError, "exp_avgs", {"exp_avgs": None}),
    (ValueError, r"exp_avgs\[1\]", {"exp_avgs": [ONES.copy(), ONES[:7]]}),
    *((ValueError, name, {name: x}) for name in ("lr", "weight_decay") for x in (-1, NAN, INF)),
    *((TypeError, name, {name: x}) for name in ("lr", "weight_decay") for x in ("1", None, True)),
    *((ValueError, "betas", {"betas": x}) for x in ((0.9, 1.0), (-0.1, 0.9), (0.9,), (NAN, 0.9))),
    *((TypeError, "betas", {"betas": x}) for x in (0.9, None, ("a", 0.9))),
]


@pytest.mark.parametrize("module", [fastml, reference], ids=["fastml", "reference"])
@pytest.mark.parametrize("error, name, options", WRONG)
def test_errors_write_nothing(error, name, options, module):
    given = {k: [np.full(8, 9, np.float32), np.full(8, 9, np.float32)] for k in ("params", "grads", "exp_avgs")}
    given |= options
    watched = [a for column in given.values() if isinstance(column, list) for a in column]
    before = [a.copy() for a in watched]
    with pytest.raises(error, match=name):
        module.lion_step(**given)
    for a, b in zip(watched, before, strict=True):
        np.testing.assert_array_equal(a, b)
