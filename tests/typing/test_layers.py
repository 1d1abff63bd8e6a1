"""Layers, losses, optimizers and what trains with them."""

import os
import tempfile
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pytest import raises

from fastml import nn, optim

if TYPE_CHECKING:
    from typing import assert_type
else:
    from .truth import assert_type

Floats = NDArray[np.floating[Any]]
x = np.random.default_rng(0).standard_normal((8, 6)).astype(np.float32)
labels = np.arange(8) % 3


def network() -> nn.Sequential:
    layers = nn.Linear(6, 8, seed=1), nn.BatchNorm(8), nn.ReLU(), nn.Dropout(0.1, seed=2), nn.Linear(8, 3, seed=3)
    return nn.Sequential(*layers)


def test_layers() -> None:
    nn.manual_seed(0)
    model = network()
    assert_type(model, nn.Sequential)
    assert_type(model(x), Floats)
    assert_type(model[0], nn.Module)
    assert_type(model[1:], nn.Sequential)
    assert_type([layer.training for layer in model], list[bool])
    assert_type(model.train().eval(), nn.Sequential)
    assert_type(model.parameters()[0].value, Floats)
    assert_type(model.parameters()[0].grad, Floats | None)
    assert_type(dict(model.named_parameters()), dict[str, nn.Parameter])
    model.load_state_dict(model.state_dict())
    model.train()


def test_a_loss_is_as_it_was_made() -> None:
    model = network()
    loss_fn = nn.CrossEntropyLoss(label_smoothing=0.1)
    loss, grad = loss_fn(model(x), labels)
    assert_type(loss, np.floating[Any])
    assert_type(grad, Floats)
    losses, _ = nn.CrossEntropyLoss(reduction="none")(model(x), labels)
    assert_type(losses, Floats)
    assert losses.shape == (8,)
    assert_type(model.backward(grad), Floats)
    assert_type(model.backward(grad, input_grad=False), None)
    everywhere: list[tuple[np.floating[Any], Floats]] = [
        nn.MSELoss()(x, x),
        nn.L1Loss(reduction="sum")(x, x),
        nn.HuberLoss(delta=0.5)(x, x),
        nn.LogCoshLoss()(x, x),
        nn.BCEWithLogitsLoss(pos_weight=[2.0] * 6)(x, np.ones_like(x)),
        nn.KLDivLoss(reduction="batchmean")(x, np.ones_like(x)),
        nn.NLLLoss(weight=[1.0, 2.0, 1.0])(x[:, :3], labels),
    ]
    assert len(everywhere) == 7

    layers: list[nn.Module] = [
        nn.ELU(alpha=0.5),
        nn.GELU("tanh"),
        nn.AlphaDropout(0.1),
        nn.Dropout1d(0.1),
        nn.Dropout2d(0.1),
        nn.Flatten(),
        nn.GroupNorm(2, 6),
        nn.InstanceNorm(6, dtype=np.float64),
        nn.LayerNorm((6,), bias=False),
        nn.RMSNorm(6),
        nn.Hardswish(),
        nn.LeakyReLU(0.1),
        nn.SiLU(),
        nn.Sigmoid(),
        nn.Softplus(beta=2.0),
        nn.Tanh(),
    ]
    assert_type([layer.extra_repr() for layer in layers], list[str])

    class Twice(nn.Module):
        def forward(self, x: Any) -> Floats:
            return 2 * np.asarray(x)

        def backward(self, grad: Any) -> Floats:
            return 2 * np.asarray(grad)

    assert_type(Twice()(x), Floats)


def test_optimizers() -> None:
    model, loss_fn = network(), nn.CrossEntropyLoss()
    loss, grad = loss_fn(model(x), labels)
    model.backward(grad)
    sgd = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    sgd.lr = 0.05
    sgd.step()
    assert_type(sgd.param_groups[0]["lr"], Any)
    ema = optim.EMA(model.parameters(), decay=0.9)
    step = nn.compile_step(model, loss_fn, sgd, max_norm=1.0, ema=ema)
    assert_type(step(x, labels), np.floating[Any])
    assert_type(step.describe(), str)
    with ema.average_parameters():
        assert model(x).shape == (8, 3)
    arrays = [np.ones(3), np.ones(2)]
    optim.Adam([{"params": arrays, "lr": 0.1}], amsgrad=True).step([np.ones(3), None])
    optim.AdamW(arrays).step([[1, 2, 3], [1, 2]])
    optim.Adagrad(arrays).step([np.ones(3), None])
    optim.RMSprop(arrays, centered=True).step([np.ones(3), None])
    optim.Lion(arrays, betas=(0.9, 0.99)).step([np.ones(3), None])
    assert_type(optim.Accumulate(sgd, 2).step(), bool)
    scaler = optim.GradScaler(enabled=False)
    assert_type(scaler.scale(x), NDArray[np.float32])
    warmup = optim.LinearWarmup(sgd, 2)
    schedule = optim.SequentialLR(sgd, [warmup, optim.CosineAnnealingLR(sgd, T_max=3)], milestones=[2])
    schedule.step()
    assert_type(schedule.get_last_lr(), list[float])
    optim.StepLR(sgd, 2).step()
    optim.MultiStepLR(sgd, [1, 2]).step()
    optim.OneCycleLR(sgd, 0.1, total_steps=5, anneal_strategy="linear").step()
    optim.ReduceLROnPlateau(sgd, mode="max").step(loss)
    assert_type(nn.utils.clip_grad_norm_(model.parameters(), 1.0), float)

    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.safetensors")
        nn.save(model, path, metadata={"task": "demo"})
        assert_type(nn.load(path), dict[str, NDArray[Any]])
        assert_type(nn.load_metadata(path), dict[str, str])
        nn.save_checkpoint(path, model=model, optimizer=sgd, schedule=schedule, ema=ema, extra={"epoch": 1})
        assert_type(nn.load_checkpoint(path, model=model, optimizer=sgd, schedule=schedule, ema=ema), Any)


def test_what_is_refused() -> None:
    model, loss_fn, arrays = network(), nn.CrossEntropyLoss(), [np.ones(3)]
    sgd = optim.SGD(model.parameters(), lr=0.1)
    with raises(TypeError):
        nn.Linear("6", 3)  # type: ignore[arg-type]
    with raises(TypeError):
        nn.Linear(6)  # type: ignore[call-arg]
    with raises(TypeError):
        nn.Sequential(np.ones(3))  # type: ignore[arg-type]
    with raises(ValueError):
        nn.GELU("exact")  # type: ignore[arg-type]
    with raises(ValueError):
        nn.BatchNorm(3, convention="keras")  # type: ignore[arg-type]
    with raises(ValueError):
        nn.MSELoss(reduction="batchmean")  # type: ignore[call-overload]
    with raises(TypeError):
        nn.MSELoss("mean")  # type: ignore[call-overload]
    with raises(ValueError):
        nn.compile_step(model, nn.CrossEntropyLoss(reduction="none"), sgd)  # type: ignore[arg-type]
    with raises(TypeError):
        nn.compile_step(model, loss_fn, model)  # type: ignore[arg-type]
    with raises(TypeError):
        optim.SGD(arrays[0], lr=0.1)  # type: ignore[arg-type]
    with raises(TypeError):
        optim.SGD(arrays)  # type: ignore[call-arg]
    with raises(TypeError):
        optim.StepLR(model, 2)  # type: ignore[arg-type]
    with raises(ValueError):
        optim.OneCycleLR(sgd, 0.1, total_steps=5, anneal_strategy="steps")  # type: ignore[arg-type]
