"""The one stream that seeds every layer built without a seed of its own."""

import numpy as np

from .._check import seed as checked
from .._locks import lock

_lock = lock()
_stream = None


def manual_seed(seed):
    """Restart the stream from which layers built without ``seed=`` take theirs.

    ``seed``: an integer from 0 to 2⁶⁴ − 1. Call it before the model is built: initialisation and the masks of dropout
    are fixed when a layer is made. The same seed and the same order of layers give the same bits. Without
    a call the stream starts from the operating system's entropy.

    Raises TypeError for a seed that is no integer, ValueError for one out of range.

    Source of the numbers: ``numpy.random.default_rng``.

    >>> from fastml import nn
    >>> nn.manual_seed(0)
    >>> a = nn.Linear(3, 2)
    >>> nn.manual_seed(0)
    >>> bool((a.weight.value == nn.Linear(3, 2).weight.value).all())
    True
    """
    global _stream
    stream = np.random.default_rng(checked(seed))
    with _lock:
        _stream = stream


def next_seed():
    """The next 64-bit seed of the stream."""
    global _stream
    with _lock:
        if _stream is None:
            _stream = np.random.default_rng()
        return int(_stream.integers(0, 1 << 64, dtype=np.uint64))


def seed_or_next(seed):
    """``seed`` as an int, or where it is None the next one of the stream."""
    return next_seed() if seed is None else checked(seed, " or None")
