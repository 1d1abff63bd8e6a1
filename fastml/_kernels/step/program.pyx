"""Runs a training step: phases of tiles, each tile through all the stages of its job, in one parallel region.

nn/step.py makes the program; here nothing of Python is touched between the first kernel and the last. A phase is
over when all its tiles are done, and only then the next begins; within it tiles are independent of each other, so
threads take them as they come and the bits do not depend on who did what. How many tiles a job has follows from
the batch at hand, so a smaller batch runs the same program.
"""

from cython.parallel import parallel, prange

cimport numpy as cnp
from libc.stdint cimport int64_t
from libc.stdlib cimport calloc, free, malloc

from ..._environment cimport FM_FULL, fm_change, fm_environment, fm_scope, fm_switch
from ..._openmp cimport await_phase, caller, clock, fm_phase_finish, forced, fm_phase_take, join_team, leave_team, team, team_done

cnp.import_array()

cdef enum:
    ALIGNMENT = 64
    KNOWN = 2           # runs on one thread before the team is tried
    SLOW = 3            # team runs slower than one thread, in a row, after which the team rests
    CALM = 20           # team runs that paid, in a row, after which the next rest is a short one

cdef double FIRST_REST = 4e6, LAST_REST = 100e6  # nanoseconds
cdef double PAUSE = 1e6   # nanoseconds since the last run: by then the team sleeps and the caches are another's
cdef double LEAST = 30e3  # nanoseconds: below, phases are too short to be shared

class Stale(Exception):
    """A program no longer fits what it was made from: it must be made again."""


cdef class KernelOf:
    """A kernel: its address and its name."""


cdef class Numbers:
    """Numbers that stages read when they run, real and whole; several stages may share them."""

    def __init__(self, reals=(), integers=()):
        self.set(reals, integers)

    def set(self, reals=(), integers=()):
        cdef int i = 0
        for value in reals:
            self.x[i] = value
            i += 1
        i = 0
        for value in integers:
            self.n[i] = <int64_t><unsigned long long>(value & 0xFFFFFFFFFFFFFFFF)
            i += 1


cdef bint joins(const Habit *h, double now, bint after_pause) noexcept:
    """Whether the team is to run: not while it has to rest, nor before one thread's time is known."""
    return now >= h.until and (after_pause or h.known == KNOWN)


cdef void learn(Habit *h, int threads, double ratio, double now) noexcept:
    """Take in how long a run took that followed another, over the estimate."""
    if threads == 1:
        h.alone = ratio if h.known == 0 else min(ratio, h.alone * 1.01)
        h.known = min(h.known + 1, KNOWN)
    elif ratio < h.alone:
        h.calm += 1
        h.slow = 0
        if h.calm >= CALM:
            h.rest = 0
    else:
        h.calm = 0
        h.slow += 1
        if h.slow >= SLOW:  # not after the first, which may have had to wake the team
            h.slow = 0
            h.rest = min(max(2 * h.rest, FIRST_REST), LAST_REST)
            h.until = now + h.rest


cdef class Program:
    """views: (place in arena or scratch, or None; row; cols; private) of each matrix; stages: (KernelOf, operands,
    Numbers); jobs: (first stage, last, by_columns, extent or -1, tile); phases: (first job, last)."""

    def __cinit__(self, list views, list stages, list jobs, list phases, size_t arena_bytes, size_t scratch_bytes,
                  size_t itemsize):
        cdef int i, k
        cdef KernelOf made
        cdef Numbers numbers
        self.size = itemsize
        self.n_phases = len(phases)
        self.arena_bytes = arena_bytes
        self.scratch_bytes = (scratch_bytes + 4096 + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT
        self.views = <View *>calloc(max(1, len(views)), sizeof(View))
        self.stages = <Stage *>calloc(max(1, len(stages)), sizeof(Stage))
        self.jobs = <Job *>calloc(max(1, len(jobs)), sizeof(Job))
        self.phases = <Phase *>calloc(max(1, len(phases)), sizeof(Phase))
        self.sync = <fm_phase *>calloc(max(1, len(phases)), sizeof(fm_phase))
        self.arena = <char *>malloc(arena_bytes + ALIGNMENT)
        if (self.views == NULL or self.stages == NULL or self.jobs == NULL or self.phases == NULL
                or self.sync == NULL or self.arena == NULL):
            raise MemoryError(f"no memory for a training step of {arena_bytes} bytes")
        self.held = [None] * len(views) + [stages]
        cdef char *base = <char *>((<size_t>self.arena + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT)
        for i, (place, row, cols, private) in enumerate(views):
            self.views[i].row, self.views[i].cols, self.views[i].private = row, cols, private
            if place is not None:
                self.views[i].data = <char *><size_t>place if private else base + <size_t>place
        for i, (made, operands, numbers) in enumerate(stages):
            if len(operands) > OPERANDS:
                raise ValueError(f"{made.name} has {len(operands)} operands, more than {OPERANDS}")
            self.stages[i].run, self.stages[i].mode = made.run, made.mode
            self.stages[i].args.size = itemsize
            self.stages[i].args.x, self.stages[i].args.n = numbers.x, numbers.n
            for k, operand in enumerate(operands):
                self.stages[i].args.v[k] = NULL if operand is None else &self.views[<int>operand]
        for i, (first, last, by_columns, extent, tile) in enumerate(jobs):
            self.jobs[i] = Job(first, last, by_columns, extent, tile, 0)
        for i, (first, last) in enumerate(phases):
            self.phases[i] = Phase(first, last, 0)
        self.rows = -1

    def __dealloc__(self):
        free(self.views)
        free(self.stages)
        free(self.jobs)
        free(self.phases)
        free(self.sync)
        free(self.arena)
        free(self.scratch)

    cpdef bind(self, int view, cnp.ndarray array):
        """The memory of a view that is not in the arena: a contiguous array, whose first axis counts the rows."""
        cdef int axis
        self.held[view] = array
        self.views[view].data = <char *>cnp.PyArray_DATA(array)
        self.views[view].row = 1
        for axis in range(1, cnp.PyArray_NDIM(array)):
            self.views[view].row *= cnp.PyArray_DIM(array, axis)

    cdef int resize(self, Py_ssize_t rows) except -1:
        """How many tiles each job has at this batch."""
        cdef int p, j
        cdef Job *job
        for p in range(self.n_phases):
            self.phases[p].tiles = 0
            for j in range(self.phases[p].first, self.phases[p].last):
                job = &self.jobs[j]
                extent = rows if job.extent < 0 else job.extent
                job.tiles = <int>((extent + job.tile - 1) // job.tile)
                self.phases[p].tiles += job.tiles
        self.rows = rows
        return 0

    cdef int reserve(self, int threads) except -1:
        """Scratch for this many threads."""
        if threads > self.scratch_threads:
            free(self.scratch)
            self.scratch_threads = 0
            self.scratch = <char *>malloc(threads * self.scratch_bytes + ALIGNMENT)
            if self.scratch == NULL:
                raise MemoryError(f"no memory for the scratch of {threads} threads")
            self.scratch_threads = threads
        return 0

    cdef int run(self, Py_ssize_t rows, double nanoseconds) except -1:
        """The whole step on `rows` rows, which take one thread about this long."""
        cdef fm_scope _scope = fm_switch(FM_FULL)
        cdef int t, p, me, threads = 1
        cdef double start
        cdef bint after_pause
        if rows != self.rows:
            self.resize(rows)
        start = clock()
        after_pause = start - self.ended > PAUSE
        if forced() or (nanoseconds >= LEAST and joins(&self.habit, start, after_pause)):
            threads = team(nanoseconds)
        self.reserve(threads)
        if threads == 1:
            with nogil:
                self.alone()
        else:
            me = caller()
            for p in range(self.n_phases):
                self.sync[p].next = self.sync[p].done = 0
            with nogil, parallel(num_threads=threads):
                join_team(me)
                for t in prange(threads, schedule="static"):
                    self.together(t)
                leave_team()
        team_done()
        self.ended = clock()
        if not after_pause:
            learn(&self.habit, threads, (self.ended - start) / nanoseconds, self.ended)
        return 0

    cdef fm_environment tile(self, const Phase *phase, int i, char *scratch, fm_environment mode) noexcept nogil:
        """Tile i of a phase through its job's stages, from this floating-point mode on; the mode then."""
        cdef int s
        cdef const Job *job = &self.jobs[phase.first]
        cdef Tile tile
        while i >= job.tiles:
            i -= job.tiles
            job += 1
        tile.rows = self.rows
        tile.by_columns = job.by_columns
        tile.lo = i * job.tile
        tile.hi = min(tile.lo + job.tile, self.rows if job.extent < 0 else job.extent)
        tile.scratch = scratch
        for s in range(job.first, job.last):
            mode = fm_change(mode, self.stages[s].mode)
            self.stages[s].run(&self.stages[s].args, &tile)
        return mode

    cdef char *scratch_of(self, int thread) noexcept nogil:
        return <char *>((<size_t>self.scratch + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT) + thread * self.scratch_bytes

    cdef void alone(self) noexcept nogil:
        cdef int p, i
        cdef fm_environment mode = FM_FULL
        for p in range(self.n_phases):
            for i in range(self.phases[p].tiles):
                mode = self.tile(&self.phases[p], i, self.scratch_of(0), mode)
        fm_change(mode, FM_FULL)

    cdef void together(self, int thread) noexcept nogil:
        """One thread's part."""
        cdef int p, i
        cdef fm_environment mode = FM_FULL
        for p in range(self.n_phases):
            i = fm_phase_take(&self.sync[p])
            while i < self.phases[p].tiles:
                mode = self.tile(&self.phases[p], i, self.scratch_of(thread), mode)
                fm_phase_finish(&self.sync[p])
                i = fm_phase_take(&self.sync[p])
            await_phase(&self.sync[p], self.phases[p].tiles)
        fm_change(mode, FM_FULL)
