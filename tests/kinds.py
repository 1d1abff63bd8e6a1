"""Every activation, element-wise loss and optimizer, with some options: a new class gets a row here.

Tests draw models and training from them (steps.py, step_changes.py), go over them (test_checkpoint.py,
test_environment.py, test_scaler.py, test_schedules.py), and call each class (calls.py).
"""

from functools import partial

import pytest

from fastml import nn, optim

ACTIVATIONS = (
    nn.ReLU,
    nn.GELU,
    partial(nn.GELU, approximate="tanh"),
    nn.SiLU,
    nn.Hardswish,
    nn.Sigmoid,
    nn.Tanh,
    nn.Softplus,
    partial(nn.Softplus, beta=2.0, threshold=1.5),
    nn.ELU,
    partial(nn.ELU, alpha=0.5),
    nn.LeakyReLU,
    partial(nn.LeakyReLU, negative_slope=0.1),
)

#: Of one term an element; weights that need to know the width are left to the tests.
LOSSES = (
    nn.MSELoss,
    nn.L1Loss,
    partial(nn.HuberLoss, delta=0.5),
    nn.LogCoshLoss,
    nn.KLDivLoss,
    partial(nn.KLDivLoss, log_target=True),
    partial(nn.KLDivLoss, reduction="batchmean"),
    nn.BCEWithLogitsLoss,
)

#: By name, functions of the parameters. Moments decay fast: some tests wait for them to die.
OPTIMIZERS = {
    "SGD": partial(optim.SGD, lr=0.05, momentum=0.9, weight_decay=0.1),
    "plain SGD": partial(optim.SGD, lr=0.05),
    "Adam": partial(optim.Adam, lr=0.01, betas=(0.5, 0.7), amsgrad=True),
    "AdamW": partial(optim.AdamW, lr=0.01, weight_decay=0.1),
    "RMSprop": partial(optim.RMSprop, lr=1e-3, alpha=0.5, momentum=0.9, centered=True),
    "plain RMSprop": partial(optim.RMSprop, lr=0.01, alpha=0.9),
    "Lion": partial(optim.Lion, lr=1e-3, betas=(0.5, 0.7), weight_decay=0.1),
    "Adagrad": partial(optim.Adagrad, lr=0.01, lr_decay=0.1),
}


def class_of(make):
    """The class that a row makes."""
    return getattr(make, "func", make)


#: Each class once.
ACTIVATION_CLASSES, LOSS_CLASSES, OPTIMIZER_CLASSES = (
    tuple(dict.fromkeys(map(class_of, rows))) for rows in (ACTIVATIONS, LOSSES, OPTIMIZERS.values())
)
#: The losses by the names of their functions.
MODULES = {cls._with_grad.__name__.removesuffix("_with_grad"): cls for cls in LOSS_CLASSES}


def of_torch(name, home="functional"):
    """PyTorch's function of this name, or nearly so; of the home "nn" or "optim" its class. Skips where it has none."""
    torch = pytest.importorskip("torch")
    home = {"functional": torch.nn.functional, "nn": torch.nn, "optim": torch.optim}[home]
    for known in (name, name.replace("_", ""), name.removesuffix("_loss"), name.capitalize()):
        if hasattr(home, known):
            return getattr(home, known)
    pytest.skip(f"PyTorch has no {name}")
