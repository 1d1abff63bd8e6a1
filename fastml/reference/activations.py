"""Activation functions and their gradients.

Rectified linear unit: Nair, Hinton, "Rectified linear units improve restricted Boltzmann machines" (ICML 2010).
"""

import numpy as np

from ._arrays import as_float64, as_float64s, check_out, check_same_shape, finish


def relu(x, *, out=None):
    """y = max(x, 0); NaN stays NaN."""
    x64, dtype = as_float64(x, "x")
    check_out(out, x64.shape, dtype, x=x)
    return finish(np.where(x64 <= 0, 0, x64), dtype, out)


def relu_backward(grad, x, *, out=None):
    """dx = grad where x > 0 or x is NaN, otherwise 0 (so also at x = 0), as PyTorch has it."""
    grad64, x64, dtype = as_float64s(grad=grad, x=x)
    check_same_shape(grad64, "grad", x64, "x")
    check_out(out, grad64.shape, dtype, grad=grad, x=x)
    return finish(np.where(x64 <= 0, 0, grad64), dtype, out)
