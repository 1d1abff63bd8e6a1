"""What a compiler is told, as a function of its kind, of the system and of the processor that is built for.

setup.py asks for the compiler that it has; tests/test_compilers.py asks for the others too. The kinds: gcc, clang
(Apple's too), zig (``python -m ziglang cc``) and clang-cl. Not Microsoft's cl, which has no GNU C: REFUSED says so.
"""

import re
from pathlib import PurePosixPath, PureWindowsPath
from typing import NamedTuple

#: The bodies are vectors by hand: beyond -O2 the few plain loops gain from being vectorized, and short runs of the
#: norms (by up to two thirds) from copies for constant arguments. -O3 makes v4 and v3 a sixth larger and is over all
#: kernels no faster (0.2 %).
SPEED = ["-O2", "-fvect-cost-model=dynamic", "-fipa-cp-clone"]
#: For processors of before 2013: 12 KB of a wheel are worth some percent of their time.
SMALL = ["-Os", "-Oz", "-fno-schedule-insns2", "-fno-tree-loop-optimize"]
#: Flags that not every compiler knows; one that does not is built without them.
OPTIONAL = {"-fvect-cost-model=dynamic", "-fipa-cp-clone", "-Oz", "-fno-schedule-insns2", "-fno-tree-loop-optimize"}
V3 = ["-mavx2", "-mfma", "-mbmi2"]
V4 = ["-mavx512f", "-mavx512dq", "-mavx512bw", "-mavx512vl", *V3, "-mprefer-vector-width=512"]
#: The targets of each processor: src_c/target_<name>.c and what only that object is compiled with.
TARGETS = {
    "x86_64": {"v4": [*SPEED, *V4], "v3": [*SPEED, *V3], "baseline": SMALL},
    "aarch64": {"neon": SPEED},
}
REFUSED = {
    "cl": "fastml is written in GNU C, which Microsoft's cl.exe does not compile. Install clang-cl: it is in LLVM's "
    'installer and in Visual Studio\'s "C++ Clang tools for Windows". It is found on PATH, or as CC names it.',
    "gcc": "gcc keeps vectors on a stack that Windows does not align for them (GCC bug 54412). Set CC to clang, "
    '"python -m ziglang cc" or clang-cl.',
}


#: For what Cython writes, by gcc. No gaps before functions, loops and jumps; no code twice to save a jump, no
#: instructions moved apart that compress well together.
PACKED = [
    "-falign-functions=1", "-falign-jumps=1", "-falign-labels=1", "-falign-loops=1",
    "-fno-gcse", "-fno-tree-pre", "-fno-schedule-insns2",
]  # fmt: skip
#: A folder's modules as one program; equal constants once, whose places nobody compares. (AddressSanitizer takes a
#: local that is merged for one that is gone.)
WHOLE = ["-flto=auto", "-fmerge-all-constants"]


class Compiler(NamedTuple):
    kind: str
    system: str  # as sys.platform has it: linux, darwin, win32
    machine: str  # a key of TARGETS


def machine_of(platform):
    """The processor of a platform as ``sysconfig.get_platform()`` names it."""
    word = platform.rsplit("-", 1)[-1]
    return {"amd64": "x86_64", "arm64": "aarch64"}.get(word, word)


def kind_of(command, system):
    """The kind of a compiler that is called as ``command``, a list of words; macOS's cc and gcc are Apple's clang."""
    words = " ".join(command).replace("\\", "/")
    name = re.search(r"zig|clang-cl|clang|gcc(?=-\d)" if system == "darwin" else r"zig|clang-cl|clang", words)
    return name.group() if name else "clang" if system == "darwin" else "gcc"


def one_processor(platform, archflags, native):
    """What the environment must say on macOS, where Python itself may be of two processors: fastml's targets are not.

    ``ARCHFLAGS`` names the processor, or else the platform, or else (universal2) it is the native one.
    """
    if not platform.startswith("macosx-"):
        return {}
    system, word = platform.rsplit("-", 1)
    named = set(re.findall(r"-arch\s+(\S+)", archflags)) or {word if word in ("arm64", "x86_64") else native}
    if len(named) > 1:
        raise ValueError(f"a build of fastml is for one processor, and ARCHFLAGS names {', '.join(sorted(named))}")
    (arch,) = named
    return {"ARCHFLAGS": f"-arch {arch}", "_PYTHON_HOST_PLATFORM": f"{system}-{arch}"}


def spelled(compiler, flags):
    """The flags as this compiler takes them: clang-cl passes over all of GNU's that it is not told are for clang."""
    return [f"/clang:{flag}" for flag in flags] if compiler.kind == "clang-cl" else list(flags)


def common(compiler):
    """For all that is compiled."""
    flags = ["-g0", "-std=gnu11", "-ffp-contract=off", "-fno-math-errno", "-fvisibility=hidden", "-fno-strict-aliasing"]
    if compiler.system != "win32":  # where a stack is walked by these tables
        flags.append("-fno-asynchronous-unwind-tables")
    if compiler.kind == "zig":  # would compile for the processor that it runs on
        flags.append("-mcpu=baseline")
    return spelled(compiler, flags)


def glue(compiler, speed, whole=False):
    """For what Cython writes; ``whole``: into a folder that is linked as one program (see link)."""
    flags = ["-Wno-unused-function", "-O2" if speed else "-Os"]
    if compiler.kind == "gcc":
        flags += [*PACKED, *(WHOLE if whole else [])]
    return common(compiler) + spelled(compiler, flags)


def targets(compiler, known=frozenset(OPTIONAL)):
    """For each target of the processor; ``known``: those of OPTIONAL that the compiler takes."""
    return {
        name: common(compiler) + spelled(compiler, [flag for flag in flags if flag in known or flag not in OPTIONAL])
        for name, flags in TARGETS[compiler.machine].items()
    }


def link(compiler, folder=False, whole=False):
    """For all that is linked; ``folder``: a folder's modules, where the order of their parts is 3 % of some calls.

    ``whole``: as one program, in which gcc keeps one copy of the functions that Cython writes into every module. It
    takes nine seconds a folder.
    """
    if compiler.system != "linux":
        return []
    flags = ["-Wl,--strip-all", "-Wl,--build-id=none"]
    if compiler.kind != "zig":  # whose linker knows neither
        flags += ["-Wl,-z,noseparate-code", *(["-Wl,--sort-section=alignment"] if folder else [])]
    if whole and compiler.kind == "gcc":
        flags += [*WHOLE, "-flto-partition=one", *PACKED]
    return flags


def openmp(compiler, environ, program=None):
    """Pairs of compile and link flags that may give OpenMP, to be tried in this order.

    LIBOMP_PREFIX is where LLVM's runtime is, for a compiler that comes without, as Apple's; else it is looked for
    where conda and Homebrew put it. ``program``: the path of clang-cl, whose runtime is beside it.
    """
    given = environ.get("LIBOMP_PREFIX")
    if compiler.kind == "clang-cl":
        prefix = PureWindowsPath(given) if given else PureWindowsPath(program).parent.parent
        include = [f"-I{prefix / 'include'}"] if given else []
        return [(["-openmp", *include], [f"/LIBPATH:{prefix / 'lib'}", "libomp.lib"])]
    prefixes = [given] if given else []
    if compiler.system == "darwin" and not given:
        homebrew = "/opt/homebrew" if compiler.machine == "aarch64" else "/usr/local"
        prefixes = [*filter(None, [environ.get("CONDA_PREFIX")]), f"{homebrew}/opt/libomp"]
    switch = ["-Xpreprocessor", "-fopenmp"] if compiler.system == "darwin" else ["-fopenmp"]
    found = [
        ([*switch, f"-I{prefix / 'include'}"], [f"-L{prefix / 'lib'}", "-lomp", f"-Wl,-rpath,{prefix / 'lib'}"])
        for prefix in map(PurePosixPath, prefixes)
    ]
    own = [(["-fopenmp"], ["-fopenmp"])]  # the compiler's
    return found + own if given else own + found
