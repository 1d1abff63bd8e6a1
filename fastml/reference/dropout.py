"""Dropout by a counter-based generator: no state, no stored mask.

Dropout: Srivastava et al., JMLR 15 (2014), https://jmlr.org/papers/v15/srivastava14a.html, in the inverted
form that scales while training. Generator: Philox4x32-10, Salmon et al., "Parallel random numbers: as easy
as 1, 2, 3" (SC 2011), https://doi.org/10.1145/2063384.2063405.

The stream. Element i has the index e = (offset + i) mod 2^64. The key is seed's low and high 32 bits; block
b = e // 4 has the counter (b's low 32 bits, b's high 32 bits, 0, 0), and its word e mod 4 is the draw u.
The element is kept where u >= T, with T = p * 2^32 rounded to the nearest integer, halves to even.
"""

import numpy as np

from ._arrays import as_float64, check_integer, check_out, check_range, finish

_MASK32 = np.uint64(0xFFFFFFFF)
_SHIFT32 = np.uint64(32)


def philox4x32(counter, key):
    """Return Philox4x32-10 of a (..., 4) counter and a (..., 2) key, as a (..., 4) array of uint32."""
    c0, c1, c2, c3 = (np.asarray(counter)[..., i].astype(np.uint64) for i in range(4))
    k0, k1 = (np.asarray(key)[..., i].astype(np.uint64) for i in range(2))
    for _ in range(10):
        product0 = np.uint64(0xD2511F53) * c0
        product1 = np.uint64(0xCD9E8D57) * c2
        c0, c1, c2, c3 = (
            (product1 >> _SHIFT32) ^ c1 ^ k0,
            product1 & _MASK32,
            (product0 >> _SHIFT32) ^ c3 ^ k1,
            product0 & _MASK32,
        )
        k0 = (k0 + np.uint64(0x9E3779B9)) & _MASK32
        k1 = (k1 + np.uint64(0xBB67AE85)) & _MASK32
    return np.stack([c0, c1, c2, c3], axis=-1).astype(np.uint32)


def _check_uint64(value, name):
    return check_integer(value, name, 0, 2**64 - 1)


def _draws(count, seed, offset):
    """Return the uint32 draws of the elements offset .. offset + count - 1."""
    e = np.uint64(offset) + np.arange(count, dtype=np.uint64)
    block = e // np.uint64(4)
    zero = np.zeros_like(block)
    words = philox4x32(
        np.stack([block & _MASK32, block >> _SHIFT32, zero, zero], axis=-1),
        np.array([seed & 0xFFFFFFFF, seed >> 32], dtype=np.uint64),
    )
    return words[np.arange(count), (e % np.uint64(4)).astype(np.intp)]


def _kept(shape, p, seed, offset):
    count = int(np.prod(shape, dtype=np.int64))
    return (_draws(count, seed, offset) >= np.uint64(round(p * 2.0**32))).reshape(shape)


def dropout_mask(shape, p=0.5, *, seed, offset=0):
    """Return the mask that dropout applies to an array of this shape: True where the element is kept."""
    shape = (shape,) if isinstance(shape, (int, np.integer)) else tuple(shape)
    for n in shape:
        if isinstance(n, (bool, np.bool_)) or not isinstance(n, (int, np.integer)):
            raise TypeError(f"shape must be an integer or a tuple of integers, not {shape!r}")
        if n < 0:
            raise ValueError(f"shape must be at least 0 along each axis, not {shape!r}")
    p = check_range(p, "p", 0, 1)
    return _kept(shape, p, _check_uint64(seed, "seed"), _check_uint64(offset, "offset"))


def dropout(x, p=0.5, *, seed, offset=0, out=None):
    """y = x / (1 - p) where the element is kept, otherwise 0.

    Kept or dropped is a choice, not a product: NaN and infinity are dropped like any number, and p = 1
    gives zeros. The scale 1 / (1 - p) is rounded to x's dtype before it multiplies.
    """
    return _dropout(x, "x", p, seed, offset, out)


def dropout_backward(grad, p=0.5, *, seed, offset=0, out=None):
    """dx = grad / (1 - p) where the element was kept, otherwise 0: the same mask, drawn again."""
    return _dropout(grad, "grad", p, seed, offset, out)


def _dropout(x, name, p, seed, offset, out):
    x64, dtype = as_float64(x, name)
    p = check_range(p, "p", 0, 1)
    seed, offset = _check_uint64(seed, "seed"), _check_uint64(offset, "offset")
    check_out(out, x64.shape, dtype, **{name: x})
    kept = _kept(x64.shape, p, seed, offset)
    with np.errstate(over="ignore", under="ignore"):
        scale = np.float64(dtype.type(1 / (1 - p))) if p < 1 else 0.0
        y = np.where(kept, x64 * scale, 0.0) if p < 1 else np.zeros_like(x64)
    return finish(y, dtype, out)
