"""Shapes and strides at random: any view of memory is taken, and only the elements count."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .common import OPS, at_axis, copy_args, map_arrays

EXAMPLES = settings(max_examples=30, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def views(draw, x):
    """Return an array equal to x whose memory is permuted, strided, reversed and offset at random."""
    if x.ndim == 0:
        return np.array(x)
    order = draw(st.permutations(range(x.ndim)))
    steps = [draw(st.sampled_from([1, 1, 2, 3, -1, -2])) for _ in range(x.ndim)]
    starts = [draw(st.integers(0, 2)) for _ in range(x.ndim)]
    permuted = x.transpose(order)
    lengths = [start + abs(step) * n for n, step, start in zip(permuted.shape, steps, starts, strict=True)]
    memory = np.zeros(lengths, x.dtype)
    view = memory[tuple(slice(start, None, abs(step)) for start, step in zip(starts, steps, strict=True))]
    view = view[tuple(slice(None, None, 1 if step > 0 else -1) for step in steps)]
    view[...] = permuted
    return view.transpose(np.argsort(order))


@st.composite
def calls(draw, op):
    """Return an argument set of random shape and dtype, and a second one with the same values in other memory."""
    shapes = st.lists(st.integers(0, 9), max_size=4).map(tuple)
    last = draw(st.sampled_from([1, 3, 8, 16, 17, 35]))
    shape = draw(shapes)
    shape = (*shape[:-1], last) if shape else shape
    if not op.valid(shape):
        shape = (2, *shape) if op.valid((2, *shape)) else (3, 2, last)
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    args = op.make(shape, dtype, draw(st.integers(0, 99)))
    moved = map_arrays(copy_args(args), op.arrays, lambda a: draw(views(a)))
    return args, moved


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.id)
@EXAMPLES
@given(data=st.data())
def test_strides(op, data):
    """Any strides of inputs and of out: the same results. (The order of summation may follow the memory.)"""
    args, moved = data.draw(calls(op))
    want = op.run(copy_args(args))
    if op.out is not None and data.draw(st.booleans()):
        moved["out"] = data.draw(views(np.full_like(want[op.out], 99)))
    op.assert_close(op.run(moved), want, args)


@pytest.mark.parametrize("op", [op for op in OPS if op.axis and op.axis != "channel_axis"], ids=lambda op: op.id)
@EXAMPLES
@given(data=st.data())
def test_axis(op, data):
    """Moving the axis moves the result."""
    args, _ = data.draw(calls(op))
    shape = args[op.arrays[0]].shape
    if not shape:
        return
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    moved = at_axis(op, args, axis)
    got, want = op.run(moved), op.run(args)
    want = tuple(np.moveaxis(w, -1, axis) if np.shape(w) == shape else w for w in want)
    op.assert_close(got, want, moved)
