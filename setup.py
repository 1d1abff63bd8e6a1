"""Builds the extension modules: every .pyx below fastml/, and the SIMD bodies of src_c once per target.

The metadata lives in pyproject.toml. A target is a file src_c/target_<name>.c; only its object gets that
target's flags, so that the import works on any processor. Without OpenMP the build is serial, with a warning.
What is up to date is not built again: a changed .pyx costs its own module, a changed body of src_c the targets.
"""

import hashlib
import logging
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parent
sys.path.insert(0, str(ROOT / "tools"))  # not on the path of an isolated build
import advice  # what is missing, in words

if text := advice.old_python(sys.version_info):
    sys.exit(f"error: {text}")
try:
    import Cython
    import numpy
    from Cython.Build import cythonize
    from setuptools import Extension, setup
    from setuptools.command.build_ext import build_ext
    from setuptools.command.sdist import sdist
    from setuptools.errors import CompileError, LinkError
    from setuptools.modified import newer_group
except ImportError as error:
    sys.exit(f"error: {advice.no_tools(error.name)}")
import compilers  # the flags of each compiler

try:
    os.environ |= compilers.one_processor(sysconfig.get_platform(), os.environ.get("ARCHFLAGS", ""), platform.machine())
except ValueError as error:
    sys.exit(f"error: {error}")
#: What is built for, not where: _PYTHON_HOST_PLATFORM=linux-aarch64 sets it.
MACHINE = compilers.machine_of(sysconfig.get_platform())
CPUS = os.cpu_count() or 1
#: The C that Cython writes depends on its version and on NumPy's declarations.
GENERATED = f"build/cython-{Cython.__version__}-numpy-{numpy.__version__}"
#: Cython's memoryview code, once for all modules instead of once in each.
SHARED = "fastml._cyutility"
#: Folders whose modules are one file, in which fastml/_kernels/__init__.py finds them: half of what Cython writes into
#: a module is the same in all, and an import opens a file instead of twenty.
FOLDERS = ("fastml._kernels", "fastml._kernels.step")
#: What Cython writes around the loops of src_c is nearly half of the wheel. Built for size it is a quarter smaller and
#: a call 0.05 to 0.2 microseconds slower, except these, whose own code is what a small call or a training step waits
#: for.
FOR_SPEED = {
    "fastml._kernels.activations",
    "fastml._kernels.adaptive",
    "fastml._kernels.batch_norm",
    "fastml._kernels.classification",
    "fastml._kernels.clip",
    "fastml._kernels.gather",
    "fastml._kernels.one_hot",
    "fastml._kernels.scores",
    "fastml._kernels.sgd",
    "fastml._kernels.softmax",
    "fastml._kernels.step.caller",
    "fastml._kernels.step.elementwise",
    "fastml._kernels.step.linear",
    "fastml._kernels.step.program",
    "fastml._kernels.step.update",
    "fastml._kernels.updates",
    "fastml._memory",
    "fastml._tracked",
}
#: The modules that hold C of their own; every other .pyx stands alone.
C_SOURCES = {
    "fastml._memory": [],  # all in memory.h
    "fastml._simd": ["src_c/curves.c", "src_c/dispatch.c"],
    "fastml._openmp": ["src_c/threads.c", "src_c/crew.c", "src_c/capi.c"],
}


def c_files():
    return sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("src_c/*"))


def extensions():
    for path in sorted(ROOT.glob("fastml/**/*.pyx")):
        relative = path.relative_to(ROOT)
        name = ".".join(relative.with_suffix("").parts)
        yield Extension(
            name,
            [str(relative), *C_SOURCES.get(name, [])],
            include_dirs=["src_c", numpy.get_include()],
            define_macros=[
                ("NPY_NO_DEPRECATED_API", "NPY_1_25_API_VERSION"),
                ("NPY_TARGET_VERSION", "NPY_1_25_API_VERSION"),
                ("CYTHON_COMPRESS_STRINGS", "0"),  # the wheel compresses them better
            ],
            depends=[*c_files(), "fastml/capi/fastml.h"] if name in C_SOURCES else [],
        )


class Folder(Extension):
    """The modules of a folder as one file."""

    def __init__(self, package, modules):
        super().__init__(f"{package}._modules", [])
        self.modules = modules


def in_folders(modules):
    """The modules as they are linked: those of FOLDERS together, the others each on its own."""
    rooms = {}
    for module in modules:
        package = module.name.rpartition(".")[0]
        rooms.setdefault(package if package in FOLDERS else module.name, []).append(module)
    return [Folder(name, room) if name in FOLDERS else room[0] for name, room in rooms.items()]


class BuildExt(build_ext):
    """build_ext that finds OpenMP, compiles the bodies once per target and links the modules of a folder together."""

    def run(self):
        self.in_checkout = self.inplace  # which setuptools clears while it builds
        super().run()

    def build_extensions(self):
        if MACHINE not in compilers.TARGETS:
            raise CompileError(advice.no_processor(MACHINE, compilers.TARGETS))
        self.parallel = self.parallel or CPUS
        self.known = self.find_compiler()
        if not any(Path(folder, "Python.h").exists() for folder in self.include_dirs):
            self.check_tools()
        openmp = self.find_openmp()
        self.say(f"{self.known.kind} for {MACHINE}, {self.version()}")
        self.say(
            f"targets {', '.join(compilers.TARGETS[MACHINE])}; OpenMP by {' '.join(openmp[0]) or 'none: one thread'}"
        )
        modules = sum(len(getattr(extension, "modules", [extension])) for extension in self.extensions)
        self.say(f"{modules} modules, {self.parallel} at a time; what is up to date stays")
        for extension in self.extensions:
            objects = []
            compile_openmp, link_openmp = openmp
            folder = isinstance(extension, Folder)
            whole = folder and not self.in_checkout  # who changes a kernel in a checkout does not wait for it
            if extension.name == "fastml._simd":  # loaded before the OpenMP runtime (see _threads.py)
                objects = self.compile_targets()
                compile_openmp = link_openmp = []
            elif folder:
                objects = self.compile_folder(extension, compile_openmp, whole)
            extension.extra_compile_args += compilers.glue(self.known, extension.name in FOR_SPEED) + compile_openmp
            extension.extra_link_args += compilers.link(self.known, folder, whole) + link_openmp
            extension.extra_objects += objects
            extension.depends += objects
        super().build_extensions()

    def find_compiler(self):
        """The compiler that setuptools chose, as tools/compilers.py knows it; clang-cl takes the place of cl."""
        if self.compiler.compiler_type == "msvc":
            places = os.pathsep.join([os.environ["PATH"], rf"{os.environ['ProgramFiles']}\LLVM\bin"])
            program = shutil.which(os.environ.get("CC", "clang-cl"), path=places)
            kind = "clang-cl" if program and "clang-cl" in program else "cl"
        else:
            program = None
            kind = compilers.kind_of(self.compiler.compiler_so, sys.platform)
        if kind == "cl" or (kind == "gcc" and sys.platform == "win32"):
            raise CompileError(compilers.REFUSED[kind])
        if program:
            if not self.compiler.initialized:
                self.compiler.initialize(self.plat_name)
            self.compiler.cc = program
            self.compiler.compile_options.remove("/GL")  # Microsoft's
        self.program = program
        return compilers.Compiler(kind, sys.platform, MACHINE)

    def say(self, text):
        """A line of the build's own, which pip install -v shows."""
        self.announce(f"fastml: {text}", logging.INFO)

    def command(self):
        """How the compiler is called, as a list of words."""
        return [self.program] if self.program else list(self.compiler.compiler_so)

    def version(self):
        """The first line of what the compiler says of itself."""
        done = subprocess.run([*self.command(), "--version"], check=False, capture_output=True, text=True)
        return (done.stdout or "version unknown").splitlines()[0]

    def check_tools(self):
        """CompileError that says what to install where not even a program of two lines compiles."""
        if not self.builds("#include <stdlib.h>\nint probe;\n", []):
            raise CompileError(advice.no_compiler(self.command()[0], sys.platform))
        if not self.builds("#include <Python.h>\nint probe;\n", []):
            raise CompileError(advice.no_headers(sys.version_info, sys.platform))

    def builds(self, source, flags, link=None):
        """Whether this compiler takes the flags, and with `link` whether a module links."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "probe.c")
            path.write_text(source)
            try:
                objects = self.compiler.compile([str(path)], output_dir=folder, extra_postargs=["-Werror", *flags])
                if link is not None:
                    self.compiler.link_shared_object(objects, "probe.so", output_dir=folder, extra_postargs=link)
            except (CompileError, LinkError):
                return False
        return True

    def find_openmp(self):
        """(compile flags, link flags) that build a program with OpenMP, or two empty lists."""
        probe = "#include <omp.h>\nint probe(void) { return omp_get_max_threads(); }\n"
        for flags, link in compilers.openmp(self.known, os.environ, self.program):
            if self.builds(probe, flags, link):
                return flags, link
        self.check_tools()
        print("warning: this compiler has no OpenMP; fastml is built to run on one thread", file=sys.stderr)
        return [], []

    def compile_targets(self):
        """The objects of the targets."""
        optional = {flag for flag in compilers.OPTIONAL if self.builds("int probe;\n", [flag])}
        sources = [*c_files(), "setup.py", "tools/compilers.py"]
        targets = compilers.targets(self.known, optional)
        return self.compile_each(
            (f"src_c/target_{name}.c", sources, flags, ["src_c"], []) for name, flags in targets.items()
        )

    def compile_folder(self, folder, openmp, whole):
        """The objects of a folder's modules. What an earlier build left of one of them would be imported instead."""
        for module in folder.modules:
            left = self.get_ext_filename(module.name)
            Path(left).unlink(missing_ok=True)
            Path(self.build_lib, left).unlink(missing_ok=True)
        return self.compile_each(
            (
                m.sources[0],
                m.depends,
                compilers.glue(self.known, m.name in FOR_SPEED, whole) + openmp,
                m.include_dirs,
                m.define_macros,
            )
            for m in folder.modules
        )

    def compile_each(self, jobs):
        """An object for each (source, what else it is made from, flags, folders of headers, macros), side by side; one
        of the same sources, compiler and flags is there already."""
        command = self.command()

        def compile_one(source, depends, flags, include_dirs, macros):
            key = hashlib.sha256(repr((command, flags, macros)).encode()).hexdigest()[:12]
            folder = str(Path(self.build_temp, key))
            (made,) = self.compiler.object_filenames([source], output_dir=folder)
            if self.force or newer_group([source, *depends], made, "newer"):
                self.compiler.compile(
                    [source], output_dir=folder, include_dirs=include_dirs, macros=macros, extra_postargs=flags
                )
            return made

        with ThreadPoolExecutor(CPUS) as pool:
            return list(pool.map(compile_one, *zip(*jobs, strict=True)))

    def get_export_symbols(self, extension):
        """What the linker of Windows is told to export: the modules of a folder say that themselves."""
        return [] if isinstance(extension, Folder) else super().get_export_symbols(extension)


class Sdist(sdist):
    """sdist with the C sources, the tests and the benchmarks beside the package."""

    def make_release_tree(self, base_dir, files):
        rooms = [
            "src_c/*",
            "fastml/**/*.p[yx]*",
            "fastml/**/*.h",
            "tests/**/*.[pc]*",
            "tests/*.json",
            "benchmarks/**/*.py",
            "tools/*.py",
        ]
        extra = [
            str(path.relative_to(ROOT))
            for pattern in [*rooms, "*.md", "*.cff", "docs/*.md", "examples/**/*.[pc]*", "tools/conda/*"]
            for path in ROOT.glob(pattern)
            if path.suffix not in {".pyc", ".so"}
        ]
        super().make_release_tree(base_dir, sorted({*files, *extra}))


setup(
    ext_modules=in_folders(
        cythonize(
            [Extension(SHARED, []), *extensions()],
            shared_utility_qualified_name=SHARED,
            compiler_directives={
                "language_level": 3,
                "boundscheck": False,
                "wraparound": False,
                "cdivision": True,
                "initializedcheck": False,
                "freethreading_compatible": True,
                "auto_pickle": False,
                "binding": False,  # a kernel is a plain function: its signature is the face's
            },
            build_dir=GENERATED,
        )
    ),
    cmdclass={"build_ext": BuildExt, "sdist": Sdist},
)
