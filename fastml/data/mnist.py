"""MNIST, and sets in its form (Fashion-MNIST, KMNIST), from a folder of IDX files."""

import os

import numpy as np

from .. import _check
from .idx import read_idx


def load_mnist(folder):
    """The four files of MNIST in ``folder``: ``(x_train, y_train, x_test, y_test)``.

    ``x_train`` and ``x_test`` are (n, 28, 28) uint8, the images' pixels from 0 (background) to 255 (ink); ``y_train``
    and ``y_test`` are (n,) int64, the digits 0 … 9. MNIST has 60 000 and 10 000 of them; the files' own numbers
    count. They are ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte``, ``t10k-images-idx3-ubyte`` and
    ``t10k-labels-idx1-ubyte``, each with ``-`` or ``.`` before ``idx``, plain or with ``.gz``.

    Raises FileNotFoundError, which names the file that is missing, NotADirectoryError, and ValueError for a file that
    is no IDX file, is cut short or has another shape or type, for labels above 9 and where images and labels are not
    as many.

    Source: Y. LeCun, C. Cortes, C. Burges, The MNIST database, http://yann.lecun.com/exdb/mnist.

    >>> import os, tempfile
    >>> from fastml import data
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for part, n in (("train", 6), ("t10k", 2)):
    ...         data.write_idx(os.path.join(folder, part + "-images-idx3-ubyte.gz"), np.zeros((n, 28, 28), np.uint8))
    ...         data.write_idx(os.path.join(folder, part + "-labels-idx1-ubyte"), np.arange(n, dtype=np.uint8))
    ...     x_train, y_train, x_test, y_test = data.load_mnist(folder)
    >>> x_train.shape, y_train, x_test.dtype.name
    ((6, 28, 28), array([0, 1, 2, 3, 4, 5]), 'uint8')
    """
    folder = _check.path(folder, "folder")
    if not os.path.exists(folder):
        raise FileNotFoundError(f"{folder}: no such folder")
    if not os.path.isdir(folder):
        raise NotADirectoryError(f"{folder}: not a folder")
    # All four are found before any is read.
    names = [f"{part}-{what}" for part in ("train", "t10k") for what in ("images-idx3-ubyte", "labels-idx1-ubyte")]
    paths = [_find(folder, name) for name in names]
    parts = []
    for images_path, labels_path in (paths[:2], paths[2:]):
        images, labels = read_idx(images_path), read_idx(labels_path)
        if images.dtype != np.uint8 or images.ndim != 3 or images.shape[1:] != (28, 28):
            raise ValueError(f"{images_path}: images must be uint8 (n, 28, 28), not {images.dtype} {images.shape}")
        if labels.dtype != np.uint8 or labels.ndim != 1:
            raise ValueError(f"{labels_path}: labels must be uint8 (n,), not {labels.dtype} {labels.shape}")
        if len(images) != len(labels):
            raise ValueError(f"{len(images)} images in {images_path}, but {len(labels)} labels in {labels_path}")
        if labels.size and labels.max() > 9:
            raise ValueError(f"{labels_path}: labels must be 0 … 9, not {labels.max()} at index {labels.argmax()}")
        parts += [images, labels.astype(np.int64)]
    return tuple(parts)


def _find(folder, name):
    for variant in (name, name.replace("-idx", ".idx")):
        for path in (os.path.join(folder, variant), os.path.join(folder, variant + ".gz")):
            if os.path.isfile(path):
                return path
    raise FileNotFoundError(f"{folder}: {name} is missing (looked for it also with .idx and with .gz)")
