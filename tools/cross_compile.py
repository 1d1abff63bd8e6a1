"""Compiles fastml for macOS and Windows, without either: zig's clang (``pip install ziglang``) has their C headers.

``python tools/cross_compile.py`` takes src_c and those of Cython's files that ask most of a system; ``--all`` takes all
files, and the targets of x86-64 for macOS besides Windows. Warnings are errors. Nothing is linked, and nothing
optimized, as only the compiler's word is asked.

NumPy's and Python's headers are those of this interpreter. What configures them is written here, with Windows' sizes:
its long has 32 bits. So are the few declarations of OpenMP's.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import compilers
import numpy

ROOT = Path(__file__).parent.parent
SYSTEMS = {
    "x86_64-windows-gnu": compilers.Compiler("zig", "win32", "x86_64"),
    "x86_64-macos": compilers.Compiler("zig", "darwin", "x86_64"),
    "aarch64-macos": compilers.Compiler("zig", "darwin", "aarch64"),
}
#: OpenMP's regions, memory from the system, the primitives' table, the step's structs.
FIRST = ["_openmp", "_simd", "_kernels/one_hot", "_kernels/softmax", "_kernels/step/program", "_kernels/step/caller"]
WARNINGS = ["-Wall", "-Wextra", "-Werror", "-O0"]
GLUE_WARNINGS = ["-Wall", "-Werror", "-Wno-unused-function", "-O0"]  # Cython's files have unused arguments
NUMPY = ["-DNPY_NO_DEPRECATED_API=NPY_1_25_API_VERSION", "-DNPY_TARGET_VERSION=NPY_1_25_API_VERSION"]

PYCONFIG = """\
#define MS_WINDOWS
#define MS_WIN64
#define NT_THREADS
#define HAVE_DECLSPEC_DLL
#define Py_ENABLE_SHARED 1
#define SIZEOF_SHORT 2
#define SIZEOF_INT 4
#define SIZEOF_LONG 4
#define SIZEOF_LONG_LONG 8
#define SIZEOF_VOID_P 8
#define SIZEOF_SIZE_T 8
#define ALIGNOF_SIZE_T 8
#define SIZEOF_WCHAR_T 2
#define SIZEOF_TIME_T 8
#define SIZEOF_PID_T 8
#define SIZEOF_DOUBLE 8
#define HAVE_SSIZE_T 1
#include <io.h>
"""
NUMPY_SIZES = {"LONG": (8, 4), "WCHAR_T": (4, 2), "LONGDOUBLE": (16, 8), "COMPLEX_LONGDOUBLE": (32, 16)}
OMP = """\
typedef enum { omp_pause_soft = 1, omp_pause_hard = 2 } omp_pause_resource_t;
extern int omp_get_thread_num(void);
extern int omp_get_max_threads(void);
extern int omp_get_num_threads(void);
extern int omp_pause_resource_all(omp_pause_resource_t);
"""


def headers(folder, system):
    """Python's, NumPy's and OpenMP's headers as that system has them."""
    shutil.copytree(sysconfig.get_path("include"), folder, dirs_exist_ok=True)
    shutil.copytree(numpy.get_include(), folder, dirs_exist_ok=True)
    (folder / "omp.h").write_text(OMP)
    config = folder / "numpy/_numpyconfig.h"
    text = config.read_text().replace("#define NPY_HAVE_ENDIAN_H 1", "")
    if system == "win32":
        (folder / "pyconfig.h").write_text(PYCONFIG)
        for name, (linux, windows) in NUMPY_SIZES.items():
            text = text.replace(f"NPY_SIZEOF_{name} {linux}\n", f"NPY_SIZEOF_{name} {windows}\n")
    config.write_text(text)


def commands(folder, everything):
    """What to call, each with the words for its failure."""
    generated = max(ROOT.glob("build/cython-*/fastml"), key=os.path.getmtime, default=None)
    if generated is None:
        print("Cython's files: left out, fastml was not built here", file=sys.stderr)
    for triple, compiler in SYSTEMS.items():
        include = folder / triple
        include.mkdir()
        headers(include, compiler.system)
        call = [sys.executable, "-m", "ziglang", "cc", "-target", triple, "-c", f"-I{ROOT / 'src_c'}"]
        sources = [(ROOT / f"src_c/{name}.c", compilers.common(compiler)) for name in ("capi", "curves", "dispatch")]
        sources += [
            (ROOT / f"src_c/{name}.c", [*compilers.common(compiler), *omp])
            for name in ("threads", "crew")
            for omp in ([], ["-fopenmp"])
        ]
        if everything or triple != "x86_64-macos":
            for name, flags in compilers.targets(compiler, known=set()).items():
                sources.append((ROOT / f"src_c/target_{name}.c", flags))
        jobs = [(source, [*flags, *WARNINGS]) for source, flags in sources]
        if generated and triple != "x86_64-macos":
            found = sorted(generated.rglob("*.c")) if everything else [generated / f"{name}.c" for name in FIRST]
            more = [*NUMPY, *GLUE_WARNINGS, "-fopenmp"]
            for path in found:
                here = ROOT / "fastml" / path.relative_to(generated).parent
                jobs.append((path, [*compilers.glue(compiler, True), *more, f"-I{here}"]))
        for number, (source, flags) in enumerate(jobs):
            made = include / f"{number}.o"
            yield f"{source.name} for {triple}", [*call, *flags, f"-I{include}", str(source), "-o", str(made)]


def compiles(job):
    what, command = job
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        print(f"{what}:\n{done.stderr}", file=sys.stderr)
    return done.returncode == 0


def main():
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(compiles, commands(Path(name), "--all" in sys.argv[1:])))
    print(f"cross_compile: {sum(results)} of {len(results)} files compile")
    return not all(results)


if __name__ == "__main__":
    sys.exit(main())
