"""Arrays in every layout and with every trap, and comparing them in units in the last place."""

import numpy as np

DTYPES = (np.float32, np.float64)
# Lengths around the 16-float and 8-double vectors, their multiples and the empty one.
LENGTHS = (0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 66, 67)
LAYOUTS = ("C", "F", "strided", "reversed", "transposed", "field", "swapped")
ADVERSARIAL = ("inf", "-inf", "all -inf", "nan", "1e30", "equal", "denormal")


# --- arrays --------------------------------------------------------------------------------------------------


def normal(shape, dtype=np.float32, seed=0, scale=1.0):
    """Return standard normal numbers times scale, C-contiguous."""
    return np.asarray(np.random.default_rng(seed).standard_normal(shape) * scale).astype(dtype)


def relayout(x, layout):
    """Return an array with the elements of x and another layout in memory."""
    if layout == "C":
        return np.array(x, order="C")
    if layout == "F":
        return np.array(x, order="F")
    if layout == "swapped":
        return x.astype(x.dtype.newbyteorder())
    if layout == "transposed":  # the axes lie in memory in another order, neither C nor F
        order = [*range(1, x.ndim), 0][: x.ndim]
        return np.array(x.transpose(order), order="C").transpose(np.argsort(order).tolist())
    if layout == "field":  # unaligned, and the strides are no multiples of the item
        view = np.zeros(x.shape, [("before", "u1"), ("x", x.dtype)])["x"]
        view[...] = x
        return view
    step = {"strided": 2, "reversed": -1}[layout]
    memory = np.zeros([n * abs(step) for n in x.shape], x.dtype)
    view = memory[(*(slice(None, None, step) for _ in x.shape), ...)]
    view[...] = x
    return view


def adversarial(shape, kind, dtype=np.float32, seed=0):
    """Return normal numbers with rows (last axis) that a naive formula fails on."""
    x = normal(shape, dtype, seed)
    tiny = np.finfo(dtype).smallest_subnormal
    if kind == "inf":
        x[..., ::3] = np.inf
    elif kind == "-inf":
        x[..., 1::3] = -np.inf
    elif kind == "all -inf":
        x[...] = -np.inf
    elif kind == "nan":
        x[..., 2::5] = np.nan
    elif kind == "1e30":
        x[..., ::2] *= 1e30
    elif kind == "equal":
        x[...] = 2.5
    elif kind == "denormal":
        x[...] = np.round(x * 100) * tiny
    else:
        raise ValueError(kind)
    return x


def flushed(x):
    """x with zeros of the same sign for its denormals."""
    x = np.asarray(x)
    return (
        np.where(np.abs(x) < np.finfo(x.dtype).tiny, np.copysign(x.dtype.type(0), x), x) if x.dtype.kind == "f" else x
    )


# --- comparing -----------------------------------------------------------------------------------------------


def assert_same_bits(got, want, what=""):
    """Same shape, dtype and bits; all NaN count as one."""
    got, want = np.asarray(got), np.asarray(want)
    assert got.dtype == want.dtype and got.shape == want.shape, what
    np.testing.assert_array_equal(got, want, err_msg=what)
    np.testing.assert_array_equal(np.signbit(got) & ~np.isnan(got), np.signbit(want) & ~np.isnan(want), err_msg=what)


def ulp_error(got, want, scale=0.0):
    """Return the largest |got - want| in units in the last place of max(|want|, scale), in got's dtype."""
    got, want = np.asarray(got), np.asarray(want)
    finite = np.isfinite(want) & np.isfinite(got)
    unit = np.spacing(np.broadcast_to(np.maximum(np.abs(want), scale), want.shape)[finite].astype(got.dtype))
    error = np.abs(got[finite].astype(np.float64) - want[finite].astype(np.float64)) / unit
    return float(error.max(initial=0.0))


def assert_close(got, want, ulp=8, scale=0.0, what=""):
    """Same kind, dtype, shape, NaN and infinities; finite values within ulp units of max(|want|, scale)."""
    assert isinstance(got, np.ndarray) == isinstance(want, np.ndarray), f"{what} {type(got)} {type(want)}"
    got, want = np.asarray(got), np.asarray(want)
    assert got.dtype == want.dtype, f"{what} {got.dtype} {want.dtype}"
    assert got.shape == want.shape, f"{what} {got.shape} {want.shape}"
    np.testing.assert_array_equal(np.isnan(got), np.isnan(want), err_msg=what)
    infinite = np.isinf(got) | np.isinf(want)
    np.testing.assert_array_equal(got[infinite], want[infinite], err_msg=what)
    error = ulp_error(got, want, scale)
    assert error <= ulp, f"{what} {error:.3g} ulp, allowed {ulp}"


def assert_within(got, want, dtype, scale=1.0, units=40, what=""):
    """Same dtype and shape; within so many units in the last place of max(|want|, scale)."""
    assert got.dtype == dtype and got.shape == want.shape, what
    error = np.abs(got.astype(np.float64) - want) / np.maximum(np.abs(want), scale)
    assert error.max(initial=0) <= units * np.finfo(dtype).eps, f"{what} {error.max()}"


def assert_all_same_bits(got, want, what=""):
    """As assert_same_bits for each of several arrays, in a sequence or by name."""
    if isinstance(want, dict):
        assert got.keys() == want.keys(), what
        for name, value in want.items():
            assert_same_bits(got[name], value, f"{what} {name}")
    else:
        for k, (g, w) in enumerate(zip(got, want, strict=True)):
            assert_same_bits(g, w, f"{what} result {k}")


def largest(x, axis=-1):
    """Return the largest finite magnitude along an axis, kept: the scale of a difference of such terms."""
    x = np.abs(np.asarray(x, np.float64))
    return finite(x).max(axis=axis, keepdims=True, initial=0) if x.ndim else x


def finite(x):
    return np.where(np.isfinite(x), x, 0)


def tally(values):
    """The sum that fm_tally (src_c/sums.h) keeps: of doubles in order, with what rounding takes from it."""
    total = lost = 0.0
    for value in values:
        after = total + value
        lost += (total - after) + value if abs(total) >= abs(value) else (value - after) + total
        total = after
    return total + lost
