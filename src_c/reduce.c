/* Reductions over one contiguous run, inlined into the bodies that come after; and the sums of columns. */

/* sum + x; *low gains what rounding takes from it. */
FM_INLINE vec FM(gain)(vec sum, vec x, vec *low)
{
    const vec s = v_add(sum, x), b = v_sub(s, sum);
    *low = v_add(*low, v_add(v_sub(sum, v_sub(s, b)), v_sub(x, b)));
    return s;
}

/* sum + low as the nearest number and what is left to *low, so that low gains no roundings of its own in long sums;
 * where the sum is infinite, there is nothing to move. */
FM_INLINE vec FM(settled)(vec sum, vec *low)
{
    const vec zero = v_set1(0), rest = v_if_eq(v_sub(*low, *low), zero, *low, zero);
    *low = zero;
    return FM(gain)(sum, rest, low);
}

/* The sum of sum's and low's lanes, rounded about once. */
FM_INLINE double FM(sum_lanes)(vec sum, vec low)
{
#if FM_BITS == 32
    return v64_sum(v64_add(v_folded(sum), v_folded(low)));
#else
    const double rest = v64_sum(low);
    double s[LANES], taken[LANES];
    v_store(s, sum);
    for (size_t half = LANES / 2; half; half /= 2) {
        for (size_t i = 0; i < half; i++) {
            const double t = s[i] + s[half + i], b = t - s[i];
            taken[half + i] = (s[i] - (t - b)) + (s[half + i] - b);
            s[i] = t;
        }
    }
    taken[0] = rest;
    return s[0] + v64_sum(v_load(taken));
#endif
}

FM_INLINE real FM(row_max)(const real *x, size_t n)
{
    const vec first = v_set1(x[0]);
    vec a = first, b = first;
    size_t i = 0;
    for (; i + 2 * LANES <= n; i += 2 * LANES) {
        a = v_max(v_load(x + i), a);
        b = v_max(v_load(x + i + LANES), b);
    }
    if (i + LANES <= n) {
        a = v_max(v_load(x + i), a);
        i += LANES;
    }
    if (i < n)
        b = v_max(v_load_n(x + i, n - i, x[0]), b);
    return v_max_lane(v_max(a, b));
}

FM_INLINE double FM(row_sum)(const real *x, size_t n)
{
    double total = 0;
    FM_ROW_SUM(total, n, AT(x))
    return total;
}

FM_INLINE double FM(row_dot)(const real *x, const real *y, size_t n)
{
    double total = 0;
    FM_ROW_SUM(total, n, v_mul(AT(x), AT(y)))
    return total;
}

FM_INLINE int FM(row_has_nan)(const real *x, size_t n)
{
    const vec zero = v_set1(0), one = v_set1(1);
    double total = 0;
    FM_ROW_SUM(total, n, v_if_eq(AT(x), AT(x), zero, one))
    return total != 0;
}

/* Rows added in the lanes before they go to the double total, which rounds nothing that floats see. */
#define SUM_RUN_ROWS (sizeof(real) == 4 ? 16 : 64)
static void FM(column_sums)(real *sum, const real *x, size_t n, ptrdiff_t stride, size_t width)
{
    FM_PANELS(width) {
        vec run[FM_PANEL_VECTORS];
        real lanes[FM_PANEL_VECTORS * LANES];
        double total[FM_PANEL_VECTORS * LANES] = {0};
        for (size_t from = 0; from < n; from += SUM_RUN_ROWS) {
            const size_t to = n - from < SUM_RUN_ROWS ? n : from + SUM_RUN_ROWS;
            FM_PANEL_EACH(run[j] = v_set1(0);)
            for (size_t i = from; i < to; i++)
                FM_PANEL_EACH(run[j] = v_add(run[j], AT(x + (ptrdiff_t)i * stride));)
            FM_PANEL_EACH(v_store(lanes + j * LANES, run[j]);)
            for (size_t j = 0; j < w; j++)
                total[j] += lanes[j];
        }
        for (size_t j = 0; j < w; j++)
            sum[at_ + j] = (real)total[j];
    }
}
#undef SUM_RUN_ROWS
