"""A kernel of a training step with its card: the names of all that a stage gives it, and how the stage may be cut."""

import struct

from .arguments import FULL, MARKS, Function


class CardError(Exception):
    """A card that contradicts its kernel's struct."""


class Kernel(Function):
    """A kernel as a plan names it. ``fields`` is its struct, read from the ruler; the other arguments are
    :func:`card`'s."""

    def __init__(self, address, mode, name, formula, fields, *, outs, inouts, optional, later, rectifier, cuts):
        self.name, self.formula, self.rectifier = name, formula, rectifier
        self.operands = tuple([field for field, mark in fields.items() if _is_operand(mark)])
        #: "real", "integer", or the names of a struct's numbers, which are set at once.
        self.numbers = {field: _kind(mark) for field, mark in fields.items() if not _is_operand(mark)}
        self.outs = self._known((*outs, *inouts), self.operands)
        self.ins = tuple([operand for operand in self.operands if operand not in outs])
        #: Operands that may be None.
        self.optional = frozenset(self._known(optional, self.operands))
        #: Numbers that are set after `emit`: by the kernel's own target, or by a fusion.
        self.later = frozenset(self._known(later, self.numbers))
        #: All that `emit` must be given.
        self.names = frozenset(fields) - self.later
        #: "rows", "columns": the operands that such a tile needs whole.
        self.cuts = {cut: self._known(whole, self.operands) for cut, whole in cuts.items()}
        super().__init__(address, mode, *self._measure(fields))

    def _known(self, names, known):
        for name in names:
            if name not in known:
                raise CardError(f"{self.name} has no {name} among {', '.join(known)}")
        return tuple(names)

    def _measure(self, fields):
        """The words of the struct, and the place of each number: (kind, first byte, bytes)."""
        at, places = 0, {}
        for k, (field, mark) in enumerate(fields.items()):
            marks = list(mark.values()) if isinstance(mark, dict) else [mark]
            if field in self.numbers:
                kind = self.numbers[field]
                places[field] = "struct" if isinstance(kind, tuple) else kind, 8 * at, 8 * len(marks)
            elif k >= len(self.operands):
                raise CardError(f"{self.name}: operands must come before numbers, not {field}")
            for each in marks:
                if _word(each) != at:
                    raise CardError(f"{self.name}: {field} must lie at word {at}, not {_word(each)}")
                at += 1
        return at, places

    def __repr__(self):
        return f"<kernel {self.name}>"


def card(
    address, name, formula, fields, *, out="", inout="", optional="", later="", rows=None, columns=None, rectifier=None,
    mode=None,
):  # fmt: skip
    """The kernel of the function at this address, and its card.

    ``out``, ``inout``, ``optional``: names of operands; ``later``: of numbers that are set after `emit`, by the
    kernel's own target; ``rectifier``: the one by which a fusion lets the kernel rectify its first output. ``rows``,
    ``columns``: the operands that such a tile needs whole, None where there is no such cut. ``mode``: that of the op
    that it stands for, FM_FULL unless given.
    """
    cuts = {cut: whole.split() for cut, whole in (("rows", rows), ("columns", columns)) if whole is not None}
    return Kernel(
        address, FULL if mode is None else mode, name, formula, fields, outs=out.split(), inouts=inout.split(),
        optional=optional.split(), later=[*later.split(), *filter(None, [rectifier])], rectifier=rectifier, cuts=cuts,
    )  # fmt: skip


def _is_operand(mark):
    return isinstance(mark, dict) and "where" in mark


def _kind(mark):
    return tuple(mark) if isinstance(mark, dict) else "real" if isinstance(mark, float) else "integer"


def _word(mark):
    """The word of the ruler from which a number was read: a double is the mark itself, an integer has its bits."""
    value = mark if isinstance(mark, float) else struct.unpack("d", struct.pack("Q", mark))[0]
    if value not in range(1, MARKS + 1):
        raise CardError("members must have 8 bytes: View, double, an integer of 64 bits, or a struct of such numbers")
    return int(value) - 1
