"""Result arrays that a layer uses again once nobody else holds them.

An array that a layer returned belongs to the caller, so the next call must not overwrite it. But once the
last reference outside the layer is gone, its memory is free, and on large arrays fresh memory costs more
than the arithmetic. The layer therefore keeps its last two results and writes into one only where its
reference count says that the layer holds it alone; views, tensors made from it and activations saved for
backward all count. Without the GIL that can be known only of an array that the same thread has made and no other has
held. Small results are not kept: a new one is cheaper than the question.
"""

import numpy as np

from .._memory import empty
from .._tracked import take_first

# From this many bytes on an array is kept. Below, malloc hands the same warm memory out again: a softmax into
# a kept array instead of a new one took as long at 1 MiB, 10 % less at 8 MiB and 45 % less at 64 MiB.
MIN_BYTES = 1 << 20
_FEW = MIN_BYTES // 8  # elements: fewer never are as many bytes
_KEPT = 2
_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


class Results:
    """The results that a layer may use again."""

    __slots__ = ("_arrays",)

    def __init__(self):
        self._arrays = []

    def like(self, x, *others, width=None):
        """An array for a result of x's shape and type, or None: let the op make one.

        ``width`` stands in for the length of the last axis. ``others`` (arrays or None) take part in the
        result; where their types differ the op chooses the result's.
        """
        if type(x) is not np.ndarray or x.size * (width or 1) < _FEW:
            return None
        nbytes = x.nbytes
        if width is not None and x.ndim:
            nbytes = nbytes // max(x.shape[-1], 1) * width
        if nbytes < MIN_BYTES or x.dtype not in _FLOATS:
            return None
        for other in others:
            if other is not None and getattr(other, "dtype", None) != x.dtype:
                return None
        return self._take(x.shape if width is None else (*x.shape[:-1], width), x.dtype)

    def _take(self, shape, dtype):
        arrays = self._arrays
        # An array is taken out before it is judged: two threads cannot find the same one idle.
        for _ in range(len(arrays)):
            try:
                array, alone = take_first(arrays)
            except IndexError:
                break
            usable = array.shape == shape and array.dtype == dtype and array.flags.behaved
            arrays.append(array)
            if usable and alone:
                return array
        array = empty(shape, dtype)
        arrays.append(array)
        del arrays[:-_KEPT]
        return array

    def __reduce__(self):
        # Copies and pickles of a layer start without results.
        return Results, ()
