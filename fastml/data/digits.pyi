import numpy as np
from numpy.typing import NDArray

def load_digits() -> tuple[NDArray[np.float32], NDArray[np.int64]]: ...
