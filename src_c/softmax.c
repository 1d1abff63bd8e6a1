/* Softmax, log-softmax and log-sum-exp of rows, contiguous runs of n; many short rows are in softmax_short.c, columns
 * in softmax_cols.c.
 *
 * y = E / sum(E) with E = e^x relative to a power of two near the row's largest (exp.h). A row is read three times. The
 * caller hands in blocks that stay in cache. Sums take the exponentials by their parts, before these are rounded to one
 * number, and keep what rounding takes from them, in blocks: the roundings of thousands of equal terms all go one way.
 * The reciprocal of the sum does so too. What is left is the rounding of E and of y, 1.5 ulp, and some tenths of the
 * polynomial's.
 *
 * The logarithm forms leave the terms equal to the maximum out of the sum and count them: log(count + s) keeps the
 * digits of a tiny s. Log-softmax takes max and logarithm as one number in two halves. What is done once a row (scale,
 * logarithm) is done for FM_BLOCK_ROWS rows at once, a lane each.
 *
 * Rejected: the online (one-pass) maximum, which pays an extra exponential per vector for a read from L2; e^(x - max)
 * with the difference's rounding error carried along, which costs half as much again; E in two halves in longer rows
 * and columns too, 0.6 ulp for a fifth to a third more time.
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

#define FM_RAISED ((double)(1LL << FM(FM_RAISE)))

/* power (1 + main + rest) as one number and what rounding takes from it */
FM_INLINE vec FM(joined_pair)(v_parts e, vec *low)
{
    const vec y = v_joined(e);
    *low = v_fma(e.rest, e.power, v_fma(e.main, e.power, v_sub(e.power, y)));
    return y;
}

/* A sum of exponentials, the largest among them: `sum` begins with FM_START, far above all the terms of a run, and so
 * takes the upper bits of each exactly, low what is left of its parts. After a block, low's upper bits join the sum: a
 * whole run of nearly equal entries would lose 25 ulp by low's own roundings, 46 in double. */
#define FM_EXP_RUN_ELEMENTS 4096
#define FM_EXP_BLOCK_ELEMENTS (16 * LANES)
#define FM_START v_set1((real)(768 * FM_RAISED))
typedef struct {
    vec sum, low;
} FM(exp_sum);
#define FM_NO_EXP {FM_START, v_set1(0)}

FM_ALWAYS_INLINE void FM(gather)(FM(exp_sum) *s, v_parts e, vec joined)
{
    const vec sum = v_add(s->sum, joined), left = v_sub(e.power, v_sub(sum, s->sum));
    s->low = v_add(s->low, v_fma(e.rest, e.power, v_fma(e.main, e.power, left)));
    s->sum = sum;
}

/* Without the largest the low halves may be all there is. So powers and parts have sums of their own: what is left of
 * powers is exact. */
typedef struct {
    vec powers, low, main, rest, blocks;
} FM(parts_sum);
#define FM_NO_PARTS {FM_START, v_set1(0), v_set1(0), v_set1(0), v_set1(0)}

FM_ALWAYS_INLINE void FM(gather_parts)(FM(parts_sum) *s, v_parts e)
{
    const vec powers = v_add(s->powers, e.power);
    s->low = v_add(s->low, v_sub(e.power, v_sub(powers, s->powers)));
    s->main = v_fma(e.main, e.power, s->main);
    s->rest = v_fma(e.rest, e.power, s->rest);
    s->powers = powers;
}

/* The parts of a block join those before, and what that loses stays in rest. */
FM_ALWAYS_INLINE void FM(join_parts)(FM(parts_sum) *s)
{
    const vec parts = v_add(s->main, s->rest), blocks = v_add(s->blocks, parts);
    s->rest = v_sub(parts, v_sub(blocks, s->blocks));
    s->main = v_set1(0);
    s->blocks = blocks;
}

/* The result + *low is the sum of a run. */
FM_INLINE vec FM(parts_gathered)(const FM(parts_sum) *s, vec *low)
{
    const vec parts = v_add(s->blocks, s->main);
    *low = v_add(s->rest, v_sub(s->main, v_sub(parts, s->blocks)));
    return FM(gain)(FM(gain)(v_sub(s->powers, FM_START), s->low, low), parts, low);
}

/* sum + low as the nearest number and what is left to *low, the larger of them in sum if it is not 0. */
FM_INLINE vec FM(nearest)(vec sum, vec *low)
{
    const vec total = v_add(sum, *low);
    *low = v_sub(*low, v_sub(total, sum));
    return total;
}

/* sum + low to *total and *rest, which are nothing yet at first. */
FM_INLINE void FM(add_run)(vec *total, vec *rest, vec sum, vec low, int first)
{
    if (first) {
        *total = sum;
        *rest = low;
    } else {
        *total = FM(gain)(FM(settled)(*total, rest), sum, rest);
        *rest = v_add(*rest, low);
    }
}

/* y[i] = E(x[i]); returns the sum. y may be x or NULL (nothing stored). */
FM_INLINE double FM(row_exp_sum)(real *y, const real *x, size_t n, v_scale s)
{
    vec total = v_set1(0), rest = total;
    FM(exp_sum) sum = FM_NO_EXP;
    for (size_t from = 0, to; from < n; from = to) {
        to = n - from < FM_EXP_BLOCK_ELEMENTS ? n : from + FM_EXP_BLOCK_ELEMENTS;
        size_t i = from;
        for (; i + LANES <= to; i += LANES) {
            const v_parts e = v_scaled_parts(v_load(x + i), s);
            const vec joined = v_joined(e);
            FM(gather)(&sum, e, joined);
            if (y)
                v_store(y + i, joined);
        }
        if (i < to) {
            const v_parts e = v_scaled_parts(v_load_n(x + i, to - i, -(real)INFINITY), s);
            const vec joined = v_joined(e);
            FM(gather)(&sum, e, joined);
            if (y)
                v_store_n(y + i, to - i, joined);
        }
        if (to < n && to % FM_EXP_RUN_ELEMENTS) {
            sum.sum = FM(nearest)(sum.sum, &sum.low);
            continue;
        }
        FM(add_run)(&total, &rest, v_sub(sum.sum, FM_START), sum.low, to <= FM_EXP_RUN_ELEMENTS);
        sum = (FM(exp_sum))FM_NO_EXP;
    }
    return FM(sum_lanes)(total, rest);
}

/* As row_exp_sum, but the sum is that over x < m, and *count is how many equal m. */
FM_INLINE double FM(row_exp_sum_below)(real *y, const real *x, size_t n, real m, v_scale s, double *count)
{
    const vec vm = v_set1(m), zero = v_set1(0), one = v_set1(1);
    vec total = zero, rest = zero, c = zero, low;
    double equal = 0;
    FM(parts_sum) sum = FM_NO_PARTS;
    for (size_t from = 0, to; from < n; from = to) {
        to = n - from < FM_EXP_BLOCK_ELEMENTS ? n : from + FM_EXP_BLOCK_ELEMENTS;
        for (size_t i = from; i < to; i += LANES) {
            const int whole = to - i >= LANES;
            const vec v = whole ? v_load(x + i) : v_load_n(x + i, to - i, -(real)INFINITY);
            v_parts e = v_scaled_parts(v, s);
            if (y && whole)
                v_store(y + i, v_joined(e));
            else if (y)
                v_store_n(y + i, to - i, v_joined(e));
            e.power = v_if_eq(v, vm, zero, e.power);
            c = v_add(c, v_if_eq(v, vm, one, zero));
            FM(gather_parts)(&sum, e);
        }
        if (to < n && to % FM_EXP_RUN_ELEMENTS) {
            FM(join_parts)(&sum);
            continue;
        }
        const vec whole = FM(parts_gathered)(&sum, &low);
        FM(add_run)(&total, &rest, whole, low, to <= FM_EXP_RUN_ELEMENTS);
        sum = (FM(parts_sum))FM_NO_PARTS;
        equal += v_sum(c);
        c = zero;
    }
    *count = equal;
    return FM(sum_lanes)(total, rest);
}

/* 1 / (sum + low), the sum lowered; the second half of it to *rest. */
FM_INLINE vec FM(inverse)(vec sum, vec low, vec *rest)
{
    sum = v_lowered(sum), low = v_lowered(low);
    const vec one = v_set1(1), inv = v_div(one, sum);
    *rest = v_mul(inv, v_fnma(inv, low, v_fnma(inv, sum, one)));
    return inv;
}

/* e / sum, e and sum being raised, inv and rest not: e rest is then no smaller than the last place of a normal result.
 */
FM_ALWAYS_INLINE vec FM(probability)(vec e, vec inv, vec rest) { return v_lowered(v_fma(e, inv, v_mul(e, rest))); }

/* The same of e + low, within 0.6 ulp. */
FM_INLINE vec FM(probability_pair)(vec e, vec low, vec inv, vec rest)
{
    return v_lowered(v_fma(e, inv, v_fma(e, rest, v_mul(low, inv))));
}

/* What FM_BLOCK_ROWS rows know of themselves, a lane each: the maximum and the scale of E, then E(max), how many
 * entries equal the maximum, and the sum of E over the others. An infinite maximum makes them NaN. */
typedef struct {
    /* of LANES rows where those are short, from which vectors are loaded at FM_BLOCK_ROWS too */
    real max[LANES + FM_BLOCK_ROWS], origin[LANES + FM_BLOCK_ROWS], floor[LANES + FM_BLOCK_ROWS],
        shift[LANES + FM_BLOCK_ROWS];
    double top[LANES], count[LANES], below[LANES];
    real padded[FM_BLOCK_ROWS * LANES]; /* rows of one vector, with -inf past n */
} FM(row_block);

/* How many rows of n to take together: as many as stay in the first cache. */
FM_INLINE size_t FM(block_rows)(size_t rows, size_t n)
{
    const size_t most = n <= FM_RUN_ELEMENTS ? FM_BLOCK_ROWS : 1;
    return rows < most ? rows : most;
}

/* E of the first eight lanes, as exact as its parts are. */
FM_INLINE v64 FM(scaled_wide)(vec x, v_scale s)
{
    const v_parts e = v_scaled_parts(x, s);
    const v64 power = v_wide_lo(e.power);
    return v64_fma(v64_add(v_wide_lo(e.main), v_wide_lo(e.rest)), power, power);
}

FM_INLINE void FM(block_scale)(FM(row_block) *g, const real *x, size_t rows, size_t n)
{
    for (size_t r = 0; r < LANES; r++)
        g->max[r] = 0;
    if (n <= LANES)
        for (size_t r = 0; r < rows; r++, x += n) {
            const vec v = FM(load_row)(x, 0, n);
            v_store(g->padded + r * LANES, v);
            g->max[r] = v_max_lane(v);
        }
    else
        for (size_t r = 0; r < rows; r++, x += n)
            g->max[r] = FM(row_max)(x, n);
    const vec max = v_load(g->max);
    const v_scale s = v_scale_of(max);
    v_store(g->origin, s.origin);
    v_store(g->floor, s.floor);
    v_store(g->shift, s.shift);
    v64_store(g->top, FM(scaled_wide)(max, s));
    for (size_t r = 0; r < FM_BLOCK_ROWS; r++)
        g->count[r] = 1, g->below[r] = 0;
}

FM_INLINE v_scale FM(scale_row)(const FM(row_block) *g, size_t r)
{
    return (v_scale){v_set1(g->origin[r]), v_set1(g->floor[r]), v_set1(g->shift[r])};
}

/* E of row r to y (NULL: nowhere), its sum and count to g. */
FM_INLINE void FM(block_exp)(FM(row_block) *g, size_t r, real *y, const real *x, size_t n)
{
    const v_scale s = FM(scale_row)(g, r);
    if (n <= LANES) {
        const vec v = v_load(g->padded + r * LANES), m = v_set1(g->max[r]);
        v_parts e = v_scaled_parts(v, s);
        if (y)
            FM(store_row)(y, 0, n, v_joined(e));
        e.power = v_if_eq(v, m, v_set1(0), e.power);
        g->below[r] = FM(sum_lanes)(e.power, v_fma(e.main, e.power, v_mul(e.rest, e.power)));
        g->count[r] = v_count_eq(v, m);
    } else
        g->below[r] = FM(row_exp_sum_below)(y, x, n, g->max[r], s, &g->count[r]);
}

/* log(sum(e^(x - max))) of FM_BLOCK_ROWS rows from `first` on, in the caller and apart: cross-entropy of one row loses
 * 5 % by the call. */
FM_INLINE v64 FM(log_sum_here)(const FM(row_block) *g, size_t first)
{
    const v64 count = v64_load(g->count + first), below = v64_load(g->below + first);
    return v64_log_sum(count, v64_div(below, v64_load(g->top + first)));
}
FM_APART v64 FM(block_log_sum)(const FM(row_block) *g, size_t first) { return FM(log_sum_here)(g, first); }

#define FM_TURN (16 / sizeof(real)) /* columns that are turned at once */
/* Whether rows of n are taken LANES at once, where at most so many entries pay. The baseline, built for size, takes all
 * one by one. */
#ifdef __OPTIMIZE_SIZE__
#define FM_TURNED(rows, n, most) 0
#else
#define FM_TURNED(rows, n, most) ((n) <= (most) && (rows) >= LANES)
#endif

/* Log-sum-exp of a row whose maximum is infinite, or NaN in the first place: the row shows whether a NaN stands
 * elsewhere in it. */
FM_INLINE real FM(infinite_sum)(const real *x, size_t n, real max) { return FM(row_has_nan)(x, n) ? (real)NAN : max; }

/* Of LANES rows of n <= LANES: softmax_short.c. Inlined, its room would be made for a single row too, 5 % of its time.
 */
FM_APART void FM(softmax_short)(real *y, const real *x, size_t n);
FM_APART void FM(softmax_backward_short)(real *dx, const real *g, const real *y, size_t n);
FM_APART void FM(log_softmax_short)(real *y, const real *x, size_t n);
FM_APART void FM(log_softmax_backward_short)(real *dx, const real *g, const real *y, size_t n);
FM_APART void FM(logsumexp_short)(real *lse, const real *x, size_t n);

static void FM(softmax_rows)(real *y, const real *x, size_t rows, size_t n, int stream)
{
    if (n <= LANES) { /* one vector a row, nothing stored in between */
        for (; FM_TURNED(rows, n, LANES); rows -= LANES, x += LANES * n, y += LANES * n)
            FM(softmax_short)(y, x, n);
        for (; rows; rows--, x += n, y += n) {
            const vec v = FM(load_row)(x, 0, n);
            vec low;
            const vec e = FM(joined_pair)(v_scaled_parts(v, v_scale_of(v_set1(v_max_lane(v)))), &low);
            const double inv = FM_RAISED / FM(sum_lanes)(e, low);
            FM(store_row)(y, 0, n, FM(probability_pair)(e, low, v_set1((real)inv), v_set1((real)(inv - (real)inv))));
        }
        return;
    }
    for (size_t block; rows; rows -= block) {
        FM(row_block) g;
        double sum[FM_BLOCK_ROWS];
        block = FM(block_rows)(rows, n);
        FM(block_scale)(&g, x, block, n);
        for (size_t r = 0; r < block; r++)
            sum[r] = FM(row_exp_sum)(stream ? NULL : y + r * n, x + r * n, n, FM(scale_row)(&g, r));
        for (size_t r = 0; r < block; r++, x += n, y += n) {
            const double inverse = FM_RAISED / sum[r];
            const vec inv = v_set1((real)inverse), rest = v_set1((real)(inverse - (real)inverse));
            const v_scale s = FM(scale_row)(&g, r);
            if (stream) /* a second exponential is cheaper than a second trip to memory */
                FM_ROW_STORE(y, n, 1, FM(probability)(v_scaled(AT(x), s), inv, rest))
            else
                FM_ROW_STORE(y, n, 0, FM(probability)(AT(y), inv, rest))
        }
    }
}

/* Entries up to which the gradients of LANES rows are faster turned, softmax's not below a turn. */
#define FM_SHORT_GRADIENT (sizeof(real) == 4 ? 12 : 4)

static void FM(softmax_backward_rows)(real *dx, const real *g, const real *y, size_t rows, size_t n, int stream)
{
    for (; n >= FM_TURN && FM_TURNED(rows, n, FM_SHORT_GRADIENT);
         rows -= LANES, dx += LANES * n, g += LANES * n, y += LANES * n)
        FM(softmax_backward_short)(dx, g, y, n);
    for (; rows; rows--, dx += n, g += n, y += n) {
        const vec dot = v_set1((real)FM(row_dot)(g, y, n));
        FM_ROW_STORE(dx, n, stream, v_mul(AT(y), v_sub(AT(g), dot)))
    }
}

static void FM(log_softmax_rows)(real *y, const real *x, size_t rows, size_t n, int stream)
{
    for (; FM_TURNED(rows, n, LANES); rows -= LANES, x += LANES * n, y += LANES * n)
        FM(log_softmax_short)(y, x, n);
    for (size_t block; rows; rows -= block) {
        FM(row_block) g;
        double log_sum[FM_BLOCK_ROWS];
        block = FM(block_rows)(rows, n);
        FM(block_scale)(&g, x, block, n);
        for (size_t r = 0; r < block; r++)
            FM(block_exp)(&g, r, NULL, x + r * n, n);
        v64_store(log_sum, FM(block_log_sum)(&g, 0));
        for (size_t r = 0; r < block; r++, x += n, y += n) {
            const double max = g.max[r], lse = (real)(max + log_sum[r]), part = lse - max;
            const vec high = v_set1((real)lse), low = v_set1((real)((max - (lse - part)) + (log_sum[r] - part)));
            FM_ROW_STORE(y, n, stream, v_sub(v_sub(AT(x), high), low))
        }
    }
}

static void FM(log_softmax_backward_rows)(real *dx, const real *g, const real *y, size_t rows, size_t n, int stream)
{
    for (; FM_TURNED(rows, n, FM_SHORT_GRADIENT); rows -= LANES, dx += LANES * n, g += LANES * n, y += LANES * n)
        FM(log_softmax_backward_short)(dx, g, y, n);
    for (; rows; rows--, dx += n, g += n, y += n) {
        const vec sum = v_set1((real)FM(row_sum)(g, n));
        FM_ROW_STORE(dx, n, stream, v_fnma(v_exp(AT(y)), sum, AT(g)))
    }
}

static void FM(logsumexp_rows)(real *lse, const real *x, size_t rows, size_t n)
{
    for (; FM_TURNED(rows, n, LANES); rows -= LANES, x += LANES * n, lse += LANES)
        FM(logsumexp_short)(lse, x, n);
    for (size_t block; rows; rows -= block) {
        FM(row_block) g;
        double log_sum[FM_BLOCK_ROWS];
        block = FM(block_rows)(rows, n);
        FM(block_scale)(&g, x, block, n);
        for (size_t r = 0; r < block; r++)
            FM(block_exp)(&g, r, NULL, x + r * n, n);
        v64_store(log_sum, FM(block_log_sum)(&g, 0));
        for (size_t r = 0; r < block; r++, x += n, lse++) {
            if (g.max[r] - g.max[r] == 0)
                *lse = (real)(g.max[r] + log_sum[r]);
            else
                *lse = FM(infinite_sum)(x, n, g.max[r]);
        }
    }
}
