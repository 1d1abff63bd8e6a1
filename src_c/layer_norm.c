/* Layer and RMS normalisation, row by row while the row is in the first cache; the moments are those of moments.c. RMS
 * norm is layer norm about 0: without a mean.
 *
 * Short rows share their roots and quotients, LANES rows at a time (256 rows of 32: 6.4 to 3.9 us), and rows of no more
 * than a vector are turned, so that a row is a lane and a sum of lanes one of vectors (1000 rows of 10: 22 to 7.4 us).
 * A row that is not finite, or leaves the range of its squares, sends its neighbours the way of long rows, one by one.
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

#define LAYER_BLOCK_BYTES 1024 /* of a row up to which LANES share their arithmetic in double */

#define LAYER_PUT(y, value)        \
    if (k_ == LANES && past)       \
        v_stream((y) + i_, value); \
    else                           \
        PUT(y, value);

#ifndef __OPTIMIZE_SIZE__
/* room: LANES rows of n <= LANES, filled with zeros; turned: the same so that a row is a lane. */
FM_INLINE void FM(layer_turn)(real *turned, real *room, const real *x, size_t n, size_t stride)
{
    for (size_t r = 0; r < LANES; r++, x += stride)
        v_store(room + r * LANES, n < LANES ? v_load_n(x, n, 0) : v_load(x));
    for (size_t j = 0; j < n; j += v_square)
        for (size_t r = 0; r < LANES; r += v_square)
            v_transpose(turned + j * LANES + r, LANES, room + r * LANES + j, LANES);
}

/* What is known of LANES rows, a lane each. */
typedef struct {
    real first[LANES], middle[LANES], last[LANES], center[LANES], deviations[LANES], squares[LANES], shift[LANES];
} FM(layer_block);

/* The sum of n <= LANES vectors as v_sum adds lanes. */
FM_INLINE vec FM(layer_fold)(vec *v, size_t n)
{
    for (size_t half = LANES / 2; half; half /= 2)
        for (size_t i = 0; i < half && i + half < n; i++)
            v[i] = v_add(v[i], v[i + half]);
    return v[0];
}

/* The sums of LANES rows of n <= LANES as run_deviations adds them, turned so that a row is a lane. */
static void FM(layer_short_sums)(FM(layer_block) *b, const real *x, size_t n, size_t stride)
{
    NORM_SPACE real room[LANES * LANES], turned[LANES * LANES] = {0};
    vec u[LANES], squares[LANES];
    const vec zero = v_set1(0);
    FM(layer_turn)(turned, room, x, n, stride);
    vec center = v_add(v_load(turned), zero);
    if (n > 8)
        center = v_mul(v_add(center, v_add(v_load(turned + LANES), zero)), v_set1(0.5));
    for (size_t i = 0; i < n; i++) {
        u[i] = v_add(v_sub(v_load(turned + i * LANES), center), zero);
        squares[i] = v_mul(u[i], u[i]);
    }
    v_store(b->center, center);
    v_store(b->deviations, FM(layer_fold)(u, n));
    v_store(b->squares, FM(layer_fold)(squares, n));
    memcpy(b->first, turned, sizeof b->first);
    memcpy(b->middle, turned + n / 2 * LANES, sizeof b->middle);
    memcpy(b->last, turned + (n - 1) * LANES, sizeof b->last);
}

/* mean, inv_std, center and shift of LANES rows: their roots and quotients at once. Whether no row needs more care. */
static int FM(layer_lines)(FM(layer_block) *b, real *mean, real *inv_std, const real *x, size_t n, size_t stride,
                           double eps)
{
    double origin[LANES] = {0}, sum[LANES] = {0}, m2[LANES];
    int far = 0;
    if (!mean)
        for (size_t k = 0; k < LANES; k++)
            m2[k] = FM(square_sum)(x + k * stride, n);
    else {
        if (n <= LANES)
            FM(layer_short_sums)(b, x, n, stride);
        else
            for (size_t k = 0; k < LANES; k++, x += stride) {
                b->first[k] = x[0], b->middle[k] = x[n / 2], b->last[k] = x[n - 1];
                FM(run_deviations)(b->center + k, b->deviations + k, b->squares + k, x, 1, n, n);
            }
        for (size_t k = 0; k < LANES; k++)
            origin[k] = fm_origin(b->first[k], b->middle[k], b->last[k]);
        if (FM(block_moments)(sum, m2, b->center, b->deviations, b->squares, origin, n, LANES))
            return 0;
    }
    for (size_t k = 0; k < LANES; k++) {
        const double variance = m2[k] / (double)n + eps, m = origin[k] + sum[k] / (double)n, s = 1.0 / sqrt(variance);
        far |= sizeof(real) == 4 ? m2[k] > NORM_LARGE : !(m2[k] - m2[k] == 0 && variance > FM_NEAR);
        b->center[k] = (real)m;
        inv_std[k] = (real)s;
        b->shift[k] = (real)((b->center[k] - m) * s);
    }
    if (mean)
        memcpy(mean, b->center, sizeof b->center);
    return !far;
}

static void FM(layer_short_results)(real *y, const FM(layer_block) *b, const real *inv_std, const real *x,
                                    const real *weight, const real *bias, size_t n, size_t y_stride, size_t x_stride)
{
    const size_t k_ = n, i_ = 0;
    const vec w = weight ? AT(weight) : v_set1(1), h = bias ? AT(bias) : v_set1(0);
    for (size_t k = 0; k < LANES; k++, y += y_stride, x += x_stride) {
        const vec c = v_set1(b->center[k]), a = v_set1(inv_std[k]), shift = v_set1(b->shift[k]);
        PUT(y, v_fma(v_fma(v_sub(AT(x), c), a, shift), w, h));
    }
}
#endif

static void FM(layer_norm_rows)(real *y, real *mean, real *inv_std, const real *x, const real *weight, const real *bias,
                                size_t rows, size_t n, size_t y_stride, size_t x_stride, double eps, int stream)
{
    const vec one = v_set1(1), zero = v_set1(0);
#ifndef __OPTIMIZE_SIZE__
    NORM_SPACE FM(layer_block) block;
    int known = 0; /* the lines of the LANES rows from a multiple of LANES on */
#endif
    for (size_t r = 0; r < rows; r++, y += y_stride, x += x_stride) {
        double m = 0, m2, s;
        real middle, shift;
#ifndef __OPTIMIZE_SIZE__
        if (r % LANES == 0)
            known = n <= LAYER_BLOCK_BYTES / sizeof(real) && rows - r >= LANES &&
                    FM(layer_lines)(&block, mean ? mean + r : NULL, inv_std + r, x, n, x_stride, eps);
        if (known && n <= LANES) {
            FM(layer_short_results)(y, &block, inv_std + r, x, weight, bias, n, y_stride, x_stride);
            r += LANES - 1, y += (LANES - 1) * y_stride, x += (LANES - 1) * x_stride;
            continue;
        }
        if (known) {
            middle = block.center[r % LANES];
            shift = block.shift[r % LANES];
        } else
#endif
        {
            if (mean) {
                const double origin = fm_origin(x[0], x[n / 2], x[n - 1]);
                FM(moments_rows)(&m, &m2, x, origin, 1, n, n);
                m = origin + m / (double)n;
            } else
                m2 = FM(square_sum)(x, n);
            s = 1.0 / sqrt(m2 / (double)n + eps);
            middle = m2 > NORM_LARGE ? 0 : (real)m;
            if (FM(is_far)(m2, (double)n, eps))
                middle = (real)FM(norm_far)(mean ? &m : NULL, &s, x, 1, n, n, m2, eps);
            if (!mean)
                middle = 0;
            if (mean)
                mean[r] = (real)m;
            inv_std[r] = (real)s;
            shift = (real)((middle - m) * s);
        }
        const vec c = v_set1(middle), a = v_set1(inv_std[r]), b = v_set1(shift);
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

#ifndef __OPTIMIZE_SIZE__
/* The gradient of the first rows, LANES of n <= LANES at a time: how many it did. */
static size_t FM(layer_norm_backward_short)(real *dx, real *dweight, real *dbias, const real *g, const real *x,
                                            const real *weight, const real *mean, const real *inv_std, size_t rows,
                                            size_t n, size_t dx_stride, size_t g_stride, size_t x_stride)
{
    NORM_SPACE real gs[LANES * LANES], xs[LANES * LANES], turned_g[LANES * LANES] = {0}, turned_x[LANES * LANES] = {0};
    real center[LANES], slope[LANES];
    vec u[LANES], p[LANES];
    const vec one = v_set1(1), zero = v_set1(0);
    const size_t k_ = n, i_ = 0;
    const vec w = weight ? AT(weight) : one;
    vec total = zero, product = zero;
    size_t r = 0;
    for (; r + LANES <= rows; r += LANES, g += LANES * g_stride, x += LANES * x_stride) {
        FM(layer_turn)(turned_g, gs, g, n, g_stride);
        FM(layer_turn)(turned_x, xs, x, n, x_stride);
        const vec ms = mean ? v_load(mean + r) : zero, ss = v_load(inv_std + r);
        for (size_t i = 0; i < n; i++) {
            const vec v = v_mul(v_load(turned_g + i * LANES), v_set1(weight ? weight[i] : 1));
            p[i] = v_add(v_mul(v, v_mul(v_sub(v_load(turned_x + i * LANES), ms), ss)), zero);
            u[i] = v_add(v, zero);
        }
        v_store(center, FM(layer_fold)(u, n));
        v_store(slope, FM(layer_fold)(p, n));
        for (size_t k = 0; k < LANES; k++) {
            center[k] = mean ? (real)(center[k] / (double)n) : 0;
            slope[k] = (real)(slope[k] / (double)n);
        }
        for (size_t k = 0; k < LANES; k++, dx += dx_stride) {
            const vec gk = v_load(gs + k * LANES), s = v_set1(inv_std[r + k]);
            const vec h = v_mul(v_sub(v_load(xs + k * LANES), mean ? v_set1(mean[r + k]) : zero), s);
            product = v_fma(gk, h, product);
            total = v_add(total, gk);
            PUT(dx, v_mul(v_fnma(h, v_set1(slope[k]), v_sub(v_mul(gk, w), v_set1(center[k]))), s));
        }
    }
    PUT(dweight, product);
    PUT(dbias, total);
    return r;
}
#endif

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
    size_t r = 0;
#ifndef __OPTIMIZE_SIZE__
    if (n <= LANES && rows >= LANES) {
        r = FM(layer_norm_backward_short)(dx, dweight, dbias, g, x, weight, mean, inv_std, rows, n, dx_stride, g_stride,
                                          x_stride);
        dx += r * dx_stride, g += r * g_stride, x += r * x_stride;
    }
#endif
    for (size_t count; r < rows; r += count) {
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
