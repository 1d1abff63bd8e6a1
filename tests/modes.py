"""The processor's floating-point modes, to run code in."""

import contextlib
import ctypes
import functools
import os
import platform
import shutil
import subprocess
import tempfile

import pytest

from .processes import ROOT

X86 = platform.machine() in ("x86_64", "AMD64")
FULL = 0x1F80 if X86 else 0
#: MXCSR's and FPCR's: the default, which some kernels leave; flush-to-zero with denormals-are-zero; the other ways of
#: rounding. On x86 also each of the two by itself, and all exceptions unmasked but "inexact", which Python's own
#: arithmetic raises.
MODES = (
    {"full": FULL, "flush": 0x9FC0, "up": 0x5F80, "down": 0x3F80, "to zero": 0x7F80}
    | {"ftz": 0x9F80, "daz": 0x1FC0, "traps": 0x1000}
    if X86
    else {"full": FULL, "flush": 1 << 24, "up": 1 << 22, "down": 2 << 22, "to zero": 3 << 22}
)

every_mode = pytest.mark.parametrize("mode", MODES)


@functools.cache
def environment():
    """tests/c/environment.c, built."""
    compiler = shutil.which((os.environ.get("CC") or "cc").split()[-1])
    if compiler is None:
        pytest.skip("needs a C compiler")
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/environment.so"
        command = [compiler, "-O1", "-fopenmp", "-shared", "-fPIC", str(ROOT / "tests/c/environment.c"), "-o", path]
        if subprocess.run(command, check=False, capture_output=True).returncode:
            pytest.skip("the C compiler has no OpenMP")
        library = ctypes.CDLL(path)
    for function in (library.set_modes, library.modes_are):
        function.argtypes = (ctypes.c_ulong, ctypes.c_ulong, ctypes.c_int)
    library.get_mode.restype = ctypes.c_ulong
    return library


@contextlib.contextmanager
def in_mode(name, threads=1):
    """This thread and its team's workers in a mode; they must be in it at the end. (libgomp lets workers go that a
    smaller team does not need.)"""
    library, mode = environment(), MODES[name]
    workers = mode if name != "traps" else MODES["flush"]
    library.set_modes(mode, workers, threads)
    try:
        if library.get_mode() != mode:
            pytest.skip("this processor has no such mode")
        yield
        assert library.modes_are(mode, workers, threads), "another mode came back"
    finally:
        library.set_modes(FULL, FULL, threads)
