/* Softmax's family for rows of at most one vector, LANES of them at once, turned into columns: a vector has one entry
 * of LANES rows. A row alone costs a fold of its lanes and a chain of scalars; LANES rows share them here. The
 * operations are those of softmax.c, in its order, and so the bits are those of a row alone.
 *
 * Rejected: rows of zeros beside those that do not fill a vector (a call of one row of 10 takes half as much again);
 * floats in pairs for the sums, which gain at most 7 % and have other bits; softmax's gradient of 13 entries and more
 * (of 16 a tenth slower than row by row); helpers inlined everywhere (110 KB).
 */

typedef struct {
    vec x[LANES];
    real room[LANES * LANES + LANES]; /* of rows narrower than a turn */
} FM(short_rows);

/* LANES rows of n at x as columns c. */
FM_APART void FM(turn_in)(FM(short_rows) *s, vec *c, const real *x, size_t n)
{
    if (n < FM_TURN) { /* a row would reach into what comes after the block */
        vec wide[FM_TURN];
        for (size_t i = 0; i < n; i++)
            v_store(s->room + i * LANES, v_load(x + i * LANES));
        v_columns(wide, s->room, n);
        c[0] = wide[0];
        for (size_t i = 1; i < n; i++)
            c[i] = wide[i];
        return;
    }
    for (size_t i = 0; i + FM_TURN <= n; i += FM_TURN)
        v_columns(c + i, x + i, n);
    if (n % FM_TURN)
        v_columns(c + n - FM_TURN, x + n - FM_TURN, n);
}

/* And back to y. */
FM_APART void FM(turn_out)(FM(short_rows) *s, real *y, const vec *c, size_t n)
{
    if (n < FM_TURN) {
        vec wide[FM_TURN];
        for (size_t i = 0; i < FM_TURN; i++)
            wide[i] = c[i < n ? i : 0];
        v_rows(s->room, n, wide);
        for (size_t i = 0; i < n; i++)
            v_store(y + i * LANES, v_load(s->room + i * LANES));
        return;
    }
    for (size_t i = 0; i + FM_TURN <= n; i += FM_TURN)
        v_rows(y + i, n, c + i);
    if (n % FM_TURN)
        v_rows(y + n - FM_TURN, n, c + n - FM_TURN);
}

FM_INLINE vec FM(max_of)(const vec *x, size_t n)
{
    vec max = x[0];
    for (size_t i = 1; i < n; i++)
        max = v_max(x[i], max);
    return max;
}

/* v_sum of n entries a lane. */
FM_APART vec FM(sum_of)(const vec *x, size_t n)
{
    vec part[LANES / 2];
    for (size_t i = 0; i < LANES / 2; i++)
        part[i] = i + LANES / 2 < n ? v_add(x[i], x[i + LANES / 2]) : i < n ? v_add(x[i], v_set1(0)) : v_set1(0);
    for (size_t half = LANES / 4; half; half /= 2)
        for (size_t i = 0; i < half; i++)
            part[i] = v_add(part[i], part[i + half]);
    return v_add(part[0], v_set1(0)); /* no -0, as a row has none */
}

FM_INLINE void FM(store_wide)(double *to, vec a)
{
#if FM_BITS == 32
    v64_store(to + 8, v32_wide_hi(a));
#endif
    v64_store(to, v_wide_lo(a));
}

/* sum_lanes of n entries a lane, LANES rows. */
FM_APART void FM(lane_sums)(double *to, const vec *sum, const vec *low, size_t n)
{
    v64 part[8];
#if FM_BITS == 32
#define FM_HALF(wide, to)                                                                \
    for (size_t i = 0; i < 8; i++) {                                                     \
        v64 s = v64_set1(0), l = s;                                                      \
        if (i < n)                                                                       \
            s = wide(sum[i]), l = wide(low[i]);                                          \
        if (i + 8 < n)                                                                   \
            s = v64_add(s, wide(sum[i + 8])), l = v64_add(l, wide(low[i + 8]));          \
        part[i] = v64_add(s, l);                                                         \
    }                                                                                    \
    v64_store(to, v64_add(v64_add(v64_add(part[0], part[4]), v64_add(part[2], part[6])), \
                          v64_add(v64_add(part[1], part[5]), v64_add(part[3], part[7]))));
    FM_HALF(v32_wide_lo, to)
    FM_HALF(v32_wide_hi, to + 8)
#undef FM_HALF
#else
    v64 taken[8];
    for (size_t i = 0; i < 8; i++)
        part[i] = i < n ? sum[i] : v64_set1(0);
    for (size_t half = 4; half; half /= 2)
        for (size_t i = 0; i < half; i++) {
            taken[half + i] = v64_set1(0);
            part[i] = FM(gain)(part[i], part[half + i], &taken[half + i]);
        }
    taken[0] = FM(sum_of)(low, n);
    v64_store(to, v64_add(part[0], FM(sum_of)(taken, 8)));
#endif
}

/* power (1 + main + rest) of LANES rows, as exact as the parts are */
FM_INLINE void FM(store_parts)(double *to, v_parts e)
{
#if FM_BITS == 32
    const v64 high = v32_wide_hi(e.power);
    v64_store(to + 8, v64_fma(v64_add(v32_wide_hi(e.main), v32_wide_hi(e.rest)), high, high));
#endif
    const v64 power = v_wide_lo(e.power);
    v64_store(to, v64_fma(v64_add(v_wide_lo(e.main), v_wide_lo(e.rest)), power, power));
}

/* LANES doubles as the nearest numbers, and what is left of them to *rest. */
FM_INLINE vec FM(split)(const double *from, vec *rest)
{
#if FM_BITS == 32
    const v64 lo = v64_load(from), hi = v64_load(from + 8);
    const vec whole = v32_narrow(lo, hi);
    *rest = v32_narrow(v64_sub(lo, v32_wide_lo(whole)), v64_sub(hi, v32_wide_hi(whole)));
    return whole;
#else
    *rest = v_set1(0);
    return v_load(from);
#endif
}

/* x + y as the nearest number, and what is left to *low. */
FM_INLINE vec FM(sum_split)(vec x, const double *y, vec *low)
{
#if FM_BITS == 32
    const v64 x0 = v32_wide_lo(x), x1 = v32_wide_hi(x), y0 = v64_load(y), y1 = v64_load(y + 8);
    const vec sum = v32_narrow(v64_add(x0, y0), v64_add(x1, y1));
    const v64 s0 = v32_wide_lo(sum), s1 = v32_wide_hi(sum), part0 = v64_sub(s0, x0), part1 = v64_sub(s1, x1);
    *low = v32_narrow(v64_add(v64_sub(x0, v64_sub(s0, part0)), v64_sub(y0, part0)),
                      v64_add(v64_sub(x1, v64_sub(s1, part1)), v64_sub(y1, part1)));
    return sum;
#else
    const vec z = v_load(y), sum = v_add(x, z), part = v_sub(sum, x);
    *low = v_add(v_sub(x, v_sub(sum, part)), v_sub(z, part));
    return sum;
#endif
}

/* What block_scale and block_exp find, of LANES rows; E itself to e unless that is NULL (it may be x). */
FM_APART void FM(short_exp)(FM(row_block) *g, vec *e, const vec *x, size_t n)
{
    const vec max = FM(max_of)(x, n), zero = v_set1(0), one = v_set1(1);
    const v_scale s = v_scale_of(max);
    vec power[LANES], left[LANES], count = zero;
    for (size_t i = 0; i < n; i++) {
        const vec v = x[i];
        const v_parts p = v_scaled_parts(v, s);
        if (e)
            e[i] = v_joined(p);
        count = v_add(count, v_if_eq(v, max, one, zero));
        power[i] = v_if_eq(v, max, zero, p.power);
        left[i] = v_fma(p.main, power[i], v_mul(p.rest, power[i]));
    }
    v_store(g->max, max);
    v_store(g->origin, s.origin);
    v_store(g->floor, s.floor);
    v_store(g->shift, s.shift);
    FM(store_parts)(g->top, v_scaled_parts(max, s));
    FM(store_wide)(g->count, count);
    FM(lane_sums)(g->below, power, left, n);
}

/* log(sum(e^(x - max))) of LANES rows */
FM_INLINE void FM(short_log_sum)(double *log_sum, const FM(row_block) *g)
{
    for (size_t h = 0; h < LANES; h += FM_BLOCK_ROWS)
        v64_store(log_sum + h, FM(block_log_sum)(g, h));
}

static void FM(softmax_short)(real *y, const real *x, size_t n)
{
    FM(short_rows) s;
    vec low[LANES], rest;
    double sum[LANES];
    FM(turn_in)(&s, s.x, x, n);
    const v_scale scale = v_scale_of(FM(max_of)(s.x, n));
    for (size_t i = 0; i < n; i++)
        s.x[i] = FM(joined_pair)(v_scaled_parts(s.x[i], scale), &low[i]);
    FM(lane_sums)(sum, s.x, low, n);
    for (size_t h = 0; h < LANES; h += FM_BLOCK_ROWS)
        v64_store(sum + h, v64_div(v64_set1(FM_RAISED), v64_load(sum + h)));
    const vec inv = FM(split)(sum, &rest);
    for (size_t i = 0; i < n; i++)
        s.x[i] = FM(probability_pair)(s.x[i], low[i], inv, rest);
    FM(turn_out)(&s, y, s.x, n);
}

static void FM(softmax_backward_short)(real *dx, const real *g, const real *y, size_t n)
{
    FM(short_rows) s;
    vec grad[LANES], product[LANES];
    FM(turn_in)(&s, grad, g, n);
    FM(turn_in)(&s, s.x, y, n);
    for (size_t i = 0; i < n; i++)
        product[i] = v_mul(grad[i], s.x[i]);
    const vec dot = FM(sum_of)(product, n);
    for (size_t i = 0; i < n; i++)
        s.x[i] = v_mul(s.x[i], v_sub(grad[i], dot));
    FM(turn_out)(&s, dx, s.x, n);
}

/* s, g (OUT): the rows turned, and what is known of them. The log of the sum of e^x, and in low what rounding took from
 * it. */
FM_INLINE vec FM(short_logsumexp)(FM(short_rows) *s, FM(row_block) *g, vec *low, const real *x, size_t n)
{
    double log_sum[LANES];
    FM(turn_in)(s, s->x, x, n);
    FM(short_exp)(g, NULL, s->x, n);
    FM(short_log_sum)(log_sum, g);
    return FM(sum_split)(v_load(g->max), log_sum, low);
}

static void FM(log_softmax_short)(real *y, const real *x, size_t n)
{
    FM(short_rows) s;
    FM(row_block) g;
    vec low;
    const vec lse = FM(short_logsumexp)(&s, &g, &low, x, n);
    for (size_t i = 0; i < n; i++)
        s.x[i] = v_sub(v_sub(s.x[i], lse), low);
    FM(turn_out)(&s, y, s.x, n);
}

static void FM(log_softmax_backward_short)(real *dx, const real *g, const real *y, size_t n)
{
    FM(short_rows) s;
    vec grad[LANES];
    FM(turn_in)(&s, grad, g, n);
    FM(turn_in)(&s, s.x, y, n);
    const vec sum = FM(sum_of)(grad, n);
    for (size_t i = 0; i < n; i++)
        s.x[i] = v_fnma(v_exp(s.x[i]), sum, grad[i]);
    FM(turn_out)(&s, dx, s.x, n);
}

static void FM(logsumexp_short)(real *lse, const real *x, size_t n)
{
    FM(short_rows) s;
    FM(row_block) g;
    vec low;
    v_store(lse, FM(short_logsumexp)(&s, &g, &low, x, n));
    const vec max = v_load(g.max);
    if (v_count_eq(v_sub(max, max), v_set1(0)) < (int)LANES)
        for (size_t r = 0; r < LANES; r++)
            if (g.max[r] - g.max[r] != 0)
                lse[r] = FM(infinite_sum)(x + r * n, n, g.max[r]);
}
