"""The C interface: fastml's primitives, random numbers and thread gate for extensions in Cython, C and C++.

`docs/cython.md` describes it, `examples/cython_extension` uses it. An extension finds `fastml.h` by

    Extension(…, include_dirs=[fastml.capi.get_include()])
"""

from pathlib import Path

from .. import _openmp

__all__ = ["get_include"]

# What fastml.h looks for.
_API = _openmp.capsule


def get_include() -> str:
    """The folder of fastml.h, for a compiler's search path.

    >>> import os, fastml
    >>> os.listdir(fastml.capi.get_include()).count("fastml.h")
    1
    """
    return str(Path(__file__).parent)
