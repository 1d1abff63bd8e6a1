"""How a kernel enters a parallel region.

    cdef int threads = team(nanoseconds), cpu = caller_cpu()
    with nogil, parallel(num_threads=threads):
        join_team(cpu)
        for b in prange(blocks, schedule="static"):
            ...
    team_done()
"""

# The number of threads for work that takes one thread this long: 1 where a team would not pay.
cdef int team(double nanoseconds) noexcept nogil
# The CPU that the caller is on.
cdef int caller_cpu() noexcept nogil
# First in the region, by every thread: a worker that woke on the caller's CPU moves off it.
cdef void join_team(int cpu) noexcept nogil
# After the region: how long it took tells the next call whether the team is awake.
cdef void team_done() noexcept nogil
