/* Moments of columns and of runs: a double sum and a double sum of squared deviations (m2), never E[x^2] - E[x]^2.
 *
 * A block of n (NORM_BLOCK_ROWS rows of columns, about NORM_BLOCK_ELEMENTS elements of runs) is read once, as
 * deviations from a center c, the mean of an eighth of the block itself. Then n (mean - c)^2 <= 8 m2, so m2 = sum (x
 * - c)^2 - n (mean - c)^2 loses at most a factor of nine in accuracy, sorted data included, and an eighth more than
 * nothing commonly. Blocks are joined in order in double (Chan, Golub, LeVeque, Updating formulae and a pairwise
 * algorithm for computing sample variances, 1979), NORM_SPAN_BLOCKS at a time, so that roundings do not pile up.
 *
 * Sums are those of x - origin, which all of a column's blocks know (sums.h): a mean of 1e9 costs a spread of 1e-6
 * no digit. Where squares overflow, the block is done again in double: 1e30 is a legal float. Where those of double
 * do, or vanish, `norm_far` takes the whole channel in units of a power of two. A column's arithmetic depends on the
 * rows alone, so the caller may cut the width anywhere.
 *
 * Rejected: the block's own mean first (a second read, a third slower here), and a center kept beyond a block, which
 * fails on sorted data.
 */

#define NORM_BLOCK_ROWS 64                       /* rows of a block of columns; a center is the mean of up to 8 */
#define NORM_PANEL_COLUMNS (2048 / sizeof(real)) /* and its columns */
#define NORM_BLOCK_ELEMENTS 4096                 /* elements of a block of runs, */
#define NORM_CHUNK_ELEMENTS (NORM_BLOCK_ELEMENTS / (sizeof(real) == 4 ? 1 : 4)) /* and of those of a gradient's sums */
#define NORM_SPAN_BLOCKS 64 /* blocks that are joined before they join the others */

/* The sum of squares from which on deviations from the mean may be no floats; of doubles, `norm_far` says it. */
#define NORM_LARGE (sizeof(real) == 4 ? 0x1p252 : (double)INFINITY)

/* How many of n elements lie before the first line of the cache that begins in them; 0 for short runs. */
FM_INLINE size_t FM(head)(const real *x, size_t n)
{
    return n < 8 * LANES ? 0 : (64 - ((uintptr_t)x & 63)) % 64 / sizeof(real);
}

/* A vector of coefficients as a copy whose element `head` begins a line of the cache, like the rows' elements. */
#define NORM_SPACE __attribute__((aligned(64)))
#define NORM_ROOM_ELEMENTS (NORM_PANEL_COLUMNS + LANES)
FM_INLINE real *FM(beside)(real *room, const real *v, size_t width, size_t head)
{
    real *copy = room + (LANES - head) % LANES;
    if (v)
        memcpy(copy, v, width * sizeof(real));
    return copy;
}

static void FM(moments_merge)(double *restrict sum, double *restrict m2, size_t n, const double *restrict sum_b,
                              const double *restrict m2_b, size_t n_b, size_t width)
{
    if (n == 0) {
        memcpy(sum, sum_b, width * sizeof(double));
        memcpy(m2, m2_b, width * sizeof(double));
        return;
    }
    const double inv = 1.0 / (double)n, inv_b = 1.0 / (double)n_b;
    const double joint = (double)n * (double)n_b / (double)(n + n_b);
    for (size_t c = 0; c < width; c++) {
        const double apart = sum_b[c] * inv_b - sum[c] * inv;
        m2[c] += m2_b[c] + apart * apart * joint;
        sum[c] += sum_b[c];
    }
}

/* Moments of a block from its center and the sums of deviations and squares; whether one is not finite. */
FM_INLINE int FM(block_moments)(double *restrict sum, double *restrict m2, const real *restrict center,
                                const real *restrict deviations, const real *restrict squares,
                                const double *restrict origin, size_t n, size_t width)
{
    const double count = (double)n, inv = 1.0 / count;
    int infinite = 0;
    for (size_t c = 0; c < width; c++) {
        const double d = deviations[c], q = squares[c] - d * d * inv;
        sum[c] = (center[c] - origin[c]) * count + d;
        m2[c] = q < 0 ? 0 : q;
        infinite |= !(q - q == 0);
    }
    return infinite;
}

/* Moments of `rows` runs of n in double, for values whose squares overflow; m2 is NaN where one is infinite. */
static __attribute__((noinline)) void FM(wide_moments)(double *sum, double *m2, const real *x, size_t rows, size_t n,
                                                       size_t stride, double origin)
{
    double total = 0, squares = 0;
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < n; i++)
            total += x[r * stride + i] - origin;
    *sum = total;
    *m2 = NAN;
    if (!(total - total == 0))
        return;
    const double mean = total / (double)(rows * n);
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < n; i++)
            squares += (x[r * stride + i] - origin - mean) * (x[r * stride + i] - origin - mean);
    *m2 = squares;
}

/* One step down `k` <= 8 rows of columns: deviations and squares gain those rows'; the first step finds center. */
#define NORM_ROW(k) AT(x + (k) * stride)
#define NORM_STEP(x0, x1, x2, x3, x4, x5, x6, x7)                                                 \
    const vec u0 = v_sub(x0, c), u1 = v_sub(x1, c), u2 = v_sub(x2, c), u3 = v_sub(x3, c);         \
    const vec u4 = v_sub(x4, c), u5 = v_sub(x5, c), u6 = v_sub(x6, c), u7 = v_sub(x7, c);         \
    const vec d0 = v_add(v_add(u0, u1), v_add(u2, u3)), d1 = v_add(v_add(u4, u5), v_add(u6, u7)); \
    const vec s0 = v_fma(u3, u3, v_fma(u2, u2, v_fma(u1, u1, v_mul(u0, u0))));                    \
    const vec s1 = v_fma(u7, u7, v_fma(u6, u6, v_fma(u5, u5, v_mul(u4, u4))));

FM_INLINE void FM(column_deviations)(real *center, real *deviations, real *squares, const real *x, size_t n,
                                     size_t stride, size_t width, size_t head)
{
    const vec eighth = v_set1((real)0.125), inv = v_set1((real)1 / (real)n), zero = v_set1(0);
    size_t r = 0;
    if (n >= 8) {
        FM_EACH(head, width, {
            const vec x0 = NORM_ROW(0), x1 = NORM_ROW(1), x2 = NORM_ROW(2), x3 = NORM_ROW(3);
            const vec x4 = NORM_ROW(4), x5 = NORM_ROW(5), x6 = NORM_ROW(6), x7 = NORM_ROW(7);
            const vec a = v_add(v_add(x0, x1), v_add(x2, x3)), b = v_add(v_add(x4, x5), v_add(x6, x7));
            const vec c = v_mul(v_add(a, b), eighth);
            NORM_STEP(x0, x1, x2, x3, x4, x5, x6, x7)
            PUT(center, c);
            PUT(deviations, v_add(d0, d1));
            PUT(squares, v_add(s0, s1));
        })
        for (r = 8, x += 8 * stride; r + 8 <= n; r += 8, x += 8 * stride)
            FM_EACH(head, width, {
                const vec c = AT(center);
                NORM_STEP(NORM_ROW(0), NORM_ROW(1), NORM_ROW(2), NORM_ROW(3), NORM_ROW(4), NORM_ROW(5), NORM_ROW(6),
                          NORM_ROW(7))
                PUT(deviations, v_add(AT(deviations), v_add(d0, d1)));
                PUT(squares, v_add(AT(squares), v_add(s0, s1)));
            })
    } else {
        FM_EACH(head, width, {
            vec sum = AT(x);
            for (size_t k = 1; k < n; k++)
                sum = v_add(sum, NORM_ROW(k));
            PUT(center, v_mul(sum, inv));
            PUT(deviations, zero);
            PUT(squares, zero);
        })
    }
    for (; r < n; r++, x += stride)
        FM_EACH(head, width, {
            const vec u = v_sub(AT(x), AT(center));
            PUT(deviations, v_add(AT(deviations), u));
            PUT(squares, v_fma(u, u, AT(squares)));
        })
}

static void FM(moments_cols)(double *sum, double *m2, const real *x, const double *origin, size_t n, size_t stride,
                             size_t width)
{
    NORM_SPACE real room[3][NORM_ROOM_ELEMENTS];
    double sum_b[NORM_PANEL_COLUMNS], m2_b[NORM_PANEL_COLUMNS], sum_s[NORM_PANEL_COLUMNS], m2_s[NORM_PANEL_COLUMNS];
    while (width) {
        const size_t w = width < NORM_PANEL_COLUMNS ? width : NORM_PANEL_COLUMNS,
                     head = stride % LANES ? 0 : FM(head)(x, w);
        real *center = FM(beside)(room[0], NULL, w, head), *deviations = FM(beside)(room[1], NULL, w, head);
        real *squares = FM(beside)(room[2], NULL, w, head);
        for (size_t from = 0, span = 0; from < n; from += span) {
            double *s = from ? sum_s : sum, *q = from ? m2_s : m2; /* the span's, which begins with its first block's */
            for (size_t rows = span = 0; from + span < n && span < NORM_SPAN_BLOCKS * NORM_BLOCK_ROWS; span += rows) {
                double *sb = span ? sum_b : s, *qb = span ? m2_b : q;
                const real *block = x + (from + span) * stride;
                rows = n - from - span < NORM_BLOCK_ROWS ? n - from - span : NORM_BLOCK_ROWS;
                FM(column_deviations)(center, deviations, squares, block, rows, stride, w, head);
                if (FM(block_moments)(sb, qb, center, deviations, squares, origin, rows, w))
                    for (size_t c = 0; c < w; c++)
                        if (!(qb[c] - qb[c] == 0))
                            FM(wide_moments)(sb + c, qb + c, block + c, rows, 1, stride, origin[c]);
                if (span)
                    FM(moments_merge)(s, q, span, sb, qb, rows, w);
            }
            if (from)
                FM(moments_merge)(sum, m2, from, s, q, span, w);
        }
        sum += w;
        m2 += w;
        x += w;
        origin += w;
        width -= w;
    }
}

/* A block of runs from its center, which it finds: the sums of deviations and squares. */
FM_INLINE void FM(run_deviations)(real *at, real *deviations, real *squares, const real *block, size_t runs, size_t len,
                                  size_t stride)
{
    const size_t first = (runs + 7) / 8, part = runs > 1 ? len : (len + 7) / 8; /* an eighth of it */
    const vec zero = v_set1(0);
    double total = 0;
    for (size_t r = 0; r < first; r++)
        total += FM(row_sum)(block + r * stride, part);
    const real center = (real)(total / (double)(first * part));
    const vec vc = v_set1(center);
    vec a = zero, b = zero, even = zero, odd = zero;
    for (size_t r = 0; r < runs; r++) {
        const real *run = block + r * stride;
        size_t i = 0;
        for (; i + 2 * LANES <= len; i += 2 * LANES) {
            const vec u = v_sub(v_load(run + i), vc), v = v_sub(v_load(run + i + LANES), vc);
            a = v_add(a, u);
            b = v_add(b, v);
            even = v_fma(u, u, even);
            odd = v_fma(v, v, odd);
        }
        for (; i < len; i += LANES) {
            const size_t k = len - i;
            const vec u = v_sub(k < LANES ? v_load_n(run + i, k, center) : v_load(run + i), vc);
            b = v_add(b, u);
            odd = v_fma(u, u, odd);
        }
    }
    *at = center;
    *deviations = v_sum(v_add(a, b));
    *squares = v_sum(v_add(even, odd));
}

static void FM(moments_rows)(double *sum, double *m2, const real *x, double origin, size_t rows, size_t n,
                             size_t stride)
{
    const size_t together = n < NORM_BLOCK_ELEMENTS ? NORM_BLOCK_ELEMENTS / n : 1; /* runs in a block */
    double sum_s, m2_s, sum_b, m2_b, *s = sum, *q = m2; /* the span's, which begins with its first block's */
    size_t done = 0, span = 0, blocks = 0;
    for (size_t row = 0; row < rows; row += together)
        for (size_t from = 0; from < n; from += NORM_BLOCK_ELEMENTS) {
            const size_t runs = rows - row < together ? rows - row : together;
            const size_t len = n - from < NORM_BLOCK_ELEMENTS ? n - from : NORM_BLOCK_ELEMENTS, count = runs * len;
            const real *block = x + row * stride + from;
            real center, deviations, squares;
            FM(run_deviations)(&center, &deviations, &squares, block, runs, len, stride);
            double *sb = span ? &sum_b : s, *qb = span ? &m2_b : q;
            if (FM(block_moments)(sb, qb, &center, &deviations, &squares, &origin, count, 1))
                FM(wide_moments)(sb, qb, block, runs, len, stride, origin);
            if (span)
                FM(moments_merge)(s, q, span, sb, qb, count, 1);
            span += count;
            if (++blocks == NORM_SPAN_BLOCKS || (row + runs == rows && from + len == n)) {
                if (done)
                    FM(moments_merge)(sum, m2, done, s, q, span, 1);
                done += span;
                span = blocks = 0;
                s = &sum_s;
                q = &m2_s;
            }
        }
}

/* Whether the sum of squares m2 of n doubles has overflowed or lost digits below the range, is NaN, or says so
 * (square_sum). */
FM_INLINE int FM(is_far)(double m2, double n, double eps)
{
    return sizeof(real) == 8 && !(m2 - m2 == 0 && m2 / n + eps > FM_NEAR);
}

/* sum + value of each element v in units of 1 / unit, with what rounding takes from it. */
#define NORM_FAR(sum, value)                                                         \
    {                                                                                \
        double low = 0;                                                              \
        for (size_t r = 0; r < rows; r++)                                            \
            for (size_t i = 0; i < n; i++) {                                         \
                const double v = x[r * stride + i] * unit, t = value, all = sum + t; \
                low += fabs(sum) < fabs(t) ? (t - all) + sum : (sum - all) + t;      \
                sum = all;                                                           \
            }                                                                        \
        sum += low;                                                                  \
    }

static __attribute__((noinline)) double FM(norm_far)(double *mean, double *inv_std, const real *x, size_t rows,
                                                     size_t n, size_t stride, double m2, double eps)
{
    const double count = (double)rows * (double)n, unit = m2 < 1 && m2 > -1 ? 0x1p600 : 0x1p-600;
    double sum = 0, squares = 0;
    if (mean)
        NORM_FAR(sum, v)
    sum /= count;
    NORM_FAR(squares, (v - sum) * (v - sum))
    if (!(squares - squares == 0))
        return mean ? *mean : squares;
    *inv_std = unit / sqrt(squares / count + eps * unit * unit);
    if (!mean)
        return sqrt(squares) / unit;
    *mean = sum / unit;
    return sqrt(squares) > FM_LARGEST / 4 * unit ? 0 : *mean;
}
#undef NORM_FAR
