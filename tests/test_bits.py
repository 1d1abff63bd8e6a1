"""The primitives alone, in C: NEON gives the bits of AVX2, and Windows those of Linux (cross-compiled and run in an
emulator, where both are at hand), and nothing underflows that was not asked for."""

import importlib.util
import os
import platform
import shutil
import subprocess
import sys

import pytest

from fastml import _simd

from .common import ROOT
from .processes import NIGHTLY

FLAGS = ["-O2", "-std=gnu11", "-ffp-contract=off", "-fno-math-errno", "-fno-strict-aliasing", "-I", str(ROOT / "src_c")]
TARGETS = {
    "v4": ["-mavx512f", "-mavx512dq", "-mavx512bw", "-mavx512vl", "-mavx2", "-mfma", "-mbmi2"],
    "v3": ["-mavx2", "-mfma", "-mbmi2"],
    "baseline": ["-Os"],
    "neon": [],
}


def lines(folder, program, target, compiler, emulator=()):
    """What tests/c/<program>.c prints for one target."""
    made = folder / f"{target}.exe"
    sources = [ROOT / f"tests/c/{program}.c", ROOT / "src_c/curves.c", ROOT / f"src_c/target_{target}.c"]
    define = f"-DBITS_TARGET=fm_target_{target}"
    compiler = [compiler] if isinstance(compiler, str) else compiler
    subprocess.run([*compiler, *FLAGS, *TARGETS[target], define, *sources, "-static", "-lm", "-o", made], check=True)
    return subprocess.run([*emulator, made], check=True, capture_output=True, text=True).stdout.splitlines()


@pytest.mark.skipif(
    platform.machine() != "x86_64" or "v3" not in _simd.available_targets(), reason="needs an x86-64 with AVX2 and FMA"
)
def test_neon_gives_the_bits_of_avx2(tmp_path):
    cross, emulator, native = map(shutil.which, ("aarch64-linux-gnu-gcc", "qemu-aarch64", "gcc"))
    if not (cross and emulator and native):
        pytest.skip("needs gcc, aarch64-linux-gnu-gcc and qemu-aarch64")
    avx2 = lines(tmp_path, "bits", "v3", native)
    neon = lines(tmp_path, "bits", "neon", cross, [emulator])
    assert len(avx2) > 100 and len({line.split()[-1] for line in avx2}) > 50
    assert [pair for pair in zip(avx2, neon, strict=True) if pair[0] != pair[1]] == []


@pytest.fixture(scope="module")
def wine(tmp_path_factory):
    """How a program for Windows is called."""
    if not shutil.which("wine") or importlib.util.find_spec("ziglang") is None:
        pytest.skip("needs wine and ziglang")
    return ["env", "WINEDEBUG=-all", f"WINEPREFIX={tmp_path_factory.mktemp('wine')}", "wine"]


@pytest.mark.skipif(platform.machine() != "x86_64" or os.name != "posix", reason="needs x86-64, and not Windows")
@pytest.mark.parametrize("target", ["v3", "v4", "baseline"])
def test_windows_gives_the_bits_of_linux(tmp_path, wine, target):
    if target != "v3" and not NIGHTLY:
        pytest.skip("half a minute, for FASTML_NIGHTLY=1")
    native = shutil.which("gcc")
    if not native or target not in _simd.available_targets():
        pytest.skip(f"needs gcc and a processor that runs {target}")
    linux = lines(tmp_path, "bits", target, native)
    zig = [sys.executable, "-m", "ziglang", "cc", "-target", "x86_64-windows-gnu"]
    assert len(linux) > 100 and lines(tmp_path, "bits", target, zig, wine) == linux


@pytest.mark.skipif(platform.machine() != "x86_64", reason="reads the flags of x86-64")
@pytest.mark.parametrize("target", ["v4", "v3", "baseline"])
def test_ordinary_numbers_never_underflow(tmp_path, target):
    """Neither in a row's padding, nor where a masked entry's result is 0, nor where a function is constant."""
    native = shutil.which("gcc")
    if not native or target not in _simd.available_targets():
        pytest.skip(f"needs gcc and a processor that runs {target}")
    assert lines(tmp_path, "flags", target, native) == []
