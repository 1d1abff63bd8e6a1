/* Every primitive of fastml ("fm") with its card. The list is read several times (dispatch.h, bodies.h): no include
 * guard.
 *
 *     FM_PRIMITIVE(result, name, (arguments))
 *
 * real is float or double; a number is double and rounded to real first. Rows are contiguous runs of n elements, one
 * after the other; columns are n steps of `stride` elements, `width` columns side by side. Pointers need the
 * alignment of real only. Unless a card says otherwise: one thread, nothing allocated, outputs may be an input
 * itself but must not overlap it in part, rows = 0 or width = 0 does nothing, n >= 1. ULP bounds are against the
 * exact result. The mode (environment.h) is the caller's, no primitive changes it: products, dropout, updates, and
 * the gradients of relu and of the norms run in FM_FLUSH, where denormals count as zeros, all else in FM_FULL. ULP
 * bounds in FM_FLUSH are for results that are not denormal, from numbers that are not.
 */

/* Max errors of softmax.c and cross_entropy.c: without FMA (baseline x86-64) an ulp more. */
/* ---- softmax.c ---------------------------------------------------------------------------------------- */

/* y = softmax(x), row by row. x: any value; NaN, +inf and rows of -inf give NaN. Max error 2 ulp (3 in double); in
 * float, of rows of at most 16 entries and of columns of at most 3, 1 ulp.
 * stream: y is written once, past the caches. */
FM_PRIMITIVE(void, softmax_rows, (real *y, const real *x, size_t rows, size_t n, int stream))
/* The same down columns. */
FM_PRIMITIVE(void, softmax_cols, (real *y, const real *x, size_t n, size_t stride, size_t width))
/* dx = y (g - sum(g y)), row by row. Any of dx, g, y may be the same. */
FM_PRIMITIVE(void, softmax_backward_rows, (real *dx, const real *g, const real *y, size_t rows, size_t n, int stream))
FM_PRIMITIVE(void, softmax_backward_cols,
             (real *dx, const real *g, const real *y, size_t n, size_t stride, size_t width))

/* y = x - log(sum(exp(x))), row by row; stream: y is written past the caches. Max error 2 ulp, in columns
 * beside a dominating entry 4 (4 in double). */
FM_PRIMITIVE(void, log_softmax_rows, (real *y, const real *x, size_t rows, size_t n, int stream))
FM_PRIMITIVE(void, log_softmax_cols, (real *y, const real *x, size_t n, size_t stride, size_t width))
/* dx = g - exp(y) sum(g), row by row. Any of dx, g, y may be the same. */
FM_PRIMITIVE(void, log_softmax_backward_rows,
             (real *dx, const real *g, const real *y, size_t rows, size_t n, int stream))
FM_PRIMITIVE(void, log_softmax_backward_cols,
             (real *dx, const real *g, const real *y, size_t n, size_t stride, size_t width))

/* lse[row] = log(sum(exp(x))); a row of -inf gives -inf, +inf gives +inf, NaN gives NaN. lse must not overlap x.
 * Max error 2 ulp of the larger of result and maximum (4 in double). */
FM_PRIMITIVE(void, logsumexp_rows, (real *lse, const real *x, size_t rows, size_t n))
FM_PRIMITIVE(void, logsumexp_cols, (real *lse, const real *x, size_t n, size_t stride, size_t width))

/* ---- random.c ---------------------------------------------------------------------------------------- */

/* y[i] = scale x[i] where the word of element offset + i (mod 2^64) is >= threshold, else +0 (also for NaN
 * and infinity). philox.h defines the words. threshold: 0 keeps all, 2^32 none. n >= 0.
 * kept: NULL, or (n + 7) / 8 bytes whose bit i % 8 of byte i / 8 says whether element i was kept; beside y and x.
 * stream: y is written past the caches where its boundary falls on a block of four, and with kept on one of eight. */
FM_PRIMITIVE(void, dropout_run,
             (real *y, uint8_t *kept, const real *x, size_t n, uint64_t seed, uint64_t offset, uint64_t threshold,
              double scale, int stream))
/* y[i] = scale x[i] where bit i of kept is set, else +0: dropout_run's result by the bits that it wrote. Of kept the 3
 * bytes behind (n + 7) / 8 are read along. n >= 0. */
FM_PRIMITIVE(void, dropout_kept_run, (real *y, const uint8_t *kept, const real *x, size_t n, double scale, int stream))
/* kept[i] = whether dropout_run keeps element i; the same in both tables. */
FM_PRIMITIVE(void, dropout_mask_run, (uint8_t *kept, size_t n, uint64_t seed, uint64_t offset, uint64_t threshold))
/* words[i] = the word of element offset + i (philox.h); the same in both tables. n >= 0. */
FM_PRIMITIVE(void, philox_run, (uint32_t *words, size_t n, uint64_t seed, uint64_t offset))
/* ---- norm.c -------------------------------------------------------------------------------------------
 * Moments: sum and m2, the sum of squared deviations from the mean, both double, one per column or channel.
 * Vectors per column (mean, scale, ...) hold `width` elements. near: the columns are in the first caches (shows
 * in no bit); stream: the result is written past the caches.
 * width = 0 or rows = 0 does nothing, unless the card says otherwise. */

/* The moments of n elements take those of n_b further ones in. n = 0: they are replaced. */
FM_PRIMITIVE(void, moments_merge,
             (double *restrict sum, double *restrict m2, size_t n, const double *restrict sum_b,
              const double *restrict m2_b, size_t n_b, size_t width))
/* The moments of columns, the sum being that of x - origin (fm_origin, sums.h).
 * Infinity or NaN in a column: its sum follows IEEE, its m2 is NaN. Relative error of m2 about 1e-6 in float32,
 * whatever the mean. */
FM_PRIMITIVE(void, moments_cols,
             (double *sum, double *m2, const real *x, const double *origin, size_t n, size_t stride, size_t width))
/* The moments (one each) of rows * n elements: `rows` runs of n, `stride` apart; rows >= 1. */
FM_PRIMITIVE(void, moments_rows,
             (double *sum, double *m2, const real *x, double origin, size_t rows, size_t n, size_t stride))
/* For double, where m2 has left the range: mean (NULL: 0 is meant) and inv_std of the same elements; unchanged where
 * one is not finite. Returns what to subtract from x: the mean, or 0 where the difference may be no number; without a
 * mean the root of the sum of squares. */
FM_PRIMITIVE(double, norm_far,
             (double *mean, double *inv_std, const real *x, size_t rows, size_t n, size_t stride, double m2,
              double eps))

/* mean = exact_mean, inv_std = 1 / sqrt(m2 / n + eps), and center, scale and shift so that (x - center) scale + shift =
 * (x - exact_mean) inv_std weight + bias: shift carries the rounding of the center, which is the mean, or 0 where x -
 * mean may be no number. weight, bias: NULL is 1, 0. Every output has memory of its own. */
FM_PRIMITIVE(void, norm_coefficients,
             (real *restrict mean, real *restrict inv_std, real *restrict center, real *restrict scale,
              real *restrict shift, const double *restrict exact_mean, const double *restrict m2, double n, double eps,
              const real *restrict weight, const real *restrict bias, size_t width))
/* running = (1 - momentum) running + momentum total / n, computed in double; 0 where it would be denormal. */
FM_PRIMITIVE(void, norm_running,
             (real *restrict running, const double *restrict total, double n, double momentum, size_t width))
/* y = (x - center) scale + shift, down columns and along runs. */
FM_PRIMITIVE(void, norm_cols,
             (real *y, const real *x, size_t n, size_t stride, size_t width, const real *center, const real *scale,
              const real *shift, int near, int stream))
FM_PRIMITIVE(void, norm_rows,
             (real *y, const real *x, size_t rows, size_t n, size_t stride, double center, double scale, double shift,
              int stream))

/* sum = sum(g), dot = sum(g xhat), xhat = (x - mean) inv_std, x having a stride of its own, in blocks of real lanes
 * added in double. */
FM_PRIMITIVE(void, norm_sums_cols,
             (double *sum, double *dot, const real *g, const real *x, size_t n, size_t stride, size_t x_stride,
              size_t width, const real *mean, const real *inv_std, int near))
FM_PRIMITIVE(void, norm_sums_rows,
             (double *sum, double *dot, const real *g, const real *x, size_t rows, size_t n, size_t stride,
              size_t x_stride, double mean, double inv_std))
/* dweight = dot, dbias = sum, and scale = weight inv_std, center = sum / n, slope = dot / n, with shift for
 * the rounding of center. weight: NULL is 1. Every output has memory of its own. */
FM_PRIMITIVE(void, norm_backward_coefficients,
             (real *restrict dweight, real *restrict dbias, real *restrict scale, real *restrict shift,
              real *restrict center, real *restrict slope, const double *restrict sum, const double *restrict dot,
              double n, const real *restrict weight, const real *restrict inv_std, size_t width))
/* dx = ((g - center) - xhat slope) scale + shift. Any of dx, g, x may be the same. */
FM_PRIMITIVE(void, norm_backward_cols,
             (real *dx, const real *g, const real *x, size_t n, size_t stride, size_t x_stride, size_t width,
              const real *mean, const real *inv_std, const real *center, const real *slope, const real *scale,
              const real *shift, int near, int stream))
FM_PRIMITIVE(void, norm_backward_rows,
             (real *dx, const real *g, const real *x, size_t rows, size_t n, size_t stride, size_t x_stride,
              double mean, double inv_std, double center, double slope, double scale, double shift, int stream))

/* ---- layer_norm.c -------------------------------------------------------------------------------------
 * Rows of n elements, their strides in elements; weight, bias: n of them, or NULL for ones and zeros. mean = NULL: RMS
 * norm, where the mean is 0 and the mean of squares stands for the variance. A row's result depends on that row alone.
 */

/* y = (x - mean) inv_std weight + bias, mean and inv_std = 1 / sqrt(variance + eps) being each row's own, written for
 * each. Infinity or NaN in a row makes all of its y NaN. y may be x. stream: y is written past the caches. */
FM_PRIMITIVE(void, layer_norm_rows,
             (real *y, real *mean, real *inv_std, const real *x, const real *weight, const real *bias, size_t rows,
              size_t n, size_t y_stride, size_t x_stride, double eps, int stream))
/* With xhat = (x - mean) inv_std and means over the row: dx = (g weight - mean(g weight) - xhat mean(g weight xhat))
 * inv_std, and over these rows, each column in their order: dweight = sum(g xhat), dbias = sum(g). Few rows a
 * call (32), since these sums are of type real. dx may be g or x; dweight and dbias have memory of their own.
 * stream: dx is written past the caches. */
FM_PRIMITIVE(void, layer_norm_backward_rows,
             (real *dx, real *dweight, real *dbias, const real *g, const real *x, const real *weight, const real *mean,
              const real *inv_std, size_t rows, size_t n, size_t dx_stride, size_t g_stride, size_t x_stride,
              int stream))
/* total += part; n >= 0. */
FM_PRIMITIVE(void, sums_gain, (double *restrict total, const real *restrict part, size_t n))
/* sum[j] = totals[j] + totals[stride + j] + ... in this order, count >= 1 of them. */
FM_PRIMITIVE(void, sums_join,
             (real *restrict sum, const double *restrict totals, size_t count, size_t stride, size_t width))

/* ---- group_norm.c -------------------------------------------------------------------------------------
 * `groups` neighbouring groups in each of `rows` samples, strides in elements between those: a group is `channels` runs
 * of n elements, one after the other, with a weight and a bias each (NULL: ones and zeros). mean and inv_std: one for
 * each group, `step` further on for the next sample. room: NULL, or for short runs scratch of 2 groups channels n
 * elements, and no fewer than 3 channels n; then rows <= 32 in the gradient. Which of them shows in the bits, as does
 * the number of rows in the gradient's sums. A group's y and dx depend on that group alone. */

/* y = (x - mean) inv_std weight + bias, mean and inv_std = 1 / sqrt(variance + eps) being each group's own, written for
 * each. Infinity or NaN in a group makes all of its y NaN. stream: y is written past the caches. y may be x. */
FM_PRIMITIVE(void, group_norm_rows,
             (real *y, real *mean, real *inv_std, const real *x, const real *weight, const real *bias, size_t rows,
              size_t groups, size_t channels, size_t n, size_t y_stride, size_t x_stride, size_t step, double eps,
              int stream, real *room))
/* With xhat = (x - mean) inv_std and means over the group: dx = (g weight - mean(g weight) - xhat mean(g weight xhat))
 * inv_std, and over these samples and each channel's run dweight = sum(g xhat), dbias = sum(g). dx may be g or x. */
FM_PRIMITIVE(void, group_norm_backward_rows,
             (real *dx, double *dweight, double *dbias, const real *g, const real *x, const real *weight,
              const real *mean, const real *inv_std, size_t rows, size_t groups, size_t channels, size_t n,
              size_t dx_stride, size_t g_stride, size_t x_stride, size_t step, int stream, real *room))

/* ---- gemm.c -------------------------------------------------------------------------------------------
 * Strides are in elements and may be anything, also 0 or negative. */

/* c[i][j] = act(sum over p of a(i, p) b(p, j) + bias[j]), i < m, j < n, p < k: chains of FMAs, cut as gemm.c says, then
 * the bias; relu is the activation (NaN stays). a(i, p) = a[i a_row + p a_col], likewise b. Rows of c are contiguous,
 * c_row apart, and overlap no input. bias: n elements, or NULL. m, n, k >= 0; k = 0 sums to 0. scratch: FM_GEMM_SCRATCH
 * elements, or NULL; no bit depends on it. Error: at most (128 + k / 4096) eps sum |a b|, and k eps of it. */
FM_PRIMITIVE(void, gemm,
             (real *c, size_t c_row, const real *a, ptrdiff_t a_row, ptrdiff_t a_col, const real *b, ptrdiff_t b_row,
              ptrdiff_t b_col, const real *bias, int relu, size_t m, size_t n, size_t k, real *scratch))
/* c += a b, part by part, k <= FM_GEMM_SPAN: a product cut between parts has the bits of the whole, up to a span. */
FM_PRIMITIVE(void, gemm_add,
             (real *c, size_t c_row, const real *a, ptrdiff_t a_row, ptrdiff_t a_col, const real *b, ptrdiff_t b_row,
              ptrdiff_t b_col, size_t m, size_t n, size_t k, real *scratch))
/* c = act(c + part + bias), m rows of n: how spans are added. */
FM_PRIMITIVE(void, gemm_fold,
             (real *c, size_t c_row, const real *part, size_t part_row, const real *bias, int relu, size_t m, size_t n))
/* sum[j] = sum over i < n of x[i stride + j], j < width, in runs of 16 (of 64 doubles) added in double. n = 0 sums to
 * 0. */
FM_PRIMITIVE(void, column_sums, (real *sum, const real *x, size_t n, ptrdiff_t stride, size_t width))

/* ---- peak.c ------------------------------------------------------------------------------------------ */

/* n multiply-adds in each lane of independent chains, all in registers: the most arithmetic a core can do. x: 64
 * bytes, any finite values; its end depends on its beginning, so nothing can be left out. Returns the FLOPs. */
FM_PRIMITIVE(size_t, fma_chains, (real *x, size_t n))

/* ---- activation.c ------------------------------------------------------------------------------------ */

/* y[i] = x[i] < 0 ? 0 : x[i] (NaN and -0 stay), exact; stream: y is written past the caches. n >= 0. */
FM_PRIMITIVE(void, relu_run, (real *y, const real *x, size_t n, int stream))
/* dx[i] = x[i] <= 0 ? 0 : g[i], exact but for denormals, which count as zeros in FM_FLUSH. Any of dx, g, x may be the
 * same. */
FM_PRIMITIVE(void, relu_backward_run, (real *dx, const real *g, const real *x, size_t n, int stream))
/* dx[i] = g[i] (1 - y[i]) (y[i] - low): the gradient of the sigmoid (low = 0) and of tanh (low = -1) by their result.
 * Max error 2 ulp of the formula. Any of dx, g, y may be the same. n >= 0. */
FM_PRIMITIVE(void, result_backward_run, (real *dx, const real *g, const real *y, size_t n, double low, int stream))
/* dx[i] = y[i] == 0 ? 0 : scale g[i]. Any of dx, g, y may be the same. */
FM_PRIMITIVE(void, keep_run, (real *dx, const real *g, const real *y, size_t n, double scale))

/* ---- unary.c ------------------------------------------------------------------------------------------ */

/* y[i] = f(x[i]), kind naming f (unary.h); alpha is ELU's alpha, softplus's beta or leaky ReLU's slope, threshold is
 * softplus's, beyond which it is x. NaN stays; GELU, SiLU and hard swish of -inf give NaN. y may be x. stream: y is
 * written past the caches. n >= 0. Max error 1 ulp (4 in double, and without fused multiply-adds) everywhere, tiny
 * results included; measured in float (every 7th number) and double (4843 numbers): GELU 0.96 and 2.6, its tanh form
 * 0.96 and 1.9, SiLU 0.99 and 2.2, sigmoid 0.89 and 1.8, tanh 0.95 and 2.3, softplus 0.97 (beta 1) and 1.7, ELU 0.86
 * (alpha 1) and 1.1, hard swish 1.0 (0.5 where the result is normal) and 0.5; leaky ReLU is exact. */
FM_PRIMITIVE(void, unary_run, (int kind, real *y, const real *x, size_t n, double alpha, double threshold, int stream))
/* dx[i] = g[i] f'(x[i]). An infinite x gives NaN for GELU and SiLU. Any of dx, g, x may be the same. Max error of f' 1
 * ulp (4 in double and without fused multiply-adds, the tanh form 6), for GELU and SiLU of it or its larger term (Phi
 * and x phi, or what stands in their place); measured GELU 0.93 and 2.7, its tanh form 0.95 and 3.8, SiLU 0.86 and 3.7,
 * sigmoid 0.97 and 3.2, tanh 0.97 and 3.3, softplus 0.89 and 1.8, ELU 0.94 and 0.9,
 * hard swish 0.5. */
FM_PRIMITIVE(void, unary_backward_run,
             (int kind, real *dx, const real *g, const real *x, size_t n, double alpha, double threshold, int stream))

/* ---- update.c ---------------------------------------------------------------------------------------- */

/* d = sign g + decay p (without decay p is not read into it); v = momentum v + damp d;
 * p -= lr (nesterov ? d + momentum v : v); with v = NULL p -= lr d. Each line's multiply-adds are fused, damp d
 * is rounded on its own. g may be p or v; p and v must not overlap. n >= 0. */
FM_PRIMITIVE(void, sgd_run,
             (real *p, real *v, const real *g, size_t n, double lr, double momentum, double damp, double decay,
              double sign, int nesterov))
/* sgd_run with g = a b (as gemm gives it), m rows of n: p and v are contiguous, b's columns are neighbours. p and v
 * must not overlap a, b or each other. k >= 0. */
FM_PRIMITIVE(void, gemm_sgd,
             (real *p, real *v, const real *a, ptrdiff_t a_row, ptrdiff_t a_col, const real *b, ptrdiff_t b_row,
              size_t m, size_t n, size_t k, double lr, double momentum, double damp, double decay, double sign,
              int nesterov))
/* d = sign g + decay p (as above); m = (1 - weight1) m + weight1 d; v = beta2 v + weight2 d d;
 * p = keep p - rate m / (sqrt(v) inv_root + eps); unless top is NULL, top = max(top, v) stands in for that v. weight1 =
 * 1 - beta1, weight2 = 1 - beta2, inv_root = 1 / sqrt(1 - beta2^step); sign may hold a further factor of g. g may be
 * any of the others; p, m, v and top must not overlap. n >= 0. */
FM_PRIMITIVE(void, adam_run,
             (real *p, real *m, real *v, real *top, const real *g, size_t n, double rate, double weight1, double beta2,
              double weight2, double inv_root, double eps, double decay, double keep, double sign))
/* u = the sign of (1 - weight1) m + weight1 d, d = sign g, which is 0 for 0; p = keep p - lr u;
 * m = (1 - weight2) m + weight2 d. weight1 = 1 - beta1, weight2 = 1 - beta2. g may be p or m, which must not overlap.
 * n >= 0. */
FM_PRIMITIVE(void, lion_run,
             (real *p, real *m, const real *g, size_t n, double lr, double weight1, double weight2, double keep,
              double sign))
/* d = sign g + decay p (as above); s = keep s + weight d d; u = d / (sqrt(s) + eps); p -= rate u. Unless m is NULL, m =
 * (1 - weight) m + weight d and s - m m, at least 8 eps s, stands in for s in u; unless b is NULL, b = momentum b + u
 * stands in for u in p. g may be any of the others, which must not overlap. n >= 0. */
FM_PRIMITIVE(void, rms_run,
             (real *p, real *s, real *m, real *b, const real *g, size_t n, double rate, double keep, double weight,
              double eps, double decay, double momentum, double sign))
/* sum of x[i]^2 in double: of floats, no square overflows or is rounded. Of doubles, minus the root of the sum where
 * squares leave the range. n >= 0. */
FM_PRIMITIVE(double, square_sum, (const real *x, size_t n))
/* x[i] *= factor. n >= 0. */
FM_PRIMITIVE(void, scale_run, (real *x, size_t n, double factor))
/* The same; returns whether all x[i] were finite before. n >= 0. */
FM_PRIMITIVE(int, unscale_run, (real *x, size_t n, double factor))
/* x[i] = min(max(x[i], -most), most); NaN stays. n >= 0. */
FM_PRIMITIVE(void, clip_run, (real *x, size_t n, double most))
/* Zeros past the caches: y on a 64-byte boundary, `bytes` a multiple of 64; the same in both tables. bytes >= 0. */
FM_PRIMITIVE(void, clear_lines, (void *y, size_t bytes))
/* ---- cross_entropy.c ----------------------------------------------------------------------------------
 * The sum over all samples of sum_c q_c (log(sum(e^x)) - x_c), returned in double, every single loss to loss
 * (NULL: nowhere) and scale (sum(q) softmax(x) - q) to dx (NULL: not computed). q is the target with smoothing,
 * (1 - smoothing) target + smoothing / n, times weight (n of them; NULL: ones). Max error 4 ulp of each loss where
 * weights are positive; of dx, 3 ulp (5 in double) of the larger of its two terms, and at an unsmoothed label of dx
 * itself. z_loss: so many times w log(sum(e^x))^2 is added to each loss, w being the label's weight, or 1 where there
 * is none. loss must not overlap any other. */

/* Labels in 0 .. n - 1; others have loss and dx 0, and are marked if they are not rule->ignored (labels.h). weight_sum:
 * sum of weight, or n. dx may be x. */
FM_PRIMITIVE(double, cross_entropy_rows,
             (real *dx, real *loss, const real *x, const int64_t *label, const real *weight, size_t rows, size_t n,
              fm_labels *rule, double smoothing, double z_loss, double weight_sum, double scale, int stream))
/* label and loss: one for each of the width columns. */
FM_PRIMITIVE(double, cross_entropy_cols,
             (real *dx, real *loss, const real *x, const int64_t *label, const real *weight, size_t n, size_t stride,
              size_t width, fm_labels *rule, double smoothing, double z_loss, double weight_sum, double scale))
/* target lies as x does. dx may be x or target. */
FM_PRIMITIVE(double, cross_entropy_soft_rows,
             (real *dx, real *loss, const real *x, const real *target, const real *weight, size_t rows, size_t n,
              double smoothing, double z_loss, double scale, int stream))
FM_PRIMITIVE(double, cross_entropy_soft_cols,
             (real *dx, real *loss, const real *x, const real *target, const real *weight, size_t n, size_t stride,
              size_t width, double smoothing, double z_loss, double scale))
/* The same of log-probabilities x: the sum of sum_c q_c (-x_c), and -scale q. label (target NULL) or target (label
 * not read). Max error of a loss 4 ulp of its largest term, of dx 2 ulp. dx may be x or target. */
FM_PRIMITIVE(double, nll_rows,
             (real *dx, real *loss, const real *x, const int64_t *label, const real *target, const real *weight,
              size_t rows, size_t n, fm_labels *rule, double smoothing, double scale, int stream))
FM_PRIMITIVE(double, nll_cols,
             (real *dx, real *loss, const real *x, const int64_t *label, const real *target, const real *weight,
              size_t n, size_t stride, size_t width, fm_labels *rule, double smoothing, double scale))
/* The index of the first label that is neither in 0 .. n - 1 nor ignored by the rule; else count, and *total is the sum
 * of the weights (NULL: ones) of the labels not ignored. */
FM_PRIMITIVE(size_t, label_weights,
             (double *total, const int64_t *label, const real *weight, size_t count, size_t n, fm_labels *rule))

/* ---- losses.c ---------------------------------------------------------------------------------------- */

/* The sum of the losses of n elements x with targets t, returned in double; every single one to loss (NULL: nowhere)
 * and scale times its slope by x to dx (NULL: not computed). kind: FM_LOSS_..., losses.h.
 *     MSE     (x - t)^2
 *     L1      |x - t|
 *     HUBER   c (d - c / 2), d = x - t, c = d within -a ... a
 *     LOG_COSH  log(cosh(x - t))
 *     BCE     a (b t log(1 + e^-x) + (1 - t) log(1 + e^x))
 *     KL      t (log(t) - x), 0 where t = 0
 *     KL_LOG  e^t (t - x), 0 where e^t = 0
 * a and b (NULL: ones): with period 0 one number for each element; else a table of period + FM_LOSS_PADDING, of which
 * element i of the run takes (start + i) mod period. Max error of a term and of dx: 2 ulp (MSE, L1), 3 ulp (HUBER),
 * 6 ulp (LOG_COSH), 5 ulp (BCE with 0 <= t <= 1 and positive weights; dx's of the larger of its two terms), 4 ulp of
 * the larger of a term's two parts (KL, KL_LOG; a slope is -t or -e^t). dx may be any input, loss must not overlap any
 * other. stream: dx is written past the caches. n >= 0. */
FM_PRIMITIVE(double, loss_run,
             (int kind, real *dx, real *loss, const real *x, const real *t, const real *a, size_t a_period,
              const real *b, size_t b_period, size_t start, size_t n, double scale, int stream))
/* The sum of n terms as loss_run adds them. n >= 0. */
FM_PRIMITIVE(double, loss_sum, (const real *terms, size_t n))

/* ---- scale.c ------------------------------------------------------------------------------------------ */

/* y = x as double, rows of n elements: x's are `stride` apart, y's one after the other. */
FM_PRIMITIVE(void, widen_rows, (double *y, const real *x, size_t rows, size_t n, size_t stride))
/* Least and greatest element of columns, without NaN: infinity and -infinity where nothing else is there. */
FM_PRIMITIVE(void, extremes_cols, (real *low, real *high, const real *x, size_t n, size_t stride, size_t width))
/* y[i] = ((x[i] - center[j]) - rest[j]) / scale[j], j = i mod period, or with undo x[i] scale[j] + center[j] rounded
 * once; then low and high are its bounds (NaN stays). table: center, rest and scale, each of period + LANES elements
 * (one vector) that repeat it. Returns whether an x is infinite or NaN. stream: y is written past the caches. n >= 0.
 */
FM_PRIMITIVE(int, scale_elements,
             (real *y, const real *x, size_t n, const real *table, size_t period, double low, double high, int undo,
              int stream))
/* Rows of n elements divided by their norm, sum |x| (norm 1), sqrt(sum x^2) (2) or max |x| (0), found in double;
 * norms less than `least` count as 1. Returns whether an x is infinite or NaN. y: NULL only looks. */
FM_PRIMITIVE(int, normalize_rows, (real *y, const real *x, size_t rows, size_t n, int norm, double least))
/* ---- distance.c -------------------------------------------------------------------------------------- */

/* sums (INOUT): three of each row in double, of p, of q and of terms. kind: FM_GAPS ..., distance.h, which finds all
 * three, or the last of them by the other two. q NULL where the terms have none. A term of an entropy is 0 where its
 * first number is 0, infinite where its second is and where one is negative. Max error of a term 3 ulp of double. p and
 * q finite, n >= 0. */
FM_PRIMITIVE(void, pair_sums, (double *sums, const real *p, const real *q, size_t rows, size_t n, int kind))
/* sums[2] -= sums[0] log(sums[0] / sums[1]), three of each row; the same in both tables. */
FM_PRIMITIVE(void, shift_sums, (double *sums, size_t rows))
