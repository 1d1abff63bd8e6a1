"""The pages are true: files that they name are there, what they quote stands in them, and their sessions print what
they say.

A block whose first line names a file (`# path`, `/* path */`, or `+++ path` of a diff) quotes it: its lines stand there
in this order, a line `…` in the place of any. A `pycon` block is a session; those of a page go on from each other.
"""

import doctest
import importlib.util
import re

import pytest

from .house import ROOT, sources

PAGES = sorted(ROOT.glob("docs/*.md"))
OTHERS = [
    path
    for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "src_c/README.md")
    if (path := ROOT / name).exists()
]
PATH = r"(?:benchmarks|docs|examples|fastml|src_c|tests|tools)/[\w./-]+\.(?:pyx|pyi|pxd|pxi|py|c|h|md|json)"
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
HEAD = re.compile(rf"(?:# |/\* |\+\+\+ )({PATH}|setup\.py)(?: \*/)?")
CODE = {"c", "cython", "diff", "python"}

#: By section of adding.md: a sibling that is in all its places, and files where it is an example of something else.
SIBLINGS = {
    "An op in a family": (r"leaky_?relu", {"tests/test_environment.py", "tests/test_step_owners.py"}),
    "A loss": ("huber", {"tests/test_estimators_training.py", "tests/test_step_weights.py"}),
    "An optimizer": ("lion", set()),
}

every_page = pytest.mark.parametrize("page", [*PAGES, *OTHERS], ids=lambda page: page.relative_to(ROOT).as_posix())


def blocks(text):
    """The fenced blocks of a page as (language, lines)."""
    return [(language, body.splitlines()) for language, body in BLOCK.findall(text)]


def quotes(text):
    """What a page quotes, as (path, lines); of a diff, what is there afterwards."""
    found = []
    for language, lines in blocks(text):
        quoted = None
        for line in lines:
            if head := HEAD.fullmatch(line):
                quoted = []
                found.append((head.group(1), quoted))
            elif quoted is not None and not (language == "diff" and line.startswith("-")):
                quoted.append(line.removeprefix("+" if language == "diff" else "").strip())
    return found


def missing(quoted, text):
    """The first line of a quotation that does not follow the one before it in the text; None where all do."""
    lines = [line.strip() for line in text.splitlines()]
    at, anywhere = 0, True
    for line in quoted:
        if line in ("…", ""):
            anywhere = True
        elif line in (lines[at:] if anywhere else lines[at : at + 1]):
            at, anywhere = lines.index(line, at) + 1, False
        else:
            return line
    return None


@every_page
def test_named_files_are_there(page):
    text = page.read_text(encoding="utf-8")
    assert not [name for name in re.findall(rf"(?<![\w/.<-]){PATH}\b", text) if not (ROOT / name).exists()]
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)", text)
    assert not [link for link in links if not (page.parent / link).exists()]


@every_page
def test_quotations_are_true(page):
    found = quotes(page.read_text(encoding="utf-8"))
    first = [(path, missing(lines, (ROOT / path).read_text(encoding="utf-8"))) for path, lines in found]
    assert not [(path, line) for path, line in first if line is not None]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_sessions_print_what_they_say(page):
    names = {}
    for language, lines in blocks(page.read_text(encoding="utf-8")):
        assert language not in CODE or HEAD.fullmatch(lines[0]), f"a block that nothing checks: {lines[0]}"
        if language == "pycon":
            test = doctest.DocTestParser().get_doctest("\n".join(lines) + "\n", names, page.name, None, 0)
            runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
            assert runner.run(test, clear_globs=False).failed == 0
            names = test.globs


@pytest.mark.parametrize("section", SIBLINGS)
def test_the_guide_names_every_file(section):
    """Those that have the sibling's name are the files that a new one goes into."""
    pattern, others = SIBLINGS[section]
    page = (ROOT / "docs" / "adding.md").read_text(encoding="utf-8")
    (part,) = re.findall(rf"^## {section}\n(.*?)(?=^## )", page, re.DOTALL | re.MULTILINE)
    named = {name.replace("<stem>", pattern) for name in re.findall(r"[\w./<>]+\.\w+", part)}
    pages = ("README.md", "docs/numerics.md", "docs/step.md")
    texts = sources() | {name: (ROOT / name).read_text(encoding="utf-8") for name in pages}
    sibling = re.compile(rf"(?<![a-z]){pattern}", re.IGNORECASE)  # and no million
    found = {name for name, text in texts.items() if sibling.search(text)}
    assert found - others - named <= {"tests/test_docs.py"}


def test_the_cards_are_those_of_the_kernels():
    spec = importlib.util.spec_from_file_location("step_cards", ROOT / "tools" / "step_cards.py")
    step_cards = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(step_cards)
    assert step_cards.PAGE.read_text(encoding="utf-8") == step_cards.page(), "python tools/step_cards.py writes them"


def test_a_quotation_is_compared():
    page = "```diff\n+++ tests/x.py\n a\n-b\n+c\n…\n+d\n```\n```c\n/* src_c/y.c */\nint x;\n```\n```sh\n# none\n```\n"
    assert quotes(page) == [("tests/x.py", ["a", "c", "…", "d"]), ("src_c/y.c", ["int x;"])]
    assert missing(["a", "c", "…", "d"], "a\n  c\nx\nd\n") is None
    assert missing(["a", "d"], "a\nc\nd\n") == "d" and missing(["c", "a"], "a\nc\n") == "a"
