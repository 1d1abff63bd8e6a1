"""Numbers that are the same with every NumPy, C library and processor.

They are made of the raw words of PCG64, whose stream NumPy keeps, by exact arithmetic alone: the generators' own
distributions and np.exp may change in the last place from version to version and from one processor to the next.
"""

import numpy as np


def words(shape, seed):
    """Raw 64-bit words."""
    return np.random.PCG64(seed).random_raw(int(np.prod(shape))).reshape(shape)


def normal(shape, dtype, seed):
    """About normal numbers of mean 0 and deviation 1.15, exact in float32: sums of four 16-bit numbers."""
    w = words(shape, seed)
    fields = sum((w >> np.uint64(16 * k)) & np.uint64(0xFFFF) for k in range(4))
    return ((fields.astype(np.int64) - 2 * 0xFFFF) * 2.0**-15).astype(dtype)


def positive(shape, dtype, seed):
    """Numbers from 1/2 to 2."""
    return ((words(shape, seed) >> np.uint64(48)).astype(np.int64) * (1.5 * 2.0**-16) + 0.5).astype(dtype)


def share(shape, dtype, seed):
    """Numbers from 0 to 1, a quarter of them 0."""
    return np.maximum(positive(shape, np.float64, seed) - 0.875, 0).astype(dtype)


def labels(shape, classes, seed):
    """Whole numbers from 0 to classes - 1."""
    return ((words(shape, seed) >> np.uint64(32)) % np.uint64(classes)).astype(np.int64)
