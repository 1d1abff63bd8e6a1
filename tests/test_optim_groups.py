"""Parameter groups: PyTorch's steps, schedules and states, the compiled step's bits, and what is refused."""

import copy

import numpy as np
import pytest

from fastml import nn, optim

from .common import copies_by
from .kinds import of_torch
from .test_optim import arrays

KINDS = [
    (optim.SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True}, {"lr": 0.02, "momentum": 0.5, "weight_decay": 0.1}),
    (optim.SGD, {"lr": 0.1}, {"momentum": 0.9, "dampening": 0.2, "nesterov": False, "maximize": True}),
    (optim.Adam, {"lr": 0.01}, {"lr": 0.1, "betas": (0.5, 0.8), "amsgrad": True, "weight_decay": 0.1}),
    (optim.AdamW, {"lr": 0.01}, {"weight_decay": 0.0, "eps": 1e-3}),
    (optim.RMSprop, {"lr": 0.01}, {"centered": True, "momentum": 0.9, "alpha": 0.9}),
    (optim.Lion, {"lr": 0.01}, {"betas": (0.5, 0.8), "weight_decay": 0.1}),
    (optim.Adagrad, {"lr": 0.1}, {"lr_decay": 0.1, "weight_decay": 0.1}),
]
every_kind = pytest.mark.parametrize(("kind", "options", "own"), KINDS)


def grouped(params, own):
    return [{"params": params[:1]}, {"params": params[1:], **own}]


@every_kind
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_steps_equal_pytorchs(kind, options, own, dtype):
    theirs_of, torch = of_torch(kind.__name__, "optim"), pytest.importorskip("torch")
    params = arrays(0, dtype)
    theirs = [torch.nn.Parameter(torch.from_numpy(p.copy())) for p in params]
    opt = kind(grouped(params, own), **options)
    torch_opt = theirs_of(grouped(theirs, own), **options)
    schedules = optim.StepLR(opt, 4, 0.5), torch.optim.lr_scheduler.StepLR(torch_opt, 4, 0.5)
    for step in range(15):
        grads = arrays(100 + step, dtype)
        grads[1] = None if step in (0, 5) else grads[1]
        for t, g in zip(theirs, grads, strict=True):
            t.grad = None if g is None else torch.from_numpy(g)
        if step == 6:
            opt.param_groups[1]["weight_decay"] = torch_opt.param_groups[1]["weight_decay"] = 0.2
        torch_opt.step()
        opt.step(grads)
        for schedule in schedules:
            schedule.step()
        assert schedules[0].get_last_lr() == schedules[1].get_last_lr()
    tolerance = 2e-5 if dtype == np.float32 else 1e-12
    for p, t in zip(params, theirs, strict=True):
        np.testing.assert_allclose(p, t.detach().numpy(), rtol=tolerance, atol=tolerance)
    again = kind(grouped(params, {}), lr=7.0)
    again.load_state_dict(torch_opt.state_dict())
    torch_opt.step()
    again.step(grads)
    for p, t in zip(params, theirs, strict=True):
        np.testing.assert_allclose(p, t.detach().numpy(), rtol=tolerance, atol=tolerance)


def make(kind, options, own, dtype):
    model = nn.Sequential(nn.Linear(5, 33, seed=0, dtype=dtype), nn.ReLU(), nn.Linear(33, 3, seed=1, dtype=dtype))
    weights, biases = [layer.weight for layer in model.layers[::2]], [layer.bias for layer in model.layers[::2]]
    return model, nn.CrossEntropyLoss(), kind([{"params": weights}, {"params": biases, **own}], **options)


@every_kind
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_compiled_step_gives_the_same_bits(kind, options, own, dtype):
    (ours, theirs), rng = (make(kind, options, own, dtype), make(kind, options, own, dtype)), np.random.default_rng(3)
    step = nn.compile_step(*ours)
    for k in range(8):
        x, y = rng.standard_normal((7, 5)).astype(dtype), rng.integers(0, 3, 7)
        if k == 3:
            for _, _, opt in (ours, theirs):
                opt.param_groups[0]["lr"] = 0.003
                opt.weight_decay = 0.05
        if k == 5 and kind is optim.Adam:
            for _, _, opt in (ours, theirs):
                opt.param_groups[0]["amsgrad"] = True
        for model, loss_fn, opt in (ours, theirs) if k == 4 else (theirs,):  # one explicit step of both
            _, grad = loss_fn(model(x), y)
            model.backward(grad)
            opt.step()
        if k != 4:
            step(x, y)
        for p, q in zip(ours[0].parameters(), theirs[0].parameters(), strict=True):
            assert p.value.tobytes() == q.value.tobytes(), k
    np.testing.assert_equal(ours[2].state_dict(), theirs[2].state_dict())


def test_an_option_that_is_refused_in_one_group_changes_nothing():
    model, loss_fn, opt = make(optim.SGD, {"lr": 0.1, "momentum": 0.9}, {}, np.float32)
    step, x, y = nn.compile_step(model, loss_fn, opt), np.ones((4, 5), np.float32), np.array([0, 1, 2, 0])
    step(x, y)
    _, grad = loss_fn(model(x), y)
    model.backward(grad)
    before = copy.deepcopy((model.state_dict(), opt.state_dict()))
    opt.param_groups[1]["lr"] = -1.0
    for refused in (lambda: step(x, y), opt.step):
        with pytest.raises(ValueError, match="lr"):
            refused()
    opt.param_groups[1]["lr"] = 0.1
    np.testing.assert_equal((model.state_dict(), opt.state_dict()), before)


@every_kind
@pytest.mark.parametrize("way", ["state", "pickle", "deepcopy"])
def test_saved_groups_continue_with_the_same_bits(kind, options, own, way):
    def run(opt, params, steps):
        for step in steps:
            grads = arrays(step, np.float32)
            opt.step([None if step == 2 else grads[0], *grads[1:]])
        return params

    whole = arrays(0, np.float32)
    run(kind(grouped(whole, own), **options), whole, range(1, 9))
    params = arrays(0, np.float32)
    opt = kind(grouped(params, own), **options)
    run(opt, params, range(1, 4))
    if way == "state":
        state = opt.state_dict()
        opt = kind(grouped(params, {}), lr=7.0)
        opt.load_state_dict(state)
    else:
        opt, params = copies_by(way, (opt, params))
    run(opt, params, range(4, 9))
    for p, want in zip(params, whole, strict=True):
        np.testing.assert_array_equal(p, want)
    assert opt.param_groups[1] != opt.param_groups[0] and opt.param_groups[1].keys() == opt.param_groups[0].keys()


def test_attributes_are_those_of_all_groups():
    opt = optim.SGD(grouped(arrays(0), {"lr": 0.2}), lr=0.1)
    assert opt.momentum == 0 and [group["lr"] for group in opt.param_groups] == [0.1, 0.2]
    with pytest.raises(ValueError, match="lr is not the same in all parameter groups"):
        _ = opt.lr
    opt.lr = 0.3
    assert opt.lr == 0.3 and [group["lr"] for group in opt.param_groups] == [0.3, 0.3]
    assert repr(opt).startswith("SGD(1 parameters, lr=0.3, ") and "; 2 parameters, lr=0.3" in repr(opt)
    for name in ("params", "rate", 3):
        with pytest.raises(KeyError, match="must be one of lr, momentum"):
            opt.param_groups[0][name] = []


@pytest.mark.parametrize(
    ("params", "error", "text"),
    [
        ([{"params": []}, {"params": []}], ValueError, "at least one parameter"),
        ([{"lr": 1.0}], ValueError, r"params\[0\] must have 'params'"),
        ([{"params": [np.zeros(2)]}, np.zeros(2)], TypeError, r"params\[1\] must be a parameter group"),
        ([{"params": [np.zeros(2)], "rate": 1.0}], ValueError, r"params\[0\] must have options of SGD, not 'rate'"),
        ([{"params": [np.zeros(2)], "lr": -1.0}], ValueError, "lr"),
        ([{"params": 3}], TypeError, r"params\[0\]\['params'\] must be a list"),
        ([{"params": [np.zeros(2), 3]}], TypeError, r"params\[0\]\['params'\]\[1\] must be a float32"),
    ],
)
def test_groups_refused(params, error, text):
    with pytest.raises(error, match=text):
        optim.SGD(params, lr=0.1)


def test_a_parameter_in_two_groups_is_refused_by_both_places():
    w = np.zeros((2, 3))
    for other, text in ((w, "twice|shares memory"), (w.T, "shares memory")):
        with pytest.raises(ValueError, match=rf"params\[1\]\['params'\]\[1\].*({text}).*params\[0\]\['params'\]\[0\]"):
            optim.Adam([{"params": [w]}, {"params": [np.zeros(2), other]}])


def test_another_number_of_groups_is_refused():
    one, two = optim.SGD(arrays(0), lr=0.1), optim.SGD(grouped(arrays(0), {}), lr=0.2)
    three = optim.SGD([{"params": arrays(0)[:2]}, {"params": arrays(0)[2:]}], lr=0.3)
    for mine, other, text in (
        (one, two, "must have 1 param_groups, .* not 2"),
        (two, one, "must have 2 param_groups, .* not 1"),
        (two, three, r"must have 1 parameters in param_groups\[0\], .* not 2"),
    ):
        before = copy.deepcopy(mine.state_dict())
        with pytest.raises(ValueError, match=text):
            mine.load_state_dict(other.state_dict())
        np.testing.assert_equal(mine.state_dict(), before)


@pytest.mark.parametrize(
    "make",
    [
        lambda o: optim.CosineAnnealingLR(o, 5),
        lambda o: optim.MultiStepLR(o, [2, 3], 0.3),
        lambda o: optim.SequentialLR(o, [optim.LinearWarmup(o, 2, 0.5), optim.StepLR(o, 1, 0.7)], milestones=[2]),
        lambda o: optim.OneCycleLR(o, max_lr=0.5, total_steps=6),
    ],
)
def test_schedules_move_every_group(make):
    """As two optimizers with a schedule each would."""
    params = arrays(0)
    both = optim.SGD(grouped(params, {"lr": 0.2}), lr=0.1, momentum=0.9)
    apart = [optim.SGD([params[0]], lr=0.1, momentum=0.9), optim.SGD(params[1:], lr=0.2, momentum=0.9)]
    schedule, schedules = make(both), [make(opt) for opt in apart]
    for _ in range(5):
        assert [g["lr"] for g in both.param_groups] == [opt.lr for opt in apart] == schedule.get_last_lr()
        assert [g["momentum"] for g in both.param_groups] == [opt.momentum for opt in apart]
        for part in (schedule, *schedules):
            part.step()


def test_plateau_lowers_every_group():
    opt = optim.SGD(grouped(arrays(0), {"lr": 0.2}), lr=0.1)
    schedule = optim.ReduceLROnPlateau(opt, factor=0.5, patience=0, min_lr=0.06)
    schedule.step(1.0)
    schedule.step(1.0)
    assert schedule.get_last_lr() == [0.06, 0.1] == [g["lr"] for g in opt.param_groups]


def test_each_group_of_adagrad_has_its_own_start():
    params = [np.zeros(1), np.zeros(1)]
    opt = optim.Adagrad(
        [{"params": params[:1]}, {"params": params[1:], "initial_accumulator_value": 3.0}], lr=1.0, eps=0.0
    )
    opt.step([np.ones(1), np.ones(1)])
    assert [p[0] for p in params] == [-1.0, -0.5]
