"""The gate for arrays: the slow path and the error texts.

Everything that a kernel does not take as it comes ends up here: sequences, integers, other byte orders,
strides, transposed memory, axes that need an order of their own, and every mistake. Conversions follow
API conventions: float32 and float64 stay, integers and bool become float32, anything else is a TypeError.
"""

import operator
from itertools import chain, islice

import numpy as np

from ._options import (  # noqa: F401 - one gate: whoever checks imports from here
    MOST,
    as_dtype,
    boolean,
    choice,
    each,
    entries,
    flag,
    hint,
    integer,
    mapping,
    named,
    nonzero,
    number,
    outside,
    path,
    positive,
    seed,
    shape_tuple,
    shown,
    size,
    text,
)


def axis_index(axis):
    """axis as a Python int; TypeError otherwise."""
    try:
        return operator.index(axis)
    except TypeError:
        raise TypeError(f"axis must be an integer, not {shown(axis)}") from None


def raise_axis(axis, ndim):
    raise ValueError(f"axis {axis} is out of bounds for an array of {ndim} dimension(s)")


def axis_within(axis, ndim):
    """An int as an axis >= 0 of an array; a single number has one axis, too."""
    axis, axes = axis_index(axis), max(ndim, 1)
    if not -axes <= axis < axes:
        raise_axis(axis, ndim)
    return axis % axes


def axis_tuple(axis, ndim):
    """An int, a tuple of ints or None (all axes) as a tuple of distinct axes >= 0."""
    if axis is None:
        return tuple(range(ndim))
    axes = [axis_within(a, ndim) for a in (axis if isinstance(axis, (tuple, list)) else (axis,))]
    if len(set(axes)) != len(axes):
        raise ValueError(f"axis {axis} names an axis twice")
    return tuple(axes) if ndim else ()


def reduced_shape(x, axes):
    """x's shape with length 1 along the axes."""
    return tuple([1 if i in axes else d for i, d in enumerate(x.shape)])


def axes_last(x, axes):
    """x with the axes merged into one last axis (a copy where the order of memory asks for it)."""
    kept = [i for i in range(x.ndim) if i not in axes]
    turned = x.transpose([*kept, *axes])
    n = int(np.prod([x.shape[i] for i in axes], dtype=np.int64))
    return turned.reshape([*[x.shape[i] for i in kept], n])


def without(y, axes):
    """y with its axes of length 1 dropped; a NumPy scalar where none is left."""
    y = y.reshape([d for i, d in enumerate(y.shape) if i not in axes])
    return y[()] if y.ndim == 0 else y


def plain(x):
    """x C-contiguous and aligned, as an exact ndarray."""
    return np.asarray(np.require(x, requirements="CA"))


def as_array(x, name):
    """x as an exact ndarray, so that all who ask for its shape are told what C sees, whatever a subclass says.

    ValueError or TypeError where x cannot be made one, also where its own __array__ fails; a masked array is a
    TypeError.
    """
    if type(x) is np.ndarray:
        return x
    refuse_mask(x, name)
    try:
        a = np.asarray(x)
    except MemoryError:
        raise
    except Exception as error:
        kind = ValueError if isinstance(error, ValueError) else TypeError
        raise kind(f"{name} cannot be made an array: {str(error) or type(error).__name__}") from error
    if isinstance(x, (list, tuple)):
        refuse_masks_within(x, name, a.ndim)
    return a


def refuse_mask(x, name):
    """TypeError for a masked array: its mask would be lost."""
    if isinstance(x, np.ndarray) and isinstance(x, np.ma.MaskedArray):
        raise TypeError(f"{name} must be an array without a mask, not a {type(x).__name__}: pass {name}.filled(value)")


def refuse_masks_within(values, name, depth):
    """The same for the elements of a list and of the lists in it, down to a depth; a list that begins with a number is
    one of numbers (of np.ma.masked among them NumPy makes NaN, and says so)."""
    lists = (values,)
    for _ in range(depth):
        lists = [v for v in lists if v and type(v[0]) not in (float, int)]
        if not lists:
            return
        values = list(chain.from_iterable(lists))
        kinds = set(map(type, values))
        if kinds == {list}:
            lists = values
            continue
        for kind in kinds:
            if issubclass(kind, np.ma.MaskedArray):
                raise TypeError(f"{name} must hold arrays without a mask, not a {kind.__name__}: fill it before")
        lists = [v for v in values if isinstance(v, (list, tuple))]


def shape_of(x, name):
    """The shape that x has as an array."""
    return (x if isinstance(x, np.ndarray) else as_array(x, name)).shape


def check_parameter(x, name):
    """TypeError unless x is an array that can be learnt."""
    if not isinstance(x, np.ndarray) or x.dtype not in (np.float32, np.float64):
        kind = f"an array of {x.dtype}" if isinstance(x, np.ndarray) else shown(x)
        raise TypeError(f"{name} must be a float32 or float64 array, not {kind}")
    refuse_mask(x, name)


def memory(x, name):
    """An array that will be written, as an exact ndarray over the same memory."""
    if not isinstance(x, np.ndarray):
        raise TypeError(f"{name} must be a NumPy array, not {type(x).__name__}")
    refuse_mask(x, name)
    return np.asarray(x)


def as_int64(labels):
    """An exact ndarray of integers as int64 in native order, C-contiguous and aligned; beyond int64: its largest."""
    if labels.dtype.kind == "u" and labels.dtype.itemsize == 8:
        labels = np.minimum(labels, np.uint64(2**63 - 1))
    return np.require(labels, np.int64, "CA")


def changed_labels(name):
    """The error for labels that passed the check of a call and were no classes when its work came to them."""
    return IndexError(f"{name} must keep its labels during the call: another thread has changed them")


def as_numbers(x, name):
    """x as an exact ndarray of real numbers, of whatever dtype it has."""
    a = as_array(x, name)
    if a.dtype.kind not in "biuf":
        raise TypeError(f"{name} must hold real numbers, not {a.dtype}")
    return a


def as_real(x, name, dtype=None):
    """x as an ndarray of float32 or float64 in native order (not yet contiguous); dtype forces one."""
    a = as_array(x, name)
    kind = a.dtype.kind
    if kind in "biu":
        return a.astype(dtype or np.float32)
    if kind != "f" or a.dtype.itemsize not in (4, 8):
        raise TypeError(f"{name} must be float32, float64, integer or bool, not {a.dtype}")
    native = np.dtype(dtype) if dtype is not None else a.dtype.newbyteorder("=")
    return a if a.dtype == native and a.dtype.isnative else a.astype(native)


def whole(x, name):
    """A count of at least 0, which may have been saved as a real number in an array, as an int."""
    a = as_real(x, name, np.float64)
    if a.ndim or not 0 <= a < 2**53 or a != np.floor(a):
        raise ValueError(f"{name} must be a whole number of at least 0, not {shown(a[()]) if a.ndim == 0 else a.shape}")
    return int(a)


def as_reals(pairs):
    """All (name, array-like) as ndarrays of one dtype: float64 if any of them is, else float32."""
    arrays = [as_real(x, name) for name, x in pairs]
    dtype = np.result_type(*arrays)
    return [a if a.dtype == dtype else a.astype(dtype) for a in arrays]


def same_shapes(names, arrays):
    """ValueError unless all arrays have the first one's shape."""
    for name, a in zip(names[1:], arrays[1:], strict=True):
        if a.shape != arrays[0].shape:
            raise ValueError(f"{name} must have the shape of {names[0]}, {arrays[0].shape}, not {a.shape}")


def refuse_shape(name, wanted, shape):
    raise ValueError(f"{name} must have the shape {wanted}, not {shape}")


def refuse_neither():
    raise TypeError("x must be float32, float64, integer or bool, not None; or y= the function's result")


def refuse_last_shape(grad, shape):
    raise ValueError(f"grad must have the shape of the last result, {shape}, not {grad.shape}")


def check_out(out, shape, dtype, inputs=(), name="out", owner=None):
    """out's memory as an exact ndarray; raises unless it can take a result of this shape and dtype: writable, and one
    of the inputs itself or without memory in common with them."""
    out = memory(out, name)
    if out.shape != tuple(shape):
        raise ValueError(f"{name} must have the result's shape {tuple(shape)}, not {out.shape}")
    if out.dtype != dtype:
        raise TypeError(f"{name} must have the result's dtype {np.dtype(dtype)}, not {out.dtype}")
    if not out.flags.writeable:
        raise ValueError(f"{name} is read-only")
    for a in inputs:
        if not isinstance(a, np.ndarray) or same_memory(out, a):
            continue
        if overlap(out, a):
            raise ValueError(f"{name} overlaps an input in part; it may be the input itself or separate memory")
    return out


def same_memory(a, b):
    """Both arrays are the very same elements."""
    a, b = np.asarray(a), np.asarray(b)
    return a.ctypes.data == b.ctypes.data and a.shape == b.shape and a.strides == b.strides and a.dtype == b.dtype


def span(a):
    """The addresses where an array's memory begins and ends."""
    if a.size == 0:
        return a.ctypes.data, a.ctypes.data
    reach = [(n - 1) * stride for n, stride in zip(a.shape, a.strides, strict=True)]
    first = a.ctypes.data + sum(r for r in reach if r < 0)
    return first, a.ctypes.data + sum(r for r in reach if r > 0) + a.itemsize


def overlap(a, b):
    """The arrays share memory, or might (where telling is too hard)."""
    if not np.may_share_memory(a, b):
        return False
    try:
        return np.shares_memory(a, b, max_work=100_000)
    except np.exceptions.TooHardError:
        return True


def check_apart(arrays):
    """ValueError where one of the arrays (name, array, whether it is written) is written and shares memory."""
    spans = [(*span(array), i) for i, (_, array, _) in enumerate(arrays)]
    spans.sort()
    for k, (_, end, i) in enumerate(spans):
        for start, _, j in islice(spans, k + 1, None):
            if start >= end:
                break
            (first, a, a_written), (second, b, b_written) = arrays[min(i, j)], arrays[max(i, j)]
            if (a_written or b_written) and overlap(a, b):
                column = second.partition("[")[0]
                if a is b and first.partition("[")[0] == column:
                    raise ValueError(f"{second} stands in {column} twice: it is {first}")
                raise ValueError(f"{second} shares memory with {first}")


class Call:
    """Plain stand-ins for one call: `arrays`, `axis`, `out`; `finish(result)` delivers what was asked for."""

    __slots__ = ("_asked", "_memory", "arrays", "axis", "back", "out")

    def __init__(self, arrays, axis, out, asked, memory, back):
        self.arrays, self.axis, self.out = arrays, axis, out
        self._asked, self._memory, self.back = asked, memory, back

    def finish(self, result):
        """The kernel's plain result in the caller's memory and order of axes."""
        if self._asked is not None:
            if self.out is None:
                self._memory[...] = result.transpose(self.back)
            return self._asked
        return result.transpose(self.back)


def arrange(names, arrays, axis=None, out=None, c_order=False):
    """Check a call of inputs of one shape and an output like them, and find plain stand-ins.

    Memory that is contiguous in another order of its axes is taken as it lies, with the axis renumbered
    (unless c_order: the kernel counts elements in C order); everything else is copied. Returns a Call.
    """
    arrays = as_reals(list(zip(names, arrays, strict=True)))
    same_shapes(names, arrays)
    first = arrays[0]
    ndim = first.ndim
    if axis is not None:
        axis = axis_within(axis, ndim)
    asked = out
    if out is not None:
        out = check_out(out, first.shape, first.dtype, arrays)
    order = sorted(range(ndim), key=lambda i: -abs(first.strides[i]))
    if c_order or not all(a.transpose(order).flags.c_contiguous for a in arrays):
        order = list(range(ndim))
    back = sorted(range(ndim), key=order.__getitem__)
    if axis is not None and ndim:
        axis = back[axis]
    stand_ins = [plain(a.transpose(order)) for a in arrays]
    result = None
    if out is not None:
        turned = out.transpose(order)
        if turned.flags.c_contiguous and turned.flags.aligned:
            result = turned
    return Call(stand_ins, axis, result, asked, out, back)


def arrange_update(written_names, written, read_names, read, numbers=None):
    """Check an update of lists of arrays in place and find plain stand-ins.

    `written` are tuples of one length (or None: not given) of ndarrays, the first one the parameters; `read`
    are tuples of array-likes, which are taken in their parameter's dtype. ``numbers``: what messages call them, unless
    it is their places. Returns the stand-ins of both, and the pairs (array, stand-in) where a copy stands in for an
    array that is written: the caller puts its values back.
    """
    columns = [(n, a, True) for n, a in zip(written_names, written, strict=True) if a is not None]
    columns += [(n, a, False) for n, a in zip(read_names, read, strict=True)]
    stand_ins = {name: [] for name, _, _ in columns}
    copies, apart = [], []
    for i, first in enumerate(written[0]):
        place = i if numbers is None else numbers[i]
        first_label = f"{written_names[0]}[{place}]"
        first = memory(first, first_label)
        own = []
        for name, column, is_written in columns:
            label, a = f"{name}[{place}]", column[i]
            if is_written:
                a = memory(a, label)
                check_updated(a, label, first, first_label)
            else:
                a = as_real(a, label)
                same_shapes((first_label, label), (first, a))
            if is_written or not any(same_memory(a, b) for b in own):
                apart.append((label, a, is_written))
            if is_written:
                own.append(a)
            plain_a = plain(a.astype(first.dtype.newbyteorder("="), copy=False))
            stand_ins[name].append(plain_a)
            if is_written and plain_a.ctypes.data != a.ctypes.data:
                copies.append((a, plain_a))
    check_apart(apart)
    return (
        [None if a is None else tuple(stand_ins[n]) for n, a in zip(written_names, written, strict=True)],
        [tuple(stand_ins[n]) for n in read_names],
        copies,
    )


def check_updated(a, name, first, first_name):
    """Raise unless `a` can be updated in place beside the parameter `first` (any strides, any byte order)."""
    if a.dtype.kind != "f" or a.dtype.itemsize not in (4, 8):
        raise TypeError(f"{name} must be float32 or float64, not {a.dtype}")
    if a.dtype.itemsize != first.dtype.itemsize:
        raise TypeError(f"{name} must have the dtype of {first_name}, {first.dtype}, not {a.dtype}")
    same_shapes((first_name, name), (first, a))
    if not a.flags.writeable:
        raise ValueError(f"{name} is read-only")
