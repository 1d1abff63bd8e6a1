"""From a plan to phases: which stages share a tile, what must wait for what, and where every matrix lies.

Stages that follow each other join a sweep, which takes each tile through all of them while it is in the first
caches, as long as no stage needs more of an operand than its own tile made. A sweep waits for the sweeps that write
what it reads, or read what it writes; its phase is the first one after all of theirs, and sweeps of one phase run
side by side. Matrices whose phases do not overlap share memory.
"""

import math

PANEL_BYTES = 128  # of a row in the narrowest tile of columns: a panel of the GEMM
PANELS = 4  # in the widest: runs in which dropout has several draws in flight, and rows of a weight that share a panel
LITTLE_NS = 30_000  # a step this short is not worth cutting
TILE_ROWS = 16  # twice what the GEMM holds in registers
LINE_BYTES = 64

# One thread's nanoseconds, roughly: they only decide whether a team pays.
NS_PER_FLOP = 0.011
NS_PER_BYTE = 0.03


class Sweep:
    """Consecutive stages that go over the same tiles."""

    def __init__(self, stage, level):
        self.stages, self.level = [], level
        self.access = {}  # of each matrix: whether a stage reads it, and whether one writes it
        self.add(stage, list(stage.whole))

    def add(self, stage, cuts):
        """Take in a stage; ``cuts``: those that are possible then, the best first."""
        self.stages.append(stage)
        self.cuts = cuts
        for matrix, writes in stage.touched.items():
            read, written = self.access.get(matrix, (False, False))
            self.access[matrix] = read or not writes, written or writes

    @property
    def by_columns(self):
        return self.cuts[0] == "columns"

    @property
    def multiple(self):
        return math.lcm(*(stage.multiple for stage in self.stages))


def _conflict(sweep, stage):
    """Whether the stage must not run beside the sweep, nor before it."""
    for matrix, writes in stage.touched.items():
        read, written = sweep.access.get(matrix, (False, False))
        if written or (writes and read):
            return True
    return False


def _common_cuts(sweep, stage):
    """The cuts under which the stage may follow in the sweep's own tiles."""
    cuts = []
    for cut in sweep.cuts:
        if cut not in stage.whole or (cut == "columns" and stage.cols != sweep.stages[0].cols):
            continue
        if all(
            _fits(matrix, writes, stage, other, cut)
            for other in sweep.stages
            for matrix, writes in stage.touched.items()
        ):
            cuts.append(cut)
    return cuts


def _fits(matrix, writes, stage, other, cut):
    """Whether neither stage needs more of a matrix, that one of them writes, than the tile of the other one touches."""
    written = other.touched.get(matrix)
    if written is None or not (writes or written):
        return True
    return matrix not in stage.whole[cut] and matrix not in other.whole[cut]


def sweeps_of(stages):
    """The stages as sweeps with their levels."""
    sweeps = []
    for stage in stages:
        own = [matrix for matrix in stage.touched if matrix.array is None]
        before = [sweep for sweep in sweeps if _conflict(sweep, stage)]
        for sweep in reversed(sweeps):
            near = any(matrix in sweep.access for matrix in own)
            cuts = _common_cuts(sweep, stage) if near else []
            if cuts and all(other.level < sweep.level for other in before if other is not sweep):
                sweep.add(stage, cuts)
                break
        else:
            sweeps.append(Sweep(stage, max((sweep.level + 1 for sweep in before), default=0)))
    return sweeps


class Schedule:
    """A plan's sweeps in order of their phases, and the memory of its matrices."""

    def __init__(self, plan):
        self.plan = plan
        sweeps = sweeps_of(plan.stages)
        self.levels = sorted({sweep.level for sweep in sweeps})
        # Within a phase the longest sweep first: what is left at the end is short.
        sweeps.sort(key=lambda sweep: (sweep.level, -sum(s.flops for s in sweep.stages)))
        self.sweeps = sweeps
        self.flops = sum(stage.flops for stage in plan.stages)
        self.bytes = sum(self._bytes(m) for sweep in sweeps for m in self._matrices(sweep))
        self.nanoseconds = self.flops * NS_PER_FLOP + self.bytes * NS_PER_BYTE
        scratch = [
            s.scratch(self.tile(sweep)) if callable(s.scratch) else s.scratch
            for sweep in sweeps
            for s in sweep.stages
            if s.scratch is not None
        ]
        self.kernel_scratch = -(-max(scratch, default=0) // LINE_BYTES) * LINE_BYTES
        self._place()

    def _matrices(self, sweep):
        return {m.index: m for stage in sweep.stages for m in stage.touched}.values()

    def _bytes(self, m):
        rows = self.plan.rows if m.rows is None else m.rows
        return rows * m.row * m.itemsize

    def tile(self, sweep):
        """Rows or columns of the largest tile, by the shapes alone. A team has tiles of fewer columns."""
        if self.nanoseconds < LITTLE_NS:
            return max(1, sweep.stages[0].cols if sweep.by_columns else self.plan.rows)
        if sweep.by_columns:
            return PANELS * self.panel
        multiple = sweep.multiple
        return max(TILE_ROWS, multiple) // multiple * multiple

    @property
    def panel(self):
        """Columns of the narrowest tile."""
        return PANEL_BYTES // self.plan.dtype.itemsize

    def _place(self):
        """A place for every matrix: in the arena, in a thread's scratch where only one sweep's tiles see it, or
        nowhere where it is an array outside."""
        spans = {}
        for sweep in self.sweeps:
            for m in self._matrices(sweep):
                first, last, users = spans.get(m.index, (sweep.level, sweep.level, 0))
                last = self.levels[-1] if m.result else max(last, sweep.level)
                spans[m.index] = (min(first, sweep.level), last, users + 1)
        self.places, self.private = {}, set()
        scratch = self.kernel_scratch
        taken = []  # (begin, end, first, last)
        for m in sorted(self.plan.matrices, key=self._bytes, reverse=True):
            if m.array is not None or m.index not in spans:
                continue
            first, last, users = spans[m.index]
            sweep = next(each for each in self.sweeps if m in self._matrices(each))
            if users == 1 and m.rows is not None and sweep.by_columns and not m.result:
                self.private.add(m.index)
                self.places[m.index] = scratch
                scratch += -(-self.tile(sweep) * m.row * m.itemsize // LINE_BYTES) * LINE_BYTES
                continue
            size = -(-self._bytes(m) // LINE_BYTES) * LINE_BYTES
            begin = 0
            for b, e, f, la in sorted(taken):
                if f <= last and first <= la and b < begin + size and begin < e:
                    begin = e
            taken.append((begin, begin + size, first, last))
            self.places[m.index] = begin
        self.arena_bytes = max((end for _, end, _, _ in taken), default=0)
        self.scratch_bytes = scratch

    def lists(self):
        """The arguments of Program."""
        matrices = [
            (self.places.get(m.index), m.row, m.cols, m.itemsize, m.index in self.private) for m in self.plan.matrices
        ]
        stages, sweeps, phases = [], [], []
        for level in self.levels:
            first_sweep = len(sweeps)
            for sweep in self.sweeps:
                if sweep.level != level:
                    continue
                first = len(stages)
                for s in sweep.stages:
                    stages.append((s.arguments, [None if m is None else m.index for m in s.operands.values()]))
                extent = sweep.stages[0].cols if sweep.by_columns else -1
                sweeps.append((first, len(stages), sweep.by_columns, extent, self.tile(sweep)))
            phases.append((first_sweep, len(sweeps)))
        return (
            matrices, stages, sweeps, phases, self.arena_bytes, self.scratch_bytes, self.plan.dtype.itemsize, self.panel
        )  # fmt: skip

    def describe(self):
        """The program in words: phases, tiles, stages, memory."""
        plan = self.plan
        lines = [
            (
                f"training step, batches of up to {plan.rows} rows, {plan.dtype}: {self.flops / 1e6:.3g} MFLOP in "
                f"{len(self.levels)} phases, {self.bytes / 1e6:.3g} MB of operands, "
                f"arena {self.arena_bytes / 1e6:.3g} MB"
            )
        ]
        for k, level in enumerate(self.levels):
            lines.append(f"phase {k + 1}")
            for sweep in self.sweeps:
                if sweep.level != level:
                    continue
                width, unit = self.tile(sweep), "columns" if sweep.by_columns else "rows"
                extent = sweep.stages[0].cols if sweep.by_columns else plan.rows
                lines.append(f"  {-(-extent // width)} × {min(width, extent)} {unit}")
                for s in sweep.stages:
                    flops = f"{s.flops / 1e6:.3g} MFLOP" if s.flops else ""
                    lines.append(f"    {s!r:<100} {flops}".rstrip())
        return "\n".join(lines)
