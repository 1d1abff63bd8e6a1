"""The house's rules, measured: how long a file, a function and a line may be, and what belongs on another floor."""

import pytest

from . import house

if not (house.ROOT / "src_c").is_dir():
    pytest.skip("the sources are not here", allow_module_level=True)

SOURCES = house.sources()
COLUMNS, FILE_LINES, FUNCTION_LINES = 120, 400, 60
KERNELS = "fastml/_kernels/"
RULES = {}


def rule(count):
    RULES[count.__name__] = count
    return count


@rule
def long_files(name, text):
    """A file of more than 400 lines that has no line "Long because ..." in the comment at its top."""
    return text.count("\n") > FILE_LINES and not house.REASON.search(house.header(text).replace('"""', ""))


@rule
def long_functions(name, text):
    """Functions of more than 60 lines (docstring not counted) whose docstring or comment has no "Long because ..."."""
    return sum(f.length > FUNCTION_LINES and not f.excused for f in house.functions(name, text))


@rule
def wide_lines(name, text):
    """Lines of more than 120 columns."""
    return sum(len(line) > COLUMNS for line in text.splitlines())


@rule
def errors_in_kernels(name, text):
    """Errors about arguments: the gate (_check) raises them, before a kernel begins."""
    errors = r"^\s*raise (?:ValueError|TypeError|IndexError|_\w+|\w+\.\w+|[a-z]\w*)\b"
    return house.matches(errors, house.code_of(text)) if name.startswith(KERNELS) else 0


@rule
def precisions_in_kernels(name, text):
    """Tables named by their precision: a kernel is written once, over table_of(sizeof(real))."""
    return house.matches(r"\bfm(?:32|64)\b", house.code_of(text)) if name.startswith(KERNELS) else 0


@rule
def numbered_operands(name, text):
    """Operands of the step by their number: p.v[3]. Each has a name on its kernel's card."""
    return house.matches(r"\b\w+\.[vnx]\[\d+\]", house.code_of(text)) if name.startswith(KERNELS) else 0


@rule
def errors_with_got(name, text):
    """Messages in a form of their own: NAME must be ..., not ..."""
    joined = house.re.sub(r'"\s*\n\s*f?"', "", text)
    return house.matches(r"\bmust\b[^\n\"]*, got\b", joined) if name.startswith("fastml/") else 0


@pytest.mark.parametrize("rule", RULES)
def test_rule(rule):
    found = {name: count for name, text in SOURCES.items() if (count := int(RULES[rule](name, text)))}
    assert not found, f"{RULES[rule].__doc__} By file: {found}{places(rule, found)}"


def places(rule, names):
    """The lines of the functions and the wide lines, for a message."""
    if rule == "long_functions":
        found = [(name, f) for name in names for f in house.functions(name, SOURCES[name])]
        long = [(name, f) for name, f in found if f.length > FUNCTION_LINES and not f.excused]
        return "".join(f"\n{name}:{f.line} {f.name}, {f.length} lines" for name, f in long)
    if rule == "wide_lines":
        lines = [(name, *line) for name in names for line in enumerate(SOURCES[name].splitlines(), 1)]
        return "".join(f"\n{name}:{number}" for name, number, line in lines if len(line) > COLUMNS)
    return ""


def test_the_sources_are_there():
    assert {"fastml/_check.py", "src_c/fm.h", "tests/test_house.py", "setup.py"} <= set(SOURCES)


# ---- the ruler measures what it says ------------------------------------------------------------------------------

PYTHON = '''\
def short(a, b):
    """Docstring,

    three lines."""
    return a


# Long because: no.
# Long because its cases are a table.
@cached
async def told(a,
    b,
):
    return 1

class Room:
    def method(self):
        def inner():
            pass
        return inner
'''

CYTHON = '''\
cdef extern from "x.h" nogil:
    int declared(int a)

cdef inline Py_ssize_t short(int a,
                             int b=(1)) noexcept nogil:
    """Docstring,
    two lines."""
    # a comment

    return a
# Another comment

cdef class Room:
    cdef int field
    def method(self, x):
        """Long because so."""
        if x:
            return 1
    cdef double (*pointer)(double)
    cdef int without_a_body(self, int a) except -1

cpdef last(real[:, ::1] x):
    with nogil:
        pass
'''

C = """\
/* Head { ( */
#define LONG(a) \\
    do {        \\
    } while (0)

typedef struct {
    int (*call)(int);
} table;

static const int numbers[] = {
    1,
};
static const table all = MADE(32){
    1,
};

/* Above.
 * Long because it is unrolled. */
static void
FM(rows)(real *y, const real *x,
         size_t n)
{
    for (;;) {
        s = "}";
    }
}
int one(void) { return 1; }
int two(int a) {
    /* Long because so. */
    return a;
}
"""


def measured(name, text):
    return [(f.name, f.line, f.length, f.excused) for f in house.functions(name, text)]


def test_functions_of_python():
    assert measured("a.py", PYTHON) == [
        ("short", 1, 2, False),
        ("told", 11, 4, True),
        ("method", 17, 4, False),
        ("inner", 18, 2, False),
    ]


def test_functions_of_cython():
    assert measured("a.pyx", CYTHON) == [("short", 4, 5, False), ("method", 15, 3, True), ("last", 22, 3, False)]


def test_functions_of_c():
    assert measured("a.c", C) == [("LONG", 2, 3, False), ("FM(rows)", 19, 8, True), ("two", 28, 4, True)]


def test_rules_see_what_they_forbid():
    kernel = KERNELS + "new.pyx"
    seen = {
        "errors_in_kernels": "    raise ValueError(1)\n    raise MemoryError\n    raise wrong_label(1)  # raise Error",
        "precisions_in_kernels": "fm32.x(fm64) # fm32\nfm320",
        "numbered_operands": "p.v[0] + numbers.n[12]; p.y[0]; p.v[i]",
        "errors_with_got": 'f"x must be {1}, "\n    f"got {2}"; "y must be, got"\n"z, got"',
        "wide_lines": "x" * 120 + "\n" + "x" * 121,
        "long_functions": "def f():\n" + "    x\n" * 60,
    }
    assert {name: RULES[name](kernel, text) for name, text in seen.items()} == {
        name: 1 if name in ("wide_lines", "long_functions") else 2 for name in seen
    }
    assert RULES["long_functions"](kernel, "def f():\n" + "    x\n" * 59) == 0


def test_a_long_file_says_why():
    long = "x = 1\n" * 401
    assert RULES["long_files"]("a.py", long) and not RULES["long_files"]("a.py", "x = 1\n" * 400)
    for name, top in [
        ("a.py", '"""Head.\n\nLong because so.\n"""\n'),
        ("a.pyx", '# License\n"""Long because so."""\n'),
        ("a.c", "/* Head.\n * Long because so.\n */\n"),
    ]:
        assert not RULES["long_files"](name, top + long)
        assert RULES["long_files"](name, top.replace("so", "") + long)
        assert RULES["long_files"](name, long + top)
