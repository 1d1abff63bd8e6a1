"""NEON gives the bits of AVX2: the primitives cross-compiled and run in an emulator, where both are at hand."""

import platform
import shutil
import subprocess

import pytest

from fastml import _simd

from .common import ROOT

FLAGS = ["-O2", "-std=gnu11", "-ffp-contract=off", "-fno-math-errno", "-fno-strict-aliasing", "-I", str(ROOT / "src_c")]


def lines(folder, target, compiler, flags, emulator):
    """What tests/c/bits.c prints for one target."""
    program = folder / target
    sources = [ROOT / "tests/c/bits.c", ROOT / "src_c/curves.c", ROOT / f"src_c/target_{target}.c"]
    command = [compiler, *FLAGS, *flags, f"-DBITS_TARGET=fm_target_{target}", *sources, "-static", "-lm", "-o", program]
    subprocess.run(command, check=True)
    done = subprocess.run([*emulator, program], check=True, capture_output=True, text=True)
    return done.stdout.splitlines()


@pytest.mark.skipif(
    platform.machine() != "x86_64" or "v3" not in _simd.available_targets(), reason="needs an x86-64 with AVX2 and FMA"
)
def test_neon_gives_the_bits_of_avx2(tmp_path):
    cross, emulator, native = map(shutil.which, ("aarch64-linux-gnu-gcc", "qemu-aarch64", "gcc"))
    if not (cross and emulator and native):
        pytest.skip("needs gcc, aarch64-linux-gnu-gcc and qemu-aarch64")
    avx2 = lines(tmp_path, "v3", native, ["-mavx2", "-mfma", "-mbmi2"], [])
    neon = lines(tmp_path, "neon", cross, [], [emulator])
    assert len(avx2) > 100 and len({line.split()[2] for line in avx2}) > 50
    assert [pair for pair in zip(avx2, neon, strict=True) if pair[0] != pair[1]] == []
