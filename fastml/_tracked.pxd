"""Objects that tell when one of their attributes is set: _tracked.pyx says why."""

cdef extern from *:
    """
    #include <stdint.h>
    static inline int64_t fm_count(const int64_t *n) { return __atomic_load_n(n, __ATOMIC_ACQUIRE); }
    static inline void fm_count_up(int64_t *n) { __atomic_fetch_add(n, 1, __ATOMIC_RELEASE); }
    """
    ctypedef long long int64_t
    int64_t fm_count(const int64_t *n) noexcept nogil
    void fm_count_up(int64_t *n) noexcept nogil

cdef int64_t changes


cdef class Tracked:
    pass
