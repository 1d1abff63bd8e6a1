"""Optimizers: state between steps, arithmetic in ``fastml.ops``."""

from .adagrad import Adagrad
from .adam import Adam, AdamW
from .ema import EMA
from .rmsprop import RMSprop
from .sgd import SGD

__all__ = ["EMA", "SGD", "Adagrad", "Adam", "AdamW", "RMSprop"]
