"""adagrad_step: against the reference and PyTorch, over lists."""

import itertools

import numpy as np
import pytest

import fastml
from fastml import reference

from .common import DTYPES, LENGTHS, assert_close, assert_same_bits, normal
from .test_adam import MIXED

OPTIONS = [
    {"lr_decay": d, "weight_decay": w, "maximize": x}
    for d, w, x in itertools.product((0.0, 0.3), (0.0, 0.1), (False, True))
]
every_option = pytest.mark.parametrize("options", OPTIONS, ids=lambda o: "-".join(map(str, o.values())))


def lists(shapes, dtypes=(np.float32,), seed=0):
    """params, grads, state_sums: the dtypes take turns."""
    pairs = list(zip(shapes, itertools.cycle(dtypes), strict=False))
    p, g, s = ([normal(s, d, seed + 100 * k + i) for i, (s, d) in enumerate(pairs)] for k in range(3))
    return [p, g, [np.asarray(a * a, a.dtype) for a in s]]


def step(arrays, number=3, module=fastml, **options):
    """The step on copies: params and sums afterwards."""
    p, g, s = ([np.array(a) for a in column] for column in arrays)
    assert module.adagrad_step(p, g, s, number, **options) is None
    for a, b in zip(g, arrays[1], strict=True):
        assert_same_bits(a, b)
    return p + s


@every_option
@pytest.mark.parametrize("dtype", DTYPES)
def test_options(dtype, options):
    arrays = lists([(n,) for n in LENGTHS] + [(7, 9), (1000,)], [dtype])
    for number in (1, 2, 1000):
        got = step(arrays, number, lr=0.1, **options)
        want = step(arrays, number, reference, lr=0.1, **options)
        for g, w in zip(got, want, strict=True):
            assert_close(g, w, ulp=4, scale=1.0, what=str(options))


@pytest.mark.parametrize("way", ["fused", "foreach", "single"])
@every_option
def test_as_pytorch(options, way):
    torch = pytest.importorskip("torch")
    p = [normal(s, np.float64, i) for i, s in enumerate(MIXED)]
    sums = [np.full_like(a, 0.25) for a in p]
    tensors = [torch.nn.Parameter(torch.tensor(a)) for a in p]
    optimizer = torch.optim.Adagrad(
        tensors, lr=0.1, initial_accumulator_value=0.25, foreach=way == "foreach", fused=way == "fused", **options
    )
    for number in range(1, 11):
        grads = [normal(a.shape, np.float64, 1000 * number + i) for i, a in enumerate(p)]
        for tensor, grad in zip(tensors, grads, strict=True):
            tensor.grad = torch.tensor(grad)
        optimizer.step()
        fastml.adagrad_step(p, grads, sums, number, lr=0.1, **options)
    for tensor, ours, total in zip(tensors, p, sums, strict=True):
        np.testing.assert_allclose(ours, tensor.detach().numpy(), rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(total, optimizer.state[tensor]["sum"].numpy(), rtol=1e-12)


def test_each_array_as_if_alone():
    arrays = lists(MIXED * 3, (np.float32, np.float64, np.float64))
    together = step(arrays, weight_decay=0.01)
    count = len(arrays[0])
    for i in range(count):
        alone = step([column[i : i + 1] for column in arrays], weight_decay=0.01)
        for k in range(2):
            assert_same_bits(together[k * count + i], alone[k])


ONES = np.ones(8, np.float32)
INF, NAN = np.inf, np.nan
WRONG = [
    (ValueError, "state_sums", {"state_sums": [ONES]}),
    (TypeError, "state_sums", {"state_sums": None}),
    (ValueError, r"state_sums\[1\]", {"state_sums": [ONES.copy(), ONES[:7]]}),
    *((ValueError, "step", {"step": t}) for t in (0, -1, 2**53 + 1)),
    *((TypeError, "step", {"step": t}) for t in (1.0, None, True)),
    *((ValueError, name, {name: x}) for name in ("lr", "lr_decay", "eps", "weight_decay") for x in (-1, NAN, INF)),
    *((TypeError, name, {name: x}) for name in ("lr", "lr_decay") for x in ("1", None, True)),
]


@pytest.mark.parametrize("module", [fastml, reference], ids=["fastml", "reference"])
@pytest.mark.parametrize("error, name, options", WRONG)
def test_errors_write_nothing(error, name, options, module):
    given = {k: [np.full(8, 9, np.float32), np.full(8, 9, np.float32)] for k in ("params", "grads", "state_sums")}
    given |= {"step": 1} | options
    watched = [a for column in given.values() if isinstance(column, list) for a in column]
    before = [a.copy() for a in watched]
    with pytest.raises(error, match=name):
        module.adagrad_step(**given)
    for a, b in zip(watched, before, strict=True):
        np.testing.assert_array_equal(a, b)
