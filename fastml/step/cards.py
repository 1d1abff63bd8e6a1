"""The cards of all kernels as text, for docs/step.md and for whoever asks what a kernel is given."""

from .._kernels.step import batch_norm, cross_entropy, elementwise, group_norm, layer_norm, linear, losses, update
from .._kernels.step.card import Kernel

#: The modules of the kernels, in the order in which a step meets them.
FAMILIES = (linear, elementwise, batch_norm, layer_norm, group_norm, cross_entropy, losses, update)


def kernels(family):
    """The kernels of a module, in the order of their names."""
    return sorted({k for k in vars(family).values() if isinstance(k, Kernel)}, key=lambda kernel: kernel.name)


def card(kernel):
    """One kernel: what it reads → what it writes, its numbers, its formula and how it may be cut. Operands that may be
    None stand in brackets, and so do numbers that nobody gives to `emit`."""
    operands = [f"[{name}]" if name in kernel.optional else name for name in kernel.ins]
    numbers = []
    for name, kind in kernel.numbers.items():
        text = f"{name}({', '.join(kind)})" if isinstance(kind, tuple) else name
        numbers.append(f"[{text}]" if name in kernel.later else text)
    given = "; ".join(filter(None, [", ".join(operands), ", ".join(numbers)]))
    cuts = [f"{cut} ({', '.join(whole)} whole)" if whole else cut for cut, whole in kernel.cuts.items()]
    return f"{kernel.name}({given}) → {', '.join(kernel.outs)}", kernel.formula, f"cut by {' or by '.join(cuts)}"


def cards():
    """All cards as Markdown: a heading for each module, a definition for each kernel."""
    lines = []
    for family in FAMILIES:
        lines += [f"### {family.__name__.rpartition('.')[2]}", ""]
        for kernel in kernels(family):
            call, formula, cut = card(kernel)
            lines += [f"- `{call}`  ", f"  {formula}; {cut}"]
        lines.append("")
    return "\n".join(lines)
