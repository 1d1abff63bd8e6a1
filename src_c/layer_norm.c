/* Layer and RMS normalisation, row by row while the row is in the first cache; the moments are those of moments.c. RMS
 * norm is layer norm about 0: without a mean.
 *
 * The gradient goes over a few rows at a time: first each row's two sums, then dx together with the rows' share of
 * dweight and dbias, which so are loaded and stored once for them all. Every column adds its rows in their order, so
 * the grouping shows in no bit. Four short rows stay in the first cache; of long ones two are better, because rows a
 * multiple of 4 KiB apart compete for the same lines. Where dx goes past the caches, g and x come from memory: rows
 * ahead are fetched all the time, g's in the first pass and x's in the second, or memory would rest in one of them (a
 * quarter slower); and the ends of dx's rows, lines that a store past the caches does not fill, are asked for early.
 * Rejected: panels of columns down the rows with dweight and dbias in registers (stores of one row hold up loads of the
 * next, 4 KiB on; a third slower at 1024 columns).
 */

#define LAYER_SHORT_BYTES 2048  /* bytes of a row up to which four are taken at once */
#define LAYER_NEAR_BYTES 65536  /* beyond which the second pass would not find two of them in cache */
#define LAYER_AHEAD_BYTES 16384 /* up to which four are fetched ahead */

#define LAYER_PUT(y, value)        \
    if (k_ == LANES && past)       \
        v_stream((y) + i_, value); \
    else                           \
        PUT(y, value);

static void FM(layer_norm_rows)(real *y, real *mean, real *inv_std, const real *x, const real *weight, const real *bias,
                                size_t rows, size_t n, size_t y_stride, size_t x_stride, double eps, int stream)
{
    const vec one = v_set1(1), zero = v_set1(0);
    for (size_t r = 0; r < rows; r++, y += y_stride, x += x_stride) {
        double m = 0, m2;
        if (mean) {
            const double origin = fm_origin(x[0], x[n / 2], x[n - 1]);
            FM(moments_rows)(&m, &m2, x, origin, 1, n, n);
            m = origin + m / (double)n;
        } else
            m2 = FM(square_sum)(x, n);
        double s = 1.0 / sqrt(m2 / (double)n + eps);
        real middle = m2 > NORM_LARGE ? 0 : (real)m;
        if (FM(is_far)(m2, (double)n, eps))
            middle = (real)FM(norm_far)(mean ? &m : NULL, &s, x, 1, n, n, m2, eps);
        if (!mean)
            middle = 0;
        if (mean)
            mean[r] = (real)m;
        inv_std[r] = (real)s;
        const vec c = v_set1(middle), a = v_set1(inv_std[r]), b = v_set1((real)((middle - m) * s));
        const int past = stream && n >= 8 * LANES;
        if (weight)
            FM_EACH(FM(head)(y, n), n, {
                const vec value = v_fma(v_fma(v_sub(AT(x), c), a, b), AT(weight), bias ? AT(bias) : zero);
                LAYER_PUT(y, value)
            })
        else
            FM_EACH(FM(head)(y, n), n, {
                const vec value = v_fma(v_fma(v_sub(AT(x), c), a, b), one, bias ? AT(bias) : zero);
                LAYER_PUT(y, value)
            })
    }
    if (stream)
        fm_stream_end();
}

/* The means of g w and of g w xhat in one row; g `ahead` elements on is fetched. */
FM_INLINE void FM(layer_norm_means)(vec *center, vec *slope, const real *g, const real *x, const real *weight, vec m,
                                    vec s, size_t n, size_t ahead)
{
    const vec one = v_set1(1), zero = v_set1(0);
    fm_tally sums = {0, 0}, dots = sums;
    double sum = 0, dot = 0;
    for (size_t from = 0; from < n; from += FM_RUN_ELEMENTS) {
        const size_t to = n - from < FM_RUN_ELEMENTS ? n : from + FM_RUN_ELEMENTS;
        vec a = zero, b = zero, p = zero, q = zero;
        size_t i = from;
        for (; i + 2 * LANES <= to; i += 2 * LANES) {
            const vec g0 = v_load(g + i), g1 = v_load(g + i + LANES);
            if (ahead) {
                __builtin_prefetch(g + i + ahead, 0, 2);
                __builtin_prefetch(g + i + LANES + ahead, 0, 2);
            }
            const vec u = weight ? v_mul(g0, v_load(weight + i)) : g0;
            const vec v = weight ? v_mul(g1, v_load(weight + i + LANES)) : g1;
            a = v_add(a, u);
            b = v_add(b, v);
            p = v_fma(u, v_mul(v_sub(v_load(x + i), m), s), p);
            q = v_fma(v, v_mul(v_sub(v_load(x + i + LANES), m), s), q);
        }
        for (; i < to; i += LANES) {
            const size_t i_ = i, k_ = to - i < LANES ? to - i : LANES;
            const vec u = v_mul(AT(g), weight ? AT(weight) : one);
            a = v_add(a, u);
            p = v_add(p, v_keep_n(v_mul(u, v_mul(v_sub(AT(x), m), s)), k_));
        }
        sum = v_sum(v_add(a, b));
        dot = v_sum(v_add(p, q));
        if (n > FM_RUN_ELEMENTS) {
            fm_tally_add(&sums, sum);
            fm_tally_add(&dots, dot);
        }
    }
    if (n > FM_RUN_ELEMENTS) {
        sum = fm_tally_sum(&sums);
        dot = fm_tally_sum(&dots);
    }
    *center = v_set1((real)(sum / (double)n));
    *slope = v_set1((real)(dot / (double)n));
}

/* Long because one, two and four rows at a time share its macros. */
static void FM(layer_norm_backward_rows)(real *dx, real *dweight, real *dbias, const real *g, const real *x,
                                         const real *weight, const real *mean, const real *inv_std, size_t rows,
                                         size_t n, size_t dx_stride, size_t g_stride, size_t x_stride, int stream)
{
    const vec one = v_set1(1), zero = v_set1(0);
    /* Only rows that begin alike have their lines at the same columns. */
    const int past = stream && n >= 8 * LANES && dx_stride % LANES == 0;
    const size_t bytes = n * sizeof(real), most = bytes > LAYER_NEAR_BYTES            ? 1
                                                  : bytes > LAYER_SHORT_BYTES || past ? 2
                                                                                      : 4;
    const size_t ahead = bytes > LAYER_AHEAD_BYTES ? most : 4, head = FM(head)(dx, n);
    vec m[4], s[4], c[4], q[4];
    memset(dweight, 0, n * sizeof(real));
    memset(dbias, 0, n * sizeof(real));
    for (size_t r = 0, count; r < rows; r += count) {
        count = rows - r < most ? 1 : most;
        for (size_t k = 0; k < count; k++) {
            real *d = dx + k * dx_stride;
            if (past) {
                __builtin_prefetch(d, 1);
                __builtin_prefetch(d + n - 1, 1);
            }
            m[k] = mean ? v_set1(mean[r + k]) : zero;
            s[k] = v_set1(inv_std[r + k]);
            FM(layer_norm_means)(c + k, q + k, g + k * g_stride, x + k * x_stride, weight, m[k], s[k], n,
                                 past ? ahead * g_stride : 0);
            if (!mean)
                c[k] = zero;
        }
        /* clang-format off */
#define LAYER_ROW(k)                                                                                         \
    const vec g##k = AT(g + (k) * g_stride), h##k = v_mul(v_sub(AT(x + (k) * x_stride), m[k]), s[k]);        \
    product = v_fma(g##k, h##k, product);                                                                    \
    const vec d##k = v_mul(v_fnma(h##k, q[k], v_sub(v_mul(g##k, w), c[k])), s[k]);
/* After the stores, which g may not outlive in memory alone: gcc would load it for each of its three uses. */
#define LAYER_TOTAL(k) total = v_add(total, g##k);
#define LAYER_FAR(k)                                                                                         \
    v_stream(dx + (k) * dx_stride + i_, d##k);                                                               \
    __builtin_prefetch(x + ((k) + ahead) * x_stride + i_, 0, 2);
#define LAYER_STORE(k) PUT(dx + (k) * dx_stride, d##k);
#define LAYER_COLUMNS(EACH_ROW, far)                                                                         \
    FM_EACH(head, n, const vec w = weight ? AT(weight) : one; vec total = AT(dbias), product = AT(dweight); \
               EACH_ROW(LAYER_ROW)                                                                           \
               if (k_ == LANES && far) {                                                                     \
                   EACH_ROW(LAYER_FAR)                                                                       \
               } else {                                                                                      \
                   EACH_ROW(LAYER_STORE)                                                                     \
               }                                                                                             \
               EACH_ROW(LAYER_TOTAL) PUT(dbias, total); PUT(dweight, product);)
#define LAYER_1(DO) DO(0)
#define LAYER_2(DO) DO(0) DO(1)
#define LAYER_4(DO) DO(0) DO(1) DO(2) DO(3)
        /* clang-format on */
        if (count == 1)
            LAYER_COLUMNS(LAYER_1, past)
        else if (count == 2)
            LAYER_COLUMNS(LAYER_2, past)
        else
            LAYER_COLUMNS(LAYER_4, 0)
#undef LAYER_4
#undef LAYER_2
#undef LAYER_1
#undef LAYER_COLUMNS
#undef LAYER_STORE
#undef LAYER_FAR
#undef LAYER_TOTAL
#undef LAYER_ROW
        dx += count * dx_stride;
        g += count * g_stride;
        x += count * x_stride;
    }
    if (past)
        fm_stream_end();
}

static void FM(sums_gain)(double *restrict total, const real *restrict part, size_t n)
{
    for (size_t i = 0; i < n; i++)
        total[i] += part[i];
}

static void FM(sums_join)(real *restrict sum, const double *restrict totals, size_t count, size_t stride, size_t width)
{
    double joint[64];
    for (size_t at = 0; at < width; at += 64) {
        const size_t w = width - at < 64 ? width - at : 64;
        memcpy(joint, totals + at, w * sizeof(double));
        for (size_t k = 1; k < count; k++)
            for (size_t j = 0; j < w; j++)
                joint[j] += totals[k * stride + at + j];
        for (size_t j = 0; j < w; j++)
            sum[at + j] = (real)joint[j];
    }
}
