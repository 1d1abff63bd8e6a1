"""Dropout of channels and SELU's, against NumPy and PyTorch, and in a compiled step."""

import pickle

import numpy as np
import pytest

from fastml import nn, optim, reference

from .common import DTYPES, assert_same_bits, normal, with_threads
from .steps import CLASSES, assert_same_training

ALPHA = -1.7580993408473766
CHANNELS = [
    (nn.Dropout1d, (5, 9), 1),
    (nn.Dropout1d, (4, 5, 9), 2),
    (nn.Dropout2d, (4, 5, 9), 2),
    (nn.Dropout2d, (4, 5, 3, 7), 2),
    (nn.Dropout2d, (16, 40, 30, 20), 2),
    (nn.Dropout2d, (0, 5, 3, 7), 2),
    (nn.Dropout2d, (2, 3, 0, 7), 2),
]
LAYERS = [(nn.Dropout1d, (6, 7, 5)), (nn.Dropout2d, (6, 7, 5, 3)), (nn.AlphaDropout, (6, 7))]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("p", [0.3, 1.0])
@pytest.mark.parametrize("kind, shape, axes", CHANNELS)
def test_channels_against_numpy(kind, shape, axes, p, dtype):
    layer, channels = kind(p, seed=3), shape[:axes]
    for k in range(3):
        x, grad = normal(shape, dtype, seed=k), normal(shape, dtype, seed=9 + k)
        offset = layer.offset
        kept = reference.dropout_mask(channels, p, seed=3, offset=offset)
        kept = kept.reshape(channels + (1,) * (len(shape) - axes))
        scale = dtype(1 / (1 - p) if p < 1 else 0)
        assert_same_bits(layer(x), np.where(kept, x * scale, x * dtype(0)))
        assert_same_bits(layer.backward(grad), np.where(kept, grad * scale, grad * dtype(0)))
        assert layer.offset == offset + kept.size


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("p", [1e-6, 0.3, 0.9, 1.0])
@pytest.mark.parametrize("shape", [(), (7,), (3, 0), (4, 5, 9), (600, 500)])
def test_alpha_against_numpy(shape, p, dtype):
    layer = nn.AlphaDropout(p, seed=4)
    a = 1 / np.sqrt((1 - p) * (1 + p * ALPHA * ALPHA)) if p < 1 else 0.0
    for k in range(3):
        x, grad = normal(shape, dtype, seed=k), normal(shape, dtype, seed=9 + k)
        offset = layer.offset
        kept = reference.dropout_mask(shape, p, seed=4, offset=offset)
        want = a * np.where(kept, x.astype(float), ALPHA) - a * p * ALPHA
        y = layer(x)
        assert y.shape == shape and y.dtype == dtype
        eps = np.finfo(dtype).eps
        np.testing.assert_allclose(y, want, rtol=2 * eps, atol=4 * eps * max(a, 1))
        assert_same_bits(y, np.where(kept, x * dtype(a) + dtype(-a * p * ALPHA), dtype(a * (1 - p) * ALPHA + 0.0)))
        assert_same_bits(layer.backward(grad), np.where(kept, grad * dtype(a), dtype(0)))
        assert layer.offset == offset + x.size


@pytest.mark.parametrize("kind, shape", LAYERS)
def test_evaluation_and_p_0_give_the_input_itself(kind, shape):
    x = normal(shape)
    for layer in (kind(0.0, seed=1), kind(0.5, seed=1).eval()):
        assert layer(x) is x and layer.backward(x) is x and layer.offset == 0


@pytest.mark.parametrize("kind, shape", LAYERS)
def test_state_repeats_and_resumes(kind, shape):
    x, a = normal(shape), kind(0.5, seed=1)
    first = a(x)
    b = pickle.loads(pickle.dumps(a))
    second = a(x)
    assert not np.array_equal(first, second)
    assert_same_bits(b(x), second)
    a.offset = 0
    assert_same_bits(a(x), first)
    nn.manual_seed(7)
    seed = kind(0.5).seed
    nn.manual_seed(7)
    assert kind(0.5).seed == seed and repr(kind(0.25)) == f"{kind.__name__}(p=0.25)"


@pytest.mark.parametrize("kind, shape", [(nn.Dropout, (6, 7)), *LAYERS])
def test_the_stream_is_a_ring(kind, shape):
    x, layer = normal(shape), kind(0.5, seed=1)
    layer(x)
    words = layer.offset
    layer.offset = 2**64 - 5
    layer(x)
    assert layer.offset == words - 5
    again = kind(0.5, seed=1)
    again.offset = words - 5
    assert_same_bits(layer(x), again(x))
    layer.offset = 2**64 - 5
    model = nn.Sequential(layer, nn.Flatten(), nn.Linear(int(np.prod(shape[1:])), CLASSES, seed=0))
    assert_same_training(model, samples(shape[1:], np.float32))


@pytest.mark.parametrize("kind, shape", LAYERS)
def test_layouts_kinds_and_threads(kind, shape):
    def run(x, layer=None):
        layer = kind(0.5, seed=1)
        return layer(x), layer.backward(x)

    x = normal(shape)
    want = run(x)
    for other in (np.asfortranarray(x), np.repeat(x, 2, axis=-1)[..., ::2]):
        for got, expected in zip(run(other), want, strict=True):
            np.testing.assert_array_equal(got, expected)
    np.testing.assert_array_equal(run(x.tolist())[0], run(x.astype(np.float64))[0])
    assert run(np.ones(shape, int))[0].dtype == np.float32
    big = normal((40, 50, *[11] * (len(shape) - 2)))
    for got, expected in zip(with_threads(3, run, big), with_threads(1, run, big), strict=True):
        assert_same_bits(got, expected)


@pytest.mark.parametrize("kind, shape", LAYERS)
def test_errors(kind, shape):
    for p in (-0.1, 1.5, float("nan")):
        with pytest.raises(ValueError, match="p must"):
            kind(p)
    with pytest.raises(TypeError, match="seed"):
        kind(seed=0.5)
    with pytest.raises(RuntimeError, match="forward"):
        kind().backward(normal(shape))
    layer = kind(seed=1)
    with pytest.raises(TypeError, match="x"):
        layer(np.ones(shape, complex))
    assert layer.offset == 0
    layer(normal(shape))
    with pytest.raises(ValueError, match="grad must have the shape"):
        layer.backward(normal(shape[1:]))


@pytest.mark.parametrize("kind, ranks", [(nn.Dropout1d, (0, 1, 4)), (nn.Dropout2d, (0, 1, 2, 5))])
def test_ranks_that_are_none(kind, ranks):
    for rank in ranks:
        with pytest.raises(ValueError, match=r"x must have the shape \(N, C"):
            kind()(np.ones((2,) * rank))


@pytest.mark.parametrize("p", [0.1, 0.5])
def test_alpha_keeps_mean_and_variance(p):
    x = normal(1_000_000, np.float64)
    y = nn.AlphaDropout(p, seed=2)(x)
    assert abs(y.mean()) < 0.005 and abs(y.var() - 1) < 0.01


@pytest.mark.parametrize("p", [0.2, 0.5, 1.0])
def test_pytorch_draws_from_the_same_distribution(p):
    """The same two results of one input, the same shapes of the mask, and as many dropped within 5 deviations."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    for kind, shape, axes in [(nn.AlphaDropout, (300, 400), 2), *CHANNELS[:2], *CHANNELS[3:5]]:
        reps = (200,) * (len(shape) < 4) or (1,)
        x = np.broadcast_to(np.float32(0.75), shape)
        layer, peer = kind(p, seed=5), getattr(torch.nn, kind.__name__)(p)
        ours = np.stack([layer(x) for _ in range(reps[0])])
        theirs = np.stack([peer(torch.tensor(x)).numpy() for _ in range(reps[0])])
        np.testing.assert_allclose(np.unique(ours), np.unique(theirs), rtol=1e-6, atol=1e-6)
        if p == 1:
            continue
        n = ours.size // np.prod(shape[axes:], dtype=int)
        rates = [(y == y.min()).mean() for y in (ours, theirs)]
        bound = 5 * np.sqrt(2 * p * (1 - p) / n)
        assert abs(rates[0] - rates[1]) < bound and abs(rates[0] - p) < bound
        if kind is not nn.AlphaDropout:
            for y in (ours, theirs):
                flat = y.reshape(n, -1)
                assert (flat == flat[:, :1]).all()


def samples(shape, dtype, sizes=(20, 20, 7, 45, 2)):
    rng = np.random.default_rng(0)
    return [(rng.standard_normal((n, *shape)).astype(dtype), rng.integers(0, CLASSES, n)) for n in sizes]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize(
    "kind, shape",
    [(nn.Dropout1d, (8, 19)), (nn.Dropout2d, (8, 5)), (nn.Dropout2d, (8, 9, 11)), (nn.Dropout2d, (8, 1, 1))],
)
def test_compiled_channels(kind, shape, threads, dtype):
    features = int(np.prod(shape))
    for layers in (
        [kind(0.3, seed=1)],
        [nn.GroupNorm(4, 8, dtype=dtype), nn.ReLU(), kind(0.4, seed=2), nn.GroupNorm(2, 8, dtype=dtype), kind(1.0)],
        [nn.InstanceNorm(8, affine=True, dtype=dtype), kind(0.5, seed=3), nn.GELU(), kind(0.0), kind(0.2, seed=4)],
    ):
        if shape[1:] == (1, 1) and len(layers) == 5 and isinstance(layers[0], nn.InstanceNorm):
            continue
        model = nn.Sequential(*layers, nn.Flatten(), nn.Linear(features, CLASSES, seed=0, dtype=dtype))
        assert_same_training(model, samples(shape, dtype), threads=threads)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("threads", [1, 3])
def test_compiled_alpha(threads, dtype):
    for p in (0.2, 1.0):
        model = nn.Sequential(
            nn.AlphaDropout(0.1, seed=5), nn.Linear(300, 600, seed=0, dtype=dtype), nn.ELU(),
            nn.AlphaDropout(p, seed=6), nn.Linear(600, 40, seed=1, dtype=dtype), nn.ReLU(),
            nn.AlphaDropout(0.5, seed=7), nn.Linear(40, CLASSES, seed=2, dtype=dtype),
        )  # fmt: skip
        assert_same_training(model, samples((300,), dtype, (130, 64, 300)), threads=threads)


def test_a_step_refuses_other_shapes():
    (x, y), *_ = samples((6,), np.float32)
    for kind in (nn.Dropout1d, nn.Dropout2d):
        model = nn.Sequential(kind(), nn.Flatten(), nn.Linear(6, CLASSES))
        with pytest.raises(ValueError, match=rf"0: {kind.__name__} takes \(N, C, .* gives \(6,\)"):
            nn.compile_step(model, nn.CrossEntropyLoss(), optim.SGD(model.parameters(), lr=0.1))(x, y)
