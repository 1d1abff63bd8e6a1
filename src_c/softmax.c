/* Softmax, log-softmax and log-sum-exp of rows (contiguous runs of n) and of columns (n steps of stride).
 *
 * Rows: y = E / sum(E) with E = e^x relative to a power of two near the row's largest (exp.h). A row is read
 * three times; the caller hands in blocks that stay in cache. Sums keep what rounding takes from them (loops.h), and
 * so does the reciprocal of the sum. The logarithm forms leave the terms
 * equal to the maximum out of the lane sums and count them: log(count + s) through log1p keeps the digits of a
 * tiny s. What is done once a row (scale, logarithm) is done for FM_GROUP rows at once, a lane each.
 * Columns run lane by column, panel by panel.
 * Rejected: the online (one-pass) maximum, which pays an extra exponential per vector for a read from L2;
 * e^(x - max) with the difference's rounding error carried along, which costs half as much again.
 */

/* The vector at x + i with -inf, which no maximum and no sum of exponentials notices, past n. */
FM_INLINE vec FM(load_row)(const real *x, size_t i, size_t n)
{
    return n - i < LANES ? v_load_n(x + i, n - i, -(real)INFINITY) : v_load(x + i);
}

FM_INLINE void FM(store_row)(real *y, size_t i, size_t n, vec e)
{
    if (n - i < LANES)
        v_store_n(y + i, n - i, e);
    else
        v_store(y + i, e);
}

/* y[i] = E(x[i]); returns the sum. y may be x or NULL (nothing stored). */
FM_INLINE double FM(row_exp_sum)(real *y, const real *x, size_t n, v_scale s)
{
    vec sum = v_set1(0), low = sum, rest = sum;
    size_t i = 0;
    for (; i + 4 * LANES <= n; i += 4 * LANES) {
        const vec a = v_scaled(v_load(x + i), s), b = v_scaled(v_load(x + i + LANES), s);
        const vec c = v_scaled(v_load(x + i + 2 * LANES), s), d = v_scaled(v_load(x + i + 3 * LANES), s);
        sum = FM(gain)(sum, v_add(v_add(a, b), v_add(c, d)), &low);
        if (y) {
            v_store(y + i, a);
            v_store(y + i + LANES, b);
            v_store(y + i + 2 * LANES, c);
            v_store(y + i + 3 * LANES, d);
        }
        if (i % FM_RUN == FM_RUN - 4 * LANES)
            sum = FM(settled)(sum, &low);
    }
    for (; i < n; i += LANES) {
        const vec e = v_scaled(FM(load_row)(x, i, n), s);
        rest = v_add(rest, e);
        if (y)
            FM(store_row)(y, i, n, e);
    }
    sum = FM(gain)(sum, rest, &low);
    return FM(sum_lanes)(sum, low);
}

/* As row_exp_sum, but the sum is that over x < m, and *count is how many equal m. */
FM_INLINE double FM(row_exp_sum_below)(real *y, const real *x, size_t n, real m, v_scale s, double *count)
{
    const vec vm = v_set1(m), zero = v_set1(0), one = v_set1(1);
    vec sum = zero, low = zero;
    double equal = 0;
    for (size_t from = 0; from < n; from += FM_RUN) {
        const size_t to = n - from < FM_RUN ? n : from + FM_RUN;
        vec c = zero, rest = zero;
        size_t i = from;
        for (; i + 4 * LANES <= to; i += 4 * LANES) {
            vec four = zero;
            for (size_t k = i; k < i + 4 * LANES; k += LANES) {
                const vec v = v_load(x + k), e = v_scaled(v, s);
                four = v_add(four, v_if_eq(v, vm, zero, e));
                c = v_add(c, v_if_eq(v, vm, one, zero));
                if (y)
                    v_store(y + k, e);
            }
            sum = FM(gain)(sum, four, &low);
        }
        for (; i < to; i += LANES) {
            const vec v = FM(load_row)(x, i, to), e = v_scaled(v, s);
            rest = v_add(rest, v_if_eq(v, vm, zero, e));
            c = v_add(c, v_if_eq(v, vm, one, zero));
            if (y)
                FM(store_row)(y, i, to, e);
        }
        sum = FM(gain)(sum, rest, &low);
        if (to < n)
            sum = FM(settled)(sum, &low);
        equal += v_sum(c);
    }
    *count = equal;
    return FM(sum_lanes)(sum, low);
}

#define FM_RAISED ((double)(1LL << FM(FM_RAISE)))

/* 1 / (sum + low), the sum lowered; the second half of it to *rest. */
FM_INLINE vec FM(inverse)(vec sum, vec low, vec *rest)
{
    sum = v_lowered(sum), low = v_lowered(low);
    const vec one = v_set1(1), inv = v_div(one, sum);
    *rest = v_mul(inv, v_fnma(inv, low, v_fnma(inv, sum, one)));
    return inv;
}

/* e / sum, e and sum being raised, inv and rest not: e rest is then no smaller than the last place of a normal result. */
FM_INLINE vec FM(share)(vec e, vec inv, vec rest)
{
    return v_lowered(v_fma(e, inv, v_mul(e, rest)));
}

/* The same of e + low, within 0.6 ulp. */
FM_INLINE vec FM(share_pair)(vec e, vec low, vec inv, vec rest)
{
    return v_lowered(v_fma(e, inv, v_fma(e, rest, v_mul(low, inv))));
}

/* What FM_GROUP rows know of themselves, a lane each: the maximum and the scale of E, then E(max), how many
 * entries equal the maximum, and the sum of E over the others. An infinite maximum makes them NaN. */
typedef struct {
    real max[LANES], origin[LANES], floor[LANES], n0[LANES];
    double top[FM_GROUP], count[FM_GROUP], below[FM_GROUP];
} FM(group);

/* How many rows of n to take together: as many as stay in the first cache. */
FM_INLINE size_t FM(group_rows)(size_t rows, size_t n)
{
    const size_t most = n <= FM_RUN ? FM_GROUP : 1;
    return rows < most ? rows : most;
}

FM_INLINE void FM(group_scale)(FM(group) *g, const real *x, size_t rows, size_t n)
{
    for (size_t r = 0; r < LANES; r++)
        g->max[r] = 0;
    if (n <= LANES)
        for (size_t r = 0; r < rows; r++, x += n)
            g->max[r] = v_max_lane(FM(load_row)(x, 0, n));
    else
        for (size_t r = 0; r < rows; r++, x += n)
            g->max[r] = FM(row_max)(x, n);
    const vec max = v_load(g->max);
    const v_scale s = v_scale_of(max);
    v_store(g->origin, s.origin);
    v_store(g->floor, s.floor);
    v_store(g->n0, s.n0);
    v64_store(g->top, v_wide_lo(v_scaled(max, s)));
    for (size_t r = 0; r < FM_GROUP; r++)
        g->count[r] = 1, g->below[r] = 0;
}

FM_INLINE v_scale FM(scale_row)(const FM(group) *g, size_t r)
{
    return (v_scale){v_set1(g->origin[r]), v_set1(g->floor[r]), v_set1(g->n0[r])};
}

/* E of row r to y (NULL: nowhere), its sum and count to g. */
FM_INLINE void FM(group_exp)(FM(group) *g, size_t r, real *y, const real *x, size_t n)
{
    const v_scale s = FM(scale_row)(g, r);
    if (n <= LANES) {
        const vec v = FM(load_row)(x, 0, n), m = v_set1(g->max[r]), e = v_scaled(v, s);
        g->below[r] = FM(sum_lanes)(v_if_eq(v, m, v_set1(0), e), v_set1(0));
        g->count[r] = v_count_eq(v, m);
        if (y)
            FM(store_row)(y, 0, n, e);
    } else
        g->below[r] = FM(row_exp_sum_below)(y, x, n, g->max[r], s, &g->count[r]);
}

/* log(sum(e^(x - max))) of each row */
FM_INLINE v64 FM(group_log_sum)(const FM(group) *g)
{
    return v64_log_sum(v64_load(g->count), v64_div(v64_load(g->below), v64_load(g->top)));
}

/* ---- rows -------------------------------------------------------------------------------------------- */

static void FM(softmax_rows)(real *y, const real *x, size_t rows, size_t n, int stream)
{
    if (n <= LANES) { /* one vector a row, nothing stored in between */
        for (; rows; rows--, x += n, y += n) {
            const vec v = FM(load_row)(x, 0, n);
            vec low;
            const vec e = v_scaled_pair(v, v_scale_of(v_set1(v_max_lane(v))), &low);
            const double inv = FM_RAISED / FM(sum_lanes)(e, low);
            FM(store_row)(y, 0, n, FM(share_pair)(e, low, v_set1((real)inv), v_set1((real)(inv - (real)inv))));
        }
        return;
    }
    for (size_t group; rows; rows -= group) {
        FM(group) g;
        double sum[FM_GROUP];
        group = FM(group_rows)(rows, n);
        FM(group_scale)(&g, x, group, n);
        for (size_t r = 0; r < group; r++)
            sum[r] = FM(row_exp_sum)(stream ? NULL : y + r * n, x + r * n, n, FM(scale_row)(&g, r));
        for (size_t r = 0; r < group; r++, x += n, y += n) {
            vec rest;
            const vec inv = FM(inverse)(v_set1((real)sum[r]), v_set1((real)(sum[r] - (real)sum[r])), &rest);
            const v_scale s = FM(scale_row)(&g, r);
            if (stream) /* a second exponential is cheaper than a second trip to memory */
                FM_ROW_STORE(y, n, 1, FM(share)(v_scaled(AT(x), s), inv, rest))
            else
                FM_ROW_STORE(y, n, 0, FM(share)(AT(y), inv, rest))
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
    for (size_t group; rows; rows -= group) {
        FM(group) g;
        double log_sum[FM_GROUP];
        group = FM(group_rows)(rows, n);
        FM(group_scale)(&g, x, group, n);
        for (size_t r = 0; r < group; r++)
            FM(group_exp)(&g, r, NULL, x + r * n, n);
        v64_store(log_sum, FM(group_log_sum)(&g));
        for (size_t r = 0; r < group; r++, x += n, y += n) {
            const vec vm = v_set1(g.max[r]), ls = v_set1((real)log_sum[r]);
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
    for (size_t group; rows; rows -= group) {
        FM(group) g;
        double log_sum[FM_GROUP];
        group = FM(group_rows)(rows, n);
        FM(group_scale)(&g, x, group, n);
        for (size_t r = 0; r < group; r++)
            FM(group_exp)(&g, r, NULL, x + r * n, n);
        v64_store(log_sum, FM(group_log_sum)(&g));
        for (size_t r = 0; r < group; r++, x += n, lse++) {
            if (g.max[r] - g.max[r] == 0)
                *lse = (real)(g.max[r] + log_sum[r]);
            else /* infinite, or NaN in the first place: the row shows whether a NaN stands elsewhere in it */
                *lse = FM(row_has_nan)(x, n) ? (real)NAN : g.max[r];
        }
    }
}

/* ---- columns ------------------------------------------------------------------------------------------
 * A panel is up to FM_PANEL vectors of neighbouring columns; its maxima and sums lie on the stack. Sums go
 * run by run as in rows, both levels in the lanes. */

#define FM_COLS_MAX(x, n, stride, max)                                                                       \
    {                                                                                                        \
        FM_PANEL_EACH(max[j] = AT(x);)                                                                       \
        for (size_t i = 1; i < n; i++)                                                                       \
            FM_PANEL_EACH(max[j] = v_max(AT(x + i * stride), max[j]);)                                       \
    }

/* The softmax of n <= FM_FEW entries of a compact copy, FM_PANEL apart, in their place, with what rounding takes from
 * each: a sum that begins far above all terms takes the upper bits of each exactly. Longer columns would pay a third for
 * it, these few pay a sixth at most. */
#define FM_FEW 3
FM_INLINE void FM(share_column)(vec *x, size_t n)
{
    vec max = x[0];
    for (size_t i = 1; i < n; i++)
        max = v_max(x[i * FM_PANEL], max);
    const v_scale s = v_scale_of(max);
    const vec start = v_set1((real)(96 * FM_RAISED));
    vec sum = start, low = v_set1(0), lows[FM_FEW], rest;
    for (size_t i = 0; i < n; i++) {
        const vec e = x[i * FM_PANEL] = v_scaled_pair(x[i * FM_PANEL], s, &lows[i]), next = v_add(sum, e);
        low = v_add(low, v_add(v_sub(e, v_sub(next, sum)), lows[i]));
        sum = next;
    }
    const vec inv = FM(inverse)(v_sub(sum, start), low, &rest);
    for (size_t i = 0; i < n; i++)
        x[i * FM_PANEL] = FM(share_pair)(x[i * FM_PANEL], lows[i], inv, rest);
}

static void FM(softmax_cols)(real *y, const real *x, size_t n, size_t stride, size_t width)
{
    FM_PANELS(width)
    {
        vec max[FM_PANEL], sum[FM_PANEL], low[FM_PANEL];
        v_scale scale[FM_PANEL];
        FM_COLS_COPY(src, terms, step, x, y, n, stride)
        if (n <= FM_FEW) {
            FM_PANEL_WHOLE(FM(share_column)(copy_ + j, n);)
            for (size_t i = 0; i < n; i++)
                FM_PANEL_EACH(PUT(y + i * stride, copy_[i * FM_PANEL + j]);)
            continue;
        }
        FM_COLS_MAX(src, n, step, max)
        FM_PANEL_EACH(scale[j] = v_scale_of(max[j]);)
        FM_COLS_SUMS(n, sum, low, const v_scale s = scale[j];
                     , const vec e = v_scaled(AT(src + i * step), s); PUT(terms + i * step, e);, e)
        FM_PANEL_EACH(sum[j] = FM(inverse)(sum[j], low[j], &low[j]);)
        for (size_t i = 0; i < n; i++)
            FM_PANEL_EACH(PUT(y + i * stride, FM(share)(AT(terms + i * step), sum[j], low[j]));)
    }
}

static void FM(softmax_backward_cols)(real *dx, const real *g, const real *y, size_t n, size_t stride, size_t width)
{
    FM_PANELS(width)
    {
        vec sum[FM_PANEL];
        FM_COLS_SUM(n, sum, , , v_mul(AT(g + i * stride), AT(y + i * stride)))
        FM_COLS_EACH(n, const vec dot = sum[j];
                     , PUT(dx + i * stride, v_mul(AT(y + i * stride), v_sub(AT(g + i * stride), dot)));, )
    }
}

#define FM_COUNTED (1 << 16) /* entries that are counted one by one: 2^24 + 1 is no float */
/* For one panel's columns: scale[j], E(max) in top[j], how many equal max[j] in count[j] and the sum of E over
 * the others in below[j]; `also` does something with each E, e. */
#define FM_COLS_EXP_SUM_BELOW(x, n, stride, max, scale, top, count, below, also)                             \
    {                                                                                                        \
        const vec zero_ = v_set1(0), one_ = v_set1(1);                                                       \
        vec many_[FM_PANEL];                                                                                 \
        FM_PANEL_EACH(scale[j] = v_scale_of(max[j]); top[j] = v_scaled(max[j], scale[j]);                    \
                      count[j] = many_[j] = zero_;)                                                          \
        FM_COLS_SUM(n, below, const v_scale s_ = scale[j]; const vec m_ = max[j];                            \
                    if (strip_ % FM_COUNTED == 0) { many_[j] = v_add(many_[j], count[j]); count[j] = zero_; }, \
                    const vec v_ = AT(x + i * stride); const vec e = v_scaled(v_, s_);                       \
                    count[j] = v_add(count[j], v_if_eq(v_, m_, one_, zero_)); also,                          \
                    v_if_eq(v_, m_, zero_, e))                                                               \
        FM_PANEL_EACH(count[j] = v_add(many_[j], count[j]);)                                                 \
    }

/* max[j] and log(sum(e^(x - max))) of one panel's columns. */
#define FM_COLS_LOG_SUM(x, n, stride, max, log_sum)                                                          \
    {                                                                                                        \
        vec top[FM_PANEL], count[FM_PANEL], below[FM_PANEL];                                                 \
        v_scale scale[FM_PANEL];                                                                             \
        FM_COLS_MAX(x, n, stride, max)                                                                       \
        FM_COLS_EXP_SUM_BELOW(x, n, stride, max, scale, top, count, below, )                                 \
        FM_PANEL_EACH(log_sum[j] = v_log_sum(count[j], v_div(below[j], top[j]));)                            \
    }

static void FM(log_softmax_cols)(real *y, const real *x, size_t n, size_t stride, size_t width)
{
    FM_PANELS(width)
    {
        vec max[FM_PANEL], log_sum[FM_PANEL];
        FM_COLS_COPY(src, unused, step, x, y, n, stride)
        (void)unused;
        FM_COLS_LOG_SUM(src, n, step, max, log_sum)
        for (size_t i = 0; i < n; i++)
            FM_PANEL_EACH(PUT(y + i * stride, v_sub(v_sub(AT(src + i * step), max[j]), log_sum[j]));)
    }
}

static void FM(log_softmax_backward_cols)(real *dx, const real *g, const real *y, size_t n, size_t stride,
                                          size_t width)
{
    FM_PANELS(width)
    {
        vec sum[FM_PANEL];
        FM_COLS_SUM(n, sum, , , AT(g + i * stride))
        FM_COLS_EACH(n, const vec total = sum[j];
                     , PUT(dx + i * stride, v_fnma(v_exp(AT(y + i * stride)), total, AT(g + i * stride)));, )
    }
}

static void FM(logsumexp_cols)(real *lse, const real *x, size_t n, size_t stride, size_t width)
{
    FM_PANELS(width)
    {
        vec max[FM_PANEL], log_sum[FM_PANEL], nan[FM_PANEL];
        const vec zero = v_set1(0);
        FM_COLS_LOG_SUM(x, n, stride, max, log_sum)
        /* An infinite maximum is the result itself unless the column holds a NaN, which its sum with 0 for
         * everything else shows. */
        FM_COLS_SUM(n, nan, , const vec v = AT(x + i * stride);, v_if_eq(v, v, zero, v))
        FM_PANEL_EACH(const vec infinite = v_add(max[j], nan[j]), finite = v_add(max[j], log_sum[j]);
                      PUT(lse, v_if_eq(v_sub(max[j], max[j]), zero, finite, infinite));)
    }
}
