"""Runs a training step: phases of tiles, each tile through all the instructions of its sweep, in one parallel region.

step/compile.py makes the program; here nothing of Python is touched between the first kernel and the last. A phase is
over when all its tiles are done, and only then the next begins; within it tiles are independent of each other, so
threads take them as they come and the bits do not depend on who did what. How many tiles a sweep has follows from
the batch at hand, so a smaller batch runs the same program, and from the size of the team.
"""

from cython.parallel import parallel

from ... cimport _numpy as cnp
from libc.stdlib cimport calloc, free

from ..._environment cimport FM_FULL, fm_change, fm_environment, fm_scope, fm_switch
from ..._memory cimport free_lines, lines
from ..._openmp cimport (
    await_phase, fm_phase_finish, fm_phase_take, fm_work, forced, join_team, leave_team, next_block, share_work,
    team, team_done,
)
from .arguments cimport MEMORY, SCRATCH, Arguments, Tile, View

cnp.import_array()

cdef enum:
    ALIGNMENT = 64
    TILES_EACH = 2      # of a sweep of columns for each thread, where they are wide enough for it

cdef double LEAST_NS = 30e3  # below, phases are too short to be shared


class Stale(Exception):
    """A program does not fit, or no longer, what it is to do: another must be made. Nothing has been written."""


cdef class Program:
    """matrices: (place in arena or scratch, or None; row; cols; itemsize; private) of each; stages: (Arguments,
    operands, as numbers of matrices or None); sweeps: (first stage, last, by_columns, extent or -1, width of the
    largest tile); phases: (first sweep, last); panel: columns of the narrowest tile."""

    def __cinit__(self, list matrices, list stages, list sweeps, list phases, size_t arena_bytes, size_t scratch_bytes,
                  size_t itemsize, Py_ssize_t panel):
        cdef int i
        cdef Arguments arguments
        self.itemsize, self.panel = itemsize, panel
        self.n_phases = len(phases)
        self.arena_bytes = arena_bytes
        self.scratch_bytes = (scratch_bytes + 4096 + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT
        self.instructions = <Instruction *>calloc(max(1, len(stages)), sizeof(Instruction))
        self.sweeps = <Sweep *>calloc(max(1, len(sweeps)), sizeof(Sweep))
        self.phases = <Phase *>calloc(max(1, len(phases)), sizeof(Phase))
        self.sync = <fm_phase *>calloc(max(1, len(phases)), sizeof(fm_phase))
        self.uses = <View **>calloc(1 + sum([len(operands) for _, operands in stages]), sizeof(View *))
        self.first_use = <int *>calloc(len(matrices) + 1, sizeof(int))
        self.arena = <char *>lines(arena_bytes)
        if (self.instructions == NULL or self.sweeps == NULL or self.phases == NULL or self.sync == NULL
                or self.uses == NULL or self.first_use == NULL or self.arena == NULL):
            raise MemoryError(f"no memory for a training step of {arena_bytes} bytes")
        self.held = [None] * len(matrices) + [stages]
        self.place(matrices, stages)
        for i, (arguments, _) in enumerate(stages):
            self.instructions[i] = Instruction(arguments.kernel.tile, arguments.kernel.mode, arguments.memory)
        for i, (first, last, by_columns, extent, width) in enumerate(sweeps):
            self.sweeps[i] = Sweep(first, last, by_columns, extent, width, width, 0)
        for i, (first, last) in enumerate(phases):
            self.phases[i] = Phase(first, last, 0)
        self.rows = -1

    cdef int place(self, list matrices, list stages) except -1:
        """Tell every instruction where its operands are."""
        cdef int i, k = 0
        cdef View *view
        cdef Arguments arguments
        cdef char *base = self.arena
        views = [[] for _ in matrices]  # of each matrix: (arguments, number of the operand)
        for arguments, operands in stages:
            for i, matrix in enumerate(operands):
                if matrix is not None:
                    views[matrix].append((arguments, i))
        for i, (start, row, cols, itemsize, private) in enumerate(matrices):
            self.first_use[i] = k
            for arguments, operand in views[i]:
                view = <View *>arguments.memory + <int>operand  # the operands come first in a kernel's struct
                view.row, view.cols, view.size, view.where = row, cols, itemsize, SCRATCH if private else MEMORY
                if start is not None:
                    view.data = <size_t>start if private else <size_t>(base + <size_t>start)
                self.uses[k] = view
                k += 1
        self.first_use[len(matrices)] = k
        return 0

    def __dealloc__(self):
        free(self.instructions)
        free(self.sweeps)
        free(self.phases)
        free(self.sync)
        free(self.uses)
        free(self.first_use)
        free_lines(self.arena)
        free_lines(self.scratch)

    cpdef bind(self, int matrix, cnp.ndarray array):
        """The memory of a matrix that is not in the arena: a contiguous array, whose first axis counts the rows."""
        cdef int axis, k
        cdef Py_ssize_t row = 1
        self.held[matrix] = array
        for axis in range(1, cnp.PyArray_NDIM(array)):
            row *= cnp.PyArray_DIM(array, axis)
        for k in range(self.first_use[matrix], self.first_use[matrix + 1]):
            self.uses[k].data = <size_t>cnp.PyArray_DATA(array)
            self.uses[k].row, self.uses[k].size = row, cnp.PyArray_ITEMSIZE(array)

    cdef int resize(self, Py_ssize_t rows, int threads) except -1:
        """How many tiles each sweep has at this batch, for this team."""
        cdef int p, k
        cdef Sweep *sweep
        for p in range(self.n_phases):
            self.phases[p].tiles = 0
            for k in range(self.phases[p].first, self.phases[p].last):
                sweep = &self.sweeps[k]
                extent = rows if sweep.extent < 0 else sweep.extent
                sweep.width = sweep.widest
                if threads > 1 and sweep.by_columns:
                    while sweep.width > self.panel and extent <= (TILES_EACH * threads - 1) * sweep.width:
                        sweep.width = max(self.panel, sweep.width // (2 * self.panel) * self.panel)
                sweep.tiles = <int>((extent + sweep.width - 1) // sweep.width)
                self.phases[p].tiles += sweep.tiles
        self.rows, self.threads = rows, threads
        return 0

    cdef int reserve(self, int threads) except -1:
        """Scratch for this many threads."""
        if threads > self.scratch_threads:
            free_lines(self.scratch)
            self.scratch_threads = 0
            self.scratch = <char *>lines(threads * self.scratch_bytes)
            if self.scratch == NULL:
                raise MemoryError(f"no memory for the scratch of {threads} threads")
            self.scratch_threads = threads
        return 0

    cdef int execute(self, Py_ssize_t rows, double nanoseconds) except -1:
        """The whole step on `rows` rows, which take one thread about this long."""
        cdef fm_scope _scope = fm_switch(FM_FULL)
        cdef int p, threads = 1
        cdef Py_ssize_t t = 0
        cdef fm_work work
        if forced() or nanoseconds >= LEAST_NS:
            threads = team(nanoseconds)
        if rows != self.rows or threads != self.threads:
            self.resize(rows, threads)
        self.reserve(threads)
        if threads == 1:
            with nogil:
                self.alone()
        else:
            for p in range(self.n_phases):
                self.sync[p].next = self.sync[p].done = 0
            share_work(&work, threads, threads)
            with nogil, parallel(num_threads=threads):
                t = join_team(&work)
                while t >= 0:
                    self.together(t)
                    t = next_block(&work)
                leave_team()
        team_done()
        return 0

    cdef fm_environment sweep_tile(self, const Phase *phase, int i, char *scratch, fm_environment mode) noexcept nogil:
        """Tile i of a phase through its sweep's instructions, from this floating-point mode on; the mode then."""
        cdef int k
        cdef const Sweep *sweep = &self.sweeps[phase.first]
        cdef Tile tile
        while i >= sweep.tiles:
            i -= sweep.tiles
            sweep += 1
        tile.rows, tile.size = self.rows, self.itemsize
        tile.by_columns = sweep.by_columns
        tile.lo = i * sweep.width
        tile.hi = min(tile.lo + sweep.width, self.rows if sweep.extent < 0 else sweep.extent)
        tile.scratch = scratch
        for k in range(sweep.first, sweep.last):
            mode = fm_change(mode, self.instructions[k].mode)
            self.instructions[k].tile(self.instructions[k].arguments, &tile)
        return mode

    cdef char *scratch_of(self, int thread) noexcept nogil:
        return self.scratch + thread * self.scratch_bytes

    cdef void alone(self) noexcept nogil:
        cdef int p, i
        cdef fm_environment mode = FM_FULL
        for p in range(self.n_phases):
            for i in range(self.phases[p].tiles):
                mode = self.sweep_tile(&self.phases[p], i, self.scratch_of(0), mode)
        fm_change(mode, FM_FULL)

    cdef void together(self, int thread) noexcept nogil:
        """One thread's part."""
        cdef int p, i
        cdef fm_environment mode = FM_FULL
        for p in range(self.n_phases):
            i = fm_phase_take(&self.sync[p])
            while i < self.phases[p].tiles:
                mode = self.sweep_tile(&self.phases[p], i, self.scratch_of(thread), mode)
                fm_phase_finish(&self.sync[p])
                i = fm_phase_take(&self.sync[p])
            await_phase(&self.sync[p], self.phases[p].tiles)
        fm_change(mode, FM_FULL)
