"""The gate for the scalers' passes over a matrix: the error texts."""


def refuse_matrix(x, order="contiguous"):
    raise ValueError(f"x must be a {order} matrix of float32 or float64, not {x.dtype} of shape {x.shape}")


def refuse_vector(name, n):
    raise ValueError(f"{name} must be {n} contiguous float64 elements")


def refuse_result(x):
    raise ValueError(f"y must be writable and laid out as x, {x.dtype} of shape {x.shape}")
