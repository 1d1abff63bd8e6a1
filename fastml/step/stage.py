"""What a plan consists of: matrices, and stages, each of which is one kernel over some of them."""

from dataclasses import dataclass, field

from .._kernels.step.arguments import Arguments


@dataclass(slots=True)
class Spacing:
    """How the rows of a matrix of the batch lie: matrices that one kernel reads with one stride share it."""

    dense: bool = False  # one row after the other, without a gap


@dataclass(eq=False, slots=True)
class Matrix:
    """One operand: of the batch (``rows`` is None) or of a fixed number of rows, in the step's own memory or in an
    array outside (``array``)."""

    index: int
    name: str
    rows: int | None
    cols: int
    itemsize: int
    array: object = None
    spacing: Spacing = field(default_factory=Spacing)
    shape: tuple = ()  # of a sample, as the layer that comes next sees it
    kept: bool = False  # backward needs it: nothing may be written over it
    result: bool = False  # read after the step

    @property
    def row(self):
        """Elements from one row to the next: rows start on cache lines, never a power of two of them apart."""
        per_line = 64 // self.itemsize
        if self.rows is not None or self.spacing.dense or self.cols < per_line:
            return self.cols
        lines = -(-self.cols // per_line)
        return (lines + (lines % 8 == 0)) * per_line

    def __repr__(self):
        return self.name


class Stage:
    """One kernel with its operands by name, and the numbers that are known when it is written down. The other arguments
    are those of :meth:`Plan.emit`."""

    __slots__ = (
        "arguments", "cols", "cuts", "flops", "kernel", "multiple", "numbers", "operands", "scratch", "touched", "whole"
    )  # fmt: skip

    def __init__(self, kernel, operands, numbers, cols, cuts, flops=0, multiple=1, scratch=None):
        self.kernel, self.operands, self.numbers = kernel, operands, numbers
        self.cols, self.cuts, self.flops, self.multiple, self.scratch = cols, cuts, flops, multiple, scratch
        self.arguments = Arguments(kernel)
        if numbers:
            self.arguments.set(**numbers)
        self._look()

    def set(self, **numbers):
        """Numbers by name."""
        self.arguments.set(**numbers)
        self.numbers |= numbers

    def replace(self, old, new):
        """Take another matrix in the place of one."""
        self.operands = {name: new if m is old else m for name, m in self.operands.items()}
        self._look()

    def _look(self):
        """``touched``: the matrices, each with whether it is written; ``whole``: those that a tile of each possible cut
        needs whole."""
        operands, outs, cuts = self.operands, self.kernel.outs, self.kernel.cuts
        self.touched = touched = {}
        for name, matrix in operands.items():
            if matrix is not None:
                touched[matrix] = name in outs or touched.get(matrix, False)
        self.whole = {cut: [operands[name] for name in cuts[cut]] if cuts[cut] else () for cut in self.cuts}

    def __repr__(self):
        kernel = self.kernel
        there = {name: matrix for name, matrix in self.operands.items() if matrix is not None}
        ins = {name: there[name] for name in kernel.ins if name in there}
        numbers = {name: value for name, value in self.numbers.items() if isinstance(value, (int, float))}
        shown = ", ".join(f"{name}={value!r}" for name, value in (ins | numbers).items())
        outs = [name if name in ins else f"{name}={there[name]!r}" for name in kernel.outs if name in there]
        return f"{kernel.name}({shown}) → {', '.join(outs)}"
