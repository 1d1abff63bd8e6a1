"""The affine map of a fully connected layer and its gradient.

Formula and argument order: torch.nn.functional.linear; gradient: Goodfellow, Bengio, Courville, "Deep
Learning" (2016), section 6.5.6, https://www.deeplearningbook.org.
"""

import numpy as np

from . import activations
from ._arrays import as_float64s, as_vector, check_out, finish

#: The functions of activations.py that have a gradient, by their names, and GELU's other form.
_ACTIVATIONS = {
    name: function for name, function in vars(activations).items() if f"{name}_backward" in vars(activations)
}
_ACTIVATIONS["gelu_tanh"] = lambda y: activations.gelu(y, approximate="tanh")


def _check_features(x, weight):
    if weight.ndim != 2:
        raise ValueError(f"weight must have shape (out, in), not {weight.shape}")
    if x.ndim == 0 or x.shape[-1] != weight.shape[1]:
        raise ValueError(f"x must have shape (..., {weight.shape[1]}) for weight {weight.shape}, not {x.shape}")


def linear(x, weight, bias=None, *, activation=None, out=None):
    """y = x W^T + b and the activation of that name behind it; x is (..., in), weight (out, in)."""
    x64, w, dtype = as_float64s(x=x, weight=weight)
    _check_features(x64, w)
    b = np.zeros(len(w)) if bias is None else as_vector(bias, "bias", len(w))
    if activation is not None and not (isinstance(activation, str) and activation in _ACTIVATIONS):
        raise ValueError(f"activation must be None or one of {list(_ACTIVATIONS)}, not {activation!r}")
    check_out(out, (*x64.shape[:-1], len(w)), dtype, x=x, weight=weight, bias=bias)
    with np.errstate(all="ignore"):
        y = x64 @ w.T + b
        if activation is not None:
            y = _ACTIVATIONS[activation](y)
    return finish(y, dtype, out)


def linear_backward(grad, x, weight, *, input_grad=True):
    """dx = grad W, dW = grad^T x and db = sum grad, the last two over all leading axes; dx only with input_grad."""
    grad64, x64, w, dtype = as_float64s(grad=grad, x=x, weight=weight)
    _check_features(x64, w)
    if grad64.shape != (*x64.shape[:-1], len(w)):
        raise ValueError(f"grad must have shape {(*x64.shape[:-1], len(w))}, not {grad64.shape}")
    rows = int(np.prod(x64.shape[:-1]))
    g, a = grad64.reshape(rows, len(w)), x64.reshape(rows, w.shape[1])
    with np.errstate(all="ignore"):
        dx = finish((g @ w).reshape(x64.shape), dtype) if input_grad else None
        return dx, finish(g.T @ a, dtype), finish(np.ascontiguousarray(g.T).sum(axis=1), dtype)
