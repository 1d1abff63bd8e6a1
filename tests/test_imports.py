"""Imports go down only, the reference stands alone, and the tests import the checkout's fastml."""

import ast
import re
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import fastml

from .common import ROOT
from .processes import run_script

PACKAGE = ROOT / "fastml"
# What a folder or module of fastml may import from fastml, besides itself. Private modules (_check, _threads,
# _simd …) are the floor: everyone may import them, and they import only each other.
BELOW = {
    "reference": set(),
    "_kernels": set(),
    "capi": set(),
    "ops": {"_kernels"},
    "step": {"_kernels"},
    "optim": {"ops", "_kernels"},
    "nn": {"step", "ops", "_kernels", "optim"},
    "data": {"ops", "_kernels"},
    "metrics": {"ops", "_kernels"},
    "preprocessing": {"ops", "_kernels"},
    "estimators": {"ops", "nn", "optim", "data", "metrics", "preprocessing"},
    "verify": {"nn", "optim", "metrics", "preprocessing"},
    "cli": {"verify", "ops", "nn", "optim", "data", "metrics", "preprocessing", "estimators"},
}
FILES = sorted([*PACKAGE.rglob("*.py"), *PACKAGE.rglob("*.p[yx][xdi]")])


def imports_of(path):
    """The import statements of a file, those of Cython as Python has them."""
    text = path.read_text()
    if path.suffix != ".py":
        pattern = r"^[ ]*((?:from [.\w]+ )?c?import [^(\n]+?|from [.\w]+ c?import \([^)]*\))[ ]*(?:#.*)?$"
        text = "\n".join(re.findall(pattern, text, re.MULTILINE)).replace("cimport", "import")
    return ast.walk(ast.parse(text))


def fastml_imports(path):
    """Return the modules of fastml that a file imports, as tuples of names below fastml, and all others."""
    here = path.relative_to(PACKAGE).with_suffix("").parts
    inside, outside = set(), set()
    for node in imports_of(path):
        if isinstance(node, ast.Import):
            for alias in node.names:
                first, *rest = alias.name.split(".")
                (inside.add(tuple(rest)) if first == "fastml" else outside.add(first))
        elif isinstance(node, ast.ImportFrom):
            module = tuple(node.module.split(".")) if node.module else ()
            if node.level:
                base = here[: len(here) - node.level]
            elif module[0] == "fastml":
                base, module = (), module[1:]
            else:
                outside.add(module[0])
                continue
            full = base + module
            inside |= {full} if full else {(alias.name,) for alias in node.names}
    return inside, outside


def is_floor(part):
    return part.startswith("_") and part != "_kernels"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_down(path):
    room = path.relative_to(PACKAGE).with_suffix("").parts[0]
    inside, outside = fastml_imports(path)
    targets = {name[0] for name in inside if name}
    if room not in ("reference", "__init__"):  # which names it for type checkers
        assert "reference" not in targets, "nothing in fastml imports the reference"
    if path.suffix == ".pyi" and room == "reference":
        return  # its types are fastml's own
    if room == "reference":
        assert targets <= {"reference"} and outside <= {"math", "numpy"}
    elif room in BELOW:
        wrong = {t for t in targets - {room} - BELOW[room] if t in BELOW}
        assert not wrong, f"{room} imports {wrong}"
    elif is_floor(room) and room not in ("__init__", "__main__"):
        assert not targets & set(BELOW), f"{room} imports {targets}"


def test_rules_see_what_they_forbid(tmp_path, monkeypatch):
    folder = tmp_path / "fastml" / "ops"
    folder.mkdir(parents=True)
    file = folder / "bad.py"
    file.write_text("from .. import nn\nfrom ..reference.softmax import softmax\nimport fastml.cli\nimport os.path\n")
    monkeypatch.setitem(globals(), "PACKAGE", tmp_path / "fastml")
    assert fastml_imports(file) == ({("nn",), ("reference", "softmax"), ("cli",)}, {"os"})
    file = folder / "bad.pyx"
    file.write_text(
        "from ..nn cimport a, b  # why\n    from . cimport c\nfrom .._kernels.d cimport (\n    e, f,\n)\ncimport g\n"
        "from .. import cli\ncdef int importance\n"
    )
    assert fastml_imports(file) == ({("nn",), ("ops",), ("_kernels", "d"), ("cli",)}, {"g"})


def test_every_room_is_in_the_table():
    rooms = {p.name for p in PACKAGE.iterdir() if p.is_dir() and any(p.glob("*.py"))}
    assert {r for r in rooms if not r.startswith("__")} <= set(BELOW), "add the new folder to BELOW"


def test_ops_has_an_empty_init():
    init = PACKAGE / "ops" / "__init__.py"
    assert init.exists() and not init.read_text().strip()


def test_the_checkout_is_imported():
    assert Path(fastml.__file__).resolve() == PACKAGE / "__init__.py"


def test_a_checkout_that_is_not_built(tmp_path):
    """What a reader of README meets who starts Python in the checkout after `pip install .`."""
    shutil.copytree(PACKAGE, tmp_path / "fastml", ignore=shutil.ignore_patterns("*.so", "*.pyd", "__pycache__"))
    said = []
    for _ in range(2):  # without the finder of an editable install, which knows where the modules are
        code = "import sys; sys.meta_path = [f for f in sys.meta_path if '__editable__' not in repr(f)]; import fastml"
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
        said.append(done.stderr.splitlines()[-1])
        (tmp_path / "setup.py").touch()
    assert said[0] == "ModuleNotFoundError: No module named 'fastml._simd'"
    assert said[1].startswith(f"ImportError: {tmp_path / 'fastml'} is fastml's source, not built for this Python")


@pytest.mark.parametrize("name", fastml._SUBMODULES)
def test_submodules_load_on_first_use(name):
    if name == "estimators":
        pytest.importorskip("sklearn")
    seen, _ = run_script(
        f"""
        import sys, fastml
        print("fastml.{name}" in sys.modules, "{name}" in dir(fastml), fastml.{name} is sys.modules["fastml.{name}"])
        """
    )
    assert seen.split() == ["False", "True", "True"]


def test_every_public_folder_loads_on_first_use():
    rooms = {p.name for p in PACKAGE.iterdir() if (p / "__init__.py").exists() and not p.name.startswith("_")}
    assert rooms - set(fastml._SUBMODULES) == {"cli", "ops", "step", "verify"}
    with pytest.raises(AttributeError, match="module 'fastml' has no attribute 'nothing'"):
        _ = fastml.nothing


@pytest.mark.parametrize("name", ["fastml._kernels.nonexistent", "fastml._kernels.step.nonexistent"])
def test_a_kernel_that_is_not_there(name):
    with pytest.raises(ModuleNotFoundError, match=rf"^No module named '{re.escape(name)}'$"):
        import_module(name)
