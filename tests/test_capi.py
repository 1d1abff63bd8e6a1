"""The C interface: members stay where extensions expect them, and give the bits of fastml's own functions."""

import ctypes
import math
import re

import numpy as np
import pytest

import fastml
from fastml.reference.dropout import philox4x32

from .arrays import DTYPES, LENGTHS, adversarial, assert_same_bits, normal
from .capi import ABI, API, CURVES, HEADER, TABLE, Api, Body, Table, api, call, members
from .modes import every_mode, in_mode
from .processes import THREADS, with_threads

every_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=["float32", "float64"])
every_length = pytest.mark.parametrize("n", [*filter(None, LENGTHS), 1000])
PAST = 1 << 63  # a seed and an offset of all bits


def written(dtype, shape, name, *arguments):
    """What a function writes into its first argument, which begins as NaN."""
    y = np.full(shape, np.nan, dtype)
    call(dtype, name, y, *arguments)
    return y


# ---- the promise --------------------------------------------------------------------------------------------------


def test_the_header_declares_what_was_promised():
    assert members("fastml_table") == TABLE, "a new member goes to the end, here and in tests/capi.py"
    assert members("fastml_api") == API, "a new member goes to the end, here and in tests/capi.py"
    text = HEADER.read_text(encoding="utf-8")
    assert re.findall(r"define FASTML_ABI (\d+)", text) == [str(ABI)]
    assert re.findall(r"FASTML_(\w+) = (\d+)", text) == [(name, str(i)) for i, name in enumerate((*CURVES, "CURVES"))]


def test_cython_declares_the_same():
    text = " ".join((HEADER.parent / "__init__.pxd").read_text(encoding="utf-8").split())
    (struct,) = re.findall(r"ctypedef struct fastml_table: (.*) int import_fastml", text)
    assert tuple(struct.removesuffix(" noexcept nogil").split(" noexcept nogil ")) == TABLE


def test_what_runs_is_what_was_promised():
    here = api()
    assert (here.abi, here.size, here.table_size) == (ABI, ctypes.sizeof(Api), ctypes.sizeof(Table))
    assert here.curves == len(CURVES)
    assert here.cache_bytes >= 1 << 15
    for address in here.table32, here.table64:
        table = Table.from_address(address)
        assert all(ctypes.cast(getattr(table, name), ctypes.c_void_p).value for name, _ in Table._fields_)


# ---- the bits -----------------------------------------------------------------------------------------------------


@every_dtype
@every_length
def test_rows(dtype, n):
    for x in normal((9, n), dtype, scale=3), adversarial((9, n), "inf", dtype):
        g, shape = normal((9, n), dtype, seed=1), (9, n)
        for stream in 0, 1:
            for name in "softmax", "log_softmax":
                y = getattr(fastml, name)(x)
                assert_same_bits(written(dtype, shape, f"{name}_rows", x, 9, n, stream), y)
                dx = getattr(fastml, f"{name}_backward")(g, y)
                assert_same_bits(written(dtype, shape, f"{name}_backward_rows", g, y, 9, n, stream), dx)
        assert_same_bits(written(dtype, 9, "logsumexp_rows", x, 9, n), fastml.logsumexp(x))


@every_dtype
@every_length
def test_reductions(dtype, n):
    x = normal(n, dtype)
    zeros = np.zeros(n, dtype)
    assert_same_bits(dtype(call(dtype, "sum", abs(x), n)), fastml.l1_loss(x, zeros, reduction="sum"))
    assert call(dtype, "norm", x, n) == fastml.clip_grad_norm([x.copy()], 1e30)
    assert call(dtype, "sum", x, 0) == call(dtype, "norm", x, 0) == 0
    wide = normal((n, 20), dtype)
    dbias = fastml.linear_backward(np.ascontiguousarray(wide[:, 3:]), np.ones((n, 1), dtype), np.ones((17, 1), dtype))[
        2
    ]
    assert_same_bits(written(dtype, 17, "column_sums", wide[:, 3:], n, 20, 17), dbias)
    assert_same_bits(written(dtype, 17, "column_sums", wide, 0, 20, 17), np.zeros(17, dtype))


def test_a_sum_and_a_norm_beyond_the_range():
    x = np.full(100, 1e300)
    assert call(np.float64, "norm", x, 100) == pytest.approx(1e301, rel=1e-15)
    y = np.full(100, 3e38, np.float32)
    assert call(np.float32, "sum", y, 100) == pytest.approx(3e40, rel=1e-6)


def curves():
    """Each with its number, its a and b, and fastml's own function and gradient."""
    for f, name in enumerate(CURVES):
        options, a, b = {}, 1.0, math.inf
        if name == "GELU_TANH":
            name, options = "gelu", {"approximate": "tanh"}
        elif name == "SOFTPLUS":
            options, a, b = {"beta": 2.0, "threshold": 3.0}, 2.0, 3.0
        elif name == "ELU":
            options, a = {"alpha": 1.5}, 1.5
        elif name == "LEAKY_RELU":
            options, a = {"negative_slope": 0.1}, 0.1
        name = name.lower()
        yield f, a, b, options, getattr(fastml, name), getattr(fastml, f"{name}_backward")


@every_dtype
@every_length
def test_curves(dtype, n):
    x, g = normal(n, dtype, scale=4), normal(n, dtype, seed=1)
    for stream in 0, 1:
        assert_same_bits(written(dtype, n, "relu", x, n, stream), fastml.relu(x))
        assert_same_bits(written(dtype, n, "relu_backward", g, x, n, stream), fastml.relu_backward(g, x))
        for f, a, b, options, function, gradient in curves():
            call_it = (f, x.copy(), x, n, a, b, stream)
            call(dtype, "curve", *call_it)
            assert_same_bits(call_it[1], function(x, **options))
            call_it = (f, g.copy(), g, x, n, a, b, stream)
            call(dtype, "curve_backward", *call_it)
            assert_same_bits(call_it[1], gradient(g, x, **options))


@every_dtype
@pytest.mark.parametrize("p", [0.0, 1e-300, 0.1, 1 / 3, 0.5, 2**-33, 3 * 2**-33, 1 - 2**-33, 1.0])
@pytest.mark.parametrize(("seed", "offset"), [(0, 0), (7, 3), (PAST + 5, 2 * PAST - 9)])
def test_dropout(dtype, p, seed, offset):
    x = normal(1000, dtype)
    for stream in 0, 1:
        want = fastml.dropout(x, p, seed=seed, offset=offset)
        assert_same_bits(written(dtype, 1000, "dropout", x, 1000, p, seed, offset, stream), want)
    kept = np.full(1000, 9, np.uint8)
    api().dropout_mask(kept.ctypes.data, 1000, p, seed, offset)
    assert np.array_equal(kept, fastml.dropout_mask(1000, p, seed=seed, offset=offset))


def words(n, seed, offset):
    drawn = np.empty(n, np.uint32)
    api().words(drawn.ctypes.data, n, seed, offset)
    return drawn


@pytest.mark.parametrize("rest", [-0.75, -0.5, -0.25, 0.0, 0.25, 0.5, 0.75, 1.0])
def test_the_probability_is_rounded_to_the_nearest_word(rest):
    """Where 2^32 p is next to the element's word, the rounding decides; halfway it goes to the even one."""
    kept = np.zeros(1, np.uint8)
    for i, word in enumerate(words(20, 3, 0).tolist()):
        p = (word + rest) / 2**32
        api().dropout_mask(kept.ctypes.data, 1, p, 3, i)
        assert kept[0] == fastml.dropout_mask(1, p, seed=3, offset=i)[0] == (word >= round(word + rest))


@pytest.mark.parametrize(("seed", "offset"), [(0, 0), (7, 3), (PAST + 5, 2 * PAST - 9), (1, 4 << 32)])
def test_words_are_those_of_the_paper(seed, offset):
    elements = [(offset + i) % 2**64 for i in range(150)]
    key = (seed % 2**32, seed >> 32)
    blocks = [philox4x32(((e // 4) % 2**32, e // 4 >> 32, 0, 0), key) for e in elements]
    want = np.array([int(block[e % 4]) for block, e in zip(blocks, elements, strict=True)], np.uint32)
    for n in (*LENGTHS, 150):
        assert np.array_equal(words(n, seed, offset), want[:n])


@every_length
def test_uniform(n):
    for offset in 0, 5:
        w = words(2 * n, 3, offset)
        single = (w[:n] >> 8).astype(np.float32) / np.float32(2**24)
        assert_same_bits(written(np.float32, n, "uniform", n, 3, offset), single)
        double = ((w[::2] >> 5) * 2.0**26 + (w[1::2] >> 6)) / 2.0**53
        assert_same_bits(written(np.float64, n, "uniform", n, 3, offset), double)


@every_dtype
@every_length
def test_updates(dtype, n):
    p, g, v, m = (normal(n, dtype, seed) for seed in range(4))
    v = abs(v)
    for nesterov, dampening in (0, 0.25), (1, 0.0):
        want, got = (p.copy(), m.copy()), (p.copy(), m.copy())
        options = {"momentum": 0.9, "dampening": dampening, "weight_decay": 0.01, "nesterov": bool(nesterov)}
        fastml.sgd_step([want[0]], [g], [want[1]], lr=0.1, **options)
        call(dtype, "sgd", *got, g, n, 0.1, 0.9, dampening, 0.01, nesterov)
        for a, b in zip(got, want, strict=True):
            assert_same_bits(a, b)
    want, got = p.copy(), p.copy()
    fastml.sgd_step([want], [g], lr=0.1)
    call(dtype, "sgd", got, None, g, n, 0.1, 0.0, 0.0, 0.0, 0)
    assert_same_bits(got, want)
    want, got = (p.copy(), m.copy(), v.copy()), (p.copy(), m.copy(), v.copy())
    options = {"betas": (0.5, 0.75), "eps": 1e-8, "weight_decay": 0.1, "decoupled": True}
    fastml.adam_step([want[0]], [g], [want[1]], [want[2]], 3, lr=0.01, **options)
    rate, inv_root = 0.01 / (1 - 0.5**3), 1 / math.sqrt(1 - 0.75**3)
    call(dtype, "adamw", *got, g, n, rate, 0.5, 0.75, inv_root, 1e-8, 1 - 0.01 * 0.1)
    for a, b in zip(got, want, strict=True):
        assert_same_bits(a, b)


@every_mode
@every_dtype
def test_the_bits_do_not_depend_on_the_callers_mode(mode, dtype):
    n = 67
    x, g = adversarial((4, n), "denormal", dtype), normal((4, n), dtype)
    calls = {
        "softmax_rows": (x, 4, n, 0),
        "logsumexp_rows": (x, 4, n),
        "relu": (x, 4 * n, 0),
        "relu_backward": (x, g, 4 * n, 0),
        "dropout": (g, 4 * n, 1 / 3, 1, 0, 0),
        "uniform": (4 * n, 1, 0),
        "column_sums": (x, 4, n, n),
        "sgd": (None, x, 4 * n, 1 / 3, 0.0, 0.0, 0.0, 0),
    }
    y = np.empty_like(x)
    for name, arguments in calls.items():
        y.fill(0.3)
        call(dtype, name, y, *arguments)
        want = y.copy()
        y.fill(0.3)
        with in_mode(mode):
            call(dtype, name, y, *arguments)
        assert_same_bits(y, want, name)


# ---- threads ------------------------------------------------------------------------------------------------------


def test_the_gate():
    threads = api().threads
    with fastml.num_threads(3):
        assert threads(1.0) == 1 and threads(1e9) == 3
        api().threads_done()
    assert [with_threads(n, threads, 0.0) for n in THREADS] == list(THREADS)


@pytest.mark.parametrize("count", [0, 1, 2, 5, 1000])
def test_parallel_for(count):
    seen = []

    @Body
    def body(data, i):
        seen.append((data, i))

    for n in THREADS:
        seen.clear()
        with_threads(n, api().parallel_for, body, 7, count, 1e9)
        assert sorted(seen) == [(7, i) for i in range(count)]
