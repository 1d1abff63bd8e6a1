"""The gate for linear: the shapes of x (..., in), weight (out, in), bias (out,) and grad (..., out)."""


def refuse(x, weight):
    """Why these shapes do not fit each other."""
    if len(weight) != 2:
        raise ValueError(f"weight must have the shape (out, in), not {weight}")
    raise ValueError(f"x must have the shape (..., {weight[1]}) for a weight of shape {weight}, not {x}")


def check_activation(activation):
    if not (isinstance(activation, str) and activation == "relu"):
        raise ValueError(f"activation must be None or 'relu', not {activation!r}")
