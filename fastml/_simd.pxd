"""The chosen tables of SIMD primitives, one per precision; src_c/fm.h has the card of each.

A kernel calls table_of(sizeof(real)).name(...). The list repeats fm.h for Cython, elements untyped; the C compiler
checks it against it.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

cdef extern from "labels.h" nogil:
    ctypedef struct fm_labels:
        int64_t ignored
        int ignores
        int changed
    size_t FM_NO_CLASS
    int64_t fm_label(const int64_t *label) noexcept
    size_t fm_class(const int64_t *label, size_t n, fm_labels *rule) noexcept

cdef extern from "sums.h" nogil:
    ctypedef struct fm_tally:
        double total
        double lost
    void fm_tally_add(fm_tally *t, double x) noexcept
    double fm_tally_sum(const fm_tally *t) noexcept
    double fm_tally_of(const double *x, size_t n, size_t step) noexcept
    double fm_origin(double first, double middle, double last) noexcept

cdef extern from "dispatch.h" nogil:
    ctypedef struct fm_table:
        void (*softmax_rows)(void *y, const void *x, size_t rows, size_t n, int stream) noexcept nogil
        void (*softmax_cols)(void *y, const void *x, size_t n, size_t stride, size_t width) noexcept nogil
        void (*softmax_backward_rows)(void *dx, const void *g, const void *y, size_t rows, size_t n,
                                      int stream) noexcept nogil
        void (*softmax_backward_cols)(void *dx, const void *g, const void *y, size_t n, size_t stride,
                                      size_t width) noexcept nogil
        void (*log_softmax_rows)(void *y, const void *x, size_t rows, size_t n, int stream) noexcept nogil
        void (*log_softmax_cols)(void *y, const void *x, size_t n, size_t stride, size_t width) noexcept nogil
        void (*log_softmax_backward_rows)(void *dx, const void *g, const void *y, size_t rows, size_t n,
                                          int stream) noexcept nogil
        void (*log_softmax_backward_cols)(void *dx, const void *g, const void *y, size_t n, size_t stride,
                                          size_t width) noexcept nogil
        void (*logsumexp_rows)(void *lse, const void *x, size_t rows, size_t n) noexcept nogil
        void (*logsumexp_cols)(void *lse, const void *x, size_t n, size_t stride, size_t width) noexcept nogil
        void (*dropout_run)(void *y, uint8_t *kept, const void *x, size_t n, uint64_t seed, uint64_t offset,
                            uint64_t threshold, double scale, int stream) noexcept nogil
        void (*dropout_kept_run)(void *y, const uint8_t *kept, const void *x, size_t n, double scale,
                                 int stream) noexcept nogil
        void (*dropout_mask_run)(uint8_t *kept, size_t n, uint64_t seed, uint64_t offset,
                                 uint64_t threshold) noexcept nogil
        void (*philox_run)(uint32_t *words, size_t n, uint64_t seed, uint64_t offset) noexcept nogil
        void (*relu_run)(void *y, const void *x, size_t n, int stream) noexcept nogil
        void (*relu_backward_run)(void *dx, const void *g, const void *x, size_t n, int stream) noexcept nogil
        void (*result_backward_run)(void *dx, const void *g, const void *y, size_t n, double low,
                                    int stream) noexcept nogil
        void (*keep_run)(void *dx, const void *g, const void *y, size_t n, double scale) noexcept nogil
        void (*unary_run)(int kind, void *y, const void *x, size_t n, double alpha, double threshold,
                          int stream) noexcept nogil
        void (*unary_backward_run)(int kind, void *dx, const void *g, const void *x, size_t n, double alpha,
                                   double threshold, int stream) noexcept nogil
        void (*sgd_run)(void *p, void *v, const void *g, size_t n, double lr, double momentum, double damp,
                        double decay, double sign, int nesterov) noexcept nogil
        void (*gemm_sgd)(void *p, void *v, const void *a, ptrdiff_t a_row, ptrdiff_t a_col, const void *b,
                         ptrdiff_t b_row, size_t m, size_t n, size_t k, double lr, double momentum, double damp,
                         double decay, double sign, int nesterov) noexcept nogil
        void (*adam_run)(void *p, void *m, void *v, void *top, const void *g, size_t n, double rate,
                         double weight1, double beta2, double weight2, double inv_root, double eps, double decay,
                         double keep, double sign) noexcept nogil
        void (*lion_run)(void *p, void *m, const void *g, size_t n, double lr, double weight1, double weight2,
                         double keep, double sign) noexcept nogil
        void (*rms_run)(void *p, void *s, void *m, void *b, const void *g, size_t n, double rate, double keep,
                        double weight, double eps, double decay, double momentum, double sign) noexcept nogil
        double (*square_sum)(const void *x, size_t n) noexcept nogil
        void (*scale_run)(void *x, size_t n, double factor) noexcept nogil
        int (*unscale_run)(void *x, size_t n, double factor) noexcept nogil
        void (*clip_run)(void *x, size_t n, double most) noexcept nogil
        void (*clear_lines)(void *y, size_t bytes) noexcept nogil
        void (*moments_merge)(double *sum, double *m2, size_t n, const double *sum_b, const double *m2_b,
                              size_t n_b, size_t width) noexcept nogil
        void (*moments_cols)(double *sum, double *m2, const void *x, const double *origin, size_t n, size_t stride,
                             size_t width) noexcept nogil
        void (*moments_rows)(double *sum, double *m2, const void *x, double origin, size_t rows, size_t n,
                             size_t stride) noexcept nogil
        double (*norm_far)(double *mean, double *inv_std, const void *x, size_t rows, size_t n, size_t stride,
                           double m2, double eps) noexcept nogil
        void (*norm_coefficients)(void *mean, void *inv_std, void *center, void *scale, void *shift,
                                  const double *exact_mean, const double *m2, double n, double eps, const void *weight,
                                  const void *bias, size_t width) noexcept nogil
        void (*norm_running)(void *running, const double *total, double n, double momentum,
                             size_t width) noexcept nogil
        void (*norm_cols)(void *y, const void *x, size_t n, size_t stride, size_t width,
                          const void *center, const void *scale, const void *shift, int near,
                          int stream) noexcept nogil
        void (*norm_rows)(void *y, const void *x, size_t rows, size_t n, size_t stride, double center,
                          double scale, double shift, int stream) noexcept nogil
        void (*norm_sums_cols)(double *sum, double *dot, const void *g, const void *x, size_t n,
                               size_t stride, size_t x_stride, size_t width, const void *mean, const void *inv_std,
                               int near) noexcept nogil
        void (*norm_sums_rows)(double *sum, double *dot, const void *g, const void *x, size_t rows,
                               size_t n, size_t stride, size_t x_stride, double mean, double inv_std) noexcept nogil
        void (*norm_backward_coefficients)(void *dweight, void *dbias, void *scale, void *shift,
                                           void *center, void *slope, const double *sum, const double *dot,
                                           double n, const void *weight, const void *inv_std,
                                           size_t width) noexcept nogil
        void (*norm_backward_cols)(void *dx, const void *g, const void *x, size_t n, size_t stride,
                                   size_t x_stride, size_t width, const void *mean, const void *inv_std,
                                   const void *center, const void *slope, const void *scale, const void *shift,
                                   int near, int stream) noexcept nogil
        void (*norm_backward_rows)(void *dx, const void *g, const void *x, size_t rows, size_t n,
                                   size_t stride, size_t x_stride, double mean, double inv_std, double center,
                                   double slope, double scale, double shift, int stream) noexcept nogil
        void (*layer_norm_rows)(void *y, void *mean, void *inv_std, const void *x, const void *weight,
                                const void *bias, size_t rows, size_t n, size_t y_stride, size_t x_stride,
                                double eps, int stream) noexcept nogil
        void (*layer_norm_backward_rows)(void *dx, void *dweight, void *dbias, const void *g, const void *x,
                                         const void *weight, const void *mean, const void *inv_std,
                                         size_t rows, size_t n, size_t dx_stride, size_t g_stride,
                                         size_t x_stride, int stream) noexcept nogil
        void (*sums_gain)(double *total, const void *part, size_t n) noexcept nogil
        void (*sums_join)(void *sum, const double *totals, size_t count, size_t stride, size_t width) noexcept nogil
        void (*group_norm_rows)(void *y, void *mean, void *inv_std, const void *x, const void *weight,
                                const void *bias, size_t rows, size_t groups, size_t channels, size_t n,
                                size_t y_stride, size_t x_stride, size_t step, double eps, int stream,
                                void *room) noexcept nogil
        void (*group_norm_backward_rows)(void *dx, double *dweight, double *dbias, const void *g, const void *x,
                                         const void *weight, const void *mean, const void *inv_std, size_t rows,
                                         size_t groups, size_t channels, size_t n, size_t dx_stride,
                                         size_t g_stride, size_t x_stride, size_t step, int stream,
                                         void *room) noexcept nogil
        void (*gemm)(void *c, size_t c_row, const void *a, ptrdiff_t a_row, ptrdiff_t a_col, const void *b,
                     ptrdiff_t b_row, ptrdiff_t b_col, const void *bias, int relu, size_t m, size_t n, size_t k,
                     void *scratch) noexcept nogil
        void (*gemm_add)(void *c, size_t c_row, const void *a, ptrdiff_t a_row, ptrdiff_t a_col, const void *b,
                         ptrdiff_t b_row, ptrdiff_t b_col, size_t m, size_t n, size_t k,
                         void *scratch) noexcept nogil
        void (*gemm_fold)(void *c, size_t c_row, const void *part, size_t part_row, const void *bias, int relu,
                          size_t m, size_t n) noexcept nogil
        void (*column_sums)(void *sum, const void *x, size_t n, ptrdiff_t stride, size_t width) noexcept nogil
        size_t (*fma_chains)(void *x, size_t n) noexcept nogil
        double (*cross_entropy_rows)(void *dx, void *loss, const void *x, const int64_t *label, const void *weight,
                                     size_t rows, size_t n, fm_labels *rule, double smoothing, double z_loss,
                                     double weight_sum, double scale, int stream) noexcept nogil
        double (*cross_entropy_cols)(void *dx, void *loss, const void *x, const int64_t *label, const void *weight,
                                     size_t n, size_t stride, size_t width, fm_labels *rule, double smoothing,
                                     double z_loss, double weight_sum, double scale) noexcept nogil
        double (*cross_entropy_soft_rows)(void *dx, void *loss, const void *x, const void *target,
                                          const void *weight, size_t rows, size_t n, double smoothing, double z_loss,
                                          double scale, int stream) noexcept nogil
        double (*cross_entropy_soft_cols)(void *dx, void *loss, const void *x, const void *target,
                                          const void *weight, size_t n, size_t stride, size_t width,
                                          double smoothing, double z_loss, double scale) noexcept nogil
        double (*nll_rows)(void *dx, void *loss, const void *x, const int64_t *label, const void *target,
                           const void *weight, size_t rows, size_t n, fm_labels *rule, double smoothing, double scale,
                           int stream) noexcept nogil
        double (*nll_cols)(void *dx, void *loss, const void *x, const int64_t *label, const void *target,
                           const void *weight, size_t n, size_t stride, size_t width, fm_labels *rule,
                           double smoothing, double scale) noexcept nogil
        size_t (*label_weights)(double *total, const int64_t *label, const void *weight, size_t count, size_t n,
                                fm_labels *rule) noexcept nogil
        double (*loss_run)(int kind, void *dx, void *loss, const void *x, const void *t, const void *a, size_t a_period,
                           const void *b, size_t b_period, size_t start, size_t n, double scale,
                           int stream) noexcept nogil
        double (*loss_sum)(const void *terms, size_t n) noexcept nogil
        void (*widen_rows)(double *y, const void *x, size_t rows, size_t n, size_t stride) noexcept nogil
        void (*extremes_cols)(void *low, void *high, const void *x, size_t n, size_t stride,
                              size_t width) noexcept nogil
        int (*scale_elements)(void *y, const void *x, size_t n, const void *table, size_t period, double low,
                              double high, int undo, int stream) noexcept nogil
        int (*normalize_rows)(void *y, const void *x, size_t rows, size_t n, int norm, double least) noexcept nogil
        void (*pair_sums)(double *sums, const void *p, const void *q, size_t rows, size_t n, int kind) noexcept nogil
        void (*shift_sums)(double *sums, size_t rows) noexcept nogil

cdef const fm_table *fm32
cdef const fm_table *fm64


cdef inline const fm_table *table_of(size_t itemsize) noexcept nogil:
    """The primitives for elements of this size."""
    return fm32 if itemsize == 4 else fm64


cdef inline void *element(void *memory, Py_ssize_t i, size_t itemsize) noexcept nogil:
    """Where element i of untyped memory is; NULL of NULL."""
    return NULL if memory == NULL else <char *>memory + i * <Py_ssize_t>itemsize


# The size of the last-level cache in bytes: larger results are stored past the caches.
cdef size_t cache_bytes
