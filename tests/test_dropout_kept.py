"""The bits that dropout's layer and the compiled step keep from forward: backward by them is the mask drawn again."""

import copy
import pickle

import numpy as np
import pytest
from fastml._kernels.dropout import dropout_keeping, dropout_kept

import fastml
from fastml import nn, reference

from .common import DTYPES, LENGTHS, assert_same_bits, normal, run_on_target, run_python, with_threads
from .steps import CLASSES, assert_same_training, batches

TOP = 2**64
OFFSETS = (0, 1, 2, 3, 4, 29, 2**34 - 5, TOP - 1, TOP - 66)
BIG = 70_003  # several blocks, more than one thread
ODD = [np.nan, np.inf, -np.inf, -0.0, 1e-40, -1e-310]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("offset", OFFSETS)
def test_lengths(dtype, offset):
    for n in (*LENGTHS, 127, 128, 129, 248, 500, BIG):
        x, grad = normal(n, dtype, seed=n), normal(n, dtype, seed=n + 1)
        grad[: len(ODD)] = ODD[:n]
        for p in (0.3,) if n > 100 else (0.0, 1e-12, 0.3, 1.0):
            place = {"seed": 11, "offset": offset}
            y, kept = dropout_keeping(x, p, 11, offset, None)
            assert_same_bits(y, reference.dropout(x, p, **place), f"{n} {p}")
            mask = np.unpackbits(np.frombuffer(kept.bits, np.uint8), bitorder="little")[:n].astype(bool)
            np.testing.assert_array_equal(mask, reference.dropout_mask(n, p, **place))
            assert_same_bits(dropout_kept(grad, kept, None), fastml.dropout_backward(grad, p, **place), f"{n} {p}")


def test_a_result_begins_anywhere_and_the_gradient_may_be_written_over():
    x = normal(1000)
    _, kept = dropout_keeping(x, 0.4, 3, 5, None)
    want = fastml.dropout_backward(x, 0.4, seed=3, offset=5)
    for shift in range(17):
        memory = np.full(1040, 99, np.float32)
        part = memory[shift : shift + 1000]
        assert dropout_kept(x, kept, part) is part
        assert_same_bits(part, want)
        part[:] = x
        assert_same_bits(dropout_kept(part, kept, part), want)
        y, again = dropout_keeping(x, 0.4, 3, 5, part)
        assert_same_bits(y, want)
        assert again.bits[:125] == kept.bits[:125]
        assert (np.delete(memory, np.s_[shift : shift + 1000]) == 99).all()


STREAMED = """
    import numpy as np, fastml
    from fastml._kernels.dropout import dropout_keeping, dropout_kept
    x, result = np.random.default_rng(0).standard_normal(40_003), {}
    for shift in range(16):
        for offset in range(5):
            for t in "fd":
                memory = np.full((2, 40_035), 99, t)
                forward, backward = memory[:, shift : shift + 40_003]
                _, kept = dropout_keeping(x.astype(t), 0.5, 3, offset, forward)
                dropout_kept(x.astype(t), kept, backward)
                result[f"{shift} {offset} {t}"] = memory
                result[f"bits {shift} {offset} {t}"] = np.frombuffer(kept.bits[:5000], np.uint8)
"""


def test_results_past_the_caches():
    inside, past = (run_python(STREAMED, FASTML_CACHE_BYTES=size) for size in ("1000000000", "1000"))
    for name, value in inside.items():
        assert_same_bits(past[name], value, name)
        if not name.startswith("bits"):
            assert_same_bits(value[1], value[0], name)


def test_threads_and_targets():
    def both(n):
        layer, x = nn.Dropout(0.5, seed=8), normal(n)
        layer.offset = 5
        return layer(x), layer.backward(x)

    for n in (BIG, 1_000_001):
        want = with_threads(1, both, n)
        assert_same_bits(want[1], want[0])
        for threads in (2, 3, 7):
            for got, expected in zip(with_threads(threads, both, n), want, strict=True):
                assert_same_bits(got, expected)
    code = """
        import numpy as np
        from fastml._kernels.dropout import dropout_keeping, dropout_kept
        x, result = np.random.default_rng(0).standard_normal(20_003), {}
        for n in (20_003, 45, 64, 9, 8, 1):
            for offset in (0, 1, 2**64 - 33):
                for t in "fd":
                    y, kept = dropout_keeping(x[:n].astype(t), 0.3, 2**40, offset, None)
                    result[f"{n} {offset} {t}"] = y
                    bits = np.frombuffer(kept.bits, "u1")
                    result[f"bits {n} {offset} {t}"] = np.unpackbits(bits, bitorder="little")[:n]
                    result[f"backward {n} {offset} {t}"] = dropout_kept(y, kept, None)
    """
    from fastml import _simd

    first, *others = [run_on_target(target, code) for target in _simd.available_targets()]
    for other in others:
        for name, value in first.items():
            assert_same_bits(other[name], value, name)


@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (7,), (5, 13), (600, 501)])
@pytest.mark.parametrize("p", [1e-12, 0.4, 1.0])
def test_the_layer_against_the_function(shape, p):
    x, grad, layer = normal(shape), normal(shape, np.float64, seed=1), nn.Dropout(p, seed=6)
    for _ in range(3):
        offset = layer.offset
        y = layer(x)
        layer.p, layer.seed = 0.9, 7  # backward is that of the last forward, whatever has been set since
        for g in (grad, grad.astype(np.float32), np.array(grad, order="F"), grad.tolist()):
            want = fastml.dropout_backward(g, p, seed=6, offset=offset)
            assert_same_bits(layer.backward(g), want)
        layer.p, layer.seed = p, 6
        assert_same_bits(np.asarray(y), np.asarray(fastml.dropout(x, p, seed=6, offset=offset)))


def test_two_forwards_before_backward_and_copies():
    x, layer = normal((31, 7)), nn.Dropout(0.5, seed=6)
    first, second = layer(x), layer(x)
    assert not np.array_equal(first, second)
    assert_same_bits(layer.backward(x), second)
    for other in (copy.copy(layer), copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        with pytest.raises(RuntimeError, match="needs a forward pass"):
            other.backward(x)
        third = other(x)
        assert_same_bits(layer.backward(x), second)
        assert_same_bits(other.backward(x), third)
    big = normal((1200, 1001))
    kept = layer(big)
    copy.copy(layer)(big)
    assert_same_bits(layer.backward(big), kept)
    assert layer.eval()(x) is x and layer.backward(x) is x


class Liar(np.ndarray):
    shape = (3, 5)


def test_a_gradient_of_another_size_is_refused():
    layer = nn.Dropout(0.5, seed=6)
    layer(np.ones((3, 5), np.float32))
    wrong = np.ones((300, 500))
    for grad in (wrong, wrong.tolist(), wrong.view(Liar), wrong.astype(int), np.float64(1)):
        with pytest.raises(ValueError, match=r"grad must have the shape of the last result, \(3, 5\), not"):
            layer.backward(grad)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("width", [1, 7, 8, 9, 33, 64, 1000])
def test_compiled(width, threads, dtype):
    model = nn.Sequential(
        nn.Dropout(0.1, seed=1), nn.Linear(200, width, seed=0, dtype=dtype), nn.Dropout(0.4, seed=2),
        nn.BatchNorm(width, dtype=dtype), nn.ReLU(), nn.Dropout(0.3, seed=3), nn.Dropout(0.2, seed=4), nn.Tanh(),
        nn.Dropout(1e-12, seed=5), nn.Linear(width, CLASSES, seed=1, dtype=dtype), nn.ReLU(), nn.Dropout(0.5, seed=6),
    )  # fmt: skip
    rng = np.random.default_rng(0)
    data = [(rng.standard_normal((n, 200)).astype(dtype), rng.integers(0, CLASSES, n)) for n in (130, 64, 7, 300)]
    step = assert_same_training(model, data, threads=threads)
    text = step.describe()
    assert [text.count(word) for word in (" dropout(", " dropout_backward(", "kept=bits of h")] == [6, 5, 10]


def test_everything_dropped_in_a_step():
    nn.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 20), nn.Dropout(1.0), nn.Linear(20, CLASSES))
    assert_same_training(model, batches(3, 6, np.float32))
