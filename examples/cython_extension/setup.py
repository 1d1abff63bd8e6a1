"""Two extensions on fastml's C interface: `attention` in Cython and `plain` in C.

    pip install cython setuptools
    python setup.py build_ext --inplace && python run.py

Nothing of fastml is linked: each finds it when it is imported. OpenMP is for Cython's prange alone, which is a plain
loop without it.
"""

import sys

from Cython.Build import cythonize
from setuptools import Extension, setup

from fastml.capi import get_include

OPENMP = {"linux": ["-fopenmp"], "win32": ["/openmp"]}.get(sys.platform, [])

setup(
    name="fastml-example",
    py_modules=[],
    ext_modules=cythonize(
        [
            Extension(
                "attention",
                ["attention.pyx"],
                include_dirs=[get_include()],
                extra_compile_args=OPENMP,
                extra_link_args=OPENMP,
            ),
            Extension("plain", ["plain.c"], include_dirs=[get_include()]),
        ],
        language_level=3,
    ),
)
