"""Tries the installed wheel and prints one row of a table; exit status 1 where a check failed.

    python tools/wheel_checks.py --head                           the table's head
    python tools/wheel_checks.py [--short] BUILT.whl REPAIRED.whl

It runs in an environment that the wheel is installed in, in a folder that holds tests/ and src_c/ but no package
(tools/build_wheels.sh makes both); what fails is shown on stderr.
"""

import os
import platform
import re
import statistics
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

HEAD = ("wheel", "built", "repaired", "Python", "NumPy", "import", "info", "verify", "train", "libgomp", "tests", "ms")
FASTML = [str(Path(sysconfig.get_path("scripts"), "fastml"))]
MODULES = "fastml, fastml.cli.main, fastml.data, fastml.metrics, fastml.nn, fastml.optim, fastml.preprocessing"

#: The runtime in use is the wheel's own, and the only one here; a free-threaded interpreter stays so; and no module
#: looks for libraries where the interpreter lay that it was built with.
LIBGOMP = """
import os, re, sys
from pathlib import Path
import numpy as np, fastml
x = np.ones((2000, 1000), np.float32)
with fastml.num_threads(2):
    fastml.softmax(x)
maps = open("/proc/self/maps").read()
found = set(re.findall(r"\\S*/libgomp\\S*", maps))
assert len(found) == 1 and "fastml_kernels.libs/libgomp-" in found.pop(), found
assert getattr(sys, "_is_gil_enabled", lambda: True)() == {gil}
for path in Path(fastml.__file__).parent.rglob("*.so"):
    assert sys.base_prefix == "/usr" or sys.base_prefix.encode() not in path.read_bytes(), path
"""


class Failed(Exception):
    pass


def run(*command, **options):
    done = subprocess.run(command, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True, **options)
    if done.returncode != 0:
        raise Failed(f"{' '.join(command)}\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
    return done.stdout


def python(code, *flags):
    return run(sys.executable, "-P", *flags, "-c", code)


def imports(short):
    python(f"import {MODULES}", "-W", "error")


def info(short):
    if "libgomp" not in run(*FASTML, "info"):
        raise Failed("fastml info tells of no libgomp")


def verify(short):
    told = run(*FASTML, "verify", *(["--threads", "1", "2"] if short else []))
    if "results as promised" not in told:
        raise Failed(told)


def train(short):
    with tempfile.TemporaryDirectory() as folder:
        run(*FASTML, "train", "--epochs", "3", "--save", "model.safetensors", cwd=folder)
        if not Path(folder, "model.safetensors").stat().st_size:
            raise Failed("fastml train saved an empty file")


def libgomp(short):
    python(LIBGOMP.format(gil=not sysconfig.get_config_var("Py_GIL_DISABLED")))


def tests(short):
    """The contract over all functions, threads and fork, other libraries' OpenMP beside, sixteen threads at once."""
    files = ["tests/test_threads.py", "tests/test_beside.py", "tests/test_contract.py"]
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        files += ["tests/test_free_threading.py", "tests/test_free_threading_shared.py"]
    chosen = ["-k", "not test_contract or test_shapes"] if short else []
    options = ["-q", "--import-mode=importlib", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", "."]
    told = run(sys.executable, "-P", "-m", "pytest", *options, *files, *chosen)
    return re.search(r"\d+ passed.*(?= in )", told.splitlines()[-1])[0]


def milliseconds():
    """What the import of fastml takes after NumPy's, and that of NumPy; medians of fresh interpreters."""
    clock = "from time import perf_counter as c; t = c(); import numpy; u = c(); import fastml; print(c() - u, u - t)"
    times = [map(float, python(clock).split()) for _ in range(9)]
    return " + ".join(f"{1e3 * statistics.median(column):.0f}" for column in zip(*times, strict=True))


def row(short, built, repaired):
    """The cells of the row, and whether all passed."""
    import numpy

    passed = True
    free = "t" if sysconfig.get_config_var("Py_GIL_DISABLED") else ""
    sizes = [f"{Path(wheel).stat().st_size:,}".replace(",", " ") for wheel in (built, repaired)]
    cells = [Path(repaired).stem.split("-", 2)[2], *sizes, platform.python_version() + free, numpy.__version__]
    for check in (imports, info, verify, train, libgomp, tests):
        try:
            cells.append(check(short) or "ok")
        except Failed as problem:
            print(f"{check.__name__}: {problem}", file=sys.stderr)
            cells.append("FAILED")
            passed = False
    return [*cells, milliseconds() if passed else ""], passed


def main(arguments):
    if arguments == ["--head"]:
        print(f"| {' | '.join(HEAD)} |\n|{' --- |' * len(HEAD)}")
        return 0
    short = "--short" in arguments
    cells, passed = row(short, *(a for a in arguments if a != "--short"))
    print(f"| {' | '.join(cells)} |", flush=True)
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
