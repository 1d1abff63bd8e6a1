"""What README and the pages tell a reader to type is typed here.

README's Python blocks run as programs: one without an import goes on from the block before it. A `text` block below is
what they print. Commands are the lines of `bash` blocks and the code spans that begin with a program's name. Those of
fastml are run, with less work; of the others, which would need a network or minutes, what they name is looked up.
"""

import os
import re
import shlex
import shutil
import subprocess
import tomllib
from importlib.util import find_spec
from itertools import pairwise

import numpy as np
import pytest

from fastml import _simd, data
from fastml.cli.main import main

from .house import ROOT, sources
from .test_docs import OTHERS, PAGES, blocks
from .test_examples import CLASSIFIER, run_file

if not (ROOT / ".ci").is_dir():
    pytest.skip("the sources are not here", allow_module_level=True)

README = ROOT / "README.md"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PROGRAMS = ("bash", "clang-format", "cython-lint", "fastml", "git", "pip", "pytest", "python", "ruff")
#: What makes a command of fastml a matter of a second.
LESS = {
    "train": ["--epochs", "2", "--quiet"],
    "verify": ["--threads", "1", "--this-target"],
    "bench": ["entropy", "--rounds", "1", "--against", "numpy"],  # the last one counts
}
END = "-- end of a block --"


def followed(text):
    """The blocks of a page as (language, lines, the lines of the `text` block that follows or None)."""
    return [
        (language, lines, shown if following == "text" else None)
        for (language, lines), (following, shown) in pairwise([*blocks(text), ("", [])])
    ]


def commands(text):
    """The commands of a page, each with the `text` block that follows it, or None."""
    found = []
    for language, lines, shown in followed(text):
        if language == "bash":
            parts = [part.strip() for line in lines for part in re.sub(r"\s+#.*", "", line).split("&&")]
            *first, last = filter(None, parts)
            found += [*((part, None) for part in first), (last, shown)]
    outside = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    spans = re.findall(rf"`((?:{'|'.join(PROGRAMS)}) [^`…]+)`", outside)
    return found + [(" ".join(span.split()), None) for span in spans]


def programs(text):
    """README's Python blocks: lists of (code, the `text` block that follows or None)."""
    found = []
    for language, lines, shown in followed(text):
        if language == "python":
            block = ("\n".join(lines), shown)
            if any(re.match(r"(from \S+ )?import ", line) for line in lines):
                found.append([block])
            else:
                found[-1].append(block)
    return found


def test_programs_of_the_readme(tmp_path):
    found = programs(README.read_text(encoding="utf-8"))
    assert len(found) == 3 and sum(map(len, found)) == 4
    for program in found:
        if any(CLASSIFIER in code for code, _ in program):
            pytest.importorskip("sklearn")
        path = tmp_path / "program.py"
        path.write_text("".join(f"{code}\nprint({END!r})\n" for code, _ in program), encoding="utf-8")
        printed = run_file(path).split(f"{END}\n")
        for (_, shown), got in zip(program, printed, strict=False):
            if shown is not None and _simd.target != "baseline":  # whose bits are its own
                assert got.splitlines() == shown


# ---- commands: a function for each program, which raises where the command cannot be true ----


def check_fastml(words, shown, tmp_path, capsys):
    (tmp_path / "FOLDER").mkdir(exist_ok=True)
    if "mnist" in words:
        for part in ("train", "t10k"):
            data.write_idx(tmp_path / f"FOLDER/{part}-images-idx3-ubyte", np.zeros((40, 28, 28), np.uint8))
            data.write_idx(tmp_path / f"FOLDER/{part}-labels-idx1-ubyte", np.arange(40, dtype=np.uint8) % 10)
    if "--plots" in words:
        pytest.importorskip("matplotlib")
    if words[0] == "bench":
        peers = pytest.importorskip("fastml.benchmarks.common").PEERS
        assert "--against" not in words or set(words[words.index("--against") + 1].split(",")) <= set(peers)
    words = [word.replace("FILE", "file.safetensors") for word in words]
    code = main(words if shown or "--help" in words else words + LESS.get(words[0], []))
    out, err = capsys.readouterr()
    assert code == 0, f"fastml {shlex.join(words)}: {err}"
    lines = iter(out.splitlines())
    assert all(any(line == want for line in lines) for want in shown or []), out


def check_pip(words, *_):
    install, *rest = words
    assert install == "install"
    known = {"", *PROJECT["optional-dependencies"]}
    for word in rest:
        folder = re.fullmatch(r"\.(?:\[([\w,]+)\])?", word)
        assert word in ("-e", "-v") or (folder and known.issuperset((folder.group(1) or "").split(","))), word


def check_pytest(words, *_):
    for word in words:
        pattern = re.sub(r"<\w+>", "*", word)
        assert not pattern.startswith("tests/") or list(ROOT.glob(pattern)), word


def check_python(words, *_):
    if words[0] == "-m":
        assert find_spec(re.sub(r"^benchmarks\.", "fastml.benchmarks.", words[1])) or find_spec(words[1]), words[1]
    else:
        assert (ROOT / words[0]).is_file(), words[0]


def check_git(words, *_):
    if not (ROOT / ".git").exists() or not shutil.which("git"):
        pytest.skip("no repository")
    words = [words[0], *(word.replace("-f", "-n") for word in words[1:])]
    assert subprocess.run(["git", *words], cwd=ROOT, check=True, capture_output=True, timeout=60).stdout


def check_bash(words, *_):
    subprocess.run(["bash", "-n", *words], cwd=ROOT, check=True, timeout=60)


def check_script(path, words):
    """A script of the project: --help is run."""
    assert os.access(ROOT / path, os.X_OK), path
    command = [ROOT / path, "--help"] if "--help" in words else ["bash", "-n", ROOT / path]
    subprocess.run(command, check=True, capture_output=True, timeout=60)


def check_linter(words, *_):
    """Its name was looked up already."""


CHECKS = {
    **{name: check_linter for name in ("clang-format", "cython-lint", "ruff")},
    **{name: globals()[f"check_{name}"] for name in ("bash", "fastml", "git", "pip", "pytest", "python")},
}


def check(command, shown, tmp_path, capsys):
    words = shlex.split(command)
    while re.fullmatch(r"[A-Z_]+=.*", words[0]):
        name = words.pop(0).partition("=")[0]
        assert any(f'"{name}"' in text for text in sources().values()), name
    program, *words = words
    if "/" in program:
        return check_script(program, words)
    assert program in CHECKS, f"a command that nothing checks: {command}"
    if CHECKS[program] is check_linter:
        assert any(re.match(rf"{program}\b", need) for need in PROJECT["optional-dependencies"]["lint"]), program
    return CHECKS[program](words, shown, tmp_path, capsys)


@pytest.mark.parametrize("page", [*PAGES, *OTHERS], ids=lambda page: page.relative_to(ROOT).as_posix())
def test_commands(page, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = page.read_text(encoding="utf-8")
    for command, shown in dict(commands(text)).items():
        check(command, shown, tmp_path, capsys)


def test_no_command_hides_in_an_indented_block():
    """Where `commands` would not see it."""
    for page in [*PAGES, *OTHERS]:
        outside = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
        assert not re.findall(rf"^    (?:{'|'.join(PROGRAMS)}) .*", outside, re.MULTILINE), page


def test_every_extra_is_told():
    told = README.read_text(encoding="utf-8")
    assert not [extra for extra in PROJECT["optional-dependencies"] if f'`pip install ".[{extra}]"`' not in told]


# ---- the rules see what they forbid ----


@pytest.mark.parametrize(
    "command",
    [
        "fastml trian", "fastml train --epohcs 2", 'pip install ".[plots]"', "pip install fastml", "conda install x",
        "pytest tests/test_nothing.py", "python nothing.py", "python -m fastml.nothing", "bash .ci/nothing",
        "git nothing", "FASTML_NOTHING=1 fastml info", "fastml train mnist", "tools/nothing --help",
    ],
)  # fmt: skip
def test_a_wrong_command_is_seen(command, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((AssertionError, subprocess.CalledProcessError, ModuleNotFoundError)):
        check(command, None, tmp_path, capsys)


def test_another_output_is_seen(tmp_path, capsys):
    check("fastml --version", None, tmp_path, capsys)
    with pytest.raises(AssertionError):
        check("fastml --version", ["fastml 0.0"], tmp_path, capsys)


def test_what_is_found():
    page = (
        "`fastml info` `fastml.x`\n```bash\npip install . && fastml train  # a, b\n```\n```text\nseen\n```\n`git log`\n"
    )
    assert commands(page) == [
        ("pip install .", None),
        ("fastml train", ["seen"]),
        ("fastml info", None),
        ("git log", None),
    ]
    page = "```python\nimport a\n```\n```python\nb\n```\n```text\nc\n```\n```python\nfrom d import e\n```\n"
    assert programs(page) == [[("import a", None), ("b", ["c"])], [("from d import e", None)]]
