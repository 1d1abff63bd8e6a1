"""Training runs of 200 steps that `fastml verify` repeats: every kind of layer, explicit and compiled."""

import numpy as np

from .. import nn, optim
from .inputs import labels, normal

STEPS, ROWS, FEATURES, CLASSES = 200, 48, 20, 5


def network(dtype):
    """A network whose weights come from inputs.py."""
    model = nn.Sequential(
        nn.Linear(FEATURES, 64, dtype=dtype, seed=0), nn.BatchNorm(64, dtype=dtype), nn.ReLU(),
        nn.Dropout(0.25, seed=1), nn.Linear(64, 33, dtype=dtype, seed=0), nn.LayerNorm(33, dtype=dtype), nn.GELU(),
        nn.Linear(33, CLASSES, dtype=dtype, seed=0),
    )  # fmt: skip
    for k, parameter in enumerate(model.parameters()):
        if parameter.value.ndim == 2:
            parameter.value[...] = normal(parameter.value.shape, dtype, 50 + k) / 8
    return model


OPTIMIZERS = {
    "SGD": lambda parameters: optim.SGD(parameters, lr=0.125, momentum=0.875, weight_decay=2.0**-10),
    "Adam": lambda parameters: optim.Adam(parameters, lr=2.0**-8),
}


def run(optimizer, dtype, compiled):
    """(losses, then parameters and statistics) after 200 steps on batches of one data set."""
    x = normal((4 * ROWS, FEATURES), dtype, 40)
    y = labels(4 * ROWS, CLASSES, 41)
    model, loss_fn = network(dtype), nn.CrossEntropyLoss(label_smoothing=0.125)
    moved = OPTIMIZERS[optimizer](model.parameters())
    step = nn.compile_step(model, loss_fn, moved) if compiled else None
    losses = []
    for k in range(STEPS):
        batch = slice(k % 4 * ROWS, (k % 4 + 1) * ROWS - k % 3)
        if compiled:
            loss = step(x[batch], y[batch])
        else:
            loss, grad = loss_fn(model(x[batch]), y[batch])
            model.backward(grad)
            moved.step()
        losses.append(loss)
    return [np.array(losses), *model.state_dict().values()]


def results(dtype):
    """(name, arrays) of every run; explicit and compiled have one name, as they have one result."""
    for optimizer in OPTIMIZERS:
        for compiled in (False, True):
            yield f"200 steps of {optimizer}", run(optimizer, dtype, compiled)
