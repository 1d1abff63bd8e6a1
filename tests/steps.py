"""What tests of compiled steps share: models drawn at random, batches, and both ways of training side by side."""

import itertools
import pickle

import numpy as np

import fastml
from fastml import nn, optim

from .common import with_threads
from .kinds import ACTIVATIONS, OPTIMIZERS

CLASSES = 5


def random_model(seed, dtype):
    """A Sequential of layers drawn by the seed, some of them nested, and the width of its input."""
    rng = np.random.default_rng(seed)
    widths = [int(w) for w in rng.choice([1, 3, 10, 16, 33, 64, 100], rng.integers(2, 5))]
    layers = []
    nn.manual_seed(seed)
    for n_in, n_out in itertools.pairwise([*widths, CLASSES]):
        layers += others(rng, n_in, dtype)
        layers.append(nn.Linear(n_in, n_out, bias=bool(rng.integers(2)), dtype=dtype))
        part = others(rng, n_out, dtype)
        layers += [nn.Sequential(*part)] if part and rng.integers(2) else part
    return nn.Sequential(*layers), widths[0]


def others(rng, width, dtype):
    """Layers that keep the width."""
    kinds = [
        lambda: nn.BatchNorm(width, dtype=dtype),
        lambda: nn.BatchNorm(width, momentum=None, affine=False, dtype=dtype),
        lambda: nn.BatchNorm(width, track_running_stats=False, dtype=dtype),
        *ACTIVATIONS,
        lambda: nn.Dropout(0.3),
        lambda: nn.Dropout(0.0),
        lambda: nn.AlphaDropout(0.3),
        lambda: nn.LayerNorm(width, dtype=dtype),
        lambda: nn.LayerNorm((width,), bias=False, dtype=dtype),
        lambda: nn.LayerNorm(width, elementwise_affine=False, eps=1e-3, dtype=dtype),
        lambda: nn.RMSNorm(width, dtype=dtype),
        lambda: nn.RMSNorm((width,), eps=1e-3, elementwise_affine=False, dtype=dtype),
    ]
    return [kinds[i]() for i in rng.integers(0, len(kinds), rng.integers(0, 4))]


def batches(seed, width, dtype, sizes=(20, 20, 7, 45, 2)):
    rng = np.random.default_rng(seed)
    return [(rng.standard_normal((n, width)).astype(dtype), rng.integers(0, CLASSES, n)) for n in sizes]


def twins(model):
    return model, pickle.loads(pickle.dumps(model))


def explicit(model, loss_fn, optimizer, x, y, max_norm=None, clip_value=None, ema=None):
    loss, grad = loss_fn(model(x), y)
    model.backward(grad)
    if clip_value is not None:
        fastml.clip_grad_value([p.grad for p in model.parameters()], clip_value)
    if max_norm is not None:
        fastml.clip_grad_norm([p.grad for p in model.parameters()], max_norm)
    optimizer.step()
    if ema is not None:
        ema.update()
    return loss


def sgd(model, **options):
    return optim.SGD(model.parameters(), **{"lr": 0.05, "momentum": 0.9, **options})


EVERY_OPTIMIZER = [lambda model, make=make: make(model.parameters()) for make in OPTIMIZERS.values()]


def assert_twins(a, b, what=""):
    b = b.state_dict()
    for name, value in a.state_dict().items():
        assert np.array_equal(value, b[name], equal_nan=True), f"{what} {name}"


def assert_same_training(
    model,
    data,
    loss_fn=None,
    options=None,
    threads=1,
    max_norm=None,
    clip_value=None,
    optimizer=sgd,
    ema=None,
):
    """Both ways give the same losses, parameters, statistics and averages (``ema``: their decay) on these batches."""
    loss_fn = loss_fn or nn.CrossEntropyLoss()
    a, b = twins(model)
    slow, fast = optimizer(a, **(options or {})), optimizer(b, **(options or {}))
    averages = [None if ema is None else optim.EMA(m.parameters(), ema) for m in (a, b)]
    step = nn.compile_step(b, loss_fn, fast, max_norm=max_norm, clip_value=clip_value, ema=averages[1])
    for k, (x, y) in enumerate(data):
        want = explicit(a, loss_fn, slow, x, y, max_norm, clip_value, averages[0])
        got = with_threads(threads, step, x, y)
        assert got.dtype == want.dtype and np.array_equal(got, want, equal_nan=True), f"loss {k}\n{step.describe()}"
        assert_twins(a, b, f"step {k}\n{step.describe()}\n")
    np.testing.assert_equal(fast.state_dict(), slow.state_dict())
    if ema is not None:
        np.testing.assert_equal(averages[1].state_dict(), averages[0].state_dict())
    return step


def big_model(dtype=np.float32):
    nn.manual_seed(0)
    layers = [nn.Linear(200, 256), nn.BatchNorm(256), nn.ReLU(), nn.Dropout(0.2)]
    layers += [nn.Linear(256, 100), nn.BatchNorm(100), nn.ReLU(), nn.Dropout(0.2), nn.Linear(100, CLASSES)]
    return nn.Sequential(*layers)
