"""linear_cross_entropy_with_grad: the bits of the three functions in a row, every option, memory, errors, blocks."""

import itertools
import tracemalloc

import numpy as np
import pytest
from fastml._simd import available_targets

import fastml
from fastml import reference

from .common import (
    DTYPES,
    assert_close,
    assert_same_bits,
    assert_same_for_any_threads,
    normal,
    relayout,
    run_on_target,
    run_script,
)

# (samples, features, classes): one block; blocks of 512 samples and the tail; long rows, one at a time; padded rows.
SHAPES = ((1, 1, 1), (5, 4, 3), (33, 17, 10), (7, 5, 512), (64, 8, 513), (1100, 30, 70), (600, 9, 1024), (3, 2, 20_000))
REDUCTIONS = ("mean", "sum", "none")

every_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=["float32", "float64"])
every_module = pytest.mark.parametrize("module", [fastml, reference], ids=["fastml", "reference"])


def operands(samples, features, classes, dtype, hard=True):
    """x, weight, target, bias and class_weight by name."""
    rng = np.random.default_rng(3)
    target = rng.integers(0, classes, samples)
    if not hard:
        target = reference.softmax(normal((samples, classes), dtype, 5, 2))
    return {
        "x": normal((samples, features), dtype, 1),
        "weight": normal((classes, features), dtype, 2),
        "target": target,
        "bias": normal(classes, dtype, 4),
        "class_weight": rng.uniform(0.5, 2, classes).astype(dtype),
    }


def in_a_row(x, weight, target, bias=None, class_weight=None, **options):
    """The same from linear, cross_entropy_with_grad and linear_backward."""
    logits = fastml.linear(x, weight, bias)
    loss, dlogits = fastml.cross_entropy_with_grad(logits, target, weight=class_weight, **options)
    return (loss, *fastml.linear_backward(dlogits, x, weight))


def check(args):
    """dx, dweight and single losses have the bits of the functions in a row; sums over blocks are as accurate."""
    got = fastml.linear_cross_entropy_with_grad(**args)
    want = in_a_row(**args)
    assert type(got[0]) is type(want[0])
    assert_same_bits(got[1], want[1], "dx")
    assert_same_bits(got[2], want[2], "dweight")
    assert_close(got[0], want[0], 0 if args.get("reduction") == "none" else 4, what="loss")
    assert_close(got[3], want[3], 4, np.abs(want[3]).max(initial=0), "dbias")


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("hard", [True, False], ids=["labels", "probabilities"])
@every_dtype
def test_the_bits_of_the_functions_in_a_row(dtype, hard, shape):
    args = operands(*shape, dtype, hard)
    for reduction, smoothing, weighted, biased, ignored in itertools.product(
        REDUCTIONS, (0.0, 0.1), (False, True), (False, True), (None, 0) if hard else (None,)
    ):
        left_out = [name for name, kept in (("class_weight", weighted), ("bias", biased)) if not kept]
        given = {name: value for name, value in args.items() if name not in left_out}
        check({**given, "reduction": reduction, "label_smoothing": smoothing, "ignore_index": ignored})


@pytest.mark.parametrize("hard", [True, False], ids=["labels", "probabilities"])
def test_as_torch(hard):
    torch = pytest.importorskip("torch")
    for dtype in DTYPES:
        args = operands(70, 12, 600, dtype, hard)
        for reduction, smoothing in itertools.product(REDUCTIONS, (0.0, 0.1)):
            options = {"reduction": reduction, "label_smoothing": smoothing}
            got = fastml.linear_cross_entropy_with_grad(**args, **options)
            tensors = {name: torch.from_numpy(a.copy()) for name, a in args.items()}
            leaves = [tensors[name].requires_grad_() for name in ("x", "weight", "bias")]
            loss = torch.nn.functional.cross_entropy(
                torch.nn.functional.linear(*leaves), tensors["target"], tensors["class_weight"], **options
            )
            want = (loss, *torch.autograd.grad(loss.sum(), leaves))
            for g, w in zip(got, want, strict=True):
                w = w.detach().numpy()
                np.testing.assert_allclose(
                    g, w, rtol=1e-12 if dtype == np.float64 else 1e-4, atol=np.finfo(dtype).eps * 64
                )


def test_gradients_by_finite_differences():
    args = operands(4, 3, 5, np.float64)
    for reduction in REDUCTIONS:
        options = {"reduction": reduction, "label_smoothing": 0.1}
        gradients = fastml.linear_cross_entropy_with_grad(**args, **options)[1:]
        for name, gradient in zip(("x", "weight", "bias"), gradients, strict=True):
            for index in np.ndindex(gradient.shape):
                moved = np.zeros(gradient.shape)
                moved[index] = 1e-6
                up, down = (
                    fastml.linear_cross_entropy_with_grad(**{**args, name: args[name] + s * moved}, **options)[0]
                    for s in (1, -1)
                )
                assert abs(np.sum(up - down) / 2e-6 - gradient[index]) < 1e-8, name


@pytest.mark.parametrize("layout", ["F", "strided", "reversed", "transposed", "field", "swapped"])
@pytest.mark.parametrize("hard", [True, False], ids=["labels", "probabilities"])
def test_any_view_gives_the_same_bits(layout, hard):
    args = operands(600, 20, 33, np.float32, hard)
    want = fastml.linear_cross_entropy_with_grad(**args)
    for names in (args, *((name,) for name in args)):
        moved = {name: relayout(a, layout) if name in names else a for name, a in args.items()}
        for g, w in zip(fastml.linear_cross_entropy_with_grad(**moved), want, strict=True):
            assert_same_bits(g, w, f"{layout} {names}")


def test_leading_axes_count_as_one():
    args = operands(24, 5, 11, np.float32)
    want = fastml.linear_cross_entropy_with_grad(**args, reduction="none")
    folded = {**args, "x": args["x"].reshape(2, 3, 4, 5), "target": args["target"].reshape(2, 3, 4)}
    got = fastml.linear_cross_entropy_with_grad(**folded, reduction="none")
    assert got[0].shape == (2, 3, 4) and got[1].shape == (2, 3, 4, 5)
    for g, w in zip(got, want, strict=True):
        assert_same_bits(g.reshape(w.shape), w)
    one = {**args, "x": args["x"][0], "target": int(args["target"][0])}
    loss, dx, dweight, _ = fastml.linear_cross_entropy_with_grad(**one)
    assert type(loss) is np.float32 and dx.shape == (5,) and dweight.shape == (11, 5)


@every_dtype
def test_without_samples_or_features(dtype):
    for reduction, want in (("mean", np.nan), ("sum", 0), ("none", np.zeros(0))):
        args = operands(0, 3, 4, dtype)
        loss, dx, dweight, dbias = fastml.linear_cross_entropy_with_grad(**args, reduction=reduction)
        np.testing.assert_array_equal(loss, want)
        assert dx.shape == (0, 3)
        assert_same_bits(dweight, np.zeros((4, 3), dtype))
        assert_same_bits(dbias, np.zeros(4, dtype))
    check(operands(6, 0, 4, dtype))
    loss, dx, dweight, dbias = fastml.linear_cross_entropy_with_grad(
        np.zeros((0, 3)), np.zeros((0, 3)), np.zeros(0, int)
    )
    assert np.isnan(loss) and dweight.shape == (0, 3) and dbias.shape == (0,)


def test_nothing_counts():
    args = {**operands(600, 5, 11, np.float32), "target": np.full(600, -100), "ignore_index": -100}
    loss, *gradients = fastml.linear_cross_entropy_with_grad(**args)
    assert np.isnan(loss) and not any(g.any() for g in gradients)


def test_ignored_samples_change_nothing():
    args = operands(700, 5, 11, np.float32)
    ignored = np.arange(700) % 3 == 1
    some = {**args, "target": np.where(ignored, -1, args["target"]), "ignore_index": -1}
    rest = {**args, "x": args["x"][~ignored], "target": args["target"][~ignored]}
    got = fastml.linear_cross_entropy_with_grad(**some)
    want = fastml.linear_cross_entropy_with_grad(**rest)
    assert not got[1][ignored].any()
    assert_same_bits(got[1][~ignored], want[1])
    for k in (0, 2, 3):
        assert_close(got[k], want[k], 4, np.abs(want[k]).max())


# --- threads and targets -------------------------------------------------------------------------------------


@every_dtype
def test_same_bits_for_every_number_of_threads(dtype):
    for shape in ((5, 4, 3), (1300, 33, 67), (520, 3, 2100), (9, 70, 5000)):
        args = operands(*shape, dtype)
        assert_same_for_any_threads(fastml.linear_cross_entropy_with_grad, **args)


CODE = """
from tests.test_linear_cross_entropy import *
result = {}
for dtype in DTYPES:
    for shape in SHAPES:
        for hard in (True, False):
            got = fastml.linear_cross_entropy_with_grad(**operands(*shape, dtype, hard))
            result |= {f"{shape} {np.dtype(dtype)} {hard} {k}": np.asarray(g) for k, g in enumerate(got)}
"""


def test_same_bits_on_every_fma_target():
    targets = [target for target in available_targets() if target != "baseline"]
    if len(targets) < 2:
        pytest.skip(f"this CPU runs {targets}")
    first, *others = (run_on_target(target, CODE) for target in targets)
    for other in others:
        for name, want in first.items():
            assert_same_bits(other[name], want, name)


# --- memory --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("samples, classes", [(700, 131_072), (20_000, 1031), (40, 1_000_000)])
@every_dtype
def test_workspace_is_bounded(dtype, samples, classes):
    """64 MB beside the results, where the logits take up to 730; the workspace is one of NumPy's arrays, and traced."""
    args = operands(samples, 2, classes, dtype)
    tracemalloc.start()
    try:
        results = fastml.linear_cross_entropy_with_grad(**args)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    beside = peak - sum(np.asarray(r).nbytes for r in results)
    assert beside < 64e6
    assert classes < 100_000 or beside > 30e6, "the workspace is not traced"


def test_resident_memory_is_bounded():
    """8192 samples of 131 072 classes, whose logits take 4 GB."""
    code = """
        import resource, numpy as np, fastml
        x, weight = np.ones((8192, 1), np.float32), np.ones((131072, 1), np.float32)
        target = np.arange(8192)
        fastml.linear_cross_entropy_with_grad(x[:64], weight[:64], target[:64])
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        fastml.linear_cross_entropy_with_grad(x, weight, target)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    """
    out, _ = run_script(code)
    assert int(out) * 1024 < 66e6


# --- errors --------------------------------------------------------------------------------------------------

WRONG = [
    (ValueError, "x must have", {"x": np.ones((3, 4))}),
    (ValueError, "x must have", {"x": np.float64(1)}),
    (ValueError, "weight must have", {"weight": np.ones(5)}),
    (ValueError, "weight", {"weight": np.ones((0, 5))}),
    (ValueError, "bias", {"bias": np.ones(3)}),
    (TypeError, "bias", {"bias": np.ones(2, complex)}),
    (ValueError, "class_weight", {"class_weight": np.ones(3)}),
    (TypeError, "class_weight", {"class_weight": np.ones(2, complex)}),
    (IndexError, "target must lie in 0 .. 1", {"target": [0, 1, 2]}),
    (IndexError, "target must lie in 0 .. 1", {"target": [0, 1, -100], "ignore_index": -1}),
    (IndexError, "target", {"target": np.full(3, 2**63, np.uint64)}),
    (TypeError, "target", {"target": np.zeros(3, bool)}),
    (TypeError, "target", {"target": ["a", "b", "c"]}),
    (ValueError, "target", {"target": [0, 1]}),
    (ValueError, "target", {"target": np.zeros((3, 3))}),
    (ValueError, "ignore_index", {"target": np.zeros((3, 2)), "ignore_index": 0}),
    (TypeError, "ignore_index", {"ignore_index": 1.0}),
    (ValueError, "label_smoothing", {"label_smoothing": 1.5}),
    (TypeError, "label_smoothing", {"label_smoothing": "0.1"}),
    (ValueError, "reduction", {"reduction": "average"}),
]


@pytest.mark.parametrize("error, match, change", WRONG)
@every_module
def test_errors_name_the_argument(module, error, match, change):
    if module is reference:
        match = match.split()[0]
    args = {"x": np.ones((3, 5)), "weight": np.ones((2, 5)), "target": [0, 1, 1], "bias": np.ones(2)}
    with pytest.raises(error, match=match):
        module.linear_cross_entropy_with_grad(**{**args, **change})


def test_x_and_weight_are_not_written():
    args = operands(50, 7, 600, np.float32)
    before = {name: a.copy() for name, a in args.items()}
    fastml.linear_cross_entropy_with_grad(**args)
    for name, a in args.items():
        assert_same_bits(a, before[name], name)
