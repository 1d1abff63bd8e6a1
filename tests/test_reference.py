"""The reference itself: formulas against PyTorch, published vectors; gradients are in test_reference_gradients.py."""

import itertools

import numpy as np
import pytest

from fastml import reference
from fastml.reference.dropout import philox4x32
from fastml.reference.linear import _ACTIVATIONS

RNG = np.random.default_rng(2024)


# --- PyTorch -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["labels", "ignored", "probabilities"])
def test_cross_entropy_is_pytorchs(kind):
    torch = pytest.importorskip("torch")
    for weighted, smoothing, reduction in itertools.product([False, True], [0.0, 0.1, 1.0], ["mean", "sum", "none"]):
        x = 3 * RNG.normal(size=(5, 4, 3))
        weight = RNG.uniform(0.1, 2, 4) if weighted else None
        target = RNG.integers(0, 4, (5, 3))
        options = {"label_smoothing": smoothing, "reduction": reduction}
        if kind == "ignored":
            target[1] = options["ignore_index"] = -1
        if kind == "probabilities":
            target = reference.softmax(RNG.normal(size=x.shape), 1)
        logits = torch.tensor(x, requires_grad=True)
        class_weight = None if weight is None else torch.tensor(weight)
        want = torch.nn.functional.cross_entropy(logits, torch.tensor(target), weight=class_weight, **options)
        want.sum().backward()
        loss, grad = reference.cross_entropy_with_grad(x, target, 1, weight=weight, **options)
        np.testing.assert_allclose(loss, want.detach().numpy(), rtol=1e-12, atol=1e-14, err_msg=f"{options}")
        np.testing.assert_allclose(grad, logits.grad.numpy(), rtol=1e-11, atol=1e-14, err_msg=f"{options}")


def test_elementwise_losses_are_pytorchs():
    torch = pytest.importorskip("torch")
    x, target = 3 * RNG.normal(size=(5, 4)), RNG.uniform(0, 1, (5, 4))
    weights = {"weight": RNG.uniform(0.5, 2, (5, 1)), "pos_weight": RNG.uniform(0.5, 2, 4)}
    for name, options in (
        ("mse_loss", {}),
        ("binary_cross_entropy_with_logits", {}),
        ("binary_cross_entropy_with_logits", weights),
    ):
        for reduction in ("mean", "sum", "none"):
            t, tensors = torch.tensor(x, requires_grad=True), {k: torch.tensor(v) for k, v in options.items()}
            want = getattr(torch.nn.functional, name)(t, torch.tensor(target), reduction=reduction, **tensors)
            want.sum().backward()
            loss, grad = getattr(reference, f"{name}_with_grad")(x, target, reduction=reduction, **options)
            np.testing.assert_allclose(loss, want.detach().numpy(), rtol=1e-12, err_msg=name)
            np.testing.assert_allclose(grad, t.grad.numpy(), rtol=1e-11, atol=1e-14, err_msg=name)


@pytest.mark.parametrize(
    "row",
    [
        [np.inf, 0.0], [-np.inf, -np.inf], [np.nan, 1.0], [np.inf, -np.inf], [-np.inf, 0.0], [1e30, 0.0],
        [1e30, 1e30], [-1e30, -1e30],
    ],
)  # fmt: skip
def test_extreme_rows_are_pytorchs(row):
    torch = pytest.importorskip("torch")
    x = np.array([row])
    for name in ("softmax", "log_softmax", "logsumexp"):
        want = getattr(torch, name)(torch.tensor(x), -1).numpy()
        np.testing.assert_allclose(getattr(reference, name)(x), want, err_msg=name)
    for target in ([0], [1], np.eye(2)[[0]]):
        logits = torch.tensor(x, requires_grad=True)
        want = torch.nn.functional.cross_entropy(logits, torch.tensor(target))
        want.backward()
        loss, grad = reference.cross_entropy_with_grad(x, target)
        np.testing.assert_allclose(loss, want.item(), err_msg=f"{target}")
        np.testing.assert_allclose(grad, logits.grad.numpy(), atol=1e-15, err_msg=f"{target}")


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", [(6, 3), (4, 3, 5), (2, 3, 4, 5), (0, 3)])
def test_batch_norm_is_pytorchs(shape, training):
    torch = pytest.importorskip("torch")
    x, grad = RNG.normal(2, 3, size=(2, *shape))
    weight, bias, mean = RNG.normal(size=(3, 3))
    var = RNG.uniform(0.5, 2, 3)
    tensors = [torch.tensor(v, requires_grad=True) for v in (x, weight, bias)]
    running = torch.tensor(mean), torch.tensor(var)
    want = torch.nn.functional.batch_norm(tensors[0], *running, *tensors[1:], training, 0.2, 1e-3)
    want.backward(torch.tensor(grad))
    y, batch_mean, inv_std = reference.batch_norm(x, weight, bias, mean, var, training=training, momentum=0.2, eps=1e-3)
    got = reference.batch_norm_backward(grad, x, weight, batch_mean, inv_std, training=training)
    np.testing.assert_allclose(y, want.detach().numpy(), rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(mean, running[0].numpy(), rtol=1e-12)
    np.testing.assert_allclose(var, running[1].numpy(), rtol=1e-12)
    if x.size:
        for g, t in zip(got, tensors, strict=True):
            np.testing.assert_allclose(g, t.grad.numpy(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("groups", [1, 3, None])
def test_group_norm_is_pytorchs(groups):
    torch = pytest.importorskip("torch")
    x, grad = RNG.normal(2, 3, size=(2, 4, 6, 5))
    weight, bias = RNG.normal(size=(2, 6))
    tensors = [torch.tensor(v, requires_grad=True) for v in (x, weight, bias)]
    if groups is None:
        want = torch.nn.functional.instance_norm(tensors[0], None, None, *tensors[1:], True, 0.1, 1e-3)
        y, mean, inv_std = reference.instance_norm(x, weight, bias, eps=1e-3)
    else:
        want = torch.nn.functional.group_norm(tensors[0], groups, *tensors[1:], 1e-3)
        y, mean, inv_std = reference.group_norm(x, groups, weight, bias, eps=1e-3)
    want.backward(torch.tensor(grad))
    got = reference.group_norm_backward(grad, x, groups or 6, weight, mean, inv_std)
    np.testing.assert_allclose(y, want.detach().numpy(), rtol=1e-11, atol=1e-12)
    for g, t in zip(got, tensors, strict=True):
        np.testing.assert_allclose(g, t.grad.numpy(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    "options",
    [
        {}, {"weight_decay": 0.1, "maximize": True}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True},
        {"momentum": 0.8, "dampening": 0.3, "weight_decay": 0.1, "maximize": True},
    ],
)  # fmt: skip
def test_sgd_is_pytorchs(options):
    torch = pytest.importorskip("torch")
    parameter = torch.nn.Parameter(torch.tensor(RNG.normal(size=5)))
    optimizer = torch.optim.SGD([parameter], lr=0.1, **options)
    velocity, p = np.zeros(5), None
    for _ in range(4):
        grad = RNG.normal(size=5)
        parameter.grad = torch.tensor(grad)
        optimizer.step()
        if p is None:  # PyTorch's first step is not damped: start from its state after it
            p = parameter.detach().numpy().copy()
            state = optimizer.state[parameter].get("momentum_buffer", velocity)
            velocity = torch.as_tensor(state).numpy().copy()
            continue
        reference.sgd_step([p], [grad], [velocity], lr=0.1, **options)
        np.testing.assert_allclose(p, parameter.detach().numpy(), rtol=1e-13)


# --- random numbers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "counter, key, words",
    [
        ([0] * 4, [0] * 2, "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        (
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
            [0xA4093822, 0x299F31D0],
            "d16cfe09 94fdcceb 5001e420 24126ea1",
        ),
    ],
)
def test_philox_known_answers(counter, key, words):
    """The vectors of Random123's kat_vectors, philox4x32 with 10 rounds."""
    assert " ".join(f"{word:08x}" for word in philox4x32(counter, key)) == words


def test_dropout_mask_by_hand():
    """Draws 0..3 for seed 0 are the first known answer; offset shifts the stream; it wraps at 2^64."""
    words = np.array([0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8])
    for p in (0.0, 0.3, 0.5, 0x9B00DBD8 / 2**32, 0.75, 1.0):
        np.testing.assert_array_equal(reference.dropout_mask(4, p, seed=0), words >= p * 2**32)
    whole = reference.dropout_mask(40, seed=7)
    np.testing.assert_array_equal(reference.dropout_mask((5, 5), seed=7, offset=3).ravel(), whole[3:28])
    np.testing.assert_array_equal(reference.dropout_mask(8, seed=7, offset=2**64 - 3)[3:], whole[:5])


def test_dropout_is_a_choice():
    x = np.array([np.nan, np.inf, -np.inf, 1.0] * 8)
    mask = reference.dropout_mask(32, 0.5, seed=1)
    y = reference.dropout(x, 0.5, seed=1)
    np.testing.assert_array_equal(y, np.where(mask, 2 * x, 0))
    assert not np.signbit(y[~mask]).any()
    np.testing.assert_array_equal(reference.dropout(x, 1, seed=1), np.zeros(32))


# --- accuracy ------------------------------------------------------------------------------------------------


def test_log_sum_keeps_small_terms():
    x = np.array([0.0, -40.0])
    assert reference.logsumexp(x) == np.exp(-40.0)
    np.testing.assert_allclose(reference.log_softmax(x), [-np.exp(-40.0), -40.0], rtol=1e-15)


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp", *sorted({*_ACTIVATIONS} - {"gelu_tanh"})])
def test_dtypes(name):
    function = getattr(reference, name)
    for given, wanted in [("f4", "f4"), ("f8", "f8"), (">f8", "=f8"), ("i8", "f4"), ("?", "f4")]:
        assert function(np.ones(3, given)).dtype == np.dtype(wanted)
    for wrong in ("f2", "c8", "U1", "O", "M8[s]"):
        with pytest.raises(TypeError, match="x must be"):
            function(np.zeros(3, wrong))
