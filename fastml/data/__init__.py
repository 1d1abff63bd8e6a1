"""Data sets and mini-batches."""

from .digits import load_digits
from .minibatches import Batches, batches, split

__all__ = ["Batches", "batches", "load_digits", "split"]
