"""The chosen tables of SIMD primitives, one per precision; src_c/fm.h has the card of each.

A kernel calls fm32.name(...) or fm64.name(...). The two lists repeat fm.h for Cython (whose fused types stop
at extern declarations); the C compiler checks them against it.
"""

from libc.stdint cimport uint8_t, uint64_t

cdef extern from "dispatch.h" nogil:
    ctypedef struct fm_table32:
        void (*softmax_rows)(float *y, const float *x, size_t rows, size_t n, int stream) noexcept nogil
        void (*softmax_cols)(float *y, const float *x, size_t n, size_t stride, size_t width) noexcept nogil
        void (*softmax_backward_rows)(float *dx, const float *g, const float *y, size_t rows, size_t n,
                                      int stream) noexcept nogil
        void (*softmax_backward_cols)(float *dx, const float *g, const float *y, size_t n, size_t stride,
                                      size_t width) noexcept nogil
        void (*log_softmax_rows)(float *y, const float *x, size_t rows, size_t n, int stream) noexcept nogil
        void (*log_softmax_cols)(float *y, const float *x, size_t n, size_t stride, size_t width) noexcept nogil
        void (*log_softmax_backward_rows)(float *dx, const float *g, const float *y, size_t rows, size_t n,
                                          int stream) noexcept nogil
        void (*log_softmax_backward_cols)(float *dx, const float *g, const float *y, size_t n, size_t stride,
                                          size_t width) noexcept nogil
        void (*logsumexp_rows)(float *lse, const float *x, size_t rows, size_t n) noexcept nogil
        void (*logsumexp_cols)(float *lse, const float *x, size_t n, size_t stride, size_t width) noexcept nogil
        void (*dropout_run)(float *y, const float *x, size_t n, uint64_t seed, uint64_t offset, uint64_t threshold,
                            float scale, int stream) noexcept nogil
        void (*dropout_mask_run)(uint8_t *kept, size_t n, uint64_t seed, uint64_t offset,
                                 uint64_t threshold) noexcept nogil

    ctypedef struct fm_table64:
        void (*softmax_rows)(double *y, const double *x, size_t rows, size_t n, int stream) noexcept nogil
        void (*softmax_cols)(double *y, const double *x, size_t n, size_t stride, size_t width) noexcept nogil
        void (*softmax_backward_rows)(double *dx, const double *g, const double *y, size_t rows, size_t n,
                                      int stream) noexcept nogil
        void (*softmax_backward_cols)(double *dx, const double *g, const double *y, size_t n, size_t stride,
                                      size_t width) noexcept nogil
        void (*log_softmax_rows)(double *y, const double *x, size_t rows, size_t n, int stream) noexcept nogil
        void (*log_softmax_cols)(double *y, const double *x, size_t n, size_t stride, size_t width) noexcept nogil
        void (*log_softmax_backward_rows)(double *dx, const double *g, const double *y, size_t rows, size_t n,
                                          int stream) noexcept nogil
        void (*log_softmax_backward_cols)(double *dx, const double *g, const double *y, size_t n, size_t stride,
                                          size_t width) noexcept nogil
        void (*logsumexp_rows)(double *lse, const double *x, size_t rows, size_t n) noexcept nogil
        void (*logsumexp_cols)(double *lse, const double *x, size_t n, size_t stride, size_t width) noexcept nogil
        void (*dropout_run)(double *y, const double *x, size_t n, uint64_t seed, uint64_t offset, uint64_t threshold,
                            double scale, int stream) noexcept nogil
        void (*dropout_mask_run)(uint8_t *kept, size_t n, uint64_t seed, uint64_t offset,
                                 uint64_t threshold) noexcept nogil

cdef const fm_table32 *fm32
cdef const fm_table64 *fm64

# The size of the last-level cache in bytes: larger results are stored past the caches.
cdef size_t cache_bytes
