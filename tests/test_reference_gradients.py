"""Gradients of the reference against finite differences."""

import numpy as np
import pytest

from fastml import reference

from .gradients import assert_gradient, assert_gradients

RNG = np.random.default_rng(2024)


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


def classes(kind, **options):
    """Logits along axis 1, a target of this kind, and the options with weights and the label to ignore."""
    x = RNG.normal(size=(4, 3, 2))
    options["weight"] = RNG.uniform(0.5, 2, 3)
    target = RNG.integers(0, 3, (4, 2))
    if kind == "ignored":
        options["ignore_index"] = int(target[0, 0])
    if kind == "probabilities":
        target = reference.softmax(RNG.normal(size=x.shape), 1)
    return x, target, options


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("kind", ["labels", "ignored", "probabilities"])
def test_cross_entropy_gradient(kind, smoothing, reduction):
    x, target, options = classes(kind, label_smoothing=smoothing, reduction=reduction)
    loss, got = reference.cross_entropy_with_grad(x, target, 1, **options)
    np.testing.assert_array_equal(loss, reference.cross_entropy(x, target, 1, **options))
    assert_gradient(got, lambda x: reference.cross_entropy(x, target, 1, **options).sum(), x)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("kind", ["labels", "ignored", "probabilities"])
def test_z_loss_gradient(kind, reduction):
    x, target, options = classes(kind, label_smoothing=0.1, reduction=reduction, z_loss=0.3)
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
    logits, target, options = classes(kind, label_smoothing=smoothing, reduction=reduction)
    x = reference.log_softmax(logits, 1)
    loss, got = reference.nll_loss_with_grad(x, target, 1, **options)
    np.testing.assert_array_equal(loss, reference.nll_loss(x, target, 1, **options))
    np.testing.assert_allclose(loss, reference.cross_entropy(logits, target, 1, **options))
    assert_gradient(got, lambda x: reference.nll_loss(x, target, 1, **options).sum(), x)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize(
    "name, options", [("mse_loss", {}), ("l1_loss", {}), ("huber_loss", {"delta": 0.6}), ("log_cosh_loss", {})]
)
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
    assert_gradients((dx, dweight, dbias), value, {"x": x, "weight": weight, "bias": bias})


def test_dropout_backward():
    x, grad = RNG.normal(size=(3, 7)), RNG.normal(size=(3, 7))
    got = reference.dropout_backward(grad, 0.4, seed=3, offset=9)
    assert_gradient(got, lambda x: (grad * reference.dropout(x, 0.4, seed=3, offset=9)).sum(), x)


def test_linear_backward():
    x, weight, bias = RNG.normal(size=(2, 3, 4)), RNG.normal(size=(5, 4)), RNG.normal(size=5)
    grad = RNG.normal(size=(2, 3, 5))
    got = reference.linear_backward(grad, x, weight)
    args = {"x": x, "weight": weight, "bias": bias}
    assert_gradients(got, lambda **args: (grad * reference.linear(**args)).sum(), args)


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
    assert_gradients(got, loss, {"x": x, "weight": weight, "bias": bias})


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
        ("hard_swish", {}),
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
    assert_gradients((dx, dweight, dbias), value, {"x": x, "weight": weight, "bias": bias})


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
    assert_gradients((dx, dweight, dbias), value, {"x": x, "weight": weight, "bias": bias})


def test_instance_norm_backward():
    rng = np.random.default_rng(14)
    x, grad = rng.normal(size=(2, 2, 3, 2, 4))
    weight, bias = rng.normal(size=(2, 3))

    def value(x, weight, bias):
        return (grad * reference.instance_norm(x, weight, bias)[0]).sum()

    _, mean, inv_std = reference.instance_norm(x, weight, bias)
    dx, dweight, dbias = reference.instance_norm_backward(grad, x, weight, mean, inv_std)
    assert_gradients((dx, dweight, dbias), value, {"x": x, "weight": weight, "bias": bias})


@pytest.mark.parametrize("axis", [-1, 1, 0, (-1,), (1, 2), (-3, -2, -1)])
def test_rms_norm_backward(axis):
    rng = np.random.default_rng(13)
    x, grad = rng.normal(size=(2, 4, 3, 5))
    weight = rng.normal(size=[x.shape[a] for a in (axis if isinstance(axis, tuple) else (axis,))])

    def value(x, weight):
        return (grad * reference.rms_norm(x, weight, axis=axis)[0]).sum()

    _, inv_rms = reference.rms_norm(x, weight, axis=axis)
    dx, dweight = reference.rms_norm_backward(grad, x, weight, inv_rms, axis=axis)
    assert_gradients((dx, dweight), value, {"x": x, "weight": weight})
