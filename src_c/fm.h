/* Every primitive with its card. The list is read several times (dispatch.h, bodies.h): no include guard.
 *
 *     FM_PRIMITIVE(result, name, (arguments))
 *
 * real is float or double. Rows are contiguous runs of n elements, one after the other; columns are
 * n steps of `stride` elements, `width` columns side by side. Pointers need the alignment of real only.
 * Unless a card says otherwise: one thread, nothing allocated, outputs may be an input itself but must not
 * overlap it in part, rows = 0 or width = 0 does nothing, n >= 1. ULP bounds are against the exact result.
 */

/* ---- softmax.c ---------------------------------------------------------------------------------------- */

/* y = softmax(x), row by row. x: any value; NaN, +inf and rows of -inf give NaN. Max error 5 ulp.
 * stream: y is written once, past the caches. */
FM_PRIMITIVE(void, softmax_rows, (real *y, const real *x, size_t rows, size_t n, int stream))
/* The same down columns. */
FM_PRIMITIVE(void, softmax_cols, (real *y, const real *x, size_t n, size_t stride, size_t width))
/* dx = y (g - sum(g y)), row by row. Any of dx, g, y may be the same. */
FM_PRIMITIVE(void, softmax_backward_rows, (real *dx, const real *g, const real *y, size_t rows, size_t n, int stream))
FM_PRIMITIVE(void, softmax_backward_cols,
             (real *dx, const real *g, const real *y, size_t n, size_t stride, size_t width))

/* y = x - log(sum(exp(x))), row by row; stream: y is written past the caches. Max error 3 ulp. */
FM_PRIMITIVE(void, log_softmax_rows, (real *y, const real *x, size_t rows, size_t n, int stream))
FM_PRIMITIVE(void, log_softmax_cols, (real *y, const real *x, size_t n, size_t stride, size_t width))
/* dx = g - exp(y) sum(g), row by row. Any of dx, g, y may be the same. */
FM_PRIMITIVE(void, log_softmax_backward_rows,
             (real *dx, const real *g, const real *y, size_t rows, size_t n, int stream))
FM_PRIMITIVE(void, log_softmax_backward_cols,
             (real *dx, const real *g, const real *y, size_t n, size_t stride, size_t width))

/* lse[row] = log(sum(exp(x))); a row of -inf gives -inf, +inf gives +inf, NaN gives NaN. lse must not overlap x. */
FM_PRIMITIVE(void, logsumexp_rows, (real *lse, const real *x, size_t rows, size_t n))
FM_PRIMITIVE(void, logsumexp_cols, (real *lse, const real *x, size_t n, size_t stride, size_t width))

/* ---- random.c ---------------------------------------------------------------------------------------- */

/* y[i] = scale x[i] where the word of element offset + i (mod 2^64) is >= threshold, else +0 (also for NaN
 * and infinity). philox.h defines the words. threshold: 0 keeps all, 2^32 none. n >= 0.
 * stream: y is written past the caches where its boundary falls on a block of four. */
FM_PRIMITIVE(void, dropout_run,
             (real *y, const real *x, size_t n, uint64_t seed, uint64_t offset, uint64_t threshold, real scale,
              int stream))
/* kept[i] = whether dropout_run keeps element i; the same in both tables. */
FM_PRIMITIVE(void, dropout_mask_run,
             (uint8_t *kept, size_t n, uint64_t seed, uint64_t offset, uint64_t threshold))
