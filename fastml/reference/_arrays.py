"""What every reference function does before and after its formula: float64 in, the input's dtype out.

The checks here state the library's contract in its plainest form: TypeError for the kind of an argument,
ValueError for a shape, a range or an option, each naming the argument and what was seen. Nothing is written
before all checks have passed, because the formula writes into fresh arrays and `finish` comes last.
"""

import numpy as np

LARGEST = np.finfo(np.float64).max  # bound of a range of finite numbers


def as_float64(x, name):
    """Return x as a fresh C-contiguous float64 array, and the dtype (float32 or float64) that results will have."""
    array = as_array(x, name)
    if array.dtype.kind in "biu":
        dtype = np.dtype(np.float32)
    elif array.dtype.kind == "f" and array.dtype.itemsize in (4, 8):
        dtype = array.dtype.newbyteorder("=")
    else:
        raise TypeError(f"{name} must be float32, float64, integer or bool, not dtype {array.dtype}")
    return array.astype(dtype).astype(np.float64, order="C"), dtype


def as_array(x, name, dtype=None):
    """Return x as an array; TypeError for a masked one, whose mask would be lost."""
    _refuse_mask(x, name)
    return np.asarray(x, dtype)


def _refuse_mask(x, name):
    """The same for what is in a list."""
    if isinstance(x, (list, tuple)):
        for item in x:
            _refuse_mask(item, name)
    elif isinstance(x, np.ma.MaskedArray):
        raise TypeError(f"{name} must be an array without a mask, not a {type(x).__name__}")


def as_float64s(**arrays):
    """Return several arrays as as_float64 does; the results' dtype is float64 where one of theirs is."""
    converted = [as_float64(x, name) for name, x in arrays.items()]
    return *(x for x, _ in converted), np.result_type(*(dtype for _, dtype in converted))


def as_vector(x, name, length):
    """Return x as a float64 array of shape (length,): one number per class or per channel."""
    array, _ = as_float64(x, name)
    if array.shape != (length,):
        raise ValueError(f"{name} must have shape ({length},), not {array.shape}")
    return array


def check_same_shape(x, x_name, y, y_name):
    if x.shape != y.shape:
        raise ValueError(f"{x_name} must have the shape of {y_name}, {y.shape}, not {x.shape}")


def check_axis(axis, ndim, name="axis"):
    """Return axis counted from the front; ndim is the number of dimensions it may point into."""
    if isinstance(axis, (bool, np.bool_)) or not isinstance(axis, (int, np.integer)):
        raise TypeError(f"{name} must be an integer, not {axis!r}")
    if not -ndim <= axis < ndim:
        raise ValueError(f"{name} must be an axis of an array of {ndim} dimension(s), not {axis}")
    return int(axis) % ndim


def check_number(value, name):
    """Return a real number as a float."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{name} must be a real number, not {value!r}")
    return float(value)


def check_range(value, name, low, high=np.inf):
    """Return a real number in [low, high] as a float; NaN lies in no range."""
    value = check_number(value, name)
    if not low <= value <= high:
        raise ValueError(f"{name} must lie in [{low:g}, {high:g}], not {value}")
    return value


def check_positive(value, name):
    """Return a real number above 0 as a float."""
    value = check_range(value, name, 0)
    if value == 0:
        raise ValueError(f"{name} must be greater than 0, not {value}")
    return value


def check_integer(value, name, low, high):
    """Return an integer in low .. high as an int; a bool is none."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} must be an integer, not {value!r}")
    value = int(value)
    if not low <= value <= high:
        raise ValueError(f"{name} must lie in {low} .. {high}, not {value}")
    return value


def check_target_array(array, name, shape, *dtypes):
    """Check an array that will be written: kind, dtype, shape, permission."""
    _refuse_mask(array, name)
    if not isinstance(array, np.ndarray):
        raise TypeError(f"{name} must be a NumPy array, not {type(array).__name__}")
    if array.dtype not in dtypes:
        raise TypeError(f"{name} must have dtype {' or '.join(map(str, dtypes))}, not {array.dtype}")
    if array.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, not {array.shape}")
    if not array.flags.writeable:
        raise ValueError(f"{name} must be writable, not read-only")


def check_updated(array, name):
    """Check an array that is updated in place."""
    _refuse_mask(array, name)
    if not isinstance(array, np.ndarray):
        raise TypeError(f"{name} must be a NumPy array, not {type(array).__name__}")
    if array.dtype not in (np.float32, np.float64):
        raise TypeError(f"{name} must be float32 or float64, not {array.dtype}")
    check_target_array(array, name, array.shape, array.dtype)


def check_update_lists(params, grads, **states):
    """Check lists of arrays: a gradient for every parameter, and states like it."""
    lists = {"params": params, "grads": grads, **states}
    for name, arrays in lists.items():
        if not isinstance(arrays, (list, tuple)):
            raise TypeError(f"{name} must be a list of arrays, not {type(arrays).__name__}")
        if len(arrays) != len(params):
            raise ValueError(f"{name} must have one array for each of params, {len(params)}, not {len(arrays)}")
    for i, p in enumerate(params):
        check_updated(p, f"params[{i}]")
        g, _ = as_float64(grads[i], f"grads[{i}]")
        if g.shape != p.shape:
            raise ValueError(f"grads[{i}] must have the shape of params[{i}], {p.shape}, not {g.shape}")
        for name, arrays in states.items():
            check_target_array(arrays[i], f"{name}[{i}]", p.shape, p.dtype)


def check_out(out, shape, dtype, **inputs):
    """Check out: it may be one of the inputs itself and may not overlap any of them otherwise."""
    if out is None:
        return
    check_target_array(out, "out", shape, dtype)
    for name, value in inputs.items():
        if isinstance(value, np.ndarray) and np.shares_memory(out, value) and not same_elements(out, value):
            raise ValueError(f"out must be {name} itself or separate memory, out overlaps {name}")


def same_elements(a, b):
    """True where a and b are the same memory, read in the same way."""
    same_view = a.ctypes.data == b.ctypes.data and a.shape == b.shape and a.strides == b.strides
    return same_view and a.dtype == b.dtype


def finish(result, dtype, out=None):
    """Round a float64 result to dtype, into out where given."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        if out is None:
            return np.asarray(result).astype(dtype)
        out[...] = result
        return out
