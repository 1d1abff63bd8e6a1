"""Writes the cards of the compiled step's kernels into docs/step.md, from the kernels themselves.

    python tools/step_cards.py

tests/test_docs.py compares the page with what this would write.
"""

import importlib
import pkgutil
from pathlib import Path

from fastml._kernels.step.card import Kernel

from fastml._kernels import step

PAGE = Path(__file__).resolve().parent.parent / "docs" / "step.md"
HEADING = "## The cards\n"


def kernels():
    """The kernels by file, in the order in which they are made."""
    names = sorted(module.name for module in pkgutil.iter_modules(step.__path__))
    modules = {name: vars(importlib.import_module(f"{step.__name__}.{name}")) for name in names}
    found = {
        name: [value for value in values.values() if isinstance(value, Kernel)] for name, values in modules.items()
    }
    return {name: rows for name, rows in found.items() if rows}


def row(kernel):
    """A kernel's card as a row of a table."""

    def shown(names):
        return ", ".join(f"{name}?" if name in kernel.optional else name for name in names)

    numbers = [
        f"{name} ({', '.join(kind)})" if isinstance(kind, tuple) else name for name, kind in kernel.numbers.items()
    ]
    cuts = [f"{cut} (whole: {', '.join(whole)})" if whole else cut for cut, whole in kernel.cuts.items()]
    cells = kernel.formula, shown(kernel.outs), shown(kernel.ins), ", ".join(numbers), ", ".join(cuts)
    return f"| `{kernel.name}` | " + " | ".join(cells) + " |"


def tables():
    """The tables of all kernels, a file each."""
    head = "| kernel | computes | writes | reads | numbers | may be cut by |\n|---|---|---|---|---|---|\n"
    return "\n".join(
        f"`fastml/_kernels/step/{name}.pyx`\n\n{head}" + "".join(f"{row(kernel)}\n" for kernel in rows)
        for name, rows in kernels().items()
    )


def page():
    """docs/step.md with the cards as they are."""
    text = PAGE.read_text(encoding="utf-8")
    before, after = text.split(HEADING)
    introduction = after[: after.index("\n`fastml/_kernels/step/")]
    return f"{before}{HEADING}{introduction}\n{tables()}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
