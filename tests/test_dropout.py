"""Dropout: the generator's published words, the stream in pieces, the statistics of the mask."""

import numpy as np
import pytest

import fastml
from fastml import reference
from fastml.reference.dropout import philox4x32

from .common import (
    DTYPES,
    LAYOUTS,
    LENGTHS,
    assert_same_bits,
    normal,
    relayout,
    run_on_target,
    run_python,
    with_threads,
)

TOP = 2**64
OFFSETS = (0, 1, 2, 3, 4, 29, 2**34 - 5, 2**62, TOP - 1, TOP - 66)
BIG = 70_003  # several blocks, more than one thread

# Random123 1.14, kat_vectors: counter, key, words of Philox4x32-10.
PUBLISHED = [
    ([0] * 4, [0] * 2, [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
    ([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
    (
        [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
        [0xA4093822, 0x299F31D0],
        [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
    ),
]


def word_is(word, seed, element):
    """Whether the kernel's word of an element is this one: kept at p = word / 2^32 and dropped one step on."""
    at, after = (fastml.dropout_mask(1, p / 2**32, seed=seed, offset=element) for p in (word, word + 1))
    return bool(at[0]) and not after[0]


@pytest.mark.parametrize("counter, key, words", PUBLISHED)
def test_reference_gives_the_published_words(counter, key, words):
    assert philox4x32(counter, key).tolist() == words


def test_kernel_gives_the_published_words():
    for element, word in enumerate(PUBLISHED[0][2]):
        assert word_is(word, 0, element)


@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1, 2**32, TOP - 1, 0x299F31D0A4093822])
@pytest.mark.parametrize("offset", [0, 4 * (2**32 - 3), TOP - 128])
def test_kernel_gives_the_references_words(seed, offset):
    blocks = np.arange(32, dtype=np.uint64) + np.uint64(offset // 4)
    counters = np.stack([blocks & np.uint64(0xFFFFFFFF), blocks >> np.uint64(32), 0 * blocks, 0 * blocks], axis=-1)
    words = philox4x32(counters, [seed & 0xFFFFFFFF, seed >> 32]).ravel().tolist()
    for i, word in enumerate(words):
        assert word_is(word, seed, offset + i)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("offset", OFFSETS)
def test_lengths(dtype, offset):
    for n in (*LENGTHS, BIG):
        x = normal(n, dtype, seed=n)
        want = reference.dropout(x, 0.3, seed=11, offset=offset)
        assert_same_bits(fastml.dropout(x, 0.3, seed=11, offset=offset), want, f"{n}")
        assert_same_bits(fastml.dropout_backward(x, 0.3, seed=11, offset=offset), want, f"{n} backward")
        mask = reference.dropout_mask(n, 0.3, seed=11, offset=offset)
        assert_same_bits(fastml.dropout_mask(n, 0.3, seed=11, offset=offset), mask, f"{n} mask")


@pytest.mark.parametrize("dtype", DTYPES)
def test_kernel_compares_as_the_mask_does(dtype):
    """Every element at the very threshold where it is kept last, in the body and in the tail."""
    words = philox4x32([[b, 0, 0, 0] for b in range(20)], [5, 0]).ravel().tolist()
    for i, word in enumerate(words):
        for step in (0, 1):
            y = fastml.dropout(np.ones(77, dtype), (word + step) / 2**32, seed=5)
            if i < 77:
                assert (y[i] != 0) == (step == 0), (i, step)


STREAMED = """
    import numpy as np, fastml
    x = np.random.default_rng(0).standard_normal(70_003)
    result = {}
    for shift in range(16):
        for offset in range(5):
            for t in "fd":
                memory = np.full(70_050, 99, t)
                fastml.dropout(x.astype(t), 0.5, seed=3, offset=offset, out=memory[shift : shift + 70_003])
                result[f"{shift} {offset} {t}"] = memory
"""


def test_results_past_the_caches():
    """Every place of the boundary and of the offset, with and without stores past the caches."""
    inside, past = (run_python(STREAMED, FASTML_CACHE_BYTES=size) for size in ("1000000000", "1000"))
    for name, value in inside.items():
        assert_same_bits(past[name], value, name)


@pytest.mark.parametrize("p", [1e-12, 1e-9, 0.1, 1 / 3, 0.5, 0.9, 1 - 1e-9, 1 - 1e-12])
@pytest.mark.parametrize("dtype", DTYPES)
def test_probabilities(p, dtype):
    x = normal(4099, dtype)
    assert_same_bits(fastml.dropout(x, p, seed=2), reference.dropout(x, p, seed=2))


def test_threshold_rounds_to_even():
    """At p 2^32 = w + 1/2 the threshold is the even one of w and w + 1."""
    word = PUBLISHED[0][2][0]  # odd
    assert not fastml.dropout_mask(1, (word + 0.5) / 2**32, seed=0)[0]
    assert fastml.dropout_mask(1, (word - 0.5) / 2**32, seed=0)[0]
    word = PUBLISHED[0][2][2]  # even
    assert fastml.dropout_mask(3, (word + 0.5) / 2**32, seed=0)[2]


@pytest.mark.parametrize("dtype", DTYPES)
def test_keep_all_and_drop_all(dtype):
    x = normal(BIG, dtype)
    x[::7] = np.nan
    x[1::7] = -np.inf
    assert_same_bits(fastml.dropout(x, 0, seed=1), x)
    assert_same_bits(fastml.dropout(x, 1, seed=1), np.zeros(BIG, dtype))
    assert fastml.dropout_mask(BIG, 0.0, seed=1).all() and not fastml.dropout_mask(BIG, 1.0, seed=1).any()


@pytest.mark.parametrize("dtype", DTYPES)
def test_dropped_is_positive_zero(dtype):
    mask = fastml.dropout_mask(1000, 0.5, seed=1)
    for value in (np.nan, np.inf, -np.inf, -1.0):
        y = fastml.dropout(np.full(1000, value, dtype), 0.5, seed=1)
        assert_same_bits(y[~mask], np.zeros(np.sum(~mask), dtype))
        np.testing.assert_array_equal(y[mask], 2 * value)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_elements_are_counted_in_c_order(layout, dtype):
    x = normal((7, 5, 9), dtype)
    want = reference.dropout(x, 0.4, seed=5, offset=6)
    view = relayout(x, layout)
    assert_same_bits(fastml.dropout(view, 0.4, seed=5, offset=6), want)
    if layout != "swapped":
        assert fastml.dropout(view, 0.4, seed=5, offset=6, out=view) is view
        assert_same_bits(np.array(view), want)


def test_pieces_are_the_whole():
    whole = fastml.dropout_mask(1000, 0.5, seed=9, offset=TOP - 500)
    at = 0
    for n in (1, 2, 3, 4, 5, 31, 32, 33, 63, 64, 65, 100, 0, 197, 400):
        assert_same_bits(fastml.dropout_mask(n, 0.5, seed=9, offset=(TOP - 500 + at) % TOP), whole[at : at + n])
        at += n
    assert at == 1000
    assert_same_bits(fastml.dropout_mask((20, 50), 0.5, seed=9, offset=TOP - 500).ravel(), whole)


@pytest.mark.parametrize("p", [0.01, 0.1, 0.3, 0.5, 0.77, 0.99])
def test_keep_rate(p):
    n = 2_000_000
    kept = fastml.dropout_mask(n, p, seed=int(1000 * p)).sum()
    assert abs(kept - n * (1 - p)) < 5 * np.sqrt(n * p * (1 - p))


def test_masks_are_independent():
    """Correlations among seeds, offsets, neighbours and words lie within five standard deviations."""
    n = 1_000_000
    streams = [(0, 0), (1, 0), (2, 0), (2**32, 0), (TOP - 1, 0), (0, n), (0, 2**34), (0, 2**63), (1, 1)]
    masks = [fastml.dropout_mask(n, 0.5, seed=s, offset=o).astype(np.float32) * 2 - 1 for s, o in streams]
    for i, a in enumerate(masks):
        for b in masks[:i]:
            assert abs(a @ b) < 5 * np.sqrt(n)
        for lag in (1, 2, 3, 4, 8, 16, 32, 4096):
            assert abs(a[lag:] @ a[:-lag]) < 5 * np.sqrt(n)
        assert np.all(np.abs(a.reshape(-1, 32).sum(axis=0)) < 5 * np.sqrt(n / 32))


def test_forward_and_backward_share_the_mask():
    y = fastml.dropout(np.ones(BIG), 0.6, seed=4, offset=2)
    dx = fastml.dropout_backward(np.ones(BIG), 0.6, seed=4, offset=2)
    np.testing.assert_array_equal(y, dx)
    np.testing.assert_array_equal(y != 0, fastml.dropout_mask(BIG, 0.6, seed=4, offset=2))


def test_threads_and_targets():
    x = normal(1_000_003)
    want = with_threads(1, fastml.dropout, x, 0.5, seed=8, offset=5)
    for threads in (2, 3, 7):
        assert_same_bits(with_threads(threads, fastml.dropout, x, 0.5, seed=8, offset=5), want)
    code = """
        import numpy as np, fastml
        x = np.random.default_rng(0).standard_normal(70_003)
        calls = [(n, o) for n in (70_003, 45, 64) for o in (0, 1, 2**64 - 33)]
        result = {f"{n} {o} {t}": fastml.dropout(x[:n].astype(t), 0.3, seed=2**40, offset=o)
                  for n, o in calls for t in "fd"}
        result |= {f"mask {n} {o}": fastml.dropout_mask(n, 0.3, seed=2**40, offset=o) for n, o in calls}
    """
    from fastml import _simd

    first, *others = [run_on_target(target, code) for target in _simd.available_targets()]
    for other in others:
        for name, value in first.items():
            assert_same_bits(other[name], value, name)


@pytest.mark.parametrize("kind", [np.uint64, np.int32, np.int64])
def test_numpy_integers(kind):
    assert_same_bits(fastml.dropout_mask(kind(9), 0.5, seed=kind(3), offset=kind(4)),
                     reference.dropout_mask(9, 0.5, seed=3, offset=4))  # fmt: skip


@pytest.mark.parametrize(
    "error, options",
    [
        (ValueError, {"p": float("nan")}),
        (ValueError, {"p": np.float32(1.5)}),
        (ValueError, {"p": -1e-300}),
        (TypeError, {"p": True}),
        (TypeError, {"p": None}),
        (ValueError, {"seed": -1}),
        (ValueError, {"seed": TOP}),
        (TypeError, {"seed": np.bool_(True)}),
        (TypeError, {"seed": 1.0}),
        (ValueError, {"offset": TOP}),
        (TypeError, {"offset": "0"}),
        (ValueError, {"out": np.zeros((3, 2))}),
        (TypeError, {"out": np.zeros((2, 3), np.float32)}),
    ],
)
def test_errors_write_nothing(error, options):
    out = np.full((2, 3), 99.0)
    given = {"p": 0.5, "seed": 1, "offset": 0, "out": out, **options}
    name = next(iter(options))
    for function in (fastml.dropout, fastml.dropout_backward):
        before = given["out"].copy()
        with pytest.raises(error, match=name):
            function(np.ones((2, 3)), **given)
        np.testing.assert_array_equal(given["out"], before)
    if name != "out":
        del given["out"]
        with pytest.raises(error, match=name):
            fastml.dropout_mask((2, 3), **given)


def test_overlap_is_an_error():
    x = np.ones(100)
    with pytest.raises(ValueError, match="out"):
        fastml.dropout(x[:-1], 0.5, seed=1, out=x[1:])
    assert np.all(x == 1)
