"""What setup.py tells each compiler on each system, asked of tools/compilers.py: none of them need be here."""

import importlib.util

import pytest

from .common import ROOT

PATH = ROOT / "tools/compilers.py"
if not PATH.exists():
    pytest.skip("the sources are not here", allow_module_level=True)
_spec = importlib.util.spec_from_file_location("compilers", PATH)
compilers = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(compilers)
Compiler = compilers.Compiler

ALL = [
    Compiler("gcc", "linux", "x86_64"),
    Compiler("gcc", "linux", "aarch64"),
    Compiler("clang", "linux", "x86_64"),
    Compiler("zig", "linux", "x86_64"),
    Compiler("clang", "darwin", "aarch64"),
    Compiler("clang", "darwin", "x86_64"),
    Compiler("clang", "win32", "x86_64"),
    Compiler("zig", "win32", "x86_64"),
    Compiler("clang-cl", "win32", "x86_64"),
]
every_compiler = pytest.mark.parametrize("compiler", ALL, ids="-".join)


@pytest.mark.parametrize(
    "platform, machine",
    [
        ("linux-x86_64", "x86_64"),
        ("linux-aarch64", "aarch64"),
        ("macosx-14.0-arm64", "aarch64"),
        ("macosx-10.13-x86_64", "x86_64"),
        ("win-amd64", "x86_64"),
        ("win-arm64", "aarch64"),
        ("linux-riscv64", "riscv64"),
    ],
)
def test_the_processor_that_is_built_for(platform, machine):
    assert compilers.machine_of(platform) == machine


@pytest.mark.parametrize(
    "command, system, kind",
    [
        ("gcc -pthread -Wall", "linux", "gcc"),
        ("aarch64-linux-gnu-gcc", "linux", "gcc"),
        ("ccache clang-19 -O2", "linux", "clang"),
        ("python -m ziglang cc", "linux", "zig"),
        ("cc -arch arm64", "darwin", "clang"),
        ("gcc -bundle", "darwin", "clang"),
        ("/opt/homebrew/bin/gcc-15", "darwin", "gcc"),
        ("gcc", "win32", "gcc"),
        (r"C:\LLVM\bin\clang.exe", "win32", "clang"),
        (r"C:\LLVM\bin\clang-cl.exe", "win32", "clang-cl"),
    ],
)
def test_the_kind_of_a_command(command, system, kind):
    assert compilers.kind_of(command.split(), system) == kind


def test_macos_builds_for_one_processor():
    def arch(platform, flags, native="x86_64"):
        return compilers.one_processor(platform, flags, native)

    arm = {"ARCHFLAGS": "-arch arm64", "_PYTHON_HOST_PLATFORM": "macosx-11.0-arm64"}
    assert arch("macosx-11.0-arm64", "") == arch("macosx-11.0-universal2", "-arch arm64") == arm
    assert arch("macosx-11.0-universal2", "", "arm64") == arm
    assert arch("macosx-11.0-arm64", "-arch x86_64")["_PYTHON_HOST_PLATFORM"] == "macosx-11.0-x86_64"
    assert arch("linux-x86_64", "-arch arm64") == arch("win-amd64", "") == {}
    with pytest.raises(ValueError, match="one processor, and ARCHFLAGS names arm64, x86_64"):
        arch("macosx-11.0-universal2", "-arch arm64 -arch x86_64")


@every_compiler
def test_the_bits_depend_on_no_compiler(compiler):
    """Products are not joined to sums behind the back of the code, and nobody compiles for the processor at hand."""
    told = [compilers.glue(compiler, True), compilers.glue(compiler, False), *compilers.targets(compiler).values()]
    for flags in told:
        text = " ".join(flags)
        assert "-ffp-contract=off" in text and "-fno-strict-aliasing" in text and "-ffast-math" not in text
        assert "native" not in text and ("-mcpu=baseline" in text) == (compiler.kind == "zig")
        assert len([flag for flag in flags if flag.endswith(("-O2", "-Os"))]) == 1


@every_compiler
def test_the_targets(compiler):
    told = compilers.targets(compiler, known=set())
    assert set(told) == {path.stem[7:] for path in ROOT.glob("src_c/target_*.c")} - (
        {"neon"} if compiler.machine == "x86_64" else {"v4", "v3", "baseline"}
    )
    assert not any(flag.endswith(tuple(compilers.OPTIONAL)) for flags in told.values() for flag in flags)
    if compiler.machine == "x86_64":
        assert not any("-mavx" in flag or "-mfma" in flag for flag in told["baseline"] + compilers.glue(compiler, True))
        assert sum("-mavx512" in flag for flag in told["v4"]) == 4 and not any("512" in flag for flag in told["v3"])


@every_compiler
def test_a_compiler_is_spoken_to_in_its_own_words(compiler):
    flags = compilers.common(compiler) + compilers.targets(compiler).popitem()[1] + compilers.glue(compiler, True)
    linked = compilers.link(compiler) + compilers.openmp(compiler, {}, r"C:\LLVM\bin\clang-cl.exe")[0][1]
    if compiler.kind == "clang-cl":
        assert all(flag.startswith("/clang:-") for flag in flags) and not any(flag.startswith("-") for flag in linked)
    else:
        assert all(flag.startswith("-") for flag in flags + linked)
    assert any("strip" in flag for flag in linked) == (compiler.system == "linux")
    assert any("unwind" in flag for flag in flags) == (compiler.system != "win32")


def test_zigs_linker_is_told_what_it_knows():
    told = compilers.link(Compiler("zig", "linux", "x86_64"), folder=True, whole=True)
    assert not any(word in flag for flag in told for word in ("-z", "sort-section", "-flto"))


def test_where_openmp_is_looked_for():
    own = (["-fopenmp"], ["-fopenmp"])
    assert compilers.openmp(Compiler("gcc", "linux", "x86_64"), {}) == [own]

    def places(system, machine, **environ):
        tried = compilers.openmp(Compiler("clang", system, machine), environ)
        assert own in tried and all("-fopenmp" in flags for flags, _ in tried)
        return [next((flag[2:] for flag in link if flag.startswith("-L")), "own") for _, link in tried]

    assert places("darwin", "aarch64") == ["own", "/opt/homebrew/opt/libomp/lib"]
    assert places("darwin", "x86_64") == ["own", "/usr/local/opt/libomp/lib"]
    assert places("darwin", "aarch64", CONDA_PREFIX="/conda") == ["own", "/conda/lib", "/opt/homebrew/opt/libomp/lib"]
    assert places("darwin", "aarch64", LIBOMP_PREFIX="/here", CONDA_PREFIX="/conda") == ["/here/lib", "own"]
    assert places("linux", "x86_64", LIBOMP_PREFIX="/here") == ["/here/lib", "own"]
    assert places("linux", "x86_64", CONDA_PREFIX="/conda") == ["own"]

    cl = Compiler("clang-cl", "win32", "x86_64")
    assert compilers.openmp(cl, {}, r"C:\LLVM\bin\clang-cl.exe") == [
        (["-openmp"], [r"/LIBPATH:C:\LLVM\lib", "libomp.lib"])
    ]
    assert compilers.openmp(cl, {"LIBOMP_PREFIX": r"D:\omp"}, r"C:\LLVM\bin\clang-cl.exe") == [
        (["-openmp", r"-ID:\omp\include"], [r"/LIBPATH:D:\omp\lib", "libomp.lib"])
    ]


def test_what_is_refused_names_the_way_out():
    assert "clang-cl" in compilers.REFUSED["cl"] and "ziglang" in compilers.REFUSED["gcc"]
