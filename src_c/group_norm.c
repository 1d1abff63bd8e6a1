/* Group normalisation: some neighbouring groups of channels in each of some samples. A group is one run of memory,
 * `channels` runs of n neighbours, each with a weight and a bias of its own; the moments are those of moments.c.
 *
 * A few groups at a time go through each pass, as the moments of a short group wait for themselves: folding lanes, a
 * root, divisions. Long runs go one by one. In short ones (room is given) most lanes would idle: there weight and bias
 * are spread over the elements, once for all samples of the call, and a group is a row as in layer_norm.c.
 *
 * The gradient asks in both passes for what is read or written next, so that memory never rests: in the sums' pass for
 * the next groups' g and for dx's lines, which are about to be written, in the other for the next groups' x. With two
 * short runs' sums at once, half as many groups side by side and whole lines written: 32x256x14x14 0.77 of the time,
 * 16x64x56x56 0.78. Rejected: two runs of 784 or more at once (a tenth slower: twice the streams); the next groups
 * fetched no nearer than the second-level cache (up to 0.12 of it lost).
 */

#define BLOCK_GROUPS 16                    /* groups side by side, */
#define BLOCK_ELEMENTS 4096                /* as long as they have no more elements */
#define BLOCK_SAMPLES 32                   /* samples of one gradient call in short runs */
#define FETCHED_ELEMENTS 1024              /* of groups side by side from which on the next ones are fetched */
#define GROUP_RUNS (FM_PARTS == 1 ? 2 : 1) /* short runs summed at once: in more parts too many for registers */
#define LONG_ELEMENTS 512                  /* of a run from which on folding its lanes is little beside it */
#define GROUP_EACH(k, n) _Pragma("GCC unroll 4") for (size_t k = 0; k < (n); k++)
/* What was loaded is in registers: gcc would load g for each of its uses (a fifth slower). */
#define GROUP_LOADED __asm__ volatile("" ::: "memory")

/* v of each channel (NULL: `value`) for each of its n elements. */
static const real *FM(spread)(real *room, const real *v, real value, size_t channels, size_t n)
{
    if (v && n == 1)
        return v;
    for (size_t c = 0; c < channels; c++)
        FM_EACH(0, n, PUT(room + c * n, v_set1(v ? v[c] : value));)
    return room;
}

FM_INLINE size_t FM(batch)(size_t groups, size_t size)
{
    const size_t near = size < BLOCK_ELEMENTS ? BLOCK_ELEMENTS / size : 1,
                 most = near < BLOCK_GROUPS ? near : BLOCK_GROUPS;
    return groups < most ? groups : most;
}

static void FM(group_norm_rows)(real *y, real *mean, real *inv_std, const real *x, const real *weight, const real *bias,
                                size_t rows, size_t groups, size_t channels, size_t n, size_t y_stride, size_t x_stride,
                                size_t step, double eps, int stream, real *room)
{
    const size_t size = channels * n;
    const int plain = !weight && !bias, wide = !plain && room;
    if (plain) { /* one run */
        n = size;
        channels = 1;
    }
    if (wide) {
        weight = FM(spread)(room, weight, 1, groups * channels, n);
        bias = FM(spread)(room + groups * size, bias, 0, groups * channels, n);
    }
    for (; rows; rows--, y += y_stride, x += x_stride, mean += step, inv_std += step)
        for (size_t first = 0, count; first < groups; first += count) {
            double s[BLOCK_GROUPS], b[BLOCK_GROUPS], origin[BLOCK_GROUPS];
            real center[BLOCK_GROUPS];
            count = FM(batch)(groups - first, size);
            for (size_t k = 0; k < count; k++) {
                const real *xk = x + (first + k) * size;
                origin[k] = fm_origin(xk[0], xk[size / 2], xk[size - 1]);
                FM(moments_rows)(s + k, b + k, xk, origin[k], 1, size, size);
            }
            for (size_t k = 0; k < count; k++) {
                const real *xk = x + (first + k) * size;
                double m = origin[k] + s[k] / (double)size;
                s[k] = 1.0 / sqrt(b[k] / (double)size + eps);
                center[k] = b[k] > NORM_LARGE ? 0 : (real)m;
                if (FM(is_far)(b[k], (double)size, eps))
                    center[k] = (real)FM(norm_far)(&m, s + k, xk, 1, size, size, b[k], eps);
                mean[first + k] = (real)m;
                inv_std[first + k] = (real)s[k];
                b[k] = (center[k] - m) * s[k];
            }
            for (size_t k = first; k < first + count; k++) {
                const double sk = s[k - first], bk = b[k - first];
                const real *xk = x + k * size;
                real *yk = y + k * size;
                if (wide) {
                    const vec c = v_set1(center[k - first]), a = v_set1((real)sk), h = v_set1((real)bk);
                    const real *wk = weight + k * size, *hk = bias + k * size;
                    NORM_ROW_STORE(yk, size, stream, v_fma(v_fma(v_sub(AT(xk), c), a, h), AT(wk), AT(hk)))
                    continue;
                }
                for (size_t c = 0; c < channels; c++) {
                    const double w = weight ? weight[k * channels + c] : 1;
                    FM(norm_rows)(yk + c * n, xk + c * n, 1, n, n, center[k - first], (real)(w * sk),
                                  (real)((bias ? bias[k * channels + c] : 0) + w * bk), stream);
                }
            }
        }
}

/* The sums of g and of g xhat in `runs` neighbouring runs of n, as norm_sums_rows adds one. Meanwhile `later` and
 * `too`, as long as they, come nearer. */
FM_INLINE void FM(group_sums)(double *sum, double *dot, const real *g, const real *x, size_t runs, size_t n,
                              const real *mean, const real *inv_std, const real *later, const real *too)
{
    const vec zero = v_set1(0);
    fm_tally sums[GROUP_RUNS] = {{0}}, dots[GROUP_RUNS] = {{0}};
    for (size_t from = 0; from < n; from += NORM_CHUNK_ELEMENTS) {
        const size_t to = n - from < NORM_CHUNK_ELEMENTS ? n : from + NORM_CHUNK_ELEMENTS;
        vec m[GROUP_RUNS], s[GROUP_RUNS], a[2 * GROUP_RUNS], p[2 * GROUP_RUNS];
        size_t i_ = from;
        GROUP_EACH(r, runs)
        {
            m[r] = v_set1(mean[r]), s[r] = v_set1(inv_std[r]);
            a[2 * r] = a[2 * r + 1] = p[2 * r] = p[2 * r + 1] = zero;
        }
        for (; i_ + 2 * LANES <= to; i_ += 2 * LANES)
            GROUP_EACH(k, 2 * runs)
            {
                const size_t r = k / 2, i = r * n + i_ + k % 2 * LANES;
                const vec gk = v_load(g + i);
                GROUP_LOADED;
                __builtin_prefetch(later + i);
                __builtin_prefetch(too + i);
                a[k] = v_add(a[k], gk);
                p[k] = v_fma(gk, v_mul(v_sub(v_load(x + i), m[r]), s[r]), p[k]);
            }
        for (; i_ < to; i_ += LANES)
            GROUP_EACH(r, runs)
            {
                const size_t k_ = to - i_;
                const vec gr = AT(g + r * n);
                const vec xr = k_ < LANES ? v_load_n(x + r * n + i_, k_, mean[r]) : v_load(x + r * n + i_);
                a[2 * r] = v_add(a[2 * r], gr);
                p[2 * r] = v_fma(gr, v_mul(v_sub(xr, m[r]), s[r]), p[2 * r]);
            }
        GROUP_EACH(r, runs)
        {
            const double total = v_sum(v_add(a[2 * r], a[2 * r + 1])), product = v_sum(v_add(p[2 * r], p[2 * r + 1]));
            if (to == n) {
                sum[r] = fm_tally_last(sums + r, total, from);
                dot[r] = fm_tally_last(dots + r, product, from);
            } else {
                fm_tally_add(sums + r, total);
                fm_tally_add(dots + r, product);
            }
        }
    }
}

/* The gradient of groups of short runs, each sample's a row. */
static void FM(group_norm_backward_short)(real *dx, double *dweight, double *dbias, const real *g, const real *x,
                                          const real *weight, const real *mean, const real *inv_std, size_t rows,
                                          size_t groups, size_t channels, size_t n, size_t dx_stride, size_t g_stride,
                                          size_t x_stride, size_t step, int stream, real *room)
{
    const size_t size = channels * n;
    real m[BLOCK_SAMPLES], s[BLOCK_SAMPLES];
    for (size_t k = 0; k < groups; k++) {
        const real *w = weight ? FM(spread)(room + 2 * size, weight + k * channels, 1, channels, n) : NULL;
        for (size_t r = 0; r < rows; r++) {
            m[r] = mean[r * step + k];
            s[r] = inv_std[r * step + k];
        }
        FM(layer_norm_backward_rows)(dx + k * size, room, room + size, g + k * size, x + k * size, w, m, s, rows, size,
                                     dx_stride, g_stride, x_stride, stream);
        for (size_t c = 0; c < channels; c++) {
            dweight[k * channels + c] = n == 1 ? room[c] : FM(row_sum)(room + c * n, n);
            dbias[k * channels + c] = n == 1 ? room[size + c] : FM(row_sum)(room + size + c * n, n);
        }
    }
}

/* center and slope (sums over a group of w g and of w g xhat) of `count` groups of long runs, whose channels' sums
 * dbias and dweight gain. later, too: see group_sums. */
FM_INLINE void FM(group_gains)(double *center, double *slope, double *dweight, double *dbias, const real *g,
                               const real *x, const real *weight, const real *mean, const real *inv_std, size_t count,
                               size_t channels, size_t n, const real *later, const real *too)
{
    const size_t end = count * channels;
    for (size_t k = 0; k < count; k++)
        center[k] = slope[k] = 0;
    for (size_t c = 0, runs, group = 0, next = channels; c < end; c += runs) {
        for (; c >= next; next += channels)
            group++;
        runs = n >= LONG_ELEMENTS || end - c < GROUP_RUNS ? 1 : GROUP_RUNS;
        const size_t k[2] = {group, group + (c + runs > next)}, i = c * n;
        const real m[2] = {mean[k[0]], mean[k[1]]}, s[2] = {inv_std[k[0]], inv_std[k[1]]};
        double sum[2] = {0}, dot[2] = {0};
        if (runs == 1)
            FM(group_sums)(sum, dot, g + i, x + i, 1, n, m, s, later + i, too + i);
        else
            FM(group_sums)(sum, dot, g + i, x + i, GROUP_RUNS, n, m, s, later + i, too + i);
        for (size_t r = 0; r < runs; r++) {
            const double w = weight ? weight[c + r] : 1;
            dbias[c + r] += sum[r];
            dweight[c + r] += dot[r];
            center[k[r]] += w * sum[r];
            slope[k[r]] += w * dot[r];
        }
    }
}

static void FM(group_norm_backward_rows)(real *dx, double *dweight, double *dbias, const real *g, const real *x,
                                         const real *weight, const real *mean, const real *inv_std, size_t rows,
                                         size_t groups, size_t channels, size_t n, size_t dx_stride, size_t g_stride,
                                         size_t x_stride, size_t step, int stream, real *room)
{
    const size_t size = channels * n;
    if (room) {
        FM(group_norm_backward_short)(dx, dweight, dbias, g, x, weight, mean, inv_std, rows, groups, channels, n,
                                      dx_stride, g_stride, x_stride, step, stream, room);
        return;
    }
    const int past = stream && n >= 8 * LANES;
    memset(dweight, 0, groups * channels * sizeof(double));
    memset(dbias, 0, groups * channels * sizeof(double));
    for (; rows; rows--, dx += dx_stride, g += g_stride, x += x_stride, mean += step, inv_std += step)
        for (size_t first = 0, count; first < groups; first += count) {
            double center[BLOCK_GROUPS], slope[BLOCK_GROUPS];
            count = FM(batch)(groups - first, 2 * size); /* of three arrays half as many */
            const size_t ahead = count * size < FETCHED_ELEMENTS ? 0 : count * size, c0 = first * channels, i = c0 * n;
            FM(group_gains)(center, slope, dweight + c0, dbias + c0, g + i, x + i, weight ? weight + c0 : NULL,
                            mean + first, inv_std + first, count, channels, n, g + i + ahead,
                            past ? x + i + ahead : dx + i);
            for (size_t k = first; k < first + count; k++) {
                const vec m = v_set1(mean[k]), s = v_set1(inv_std[k]);
                const vec b = v_set1((real)(-center[k - first] / (double)size));
                const vec q = v_set1((real)(slope[k - first] / (double)size));
                for (size_t c = k * channels; c < (k + 1) * channels; c++) {
                    const vec w = v_set1(weight ? weight[c] : 1);
                    const real *gc = g + c * n, *xc = x + c * n;
                    FM_EACH(FM(head)(dx + c * n, n), n, {
                        const vec gv = AT(gc), xv = AT(xc);
                        const vec v = v_mul(v_fnma(v_mul(v_sub(xv, m), s), q, v_fma(gv, w, b)), s);
                        __builtin_prefetch(xc + ahead + i_);
                        if (k_ == LANES && past)
                            v_stream(dx + c * n + i_, v);
                        else
                            PUT(dx + c * n, v);
                    })
                }
            }
        }
    if (past)
        fm_stream_end();
}
