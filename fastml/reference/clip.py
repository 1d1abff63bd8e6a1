"""Bounding the norm of gradients.

Formula: Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks" (ICML 2013), with
the factor of torch.nn.utils.clip_grad_norm_.
"""

import numpy as np

from ._arrays import check_range, check_updated, finish


def clip_grad_norm(grads, max_norm):
    """norm = sqrt(sum of g^2 over all arrays); grads = grads * min(1, max_norm / (norm + 1e-6)); return norm."""
    max_norm = check_range(max_norm, "max_norm", 0)
    if not isinstance(grads, (list, tuple)):
        raise TypeError(f"grads must be a list of arrays, got {type(grads).__name__}")
    for i, g in enumerate(grads):
        check_updated(g, f"grads[{i}]")
    with np.errstate(all="ignore"):
        norm = np.sqrt(sum(np.sum(g.astype(np.float64) ** 2) for g in grads))
        factor = max_norm / (norm + 1e-6)
        if not factor >= 1:
            for g in grads:
                finish(g.astype(np.float64) * factor, g.dtype, g)
    return float(norm)
