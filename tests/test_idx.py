"""IDX files: round trips, every kind of damage, and MNIST's four files."""

import gzip
import os
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from fastml import data

TYPES = ["u1", "i1", "i2", "i4", "f4", "f8"]
SUFFIXES = ["", ".gz"]
everywhere = settings(max_examples=150, deadline=None)


def header(code, shape):
    return struct.pack(f">BBBB{len(shape)}I", 0, 0, code, len(shape), *shape)


def refused(path, content, match, most=1 << 21):
    """read_idx raises ValueError, and takes at most `most` bytes on the way."""
    path.write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=match) as caught:
            data.read_idx(path)
        assert tracemalloc.get_traced_memory()[1] < most
    finally:
        tracemalloc.stop()
    assert str(path) in str(caught.value) and len(str(caught.value)) < 600


@pytest.mark.parametrize("suffix", SUFFIXES)
@given(content=st.data())
@everywhere
def test_round_trip(tmp_path_factory, content, suffix):
    order = content.draw(st.sampled_from("<>"))
    dtype = np.dtype(content.draw(st.sampled_from(TYPES))).newbyteorder(order)
    shape = content.draw(arrays.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=5))
    array = content.draw(arrays.arrays(dtype, shape))
    path = tmp_path_factory.getbasetemp() / f"round{suffix}"
    data.write_idx(path, array)
    back = data.read_idx(path)
    assert back.dtype == dtype.newbyteorder("=") and back.dtype.isnative and back.shape == shape
    assert back.tobytes() == array.astype(back.dtype).tobytes()
    assert back.flags.c_contiguous and back.flags.writeable


@pytest.mark.parametrize("layout", ["F", "reversed", "broadcast"])
def test_layouts(tmp_path, layout):
    array = np.arange(24, dtype="f4").reshape(2, 3, 4)
    array = {"F": np.asfortranarray(array), "reversed": array[::-1, :, ::2], "broadcast": array[:1] * 0}[layout]
    data.write_idx(tmp_path / "a", array)
    assert np.array_equal(data.read_idx(tmp_path / "a"), array)


def test_many_chunks(tmp_path):
    array = np.random.default_rng(0).integers(-(2**31), 2**31, (1201, 1501), dtype=np.int32)
    for name in ("a", "a.gz"):
        data.write_idx(tmp_path / name, array)
        assert np.array_equal(data.read_idx(tmp_path / name), array)


def test_as_specified(tmp_path):
    """Bytes written by hand from the format's description, under a name that says nothing."""
    content = bytes.fromhex("00 00 0b 02 00000002 00000003 0001 0002 fffd 0100 7fff 8000")
    for stored in (content, gzip.compress(content), gzip.compress(content[:9]) + gzip.compress(content[9:])):
        (tmp_path / "x.bin").write_bytes(stored)
        back = data.read_idx(str(tmp_path / "x.bin"))
        assert back.dtype == np.int16 and back.tolist() == [[1, 2, -3], [256, 32767, -32768]]
    data.write_idx(tmp_path / "y", back)
    assert (tmp_path / "y").read_bytes() == content
    data.write_idx(tmp_path / "y.gz", back)
    assert gzip.decompress((tmp_path / "y.gz").read_bytes()) == content


def test_same_array_same_bytes(tmp_path):
    for name in ("a.gz", "b.gz"):
        data.write_idx(tmp_path / name, np.arange(99, dtype="u1"))
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "nothing"),
        (b"\0\0\x08", "not an IDX"),
        (b"\0\1\x08\1\0\0\0\1a", "not an IDX"),
        (b"\0\0\x0a\1\0\0\0\1a", "not an IDX"),
        (b"PK\3\4 some other file", "not an IDX"),
        (b"\0\0\x08\3\0\0\0\1\0\0\0\1\0\0", "header is cut short"),
        (header(8, (3,)) + b"ab", "cut short at 2"),
        (header(8, (3,)) + b"abcd", "goes on after 3"),
        (header(8, ()), "cut short at 0"),
        (header(8, (0,)) + b"a", "goes on"),
        (header(13, (3,)) + b"abcdefghijk", "promises 12 bytes"),
        (header(8, (2**32 - 1,)) + b"a" * 99, "promises 4294967295"),
        (header(14, (2**30, 2**29)) + b"a" * 99, "cut short at 99"),
        (header(14, (2**32 - 1,) * 8) + b"a" * 99, "larger than any file"),
        (header(14, (0,) + (2**32 - 1,) * 8), "larger than any file"),
        (b"\0\0\x08\xff" + b"\0\0\0\1" * 255 + b"a", "255 axes"),
        (header(8, (1,) * 33) + b"a", "33 axes"),
    ],
)
def test_damage(tmp_path, content, match, packed):
    if packed:
        content = gzip.compress(content)
    refused(tmp_path / "x", content, match)


def test_an_honest_header_before_a_bomb(tmp_path):
    """3 MB of gzip that would unpack to 3 GB behind the last element."""
    bomb = gzip.compress(header(8, (10,)) + b"a" * 10) + gzip.compress(bytes(1 << 25)) * 90
    refused(tmp_path / "x.gz", bomb, "goes on after 10", most=8 << 20)


def test_a_lying_header_in_gzip(tmp_path):
    refused(tmp_path / "x.gz", gzip.compress(header(14, (2**31, 2**20)) + bytes(1 << 16)), "cut short at 65536")


def test_damaged_gzip(tmp_path):
    whole = gzip.compress(header(8, (1000,)) + np.random.default_rng(0).bytes(1000))
    refused(tmp_path / "x", whole[:-4], "gzip")
    refused(tmp_path / "x", whole[:500], "gzip")
    refused(tmp_path / "x", whole[:5], "gzip")
    refused(tmp_path / "x", whole[:-8] + b"1234" + whole[-4:], "gzip")
    refused(tmp_path / "x", whole + b"more", "gzip")


@pytest.mark.parametrize("packed", [False, True])
@given(content=st.data())
@everywhere
def test_random_damage(tmp_path_factory, content, packed):
    """Cut, flipped or enlarged anywhere: the array as it was (the gzip header has spare bits) or a ValueError."""
    array = np.arange(30, dtype=content.draw(st.sampled_from(TYPES))).reshape(5, 3, 2)
    path = tmp_path_factory.getbasetemp() / f"damage{'.gz' if packed else ''}"
    data.write_idx(path, array)
    whole = bytearray(path.read_bytes())
    for _ in range(content.draw(st.integers(1, 3))):
        if content.draw(st.booleans()):
            place = content.draw(st.integers(0, len(whole) - 1))
            whole[place] ^= 1 << content.draw(st.integers(0, 7))
        else:
            whole = whole[: content.draw(st.integers(1, len(whole)))]
    path.write_bytes(whole + content.draw(st.binary(max_size=3)))
    tracemalloc.start()
    try:
        back = data.read_idx(path)
        assert back.nbytes <= array.nbytes + 3  # flipped elements are elements
    except ValueError as error:
        assert str(path) in str(error)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 1 << 21


@pytest.mark.parametrize(
    "array", [np.arange(3), np.zeros(3, bool), np.zeros(3, "u2"), np.zeros(3, "f2"), np.zeros(3, "c8"), np.array(["a"])]
)
def test_types_that_idx_has_not(tmp_path, array):
    with pytest.raises(TypeError, match=f"not {array.dtype}".replace("<", ".")):
        data.write_idx(tmp_path / "x", array)
    assert not any(tmp_path.iterdir())


def test_axis_too_long(tmp_path):
    with pytest.raises(ValueError, match=r"2\*\*32"):
        data.write_idx(tmp_path / "x", np.broadcast_to(np.uint8(0), 2**32))
    assert not any(tmp_path.iterdir())


def test_files_that_cannot_be_opened(tmp_path):
    with pytest.raises(FileNotFoundError):
        data.read_idx(tmp_path / "none")
    with pytest.raises(OSError):
        data.read_idx(tmp_path)
    with pytest.raises(FileNotFoundError):
        data.write_idx(tmp_path / "none" / "x", np.zeros(1, "u1"))


@pytest.mark.parametrize("name", ["x", "x.gz"])
def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch, name):
    path = tmp_path / name
    data.write_idx(path, np.arange(5, dtype="u1"))

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        data.write_idx(path, np.zeros(9, "u1"))
    assert data.read_idx(path).tolist() == [0, 1, 2, 3, 4]
    assert [p.name for p in tmp_path.iterdir()] == [name]


# MNIST

NAMES = ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"]


def write_set(folder, names=NAMES, n_train=23, n_test=7):
    rng = np.random.default_rng(0)
    sets = []
    for n in (n_train, n_test):
        sets += [rng.integers(0, 256, (n, 28, 28), dtype=np.uint8), rng.integers(0, 10, n, dtype=np.uint8)]
    for name, array in zip(names, sets, strict=True):
        data.write_idx(folder / name, array)
    return sets


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("dot", [False, True])
def test_mnist(tmp_path, dot, suffix):
    names = [name.replace("-idx", ".idx") if dot else name for name in NAMES]
    sets = write_set(tmp_path, [name + suffix for name in names])
    got = data.load_mnist(str(tmp_path))
    for g, w in zip(got, sets, strict=True):
        assert np.array_equal(g, w)
    assert [g.dtype for g in got] == [np.uint8, np.int64] * 2


@pytest.mark.parametrize("missing", range(4))
def test_mnist_without_a_file(tmp_path, missing):
    write_set(tmp_path)
    (tmp_path / NAMES[missing]).unlink()
    with pytest.raises(FileNotFoundError, match=NAMES[missing]):
        data.load_mnist(tmp_path)


@pytest.mark.parametrize(
    ("k", "array", "match"),
    [
        (0, np.zeros((23, 27, 28), "u1"), "train-images.*27"),
        (2, np.zeros((7, 28, 28), "i2"), "t10k-images.*int16"),
        (2, np.zeros((7, 784), "u1"), "t10k-images.*784"),
        (0, np.zeros((22, 28, 28), "u1"), "22 images .*train-images.* 23 labels .*train-labels"),
        (3, np.zeros(9, "u1"), "7 images .*t10k-images.* 9 labels .*t10k-labels"),
        (1, np.full(23, 10, "u1"), "train-labels.* 10 at index 0"),
        (1, np.zeros((23, 1), "u1"), "train-labels"),
        (3, np.zeros(7, "i4"), "t10k-labels"),
    ],
)
def test_mnist_of_the_wrong_kind(tmp_path, k, array, match):
    write_set(tmp_path)
    data.write_idx(tmp_path / NAMES[k], array)
    with pytest.raises(ValueError, match=match):
        data.load_mnist(tmp_path)


def test_mnist_without_a_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="none"):
        data.load_mnist(tmp_path / "none")
    write_set(tmp_path)
    with pytest.raises(NotADirectoryError, match="train-images"):
        data.load_mnist(tmp_path / NAMES[0])
