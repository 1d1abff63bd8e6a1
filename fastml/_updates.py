"""The gate for optimizers: lists of arrays, options that go together, and the error texts."""


def refuse_arrays(arrays, name, count):
    """Why this is no list of arrays, or (count >= 0) not of so many."""
    if not isinstance(arrays, (list, tuple)):
        raise TypeError(f"{name} must be a list of arrays, not {type(arrays).__name__}")
    raise ValueError(f"{name} must have one array for each of params, {count}, not {len(arrays)}")


def refuse_missing(name, option):
    raise ValueError(f"{name} must be a list of arrays where {option} is in use, not None")


def refuse_nesterov():
    raise ValueError("nesterov must be False without momentum > 0 or with a dampening, not True")


def pair(betas):
    """(beta1, beta2), whatever they are."""
    if not isinstance(betas, (tuple, list)):
        raise TypeError(f"betas must be a pair of numbers, not {type(betas).__name__}")
    if len(betas) != 2:
        raise ValueError(f"betas must be a pair of numbers, not {len(betas)} of them")
    return tuple(betas)
