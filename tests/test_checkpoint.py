"""Checkpoints: training goes on to the bit, a file that does not fit changes nothing, damage is told."""

import copy
import itertools
import math
import os
import signal
import subprocess
import sys
import time
from collections import Counter

import numpy as np
import pytest

from fastml import data, nn, optim

from .arrays import assert_same_bits
from .common import ROOT, normal
from .kinds import OPTIMIZERS
from .processes import NIGHTLY

SCHEDULES = {
    "StepLR": lambda o: optim.StepLR(o, 3, 0.5),
    "MultiStepLR": lambda o: optim.MultiStepLR(o, [2, 7, 7], 0.5),
    "CosineAnnealingLR": lambda o: optim.CosineAnnealingLR(o, 20),
    "OneCycleLR": lambda o: optim.OneCycleLR(o, 0.2, total_steps=40, cycle_momentum=False),
    "ReduceLROnPlateau": lambda o: optim.ReduceLROnPlateau(o, patience=0, threshold=0.5),
    "SequentialLR": lambda o: optim.SequentialLR(o, [optim.LinearWarmup(o, 4), optim.CosineAnnealingLR(o, 9)], [5]),
}
X, Y = normal((50, 6)), np.arange(50) % 3


def make(optimizer="SGD", schedule="StepLR", seed=0):
    """All parts of a training; the seed is of weights, masks and order."""
    nn.manual_seed(seed)
    model = nn.Sequential(
        nn.Linear(6, 8), nn.BatchNorm(8), nn.ReLU(), nn.Dropout(0.3),
        nn.Sequential(nn.Linear(8, 8), nn.AlphaDropout(0.2)), nn.Linear(8, 3),
    )  # fmt: skip
    optimizer = OPTIMIZERS[optimizer](model.parameters())
    return {
        "model": model,
        "optimizer": optimizer,
        "schedule": SCHEDULES[schedule](optimizer),
        "ema": optim.EMA(model.parameters(), decay=0.9),
        "scaler": optim.GradScaler(init_scale=4.0 + seed, growth_interval=3),
        "batches": data.batches(X, Y, batch_size=8, seed=seed),
    }


def steps(parts, compiled):
    """An endless training that yields after each step."""
    model, optimizer, schedule, ema, scaler, batches = parts.values()
    loss_fn = nn.CrossEntropyLoss()
    step = nn.compile_step(model, loss_fn, optimizer, ema=ema)
    while True:
        for x, y in batches:
            if compiled:
                loss = step(x, y)
            else:
                loss, grad = loss_fn(model(x), y)
                model.backward(scaler.scale(grad))
                scaler.step(optimizer)
                scaler.update()
                ema.update()
            schedule.step(*[loss] * isinstance(schedule, optim.ReduceLROnPlateau))
            yield loss


def run(training, count):
    return list(itertools.islice(training, count))


def states(parts):
    """The states of all parts as a flat dict of arrays and others."""
    found = {}

    def collect(place, value):
        if isinstance(value, (dict, list, tuple)):
            for key, item in value.items() if isinstance(value, dict) else enumerate(value):
                collect(f"{place}.{key}", item)
        else:
            found[place] = value

    for name, part in parts.items():
        collect(name, part.state_dict())
    for i, module in enumerate(parts["model"].modules()):
        if isinstance(module, (nn.Dropout, nn.AlphaDropout)):
            found[f"place {i}"] = module.seed, module.offset
    return found


def assert_same_states(parts, others):
    one, other = states(parts), states(others)
    assert one.keys() == other.keys()
    for name, value in one.items():
        if isinstance(value, np.ndarray):
            assert_same_bits(value, other[name], name)
        else:
            assert value == other[name] and type(value) is type(other[name]), name


@pytest.mark.parametrize("compiled", [False, True], ids=["explicit", "compiled"])
@pytest.mark.parametrize(("optimizer", "schedule"), [
    *((name, "StepLR") for name in OPTIMIZERS), *(("SGD", name) for name in SCHEDULES),
])  # fmt: skip
def test_training_goes_on_to_the_bit(tmp_path, optimizer, schedule, compiled):
    path = tmp_path / "state"
    for done in (0, 1, 7, 10):  # 7: a whole pass
        whole = make(optimizer, schedule)
        training = steps(whole, compiled)
        run(training, done)
        nn.save_checkpoint(path, **whole)
        resumed = make(optimizer, schedule, seed=1)
        going_on = steps(resumed, compiled)
        if done == 10:  # also into objects that have trained
            run(going_on, 3)
            going_on = steps(resumed, compiled)
        assert nn.load_checkpoint(path, **resumed) is None
        assert_same_states(whole, resumed)
        assert run(training, 12) == run(going_on, 12)
        assert_same_states(whole, resumed)


def test_a_compiled_step_goes_on_after_a_load(tmp_path):
    path, whole = tmp_path / "state", make()
    model, optimizer = whole["model"], whole["optimizer"]
    step = nn.compile_step(model, nn.CrossEntropyLoss(), optimizer)
    losses = [step(X, Y) for _ in range(3)]
    nn.save_checkpoint(path, model=model, optimizer=optimizer)
    after = [step(X, Y) for _ in range(3)]
    nn.load_checkpoint(path, model=model, optimizer=optimizer)
    assert [step(X, Y) for _ in range(3)] == after != losses


def test_extra_comes_back_as_it_was(tmp_path):
    path, model = tmp_path / "state", nn.Linear(2, 2, seed=0)
    extra = {
        "text": "é\n\ud800", 3: [None, True, -(2**70), -0.0, 1e-320, math.inf, -math.inf], (1, "a"): (),
        "arrays": [np.arange(6).astype(t).reshape(2, 3)[:, ::2] for t in ("i1", ">i4", "u8", "f2", ">f8", "?")],
        "a.0": np.zeros((0, 3)), "a": [np.array(2.5, "f4")], "scalars": (np.float32(0.1), np.int8(-3), np.bool_(True)),
        "deep": {"x": {"y": [[[{"z": (1, [2])}]]]}}, "counter": Counter("abca"), "nan": math.nan, "": {},
    }  # fmt: skip
    nn.save_checkpoint(path, model=model, extra=extra)
    back = nn.load_checkpoint(path, model=model)

    def same(one, other):
        if isinstance(one, np.ndarray):
            assert other.dtype == one.dtype.newbyteorder("=") and other.flags.writeable
            np.testing.assert_array_equal(one, other)
            return
        assert type(one) is type(other)
        if isinstance(one, dict):
            assert list(one) == list(other)
            for key in one:
                same(one[key], other[key])
        elif isinstance(one, (list, tuple)):
            assert len(one) == len(other)
            for a, b in zip(one, other, strict=True):
                same(a, b)
        else:
            assert repr(one) == repr(other)

    same(extra, back)
    assert nn.load_metadata(path)["format"] == "fastml checkpoint"
    assert_same_bits(nn.load(path)["model.weight"], model.weight.value, "weight")
    for extra in (None, 3, "text", [1], np.ones(2)):
        nn.save_checkpoint(path, model=model, extra=extra)
        same(extra, nn.load_checkpoint(path, model=model))


def test_what_cannot_be_saved(tmp_path):
    path, model = tmp_path / "state", nn.Linear(2, 2, seed=0)
    around = []
    around.append(around)
    for extra, error, words in [
        ({"a": [0, {1}]}, TypeError, r"extra\.a\.1 must be None, a number, .* not 'set'"),
        ({"a": 1j}, TypeError, r"extra\.a must be .* not 'complex'"),
        (np.array(["a"]), TypeError, "extra must be .* not an array of <U1"),
        ({"m": [np.ma.masked_equal([1.0, 2.0], 1)]}, TypeError, r"extra\.m\.0 must be an array without a mask"),
        ([np.array([None])], TypeError, r"extra\.0 must be .* not an array of object"),
        (np.ones(2, np.longdouble), TypeError, "extra must be"),
        (around, ValueError, "extra must not be nested"),
    ]:
        with pytest.raises(error, match=words):
            nn.save_checkpoint(path, model=model, extra=extra)
    with pytest.raises(TypeError, match="model must be a Module, not dict"):
        nn.save_checkpoint(path, model={})
    with pytest.raises(TypeError, match="optimizer must have a state_dict and a load_state_dict, not be a int"):
        nn.save_checkpoint(path, model=model, optimizer=3)
    ema = optim.EMA(model.parameters())
    with ema.average_parameters(), pytest.raises(RuntimeError, match="averages"):
        nn.save_checkpoint(path, model=model, ema=ema)
    assert os.listdir(tmp_path) == []


def test_a_file_that_does_not_fit_changes_nothing(tmp_path):
    path = tmp_path / "state"
    whole = make()
    run(steps(whole, True), 9)
    nn.save_checkpoint(path, **whole, extra=1)

    def refused(words, **change):
        parts = make(seed=1)
        run(steps(parts, False), 2)
        parts |= change
        before = copy.deepcopy(states(parts))
        with pytest.raises(ValueError, match=f"state is not a checkpoint that fits: {words}"):
            nn.load_checkpoint(path, **parts)
        np.testing.assert_equal(states(parts), before)

    parameters = make(seed=1)["model"].parameters()
    refused("its optimizer is of the type SGD, not Adam", optimizer=OPTIMIZERS["Adam"](parameters))
    refused(
        "optimizer: state must have 7 parameters, as the optimizer has, not 8",
        optimizer=OPTIMIZERS["SGD"](parameters[1:]),
    )
    refused("ema: state must have 7 averages, as the EMA has, not 8", ema=optim.EMA(parameters[1:]))
    refused("its schedule is of the type StepLR, not Cosine", schedule=make(schedule="CosineAnnealingLR")["schedule"])
    refused("batches: .* batch_size=9, .* not rows=50, batch_size=8", batches=data.batches(X, Y, batch_size=9))

    def model_refused(words, *layers):
        model = nn.Sequential(*layers)
        before = model.state_dict()
        with pytest.raises(ValueError, match=words):
            nn.load_checkpoint(path, model=model)
        np.testing.assert_equal(model.state_dict(), before)

    layers = [*make(seed=1)["model"]]
    model_refused("model: missing: 6.weight, 6.bias", *layers, nn.Linear(3, 3, seed=0))
    model_refused("model: unexpected: 5.weight, 5.bias", *layers[:-1])
    model_refused(r"model: 5.weight: shape \(3, 8\) instead of \(4, 8\)", *layers[:-1], nn.Linear(8, 4, seed=0))
    model_refused(
        "model: 5.weight: float32 instead of float64", *layers[:-1], nn.Linear(8, 3, dtype=np.float64, seed=0)
    )
    model_refused("model: unexpected: 3.offset, 3.seed", *layers[:3], nn.Flatten(), *layers[4:])
    model_refused("model: missing: 2.offset, 2.seed", *layers[:2], nn.Dropout(0.5), *layers[3:])
    layers[0].weight.value.setflags(write=False)
    model_refused("model: 0.weight: its array is read-only", *layers)


def test_parts_left_out(tmp_path):
    path, whole = tmp_path / "state", make()
    run(steps(whole, False), 3)
    nn.save_checkpoint(path, **whole, extra="mine")
    model = make(seed=1)["model"]
    assert nn.load_checkpoint(path, model=model) == "mine"
    np.testing.assert_equal(model.state_dict(), whole["model"].state_dict())
    nn.save_checkpoint(path, model=model)
    with pytest.raises(ValueError, match="it holds no optimizer"):
        nn.load_checkpoint(path, **make())


def test_any_damage_is_told(tmp_path):
    path, model = tmp_path / "state", nn.Linear(3, 2, seed=0)
    nn.save_checkpoint(path, model=model, extra=[1, np.ones(3)])
    whole = path.read_bytes()
    before = model.state_dict()
    rng = np.random.default_rng(0)
    for i in [*range(0, len(whole), 7), *range(len(whole) - 60, len(whole))]:
        changed = bytearray(whole)
        changed[i] ^= 1 << rng.integers(8)
        path.write_bytes(changed)
        with pytest.raises(ValueError, match="state is not a"):
            nn.load_checkpoint(path, model=model)
    for end in range(0, len(whole), 11):
        path.write_bytes(whole[:end])
        with pytest.raises(ValueError, match="state is not a"):
            nn.load_checkpoint(path, model=model)
    np.testing.assert_equal(model.state_dict(), before)


def test_other_files(tmp_path):
    path, model = tmp_path / "state", nn.Linear(3, 2, seed=0)
    with pytest.raises(FileNotFoundError):
        nn.load_checkpoint(path, model=model)
    nn.save(model, path)
    with pytest.raises(ValueError, match="state is not a checkpoint that fits: it was not written by save_checkpoint"):
        nn.load_checkpoint(path, model=model)
    nn.save({}, path, metadata={"format": "fastml checkpoint", "version": "2"})
    with pytest.raises(ValueError, match="its version is 2, this fastml reads 1"):
        nn.load_checkpoint(path, model=model)


SCRIPT = """
import os, sys
import numpy as np
from fastml import nn
from tests.test_checkpoint import make, states, steps

path, compiled, end = sys.argv[1], sys.argv[2] == "compiled", int(sys.argv[3])
parts, done = make("Adam", "CosineAnnealingLR"), 0
if os.path.exists(path):
    done = nn.load_checkpoint(path, **parts)
training = steps(parts, compiled)
while done < end:
    print(done, flush=True)
    next(training)
    done += 1
    nn.save_checkpoint(path, **parts, extra=done)
np.savez(path + ".npz", **states(parts))
"""


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize("compiled", ["explicit", "compiled"])
def test_killed_at_random_moments(tmp_path, compiled):
    """A checkpoint after each step, in the middle of passes; the process is killed again and again."""
    path = str(tmp_path / "state")
    kills, end = (25, 3000) if NIGHTLY else (2, 300)
    command = [sys.executable, "-c", SCRIPT, path, compiled, str(end)]
    rng, begun = np.random.default_rng(0), []
    for _ in range(kills):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        begun.append(int(process.stdout.readline()))
        time.sleep(rng.uniform(0, 0.1))
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=ROOT)
    assert begun[0] == 0 and begun[-1] > 0
    whole = make("Adam", "CosineAnnealingLR")
    training = steps(whole, compiled == "compiled")  # kept: the pass that is under way is part of the state
    run(training, end)
    with np.load(path + ".npz") as file:
        found = dict(file)
    want = states(whole)
    assert found.keys() == want.keys()
    for name, value in want.items():
        assert_same_bits(found[name], np.asarray(value), name)
