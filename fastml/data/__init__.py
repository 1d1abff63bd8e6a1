"""Data sets, their files, and mini-batches."""

from .. import _threads as _threads  # first: it waits while another thread imports fastml itself
from .digits import load_digits
from .idx import read_idx, write_idx
from .minibatches import Batches, batches, split
from .mnist import load_mnist
from .synthetic import make_blobs, make_circles, make_gaussians, make_moons, make_spirals, make_xor

__all__ = [
    "Batches",
    "batches",
    "load_digits",
    "load_mnist",
    "make_blobs",
    "make_circles",
    "make_gaussians",
    "make_moons",
    "make_spirals",
    "make_xor",
    "read_idx",
    "split",
    "write_idx",
]
