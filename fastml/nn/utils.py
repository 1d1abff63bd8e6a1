"""PyTorch's names for bounds of the gradients of parameters."""

from .. import _check
from ..ops.clip import clip_grad_norm, clip_grad_value


def clip_grad_norm_(parameters, max_norm):
    """:func:`fastml.clip_grad_norm` of the gradients of ``model.parameters()``; returns the norm before.

    Source: ``torch.nn.utils.clip_grad_norm_``.

    >>> import numpy as np
    >>> from fastml import nn
    >>> p = nn.Parameter(np.zeros(2))
    >>> p.grad = np.array([3.0, 4.0])
    >>> nn.utils.clip_grad_norm_([p], 1.0), p.grad.round(5).tolist()
    (5.0, [0.6, 0.8])
    """
    return clip_grad_norm(_grads(parameters), max_norm)


def clip_grad_value_(parameters, clip_value):
    """:func:`fastml.clip_grad_value` of the gradients of ``model.parameters()``.

    Source: ``torch.nn.utils.clip_grad_value_``.

    >>> import numpy as np
    >>> from fastml import nn
    >>> p = nn.Parameter(np.zeros(2))
    >>> p.grad = np.array([3.0, -0.5])
    >>> nn.utils.clip_grad_value_([p], 1.0)
    >>> p.grad.tolist()
    [1.0, -0.5]
    """
    clip_grad_value(_grads(parameters), clip_value)


def _grads(parameters):
    """The gradients of one parameter or of many, without those that have none."""
    parameters = [parameters] if hasattr(parameters, "grad") else parameters
    parameters = _check.each(parameters, "parameters")
    for i, p in enumerate(parameters):
        if not hasattr(p, "grad"):
            raise TypeError(f"parameters[{i}] must be a Parameter, not {type(p).__name__}")
    return [p.grad for p in parameters if p.grad is not None]
