"""What threads see of each other's objects: the count of attributes set, and who is using what only one may use.

_tracked.pyx says why.
"""

cdef extern from *:
    """
    #include <stdint.h>
    static inline int64_t fm_count(const int64_t *n) { return __atomic_load_n(n, __ATOMIC_ACQUIRE); }
    static inline void fm_count_up(int64_t *n) { __atomic_fetch_add(n, 1, __ATOMIC_RELEASE); }
    static inline int fm_claim(int *taken) { return !__atomic_exchange_n(taken, 1, __ATOMIC_ACQUIRE); }
    static inline void fm_release(int *taken) { __atomic_store_n(taken, 0, __ATOMIC_RELEASE); }
    static inline int fm_taken(const int *taken) { return __atomic_load_n(taken, __ATOMIC_ACQUIRE); }
    """
    ctypedef long long int64_t
    # What only one call may use at a time: whether it was free and is the caller's now, until that releases it.
    bint fm_claim(int *taken) noexcept nogil
    void fm_release(int *taken) noexcept nogil
    bint fm_taken(const int *taken) noexcept nogil
    int64_t fm_count(const int64_t *n) noexcept nogil
    void fm_count_up(int64_t *n) noexcept nogil

cdef int64_t changes


cdef class Tracked:
    pass
