"""The OpenMP runtime as fastml sees it: the size of a team, the threads' bookkeeping, fork.

_threads.py holds the public functions; it must load this module, because it sets up the runtime first. The C interface
of fastml.capi is made here, where the runtime is.
"""

from cpython.pycapsule cimport PyCapsule_New

from ._simd cimport cache_bytes, fm32, fm64, fm_table

cdef extern from "capi.h":
    void *fm_capi(const fm_table *f32, const fm_table *f64, size_t cache_bytes,
                  int (*team)(double nanoseconds) noexcept nogil, int (*threads)(double nanoseconds) noexcept nogil)

cdef extern from "threads.h" nogil:
    void fm_threads_install()
    const char *fm_openmp_name()
    int fm_openmp_max_threads()
    int fm_openmp_usable()
    int fm_open_region(int threads, bint in_any_case)
    void fm_share_work(fm_work *work, Py_ssize_t blocks, int threads)
    Py_ssize_t fm_join_region(fm_work *work)
    Py_ssize_t fm_next_block(fm_work *work)
    Py_ssize_t fm_next_work(fm_work *work, fm_work *next)
    void fm_leave_region()
    int fm_local_threads()
    void fm_set_local_threads(int n)
    int fm_team_pays(double nanoseconds)
    void fm_team_done()
    void fm_phase_await(fm_phase *phase, int tiles)

# The numbers below belong to all threads, which read and set them as they like.
cdef extern from * nogil:
    """
    #define fm_shared(x) __atomic_load_n(&(x), __ATOMIC_RELAXED)
    #define fm_share(x, value) __atomic_store_n(&(x), value, __ATOMIC_RELAXED)
    static inline double fm_shared_real(double *x)
    {
        double value;
        __atomic_load(x, &value, __ATOMIC_RELAXED);
        return value;
    }
    #define fm_share_real(x, value) __atomic_store(x, &(value), __ATOMIC_RELAXED)
    """
    int fm_shared(int x) noexcept
    void fm_share(int x, int value) noexcept
    double fm_shared_real(double *x) noexcept
    void fm_share_real(double *x, double value) noexcept

# The most threads of a team, whatever the environment says: runtimes end the process where they cannot make a thread.
MOST_THREADS = 1024

cdef int chosen = 0      # set_num_threads(); 0: not called
cdef int limit = MOST_THREADS  # what the machine grants (CPU quota, affinity), set once by _threads
cdef double threshold = 15e3  # nanoseconds; a region costs 3 to 6 microseconds with the team awake


cdef int current() noexcept nogil:
    cdef int n = fm_local_threads()
    if n == 0:
        n = fm_shared(chosen)
    if n == 0:
        n = min(fm_openmp_max_threads(), fm_shared(limit))
    return n


cdef int size(double nanoseconds) noexcept nogil:
    """The team for this work, of whatever runtime."""
    cdef double least = fm_shared_real(&threshold)
    if nanoseconds < least or not fm_openmp_usable():
        return 1
    cdef int n = current()
    return n if n > 1 and (least == 0 or fm_team_pays(nanoseconds)) else 1


cdef int team(double nanoseconds) noexcept nogil:
    cdef int n = size(nanoseconds)
    return fm_open_region(n, forced()) if n > 1 else 1


cdef bint forced() noexcept nogil:
    return fm_shared_real(&threshold) == 0


cdef void share_work(fm_work *work, Py_ssize_t blocks, int threads) noexcept nogil:
    fm_share_work(work, blocks, threads)


cdef Py_ssize_t join_team(fm_work *work) noexcept nogil:
    return fm_join_region(work)


cdef Py_ssize_t next_block(fm_work *work) noexcept nogil:
    return fm_next_block(work)


cdef Py_ssize_t next_work(fm_work *work, fm_work *next) noexcept nogil:
    return fm_next_work(work, next)


cdef void leave_team() noexcept nogil:
    fm_leave_region()


cdef void team_done() noexcept nogil:
    fm_team_done()


cdef void await_phase(fm_phase *phase, int tiles) noexcept nogil:
    fm_phase_await(phase, tiles)


def get_threads():
    return current()


def set_threads(int n):
    fm_share(chosen, n)


def get_local_threads():
    return fm_local_threads()


def set_local_threads(int n):
    fm_set_local_threads(n)


def set_limit(int n):
    fm_share(limit, n)


def get_threshold():
    return fm_shared_real(&threshold)


def set_threshold(double nanoseconds):
    """Let only longer work have a team; with 0 all work has one, as tests of the promise of same bits need."""
    fm_share_real(&threshold, nanoseconds)


def runtime_name():
    return fm_openmp_name().decode()


def chosen_threads():
    return fm_shared(chosen)


fm_threads_install()
#: What fastml.capi hands out.
capsule = PyCapsule_New(fm_capi(fm32, fm64, cache_bytes, team, size), "fastml.capi._API", NULL)
