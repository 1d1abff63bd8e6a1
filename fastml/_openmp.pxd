"""How a kernel enters a parallel region.

    cdef int threads = team(nanoseconds), me = caller()
    with nogil, parallel(num_threads=threads):
        join_team(me)
        for b in prange(blocks, schedule="static"):
            ...
        leave_team()
    team_done()
"""

# The number of threads for work that takes one thread this long: 1 where a team would not pay.
cdef int team(double nanoseconds) noexcept nogil
# Whether all work is to have a team, as tests want it.
cdef bint forced() noexcept nogil
# Who calls, on which CPU and in which floating-point mode.
cdef int caller() noexcept nogil
# First in the region, by every thread: a worker takes the caller's mode over, and one beside the caller moves off.
cdef void join_team(int caller) noexcept nogil
# Last in the region, by every thread: a worker's own mode is put back.
cdef void leave_team() noexcept nogil
# After the region: how long it took tells the next call whether the team is awake.
cdef void team_done() noexcept nogil

# A phase of a program, all zero before it begins: fm_phase_take gives the next tile, fm_phase_finish says that it is
# done, await_phase waits until all are.
cdef extern from "threads.h" nogil:
    ctypedef struct fm_phase:
        int next
        int done
    int fm_phase_take(fm_phase *phase)
    void fm_phase_finish(fm_phase *phase)

# A clock that only goes forward, in nanoseconds.
cdef double clock() noexcept nogil

cdef void await_phase(fm_phase *phase, int tiles) noexcept nogil
