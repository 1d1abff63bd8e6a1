"""SGD: PyTorch's steps under every option, saved and continued, and what it refuses."""

import copy
import itertools

import numpy as np
import pytest

from fastml import nn, optim

from .common import copies_by

SHAPES = [(3, 4), (5,), (1, 2, 2)]
OPTIONS = [
    {"lr": 0.1},
    {"lr": 0.1, "weight_decay": 0.01, "maximize": True},
    {"lr": 0.05, "momentum": 0.9},
    {"lr": 0.05, "momentum": 0.9, "dampening": 0.3},
    {"lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
    {"lr": 0.05, "momentum": 0.5, "dampening": 0.9, "weight_decay": 0.1, "maximize": True},
]


def arrays(seed, dtype=np.float64):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape).astype(dtype) for shape in SHAPES]


def by_hand(params, grads_by_step, *, lr, momentum=0, dampening=0, weight_decay=0, nesterov=False, maximize=False):
    """The docstring's three lines, step after step."""
    params = [p.copy() for p in params]
    velocities = [None] * len(params)
    for grads in grads_by_step:
        for i, g in enumerate(grads):
            g = (-g if maximize else g) + weight_decay * params[i]
            v = g if velocities[i] is None else momentum * velocities[i] + (1 - dampening) * g
            velocities[i] = v
            params[i] = params[i] - lr * (g + momentum * v if nesterov else v if momentum else g)
    return params


@pytest.mark.parametrize("options", OPTIONS)
def test_steps_by_hand(options):
    params, grads = arrays(0), [arrays(seed) for seed in range(1, 8)]
    expected = by_hand(params, grads, **options)
    opt = optim.SGD(params, **options)
    for g in grads:
        opt.step(g)
    for p, want in zip(params, expected, strict=True):
        np.testing.assert_allclose(p, want, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("nesterov", "maximize"), [*itertools.product([False, True], repeat=2)])
@pytest.mark.parametrize("weight_decay", [0, 0.1])
@pytest.mark.parametrize(("momentum", "dampening"), [(0, 0), (0.9, 0), (0.9, 0.4), (0.5, 1.0)])
def test_many_steps_equal_pytorchs(momentum, dampening, weight_decay, nesterov, maximize, dtype):
    if nesterov and (momentum == 0 or dampening != 0):
        return
    torch = pytest.importorskip("torch")
    options = {
        "lr": 0.03,
        "momentum": momentum,
        "dampening": dampening,
        "weight_decay": weight_decay,
        "nesterov": nesterov,
        "maximize": maximize,
    }
    params = arrays(0, dtype)
    theirs = [torch.nn.Parameter(torch.from_numpy(p.copy())) for p in params]
    opt, torch_opt = optim.SGD(params, **options), torch.optim.SGD(theirs, **options)
    for step in range(30):
        # The second parameter has no gradient for a while: its first step comes later.
        grads = arrays(100 + step, dtype)
        grads[1] = None if step in (0, 1, 5) else grads[1]
        for t, g in zip(theirs, grads, strict=True):
            t.grad = None if g is None else torch.from_numpy(g)
        if step == 20:
            opt.lr = torch_opt.param_groups[0]["lr"] = 0.01
        torch_opt.step()
        opt.step(grads)
    tolerance = 2e-5 if dtype == np.float32 else 1e-12
    for p, t in zip(params, theirs, strict=True):
        np.testing.assert_allclose(p, t.detach().numpy(), rtol=tolerance, atol=tolerance)


def test_state_exchange_with_pytorch():
    torch = pytest.importorskip("torch")
    options = {"lr": 0.1, "momentum": 0.9, "dampening": 0.5}
    params = arrays(0)
    theirs = [torch.nn.Parameter(torch.from_numpy(p.copy())) for p in params]
    torch_opt = torch.optim.SGD(theirs, **options)
    for t, g in zip(theirs, arrays(1), strict=True):
        t.grad = torch.from_numpy(g)
    torch_opt.step()
    params = [t.detach().numpy().copy() for t in theirs]
    opt = optim.SGD(params, lr=1.0)
    opt.load_state_dict(torch_opt.state_dict())
    torch_opt.step()
    opt.step(arrays(1))
    for p, t in zip(params, theirs, strict=True):
        np.testing.assert_allclose(p, t.detach().numpy(), rtol=1e-12)


def test_parameters_and_arrays_take_the_same_steps():
    plain = arrays(0, np.float32)
    params = [nn.Parameter(p.copy()) for p in plain]
    for p, g in zip(params, arrays(1, np.float32), strict=True):
        p.grad = g
    a, b = optim.SGD(plain, 0.1, 0.9), optim.SGD(iter(params), 0.1, 0.9)
    for _ in range(3):
        a.step(arrays(1, np.float32))
        b.step()
    for x, p in zip(plain, params, strict=True):
        np.testing.assert_array_equal(x, p.value)


def test_a_new_value_array_is_seen():
    p = nn.Parameter(np.zeros(3))
    opt = optim.SGD([p], lr=1.0)
    p.value, p.grad = np.ones(3), np.ones(3)
    opt.step()
    assert p.value.tolist() == [0, 0, 0]


def test_momentum_may_be_set_later():
    p = np.zeros(2)
    opt = optim.SGD([p], lr=1.0)
    opt.step([np.ones(2)])
    opt.momentum = 0.5
    opt.step([np.ones(2)])
    opt.step([np.ones(2)])
    assert p.tolist() == [-3.5, -3.5]


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("way", ["state", "pickle", "deepcopy"])
def test_a_saved_optimizer_continues_with_the_same_bits(options, way):
    def run(opt, params, steps):
        for step in steps:
            opt.step(arrays(step, np.float32))
        return params

    whole = arrays(0, np.float32)
    run(optim.SGD(whole, **options), whole, range(1, 9))
    params = arrays(0, np.float32)
    opt = optim.SGD(params, **options)
    run(opt, params, range(1, 4))
    if way == "state":
        state = opt.state_dict()
        run(opt, [p.copy() for p in params], range(50, 52))  # the state is a snapshot
        params = run(optim.SGD(again := arrays(0, np.float32), **options), again, range(1, 4))
        opt = optim.SGD(params, lr=7.0)
        opt.load_state_dict(state)
    else:
        opt, params = copies_by(way, (opt, params))
    run(opt, params, range(4, 9))
    for p, want in zip(params, whole, strict=True):
        np.testing.assert_array_equal(p, want)


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"lr": -1}, ValueError, "lr"),
        ({"lr": float("nan")}, ValueError, "lr"),
        ({"lr": "fast"}, TypeError, "lr"),
        ({"lr": 1, "momentum": -0.1}, ValueError, "momentum"),
        ({"lr": 1, "weight_decay": -0.1}, ValueError, "weight_decay"),
        ({"lr": 1, "nesterov": True}, ValueError, "nesterov"),
        ({"lr": 1, "nesterov": True, "momentum": 0.9, "dampening": 0.1}, ValueError, "nesterov"),
    ],
)
def test_options_refused(options, error, text):
    with pytest.raises(error, match=text):
        optim.SGD([np.zeros(2)], **options)


@pytest.mark.parametrize(
    ("params", "error", "text"),
    [
        ([], ValueError, "at least one parameter"),
        (np.zeros((2, 2)), TypeError, "list"),
        (nn.Parameter(np.zeros(2)), TypeError, "list"),
        ([[1.0, 2.0]], TypeError, r"params\[0\].*list"),
        ([np.zeros(2), np.zeros(2, int)], TypeError, r"params\[1\].*int64"),
        ([np.zeros(2)] * 2, ValueError, "twice"),
        ([np.broadcast_to(0.0, 3)], ValueError, "read-only"),
    ],
)
def test_params_refused(params, error, text):
    with pytest.raises(error, match=text):
        optim.SGD(params, lr=0.1)


@pytest.mark.parametrize("momentum", [0, 0.9])
@pytest.mark.parametrize(
    ("grads", "error"),
    [
        (None, TypeError),
        ([np.ones(2)], ValueError),
        ([None, None], ValueError),
        ([np.ones(2), np.ones(2)], ValueError),
        ([np.ones(2), None, np.ones(3)], ValueError),
    ],
)
def test_a_refused_step_changes_nothing(grads, error, momentum):
    params = [np.zeros(2), np.zeros(3)]
    opt = optim.SGD(params, lr=0.1, momentum=momentum)
    for _ in range(2):
        before = copy.deepcopy((params, opt.state_dict()))
        with pytest.raises(error):
            opt.step(grads)
        np.testing.assert_equal((params, opt.state_dict()), before)
        opt.step([np.ones(2), np.ones(3)])


def test_state_refused():
    params = [np.zeros(2), np.zeros(3)]
    opt = optim.SGD(params, lr=0.1, momentum=0.9)
    opt.step([np.ones(2), np.ones(3)])
    before = opt.state_dict()
    wrong_shape = optim.SGD([np.zeros(2), np.zeros(4)], lr=0.5, momentum=0.9)
    wrong_shape.step([np.ones(2), np.ones(4)])
    wrong_lr = copy.deepcopy(before)
    wrong_lr["param_groups"][0]["lr"] = -1
    wrong_index = copy.deepcopy(before)
    wrong_index["state"][7] = {"momentum_buffer": np.ones(2)}
    for state, text in [
        ({}, "param_groups"),
        (optim.SGD([np.zeros(2)], lr=0.1).state_dict(), "state must have 2 parameters, .* not 1"),
        (wrong_shape.state_dict(), r"\(4,\)"),
        (wrong_lr, "lr"),
        (wrong_index, "7"),
    ]:
        with pytest.raises(ValueError, match=text):
            opt.load_state_dict(state)
        np.testing.assert_equal(opt.state_dict(), before)


def test_repr():
    assert repr(optim.SGD([np.zeros(2)], lr=0.1)).startswith("SGD(1 parameters, lr=0.1, momentum=0.0")
