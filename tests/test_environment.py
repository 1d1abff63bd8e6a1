"""The floating-point mode belongs to the kernel: the same bits in whatever mode the caller and the workers are, and
theirs is back afterwards. docs/numerics.md says what runs in which mode."""

import itertools

import numpy as np
import pytest

import fastml
from fastml import nn, optim

from .common import (
    DTYPES,
    OPS,
    THREADS,
    adversarial,
    assert_same_bits,
    copy_args,
    flushed,
    map_arrays,
    normal,
    run_python,
    with_threads,
)
from .kinds import OPTIMIZERS
from .modes import MODES, in_mode

every_op = pytest.mark.parametrize("op", OPS, ids=lambda op: op.id)
every_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=["float32", "float64"])


def arguments(op, dtype):
    """Arguments for the op: ordinary ones, some with denormals in the first array, some that give them."""
    cases = []
    for shape in filter(op.valid, [(4, 16), (6, 2, 67), (67, 259), (9001, 2)]):
        plain = op.make(shape, dtype, seed=3)
        cases.append(plain)
        if op.arrays:
            first = [op.arrays[0]]
            cases.append(map_arrays(copy_args(plain), first, lambda a: adversarial(a.shape, "denormal", dtype)))
            small = dtype(2.0 ** (np.finfo(dtype).minexp + 1))
            cases.append(map_arrays(copy_args(plain), first, lambda a, small=small: a * small))
    return cases


# --- ops -----------------------------------------------------------------------------------------------------


@every_dtype
@every_op
def test_same_bits_in_every_mode(op, dtype):
    cases = arguments(op, dtype)
    ready = [copy_args(args) for args in cases]
    want = [op.run(args) for args in ready]
    for mode, threads in [*zip(MODES, itertools.cycle(THREADS[::-1])), ("flush", 1), ("flush", 2)]:
        ready = [copy_args(args) for args in cases]  # NumPy's own arithmetic is not for the mode
        with in_mode(mode, threads):
            got = [with_threads(threads, op.run, args) for args in ready]
        for k, (results, wanted) in enumerate(zip(got, want, strict=True)):
            for g, w in zip(results, wanted, strict=True):
                assert_same_bits(g, w, f"{op.id} {mode}, {threads} threads, case {k}")


@every_dtype
@pytest.mark.parametrize("op", [op for op in OPS if op.flushes], ids=lambda op: op.id)
def test_what_counts_denormals_as_zeros_gives_none(op, dtype):
    """No result of a product, of a layer's gradient or of an update is denormal, whatever goes in."""
    for args in arguments(op, dtype):
        for k, result in enumerate(op.run(args)):
            if op.name == "linear_cross_entropy_with_grad" and k == 0:
                continue  # the loss is a value
            assert_same_bits(result, flushed(result), f"{op.id} result {k}")


def test_an_error_puts_the_mode_back():
    x = np.zeros((3, 4), np.float32)
    with in_mode("up"):
        for wrong in (
            lambda: fastml.softmax(x, axis=5),
            lambda: fastml.linear(x, x.T.copy()),
            lambda: fastml.cross_entropy(x, np.array([0, 9, 0])),
            lambda: fastml.adam_step([x], [x[:1]], [x], [x], 1),
            lambda: fastml.batch_norm(x, None, None, None, None, True, eps=-1.0),
        ):
            with pytest.raises((ValueError, IndexError, TypeError)):
                wrong()


def test_functions_keep_their_denormals():
    """What is asked for is given: values of functions are IEEE's down to the last denormal."""
    x = np.array([[0.0, -95.0, -103.0, -110.0]], np.float32)
    y = fastml.softmax(x)
    np.testing.assert_allclose(y, np.exp(x.astype(np.float64)), rtol=1e-6, atol=1e-45)
    assert np.count_nonzero(y) == 3
    assert fastml.sigmoid(np.float32([-100.0]))[0] == np.float32(np.exp(-100.0))


# --- training ------------------------------------------------------------------------------------------------


def model_of_all(dtype=np.float32):
    nn.manual_seed(4)
    kind = {"dtype": dtype}
    layers = [nn.Linear(10, 33, **kind), nn.BatchNorm(33, **kind), nn.GELU(), nn.Linear(33, 64, **kind), nn.ReLU()]
    layers += [nn.Dropout(0.3), nn.LayerNorm(64, **kind), nn.Linear(64, 16, **kind), nn.Sigmoid(), nn.AlphaDropout(0.2)]
    layers += [nn.RMSNorm(16, **kind), nn.LeakyReLU(0.1), nn.Dropout(0.1), nn.ReLU(), nn.Linear(16, 5, **kind)]
    return nn.Sequential(*layers)


every_optimizer = pytest.mark.parametrize("optimizer", OPTIMIZERS)


def tiny_batches(dtype, count=6):
    """Batches of numbers around the smallest normal one, and some of ordinary size."""
    small = 2.0 ** (np.finfo(dtype).minexp // 2 + 4)
    rng = np.random.default_rng(5)
    return [
        ((rng.standard_normal((40, 10)) * small ** (k % 3)).astype(dtype), rng.integers(0, 5, 40)) for k in range(count)
    ]


def training(optimizer, dtype, compiled, threads=1, shrink=1.0):
    """A function that trains, and what it is to return: losses, parameters, statistics, state and averages."""
    model = model_of_all(dtype)
    for p in model.parameters():
        p.value *= dtype(shrink)
    algorithm = OPTIMIZERS[optimizer](model.parameters())
    ema = optim.EMA(model.parameters(), 0.5)
    loss_fn, batches, losses = nn.CrossEntropyLoss(label_smoothing=0.1), tiny_batches(dtype), []
    step = nn.compile_step(model, loss_fn, algorithm, max_norm=1.0, ema=ema) if compiled else None

    def run():
        for x, y in batches:
            if compiled:
                losses.append(with_threads(threads, step, x, y))
                continue
            loss, grad = loss_fn(model(x), y)
            model.backward(grad)
            fastml.clip_grad_norm([p.grad for p in model.parameters()], 1.0)
            algorithm.step()
            ema.update()
            losses.append(loss)

    def result():
        state = algorithm.state_dict()["state"]
        arrays = {f"{i} {name}": v for i, s in state.items() for name, v in s.items()}
        averages = {f"average {i}": v for i, v in enumerate(ema.state_dict()["averages"])}
        return {"losses": np.array(losses), **model.state_dict(), **arrays, **averages}

    return run, result


def assert_same_results(got, want, what):
    assert got.keys() == want.keys()
    for name, value in want.items():
        assert_same_bits(got[name], value, f"{what}: {name}")


@every_dtype
@every_optimizer
@pytest.mark.parametrize("compiled", [False, True], ids=["explicit", "compiled"])
def test_training_gives_the_same_bits_in_every_mode(compiled, optimizer, dtype):
    run, result = training(optimizer, dtype, compiled)
    run()
    want = result()
    for k, mode in enumerate(MODES):
        threads = THREADS[k % len(THREADS)] if compiled else 1
        run, result = training(optimizer, dtype, compiled, threads)
        with in_mode(mode, threads):
            run()
        assert_same_results(result(), want, mode)


@every_dtype
@every_optimizer
@pytest.mark.parametrize("shrink", [0.0, 0.25, 0.5, 0.75], ids=str)
def test_both_ways_count_the_same_numbers_as_zeros(shrink, optimizer, dtype):
    """Parameters, inputs and gradients all around the smallest normal number."""
    shrink = 2.0 ** (np.finfo(dtype).minexp * shrink)
    run, want = training(optimizer, dtype, False, shrink=shrink)
    run()
    for threads in THREADS:
        run, got = training(optimizer, dtype, True, threads, shrink)
        run()
        assert_same_results(got(), want(), f"{threads} threads")


# --- what dies -----------------------------------------------------------------------------------------------


def assert_no_denormals(named):
    for name, value in named.items():
        assert_same_bits(value, flushed(value), name)


@every_dtype
@pytest.mark.parametrize("optimizer", [name for name in OPTIMIZERS if name not in ("AdamW", "plain SGD")])
def test_state_without_gradients_ends_at_zero(optimizer, dtype):
    """A moment whose gradient stays 0 does not stick at the smallest denormal."""
    x = normal((3, 50), dtype, scale=1e-3)
    p = nn.Parameter(x.copy())
    algorithm = OPTIMIZERS[optimizer]([p])
    steps = 2000 if dtype is np.float32 else 8000
    for k in range(steps):
        p.grad = x if k < 5 else np.zeros_like(x)
        algorithm.step()
        if k % 100 == 0:
            assert_no_denormals({"p": p.value, **algorithm.state_dict()["state"][0]})
    assert_no_denormals({"p": p.value, **algorithm.state_dict()["state"][0]})


DECAYING = {
    "sgd": lambda p: optim.SGD(p, lr=1e-3, momentum=0.7),
    "adam": lambda p: optim.Adam(p, lr=1e-3, betas=(0.5, 0.6)),
    "rmsprop": lambda p: optim.RMSprop(p, lr=1e-3, alpha=0.5, momentum=0.6),
}


@every_dtype
@pytest.mark.parametrize("optimizer", DECAYING)
@pytest.mark.parametrize("compiled", [False, True], ids=["explicit", "compiled"])
def test_averages_of_what_has_gone_end_at_zero(compiled, optimizer, dtype):
    """Running statistics of channels that are 0 from now on, the moments and the moving averages of their weights."""
    norm = nn.BatchNorm(20, dtype=dtype)
    norm.running_mean[:], norm.running_var[:] = np.linspace(0.1, 3, 20), 1
    model = nn.Sequential(norm, nn.Linear(20, 3, dtype=dtype))
    model[1].weight.value[:, :10] = 0
    algorithm = DECAYING[optimizer](model.parameters())
    ema = optim.EMA(model.parameters(), 0.7)
    loss_fn = nn.CrossEntropyLoss()
    step = nn.compile_step(model, loss_fn, algorithm, ema=ema) if compiled else None
    x, y = np.zeros((8, 20), dtype), np.arange(8) % 3
    for k in range(1000 if dtype is np.float32 else 8000):
        x[:] = 0 if k else normal((8, 20), dtype)
        if compiled:
            step(x, y)
        else:
            _, grad = loss_fn(model(x), y)
            model.backward(grad)
            algorithm.step()
            ema.update()
    state = {f"{i} {k}": v for i, s in algorithm.state_dict()["state"].items() for k, v in s.items()}
    averages = {f"average {i}": v for i, v in enumerate(ema.state_dict()["averages"])}
    assert_no_denormals({**model.state_dict(), **state, **averages})
    assert not norm.running_mean.any() and not norm.running_var.any()


@every_dtype
def test_products_of_denormals_are_zero(dtype):
    tiny = np.finfo(dtype).smallest_subnormal
    x, w = np.full((64, 64), 1000 * tiny, dtype), normal((64, 64), dtype)
    assert not fastml.linear(x, w).any()
    for product in fastml.linear_backward(x, w, w):
        assert not product.any()


# --- another library's mode ----------------------------------------------------------------------------------


def test_pytorchs_flush_to_zero_changes_no_bit():
    pytest.importorskip("torch")
    code = """
        import numpy as np, torch, fastml
        x = np.tile(np.float32([[0, -95]]), (1 << 19, 1))
        fastml.set_num_threads(2)
        before = fastml.softmax(x)
        assert torch.set_flush_denormal(True)
        after = fastml.softmax(x)
        one = np.float32(1e-39)
        result = {"before": before, "after": after, "flushes": one * np.float32(0.5)}
    """
    found = run_python(code)
    assert found["before"][0, 1] > 0
    assert_same_bits(found["after"], found["before"])
    assert found["flushes"] == 0, "the mode of PyTorch is in force again"
