"""Schedules: PyTorch's values to the last bit, saved and continued, in explicit and in compiled steps."""

import copy
import math
import pickle

import numpy as np
import pytest

from fastml import nn, optim

from .kinds import OPTIMIZER_CLASSES

STEPS = 300
METRICS = np.abs(np.random.default_rng(0).standard_normal(STEPS)) + np.linspace(2, 0.5, STEPS)
# name, arguments, whether step() takes a metric
CASES = [
    ("StepLR", {"step_size": 7}),
    ("StepLR", {"step_size": 1, "gamma": 0.97}),
    ("MultiStepLR", {"milestones": [3, 30, 30, 100], "gamma": 0.3}),
    ("MultiStepLR", {"milestones": []}),
    ("LinearWarmup", {}),
    ("LinearWarmup", {"total_iters": 37, "start_factor": 0.01}),
    ("CosineAnnealingLR", {"T_max": 300}),
    ("CosineAnnealingLR", {"T_max": 23, "eta_min": 1e-4}),
    ("OneCycleLR", {"max_lr": 0.7, "total_steps": 300}),
    ("OneCycleLR", {"max_lr": 0.3, "epochs": 10, "steps_per_epoch": 31, "anneal_strategy": "linear"}),
    ("OneCycleLR", {"max_lr": 0.3, "total_steps": 301, "three_phase": True, "pct_start": 0.41}),
    (
        "OneCycleLR",
        {
            "max_lr": 1.3,
            "total_steps": 302,
            "base_momentum": 0.7,
            "max_momentum": 0.9,
            "div_factor": 7.0,
            "final_div_factor": 13.0,
        },
    ),
    ("OneCycleLR", {"max_lr": 0.1, "total_steps": 310, "cycle_momentum": False, "pct_start": 0.9}),
    ("ReduceLROnPlateau", {}),
    ("ReduceLROnPlateau", {"factor": 0.7, "patience": 2, "cooldown": 3, "min_lr": 0.01}),
    ("ReduceLROnPlateau", {"mode": "max", "patience": 1, "threshold": 0.1, "threshold_mode": "abs"}),
    ("ReduceLROnPlateau", {"patience": 0, "threshold": 0.5, "threshold_mode": "abs", "factor": 0.9}),
    ("ReduceLROnPlateau", {"mode": "max", "patience": 4, "threshold": 1e-2, "eps": 1e-3}),
]
every_case = pytest.mark.parametrize(("name", "options"), CASES)
KINDS = {
    "SGD": {"lr": 0.1, "momentum": 0.9},
    "Adam": {"lr": 0.01, "betas": (0.9, 0.99)},
    "RMSprop": {"lr": 0.03, "momentum": 0.5},
}


def optimizer(kind="SGD"):
    return getattr(optim, kind)([np.zeros(2)], **KINDS[kind])


def course(schedule, opt, steps=STEPS):
    """Rate and momentum at the start and after every step, of either library's."""
    metrics = METRICS if type(schedule).__name__ == "ReduceLROnPlateau" else None
    values = []
    for k in range(steps):
        group = opt.param_groups[0] if hasattr(opt, "param_groups") else None
        get = group.get if group else lambda name: getattr(opt, name, None)
        values.append((get("lr"), get("momentum"), get("betas"), schedule.get_last_lr()))
        schedule.step(*([] if metrics is None else [metrics[k]]))
    return values


def theirs(torch, kind="SGD"):
    return getattr(torch.optim, kind)([torch.nn.Parameter(torch.zeros(2))], **KINDS[kind])


def their_schedule(torch, opt, name, options):
    name = {"LinearWarmup": "LinearLR"}.get(name, name)
    return getattr(torch.optim.lr_scheduler, name)(opt, **options)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore:Detected call")
@every_case
def test_every_value_is_pytorchs(name, options, kind):
    torch = pytest.importorskip("torch")
    ours, other = optimizer(kind), theirs(torch, kind)
    schedule = getattr(optim, name)(ours, **options)
    assert course(schedule, ours) == course(their_schedule(torch, other, name, options), other)


@pytest.mark.filterwarnings("ignore:Detected call")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("parts", "milestones"),
    [
        ([("LinearWarmup", {"total_iters": 10}), ("CosineAnnealingLR", {"T_max": 290})], [10]),
        ([("LinearWarmup", {"total_iters": 8}), ("StepLR", {"step_size": 50})], [5]),
        (
            [
                ("LinearWarmup", {"start_factor": 0.1}),
                ("MultiStepLR", {"milestones": [20, 40]}),
                ("CosineAnnealingLR", {"T_max": 40, "eta_min": 1e-3}),
            ],
            [5, 100],
        ),
        ([("LinearWarmup", {}), ("OneCycleLR", {"max_lr": 0.2, "total_steps": 400})], [20]),
        ([("StepLR", {"step_size": 3})], []),
        ([("StepLR", {"step_size": 3}), ("CosineAnnealingLR", {"T_max": 40})], [0]),
    ],
)
def test_one_after_the_other_is_pytorchs(parts, milestones, kind):
    torch = pytest.importorskip("torch")
    ours, other = optimizer(kind), theirs(torch, kind)
    mine = [getattr(optim, name)(ours, **options) for name, options in parts]
    others = [their_schedule(torch, other, name, options) for name, options in parts]
    schedule = optim.SequentialLR(ours, mine, milestones)
    their = torch.optim.lr_scheduler.SequentialLR(other, others, milestones)
    assert course(schedule, ours) == course(their, other)


def test_fixed_values():
    """Of the closed forms, for where there is no PyTorch."""
    expected = {
        ("StepLR", 7): [0.1 * 0.1 ** (t // 7) for t in range(50)],
        ("LinearWarmup", 10): [0.1 * min(1, (1 + 2 * t / 10) / 3) for t in range(50)],
        ("CosineAnnealingLR", 50): [0.1 * (1 + math.cos(math.pi * t / 50)) / 2 for t in range(50)],
    }
    for (name, n), want in expected.items():
        opt = optimizer()
        got = [lr for lr, *_ in course(getattr(optim, name)(opt, n), opt, 50)]
        np.testing.assert_allclose(got, want, rtol=1e-12)
    opt = optimizer()
    got = course(optim.OneCycleLR(opt, 1.0, total_steps=11, pct_start=6 / 11, anneal_strategy="linear"), opt, 11)
    np.testing.assert_allclose([lr for lr, *_ in got[:6]], np.linspace(0.04, 1, 6), rtol=1e-12)
    np.testing.assert_allclose([lr for lr, *_ in got[5:]], np.linspace(1, 4e-6, 6), rtol=1e-10)
    np.testing.assert_allclose([m for _, m, *_ in got[:6]], np.linspace(0.95, 0.85, 6), rtol=1e-12)
    opt, plateau = optimizer(), []
    schedule = optim.ReduceLROnPlateau(opt, patience=1, factor=0.5, cooldown=1)
    for loss in (3, 3, 3, 3, math.nan, 3, 2, 2, 2):
        schedule.step(loss)
        plateau.append(opt.lr)
    assert plateau == [0.1, 0.1, 0.05, 0.05, 0.05, 0.025, 0.025, 0.025, 0.0125]


def warm_up_and_cosine(opt):
    parts = [optim.LinearWarmup(opt, 20), optim.CosineAnnealingLR(opt, 77)]
    return optim.SequentialLR(opt, parts, [20])


@pytest.mark.parametrize("way", ["state", "pickle"])
@pytest.mark.parametrize("at", [3, 20, 111])
@pytest.mark.parametrize(
    "make", [*(lambda opt, c=case: getattr(optim, c[0])(opt, **c[1]) for case in CASES), warm_up_and_cosine]
)
def test_a_saved_schedule_continues_with_the_same_bits(make, at, way):
    opt = optimizer()
    schedule = make(opt)
    course(schedule, opt, at)
    if way == "state":
        state, opt_state = schedule.state_dict(), opt.state_dict()
        want = course(schedule, opt, 100)  # the state is a snapshot
        opt = optimizer()
        schedule = make(opt)
        opt.load_state_dict(opt_state)
        schedule.load_state_dict(state)
    else:
        copy_of = pickle.loads(pickle.dumps(schedule))
        want = course(schedule, opt, 100)
        opt, schedule = copy_of.optimizer, copy_of
    assert course(schedule, opt, 100) == want


@pytest.mark.filterwarnings("ignore:Detected call")
def test_resuming_at_an_epoch():
    torch = pytest.importorskip("torch")
    ours, other = optimizer(), theirs(torch)
    for name in ("StepLR", "CosineAnnealingLR"):
        with pytest.raises(ValueError, match="initial_lr"):
            getattr(optim, name)(optimizer(), 5, last_epoch=3)
    ours.initial_lr = other.param_groups[0]["initial_lr"] = 0.5
    schedule = optim.CosineAnnealingLR(ours, 10, last_epoch=3)
    assert course(schedule, ours) == course(torch.optim.lr_scheduler.CosineAnnealingLR(other, 10, last_epoch=3), other)


@pytest.mark.parametrize("name", ["OneCycleLR", "CosineAnnealingLR"])
@pytest.mark.parametrize("kind", OPTIMIZER_CLASSES, ids=lambda kind: kind.__name__)
def test_compiled_steps_follow_the_schedule(kind, name):
    if name == "OneCycleLR":
        options = {"max_lr": 0.1, "total_steps": 12, "cycle_momentum": kind is not optim.Adagrad}
    else:
        options = {"T_max": 12}
    results = []
    for compiled in (False, True):
        model = nn.Sequential(nn.Linear(5, 16, seed=0), nn.ReLU(), nn.Linear(16, 3, seed=1))
        loss_fn, opt = nn.CrossEntropyLoss(), kind(model.parameters(), lr=0.05)
        step = nn.compile_step(model, loss_fn, opt)
        schedule = getattr(optim, name)(opt, **options)
        rates = []
        for k in range(12):
            rng = np.random.default_rng(k)
            x, y = rng.standard_normal((16, 5), dtype=np.float32), rng.integers(0, 3, 16)
            if compiled:
                step(x, y)
            else:
                model.backward(loss_fn(model(x), y)[1])
                opt.step()
            rates.append(opt.lr)
            schedule.step()
        assert len(set(rates)) == 12
        results.append((model.state_dict(), opt.state_dict()))
    np.testing.assert_equal(*results)


@pytest.mark.parametrize(
    ("name", "options", "error", "text"),
    [
        ("StepLR", {"step_size": 0}, ValueError, "step_size"),
        ("StepLR", {"step_size": 1.5}, TypeError, "step_size"),
        ("StepLR", {"step_size": 1, "gamma": -1}, ValueError, "gamma"),
        ("StepLR", {"step_size": 1, "last_epoch": -2}, ValueError, "last_epoch"),
        ("MultiStepLR", {"milestones": [1, "2"]}, TypeError, "milestones"),
        ("LinearWarmup", {"start_factor": 0}, ValueError, "start_factor"),
        ("LinearWarmup", {"total_iters": 0}, ValueError, "total_iters"),
        ("CosineAnnealingLR", {"T_max": 0}, ValueError, "T_max"),
        ("OneCycleLR", {"max_lr": 1}, ValueError, "total_steps"),
        ("OneCycleLR", {"max_lr": 1, "total_steps": 0}, ValueError, "total_steps"),
        ("OneCycleLR", {"max_lr": 1, "total_steps": 9, "pct_start": 1.1}, ValueError, "pct_start"),
        ("OneCycleLR", {"max_lr": 1, "total_steps": 9, "anneal_strategy": "exp"}, ValueError, "anneal"),
        ("OneCycleLR", {"max_lr": 1, "total_steps": 9, "div_factor": 0}, ValueError, "div_factor"),
        ("ReduceLROnPlateau", {"mode": "least"}, ValueError, "mode"),
        ("ReduceLROnPlateau", {"threshold_mode": "r"}, ValueError, "threshold_mode"),
        ("ReduceLROnPlateau", {"factor": 1.0}, ValueError, "factor"),
        ("ReduceLROnPlateau", {"patience": -1}, ValueError, "patience"),
    ],
)
def test_refused(name, options, error, text):
    opt = optimizer()
    before = opt.state_dict()
    with pytest.raises(error, match=text):
        getattr(optim, name)(opt, **options)
    np.testing.assert_equal(opt.state_dict(), before)


def test_refused_partners():
    opt = optimizer()
    with pytest.raises(TypeError, match="optimizer"):
        optim.StepLR("SGD", 1)
    with pytest.raises(ValueError, match="Adagrad"):
        optim.OneCycleLR(optim.Adagrad([np.zeros(2)]), 1.0, total_steps=5)
    part = optim.StepLR(opt, 3)
    plateau = optim.ReduceLROnPlateau(opt)
    for parts, milestones, error, text in [
        ([part], [3], ValueError, "milestones"),
        ([], [], ValueError, "milestones"),
        ([part, plateau], [3], TypeError, "ReduceLROnPlateau"),
        ([part, optim.StepLR(optimizer(), 3)], [3], ValueError, "same optimizer"),
    ]:
        with pytest.raises(error, match=text):
            optim.SequentialLR(opt, parts, milestones)
    for schedule in (part, plateau, optim.SequentialLR(opt, [part], [])):
        with pytest.raises(ValueError, match="state must be that of"):
            schedule.load_state_dict({"last_epoch": 3})
        assert type(schedule).__name__ in repr(schedule)
    schedule = optim.OneCycleLR(opt, 1.0, total_steps=2)
    for _ in range(2):
        schedule.step()
    with pytest.raises(ValueError, match="total_steps=2"):
        schedule.step()


def one_cycle(optimizer):
    return optim.OneCycleLR(optimizer, 0.1, 9, cycle_momentum=False)


@pytest.mark.parametrize(
    ("make", "change", "error", "text"),
    [
        (lambda o: optim.StepLR(o, 2), {"step_size": 2.5}, TypeError, "step_size must be an integer"),
        (lambda o: optim.StepLR(o, 2), {"gamma": "half"}, TypeError, "gamma must be a real number"),
        (lambda o: optim.StepLR(o, 2), {"base_lrs": 0.1}, TypeError, "base_lrs must be a list"),
        (lambda o: optim.StepLR(o, 2), {"base_lrs": [0.1, 0.2]}, ValueError, "base_lrs must have 1 entries, not 2"),
        (lambda o: optim.StepLR(o, 2), {"_last_lr": [None]}, TypeError, r"_last_lr\[0\] must be a real number"),
        (lambda o: optim.MultiStepLR(o, [2]), {"milestones": {2: 1}}, TypeError, "milestones must be a Counter"),
        (one_cycle, {"momenta": {}}, TypeError, "momenta must be None"),
        (one_cycle, {"lrs": {"max": 1.0}}, ValueError, "lrs must have the keys"),
        (one_cycle, {"phases": [(1.0, 2, 3, 4, 5)]}, TypeError, r"phases\[0\]\[1\]"),
        (lambda o: optim.ReduceLROnPlateau(o), {"best": float("nan")}, ValueError, "best"),
        (lambda o: optim.ReduceLROnPlateau(o), {"mode": None}, TypeError, "mode must be a str"),
        (
            lambda o: optim.SequentialLR(o, [optim.LinearWarmup(o, 2), optim.StepLR(o, 2)], [2]),
            {"_milestones": [2.5]}, TypeError, r"_milestones\[0\] must be an integer",
        ),
    ],
)  # fmt: skip
def test_a_state_of_another_kind_is_refused_by_the_entry(make, change, error, text):
    schedule = make(optim.SGD([np.zeros(2)], lr=0.1, momentum=0.9))
    good = schedule.state_dict()
    with pytest.raises(error, match=text):
        schedule.load_state_dict({**good, **change})
    assert schedule.state_dict() == good
    schedule.load_state_dict(good)
    assert schedule.state_dict() == good


def test_a_part_of_another_kind_changes_no_other_part():
    opt = optim.SGD([np.zeros(2)], lr=0.1)
    schedule = optim.SequentialLR(opt, [optim.LinearWarmup(opt, 2), optim.StepLR(opt, 2)], [2])
    good = schedule.state_dict()
    wrong = copy.deepcopy(good)
    wrong["_schedulers"][0]["last_epoch"], wrong["_schedulers"][1]["gamma"] = 7, "half"
    with pytest.raises(TypeError, match="gamma"):
        schedule.load_state_dict(wrong)
    assert schedule.state_dict() == good and "optimizer" not in str(good)
