"""group_norm, instance_norm and their gradients against the reference, PyTorch, finite differences and each other."""

import numpy as np
import pytest

import fastml
from fastml import nn, optim, reference

from .common import (
    DTYPES,
    THREADS,
    assert_same_bits,
    assert_same_for_any_threads,
    assert_same_past_the_caches,
    assert_within,
    normal,
)
from .gradients import assert_gradients
from .steps import CLASSES, assert_same_training, assert_twins, explicit, twins

# (shape, groups): runs shorter and longer than two vectors, groups beyond a batch, blocks of one to many samples
CASES = [
    *[((n, c), g) for n in (1, 2, 5, 33, 70) for c, g in ((6, 2), (16, 4), (48, 3), (96, 1), (7, 1))],
    ((5, 6), 6), ((3, 512), 8), ((2100, 6), 3), ((40, 900), 300),
    *[((3, 12, n), g) for n in (1, 2, 3, 7, 15, 16, 17, 31, 32, 33, 63, 64, 65, 130) for g in (2, 12)],
    ((1, 6, 5000), 3), ((1, 6, 5000), 6), ((2, 40, 49), 40), ((2, 64, 14, 14), 8), ((9, 8, 3, 1, 2), 2),
    ((70, 20, 5, 5), 4), ((70, 20, 5, 5), 20), ((3, 2, 130, 129), 1),
]  # fmt: skip
IDS = [f"{'x'.join(map(str, s))}/{g}" for s, g in CASES]


def make(shape, dtype=np.float64, offset=0.0):
    """x, weight, bias and a gradient."""
    rng = np.random.default_rng(7)
    weight, bias = rng.uniform(0.5, 2, shape[1]).astype(dtype), rng.normal(size=shape[1]).astype(dtype)
    return normal(shape, dtype, 1, 2) + dtype(offset), weight, bias, normal(shape, dtype, 2)


# --- against the reference -----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("shape", "groups"), CASES, ids=IDS)
def test_forward(shape, groups, dtype):
    x, weight, bias, _ = make(shape, dtype, 0.5)
    for w, b in ((weight, bias), (weight, None), (None, bias), (None, None)):
        got, want = (m.group_norm(x, groups, w, b, eps=1e-3) for m in (fastml, reference))
        for g, t, scale in zip(got, want, (10, 5, 1), strict=True):
            assert_within(g, t, dtype, scale, what=f"{w is None} {b is None}")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("shape", "groups"), CASES, ids=IDS)
def test_backward(shape, groups, dtype):
    x, weight, _, grad = make(shape, dtype, 0.5)
    _, mean, inv_std = reference.group_norm(x, groups)
    sums = 4 * np.sqrt(x.size / shape[1]) + 4
    for w in (weight, None):
        got, want = (m.group_norm_backward(grad, x, groups, w, mean, inv_std) for m in (fastml, reference))
        for g, t, scale in zip(got, want, (8 * max(1, inv_std.max()), sums, sums), strict=True):
            assert_within(g, t, dtype, scale, what=f"{w is None}")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(3, 6, 2), (4, 5, 33), (2, 40, 14, 14), (1, 3, 20000), (70, 4, 9), (0, 3, 4)])
def test_instance_norm_is_a_group_for_every_channel(shape, dtype):
    x, weight, bias, grad = make(shape, dtype)
    got, want = fastml.instance_norm(x, weight, bias), fastml.group_norm(x, shape[1], weight, bias)
    _, mean, inv_std = want
    got += fastml.instance_norm_backward(grad, x, weight, mean, inv_std)
    want += fastml.group_norm_backward(grad, x, shape[1], weight, mean, inv_std)
    for g, w in zip(got, want, strict=True):
        assert_same_bits(g, w)


@pytest.mark.parametrize("groups", [1, 8, 64])
@pytest.mark.parametrize("places", [3, 50])
def test_offset_keeps_its_digits(places, groups):
    """Mean 1e4 and standard deviation 1 in float32: as exact as a float64 computation of the same values."""
    x = normal((5, 64, places), np.float32, 1) + np.float32(1e4)
    got, want = fastml.group_norm(x, groups, eps=0.0), reference.group_norm(x, groups, eps=0.0)
    assert_within(got[0], want[0], np.float32, 4)
    assert_within(got[2], want[2], np.float32)


@pytest.mark.parametrize("places", [2, 40])
def test_a_group_of_uncommon_values_is_alone(places):
    """Infinity, NaN and squares that overflow stay in their group; the sums of their channels take part."""
    x, weight, bias, grad = make((4, 6, places), np.float32)
    x[1, 2, 0], x[2, 0, 1], x[3, 5] = np.inf, np.nan, x[3, 5] * 1e30
    got, want = (m.group_norm(x, 3, weight, bias) for m in (fastml, reference))
    for g, w in zip(got, want, strict=True):
        np.testing.assert_allclose(g, w, rtol=2e-5, atol=2e-5)
    got, want = (m.group_norm_backward(grad, x, 3, weight, *got[1:]) for m in (fastml, reference))
    for g, w in zip(got, want, strict=True):
        np.testing.assert_allclose(g, w, rtol=2e-5, atol=2e-5)


def test_empty():
    for shape, groups in [((0, 6), 3), ((2, 6, 0), 3), ((2, 0, 4), 2)]:
        x, weight, bias, grad = make(shape)
        y, mean, inv_std = fastml.group_norm(x, groups, weight, bias)
        assert y.shape == shape and mean.shape == inv_std.shape == (shape[0], groups)
        assert np.isnan(mean).all() and np.isnan(inv_std).all()
        dx, dweight, dbias = fastml.group_norm_backward(grad, x, groups, None, mean, inv_std)
        assert dx.shape == shape and not dweight.any() and not dbias.any()


# --- against PyTorch and finite differences ------------------------------------------------------------------


@pytest.mark.parametrize(("shape", "groups"), [((17, 33), 3), ((5, 8, 11), 2), ((2, 6, 9, 10), 6), ((3, 64, 8, 8), 32)])
def test_as_pytorch(shape, groups):
    torch = pytest.importorskip("torch")
    x, weight, bias, grad = make(shape)
    tensors = [torch.tensor(v, requires_grad=True) for v in (x, weight, bias)]
    want = torch.nn.functional.group_norm(tensors[0], groups, *tensors[1:], 1e-3)
    want.backward(torch.tensor(grad))
    y, mean, inv_std = fastml.group_norm(x, groups, weight, bias, eps=1e-3)
    np.testing.assert_allclose(y, want.detach().numpy(), rtol=1e-11, atol=1e-12)
    for got, t in zip(fastml.group_norm_backward(grad, x, groups, weight, mean, inv_std), tensors, strict=True):
        np.testing.assert_allclose(got, t.grad.numpy(), rtol=1e-10, atol=1e-11)


def test_instance_norm_as_pytorch():
    torch = pytest.importorskip("torch")
    x, weight, bias, grad = make((3, 5, 6, 7))
    tensors = [torch.tensor(v, requires_grad=True) for v in (x, weight, bias)]
    want = torch.nn.functional.instance_norm(tensors[0], weight=tensors[1], bias=tensors[2])
    want.backward(torch.tensor(grad))
    y, mean, inv_std = fastml.instance_norm(x, weight, bias)
    np.testing.assert_allclose(y, want.detach().numpy(), rtol=1e-11, atol=1e-12)
    for got, t in zip(fastml.instance_norm_backward(grad, x, weight, mean, inv_std), tensors, strict=True):
        np.testing.assert_allclose(got, t.grad.numpy(), rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize(("shape", "groups"), [((5, 6), 3), ((2, 4, 3), 2), ((2, 4, 40), 2), ((2, 2, 2, 2), 2)])
def test_gradient_is_the_difference_quotient(shape, groups):
    x, weight, bias, grad = make(shape)
    args = {"x": x, "weight": weight, "bias": bias}

    def loss(**changed):
        return (fastml.group_norm(num_groups=groups, **{**args, **changed})[0] * grad).sum()

    _, mean, inv_std = fastml.group_norm(x, groups, weight, bias)
    got = fastml.group_norm_backward(grad, x, groups, weight, mean, inv_std)
    assert_gradients(got, loss, args, atol=1e-7)


# --- memory and bits -----------------------------------------------------------------------------------------

BIG = [
    ((129, 256), 8),
    ((1300, 24), 4),
    ((70, 40, 100), 20),
    ((3, 64, 30, 31), 64),
    ((1, 32, 4000), 4),
    ((33, 64, 9), 8),
]


def every_bit(shape, groups, dtype):
    x, weight, bias, grad = make(shape, dtype)
    forward = fastml.group_norm(x, groups, weight, bias)
    return *forward, *fastml.group_norm_backward(grad, x, groups, weight, *forward[1:])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("shape", "groups"), BIG)
def test_threads_show_in_no_bit(shape, groups, dtype):
    assert_same_for_any_threads(every_bit, shape, groups, dtype)


@pytest.mark.parametrize(("shape", "groups"), BIG)
def test_a_sample_is_alone(shape, groups):
    """y and dx of a sample are the same bits in any batch."""
    x, weight, bias, grad = make(shape, np.float32)
    y, mean, inv_std = fastml.group_norm(x, groups, weight, bias)
    dx, *_ = fastml.group_norm_backward(grad, x, groups, weight, mean, inv_std)
    part = slice(len(x) // 3, len(x) // 3 + 2)
    assert_same_bits(fastml.group_norm(x[part], groups, weight, bias)[0], y[part])
    got, *_ = fastml.group_norm_backward(grad[part], x[part], groups, weight, mean[part], inv_std[part])
    assert_same_bits(got, dx[part])


def test_backward_into_either_input():
    for shape, groups in BIG:
        x, weight, _, grad = make(shape, np.float32)
        _, mean, inv_std = fastml.group_norm(x, groups)
        want, *_ = fastml.group_norm_backward(grad, x, groups, weight, mean, inv_std)
        for which in (0, 1):
            pair = [grad.copy(), x.copy()]
            got, *_ = fastml.group_norm_backward(*pair, groups, weight, mean, inv_std, out=pair[which])
            assert got is pair[which]
            assert_same_bits(got, want)


def test_stores_past_the_caches():
    assert_same_past_the_caches("""
        import numpy as np
        from tests.test_group_norm import BIG, every_bit
        shapes = [*BIG, ((2, 4, 700), 2), ((3, 1200), 2)]
        result = {f"{s} {k}": a for s, g in shapes for k, a in enumerate(every_bit(s, g, np.float32))}
    """)


# --- errors --------------------------------------------------------------------------------------------------

WRONG = [
    (ValueError, "num_groups", {"num_groups": 4}),
    (ValueError, "num_groups", {"num_groups": 0}),
    (ValueError, "num_groups", {"num_groups": -3}),
    (TypeError, "num_groups", {"num_groups": 3.0}),
    (TypeError, "num_groups", {"num_groups": None}),
    (TypeError, "num_groups", {"num_groups": True}),
    (ValueError, "eps", {"eps": -1e-5}),
    (ValueError, "eps", {"eps": float("nan")}),
    (TypeError, "eps", {"eps": None}),
    (ValueError, "weight", {"weight": np.ones(4, np.float32)}),
    (ValueError, "bias", {"bias": np.ones((1, 6), np.float32)}),
    (ValueError, "more than one value per group", {"x": np.zeros((1, 6), np.float32), "num_groups": 6, "out": None}),
    (ValueError, "N, C", {"x": np.zeros(6, np.float32), "out": None}),
    (ValueError, "N, C", {"x": np.float32(1), "out": None}),
    (ValueError, "out", {"out": np.zeros((5, 6), np.float32)}),
]


@pytest.mark.parametrize("module", [fastml, reference], ids=["fastml", "reference"])
@pytest.mark.parametrize(("error", "match", "changed"), WRONG)
def test_errors_write_nothing(error, match, changed, module):
    x, weight, bias, _ = make((5, 6, 2), np.float32)
    args = {"x": x, "num_groups": 3, "weight": weight, "bias": bias, "out": np.full_like(x, 7), **changed}
    with pytest.raises(error, match=match):
        module.group_norm(**args)
    assert args["out"] is None or args["out"].shape != x.shape or (args["out"] == 7).all()


@pytest.mark.parametrize("module", [fastml, reference], ids=["fastml", "reference"])
def test_errors_of_the_others(module):
    x, weight, _, grad = make((5, 6, 2), np.float32)
    _, mean, inv_std = reference.group_norm(x, 3)
    out = np.full_like(x, 7)
    for args, error, match in [
        ((grad, x[:4], 3, weight, mean, inv_std), ValueError, "must have the shape of"),
        ((grad, x, 2, weight, mean, inv_std), ValueError, "mean"),
        ((grad, x, 3, weight[:5], mean, inv_std), ValueError, "weight"),
        ((grad, x, 3, weight, mean, None), TypeError, "inv_std"),
        ((grad, x, 4, weight, mean, inv_std), ValueError, "num_groups"),
    ]:
        with pytest.raises(error, match=match):
            module.group_norm_backward(*args, out=out)
    for shape in ((5, 6), (5, 6, 1), (5, 6, 1, 1)):
        with pytest.raises(ValueError, match="more than one spatial element"):
            module.instance_norm(np.zeros(shape, np.float32))
        with pytest.raises(ValueError, match="more than one spatial element"):
            module.instance_norm_backward(*np.zeros((2, *shape), np.float32), None, mean, inv_std)
    assert (out == 7).all()


# --- layers --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("affine", [True, False])
def test_layers_as_pytorchs(affine):
    torch = pytest.importorskip("torch")
    pairs = [
        (nn.GroupNorm(3, 6, 1e-3, affine, dtype=np.float64), torch.nn.GroupNorm(3, 6, 1e-3, affine), (4, 6, 5, 2)),
        (nn.GroupNorm(1, 6, affine=affine, dtype=np.float64), torch.nn.GroupNorm(1, 6, affine=affine), (4, 6)),
        (nn.InstanceNorm(6, affine=affine, dtype=np.float64), torch.nn.InstanceNorm1d(6, affine=affine), (4, 6, 5)),
        (
            nn.InstanceNorm(6, affine=affine, dtype=np.float64),
            torch.nn.InstanceNorm3d(6, affine=affine),
            (2, 6, 3, 1, 2),
        ),
    ]
    for layer, peer, shape in pairs:
        peer = peer.double()
        x, weight, bias, grad = make(shape)
        if affine:
            layer.load_state_dict({"weight": weight, "bias": bias})
        peer.load_state_dict({k: torch.tensor(v) for k, v in layer.state_dict().items()})
        for mode in (True, False):
            layer.train(mode)
            t = torch.tensor(x, requires_grad=True)
            want = peer.train(mode)(t)
            np.testing.assert_allclose(layer(x), want.detach().numpy(), rtol=1e-10, atol=1e-11)
        want.backward(torch.tensor(grad))
        np.testing.assert_allclose(layer.backward(grad), t.grad.numpy(), rtol=1e-9, atol=1e-10)
        for name, p in layer.named_parameters():
            np.testing.assert_allclose(p.grad, getattr(peer, name).grad.numpy(), rtol=1e-10, atol=1e-11)


def test_wrong_layers_and_inputs():
    for make_layer, error, match in [
        (lambda: nn.GroupNorm(4, 6), ValueError, "num_groups"),
        (lambda: nn.GroupNorm(0, 6), ValueError, "num_groups"),
        (lambda: nn.GroupNorm(2.0, 6), TypeError, "num_groups"),
        (lambda: nn.GroupNorm(2, 0), ValueError, "num_channels"),
        (lambda: nn.GroupNorm(2, 6, eps=-1), ValueError, "eps"),
        (lambda: nn.InstanceNorm(0), ValueError, "num_features"),
        (lambda: nn.InstanceNorm(6, dtype="float16"), TypeError, "float16"),
    ]:
        with pytest.raises(error, match=match):
            make_layer()
    for shape in ((4, 5, 2), (6,), ()):
        with pytest.raises(ValueError, match="N, 6"):
            nn.GroupNorm(2, 6)(np.zeros(shape, np.float32))
    with pytest.raises(ValueError, match="spatial"):
        nn.InstanceNorm(6)(np.zeros((4, 6, 1), np.float32))
    with pytest.raises(RuntimeError, match="forward"):
        nn.GroupNorm(2, 6).backward(np.zeros((4, 6), np.float32))
    assert repr(nn.GroupNorm(2, 6)) == "GroupNorm(2, 6, eps=1e-05, affine=True)"
    assert repr(nn.InstanceNorm(6)) == "InstanceNorm(6, eps=1e-05, affine=False)"


def samples(shape, dtype, sizes):
    rng = np.random.default_rng(0)
    return [(rng.standard_normal((n, *shape)).astype(dtype), rng.integers(0, CLASSES, n)) for n in sizes]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("places", [(), (3,), (5, 7), (20, 3)])
def test_a_compiled_step_gives_the_bits_of_the_explicit_calls(places, dtype):
    nn.manual_seed(0)
    features = 12 * int(np.prod(places))
    layers = [nn.GroupNorm(3, 12, dtype=dtype), nn.ReLU(), nn.GroupNorm(1, 12, affine=False, dtype=dtype)]
    if places:
        layers += [nn.InstanceNorm(12, affine=True, dtype=dtype), nn.GELU(), nn.InstanceNorm(12, eps=1e-2, dtype=dtype)]
    layers += [nn.GroupNorm(12, 12, dtype=dtype), nn.Flatten(), nn.Linear(features, CLASSES, dtype=dtype)]
    for threads in THREADS:
        assert_same_training(nn.Sequential(*layers), samples((12, *places), dtype, (20, 3, 45, 70)), threads=threads)


def test_the_sums_over_many_samples_are_added_in_the_same_order():
    nn.manual_seed(0)
    for shape, sizes in (((8,), (3000, 2049, 97)), ((4, 70, 70), (150, 33)), ((8, 5, 5), (700, 9))):
        model = [nn.GroupNorm(4, shape[0]), nn.Flatten(), nn.Linear(int(np.prod(shape)), CLASSES)]
        assert_same_training(nn.Sequential(*model), samples(shape, np.float32, sizes), threads=2)


def test_a_group_norm_of_which_the_optimizer_holds_a_part():
    a, b = twins(nn.Sequential(nn.Linear(6, 12, seed=0), nn.GroupNorm(3, 12), nn.Linear(12, CLASSES, seed=1)))
    for chosen in (slice(0, 2), slice(2, 3), slice(3, 5), slice(4, 6)):
        slow, fast = (optim.SGD(m.parameters()[chosen], lr=0.1, momentum=0.9) for m in (a, b))
        step = nn.compile_step(b, nn.CrossEntropyLoss(), fast)
        for x, y in samples((6,), np.float32, (70, 33)):
            explicit(a, nn.CrossEntropyLoss(), slow, x, y)
            step(x, y)
        assert_twins(a, b)


def test_samples_that_do_not_fit_a_step():
    (x, y), *_ = samples((6, 1), np.float32, (5,))
    for layer, match in (
        (nn.GroupNorm(2, 8), "0: GroupNorm has 8 channels"),
        (nn.InstanceNorm(6), "0: InstanceNorm takes"),
    ):
        model = nn.Sequential(layer, nn.Flatten(), nn.Linear(6, CLASSES))
        with pytest.raises(ValueError, match=match):
            nn.compile_step(model, nn.CrossEntropyLoss(), optim.SGD(model.parameters(), lr=0.1))(x, y)
    model = nn.Sequential(nn.GroupNorm(6, 6), nn.Flatten(), nn.Linear(6, CLASSES))
    step = nn.compile_step(model, nn.CrossEntropyLoss(), optim.SGD(model.parameters(), lr=0.1))
    step(x, y)
    with pytest.raises(ValueError, match="n >= 2"):
        step(x[:1], y[:1])
