"""IDX files: one array each, the format in which MNIST is distributed.

Two zero bytes, the type, the number of axes, each axis' length as a big-endian uint32, then the elements in C
order, big-endian. The header is only a claim: no memory is taken by its word, but by what the file holds, so a
lying one costs no more than reading the file does.
"""

import contextlib
import gzip
import math
import os
import struct

import numpy as np

from .._check import as_array
from .._check import path as fspath
from .._files import reading, replacing

TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_CODES = {np.dtype(name): code for code, name in TYPES.items()}
_CHUNK = 1 << 20  # bytes read, or elements written, at a time


def read_idx(path):
    """The array in an IDX file, plain or gzip (told by its content, not its name).

    Any of the format's types (uint8, int8, int16, int32, float32, float64), in the machine's byte order, and
    any number of axes. The array is new and may be written to.

    Raises OSError where the file cannot be read, ValueError where it is not in the format, is cut short, goes on
    after the last element or is damaged; memory is taken only for bytes that are there.

    Source: Y. LeCun, C. Cortes, C. Burges, The MNIST database, http://yann.lecun.com/exdb/mnist.

    >>> import os, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "numbers.idx.gz")
    ...     write_idx(path, np.arange(6, dtype=np.int16).reshape(2, 3))
    ...     read_idx(path)
    array([[0, 1, 2],
           [3, 4, 5]], dtype=int16)
    """
    path = fspath(path)
    with open(path, "rb") as file, reading(path, "usable IDX file", own=ValueError):
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        if not packed:
            return _read(file, path)
        with reading(path, "usable gzip file", own=ValueError), gzip.GzipFile(fileobj=file) as unpacked:
            return _read(unpacked, path)


def _read(file, path):
    dtype, shape = _header(file, path)
    size = math.prod(shape) * dtype.itemsize
    elements = bytearray()
    while len(elements) <= size:
        chunk = file.read(min(_CHUNK, size + 1 - len(elements)))
        if not chunk:
            break
        elements += chunk
    if len(elements) != size:
        what = "it is cut short at" if len(elements) < size else "the file goes on after"
        raise ValueError(
            f"{path}: the header promises {size} bytes of elements (shape {shape}, {dtype.name}), "
            f"but {what} {min(len(elements), size)}"
        )
    array = np.frombuffer(elements, dtype).reshape(shape)
    native = dtype.newbyteorder("=")
    return array if array.dtype == native else array.byteswap(inplace=True).view(native)


def _header(file, path):
    """dtype and shape, with nothing read but the header."""
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in TYPES:
        raise ValueError(f"{path}: not an IDX file: it begins with {magic.hex(' ') or 'nothing'}")
    ndim = magic[3]
    if ndim > 32:
        raise ValueError(f"{path}: {ndim} axes, more than the 32 that arrays can have")
    lengths = file.read(4 * ndim)
    if len(lengths) < 4 * ndim:
        raise ValueError(f"{path}: the header is cut short: {ndim} axes, {len(lengths)} bytes of lengths")
    shape = struct.unpack(f">{ndim}I", lengths)
    # NumPy counts bytes in a signed word, with lengths of 0 left out.
    if math.prod(n for n in shape if n) >= 2**60:
        raise ValueError(f"{path}: shape {shape} is larger than any file")
    return np.dtype(TYPES[magic[2]]), shape


def write_idx(path, array):
    """Write ``array`` as an IDX file; with gzip where the name ends in .gz.

    uint8, int8, int16, int32, float32 and float64 in any byte order and layout keep their type; others are a
    TypeError, because the format has none for them: labels of int64 go as ``y.astype(np.uint8)``. The file appears
    whole or not at all, whoever else writes to ``path`` at the same time. The same array gives the same bytes.

    Raises ValueError for an axis of 2**32 elements or more, OSError where the file cannot be written.
    Source: as in `read_idx`.

    >>> import os, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "label.idx")
    ...     write_idx(path, np.array([5, 0, 4], np.uint8))
    ...     with open(path, "rb") as file:
    ...         file.read().hex(" ")
    '00 00 08 01 00 00 00 03 05 00 04'
    """
    path, array = fspath(path), as_array(array, "array")
    dtype = array.dtype.newbyteorder(">")
    if dtype not in _CODES:
        names = ", ".join(np.dtype(name).name for name in TYPES.values())
        raise TypeError(f"array must be one of {names}, not {array.dtype}: convert it with astype")
    if max(array.shape, default=0) >= 2**32:
        raise ValueError(f"array must have less than 2**32 elements along an axis, not the shape {array.shape}")
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(replacing(path))
        if os.fsdecode(path).endswith(".gz"):
            file = stack.enter_context(gzip.GzipFile("", "wb", fileobj=file, mtime=0))
        file.write(struct.pack(f">BBBB{array.ndim}I", 0, 0, _CODES[dtype], array.ndim, *array.shape))
        elements = array.reshape(-1)
        for start in range(0, elements.size, _CHUNK):
            file.write(elements[start : start + _CHUNK].astype(dtype).tobytes())
