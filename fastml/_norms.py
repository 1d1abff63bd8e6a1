"""The gate for normalisation: axes, groups, and vectors of one value per channel, group or row."""

import numpy as np

from . import _check
from ._memory import empty


def vector(value, name, shape, dtype, out, per="channel"):
    """An argument of this shape as a plain array (dtype None: its own), apart from out; None for None."""
    if value is None:
        return None
    a = _check.as_real(value, name, dtype)
    if a.shape != shape:
        raise ValueError(f"{name} must have one value per {per}, shape {shape}, not {a.shape}")
    if out is not None and isinstance(value, np.ndarray) and _check.overlap(out, value):
        raise ValueError(f"out overlaps {name}; it may be the first input itself or separate memory")
    return _check.plain(a)


def given(value, name, shape, dtype, out, per="channel"):
    """The same where there must be one."""
    if value is None:
        raise TypeError(f"{name} must be an array of one value per {per}, not None")
    return vector(value, name, shape, dtype, out, per)


def running(value, name, channels, out):
    """(the memory of a running statistic that will be updated, a plain stand-in for it); a pair of None for None."""
    if value is None:
        return None, None
    value = _check.memory(value, name)
    if value.dtype.kind != "f" or value.dtype.itemsize not in (4, 8):
        raise TypeError(f"{name} must be float32 or float64, not {value.dtype}")
    if not value.flags.writeable:
        raise ValueError(f"{name} is read-only")
    return value, vector(value, name, (channels,), None, out)


def channel_index(axis, ndim, name="x"):
    """channel_axis as an index from the front."""
    try:
        index = _check.axis_index(axis)
    except TypeError:
        raise TypeError(f"channel_axis must be an integer, not {_check.shown(axis)}") from None
    if not -ndim <= index < ndim:
        raise ValueError(f"channel_axis {index} is out of range for {name} with {ndim} dimension(s)")
    return index % ndim


def normalised_axes(axis, ndim):
    """An int or a tuple of trailing axes as a tuple counted from the front."""
    if axis is None:
        raise TypeError("axis must be an integer or a tuple of integers, not NoneType")
    if ndim == 0:
        raise ValueError(f"axis {axis} is out of bounds for an array of 0 dimension(s)")
    axes = _check.axis_tuple(axis, ndim)
    if isinstance(axis, (tuple, list)) and axes != tuple(range(ndim - len(axes), ndim)):
        raise ValueError(f"axis {axis} must name the last axes of an array of {ndim} dimension(s), in order")
    if not axes:
        raise ValueError("axis must name at least one axis, not ()")
    return axes


def refuse_groups(shape, groups=None):
    """Why x of this shape has no groups, so many or (None) one for each channel."""
    if len(shape) < 2:
        raise ValueError(f"x must have the shape (N, C, ...), not {shape}")
    if groups is None:
        raise ValueError(f"x must have more than one spatial element, not the shape {shape}")
    if shape[1] % groups:
        raise ValueError(f"num_groups must divide the channels of x, not {groups} groups of {shape[1]} channels")
    raise ValueError(f"x must have more than one value per group, not {shape} in {groups} groups")


def refuse_single(shape):
    raise ValueError(f"x must have more than one value per channel in training, not {shape}")


def refuse_untrained():
    raise ValueError("running_mean and running_var must be arrays where training=False, not None")


class Rows:
    """Plain stand-ins of (outer, n), n elements being normalised together, for one call on arrays of any layout;
    `finish` delivers the result."""

    def __init__(self, names, given, axis, out):
        arrays = _check.as_reals(list(zip(names, given, strict=True)))
        _check.same_shapes(names, arrays)
        self.shape = shape = arrays[0].shape
        self.axes = axes = normalised_axes(axis, len(shape))
        self.dtype, self.asked = arrays[0].dtype, out
        if out is not None:
            out = _check.check_out(out, shape, self.dtype, arrays)
        self.normalised = tuple([shape[i] for i in axes])
        self.kept = _check.reduced_shape(arrays[0], axes)
        self.trailing = max(axes) == len(shape) - 1
        self.n = int(np.prod(self.normalised, dtype=np.int64))
        self.arrays = [_check.plain(self.turned(a)) for a in arrays]
        self.direct = out is not None and self.trailing and out.flags.c_contiguous and out.flags.aligned
        self.memory = out
        self.out = out if self.direct else empty(self.arrays[0].shape, self.dtype)

    def turned(self, a):
        """The one axis that is not the last, last."""
        return a if self.trailing else np.moveaxis(a, self.axes[0], -1)

    def weight(self, value, name):
        """An argument of one value per normalised element, or None."""
        return vector(value, name, self.normalised, self.dtype, self.asked, "normalised element")

    def statistic(self, value, name):
        """An argument of one value per row."""
        return given(value, name, self.kept, self.dtype, self.asked, "row")

    def finish(self, y):
        y = y if self.trailing else np.moveaxis(y, -1, self.axes[0])
        if self.asked is None:
            return y
        if not self.direct:
            self.memory[...] = y
        return self.asked
