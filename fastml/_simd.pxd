"""The chosen tables of SIMD primitives, one per precision; src_c/fm.h has the card of each.

A kernel calls fm32.name(...) or fm64.name(...). The two lists repeat fm.h for Cython (whose fused types stop
at extern declarations); the C compiler checks them against it.
"""

from libc.stdint cimport int64_t, uint8_t, uint64_t

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
        void (*relu_run)(float *y, const float *x, size_t n, int stream) noexcept nogil
        void (*relu_backward_run)(float *dx, const float *g, const float *x, size_t n, int stream) noexcept nogil
        void (*keep_run)(float *dx, const float *g, const float *y, size_t n, float scale) noexcept nogil
        void (*unary_run)(int kind, float *y, const float *x, size_t n, float alpha, float threshold, int stream) noexcept nogil
        void (*unary_backward_run)(int kind, float *dx, const float *g, const float *x, size_t n, float alpha,
                                   float threshold, int stream) noexcept nogil
        void (*sgd_run)(float *p, float *v, const float *g, size_t n, float lr, float momentum, float damp,
                        float decay, float sign, int nesterov) noexcept nogil
        void (*adam_run)(float *p, float *m, float *v, float *top, const float *g, size_t n, float rate,
                         float weight1, float beta2, float weight2, float inv_root, float eps, float decay,
                         float keep, float sign) noexcept nogil
        void (*rms_run)(float *p, float *s, float *m, float *b, const float *g, size_t n, float rate, float keep,
                        float weight, float eps, float decay, float momentum, float sign) noexcept nogil
        double (*square_sum)(const float *x, size_t n) noexcept nogil
        void (*scale_run)(float *x, size_t n, float factor) noexcept nogil
        int (*unscale_run)(float *x, size_t n, float factor) noexcept nogil
        void (*clip_run)(float *x, size_t n, float most) noexcept nogil
        void (*clear_lines)(void *y, size_t bytes) noexcept nogil
        void (*moments_merge)(double *sum, double *m2, size_t n, const double *sum_b, const double *m2_b,
                              size_t n_b, size_t width) noexcept nogil
        void (*moments_cols)(double *sum, double *m2, const float *x, const double *origin, size_t n, size_t stride,
                             size_t width) noexcept nogil
        void (*moments_rows)(double *sum, double *m2, const float *x, double origin, size_t rows, size_t n,
                             size_t stride) noexcept nogil
        double (*norm_far)(double *mean, double *inv_std, const float *x, size_t rows, size_t n, size_t stride,
                           double m2, double eps) noexcept nogil
        void (*norm_coefficients)(float *mean, float *inv_std, float *center, float *scale, float *shift,
                                  const double *exact_mean, const double *m2, double n, double eps, const float *weight,
                                  const float *bias, size_t width) noexcept nogil
        void (*norm_running)(float *running, const double *total, double n, double momentum,
                             size_t width) noexcept nogil
        void (*norm_cols)(float *y, const float *x, size_t n, size_t stride, size_t width,
                          const float *center, const float *scale, const float *shift, int near,
                          int stream) noexcept nogil
        void (*norm_rows)(float *y, const float *x, size_t rows, size_t n, size_t stride, float center,
                          float scale, float shift, int stream) noexcept nogil
        void (*norm_sums_cols)(double *sum, double *dot, const float *g, const float *x, size_t n,
                               size_t stride, size_t x_stride, size_t width, const float *mean, const float *inv_std,
                               int near) noexcept nogil
        void (*norm_sums_rows)(double *sum, double *dot, const float *g, const float *x, size_t rows,
                               size_t n, size_t stride, size_t x_stride, float mean, float inv_std) noexcept nogil
        void (*norm_backward_coefficients)(float *dweight, float *dbias, float *scale, float *shift,
                                           float *center, float *slope, const double *sum, const double *dot,
                                           double n, const float *weight, const float *inv_std,
                                           size_t width) noexcept nogil
        void (*norm_backward_cols)(float *dx, const float *g, const float *x, size_t n, size_t stride,
                                   size_t x_stride, size_t width, const float *mean, const float *inv_std, const float *center,
                                   const float *slope, const float *scale, const float *shift, int near,
                                   int stream) noexcept nogil
        void (*norm_backward_rows)(float *dx, const float *g, const float *x, size_t rows, size_t n,
                                   size_t stride, size_t x_stride, float mean, float inv_std, float center, float slope,
                                   float scale, float shift, int stream) noexcept nogil
        void (*layer_norm_rows)(float *y, float *mean, float *inv_std, const float *x, const float *weight,
                                const float *bias, size_t rows, size_t n, size_t y_stride, size_t x_stride,
                                double eps, int stream) noexcept nogil
        void (*layer_norm_backward_rows)(float *dx, float *dweight, float *dbias, const float *g, const float *x,
                                         const float *weight, const float *mean, const float *inv_std,
                                         size_t rows, size_t n, size_t dx_stride, size_t g_stride,
                                         size_t x_stride, int stream) noexcept nogil
        void (*sums_gain)(double *total, const float *part, size_t n) noexcept nogil
        void (*sums_join)(float *sum, const double *totals, size_t count, size_t stride, size_t width) noexcept nogil
        void (*group_norm_rows)(float *y, float *mean, float *inv_std, const float *x, const float *weight,
                                const float *bias, size_t rows, size_t groups, size_t channels, size_t n,
                                size_t y_stride, size_t x_stride, size_t step, double eps, int stream, float *room) noexcept nogil
        void (*group_norm_backward_rows)(float *dx, double *dweight, double *dbias, const float *g, const float *x,
                                         const float *weight, const float *mean, const float *inv_std, size_t rows,
                                         size_t groups, size_t channels, size_t n, size_t dx_stride,
                                         size_t g_stride, size_t x_stride, size_t step, int stream,
                                         float *room) noexcept nogil
        void (*gemm)(float *c, size_t c_row, const float *a, ptrdiff_t a_row, ptrdiff_t a_col, const float *b,
                     ptrdiff_t b_row, ptrdiff_t b_col, const float *bias, int relu, size_t m, size_t n, size_t k,
                     float *scratch) noexcept nogil
        void (*gemm_add)(float *c, size_t c_row, const float *a, ptrdiff_t a_row, ptrdiff_t a_col, const float *b,
                         ptrdiff_t b_row, ptrdiff_t b_col, size_t m, size_t n, size_t k,
                         float *scratch) noexcept nogil
        void (*gemm_fold)(float *c, size_t c_row, const float *part, size_t part_row, const float *bias, int relu, size_t m,
                          size_t n) noexcept nogil
        void (*column_sums)(float *sum, const float *x, size_t n, ptrdiff_t stride, size_t width) noexcept nogil
        size_t (*fma_chains)(float *x, size_t n) noexcept nogil
        double (*cross_entropy_rows)(float *dx, float *loss, const float *x, const int64_t *label, const float *weight,
                                     size_t rows, size_t n, fm_labels *rule, double smoothing, double z_loss,
                                     double weight_sum, double scale, int stream) noexcept nogil
        double (*cross_entropy_cols)(float *dx, float *loss, const float *x, const int64_t *label, const float *weight,
                                     size_t n, size_t stride, size_t width, fm_labels *rule, double smoothing,
                                     double z_loss, double weight_sum, double scale) noexcept nogil
        double (*cross_entropy_soft_rows)(float *dx, float *loss, const float *x, const float *target,
                                          const float *weight, size_t rows, size_t n, double smoothing, double z_loss,
                                          double scale, int stream) noexcept nogil
        double (*cross_entropy_soft_cols)(float *dx, float *loss, const float *x, const float *target,
                                          const float *weight, size_t n, size_t stride, size_t width,
                                          double smoothing, double z_loss, double scale) noexcept nogil
        double (*nll_rows)(float *dx, float *loss, const float *x, const int64_t *label, const float *target,
                           const float *weight, size_t rows, size_t n, fm_labels *rule, double smoothing, double scale,
                           int stream) noexcept nogil
        double (*nll_cols)(float *dx, float *loss, const float *x, const int64_t *label, const float *target,
                           const float *weight, size_t n, size_t stride, size_t width, fm_labels *rule,
                           double smoothing, double scale) noexcept nogil
        size_t (*label_weights)(double *total, const int64_t *label, const float *weight, size_t count, size_t n,
                                fm_labels *rule) noexcept nogil
        double (*loss_run)(int kind, float *dx, float *loss, const float *x, const float *t, const float *a, size_t a_period,
                           const float *b, size_t b_period, size_t start, size_t n, float scale,
                           int stream) noexcept nogil
        double (*loss_sum)(const float *terms, size_t n) noexcept nogil
        void (*widen_rows)(double *y, const float *x, size_t rows, size_t n, size_t stride) noexcept nogil
        void (*extremes_cols)(float *low, float *high, const float *x, size_t n, size_t stride,
                              size_t width) noexcept nogil
        int (*scale_elements)(float *y, const float *x, size_t n, const float *table, size_t period, float low,
                              float high, int undo, int stream) noexcept nogil
        int (*normalize_rows)(float *y, const float *x, size_t rows, size_t n, int norm, float least) noexcept nogil
        void (*difference_sums)(double *sums, const float *p, const float *q, size_t n, double a,
                                double b) noexcept nogil
        void (*entropy_sums)(double *sums, const float *p, const float *q, size_t n, double a, double b,
                             int middle) noexcept nogil

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
        void (*relu_run)(double *y, const double *x, size_t n, int stream) noexcept nogil
        void (*relu_backward_run)(double *dx, const double *g, const double *x, size_t n, int stream) noexcept nogil
        void (*keep_run)(double *dx, const double *g, const double *y, size_t n, double scale) noexcept nogil
        void (*unary_run)(int kind, double *y, const double *x, size_t n, double alpha, double threshold, int stream) noexcept nogil
        void (*unary_backward_run)(int kind, double *dx, const double *g, const double *x, size_t n, double alpha,
                                   double threshold, int stream) noexcept nogil
        void (*sgd_run)(double *p, double *v, const double *g, size_t n, double lr, double momentum, double damp,
                        double decay, double sign, int nesterov) noexcept nogil
        void (*adam_run)(double *p, double *m, double *v, double *top, const double *g, size_t n, double rate,
                         double weight1, double beta2, double weight2, double inv_root, double eps, double decay,
                         double keep, double sign) noexcept nogil
        void (*rms_run)(double *p, double *s, double *m, double *b, const double *g, size_t n, double rate, double keep,
                        double weight, double eps, double decay, double momentum, double sign) noexcept nogil
        double (*square_sum)(const double *x, size_t n) noexcept nogil
        void (*scale_run)(double *x, size_t n, double factor) noexcept nogil
        int (*unscale_run)(double *x, size_t n, double factor) noexcept nogil
        void (*clip_run)(double *x, size_t n, double most) noexcept nogil
        void (*clear_lines)(void *y, size_t bytes) noexcept nogil
        void (*moments_merge)(double *sum, double *m2, size_t n, const double *sum_b, const double *m2_b,
                              size_t n_b, size_t width) noexcept nogil
        void (*moments_cols)(double *sum, double *m2, const double *x, const double *origin, size_t n, size_t stride,
                             size_t width) noexcept nogil
        void (*moments_rows)(double *sum, double *m2, const double *x, double origin, size_t rows, size_t n,
                             size_t stride) noexcept nogil
        double (*norm_far)(double *mean, double *inv_std, const double *x, size_t rows, size_t n, size_t stride,
                           double m2, double eps) noexcept nogil
        void (*norm_coefficients)(double *mean, double *inv_std, double *center, double *scale, double *shift,
                                  const double *exact_mean, const double *m2, double n, double eps,
                                  const double *weight, const double *bias, size_t width) noexcept nogil
        void (*norm_running)(double *running, const double *total, double n, double momentum,
                             size_t width) noexcept nogil
        void (*norm_cols)(double *y, const double *x, size_t n, size_t stride, size_t width,
                          const double *center, const double *scale, const double *shift, int near,
                          int stream) noexcept nogil
        void (*norm_rows)(double *y, const double *x, size_t rows, size_t n, size_t stride, double center,
                          double scale, double shift, int stream) noexcept nogil
        void (*norm_sums_cols)(double *sum, double *dot, const double *g, const double *x, size_t n,
                               size_t stride, size_t x_stride, size_t width, const double *mean, const double *inv_std,
                               int near) noexcept nogil
        void (*norm_sums_rows)(double *sum, double *dot, const double *g, const double *x, size_t rows,
                               size_t n, size_t stride, size_t x_stride, double mean, double inv_std) noexcept nogil
        void (*norm_backward_coefficients)(double *dweight, double *dbias, double *scale, double *shift,
                                           double *center, double *slope, const double *sum,
                                           const double *dot, double n, const double *weight,
                                           const double *inv_std, size_t width) noexcept nogil
        void (*norm_backward_cols)(double *dx, const double *g, const double *x, size_t n, size_t stride,
                                   size_t x_stride, size_t width, const double *mean, const double *inv_std,
                                   const double *center, const double *slope, const double *scale,
                                   const double *shift, int near, int stream) noexcept nogil
        void (*norm_backward_rows)(double *dx, const double *g, const double *x, size_t rows, size_t n,
                                   size_t stride, size_t x_stride, double mean, double inv_std, double center, double slope,
                                   double scale, double shift, int stream) noexcept nogil
        void (*layer_norm_rows)(double *y, double *mean, double *inv_std, const double *x, const double *weight,
                                const double *bias, size_t rows, size_t n, size_t y_stride, size_t x_stride,
                                double eps, int stream) noexcept nogil
        void (*layer_norm_backward_rows)(double *dx, double *dweight, double *dbias, const double *g, const double *x,
                                         const double *weight, const double *mean, const double *inv_std,
                                         size_t rows, size_t n, size_t dx_stride, size_t g_stride,
                                         size_t x_stride, int stream) noexcept nogil
        void (*sums_gain)(double *total, const double *part, size_t n) noexcept nogil
        void (*sums_join)(double *sum, const double *totals, size_t count, size_t stride, size_t width) noexcept nogil
        void (*group_norm_rows)(double *y, double *mean, double *inv_std, const double *x, const double *weight,
                                const double *bias, size_t rows, size_t groups, size_t channels, size_t n,
                                size_t y_stride, size_t x_stride, size_t step, double eps, int stream, double *room) noexcept nogil
        void (*group_norm_backward_rows)(double *dx, double *dweight, double *dbias, const double *g, const double *x,
                                         const double *weight, const double *mean, const double *inv_std, size_t rows,
                                         size_t groups, size_t channels, size_t n, size_t dx_stride,
                                         size_t g_stride, size_t x_stride, size_t step, int stream,
                                         double *room) noexcept nogil
        void (*gemm)(double *c, size_t c_row, const double *a, ptrdiff_t a_row, ptrdiff_t a_col, const double *b,
                     ptrdiff_t b_row, ptrdiff_t b_col, const double *bias, int relu, size_t m, size_t n, size_t k,
                     double *scratch) noexcept nogil
        void (*gemm_add)(double *c, size_t c_row, const double *a, ptrdiff_t a_row, ptrdiff_t a_col, const double *b,
                         ptrdiff_t b_row, ptrdiff_t b_col, size_t m, size_t n, size_t k,
                         double *scratch) noexcept nogil
        void (*gemm_fold)(double *c, size_t c_row, const double *part, size_t part_row, const double *bias, int relu, size_t m,
                          size_t n) noexcept nogil
        void (*column_sums)(double *sum, const double *x, size_t n, ptrdiff_t stride, size_t width) noexcept nogil
        size_t (*fma_chains)(double *x, size_t n) noexcept nogil
        double (*cross_entropy_rows)(double *dx, double *loss, const double *x, const int64_t *label, const double *weight,
                                     size_t rows, size_t n, fm_labels *rule, double smoothing, double z_loss,
                                     double weight_sum, double scale, int stream) noexcept nogil
        double (*cross_entropy_cols)(double *dx, double *loss, const double *x, const int64_t *label, const double *weight,
                                     size_t n, size_t stride, size_t width, fm_labels *rule, double smoothing,
                                     double z_loss, double weight_sum, double scale) noexcept nogil
        double (*cross_entropy_soft_rows)(double *dx, double *loss, const double *x, const double *target,
                                          const double *weight, size_t rows, size_t n, double smoothing, double z_loss,
                                          double scale, int stream) noexcept nogil
        double (*cross_entropy_soft_cols)(double *dx, double *loss, const double *x, const double *target,
                                          const double *weight, size_t n, size_t stride, size_t width,
                                          double smoothing, double z_loss, double scale) noexcept nogil
        double (*nll_rows)(double *dx, double *loss, const double *x, const int64_t *label, const double *target,
                           const double *weight, size_t rows, size_t n, fm_labels *rule, double smoothing, double scale,
                           int stream) noexcept nogil
        double (*nll_cols)(double *dx, double *loss, const double *x, const int64_t *label, const double *target,
                           const double *weight, size_t n, size_t stride, size_t width, fm_labels *rule,
                           double smoothing, double scale) noexcept nogil
        size_t (*label_weights)(double *total, const int64_t *label, const double *weight, size_t count, size_t n,
                                fm_labels *rule) noexcept nogil
        double (*loss_run)(int kind, double *dx, double *loss, const double *x, const double *t, const double *a, size_t a_period,
                           const double *b, size_t b_period, size_t start, size_t n, double scale,
                           int stream) noexcept nogil
        double (*loss_sum)(const double *terms, size_t n) noexcept nogil
        void (*widen_rows)(double *y, const double *x, size_t rows, size_t n, size_t stride) noexcept nogil
        void (*extremes_cols)(double *low, double *high, const double *x, size_t n, size_t stride,
                              size_t width) noexcept nogil
        int (*scale_elements)(double *y, const double *x, size_t n, const double *table, size_t period, double low,
                              double high, int undo, int stream) noexcept nogil
        int (*normalize_rows)(double *y, const double *x, size_t rows, size_t n, int norm, double least) noexcept nogil
        void (*difference_sums)(double *sums, const double *p, const double *q, size_t n, double a,
                                double b) noexcept nogil
        void (*entropy_sums)(double *sums, const double *p, const double *q, size_t n, double a, double b,
                             int middle) noexcept nogil

cdef const fm_table32 *fm32
cdef const fm_table64 *fm64

# The size of the last-level cache in bytes: larger results are stored past the caches.
cdef size_t cache_bytes
