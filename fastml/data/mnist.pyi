import numpy as np
from numpy.typing import NDArray

from .._typing import Path

def load_mnist(
    folder: Path,
) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.uint8], NDArray[np.int64]]: ...
