"""Optimizers: state between steps, arithmetic in ``fastml.ops``."""

from .sgd import SGD

__all__ = ["SGD"]
