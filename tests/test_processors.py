"""Which targets a processor runs: asked of CPUID by src_c/dispatch.c, with the answer of the compiler's library."""

import platform
import shutil
import subprocess

import pytest

from .common import ROOT

#: Processors of the emulator and what they run. With a feature taken away, what needs it must go; without AVX-512's
#: registers saved (qemu saves none) there is no v4.
PROCESSORS = {
    "Nehalem": "baseline",
    "SandyBridge": "baseline",
    "Haswell": "v3 baseline",
    "Haswell,-fma": "baseline",
    "Haswell,-bmi2": "baseline",
    "Haswell,-avx2": "baseline",
    "Haswell,-xsave": "baseline",
    "Skylake-Server": "v3 baseline",
}


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    compiler = shutil.which("gcc")
    if platform.machine() != "x86_64" or not compiler:
        pytest.skip("needs gcc on x86-64")
    made = tmp_path_factory.mktemp("processors") / "program"
    sources = [ROOT / "tests/c/processors.c", ROOT / "src_c/dispatch.c"]
    subprocess.run([compiler, "-std=gnu11", "-O2", "-I", ROOT / "src_c", *sources, "-static", "-o", made], check=True)
    return made


def answers(*command):
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return [answer.strip() for answer in done.stdout.split("=")]


def test_this_processor(program):
    ours, library = answers(program)
    assert ours == library


@pytest.mark.parametrize("processor", PROCESSORS)
def test_a_processor_of_the_emulator(program, processor):
    emulator = shutil.which("qemu-x86_64")
    if not emulator:
        pytest.skip("needs qemu-x86_64")
    assert answers(emulator, "-cpu", processor, program) == [PROCESSORS[processor]] * 2
