"""What the benchmarks of updates share: lists of arrays, PyTorch's side, the check of the first step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .common import assert_close, normal, to_numpy

# A small transformer: a table of embeddings, the layers' matrices, and their biases and norms beside them; a head
# of two outputs. 60 arrays, 1.2 million elements.
WIDTH = 128
BLOCK = [(3 * WIDTH, WIDTH), (3 * WIDTH,), (WIDTH, WIDTH), (WIDTH,), (WIDTH,), (WIDTH,), (WIDTH,), (WIDTH,)]
BLOCK += [(4 * WIDTH, WIDTH), (4 * WIDTH,), (WIDTH, 4 * WIDTH), (WIDTH,), (2,), (2,)]
SIXTY = [(3200, WIDTH), (64, WIDTH), *BLOCK * 4, (2, WIDTH), (2,)]


def moved(shapes: list[tuple[int, ...]], dtype: str, times: int) -> int:
    """Bytes of an update that reads or writes so many arrays of each shape."""
    return times * sum(int(np.prod(shape)) for shape in shapes) * np.dtype(dtype).itemsize


def torch_parameters(values: list[np.ndarray], grads: list[np.ndarray]) -> list:
    """PyTorch's parameters with copies of these values and gradients."""
    import torch

    params = [torch.nn.Parameter(torch.from_numpy(a.copy())) for a in values]
    for param, grad in zip(params, grads, strict=True):
        param.grad = torch.from_numpy(grad.copy())
    return params


class Lists:
    """Parameters and gradients of these shapes."""

    def __init__(self, shapes: list[tuple[int, ...]], dtype: str):
        self.dtype = dtype
        self.params = [normal(shape, dtype, seed=2 * i) for i, shape in enumerate(shapes)]
        self.grads = [normal(shape, dtype, seed=2 * i + 1) for i, shape in enumerate(shapes)]

    def copies(self) -> list[np.ndarray]:
        return [a.copy() for a in self.params]

    def zeros(self) -> list[np.ndarray]:
        return [np.zeros_like(a) for a in self.params]

    def torch(self, optimizer: str, **options: Any) -> Callable[[], Callable[[], list]]:
        """The builder of a step of one of PyTorch's optimizers."""

        def build() -> Callable[[], list]:
            import torch

            params = torch_parameters(self.params, self.grads)
            step = getattr(torch.optim, optimizer)(params, **options).step

            def call() -> list:
                step()
                return params

            return call

        return build

    def check(self, update: Callable[[np.ndarray, np.ndarray], None]) -> Callable[[list, str], None]:
        """The check of the first step: ``update(p, g)`` is the reference's, in place, with states of its own."""

        def check(result: list, peer: str) -> None:
            for i in {0, len(self.params) - 1}:
                p, g = (arrays[i].ravel()[-4096:].astype("float64") for arrays in (self.params, self.grads))
                update(p, g)
                assert_close(to_numpy(result[i]).ravel()[-4096:], p, self.dtype, peer)

        return check
