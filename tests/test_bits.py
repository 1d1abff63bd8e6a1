"""The primitives alone, in C: NEON gives the bits of AVX2 (cross-compiled and run in an emulator, where both are at
hand), and nothing underflows that was not asked for."""

import platform
import shutil
import subprocess

import pytest

from fastml import _simd

from .common import ROOT

FLAGS = ["-O2", "-std=gnu11", "-ffp-contract=off", "-fno-math-errno", "-fno-strict-aliasing", "-I", str(ROOT / "src_c")]
TARGETS = {
    "v4": ["-mavx512f", "-mavx512dq", "-mavx512bw", "-mavx512vl", "-mavx2", "-mfma", "-mbmi2"],
    "v3": ["-mavx2", "-mfma", "-mbmi2"],
    "baseline": ["-Os"],
    "neon": [],
}


def lines(folder, program, target, compiler, emulator=()):
    """What tests/c/<program>.c prints for one target."""
    made = folder / target
    sources = [ROOT / f"tests/c/{program}.c", ROOT / "src_c/curves.c", ROOT / f"src_c/target_{target}.c"]
    define = f"-DBITS_TARGET=fm_target_{target}"
    subprocess.run([compiler, *FLAGS, *TARGETS[target], define, *sources, "-static", "-lm", "-o", made], check=True)
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


@pytest.mark.skipif(platform.machine() != "x86_64", reason="reads the flags of x86-64")
@pytest.mark.parametrize("target", ["v4", "v3", "baseline"])
def test_ordinary_numbers_never_underflow(tmp_path, target):
    """Neither in a row's padding, nor where a masked entry's result is 0, nor where a function is constant."""
    native = shutil.which("gcc")
    if not native or target not in _simd.available_targets():
        pytest.skip(f"needs gcc and a processor that runs {target}")
    assert lines(tmp_path, "flags", target, native) == []
