/* The normalising pass and its gradient, down columns and along runs; the moments are those of moments.c.
 *
 * Columns are read in whole rows, one after the other where they come from memory. A narrow panel down many rows of a
 * power-of-two stride falls into few cache sets (packed panels of one line took four times as long), and rows side by
 * side confuse the prefetcher (a quarter slower; asked for by hand 0.94 to 1.4 of the time, single rows asked for 0.96
 * to 1.19). Within reach (`near`) four rows share the loads of their coefficients (a third faster).
 */

/* y[i] = value for i < n as FM_ROW_STORE, whose stores begin on a line of the cache in long rows. */
#define NORM_ROW_STORE(y, n, stream, value) \
    if (stream)                             \
        FM_ROW_STORE(y, n, 1, value)        \
    else                                    \
        FM_EACH_APART(FM(head)(y, n), n, PUT(y, value);)

/* Four rows at once: all loads before the stores, which hold up loads from 4 KiB further on. */
#define NORM_PUT4(y, v0, v1, v2, v3)              \
    const vec y0 = v0, y1 = v1, y2 = v2, y3 = v3; \
    PUT(y, y0);                                   \
    PUT(y + stride, y1);                          \
    PUT(y + 2 * stride, y2);                      \
    PUT(y + 3 * stride, y3);

/* ---- forward ------------------------------------------------------------------------------------------ */

static void FM(norm_coefficients)(real *restrict mean, real *restrict inv_std, real *restrict center,
                                  real *restrict scale, real *restrict shift, const double *restrict exact_mean,
                                  const double *restrict m2, double n, double eps, const real *restrict weight,
                                  const real *restrict bias, size_t width)
{
    for (size_t c = 0; c < width; c++) {
        const double m = exact_mean[c], s = 1.0 / sqrt(m2[c] / n + eps), a = weight ? weight[c] * s : s;
        mean[c] = (real)m;
        inv_std[c] = (real)s;
        center[c] = m2[c] > NORM_LARGE ? 0 : mean[c];
        scale[c] = (real)a;
        shift[c] = (real)((bias ? bias[c] : 0.0) + (center[c] - m) * a);
    }
}

static void FM(norm_running)(real *restrict running, const double *restrict total, double n, double momentum,
                             size_t width)
{
    for (size_t c = 0; c < width; c++) {
        const double next = (1.0 - momentum) * running[c] + momentum * (total[c] / n);
        running[c] = __builtin_fabs(next) < FM_SMALLEST ? 0 : (real)next;
    }
}

static void FM(norm_cols)(real *y, const real *x, size_t n, size_t stride, size_t width, const real *center,
                          const real *scale, const real *shift, int near, int stream)
{
    NORM_SPACE real room[3][NORM_ROOM_ELEMENTS];
    for (size_t at = 0; at < width; at += NORM_PANEL_COLUMNS) {
        const size_t w = width - at < NORM_PANEL_COLUMNS ? width - at : NORM_PANEL_COLUMNS, head = FM(head)(y + at, w);
        const real *c = FM(beside)(room[0], center + at, w, head), *a = FM(beside)(room[1], scale + at, w, head);
        const real *b = FM(beside)(room[2], shift + at, w, head), *xr = x + at;
        real *yr = y + at;
        size_t r = 0;
#define VALUE(k) v_fma(v_sub(AT(xr + (k) * stride), cv), av, bv)
        for (; near && r + 4 <= n; r += 4, xr += 4 * stride, yr += 4 * stride)
            FM_EACH(0, w, {
                const vec cv = AT(c), av = AT(a), bv = AT(b);
                NORM_PUT4(yr, VALUE(0), VALUE(1), VALUE(2), VALUE(3))
            })
#undef VALUE
        for (; r < n; r++, xr += stride, yr += stride)
            NORM_ROW_STORE(yr, w, stream, v_fma(v_sub(AT(xr), AT(c)), AT(a), AT(b)))
    }
}

static void FM(norm_rows)(real *y, const real *x, size_t rows, size_t n, size_t stride, double center, double scale,
                          double shift, int stream)
{
    const vec c = v_set1(center), a = v_set1(scale), b = v_set1(shift);
    for (; rows; rows--, x += stride, y += stride)
        FM_ROW_STORE(y, n, stream, v_fma(v_sub(AT(x), c), a, b))
}

/* Whether runs that lie apart are asked for two rows ahead: those of rows that leave the second-level cache (0.74 to
 * 0.96 of the time; in smaller ones up to an eighth more). */
#define NORM_FETCHED(rows, stride) ((rows) * (stride) * sizeof(real) > 1 << 19)

/* ---- backward ----------------------------------------------------------------------------------------- */

static void FM(norm_sums_cols)(double *sum, double *dot, const real *g, const real *x, size_t n, size_t stride,
                               size_t x_stride, size_t width, const real *mean, const real *inv_std, int near)
{
    NORM_SPACE real room[4][NORM_ROOM_ELEMENTS];
    double sum_s[NORM_PANEL_COLUMNS], dot_s[NORM_PANEL_COLUMNS];
    const vec zero = v_set1(0);
    while (width) {
        const size_t w = width < NORM_PANEL_COLUMNS ? width : NORM_PANEL_COLUMNS,
                     head = stride % LANES ? 0 : FM(head)(g, w);
        real *sum_b = FM(beside)(room[0], NULL, w, head), *dot_b = FM(beside)(room[1], NULL, w, head);
        const real *m = FM(beside)(room[2], mean, w, head), *s = FM(beside)(room[3], inv_std, w, head);
        for (size_t c = 0; c < w; c++)
            sum[c] = dot[c] = sum_s[c] = dot_s[c] = 0;
        for (size_t from = 0; from < n; from += NORM_BLOCK_ROWS) {
            const size_t to = n - from < NORM_BLOCK_ROWS ? n : from + NORM_BLOCK_ROWS;
            FM_EACH_APART(head, w, {
                PUT(sum_b, zero);
                PUT(dot_b, zero);
            })
            size_t r = from;
#define GAIN(k)                                \
    const vec g##k = AT(g + (r + k) * stride); \
    total = v_add(total, g##k);                \
    product = v_fma(g##k, v_mul(v_sub(AT(x + (r + k) * x_stride), mv), sv), product)
            for (; near && r + 4 <= to; r += 4)
                FM_EACH_APART(head, w, {
                    const vec mv = AT(m), sv = AT(s);
                    vec total = AT(sum_b), product = AT(dot_b);
                    GAIN(0);
                    GAIN(1);
                    GAIN(2);
                    GAIN(3);
                    PUT(sum_b, total);
                    PUT(dot_b, product);
                })
#undef GAIN
            for (; r < to; r++)
                FM_EACH_APART(head, w, {
                    const vec g0 = AT(g + r * stride);
                    const vec xhat = v_mul(v_sub(AT(x + r * x_stride), AT(m)), AT(s));
                    PUT(sum_b, v_add(AT(sum_b), g0));
                    PUT(dot_b, v_fma(g0, xhat, AT(dot_b)));
                })
            for (size_t c = 0; c < w; c++) {
                sum_s[c] += sum_b[c];
                dot_s[c] += dot_b[c];
            }
            if (to == n || to % (NORM_SPAN_BLOCKS * NORM_BLOCK_ROWS) == 0)
                for (size_t c = 0; c < w; c++) {
                    sum[c] += sum_s[c];
                    dot[c] += dot_s[c];
                    sum_s[c] = dot_s[c] = 0;
                }
        }
        sum += w, dot += w, g += w, x += w, mean += w, inv_std += w, width -= w;
    }
}

static void FM(norm_sums_rows)(double *sum, double *dot, const real *g, const real *x, size_t rows, size_t n,
                               size_t stride, size_t x_stride, double mean, double inv_std)
{
    const size_t together = n < NORM_CHUNK_ELEMENTS ? NORM_CHUNK_ELEMENTS / n : 1;
    const vec m = v_set1(mean), s = v_set1(inv_std), zero = v_set1(0);
    const int fetched = NORM_FETCHED(rows, stride);
    fm_tally sums = {0, 0}, dots = sums;
    for (size_t row = 0; row < rows; row += together)
        for (size_t from = 0; from < n; from += NORM_CHUNK_ELEMENTS) {
            const size_t runs = rows - row < together ? rows - row : together;
            const size_t len = n - from < NORM_CHUNK_ELEMENTS ? n - from : NORM_CHUNK_ELEMENTS;
            vec a = zero, b = zero, p = zero, q = zero;
            for (size_t r = row; r < row + runs; r++) {
                const real *gr = g + r * stride + from, *xr = x + r * x_stride + from;
                size_t i = 0;
                for (; i + 2 * LANES <= len; i += 2 * LANES) {
                    const vec g0 = v_load(gr + i), g1 = v_load(gr + i + LANES);
                    if (fetched) {
                        __builtin_prefetch(gr + 2 * stride + i);
                        __builtin_prefetch(gr + 2 * stride + i + LANES);
                        __builtin_prefetch(xr + 2 * x_stride + i);
                        __builtin_prefetch(xr + 2 * x_stride + i + LANES);
                    }
                    a = v_add(a, g0);
                    b = v_add(b, g1);
                    p = v_fma(g0, v_mul(v_sub(v_load(xr + i), m), s), p);
                    q = v_fma(g1, v_mul(v_sub(v_load(xr + i + LANES), m), s), q);
                }
                for (; i < len; i += LANES) {
                    const size_t k = len - i;
                    const vec g0 = k < LANES ? v_load_n(gr + i, k, 0) : v_load(gr + i);
                    const vec x0 = k < LANES ? v_load_n(xr + i, k, mean) : v_load(xr + i);
                    a = v_add(a, g0);
                    p = v_fma(g0, v_mul(v_sub(x0, m), s), p);
                }
            }
            fm_tally_add(&sums, v_sum(v_add(a, b)));
            fm_tally_add(&dots, v_sum(v_add(p, q)));
        }
    *sum = fm_tally_sum(&sums);
    *dot = fm_tally_sum(&dots);
}

static void FM(norm_backward_coefficients)(real *restrict dweight, real *restrict dbias, real *restrict scale,
                                           real *restrict shift, real *restrict center, real *restrict slope,
                                           const double *restrict sum, const double *restrict dot, double n,
                                           const real *restrict weight, const real *restrict inv_std, size_t width)
{
    for (size_t c = 0; c < width; c++) {
        const double s = inv_std[c], a = weight ? weight[c] * s : s, m = sum[c] / n;
        dweight[c] = (real)dot[c];
        dbias[c] = (real)sum[c];
        scale[c] = (real)a;
        center[c] = (real)m;
        shift[c] = (real)((center[c] - m) * a);
        slope[c] = (real)(dot[c] / n);
    }
}

/* ((g - center) - xhat slope) scale + shift */
#define NORM_DX(g, x, m, s, c, q, a, b) v_fma(v_fnma(v_mul(v_sub(x, m), s), q, v_sub(g, c)), a, b)

static void FM(norm_backward_cols)(real *dx, const real *g, const real *x, size_t n, size_t stride, size_t x_stride,
                                   size_t width, const real *mean, const real *inv_std, const real *center,
                                   const real *slope, const real *scale, const real *shift, int near, int stream)
{
    NORM_SPACE real room[6][NORM_ROOM_ELEMENTS];
    for (size_t at = 0; at < width; at += NORM_PANEL_COLUMNS) {
        const size_t w = width - at < NORM_PANEL_COLUMNS ? width - at : NORM_PANEL_COLUMNS, head = FM(head)(dx + at, w);
        const real *m = FM(beside)(room[0], mean + at, w, head), *s = FM(beside)(room[1], inv_std + at, w, head);
        const real *c = FM(beside)(room[2], center + at, w, head), *q = FM(beside)(room[3], slope + at, w, head);
        const real *a = FM(beside)(room[4], scale + at, w, head), *b = FM(beside)(room[5], shift + at, w, head);
        const real *gr = g + at, *xr = x + at;
        real *dr = dx + at;
        size_t r = 0;
#define VALUE(k) NORM_DX(AT(gr + (k) * stride), AT(xr + (k) * x_stride), mv, sv, cv, qv, av, bv)
        for (; near && r + 4 <= n; r += 4, dr += 4 * stride, gr += 4 * stride, xr += 4 * x_stride)
            FM_EACH(0, w, {
                const vec mv = AT(m), sv = AT(s), cv = AT(c), qv = AT(q), av = AT(a), bv = AT(b);
                NORM_PUT4(dr, VALUE(0), VALUE(1), VALUE(2), VALUE(3))
            })
#undef VALUE
        for (; r < n; r++, dr += stride, gr += stride, xr += x_stride)
            NORM_ROW_STORE(dr, w, stream, NORM_DX(AT(gr), AT(xr), AT(m), AT(s), AT(c), AT(q), AT(a), AT(b)))
    }
}

/* v, while a line that is needed later comes nearer. */
FM_INLINE vec FM(fetching)(vec v, const real *later)
{
    __builtin_prefetch(later);
    return v;
}

static void FM(norm_backward_rows)(real *dx, const real *g, const real *x, size_t rows, size_t n, size_t stride,
                                   size_t x_stride, double mean, double inv_std, double center, double slope,
                                   double scale, double shift, int stream)
{
    const vec m = v_set1(mean), s = v_set1(inv_std), c = v_set1(center), q = v_set1(slope);
    const vec a = v_set1(scale), b = v_set1(shift);
    const real *next = stream ? x + 2 * x_stride : dx + 2 * stride;
    const size_t step = stream ? x_stride : stride;
    if (NORM_FETCHED(rows, stride))
        for (; rows; rows--, dx += stride, g += stride, x += x_stride, next += step)
            NORM_ROW_STORE(dx, n, stream, FM(fetching)(NORM_DX(AT(g), AT(x), m, s, c, q, a, b), next + i_))
    else
        for (; rows; rows--, dx += stride, g += stride, x += x_stride)
            FM_ROW_STORE(dx, n, stream, NORM_DX(AT(g), AT(x), m, s, c, q, a, b))
}
