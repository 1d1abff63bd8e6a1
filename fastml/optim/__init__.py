"""Optimizers, their schedules and what goes with them: state between steps, arithmetic in ``fastml.ops``."""

from .accumulate import Accumulate
from .adagrad import Adagrad
from .adam import Adam, AdamW
from .ema import EMA
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
    "MultiStepLR",
    "OneCycleLR",
    "RMSprop",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
]
