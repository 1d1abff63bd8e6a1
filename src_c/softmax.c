/* Softmax, log-softmax and log-sum-exp of rows (contiguous runs of n) and of columns (n steps of stride).
 *
 * Rows: y = exp(x - max) / sum. A row is read three times; the caller hands in blocks that stay in cache.
 * The sum is taken in runs of FM_RUN elements in the lanes, run by run in double, so that its error does not
 * grow with n. The logarithm forms leave the terms equal to the maximum out of the lane sums and count them:
 * log(count + s) through log1p keeps the digits of a tiny s. Columns run lane by column, panel by panel.
 * Rejected: the online (one-pass) maximum, which pays an extra exponential per vector for a read from L2.
 */

/* y[i] = exp(x[i] - m); returns the sum. y may be x or NULL (nothing stored). */
FM_INLINE double FM(row_exp_sum)(real *y, const real *x, size_t n, real m)
{
    const vec vm = v_set1(m);
    double total = 0;
    for (size_t from = 0; from < n; from += FM_RUN) {
        const size_t to = n - from < FM_RUN ? n : from + FM_RUN;
        vec a = v_set1(0), b = v_set1(0);
        size_t i = from;
        for (; i + 2 * LANES <= to; i += 2 * LANES) {
            const vec e = v_exp_diff(v_load(x + i), vm), f = v_exp_diff(v_load(x + i + LANES), vm);
            a = v_add(a, e);
            b = v_add(b, f);
            if (y) {
                v_store(y + i, e);
                v_store(y + i + LANES, f);
            }
        }
        for (; i < to; i += LANES) {
            const size_t k = to - i < LANES ? to - i : LANES;
            const vec e = v_exp_diff(k < LANES ? v_load_n(x + i, k, m) : v_load(x + i), vm);
            a = v_add(a, k < LANES ? v_keep_n(e, k) : e);
            if (y) {
                if (k < LANES)
                    v_store_n(y + i, k, e);
                else
                    v_store(y + i, e);
            }
        }
        total += v_sum(v_add(a, b));
    }
    return total;
}

/* The sum of exp(x - m) over x < m, and in *count how many equal m. */
FM_INLINE double FM(row_exp_sum_below)(const real *x, size_t n, real m, double *count)
{
    const vec vm = v_set1(m), zero = v_set1(0), one = v_set1(1);
    double total = 0, equal = 0;
    for (size_t from = 0; from < n; from += FM_RUN) {
        const size_t to = n - from < FM_RUN ? n : from + FM_RUN;
        vec a = zero, c = zero;
        for (size_t i = from; i < to; i += LANES) {
            const size_t k = to - i < LANES ? to - i : LANES;
            const vec v = k < LANES ? v_load_n(x + i, k, m) : v_load(x + i);
            vec e = v_if_eq(v, vm, zero, v_exp_diff(v, vm)), q = v_if_eq(v, vm, one, zero);
            if (k < LANES) {
                e = v_keep_n(e, k);
                q = v_keep_n(q, k);
            }
            a = v_add(a, e);
            c = v_add(c, q);
        }
        total += v_sum(a);
        equal += v_sum(c);
    }
    *count = equal;
    return total;
}

/* max[r] and log_sum[r] = log(sum(exp(x - max[r]))) for up to FM_GROUP rows: the logarithm takes a vector
 * of rows at a time. An infinite maximum makes log_sum NaN. */
FM_INLINE void FM(rows_log_sum)(const real *x, size_t rows, size_t n, real *max, double *log_sum)
{
    double count[FM_GROUP], below[FM_GROUP];
    for (size_t r = 0; r < FM_GROUP; r++)
        count[r] = 1, below[r] = 0;
    for (size_t r = 0; r < rows; r++, x += n) {
        max[r] = FM(row_max)(x, n);
        below[r] = FM(row_exp_sum_below)(x, n, max[r], &count[r]) + (max[r] - max[r]);
    }
    v64_store(log_sum, v64_log_sum(v64_load(count), v64_load(below)));
}

/* ---- rows -------------------------------------------------------------------------------------------- */

static void FM(softmax_rows)(real *y, const real *x, size_t rows, size_t n, int stream)
{
    if (n <= LANES) { /* one vector a row, nothing stored in between */
        for (; rows; rows--, x += n, y += n) {
            const vec v = n < LANES ? v_load_n(x, n, x[0]) : v_load(x);
            vec e = v_exp_diff(v, v_set1(v_max_lane(v)));
            e = n < LANES ? v_keep_n(e, n) : e;
            e = v_mul(e, v_set1((real)1 / v_sum(e)));
            if (n < LANES)
                v_store_n(y, n, e);
            else
                v_store(y, e);
        }
        return;
    }
    for (; rows; rows--, x += n, y += n) {
        const real m = FM(row_max)(x, n);
        if (stream) { /* a second exponential is cheaper than a second trip to memory */
            const vec vm = v_set1(m), inv = v_set1((real)(1 / FM(row_exp_sum)(NULL, x, n, m)));
            FM_ROW_STORE(y, n, 1, v_mul(v_exp_diff(AT(x), vm), inv))
        } else {
            const vec inv = v_set1((real)(1 / FM(row_exp_sum)(y, x, n, m)));
            FM_ROW_STORE(y, n, 0, v_mul(AT(y), inv))
        }
    }
}

static void FM(softmax_backward_rows)(real *dx, const real *g, const real *y, size_t rows, size_t n, int stream)
{
    for (; rows; rows--, dx += n, g += n, y += n) {
        const vec dot = v_set1((real)FM(row_dot)(g, y, n));
        FM_ROW_STORE(dx, n, stream, v_mul(AT(y), v_sub(AT(g), dot)))
    }
}

static void FM(log_softmax_rows)(real *y, const real *x, size_t rows, size_t n, int stream)
{
    for (size_t from = 0; from < rows; from += FM_GROUP) {
        const size_t group = rows - from < FM_GROUP ? rows - from : FM_GROUP;
        real max[FM_GROUP];
        double log_sum[FM_GROUP];
        FM(rows_log_sum)(x, group, n, max, log_sum);
        for (size_t r = 0; r < group; r++, x += n, y += n) {
            const vec vm = v_set1(max[r]), ls = v_set1((real)log_sum[r]);
            FM_ROW_STORE(y, n, stream, v_sub(v_sub(AT(x), vm), ls))
        }
    }
}

static void FM(log_softmax_backward_rows)(real *dx, const real *g, const real *y, size_t rows, size_t n, int stream)
{
    for (; rows; rows--, dx += n, g += n, y += n) {
        const vec sum = v_set1((real)FM(row_sum)(g, n));
        FM_ROW_STORE(dx, n, stream, v_fnma(v_exp(AT(y)), sum, AT(g)))
    }
}

static void FM(logsumexp_rows)(real *lse, const real *x, size_t rows, size_t n)
{
    for (size_t from = 0; from < rows; from += FM_GROUP) {
        const size_t group = rows - from < FM_GROUP ? rows - from : FM_GROUP;
        real max[FM_GROUP];
        double log_sum[FM_GROUP];
        FM(rows_log_sum)(x, group, n, max, log_sum);
        for (size_t r = 0; r < group; r++, x += n, lse++) {
            if (max[r] - max[r] == 0)
                *lse = (real)(max[r] + log_sum[r]);
            else /* infinite, or NaN in the first place: the row shows whether a NaN stands elsewhere in it */
                *lse = FM(row_has_nan)(x, n) ? (real)NAN : max[r];
        }
    }
}

/* ---- columns ------------------------------------------------------------------------------------------
 * A panel is up to FM_PANEL vectors of neighbouring columns; its maxima and sums lie on the stack. Sums go
 * run by run as in rows, both levels in the lanes. */

static void FM(softmax_cols)(real *y, const real *x, size_t n, size_t stride, size_t width)
{
    FM_PANELS(width)
    {
        vec max[FM_PANEL], run[FM_PANEL], sum[FM_PANEL];
        FM_PANEL_EACH(max[j] = AT(x); sum[j] = v_set1(0);)
        for (size_t i = 1; i < n; i++)
            FM_PANEL_EACH(max[j] = v_max(AT(x + i * stride), max[j]);)
        for (size_t from = 0; from < n; from += FM_RUN) {
            const size_t to = n - from < FM_RUN ? n : from + FM_RUN;
            FM_PANEL_EACH(run[j] = v_set1(0);)
            for (size_t i = from; i < to; i++)
                FM_PANEL_EACH(const vec e = v_exp_diff(AT(x + i * stride), max[j]); run[j] = v_add(run[j], e);
                              PUT(y + i * stride, e);)
            FM_PANEL_EACH(sum[j] = v_add(sum[j], run[j]);)
        }
        FM_PANEL_EACH(sum[j] = v_div(v_set1(1), sum[j]);)
        for (size_t i = 0; i < n; i++)
            FM_PANEL_EACH(PUT(y + i * stride, v_mul(AT(y + i * stride), sum[j]));)
    }
}

static void FM(softmax_backward_cols)(real *dx, const real *g, const real *y, size_t n, size_t stride, size_t width)
{
    FM_PANELS(width)
    {
        vec run[FM_PANEL], dot[FM_PANEL];
        FM_PANEL_EACH(dot[j] = v_set1(0);)
        for (size_t from = 0; from < n; from += FM_RUN) {
            const size_t to = n - from < FM_RUN ? n : from + FM_RUN;
            FM_PANEL_EACH(run[j] = v_set1(0);)
            for (size_t i = from; i < to; i++)
                FM_PANEL_EACH(run[j] = v_fma(AT(g + i * stride), AT(y + i * stride), run[j]);)
            FM_PANEL_EACH(dot[j] = v_add(dot[j], run[j]);)
        }
        for (size_t i = 0; i < n; i++)
            FM_PANEL_EACH(PUT(dx + i * stride, v_mul(AT(y + i * stride), v_sub(AT(g + i * stride), dot[j])));)
    }
}

/* max[j] and log(sum(exp(x - max))) of one panel's columns. */
#define FM_COLS_LOG_SUM(x, n, stride, max, log_sum)                                                          \
    {                                                                                                        \
        vec run[FM_PANEL], below[FM_PANEL], count[FM_PANEL];                                                 \
        const vec zero = v_set1(0), one = v_set1(1);                                                         \
        FM_PANEL_EACH(max[j] = AT(x); below[j] = count[j] = zero;)                                           \
        for (size_t i = 1; i < n; i++)                                                                       \
            FM_PANEL_EACH(max[j] = v_max(AT(x + i * stride), max[j]);)                                       \
        for (size_t from = 0; from < n; from += FM_RUN) {                                                    \
            const size_t to = n - from < FM_RUN ? n : from + FM_RUN;                                         \
            FM_PANEL_EACH(run[j] = zero;)                                                                    \
            for (size_t i = from; i < to; i++)                                                               \
                FM_PANEL_EACH(const vec v = AT(x + i * stride);                                              \
                              run[j] = v_add(run[j], v_if_eq(v, max[j], zero, v_exp_diff(v, max[j])));       \
                              count[j] = v_add(count[j], v_if_eq(v, max[j], one, zero));)                    \
            FM_PANEL_EACH(below[j] = v_add(below[j], run[j]);)                                               \
        }                                                                                                    \
        FM_PANEL_EACH(log_sum[j] = v_log_sum(count[j], v_add(below[j], v_sub(max[j], max[j])));)             \
    }

static void FM(log_softmax_cols)(real *y, const real *x, size_t n, size_t stride, size_t width)
{
    FM_PANELS(width)
    {
        vec max[FM_PANEL], log_sum[FM_PANEL];
        FM_COLS_LOG_SUM(x, n, stride, max, log_sum)
        for (size_t i = 0; i < n; i++)
            FM_PANEL_EACH(PUT(y + i * stride, v_sub(v_sub(AT(x + i * stride), max[j]), log_sum[j]));)
    }
}

static void FM(log_softmax_backward_cols)(real *dx, const real *g, const real *y, size_t n, size_t stride,
                                          size_t width)
{
    FM_PANELS(width)
    {
        vec run[FM_PANEL], sum[FM_PANEL];
        FM_PANEL_EACH(sum[j] = v_set1(0);)
        for (size_t from = 0; from < n; from += FM_RUN) {
            const size_t to = n - from < FM_RUN ? n : from + FM_RUN;
            FM_PANEL_EACH(run[j] = v_set1(0);)
            for (size_t i = from; i < to; i++)
                FM_PANEL_EACH(run[j] = v_add(run[j], AT(g + i * stride));)
            FM_PANEL_EACH(sum[j] = v_add(sum[j], run[j]);)
        }
        for (size_t i = 0; i < n; i++)
            FM_PANEL_EACH(PUT(dx + i * stride, v_fnma(v_exp(AT(y + i * stride)), sum[j], AT(g + i * stride)));)
    }
}

static void FM(logsumexp_cols)(real *lse, const real *x, size_t n, size_t stride, size_t width)
{
    FM_PANELS(width)
    {
        vec max[FM_PANEL], log_sum[FM_PANEL];
        const vec zero = v_set1(0);
        FM_COLS_LOG_SUM(x, n, stride, max, log_sum)
        /* An infinite maximum is the result itself unless the column holds a NaN, which the sum of
         * x - x (0 or NaN) over the finite and NaN entries shows. */
        vec nan[FM_PANEL];
        FM_PANEL_EACH(nan[j] = zero;)
        for (size_t i = 0; i < n; i++)
            FM_PANEL_EACH(const vec v = AT(x + i * stride);
                          nan[j] = v_add(nan[j], v_if_eq(v, v, zero, v));)
        FM_PANEL_EACH(const vec infinite = v_add(max[j], nan[j]), finite = v_add(max[j], log_sum[j]);
                      PUT(lse, v_if_eq(v_sub(max[j], max[j]), zero, finite, infinite));)
    }
}
