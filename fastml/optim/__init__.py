"""Optimizers, their schedules and what goes with them: state between steps, arithmetic in ``fastml.ops``.

Every optimizer takes ``params``: ``model.parameters()`` or arrays (float32 or float64, written in place), or groups of
them with options of their own, ``[{"params": weights, "weight_decay": 0.01}, {"params": biases}]``. ``step()`` takes
each parameter's ``grad`` and passes over those that have none; ``step(grads)`` takes a list with one array (or None)
per parameter. The options are attributes that may be set between steps: ``opt.lr = 0.01`` of all groups,
``opt.param_groups[0]["lr"] = 0.01`` of one. An optimizer is one thread's at a time, with the parameters that it moves.

An optimizer raises ValueError for no parameters, one that stands twice, that shares memory with another or is
read-only, and TypeError for anything that is no parameter or array.
"""

from .. import _threads as _threads  # first: it waits while another thread imports fastml itself
from .accumulate import Accumulate
from .adagrad import Adagrad
from .adam import Adam, AdamW
from .ema import EMA
from .lion import Lion
from .one_cycle import OneCycleLR
from .rmsprop import RMSprop
from .scaler import GradScaler
from .schedules import CosineAnnealingLR, LinearWarmup, MultiStepLR, ReduceLROnPlateau, SequentialLR, StepLR
from .sgd import SGD

__all__ = [
    "EMA",
    "SGD",
    "Accumulate",
    "Adagrad",
    "Adam",
    "AdamW",
    "CosineAnnealingLR",
    "GradScaler",
    "LinearWarmup",
    "Lion",
    "MultiStepLR",
    "OneCycleLR",
    "RMSprop",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
]
