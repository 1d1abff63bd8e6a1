from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from .._typing import Reals

_Points: TypeAlias = tuple[NDArray[np.float32], NDArray[np.int64]]

def make_spirals(n: int, noise: float | None = 0.1, seed: int | None = 0, *, classes: int = 2) -> _Points: ...
def make_moons(n: int, noise: float | None = 0.1, seed: int | None = 0) -> _Points: ...
def make_circles(n: int, noise: float | None = 0.05, seed: int | None = 0, *, factor: float = 0.8) -> _Points: ...
def make_blobs(
    n: int,
    centers: int | Reals = 3,
    cluster_std: Reals = 1.0,
    seed: int | None = 0,
    *,
    center_box: tuple[float, float] = (-10.0, 10.0),
) -> _Points: ...
def make_xor(n: int, noise: float | None = 0.1, seed: int | None = 0) -> _Points: ...
def make_gaussians(n: int, noise: float | None = 0.1, seed: int | None = 0) -> _Points: ...
