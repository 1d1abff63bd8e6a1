/* Softmax, log-softmax and log-sum-exp of columns, n steps of stride, by what softmax.c has for rows.
 *
 * Columns run lane by column, panel by panel. A panel is up to FM_PANEL_VECTORS vectors of neighbouring columns, and
 * its maxima and sums lie on the stack. Sums go run by run as in rows, both levels in the lanes. Rejected: sums of
 * the logarithm forms relative to the second largest entry, 2.4 instead of 3.2 ulp for a tenth more time.
 */

#define FM_COLS_MAX(x, n, stride, max)                                 \
    {                                                                  \
        FM_PANEL_EACH(max[j] = AT(x);)                                 \
        for (size_t i = 1; i < n; i++)                                 \
            FM_PANEL_EACH(max[j] = v_max(AT(x + i * stride), max[j]);) \
    }

/* The softmax of n <= FM_FEW_ENTRIES entries of a compact copy, FM_PANEL_VECTORS apart, in their place, with what
 * rounding takes from each. Longer columns would pay a third for it, these few pay a sixth at most. */
#define FM_FEW_ENTRIES 3
FM_INLINE void FM(softmax_column)(vec *x, size_t n)
{
    vec max = x[0];
    for (size_t i = 1; i < n; i++)
        max = v_max(x[i * FM_PANEL_VECTORS], max);
    const v_scale s = v_scale_of(max);
    vec sum = v_set1(0), low = sum, lows[FM_FEW_ENTRIES], rest;
    for (size_t i = 0; i < n; i++) {
        x[i * FM_PANEL_VECTORS] = FM(joined_pair)(v_scaled_parts(x[i * FM_PANEL_VECTORS], s), &lows[i]);
        sum = FM(gain)(sum, x[i * FM_PANEL_VECTORS], &low);
        low = v_add(low, lows[i]);
    }
    const vec inv = FM(inverse)(sum, low, &rest);
    for (size_t i = 0; i < n; i++)
        x[i * FM_PANEL_VECTORS] = FM(probability_pair)(x[i * FM_PANEL_VECTORS], lows[i], inv, rest);
}

static void FM(softmax_cols)(real *y, const real *x, size_t n, size_t stride, size_t width)
{
    FM_PANELS(width) {
        vec max[FM_PANEL_VECTORS], sum[FM_PANEL_VECTORS], low[FM_PANEL_VECTORS];
        v_scale scale[FM_PANEL_VECTORS];
        FM_COLS_COPY(src, terms, step, x, y, n, stride)
        if (n <= FM_FEW_ENTRIES) {
            FM_PANEL_WHOLE(j) {
                FM(softmax_column)(copy_ + j, n);
            }
            for (size_t i = 0; i < n; i++)
                FM_PANEL_EACH(PUT(y + i * stride, copy_[i * FM_PANEL_VECTORS + j]);)
            continue;
        }
        FM_COLS_MAX(src, n, step, max)
        FM_PANEL_EACH(scale[j] = v_scale_of(max[j]);)
        /* clang-format off */
        FM_COLS_EACH(n, const v_scale s = scale[j]; FM(exp_sum) run = FM_NO_EXP;,
                     const v_parts e = v_scaled_parts(AT(src + i * step), s); const vec joined = v_joined(e);
                     PUT(terms + i * step, joined); FM(gather)(&run, e, joined);,
                     FM(add_run)(&sum[j], &low[j], v_sub(run.sum, FM_START), run.low, block_ == 0);)
        /* clang-format on */
        FM_PANEL_EACH(sum[j] = FM(nearest)(sum[j], &low[j]); sum[j] = FM(inverse)(sum[j], low[j], &low[j]);)
        for (size_t i = 0; i < n; i++)
            FM_PANEL_EACH(PUT(y + i * stride, FM(probability)(AT(terms + i * step), sum[j], low[j]));)
    }
}

static void FM(softmax_backward_cols)(real *dx, const real *g, const real *y, size_t n, size_t stride, size_t width)
{
    FM_PANELS(width) {
        vec sum[FM_PANEL_VECTORS];
        FM_COLS_SUM(n, sum, , , v_mul(AT(g + i * stride), AT(y + i * stride)))
        /* clang-format off */
        FM_COLS_EACH(n, const vec dot = sum[j];
                     , PUT(dx + i * stride, v_mul(AT(y + i * stride), v_sub(AT(g + i * stride), dot)));, )
        /* clang-format on */
    }
}

#define FM_COUNTED_ENTRIES (1 << 16) /* entries that are counted one by one: 2^24 + 1 is no float */
/* Of one panel's columns, whose maxima are known: scale[j], how many entries equal max[j] in count[j] and the sum of E
 * over the others in below[j] and low[j]; `also` does something with the parts e of each E. */
/* clang-format off */
#define FM_COLS_EXP_SUM_BELOW(x, n, stride, max, scale, count, below, low, also)                             \
    {                                                                                                        \
        const vec zero_ = v_set1(0), one_ = v_set1(1);                                                       \
        vec many_[FM_PANEL_VECTORS];                                                                                 \
        FM_PANEL_EACH(scale[j] = v_scale_of(max[j]); count[j] = many_[j] = zero_;)                           \
        FM_COLS_EACH(n, const v_scale s_ = scale[j]; const vec m_ = max[j]; FM(parts_sum) run_ = FM_NO_PARTS; \
                     if (block_ % FM_COUNTED_ENTRIES == 0) {                                                 \
                         many_[j] = v_add(many_[j], count[j]); count[j] = zero_; },                          \
                     const vec v_ = AT(x + i * stride); v_parts e = v_scaled_parts(v_, s_); also             \
                     count[j] = v_add(count[j], v_if_eq(v_, m_, one_, zero_));                               \
                     e.power = v_if_eq(v_, m_, zero_, e.power); FM(gather_parts)(&run_, e);,                 \
                     vec low_; const vec sum_ = FM(parts_gathered)(&run_, &low_);                            \
                     FM(add_run)(&below[j], &low[j], sum_, low_, block_ == 0);)                              \
        FM_PANEL_EACH(count[j] = v_add(many_[j], count[j]); below[j] = FM(nearest)(below[j], &low[j]);)      \
    }
/* clang-format on */

/* E(max), and what rounding takes from it */
FM_INLINE vec FM(top)(vec max, v_scale s, vec *low) { return FM(joined_pair)(v_scaled_parts(max, s), low); }

/* log(sum(e^(x - max))) of columns in two parts, by what FM_COLS_EXP_SUM_BELOW found */
FM_INLINE vec FM(log_sum)(vec count, vec below, vec below_low, vec top, vec top_low, vec *low)
{
    const vec inverse = v_div(v_set1(1), top), s = v_mul(below, inverse);
    const vec left = v_fnma(s, top_low, v_add(v_fnma(s, top, below), below_low));
    return v_log_sum_pair(count, s, v_mul(left, inverse), low);
}

/* max + the log-sum, log + *low, as the nearest number and what is left, *low */
FM_INLINE vec FM(log_sum_exp)(vec max, vec log, vec *low)
{
    const vec sum = FM(gain)(max, log, low);
    return FM(nearest)(sum, low);
}

/* The same of one panel's columns, and their maxima. */
#define FM_COLS_LOG_SUM_EXP(x, n, stride, max, lse, low)                                    \
    {                                                                                       \
        vec count[FM_PANEL_VECTORS], below[FM_PANEL_VECTORS];                               \
        v_scale scale[FM_PANEL_VECTORS];                                                    \
        FM_COLS_MAX(x, n, stride, max)                                                      \
        FM_COLS_EXP_SUM_BELOW(x, n, stride, max, scale, count, below, low, )                \
        FM_PANEL_WHOLE(j) {                                                                 \
            vec top_low;                                                                    \
            const vec top = FM(top)(max[j], scale[j], &top_low);                            \
            const vec log = FM(log_sum)(count[j], below[j], low[j], top, top_low, &low[j]); \
            lse[j] = FM(log_sum_exp)(max[j], log, &low[j]);                                 \
        }                                                                                   \
    }

static void FM(log_softmax_cols)(real *y, const real *x, size_t n, size_t stride, size_t width)
{
    FM_PANELS(width) {
        vec max[FM_PANEL_VECTORS], lse[FM_PANEL_VECTORS], low[FM_PANEL_VECTORS];
        FM_COLS_COPY(src, unused, step, x, y, n, stride)
        (void)unused;
        FM_COLS_LOG_SUM_EXP(src, n, step, max, lse, low)
        for (size_t i = 0; i < n; i++)
            FM_PANEL_EACH(PUT(y + i * stride, v_sub(v_sub(AT(src + i * step), lse[j]), low[j]));)
    }
}

static void FM(log_softmax_backward_cols)(real *dx, const real *g, const real *y, size_t n, size_t stride, size_t width)
{
    FM_PANELS(width) {
        vec sum[FM_PANEL_VECTORS];
        FM_COLS_SUM(n, sum, , , AT(g + i * stride))
        /* clang-format off */
        FM_COLS_EACH(n, const vec total = sum[j];
                     , PUT(dx + i * stride, v_fnma(v_exp(AT(y + i * stride)), total, AT(g + i * stride)));, )
        /* clang-format on */
    }
}

static void FM(logsumexp_cols)(real *lse, const real *x, size_t n, size_t stride, size_t width)
{
    FM_PANELS(width) {
        vec max[FM_PANEL_VECTORS], sum[FM_PANEL_VECTORS], low[FM_PANEL_VECTORS], nan[FM_PANEL_VECTORS];
        const vec zero = v_set1(0);
        FM_COLS_LOG_SUM_EXP(x, n, stride, max, sum, low)
        /* An infinite maximum is the result itself unless the column holds a NaN, which its sum with 0 for
         * everything else shows. */
        FM_COLS_SUM(n, nan, , const vec v = AT(x + i * stride);, v_if_eq(v, v, zero, v))
        FM_PANEL_EACH(PUT(lse, v_if_eq(v_sub(max[j], max[j]), zero, sum[j], v_add(max[j], nan[j])));)
    }
}
