"""Seeds of data sets and batches."""

import numpy as np

from .._check import seed as checked


def seed_of(seed):
    """A seed as an int; None takes one from the operating system."""
    if seed is None:
        return int(np.random.SeedSequence().generate_state(1, np.uint64)[0])
    return checked(seed, " or None")
