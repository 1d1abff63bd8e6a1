"""How the house is measured: lengths of files and functions, and what a line may not say; its rules: test_house.py."""

import ast
import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent

PYTHON, CYTHON, C = {".py", ".pyi"}, {".pyx", ".pxd", ".pxi"}, {".c", ".h"}
ROOMS = ["benchmarks", "examples", "fastml", "src_c", "tests", "tools"]
REASON = re.compile(r"^[\s#*/]*Long because \w", re.MULTILINE)


class Function(NamedTuple):
    """A function or a macro: its name, its first line, its lines without a docstring, and whether it says why."""

    name: str
    line: int
    length: int
    excused: bool


def sources():
    """The files that somebody wrote, by their paths from the root; C below fastml/ is Cython's."""
    found = [ROOT / "setup.py", *(path for room in ROOMS for path in (ROOT / room).rglob("*.*"))]
    names = {path.relative_to(ROOT).as_posix(): path for path in sorted(found)}
    return {
        name: path.read_text(encoding="utf-8")
        for name, path in names.items()
        if path.suffix in PYTHON | CYTHON | C and not (name.startswith("fastml/") and name.endswith(".c"))
    }


def suffix(name):
    return name[name.rindex(".") :]


def header(text):
    """The comment or docstring with which a file begins."""
    for pattern in (r"\s*/\*.*?\*/", r'\s*(#[^\n]*\n\s*)*r?""".*?"""', r"(\s*(//|#)[^\n]*\n)+"):
        if found := re.match(pattern, text, re.DOTALL):
            return found.group()
    return ""


def functions(name, text):
    """The functions of a file, by the language in which it is written."""
    kind = suffix(name)
    return python_functions(text) if kind in PYTHON else cython_functions(text) if kind in CYTHON else c_functions(text)


def python_functions(text):
    lines = text.splitlines()
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            docstring = ast.get_docstring(node, clean=False) or ""
            documented = node.body[0].end_lineno - node.body[0].lineno + 1 if docstring else 0
            length = node.end_lineno - node.lineno + 1 - documented
            excused = bool(REASON.search(docstring) or REASON.search(above(lines, first - 1)))
            found.append(Function(node.name, node.lineno, length, excused))
    return found


def cython_functions(text):
    """Functions that begin with def, cdef or cpdef and end where a line is indented as little as their first one."""
    lines = text.splitlines()
    found = []
    for first, line in enumerate(lines):
        head = re.match(r"(\s*)(?:def|cdef|cpdef)\b(?!\s+(?:extern|class|struct|enum|union)\b)[^=(]*?(\w+)\(", line)
        if not head:
            continue
        body = after_signature(lines, first)
        if body is None:
            continue
        end = last = body
        while end < len(lines):
            inner = lines[end]
            if inner.strip() and not inner.lstrip().startswith("#"):
                if len(inner) - len(inner.lstrip()) <= len(head.group(1)):
                    break
                last = end + 1
            end += 1
        docstring = re.match(r'\s*r?""".*?"""', "\n".join(lines[body:last]), re.DOTALL)
        documented = docstring.group().count("\n") + 1 if docstring else 0
        excused = bool(REASON.search(docstring.group().replace('"""', "") if docstring else ""))
        excused |= bool(REASON.search(above(lines, first)))
        found.append(Function(head.group(2), first + 1, last - first - documented, excused))
    return found


def after_signature(lines, first):
    """The line after a signature, which may go on over several; None where it has no body."""
    depth = 0
    for number in range(first, len(lines)):
        code = lines[number].split("#")[0].rstrip()
        depth += sum(map(code.count, "([{")) - sum(map(code.count, ")]}"))
        if depth == 0:
            return number + 1 if code.endswith(":") else None
    return None


def c_functions(text):
    """Functions whose braces are where the formatter puts them, the last one in the first column; and long macros."""
    lines = text.splitlines()
    code = without_comments(text).splitlines()
    found = []
    for first, line in enumerate(code):
        if macro := re.match(r"#\s*define\s+(\w+)", line):
            last = first
            while code[last].endswith("\\"):
                last += 1
            found.append(Function(macro.group(1), first + 1, last - first + 1, excused_c(lines, first, first)))
        elif line.rstrip().endswith("{") and not line.startswith((" ", "\t")):
            head = first
            while head and code[head - 1].strip() and not re.search(r"([;}]\s*$)|(^#)", code[head - 1]):
                head -= 1
            declaration = re.sub(r"__attribute__\s*\(\(.*?\)\)", "", " ".join(code[head : first + 1]))
            name = re.search(r"(\w+(?:\(\w+\))?)\s*\(", declaration)
            if name and "=" not in declaration:
                last = next((n for n in range(first, len(code)) if code[n].startswith("}")), len(code) - 1)
                found.append(Function(name.group(1), head + 1, last - head + 1, excused_c(lines, head, first)))
    return found


def without_comments(text):
    """C with its comments and strings made spaces, line by line as long as before."""
    tokens = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)
    return tokens.sub(lambda found: re.sub(r"[^\n]", " ", found.group()), text)


def excused_c(lines, first, opening):
    """Whether the comment above a definition, or the one with which its body begins, has the reason."""
    inside = re.match(r"\s*/\*.*?\*/", "\n".join(lines[opening + 1 :]), re.DOTALL)
    above_it = re.search(r"/\*(?:(?!\*/).)*\*/\s*$", "\n".join(lines[:first]), re.DOTALL)
    return any(REASON.search(comment.group()) for comment in (inside, above_it) if comment)


def above(lines, first):
    """The comment that ends in the line before the first one."""
    start = first
    while start and lines[start - 1].lstrip().startswith("#"):
        start -= 1
    return "\n".join(lines[start:first])


def code_of(text):
    """Cython or Python without its comments and docstrings."""
    return re.sub(r'#[^\n"\']*$', "", re.sub(r'""".*?"""', "", text, flags=re.DOTALL), flags=re.MULTILINE)


def matches(pattern, text):
    return len(re.findall(pattern, text, re.MULTILINE))
