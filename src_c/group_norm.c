/* Group normalisation: some neighbouring groups of channels in each of some samples. A group is one run of memory,
 * `channels` runs of n neighbours, each with a weight and a bias of its own; the moments are those of moments.c.
 *
 * A few groups at a time go through each pass, as the moments of a short group wait for themselves: folding lanes, a
 * root, divisions. Long runs go one by one. In short ones (room is given) most lanes would idle: there weight and bias
 * are spread over the elements, once for all samples of the call, and a group is a row as in layer_norm.c.
 */

#define BLOCK_GROUPS 16       /* groups side by side, */
#define BLOCK_ELEMENTS 4096   /* as long as they have no more elements */
#define BLOCK_SAMPLES 32      /* samples of one gradient call in short runs */
#define FETCHED_ELEMENTS 1024 /* of a group from which on the next ones are fetched */

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

/* v, while lines of g and x that are read next come nearer: memory would rest while dx is written (16x64x56x56 a sixth
 * to a quarter slower; fetched run by run instead of vector by vector, half of the gain). */
FM_INLINE vec FM(fetching)(vec v, const real *g, const real *x)
{
    __builtin_prefetch(g, 0, 2);
    __builtin_prefetch(x, 0, 2);
    return v;
}

static void FM(group_norm_backward_rows)(real *dx, double *dweight, double *dbias, const real *g, const real *x,
                                         const real *weight, const real *mean, const real *inv_std, size_t rows,
                                         size_t groups, size_t channels, size_t n, size_t dx_stride, size_t g_stride,
                                         size_t x_stride, size_t step, int stream, real *room)
{
    const size_t size = channels * n;
    memset(dweight, 0, groups * channels * sizeof(double));
    memset(dbias, 0, groups * channels * sizeof(double));
    for (size_t k = 0; room && k < groups; k++) {
        real m[BLOCK_SAMPLES], s[BLOCK_SAMPLES];
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
    for (; !room && rows; rows--, dx += dx_stride, g += g_stride, x += x_stride, mean += step, inv_std += step)
        for (size_t first = 0, count; first < groups; first += count) {
            double center[BLOCK_GROUPS], slope[BLOCK_GROUPS];
            count = FM(batch)(groups - first, size);
            const size_t ahead = size < FETCHED_ELEMENTS ? 0 : count * size;
            for (size_t k = first; k < first + count; k++) {
                double a = 0, b = 0;
                for (size_t c = k * channels; c < (k + 1) * channels; c++) {
                    const double w = weight ? weight[c] : 1;
                    double sum, dot;
                    FM(norm_sums_rows)(&sum, &dot, g + c * n, x + c * n, 1, n, n, n, mean[k], inv_std[k]);
                    dbias[c] += sum;
                    dweight[c] += dot;
                    a += w * sum;
                    b += w * dot;
                }
                center[k - first] = a;
                slope[k - first] = b;
            }
            for (size_t k = first; k < first + count; k++) {
                const vec m = v_set1(mean[k]), s = v_set1(inv_std[k]);
                const vec b = v_set1((real)(-center[k - first] / (double)size));
                const vec q = v_set1((real)(slope[k - first] / (double)size));
                for (size_t c = k * channels; c < (k + 1) * channels; c++) {
                    const vec w = v_set1(weight ? weight[c] : 1);
                    const real *gc = g + c * n, *xc = x + c * n;
                    FM_ROW_STORE(dx + c * n, n, stream,
                                 FM(fetching)(v_mul(v_fnma(v_mul(v_sub(AT(xc), m), s), q, v_fma(AT(gc), w, b)), s),
                                              gc + i_ + ahead, xc + i_ + ahead))
                }
            }
        }
}
