/* Scaling of features: extremes of columns, and elements taken to a new scale and back.
 *
 * Matrices of a few columns are the common case, and rows of 20 floats fill no vector. So elements are scaled as one
 * run with a table of coefficients that repeats every `period` elements, unaligned loads from the first cache, and
 * callers look at several rows as one where they gather (g rows of w columns are one row of g w columns).
 * Quotients are quotients: x / max |x| is to be 1 exactly, and memory takes longer than the divisions.
 * Infinity and NaN are noticed by x 0, one multiply-add in passing.
 */

static void FM(widen_rows)(double *y, const real *x, size_t rows, size_t n, size_t stride)
{
    for (; rows; rows--, x += stride, y += n)
        for (size_t i_ = 0; i_ < n; i_ += LANES) {
            const size_t k_ = n - i_ < LANES ? n - i_ : LANES;
            const vec v = AT(x);
#if FM_BITS == 32
            if (k_ >= 8)
                v64_store(y + i_, v32_wide_lo(v));
            else
                v64_store_n(y + i_, k_, v32_wide_lo(v));
            if (k_ == 16)
                v64_store(y + i_ + 8, v32_wide_hi(v));
            else if (k_ > 8)
                v64_store_n(y + i_ + 8, k_ - 8, v32_wide_hi(v));
#else
            PUT(y, v);
#endif
        }
}

static void FM(extremes_cols)(real *low, real *high, const real *x, size_t n, size_t stride, size_t width)
{
    FM_PANELS(width)
    {
        vec lo[FM_PANEL], hi[FM_PANEL];
        FM_PANEL_EACH(lo[j] = v_set1(INFINITY); hi[j] = v_set1(-INFINITY);)
        FM_COLS_EACH(n, vec a = lo[j]; vec b = hi[j];, const vec v = AT(x + i * stride); a = v_min(v, a);
                     b = v_max(v, b);, lo[j] = a; hi[j] = b;)
        FM_PANEL_EACH(PUT(low, lo[j]); PUT(high, hi[j]);)
    }
}

/* One vector of a run: its place in the table is at; lanes past k are anything. */
FM_INLINE vec FM(rescaled)(const real *table, size_t period, size_t at, vec v, vec low, vec high, int undo)
{
    const real *center = table + at, *rest = center + period + LANES, *scale = rest + period + LANES;
    if (undo)
        v = v_fma(v, v_load(scale), v_load(center));
    else
        v = v_div(v_sub(v_sub(v, v_load(center)), v_load(rest)), v_load(scale));
    return v_min(high, v_max(low, v));
}

static int FM(scale_elements)(real *y, const real *x, size_t n, const real *table, size_t period, real low, real high,
                              int undo, int stream)
{
    const size_t step = LANES % period, head = (64 - ((uintptr_t)y & 63)) % 64 / sizeof(real);
    const vec zero = v_set1(0), lo = v_set1(low), hi = v_set1(high);
    vec bad = zero;
    size_t at = 0, i_ = 0;
#define SCALE_PART(k)                                                                                        \
    {                                                                                                        \
        const size_t k_ = k;                                                                                 \
        const vec v = AT(x);                                                                                 \
        bad = v_fma(v, zero, bad);                                                                           \
        PUT(y, FM(rescaled)(table, period, at, v, lo, hi, undo));                                              \
        i_ += k_;                                                                                            \
        at = i_ % period;                                                                                    \
    }
    if (head && head < n)
        SCALE_PART(head)
    for (; i_ + LANES <= n; i_ += LANES) {
        const vec v = v_load(x + i_), r = FM(rescaled)(table, period, at, v, lo, hi, undo);
        bad = v_fma(v, zero, bad);
        if (stream)
            v_stream(y + i_, r);
        else
            v_store(y + i_, r);
        at += step;
        if (at >= period)
            at -= period;
    }
    if (i_ < n)
        SCALE_PART(n - i_)
#undef SCALE_PART
    if (stream)
        fm_stream_end();
    return !(v_sum(bad) == 0);
}

static int FM(normalize_rows)(real *y, const real *x, size_t rows, size_t n, int norm, real least, int stream)
{
    const vec zero = v_set1(0);
    vec bad = zero;
    for (; rows; rows--, x += n) {
        vec most = zero;
        v64 sum = v64_set1(0);
        for (size_t i_ = 0; i_ < n; i_ += LANES) {
            const size_t k_ = n - i_ < LANES ? n - i_ : LANES;
            const vec v = AT(x), size = v_max(v, v_sub(zero, v));
            bad = v_fma(v, zero, bad);
            most = v_max(size, most);
            sum = v64_add(sum, v_folded(size));
        }
        real length = (real)(norm == 1 ? v64_sum(sum) : norm == 2 ? sqrt(FM(square_sum)(x, n)) : v_max_lane(most));
        const vec scale = v_set1(length < least ? 1 : length);
        if (y) {
            FM_ROW_STORE(y, n, stream, v_div(AT(x), scale))
            y += n;
        }
    }
    return !(v_sum(bad) == 0);
}
