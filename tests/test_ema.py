"""ema_step: against the reference and PyTorch, over lists."""

import itertools

import numpy as np
import pytest

import fastml
from fastml import reference

from .common import DTYPES, LENGTHS, assert_close, assert_same_bits, normal
from .test_adam import MIXED


def lists(shapes, dtypes):
    pairs = list(zip(shapes, itertools.cycle(dtypes), strict=False))
    return [[normal(s, d, 100 * k + i) for i, (s, d) in enumerate(pairs)] for k in range(2)]


@pytest.mark.parametrize("decay", [0.0, 0.3, 0.5, 0.999, 1.0])
@pytest.mark.parametrize("dtype", DTYPES)
def test_decays(dtype, decay):
    averages, params = lists([(n,) for n in LENGTHS] + MIXED, [dtype])
    want = [np.array(a) for a in averages]
    before = [np.array(p) for p in params]
    assert fastml.ema_step(averages, params, decay=decay) is None
    reference.ema_step(want, params, decay=decay)
    for g, w, p, b in zip(averages, want, params, before, strict=True):
        assert_close(g, w, ulp=2, scale=1.0)
        assert_same_bits(p, b)


def test_what_has_arrived_stays():
    for decay in (0.1, 0.9, 0.999):
        p = normal((1000,))
        average = p.copy()
        fastml.ema_step([average], [p], decay=decay)
        assert_same_bits(average, p)


def test_as_pytorch():
    torch = pytest.importorskip("torch")
    update = torch.optim.swa_utils.get_ema_multi_avg_fn(0.99)
    averages, params = lists(MIXED, [np.float64])
    theirs = [torch.tensor(a) for a in averages]
    for k in range(10):
        params = [p + k for p in params]
        fastml.ema_step(averages, params, decay=0.99)
        update(theirs, [torch.tensor(p) for p in params], None)
    for a, t in zip(averages, theirs, strict=True):
        np.testing.assert_allclose(a, t.numpy(), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("module", [fastml, reference], ids=["fastml", "reference"])
@pytest.mark.parametrize(
    ("error", "name", "options"),
    [
        (ValueError, "decay", {"decay": 1.1}),
        (ValueError, "decay", {"decay": -0.1}),
        (ValueError, "decay", {"decay": np.nan}),
        (TypeError, "decay", {"decay": "1"}),
        (TypeError, "averages", {"averages": np.ones(3)}),
        (ValueError, "params", {"params": [np.ones(3)]}),
        (ValueError, r"params\[1\]", {"params": [np.ones(3), np.ones(2)]}),
        (TypeError, r"averages\[1\]", {"averages": [np.zeros(3), [1, 2, 3]]}),
    ],
)
def test_errors_write_nothing(error, name, options, module):
    given = {"averages": [np.zeros(3), np.zeros(3)], "params": [np.ones(3), np.ones(3)]} | options
    with pytest.raises(error, match=name):
        module.ema_step(**given)
    if isinstance(given["averages"], list):
        assert not given["averages"][0].any()
