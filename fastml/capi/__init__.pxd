"""fastml's C interface for Cython; the cards are in fastml.h.

    from fastml.capi cimport fastml_table, import_fastml, table_of

    import_fastml()                                              # once, when the module is imported
    cdef const fastml_table *fm = table_of(sizeof(double))
    with nogil:
        fm.softmax_rows(&y[0, 0], &x[0, 0], x.shape[0], x.shape[1], 0)
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

cdef extern from "fastml.h":
    enum:
        FASTML_ABI
        FASTML_GELU
        FASTML_GELU_TANH
        FASTML_SILU
        FASTML_SIGMOID
        FASTML_TANH
        FASTML_SOFTPLUS
        FASTML_ELU
        FASTML_LEAKY_RELU
        FASTML_HARD_SWISH

    ctypedef struct fastml_table:
        void (*softmax_rows)(void *y, const void *x, size_t rows, size_t n, int stream) noexcept nogil
        void (*log_softmax_rows)(void *y, const void *x, size_t rows, size_t n, int stream) noexcept nogil
        void (*softmax_backward_rows)(void *dx, const void *g, const void *y, size_t rows, size_t n,
                                      int stream) noexcept nogil
        void (*log_softmax_backward_rows)(void *dx, const void *g, const void *y, size_t rows, size_t n,
                                          int stream) noexcept nogil
        void (*logsumexp_rows)(void *lse, const void *x, size_t rows, size_t n) noexcept nogil
        double (*sum)(const void *x, size_t n) noexcept nogil
        double (*norm)(const void *x, size_t n) noexcept nogil
        void (*column_sums)(void *sum, const void *x, size_t n, ptrdiff_t stride, size_t width) noexcept nogil
        void (*relu)(void *y, const void *x, size_t n, int stream) noexcept nogil
        void (*relu_backward)(void *dx, const void *g, const void *x, size_t n, int stream) noexcept nogil
        void (*curve)(int f, void *y, const void *x, size_t n, double a, double b, int stream) noexcept nogil
        void (*curve_backward)(int f, void *dx, const void *g, const void *x, size_t n, double a, double b,
                               int stream) noexcept nogil
        void (*dropout)(void *y, const void *x, size_t n, double p, uint64_t seed, uint64_t offset,
                        int stream) noexcept nogil
        void (*uniform)(void *y, size_t n, uint64_t seed, uint64_t offset) noexcept nogil
        void (*sgd)(void *p, void *v, const void *g, size_t n, double lr, double momentum, double dampening,
                    double decay, int nesterov) noexcept nogil
        void (*adamw)(void *p, void *m, void *v, const void *g, size_t n, double rate, double beta1, double beta2,
                      double inv_root, double eps, double keep) noexcept nogil

    int import_fastml "fastml_import"() except -1
    const fastml_table *fastml_table_of(size_t itemsize) noexcept nogil
    size_t cache_bytes "fastml_cache_bytes"() noexcept nogil
    void words "fastml_words"(uint32_t *words, size_t n, uint64_t seed, uint64_t offset) noexcept nogil
    void dropout_mask "fastml_dropout_mask"(uint8_t *kept, size_t n, double p, uint64_t seed,
                                            uint64_t offset) noexcept nogil
    int threads "fastml_threads"(double nanoseconds) noexcept nogil
    void threads_done "fastml_threads_done"() noexcept nogil
    void parallel_for "fastml_parallel_for"(void (*body)(void *data, size_t i) noexcept nogil, void *data, size_t count,
                                            double nanoseconds) noexcept nogil


cdef inline const fastml_table *table_of(size_t itemsize) except NULL nogil:
    """The functions for elements of this size; raises where there are none."""
    cdef const fastml_table *table = fastml_table_of(itemsize)
    if table == NULL:
        with gil:
            if fastml_table_of(4) == NULL:
                raise ImportError("import_fastml() must be called before fastml's functions are")
            raise ValueError(f"itemsize must be 4 (float) or 8 (double), not {itemsize}")
    return table
