"""The reference itself: gradients against finite differences, formulas against PyTorch, published vectors."""

import itertools

import numpy as np
import pytest

from fastml import reference
from fastml.reference.dropout import philox4x32

RNG = np.random.default_rng(2024)


def numerical_gradient(function, x, step=1e-5):
    """Central differences of a scalar function at x, accurate to about step^2 + 1e-16 / step."""
    gradient = np.empty_like(x)
    for i in np.ndindex(x.shape):
        high, low = x.copy(), x.copy()
        high[i] += step
        low[i] -= step
        gradient[i] = (function(high) - function(low)) / (2 * step)
    return gradient


def assert_gradient(got, function, x):
    np.testing.assert_allclose(got, numerical_gradient(function, x), rtol=1e-6, atol=1e-8)


# --- gradients -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [-1, 0, 1])
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax_backward(name, axis):
    forward, backward = getattr(reference, name), getattr(reference, f"{name}_backward")
    x, grad = RNG.normal(size=(2, 2, 3, 4))
    got = backward(grad, forward(x, axis), axis)
    assert_gradient(got, lambda x: (grad * forward(x, axis)).sum(), x)


def test_logsumexp_has_softmax_as_gradient():
    x = RNG.normal(size=(3, 4))
    assert_gradient(reference.softmax(x), lambda x: reference.logsumexp(x).sum(), x)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("kind", ["labels", "ignored", "probabilities"])
def test_cross_entropy_gradient(kind, smoothing, reduction):
    x = RNG.normal(size=(4, 3, 2))
    options = {"weight": RNG.uniform(0.5, 2, 3), "label_smoothing": smoothing, "reduction": reduction}
    target = RNG.integers(0, 3, (4, 2))
    if kind == "ignored":
        options["ignore_index"] = int(target[0, 0])
    if kind == "probabilities":
        target = reference.softmax(RNG.normal(size=x.shape), 1)
    loss, got = reference.cross_entropy_with_grad(x, target, 1, **options)
    np.testing.assert_array_equal(loss, reference.cross_entropy(x, target, 1, **options))
    assert_gradient(got, lambda x: reference.cross_entropy(x, target, 1, **options).sum(), x)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("kind", ["labels", "ignored", "probabilities"])
def test_z_loss_gradient(kind, reduction):
    x = RNG.normal(size=(4, 3, 2))
    options = {"weight": RNG.uniform(0.5, 2, 3), "label_smoothing": 0.1, "reduction": reduction, "z_loss": 0.3}
    target = RNG.integers(0, 3, (4, 2))
    if kind == "ignored":
        options["ignore_index"] = int(target[0, 0])
    if kind == "probabilities":
        target = reference.softmax(RNG.normal(size=x.shape), 1)
    _, got = reference.cross_entropy_with_grad(x, target, 1, **options)
    assert_gradient(got, lambda x: reference.cross_entropy(x, target, 1, **options).sum(), x)


def test_z_loss_is_the_mean_of_the_squared_log_sum_exp():
    x, target = RNG.normal(size=(6, 4)), RNG.integers(0, 4, 6)
    lse = reference.logsumexp(x)
    got = reference.cross_entropy(x, target, z_loss=0.1) - reference.cross_entropy(x, target)
    np.testing.assert_allclose(got, 0.1 * np.mean(lse**2))
    weight = RNG.uniform(0.5, 2, 4)
    got = reference.cross_entropy(x, target, z_loss=0.1, weight=weight)
    want = reference.cross_entropy(x, target, weight=weight) + 0.1 * np.average(lse**2, weights=weight[target])
    np.testing.assert_allclose(got, want)
    soft = reference.softmax(RNG.normal(size=x.shape))
    got = reference.cross_entropy(x, soft, z_loss=0.1, weight=weight, reduction="sum")
    np.testing.assert_allclose(
        got, reference.cross_entropy(x, soft, weight=weight, reduction="sum") + 0.1 * np.sum(lse**2)
    )


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("kind", ["labels", "ignored", "probabilities"])
def test_nll_loss_gradient(kind, smoothing, reduction):
    """Also: log_softmax and nll_loss in a row are the cross-entropy."""
    logits = RNG.normal(size=(4, 3, 2))
    options = {"weight": RNG.uniform(0.5, 2, 3), "label_smoothing": smoothing, "reduction": reduction}
    target = RNG.integers(0, 3, (4, 2))
    if kind == "ignored":
        options["ignore_index"] = int(target[0, 0])
    if kind == "probabilities":
        target = reference.softmax(RNG.normal(size=logits.shape), 1)
    x = reference.log_softmax(logits, 1)
    loss, got = reference.nll_loss_with_grad(x, target, 1, **options)
    np.testing.assert_array_equal(loss, reference.nll_loss(x, target, 1, **options))
    np.testing.assert_allclose(loss, reference.cross_entropy(logits, target, 1, **options))
    assert_gradient(got, lambda x: reference.nll_loss(x, target, 1, **options).sum(), x)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name, options", [("mse_loss", {}), ("l1_loss", {}), ("huber_loss", {"delta": 0.6})])
def test_gradients_of_losses_of_differences(name, options, reduction):
    x, target = RNG.normal(size=(2, 4, 3))
    function = getattr(reference, name)
    loss, got = getattr(reference, f"{name}_with_grad")(x, target, **options, reduction=reduction)
    np.testing.assert_array_equal(loss, function(x, target, **options, reduction=reduction))
    assert_gradient(got, lambda x: function(x, target, **options, reduction=reduction).sum(), x)


@pytest.mark.parametrize("reduction", ["batchmean", "mean", "sum", "none"])
@pytest.mark.parametrize("log_target", [False, True])
def test_kl_div_loss_gradient(log_target, reduction):
    x, target = reference.log_softmax(RNG.normal(size=(2, 4, 3)))
    options = {"log_target": log_target, "reduction": reduction}
    target = target if log_target else np.exp(target)
    loss, got = reference.kl_div_loss_with_grad(x, target, **options)
    np.testing.assert_array_equal(loss, reference.kl_div_loss(x, target, **options))
    assert_gradient(got, lambda x: reference.kl_div_loss(x, target, **options).sum(), x)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("weighted", [False, True])
def test_binary_cross_entropy_gradient(weighted, reduction):
    x, target = 3 * RNG.normal(size=(4, 3)), RNG.uniform(0, 1, (4, 3))
    target[0] = [0, 1, 0]
    options = {"reduction": reduction}
    if weighted:
        options |= {"weight": RNG.uniform(0.5, 2, (4, 1)), "pos_weight": RNG.uniform(0.5, 2, 3)}
    function = reference.binary_cross_entropy_with_logits
    loss, got = reference.binary_cross_entropy_with_logits_with_grad(x, target, **options)
    np.testing.assert_array_equal(loss, function(x, target, **options))
    assert_gradient(got, lambda x: function(x, target, **options).sum(), x)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape, axis", [((6, 3), 1), ((3, 2, 4), 1), ((4, 2, 3), -1)])
def test_batch_norm_backward(shape, axis, training):
    channels = shape[axis]
    x, grad = RNG.normal(size=shape), RNG.normal(size=shape)
    weight, bias = RNG.normal(size=(2, channels))
    running = np.zeros(channels), np.ones(channels)

    def value(x, weight, bias):
        statistics = [s.copy() for s in running]
        y, *_ = reference.batch_norm(x, weight, bias, *statistics, training=training, channel_axis=axis)
        return (grad * y).sum()

    statistics = [s.copy() for s in running]
    _, mean, inv_std = reference.batch_norm(x, weight, bias, *statistics, training=training, channel_axis=axis)
    dx, dweight, dbias = reference.batch_norm_backward(
        grad, x, weight, mean, inv_std, training=training, channel_axis=axis
    )
    assert_gradient(dx, lambda x: value(x, weight, bias), x)
    assert_gradient(dweight, lambda weight: value(x, weight, bias), weight)
    assert_gradient(dbias, lambda bias: value(x, weight, bias), bias)


def test_dropout_backward():
    x, grad = RNG.normal(size=(3, 7)), RNG.normal(size=(3, 7))
    got = reference.dropout_backward(grad, 0.4, seed=3, offset=9)
    assert_gradient(got, lambda x: (grad * reference.dropout(x, 0.4, seed=3, offset=9)).sum(), x)


def test_linear_backward():
    x, weight, bias = RNG.normal(size=(2, 3, 4)), RNG.normal(size=(5, 4)), RNG.normal(size=5)
    grad = RNG.normal(size=(2, 3, 5))
    dx, dweight, dbias = reference.linear_backward(grad, x, weight)
    assert_gradient(dx, lambda x: (grad * reference.linear(x, weight, bias)).sum(), x)
    assert_gradient(dweight, lambda weight: (grad * reference.linear(x, weight, bias)).sum(), weight)
    assert_gradient(dbias, lambda bias: (grad * reference.linear(x, weight, bias)).sum(), bias)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("kind", ["labels", "ignored", "probabilities"])
def test_linear_cross_entropy_gradients(kind, reduction):
    x, weight, bias = RNG.normal(size=(2, 3, 4)), RNG.normal(size=(5, 4)), RNG.normal(size=5)
    target = RNG.integers(0, 5, (2, 3))
    options = {"class_weight": RNG.uniform(0.5, 2, 5), "label_smoothing": 0.1, "reduction": reduction}
    if kind == "ignored":
        options["ignore_index"] = int(target[0, 0])
    if kind == "probabilities":
        target = reference.softmax(RNG.normal(size=(2, 3, 5)))

    def loss(x, weight, bias):
        return reference.linear_cross_entropy_with_grad(x, weight, target, bias=bias, **options)[0].sum()

    _, *got = reference.linear_cross_entropy_with_grad(x, weight, target, bias=bias, **options)
    assert_gradient(got[0], lambda x: loss(x, weight, bias), x)
    assert_gradient(got[1], lambda weight: loss(x, weight, bias), weight)
    assert_gradient(got[2], lambda bias: loss(x, weight, bias), bias)


def test_relu_backward():
    x, grad = RNG.normal(size=(4, 5)), RNG.normal(size=(4, 5))
    assert_gradient(reference.relu_backward(grad, x), lambda x: (grad * reference.relu(x)).sum(), x)
    np.testing.assert_array_equal(reference.relu_backward(np.ones(3), [0.0, -0.0, np.nan]), [0, 0, 1])


@pytest.mark.parametrize("approximate", ["none", "tanh"])
def test_gelu_backward(approximate):
    rng = np.random.default_rng(11)
    x, grad = 3 * rng.normal(size=(4, 9)), rng.normal(size=(4, 9))
    got = reference.gelu_backward(grad, x, approximate=approximate)
    assert_gradient(got, lambda x: (grad * reference.gelu(x, approximate=approximate)).sum(), x)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("silu", {}),
        ("sigmoid", {}),
        ("tanh", {}),
        ("softplus", {}),
        ("softplus", {"beta": 2.5, "threshold": 4.0}),
        ("elu", {}),
        ("elu", {"alpha": 0.3}),
        ("leaky_relu", {"negative_slope": 0.2}),
    ],
)
def test_activation_backward(name, options):
    rng = np.random.default_rng(13)
    x, grad = 3 * rng.normal(size=(4, 9)), rng.normal(size=(4, 9))
    forward, backward = getattr(reference, name), getattr(reference, f"{name}_backward")
    assert_gradient(backward(grad, x, **options), lambda x: (grad * forward(x, **options)).sum(), x)


@pytest.mark.parametrize("axis", [-1, 1, 0, (-1,), (1, 2), (-3, -2, -1)])
def test_layer_norm_backward(axis):
    rng = np.random.default_rng(12)
    x, grad = rng.normal(size=(2, 4, 3, 5))
    axes = axis if isinstance(axis, tuple) else (axis,)
    weight, bias = rng.normal(size=(2, *(x.shape[a] for a in axes)))

    def value(x, weight, bias):
        return (grad * reference.layer_norm(x, weight, bias, axis=axis)[0]).sum()

    _, mean, inv_std = reference.layer_norm(x, weight, bias, axis=axis)
    dx, dweight, dbias = reference.layer_norm_backward(grad, x, weight, mean, inv_std, axis=axis)
    assert_gradient(dx, lambda x: value(x, weight, bias), x)
    assert_gradient(dweight, lambda weight: value(x, weight, bias), weight)
    assert_gradient(dbias, lambda bias: value(x, weight, bias), bias)


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("places", [(), (3,), (2, 2)])
def test_group_norm_backward(places, groups):
    rng = np.random.default_rng(13)
    x, grad = rng.normal(size=(2, 3, 8, *places))
    weight, bias = rng.normal(size=(2, 8))

    def value(x, weight, bias):
        return (grad * reference.group_norm(x, groups, weight, bias)[0]).sum()

    _, mean, inv_std = reference.group_norm(x, groups, weight, bias)
    dx, dweight, dbias = reference.group_norm_backward(grad, x, groups, weight, mean, inv_std)
    assert_gradient(dx, lambda x: value(x, weight, bias), x)
    assert_gradient(dweight, lambda weight: value(x, weight, bias), weight)
    assert_gradient(dbias, lambda bias: value(x, weight, bias), bias)


def test_instance_norm_backward():
    rng = np.random.default_rng(14)
    x, grad = rng.normal(size=(2, 2, 3, 2, 4))
    weight, bias = rng.normal(size=(2, 3))

    def value(x, weight, bias):
        return (grad * reference.instance_norm(x, weight, bias)[0]).sum()

    _, mean, inv_std = reference.instance_norm(x, weight, bias)
    dx, dweight, dbias = reference.instance_norm_backward(grad, x, weight, mean, inv_std)
    assert_gradient(dx, lambda x: value(x, weight, bias), x)
    assert_gradient(dweight, lambda weight: value(x, weight, bias), weight)
    assert_gradient(dbias, lambda bias: value(x, weight, bias), bias)


@pytest.mark.parametrize("axis", [-1, 1, 0, (-1,), (1, 2), (-3, -2, -1)])
def test_rms_norm_backward(axis):
    rng = np.random.default_rng(13)
    x, grad = rng.normal(size=(2, 4, 3, 5))
    weight = rng.normal(size=[x.shape[a] for a in (axis if isinstance(axis, tuple) else (axis,))])

    def value(x, weight):
        return (grad * reference.rms_norm(x, weight, axis=axis)[0]).sum()

    _, inv_rms = reference.rms_norm(x, weight, axis=axis)
    dx, dweight = reference.rms_norm_backward(grad, x, weight, inv_rms, axis=axis)
    assert_gradient(dx, lambda x: value(x, weight), x)
    assert_gradient(dweight, lambda weight: value(x, weight), weight)


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


@pytest.mark.parametrize(
    "name",
    ["softmax", "log_softmax", "logsumexp", "relu", "gelu", "silu", "sigmoid", "tanh", "softplus", "elu", "leaky_relu"],
)
def test_dtypes(name):
    function = getattr(reference, name)
    for given, wanted in [("f4", "f4"), ("f8", "f8"), (">f8", "=f8"), ("i8", "f4"), ("?", "f4")]:
        assert function(np.ones(3, given)).dtype == np.dtype(wanted)
    for wrong in ("f2", "c8", "U1", "O", "M8[s]"):
        with pytest.raises(TypeError, match="x must be"):
            function(np.zeros(3, wrong))
