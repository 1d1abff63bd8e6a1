"""Optimizers that count steps: PyTorch's steps, saved and continued, states exchanged with it, what is refused."""

import copy

import numpy as np
import pytest

from fastml import nn, optim

from .common import copies_by
from .kinds import OPTIMIZER_CLASSES, of_torch
from .test_optim import arrays

CASES = [
    *(
        (kind, options)
        for kind in (optim.Adam, optim.AdamW)
        for options in (
            {},
            {"lr": 0.1, "weight_decay": 0.1, "maximize": True},
            {"lr": 0.05, "betas": (0.0, 0.5), "eps": 1e-3},
            {"lr": 0.05, "betas": (0.5, 0.6), "amsgrad": True, "weight_decay": 0.1},
        )
    ),
    (optim.Lion, {}),
    (optim.Lion, {"lr": 0.01, "betas": (0.5, 0.6), "weight_decay": 0.1, "maximize": True}),
    (optim.RMSprop, {}),
    (optim.RMSprop, {"lr": 0.05, "alpha": 0.8, "weight_decay": 0.1, "maximize": True, "eps": 1e-3}),
    (optim.RMSprop, {"lr": 0.01, "alpha": 0.9, "momentum": 0.9, "centered": True, "eps": 1e-2}),
    (optim.Adagrad, {}),
    (optim.Adagrad, {"lr": 0.1, "lr_decay": 0.1, "initial_accumulator_value": 0.5}),
    (optim.Adagrad, {"lr": 0.1, "weight_decay": 0.1, "maximize": True, "eps": 1e-3}),
]
every_case = pytest.mark.parametrize(("kind", "options"), CASES)
every_kind = pytest.mark.parametrize("kind", [kind for kind in OPTIMIZER_CLASSES if kind is not optim.SGD])


@every_case
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_many_steps_equal_pytorchs(kind, options, dtype):
    theirs_of, torch = of_torch(kind.__name__, "optim"), pytest.importorskip("torch")
    params = arrays(0, dtype)
    theirs = [torch.nn.Parameter(torch.from_numpy(p.copy())) for p in params]
    opt, torch_opt = kind(params, **options), theirs_of(theirs, **options)
    for step in range(30):
        # The second parameter has no gradient for a while: its steps are counted on their own.
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
    for i, state in opt.state_dict()["state"].items():
        for name, value in torch_opt.state_dict()["state"][i].items():
            np.testing.assert_allclose(state[name], value.numpy(), rtol=tolerance, atol=tolerance)


@every_case
def test_state_exchange_with_pytorch(kind, options):
    theirs_of, torch = of_torch(kind.__name__, "optim"), pytest.importorskip("torch")
    params = arrays(0)
    theirs = [torch.nn.Parameter(torch.from_numpy(p.copy())) for p in params]
    torch_opt = theirs_of(theirs, **options)
    for seed in (1, 2):
        for t, g in zip(theirs, arrays(seed), strict=True):
            t.grad = torch.from_numpy(g)
        torch_opt.step()
    params = [t.detach().numpy().copy() for t in theirs]
    opt = kind(params)
    opt.load_state_dict(torch_opt.state_dict())
    torch_opt.step()
    opt.step(arrays(2))
    for p, t in zip(params, theirs, strict=True):
        np.testing.assert_allclose(p, t.detach().numpy(), rtol=1e-12)

    state = opt.state_dict()  # and back
    for entry in state["state"].values():
        entry |= {name: torch.from_numpy(array) for name, array in entry.items() if name != "step"}
    torch_opt = theirs_of(theirs, lr=7.0)
    torch_opt.load_state_dict(state)
    torch_opt.step()
    opt.step(arrays(2))
    for p, t in zip(params, theirs, strict=True):
        np.testing.assert_allclose(p, t.detach().numpy(), rtol=1e-12)


@every_kind
def test_parameters_and_arrays_take_the_same_steps(kind):
    plain = arrays(0, np.float32)
    params = [nn.Parameter(p.copy()) for p in plain]
    for p, g in zip(params, arrays(1, np.float32), strict=True):
        p.grad = g
    a, b = kind(plain, 0.1), kind(iter(params), 0.1)
    for _ in range(3):
        a.step(arrays(1, np.float32))
        b.step()
    for x, p in zip(plain, params, strict=True):
        np.testing.assert_array_equal(x, p.value)


@every_case
@pytest.mark.parametrize("way", ["state", "pickle", "deepcopy"])
def test_a_saved_optimizer_continues_with_the_same_bits(kind, options, way):
    def run(opt, params, steps):
        for step in steps:
            grads = arrays(step, np.float32)
            opt.step([None if step == 2 else grads[0], *grads[1:]])
        return params

    whole = arrays(0, np.float32)
    run(kind(whole, **options), whole, range(1, 9))
    params = arrays(0, np.float32)
    opt = kind(params, **options)
    run(opt, params, range(1, 4))
    if way == "state":
        state = opt.state_dict()
        run(opt, [p.copy() for p in params], range(50, 52))  # the state is a snapshot
        params = run(kind(again := arrays(0, np.float32), **options), again, range(1, 4))
        opt = kind(params, lr=7.0)
        opt.load_state_dict(state)
    else:
        opt, params = copies_by(way, (opt, params))
    run(opt, params, range(4, 9))
    for p, want in zip(params, whole, strict=True):
        np.testing.assert_array_equal(p, want)


@every_case
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_compiled_step_gives_the_same_bits(kind, options, dtype):
    """Compiled and explicit steps, also in turn, with a parameter that has missed one."""

    def make():
        first, second = nn.Linear(5, 33, seed=0, dtype=dtype), nn.Linear(33, 3, seed=1, dtype=dtype)
        model = nn.Sequential(first, nn.ReLU(), second)
        return model, nn.CrossEntropyLoss(), kind(model.parameters(), **options)

    def explicit(model, loss_fn, opt, x, y, missing):
        _, grad = loss_fn(model(x), y)
        model.backward(grad)
        opt.step([None if missing and i == 1 else p.grad for i, p in enumerate(model.parameters())])

    (ours, theirs), step = (make(), make()), None
    for k in range(9):
        rng = np.random.default_rng(k)
        x, y = rng.standard_normal((16, 5)).astype(dtype), rng.integers(0, 3, 16)
        explicit(*theirs, x, y, missing=k == 4)
        if k in (4, 6):
            explicit(*ours, x, y, missing=k == 4)
        else:
            step = step or nn.compile_step(*ours)
            step(x, y)
        for p, want in zip(ours[0].parameters(), theirs[0].parameters(), strict=True):
            np.testing.assert_array_equal(p.value, want.value)
    np.testing.assert_equal(ours[2].state_dict(), theirs[2].state_dict())


@every_kind
@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"lr": -1}, ValueError, "lr"),
        ({"lr": "fast"}, TypeError, "lr"),
        ({"weight_decay": -0.1}, ValueError, "weight_decay"),
    ],
)
def test_options_refused(kind, options, error, text):
    with pytest.raises(error, match=text):
        kind([np.zeros(2)], **options)


@pytest.mark.parametrize(
    ("kind", "options", "error", "text"),
    [
        (optim.Adam, {"betas": (0.9, 1.0)}, ValueError, "betas"),
        (optim.AdamW, {"betas": 0.9}, TypeError, "betas"),
        (optim.Lion, {"betas": (0.9,)}, ValueError, "betas"),
        (optim.AdamW, {"eps": -1e-8}, ValueError, "eps"),
        (optim.RMSprop, {"eps": -1e-8}, ValueError, "eps"),
        (optim.Adagrad, {"eps": -1e-8}, ValueError, "eps"),
        (optim.RMSprop, {"alpha": 1.1}, ValueError, "alpha"),
        (optim.RMSprop, {"momentum": -1}, ValueError, "momentum"),
        (optim.Adagrad, {"lr_decay": -1}, ValueError, "lr_decay"),
        (optim.Adagrad, {"initial_accumulator_value": -1}, ValueError, "initial_accumulator_value"),
    ],
)
def test_own_options_refused(kind, options, error, text):
    with pytest.raises(error, match=text):
        kind([np.zeros(2)], **options)


@pytest.mark.parametrize(
    ("kind", "options"),
    [(optim.Adam, {"amsgrad": True}), (optim.RMSprop, {"centered": True}), (optim.RMSprop, {"momentum": 0.9})],
)
def test_what_an_option_keeps_may_begin_later(kind, options):
    """In explicit and in compiled steps, from zeros."""
    results = []
    for compiled in (False, True):
        model = nn.Sequential(nn.Linear(4, 3, seed=0))
        opt = kind(model.parameters())
        step = nn.compile_step(model, nn.CrossEntropyLoss(), opt)
        x, y = np.eye(4, dtype=np.float32), np.array([0, 1, 2, 0])
        for k in range(6):
            if k == 2:
                for name, value in options.items():
                    setattr(opt, name, value)
            if compiled:
                step(x, y)
            else:
                model.backward(nn.CrossEntropyLoss()(model(x), y)[1])
                opt.step()
        results.append((model.state_dict(), opt.state_dict()))
    np.testing.assert_equal(*results)


@every_kind
@pytest.mark.parametrize(
    ("grads", "error"),
    [
        (None, TypeError),
        ([np.ones(2)], ValueError),
        ([None, None, None], ValueError),
        ([np.ones(2), None, np.ones(4)], ValueError),
        ([np.ones(2), None, np.ones(3) * 1j], TypeError),
        ([np.ones(2), np.ones(3), np.ones(4)], ValueError),
    ],
)
@pytest.mark.parametrize("uneven", [False, True])
def test_a_refused_step_changes_nothing(kind, grads, error, uneven):
    params = [np.zeros(2), np.zeros(3), np.zeros(3)]
    opt = kind(params, lr=0.1)
    for _ in range(2):
        before = copy.deepcopy((params, opt.state_dict()))
        with pytest.raises(error):
            opt.step(grads)
        np.testing.assert_equal((params, opt.state_dict()), before)
        opt.step([None if uneven else np.ones(2), np.ones(3), np.ones(3)])


@pytest.mark.parametrize("other", OPTIMIZER_CLASSES)
@every_kind
def test_state_of_another_kind_refused(kind, other):
    """Also where that has all that this one needs, as Adam has what Lion needs."""
    saved = other([np.ones(3)], lr=0.5)
    saved.step([np.ones(3)])
    loaded = kind([np.ones(3)], lr=0.25)
    if kind is other:
        loaded.load_state_dict(saved.state_dict())
        assert loaded.lr == 0.5
        return
    with pytest.raises(ValueError, match="state"):
        loaded.load_state_dict(saved.state_dict())
    assert loaded.lr == 0.25


def test_state_refused():
    params = [np.zeros(2), np.zeros(3)]
    opt = optim.Adam(params, lr=0.1)
    opt.step([np.ones(2), np.ones(3)])
    before = opt.state_dict()

    def wrong(change):
        state = copy.deepcopy(before)
        change(state["state"], state["param_groups"][0])
        return state

    for state, text in [
        ({}, "param_groups"),
        (optim.Adam([np.zeros(2)]).state_dict(), "state must have 2 parameters, .* not 1"),
        (optim.AdamW([np.zeros(2), np.zeros(3)]).state_dict(), "decoupled_weight_decay"),
        (wrong(lambda s, g: g.update(amsgrad=True)), "max_exp_avg_sq"),
        (wrong(lambda s, g: g.update(lr=-1)), "lr"),
        (wrong(lambda s, g: s.update({7: s[0]})), "7"),
        (wrong(lambda s, g: s[1].update(exp_avg_sq=np.ones(4))), r"\(4,\)"),
        (wrong(lambda s, g: s[1].pop("exp_avg")), "exp_avg"),
        (wrong(lambda s, g: s[1].update(step=-1)), "step"),
    ]:
        with pytest.raises(ValueError, match=text):
            opt.load_state_dict(state)
        np.testing.assert_equal(opt.state_dict(), before)


def test_repr():
    assert repr(optim.AdamW([np.zeros(2)])).startswith("AdamW(1 parameters, lr=0.001, betas=(0.9, 0.999)")
