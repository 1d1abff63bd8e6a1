/* Layer normalisation, row by row while the row is in the first cache; the moments are norm.c's.
 *
 * The gradient goes over four rows at a time: first each row's two sums, then dx together with the rows' share of
 * dweight and dbias, which so are loaded and stored once for four rows. Every column adds its rows in their order,
 * so the grouping shows in no bit.
 */

#define LAYER_ROWS 4
#define LAYER_NEAR 65536 /* bytes of a row beyond which the second pass would not find four of them in cache */

static void FM(layer_norm_rows)(real *y, real *mean, real *inv_std, const real *x, const real *weight,
                                const real *bias, size_t rows, size_t n, size_t y_stride, size_t x_stride,
                                double eps, int stream)
{
    const vec one = v_set1(1), zero = v_set1(0);
    for (size_t r = 0; r < rows; r++, y += y_stride, x += x_stride) {
        double sum, m2;
        FM(moments_rows)(&sum, &m2, x, 1, n, n);
        const double m = sum / (double)n, s = 1.0 / sqrt(m2 / (double)n + eps);
        mean[r] = (real)m;
        inv_std[r] = (real)s;
        const vec c = v_set1(mean[r]), a = v_set1(inv_std[r]), b = v_set1((real)((mean[r] - m) * s));
        if (weight && bias)
            NORM_ROW_STORE(y, n, stream, v_fma(v_fma(v_sub(AT(x), c), a, b), AT(weight), AT(bias)))
        else
            NORM_EACH(0, n, const vec xhat = v_fma(v_sub(AT(x), c), a, b);
                      PUT(y, v_fma(xhat, weight ? AT(weight) : one, bias ? AT(bias) : zero));)
    }
}

/* The means of g w and of g w xhat in one row. */
FM_INLINE void FM(layer_norm_means)(vec *center, vec *slope, const real *g, const real *x, const real *weight,
                                    vec m, vec s, size_t n)
{
    const vec one = v_set1(1), zero = v_set1(0);
    double sum = 0, dot = 0;
    for (size_t from = 0; from < n; from += FM_RUN) {
        const size_t to = n - from < FM_RUN ? n : from + FM_RUN;
        vec a = zero, b = zero, p = zero, q = zero;
        size_t i = from;
        for (; i + 2 * LANES <= to; i += 2 * LANES) {
            const vec g0 = v_load(g + i), g1 = v_load(g + i + LANES);
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
        sum += v_sum(v_add(a, b));
        dot += v_sum(v_add(p, q));
    }
    *center = v_set1((real)(sum / (double)n));
    *slope = v_set1((real)(dot / (double)n));
}

static void FM(layer_norm_backward_rows)(real *dx, real *dweight, real *dbias, const real *g, const real *x,
                                         const real *weight, const real *mean, const real *inv_std, size_t rows,
                                         size_t n, size_t dx_stride, size_t g_stride, size_t x_stride,
                                         int stream)
{
    const vec one = v_set1(1);
    /* Only rows that begin alike have their lines at the same columns. */
    const int past = stream && n >= 8 * LANES && dx_stride % LANES == 0;
    vec m[LAYER_ROWS], s[LAYER_ROWS], c[LAYER_ROWS], q[LAYER_ROWS];
    memset(dweight, 0, n * sizeof(real));
    memset(dbias, 0, n * sizeof(real));
    for (size_t r = 0, count; r < rows; r += count) {
        count = rows - r < LAYER_ROWS || n * sizeof(real) > LAYER_NEAR ? 1 : LAYER_ROWS;
        for (size_t k = 0; k < count; k++) {
            m[k] = v_set1(mean[r + k]);
            s[k] = v_set1(inv_std[r + k]);
            FM(layer_norm_means)(c + k, q + k, g + k * g_stride, x + k * x_stride, weight, m[k], s[k], n);
        }
#define LAYER_ROW(k)                                                                                         \
    const vec g##k = AT(g + (k) * g_stride), h##k = v_mul(v_sub(AT(x + (k) * x_stride), m[k]), s[k]);        \
    total = v_add(total, g##k);                                                                              \
    product = v_fma(g##k, h##k, product);                                                                    \
    const vec d##k = v_mul(v_fnma(h##k, q[k], v_sub(v_mul(g##k, w), c[k])), s[k]);
#define LAYER_PUT(y, value)                                                                                  \
    if (k_ == LANES && past)                                                                                 \
        v_stream((y) + i_, value);                                                                           \
    else                                                                                                     \
        PUT(y, value);
#define LAYER_COLUMNS(...)                                                                                   \
    NORM_EACH(FM(head)(dx, n), n, const vec w = weight ? AT(weight) : one;                                   \
              vec total = AT(dbias), product = AT(dweight); __VA_ARGS__ PUT(dbias, total); PUT(dweight, product);)
        if (count == 1)
            LAYER_COLUMNS(LAYER_ROW(0) LAYER_PUT(dx, d0))
        else
            LAYER_COLUMNS(LAYER_ROW(0) LAYER_ROW(1) LAYER_ROW(2) LAYER_ROW(3) LAYER_PUT(dx, d0)
                          LAYER_PUT(dx + dx_stride, d1) LAYER_PUT(dx + 2 * dx_stride, d2)
                          LAYER_PUT(dx + 3 * dx_stride, d3))
#undef LAYER_COLUMNS
#undef LAYER_PUT
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

static void FM(sums_join)(real *restrict sum, const double *restrict totals, size_t count, size_t stride,
                          size_t width)
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
