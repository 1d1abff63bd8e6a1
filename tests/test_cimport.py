"""Extensions on the C interface, built against the fastml that is imported here and run in interpreters of their own.

Runs away from the checkout as well, where the folders `tests` and `examples` are: it needs a C compiler, Cython and
setuptools.
"""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import textwrap
from pathlib import Path

import pytest

import fastml

from .capi import ABI, HEADER

pytest.importorskip("Cython")
pytest.importorskip("setuptools")

HERE = Path(__file__).resolve().parent
EXAMPLE = HERE.parent / "examples" / "cython_extension"
#: Where this fastml is found, by an interpreter and by Cython.
PLACE = str(Path(fastml.__file__).resolve().parent.parent)
STRICT = ["-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-pedantic-errors", "-isystem", sysconfig.get_path("include")]
COMPILERS = [
    (compiler, language, standard)
    for language, compilers, standards in (
        ("c", ("gcc", "clang"), ("c11", "c17")),
        ("c++", ("g++", "clang++"), ("c++11", "c++17")),
    )
    for compiler in compilers
    for standard in standards
]

if not EXAMPLE.is_dir():
    pytest.skip("the examples are not here", allow_module_level=True)


def run(folder, *command, fails=False, **environment):
    """Run Python in a folder; its output, or what it said when it failed."""
    env = {**os.environ, "PYTHONPATH": PLACE, **environment}
    done = subprocess.run([sys.executable, *command], check=False, cwd=folder, env=env, capture_output=True, text=True)
    assert (done.returncode != 0) == fails, done.stdout + done.stderr
    return done.stderr if fails else done.stdout


def script(folder, code, **options):
    return run(folder, "-c", textwrap.dedent(code), **options)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The example's folder with both extensions in it, and the probe's."""
    if not shutil.which((os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()[-1]):
        pytest.skip("needs a C compiler")
    folder = tmp_path_factory.mktemp("extension")
    for path in [*EXAMPLE.iterdir(), HERE / "c" / "probe.pyx"]:
        shutil.copy(path, folder)
    setup = folder / "setup.py"
    text = setup.read_text(encoding="utf-8")
    more = 'Extension("probe", ["probe.pyx"], include_dirs=[get_include()]),'
    setup.write_text(re.sub(r'(?=Extension\("plain")', more, text), encoding="utf-8")
    run(folder, "setup.py", "-q", "build_ext", "--inplace")
    return folder


@pytest.mark.parametrize("threads", ["1", "2", "3"])
def test_the_example_prints_what_it_promises(built, threads):
    printed = run(built, "run.py", OMP_NUM_THREADS=threads)
    assert re.findall(r"(\w+): (\w+)", printed) == [
        ("C", "True"),
        ("on_one_thread", "True"),
        ("by_prange", "True"),
        ("by_fastml", "True"),
    ]


def test_the_bits_and_the_threads_of_small_and_large_calls(built):
    """Both precisions; and the extension's own team is as large as fastml's would be."""
    printed = script(
        built,
        """
        import attention, fastml, numpy as np, plain
        from fastml import _openmp
        for dtype in np.float32, np.float64:
            for shape in (1, 1), (5, 67), (0, 3), (300, 1000):
                x = np.random.default_rng(0).standard_normal(shape).astype(dtype)
                x.flags.writeable = False
                want = fastml.dropout(fastml.softmax(x), 1 / 3, seed=2**63 + 1)
                for threshold in 15e3, 0:
                    _openmp.set_threshold(threshold)
                    for threads in 1, 2, 3:
                        with fastml.num_threads(threads):
                            for f in attention.on_one_thread, attention.by_prange, attention.by_fastml:
                                y = np.full_like(x, -1)
                                team = f(y, x, 1 / 3, 2**63 + 1)
                                assert y.tobytes() == want.tobytes(), (dtype, shape, threads, f)
                                if f is attention.by_prange and threshold == 0:
                                    assert team == threads
                                if f is attention.by_prange and x.size < 1000 and threshold:
                                    assert team == 1
                y = np.empty_like(x)
                plain.softmax(y, x, shape[1])
                assert y.tobytes() == fastml.softmax(x).tobytes()
        print("done")
        """,
    )
    assert printed == "done\n"


def test_sizes_without_a_table(built):
    printed = script(
        built,
        """
        import numpy as np, plain, probe
        def refused(function, *arguments):
            try:
                function(*arguments)
            except (ImportError, ValueError) as error:
                print(type(error).__name__, error)
        refused(probe.table, 8)
        assert probe.start() > 0
        for size in 0, 2, 4, 8, 16:
            refused(probe.table, size)
        half = np.zeros(3, np.float16)
        refused(plain.softmax, half, half, 3)
        print(probe.abi)
        """,
    )
    sizes = [f"ValueError itemsize must be 4 (float) or 8 (double), not {size}" for size in (0, 2, 16)]
    assert printed.splitlines() == [
        "ImportError import_fastml() must be called before fastml's functions are",
        *sizes,
        "ValueError x and y must hold as many floats or doubles, in whole rows",
        str(ABI),
    ]


@pytest.mark.parametrize("module", ["attention", "plain"])
@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            "abi + 1",
            f"built for version {ABI} of fastml's C interface, and the fastml that is installed has version {ABI + 1}",
        ),
        (
            "abi - 1",
            f"built for version {ABI} of fastml's C interface, and the fastml that is installed has version {ABI - 1}",
        ),
        ("size - 1", "built with a newer fastml than the one that is installed"),
        ("table_size - 8", "built with a newer fastml than the one that is installed"),
        ("curves - 1", "built with a newer fastml than the one that is installed"),
        ("curves + 1", ""),
        ("size + 8", ""),
        ("table_size + 800", ""),
    ],
)
def test_another_version_is_refused_at_import(built, module, change, says):
    """A fastml with another number, or with shorter structs, is one too many; longer ones are what a newer has."""
    member = change.split()[0]
    code = f"""
        import ctypes, fastml.capi
        get, new = ctypes.pythonapi.PyCapsule_GetPointer, ctypes.pythonapi.PyCapsule_New
        get.restype, get.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)
        new.restype, new.argtypes = ctypes.py_object, (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
        name = b"fastml.capi._API"
        class Head(ctypes.Structure):
            _fields_ = [(name, ctypes.c_uint) for name in ("abi", "size", "table_size", "curves")]
        class Other(Head):
            _fields_ = [("rest", ctypes.c_char * 500)]
        other, api = Other(), get(fastml.capi._API, name)
        ctypes.memmove(ctypes.byref(other), api, Head.from_address(api).size)
        other.{member} = other.{change}
        fastml.capi._API = new(ctypes.addressof(other), name, None)
        import {module}
        """
    said = script(built, code, fails=bool(says))
    assert f"ImportError: this extension was {says}" in said if says else said == ""


def test_a_fastml_without_the_interface_is_refused_at_import(built):
    said = script(built, "import sys\nsys.modules['fastml.capi'] = None\nimport plain", fails=True)
    assert "ModuleNotFoundError" in said and "fastml.capi" in said


@pytest.mark.parametrize(("compiler", "language", "standard"), COMPILERS, ids=lambda word: str(word))
def test_the_header_is_plain_c_and_cpp(compiler, language, standard):
    if not shutil.which(compiler):
        pytest.skip(f"needs {compiler}")
    program = (
        '#include <fastml.h>\n#include "fastml.h"\nint start(void);\nint start(void) { return fastml_import(); }\n'
    )
    command = [compiler, *STRICT, f"-std={standard}", "-x", language, "-I", str(HEADER.parent), "-"]
    done = subprocess.run(command, check=False, input=program, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_header_has_nothing_of_gnu():
    text = re.sub(r"/\*.*?\*/", "", HEADER.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert not re.findall(r"__attribute__|__builtin|__asm|__typeof|#\s*pragma|#\s*warning|\[0\]|_Static_assert", text)
