"""Optimizers: state between steps, arithmetic in ``fastml.ops``."""

from .adam import Adam, AdamW
from .sgd import SGD

__all__ = ["SGD", "Adam", "AdamW"]
