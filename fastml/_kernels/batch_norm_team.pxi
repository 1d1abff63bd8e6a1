# The phases of batch_norm_phases.pxi on a team: panel by panel, or phase by phase where panels are few or large.


cdef void schedule(Cut *cut, size_t itemsize, int threads) noexcept nogil:
    """Panel by panel or phase by phase, and the panels for it; itemsize of all arrays that are read."""
    cdef Py_ssize_t channel_bytes = cut.outer * cut.inner * itemsize
    if cut.inner == 1:
        cut.panel = ceil_div(ceil_div(cut.channels, threads), LINE) * LINE
        cut.by_panel = channel_bytes * cut.panel <= CACHE and cut.panel * (threads - 1) < cut.channels
        if not cut.by_panel:
            cut.panel = WIDE
    else:
        cut.panel = 1
        cut.by_panel = channel_bytes <= CACHE and (cut.channels % threads == 0 or cut.channels >= 4 * threads)
        if not cut.by_panel:
            cut.panel = min(8, ceil_div(cut.channels, threads))
    cut.panels = ceil_div(cut.channels, cut.panel)


cdef void gather_part(const Job *job, int part, int parts) noexcept nogil:
    cdef Py_ssize_t i, panels = job.cut.panels, tasks = panels * job.cut.chunks
    for i in range(tasks * part // parts, tasks * (part + 1) // parts):
        gather(job, i // panels, i % panels)


cdef void conclude_part(const Job *job, int part, int parts) noexcept nogil:
    cdef Py_ssize_t p, panels = job.cut.panels
    for p in range(panels * part // parts, panels * (part + 1) // parts):
        conclude(job, p)


cdef void apply_part(const Job *job, int part, int parts) noexcept nogil:
    """Backwards: what was gathered last is still in cache."""
    cdef Py_ssize_t i, panels = job.cut.panels, tasks = panels * job.cut.chunks
    for i in range(tasks * (part + 1) // parts - 1, tasks * part // parts - 1, -1):
        apply(job, i // panels, i % panels)


cdef void alone(const Job *job) noexcept nogil:
    """The whole call on this thread."""
    if job.cut.by_panel:
        by_panel(job, 0, 1)
        return
    if gathers(job):
        gather_part(job, 0, 1)
    conclude_part(job, 0, 1)
    if job.purpose != SUMS:
        apply_part(job, 0, 1)


cdef void together(const Job *job, int threads) noexcept nogil:
    """The whole call on a team, in as many parts."""
    cdef int t, me = caller()
    with parallel(num_threads=threads):
        join_team(me)
        if job.cut.by_panel:
            for t in prange(threads, schedule="static"):
                by_panel(job, t, threads)
        else:
            if gathers(job):
                for t in prange(threads, schedule="static"):
                    gather_part(job, t, threads)
            for t in prange(threads, schedule="static"):
                conclude_part(job, t, threads)
            if job.purpose != SUMS:
                for t in prange(threads, schedule="static"):
                    apply_part(job, t, threads)
        leave_team()
