"""A build says what it works with; one that cannot be says last, in one line, what must be installed."""

import importlib.util
import os
import re
import subprocess
import sys

import pytest

from .common import ROOT

PATH = ROOT / "tools/advice.py"
if not PATH.exists():
    pytest.skip("the sources are not here", allow_module_level=True)
_spec = importlib.util.spec_from_file_location("advice", PATH)
advice = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(advice)

#: setup.py build_ext with nothing to translate and nothing that stays: what fails here fails before the first module.
RUN = """
import runpy, sys
{before}
import Cython.Build
Cython.Build.cythonize = lambda extensions, **options: extensions[1:]
sys.argv = ["setup.py", "build_ext", "--build-temp", {folder!r}, "--build-lib", {folder!r}]
sys.path.insert(0, ".")
runpy.run_path("setup.py", run_name="__main__")
"""
#: A compiler that finds no header of Python, and a build_ext that does not know their folder.
WITHOUT = """#!/bin/sh
for word; do case $word in *.c) grep -q Python.h "$word" && exit 1 ;; esac; done
exec cc "$@"
"""
MOVED = """
from setuptools.command.build_ext import build_ext
ready = build_ext.finalize_options
build_ext.finalize_options = lambda self: (ready(self), setattr(self, "include_dirs", []))
"""


def build(tmp_path, before="", **environment):
    """The exit code and the lines of a build that ends in an error."""
    pytest.importorskip("Cython")
    if int(re.match(r"\d+", pytest.importorskip("setuptools").__version__).group()) < 77:
        pytest.skip("an old setuptools")
    code = RUN.format(before=before, folder=str(tmp_path / "build"))
    command = [sys.executable, "-c", code]
    env = {**os.environ, **environment}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=120)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, (done.stdout + done.stderr).splitlines()


@pytest.mark.skipif(sys.platform == "win32", reason="setuptools finds Microsoft's compiler, whatever CC says")
@pytest.mark.parametrize("compiler", ["false", "/nowhere/gcc"])
def test_no_compiler(tmp_path, compiler):
    code, lines = build(tmp_path, CC=compiler)
    assert code == 1 and lines[-1] == f"error: {advice.no_compiler(compiler, sys.platform)}"
    assert not [line for line in lines if "OpenMP" in line], "what is missing is the compiler"


@pytest.mark.skipif(sys.platform == "win32", reason="a shell script")
def test_no_headers(tmp_path):
    script = tmp_path / "cc"
    script.write_text(WITHOUT)
    script.chmod(0o755)
    code, lines = build(tmp_path, MOVED, CC=str(script))
    assert code == 1 and lines[-1] == f"error: {advice.no_headers(sys.version_info, sys.platform)}"


def test_no_kernels_for_the_processor(tmp_path):
    code, lines = build(tmp_path, _PYTHON_HOST_PLATFORM="linux-riscv64")
    assert (code, lines[-1]) == (1, f"error: {advice.no_processor('riscv64', ['x86_64', 'aarch64'])}")


def test_an_old_python(tmp_path):
    code, lines = build(tmp_path, "sys.version_info = (3, 10, 4)")
    assert code == 1
    assert lines[-1].startswith("error: fastml needs Python 3.11 or later, and this is 3.10: ")


@pytest.mark.parametrize("name", ["setuptools.modified", "numpy"])
def test_old_tools(tmp_path, name):
    code, lines = build(tmp_path, f"sys.modules[{name!r}] = None")
    assert (code, lines[-1]) == (1, f"error: {advice.no_tools(name)}")


def test_what_is_told_is_what_the_project_says():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert f"requires = [{advice.NEEDS.replace(' ', ', ')}]" in text
    assert 'requires-python = ">={}.{}"'.format(*advice.OLDEST) in text
    assert advice.old_python(advice.OLDEST) is None


def test_every_system_has_its_command():
    for system in ("linux", "darwin", "win32", "freebsd14"):
        assert re.search(r"install|apk|apt", advice.no_compiler("cc", system))
        assert "install" in advice.no_headers((3, 11), system)
