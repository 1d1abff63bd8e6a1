"""What a build that cannot be says last: what is missing, and the command that brings it.

setup.py raises these texts, so that they are the last line above pip's own. No third-party import, and nothing that an
old Python lacks: this is read before all else.
"""

OLDEST = (3, 11)
NEEDS = '"setuptools>=77" "cython>=3.1" "numpy>=2"'
COMPILER = {
    "linux": "apt install gcc libc6-dev (Debian, Ubuntu), dnf install gcc (Fedora), apk add gcc musl-dev (Alpine) or "
    "conda install c-compiler",
    "darwin": "xcode-select --install",
    "win32": "install LLVM, which brings clang-cl, and the Build Tools for Visual Studio",
}
HEADERS = {
    "linux": "apt install python3-dev (Debian, Ubuntu), dnf install python3-devel (Fedora) or apk add python3-dev "
    "(Alpine); a Python of pyenv, conda or uv has them",
    "darwin": "install Python from python.org, Homebrew or conda, which have them",
    "win32": "install Python from python.org, which has them",
}


def old_python(version):
    """Why a Python of this version cannot build fastml, or None."""
    if tuple(version[:2]) >= OLDEST:
        return None
    return "fastml needs Python {}.{} or later, and this is {}.{}: make an environment with a newer one".format(
        *OLDEST, *version[:2]
    )


def no_tools(name):
    """A module that setup.py imports is not there, or is of an old version."""
    return f"building fastml needs {name}: leave out --no-build-isolation, or pip install {NEEDS}"


def no_processor(machine, known):
    return f"fastml has no kernels for this processor, {machine}: only for {' and '.join(known)}"


def no_compiler(command, system):
    install = COMPILER.get(system, "install gcc or clang")
    return f"fastml needs a C compiler, and {command!r} compiles nothing here: {install}; CC=… names another one"


def no_headers(version, system):
    install = HEADERS.get(system, "install its development package")
    return "fastml needs the C headers of Python {}.{}, and Python.h is not there: {}".format(*version[:2], install)
