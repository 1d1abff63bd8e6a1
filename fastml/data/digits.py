"""The optical digits of the UCI repository, shipped with the package (digits.npz, digits.txt)."""

import os

import numpy as np

_FILE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "digits.npz")


def load_digits():
    """The 1797 handwritten digits of the UCI optical digits test set: ``(X, y)``.

    ``X`` is (1797, 64) float32: each row is an 8×8 image in row order, each pixel the number (0 … 16) of
    dark cells in a 4×4 block of the original 32×32 bitmap. ``y`` is (1797,) int64, the digit 0 … 9.
    Every call returns new arrays; ``X.reshape(-1, 8, 8)`` are the images.

    Source: E. Alpaydin, C. Kaynak (1998), Optical Recognition of Handwritten Digits, UCI Machine Learning
    Repository, https://doi.org/10.24432/C50P49, CC BY 4.0.

    >>> X, y = load_digits()
    >>> X.shape, X.dtype.name, X.min().item(), X.max().item()
    ((1797, 64), 'float32', 0.0, 16.0)
    >>> y[:10].tolist()
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    """
    with np.load(_FILE, allow_pickle=False) as file:
        return file["pixels"].T.astype(np.float32, order="C"), file["labels"].astype(np.int64)
