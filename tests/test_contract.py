"""The promises that all functions keep, each written once over the table OPS."""

import inspect
import os
import tracemalloc

import numpy as np
import pytest

import fastml
from fastml import metrics, reference

from .common import (
    ADVERSARIAL,
    DTYPES,
    LAYOUTS,
    LENGTHS,
    OPS,
    adversarial,
    assert_close,
    assert_same_bits,
    at_axis,
    copy_args,
    flushed,
    largest,
    map_arrays,
    normal,
    relayout,
)

SHAPES = [(), (0,), (2, 0), (0, 3), (2, 0, 3), (2, 3, 4, 5)]
SHAPES += [shape for n in LENGTHS for shape in ((n,), (3, n), (n, 3), (2, n, 5))]
SHAPES = list(dict.fromkeys(SHAPES))

every_op = pytest.mark.parametrize("op", OPS, ids=lambda op: op.id)
every_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=["float32", "float64"])
with_out = pytest.mark.parametrize("op", [op for op in OPS if op.out is not None], ids=lambda op: op.id)


def check(op, args, what="", ulp=None):
    """Compare the function with its reference, and see that it leaves its inputs alone."""
    before = copy_args(args)
    wanted = copy_args(args)
    if op.flushes:
        wanted = map_arrays(wanted, op.arrays, flushed)
    want = op.run(wanted, reference)
    if op.flushes:
        want = tuple(flushed(w) if isinstance(w, np.ndarray) else w for w in want)
    got = op.run(args)
    op.assert_close(got, want, args, ulp, what)
    for name in op.arrays:
        if name not in op.mutated and isinstance(args.get(name), np.ndarray):
            np.testing.assert_array_equal(args[name], before[name], err_msg=f"{name} was modified")
    return got


# --- names and signatures ------------------------------------------------------------------------------------


def test_the_table_has_every_function():
    """Metrics have a reference too, and tests of their own."""
    kernels = set(reference.__all__) - set(metrics.__all__)
    assert {op.name for op in OPS} == kernels
    assert kernels <= set(fastml.__all__)


@pytest.mark.parametrize("name", reference.__all__)
def test_signature_is_the_references(name):
    def parameters(function):
        return [(p.name, p.kind, p.default) for p in inspect.signature(function).parameters.values()]

    home = metrics if name in metrics.__all__ else fastml
    assert parameters(getattr(home, name)) == parameters(getattr(reference, name))


# --- values --------------------------------------------------------------------------------------------------


@every_dtype
@every_op
def test_shapes(op, dtype):
    for shape in filter(op.valid, SHAPES):
        check(op, op.make(shape, dtype, seed=1), f"shape {shape}")


@every_dtype
@every_op
def test_big(op, dtype):
    for shape in op.big:
        args = op.make(shape, dtype, seed=1)
        check(op, args, f"shape {shape}", ulp=4 * op.ulp)
        moved = at_axis(op, args, 0)
        if moved:
            check(op, moved, f"shape {shape} axis 0", ulp=4 * op.ulp)


def last_level_cache():
    """Return the size of the last-level cache in bytes; results beyond it are written past it."""
    known = "SC_LEVEL3_CACHE_SIZE" in getattr(os, "sysconf_names", ())
    return max(os.sysconf("SC_LEVEL3_CACHE_SIZE") if known else 0, 8 << 20)


@with_out
def test_results_beyond_the_cache(op):
    """Rows repeated until the result does not fit into the cache give the repeated result."""
    if last_level_cache() > 1 << 28:
        pytest.skip("a cache of more than 256 MiB")
    rows, n = 65, 259 if op.name == "linear" else 1031
    args = op.make((rows, n), np.float32, seed=1)
    if "reduction" in inspect.signature(getattr(fastml, op.name)).parameters:
        args["reduction"] = "sum"
    want = op.run(copy_args(args))[op.out]
    copies = last_level_cache() // want.nbytes + 2

    def repeat(a):
        return np.tile(a, (copies,) + (1,) * (a.ndim - 1)) if len(a) == rows else a

    args = map_arrays(args, op.arrays, repeat)
    got = op.run(args)[op.out]
    if op.name.startswith("dropout"):
        kept = fastml.dropout_mask(got.shape, args["p"], seed=args["seed"], offset=args["offset"])
        want = np.where(kept, args[op.in_place] * np.float32(1 / (1 - args["p"])), np.float32(0))
        assert_same_bits(got, want)
    else:
        assert_close(got, repeat(want), 4 * op.ulp, np.float32(op.ulp > 0) * largest(want).max(), op.id)


@pytest.mark.parametrize("layout", LAYOUTS)
@every_dtype
@every_op
def test_layouts(op, dtype, layout):
    """Every array in this layout, then each array alone; statistics in place are of native byte order."""
    movable = [name for name in op.arrays if not (layout == "swapped" and name in op.mutated)]
    for shape in filter(op.valid, [(), (7,), (5, 7), (4, 3, 17), (3, 2, 4, 5)]):
        args = op.make(shape, dtype, seed=1)
        for names in [movable, *([name] for name in movable)]:
            moved = map_arrays(copy_args(args), names, lambda a: relayout(a, layout))
            check(op, moved, f"shape {shape} {names}")


@every_dtype
@every_op
def test_axes(op, dtype):
    shape = (4, 3, 5, 2)
    args = op.make(shape, dtype, seed=1)
    if at_axis(op, args, 0) is None:
        pytest.skip("no axis to move")
    for axis in range(-4, 4):
        check(op, at_axis(op, args, axis), f"axis {axis}")


@pytest.mark.parametrize("kind", ADVERSARIAL)
@every_dtype
@every_op
def test_adversarial(op, dtype, kind):
    for shape in filter(op.valid, [(5,), (4, 16), (3, 33), (6, 2, 67)]):
        args = op.make(shape, dtype, seed=1)
        if op.arrays:
            first = op.arrays[0]
            args = map_arrays(args, [first], lambda a: adversarial(a.shape, kind, dtype, seed=2))
        check(op, args, f"shape {shape} {kind}")


@every_op
def test_read_only_inputs(op):
    """Inputs may be read-only, and all rows of one may be the same memory."""
    names = [name for name in op.arrays if name not in op.mutated]
    for shape in filter(op.valid, [(), (5,), (6, 5)]):
        args = op.make(shape, np.float32, seed=1)
        check(op, map_arrays(copy_args(args), names, lambda a: np.broadcast_to(a[:1] if a.ndim else a, a.shape)))


# --- kinds of input ------------------------------------------------------------------------------------------


class ArrayLike:
    """Something that np.asarray takes, as a tensor of another library is."""

    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        return self.array if dtype is None else self.array.astype(dtype)


@every_op
def test_lists_and_array_likes(op):
    names = [name for name in op.arrays if name not in op.mutated]
    for shape in filter(op.valid, [(5,), (4, 3)]):
        args = op.make(shape, np.float64, seed=1)
        want = op.run(copy_args(args))
        for convert in (np.ndarray.tolist, ArrayLike):
            for g, w in zip(op.run(map_arrays(copy_args(args), names, convert)), want, strict=True):
                assert_same_bits(g, w, f"{op.id} {convert.__name__}")


@every_op
def test_torch_tensors(op):
    torch = pytest.importorskip("torch")
    names = [name for name in op.arrays if name not in op.mutated]
    args = op.make((4, 3), np.float32, seed=1)
    tensors = map_arrays(copy_args(args), names, torch.from_numpy)
    for g, w in zip(op.run(tensors), op.run(copy_args(args)), strict=True):
        assert_same_bits(g, w)


@pytest.mark.parametrize("kind", [np.int64, np.uint8, np.bool_])
@every_op
def test_integers_are_taken_as_float32(op, kind):
    names = [name for name in op.arrays if name not in op.mutated and name != "target"]
    args = op.make((4, 3), np.float32, seed=1)
    integers = map_arrays(copy_args(args), names, lambda a: np.abs(a * 3).astype(kind))
    floats = map_arrays(integers, names, lambda a: a.astype(np.float32))
    for g, w in zip(op.run(copy_args(integers)), op.run(copy_args(floats)), strict=True):
        assert_same_bits(g, w)


@every_op
def test_mixed_dtypes(op):
    """One array in double precision among others in single: the same result and dtype as the reference's."""

    def double(a):
        return a.astype(np.float64) if a.dtype.kind == "f" else a

    args = op.make((4, 3), np.float32, seed=1)
    for name in op.arrays:
        if name not in op.mutated and name in args:
            check(op, map_arrays(copy_args(args), [name], double), name)


# --- out= ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", [layout for layout in LAYOUTS if layout != "swapped"])
@every_dtype
@with_out
def test_out(op, dtype, layout):
    for shape in filter(op.valid, [(), (7,), (5, 16), (4, 3, 17), (0, 3), (64, 67)]):
        args = op.make(shape, dtype, seed=1)
        want = op.run(copy_args(args))
        out = relayout(np.full_like(want[op.out], 99), layout)
        got = op.run({**args, "out": out})
        assert got[op.out] is out, f"{shape}"
        for k, (g, w) in enumerate(zip(got, want, strict=True)):
            assert_same_bits(g, w, f"{op.id} shape {shape} result {k}")


@pytest.mark.parametrize("layout", [layout for layout in LAYOUTS if layout != "swapped"])
@every_dtype
@with_out
def test_out_may_be_the_input(op, dtype, layout):
    if op.in_place is None:
        pytest.skip("cannot run in place")
    for shape in filter(op.valid, [(), (7,), (5, 16), (4, 3, 17), (64, 67)]):
        args = map_arrays(op.make(shape, dtype, seed=1), [op.in_place], lambda a: relayout(a, layout))
        want = op.run(copy_args(args))
        got = op.run({**args, "out": args[op.in_place]})
        assert got[op.out] is args[op.in_place]
        for k, (g, w) in enumerate(zip(got, want, strict=True)):
            assert_same_bits(g, w, f"{op.id} shape {shape} result {k}")


@with_out
def test_out_may_not_overlap_otherwise(op):
    """out begins in the last element of each input in turn."""
    args = op.make((6, 5), np.float32, seed=1)
    for name in op.arrays:
        if not isinstance(args.get(name), np.ndarray):
            continue
        value = args[name]
        shape = op.run(copy_args(args))[op.out].shape
        start = value.nbytes - value.itemsize
        memory = np.zeros(start + 4 * int(np.prod(shape)) + value.itemsize, np.uint8)
        shared = memory[: value.nbytes].view(value.dtype).reshape(value.shape)
        shared[...] = value
        out = memory[start:][: 4 * int(np.prod(shape))].view(np.float32).reshape(shape)
        before = memory.copy()
        with pytest.raises(ValueError, match="out"):
            op.run({**args, name: shared, "out": out})
        np.testing.assert_array_equal(memory, before)


@with_out
def test_out_shifted_along_the_input(op):
    if op.in_place is None:
        pytest.skip("cannot run in place")
    args = op.make((6, 5), np.float32, seed=1)
    memory = normal((7, *args[op.in_place].shape[1:]))
    before = memory.copy()
    for x, out in [(memory[:-1], memory[1:]), (memory[1:], memory[:-1]), (memory[:-1], memory[:-1][::-1])]:
        with pytest.raises(ValueError, match="out"):
            op.run({**args, op.in_place: x, "out": out})
    np.testing.assert_array_equal(memory, before)


@pytest.mark.parametrize("module", [fastml, reference], ids=["fastml", "reference"])
@with_out
def test_out_that_does_not_fit(op, module):
    args = op.make((6, 5), np.float32, seed=1)
    shape = op.run(copy_args(args), reference)[op.out].shape
    read_only = np.zeros(shape, np.float32)
    read_only.flags.writeable = False
    wrong = [
        (ValueError, np.zeros((shape[0] + 1, *shape[1:]), np.float32)),
        (ValueError, np.zeros((1, *shape), np.float32)),
        (ValueError, read_only),
        (TypeError, np.zeros(shape, np.float64)),
        (TypeError, np.zeros(shape, ">f4")),
        (TypeError, np.zeros(shape, np.int32)),
        (TypeError, np.zeros(shape, np.float32).tolist()),
    ]
    for error, out in wrong:
        given = copy_args(args)
        with pytest.raises(error, match="out"):
            op.run({**given, "out": out}, module)
        assert not np.any(out)
        for name in op.mutated:
            np.testing.assert_array_equal(given[name], args[name], err_msg=name)


@with_out
def test_out_that_overlaps_itself_is_no_crash(op):
    args = op.make((40, 33), np.float32, seed=1)
    shape = op.run(copy_args(args))[op.out].shape
    memory = np.zeros(shape[-1], np.float32)
    try:
        op.run({**args, "out": np.lib.stride_tricks.as_strided(memory, shape, (*(0,) * (len(shape) - 1), 4))})
    except ValueError as error:
        assert "out" in str(error)


@every_dtype
@with_out
def test_out_spares_allocation(op, dtype):
    """A call with out= takes no memory that grows with the input, as far as Python's allocators see it."""
    args = op.make(op.big[0], dtype, seed=1)
    out = np.empty_like(op.run(copy_args(args))[op.out])
    tracemalloc.start()
    try:
        op.run({**args, "out": out})
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 65536
