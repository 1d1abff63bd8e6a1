"""How a kernel enters a parallel region.

    cdef int threads = team(nanoseconds)
    cdef Py_ssize_t b = 0
    cdef fm_work work
    share_work(&work, blocks, threads)
    with nogil, parallel(num_threads=threads):
        b = join_team(&work)
        while b >= 0:
            ...
            b = next_block(&work)
        leave_team()
    team_done()

A thread takes blocks of a range of its own and then what others have left (threads.h), so that a thread whose CPU
another program has holds nobody up; at a prange's end all would wait for it. What the region assigns has a value
before it, as each thread begins with a copy.
"""

# The number of threads for work that takes one thread this long: 1 where a team would not pay.
cdef int team(double nanoseconds) noexcept nogil
# Whether all work is to have a team, as tests want it.
cdef bint forced() noexcept nogil

cdef extern from "threads.h" nogil:
    ctypedef struct fm_work:
        pass
    # A phase of a program, all zero before it begins: fm_phase_take gives the next tile, fm_phase_finish says that it
    # is done, await_phase waits until all are.
    ctypedef struct fm_phase:
        int next
        int done
    int fm_phase_take(fm_phase *phase)
    void fm_phase_finish(fm_phase *phase)
    # total += n, by any number of threads
    void fm_add(Py_ssize_t *total, Py_ssize_t n)

# By the caller, before the region; of two loops each has its own.
cdef void share_work(fm_work *work, Py_ssize_t blocks, int threads) noexcept nogil
# First in the region, by every thread: its first block, or -1. A worker takes the caller's floating-point mode over,
# and one beside the caller moves off.
cdef Py_ssize_t join_team(fm_work *work) noexcept nogil
# The block is done: the thread's next one, or -1.
cdef Py_ssize_t next_block(fm_work *work) noexcept nogil
# Between two loops, the second of which needs all of the first: the thread's first block there, or -1.
cdef Py_ssize_t next_work(fm_work *work, fm_work *next) noexcept nogil
# Last in the region, by every thread: the caller waits for the workers; a worker's own mode is put back.
cdef void leave_team() noexcept nogil
# After the region: how long it took tells the next call whether the team is awake.
cdef void team_done() noexcept nogil

cdef void await_phase(fm_phase *phase, int tiles) noexcept nogil
