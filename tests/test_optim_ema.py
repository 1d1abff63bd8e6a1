"""EMA: averages of parameters, swapped in and out, saved and continued."""

import copy

import numpy as np
import pytest

from fastml import nn, optim


def run(model, opt, ema, steps):
    for k in steps:
        rng = np.random.default_rng(k)
        x, y = rng.standard_normal((16, 5), dtype=np.float32), rng.integers(0, 3, 16)
        model.backward(nn.CrossEntropyLoss()(model(x), y)[1])
        opt.step()
        ema.update()


def make(decay=0.9):
    model = nn.Sequential(nn.Linear(5, 16, seed=0), nn.ReLU(), nn.Linear(16, 3, seed=1))
    return model, optim.SGD(model.parameters(), lr=0.5), optim.EMA(model.parameters(), decay)


def test_as_pytorchs_averaged_model():
    torch = pytest.importorskip("torch")
    model, opt, ema = make()
    theirs = torch.nn.Sequential(torch.nn.Linear(5, 16), torch.nn.ReLU(), torch.nn.Linear(16, 3))

    def copy_over():
        theirs.load_state_dict({name: torch.tensor(value) for name, value in model.state_dict().items()})

    copy_over()
    swa = torch.optim.swa_utils
    averaged = swa.AveragedModel(theirs, multi_avg_fn=swa.get_ema_multi_avg_fn(0.9))
    averaged.update_parameters(theirs)  # the first one copies
    for k in range(10):
        run(model, opt, ema, [k])
        copy_over()
        averaged.update_parameters(theirs)
    for got, want in zip(ema.state_dict()["averages"], averaged.module.parameters(), strict=True):
        np.testing.assert_allclose(got, want.detach().numpy(), rtol=1e-5, atol=1e-6)


def test_swapping_in_and_out():
    model, opt, ema = make()
    run(model, opt, ema, range(5))
    arrays = [p.value for p in model.parameters()]
    before, averages = model.state_dict(), ema.state_dict()["averages"]
    with ema.average_parameters():
        for p, array, average in zip(model.parameters(), arrays, averages, strict=True):
            assert p.value is array
            np.testing.assert_array_equal(array, average)
        for refused in (ema.update, ema.average_parameters().__enter__):
            with pytest.raises(RuntimeError, match="average_parameters"):
                refused()
    np.testing.assert_equal(model.state_dict(), before)
    with pytest.raises(KeyError), ema.average_parameters():
        raise KeyError
    np.testing.assert_equal(model.state_dict(), before)


def test_a_compiled_step_refuses_to_train_the_averages():
    model, _, ema = make()
    opt = optim.Adam(model.parameters())
    step = nn.compile_step(model, nn.CrossEntropyLoss(), opt, ema=ema)
    x, y = np.ones((4, 5), np.float32), np.zeros(4, int)
    step(x, y)
    with ema.average_parameters():
        before = model.state_dict(), opt.state_dict()
        with pytest.raises(RuntimeError, match="average_parameters"):
            step(x, y)
        np.testing.assert_equal((model.state_dict(), opt.state_dict()), before)
    step(x, y)


def test_state():
    whole = make()
    run(*whole, range(10))
    model, opt, ema = make()
    run(model, opt, ema, range(4))
    state = ema.state_dict()
    ema.update()  # the state is a snapshot
    ema = optim.EMA(model.parameters(), 0.1)
    ema.load_state_dict(state)
    run(model, opt, ema, range(4, 10))
    np.testing.assert_equal(ema.state_dict(), whole[2].state_dict())
    before = copy.deepcopy(ema.state_dict())
    averages = before["averages"]
    for wrong, text in [
        ({}, "state must be that of an EMA, not without decay, averages"),
        ({"decay": 0.5, "averages": averages[:2]}, "state must have 4 averages, .* not 2"),
        ({"decay": 0.5, "averages": [*averages[:3], np.ones(4)]}, "average 3 of state must have its parameter's shape"),
        ({"decay": 1.5, "averages": averages}, "decay"),
    ]:
        with pytest.raises(ValueError, match=text):
            ema.load_state_dict(wrong)
        np.testing.assert_equal(ema.state_dict(), before)
    assert repr(ema) == "EMA(4 parameters, decay=0.9)"


def test_refused():
    for decay, error in ((1.1, ValueError), (-1, ValueError), ("1", TypeError)):
        with pytest.raises(error, match="decay"):
            optim.EMA([np.zeros(2)], decay)
    with pytest.raises(ValueError, match="at least one parameter"):
        optim.EMA([])
