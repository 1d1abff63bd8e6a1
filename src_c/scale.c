/* Scaling of features: extremes of columns, and elements taken to a new scale and back.
 *
 * Matrices of a few columns are the common case, and rows of 20 floats fill no vector. So elements are scaled as one
 * run with a table of coefficients that repeats every `period` elements, unaligned loads from the first cache, and
 * callers look at several rows as one where they gather (g rows of w columns are one row of g w columns).
 * Quotients are quotients: x / max |x| is to be 1 exactly, and memory takes longer than the divisions.
 * Infinity and NaN are noticed by x 0, one multiply-add in passing, and in rows by their sums.
 */

#define SCALE_BLOCK_ROWS 64      /* rows of columns that stay in the first cache */
#define SCALE_CHUNK_ELEMENTS 512 /* elements of a row that are added before they join the rest */

/* The first k lanes of v as double. */
FM_INLINE void FM(widen)(double *y, size_t k, vec v)
{
#if FM_BITS == 32
    const v64 lo = v32_wide_lo(v), hi = v32_wide_hi(v);
    if (k >= 16) {
        v64_store(y, lo);
        v64_store(y + 8, hi);
    } else if (k >= 8) {
        v64_store(y, lo);
        v64_store_n(y + 8, k - 8, hi);
    } else
        v64_store_n(y, k, lo);
#else
    const size_t i_ = 0, k_ = k;
    PUT(y, v);
#endif
}

static void FM(widen_rows)(double *y, const real *x, size_t rows, size_t n, size_t stride)
{
    for (; rows; rows--, x += stride, y += n)
        FM_VECTORS(n)
            FM(widen)(y + i_, k_, AT(x));
}

static void FM(extremes_cols)(real *low, real *high, const real *x, size_t n, size_t stride, size_t width)
{
    FM_VECTORS(width) {
        PUT(low, v_set1(INFINITY));
        PUT(high, v_set1(-INFINITY));
    }
    for (size_t rows; n; n -= rows, x += rows * stride) {
        rows = n < SCALE_BLOCK_ROWS ? n : SCALE_BLOCK_ROWS;
        FM_VECTORS(width) {
            vec a = AT(low), b = AT(high);
            for (size_t r = 0; r < rows; r++) {
                const vec v = AT(x + r * stride);
                a = v_min(v, a);
                b = v_max(v, b);
            }
            PUT(low, a);
            PUT(high, b);
        }
    }
}

static int FM(scale_elements)(real *y, const real *x, size_t n, const real *table, size_t period, double low,
                              double high, int undo, int stream)
{
    const size_t step = LANES % period, head = (64 - ((uintptr_t)y & 63)) % 64 / sizeof(real);
    const vec zero = v_set1(0), lo = v_set1(low), hi = v_set1(high);
    vec bad = zero;
    for (size_t i_ = 0, at = 0, k_ = head ? head : LANES; i_ < n; i_ += k_, k_ = LANES) {
        const real *center = table + at, *rest = center + period + LANES, *scale = rest + period + LANES;
        if (n - i_ < k_)
            k_ = n - i_;
        const vec v = AT(x);
        vec r = undo ? v_fma(v, v_load(scale), v_load(center))
                     : v_div(v_sub(v_sub(v, v_load(center)), v_load(rest)), v_load(scale));
        r = v_min(hi, v_max(lo, r));
        bad = v_fma(v, zero, bad);
        if (stream && k_ == LANES)
            v_stream(y + i_, r);
        else
            PUT(y, r);
        at += k_ == LANES ? step : k_ % period;
        if (at >= period)
            at -= period;
    }
    if (stream)
        fm_stream_end();
    return !(v_sum(bad) == 0);
}

/* sum + v^2, in double, 8 lanes. */
FM_INLINE v64 FM(squares)(vec v, v64 sum)
{
#if FM_BITS == 32
    const v64 lo = v32_wide_lo(v), hi = v32_wide_hi(v);
    return v64_fma(hi, hi, v64_fma(lo, lo, sum));
#else
    return v64_fma(v, v, sum);
#endif
}

/* The sum of |v| or, with norm 2, of v^2 over up to SCALE_CHUNK_ELEMENTS numbers v = x unit. most: the greatest |v| so
 * far. */
FM_INLINE double FM(norm_run)(vec *most, const real *x, size_t n, vec unit, int norm)
{
    v64 sum = v64_set1(0);
    FM_VECTORS(n) {
        const vec v = v_mul(AT(x), unit), size = v_abs(v);
        if (norm == 2)
            sum = FM(squares)(v, sum);
        else {
            *most = v_max(size, *most);
            sum = v64_add(sum, v_folded(size));
        }
    }
    return v64_sum(sum);
}

/* The same over any number of them. */
static __attribute__((noinline)) double FM(norm_runs)(vec *most, const real *x, size_t n, vec unit, int norm)
{
    fm_tally runs = {0, 0};
    *most = v_set1(0);
    for (size_t i = 0; i < n; i += SCALE_CHUNK_ELEMENTS)
        fm_tally_add(
            &runs, FM(norm_run)(most, x + i, n - i < SCALE_CHUNK_ELEMENTS ? n - i : SCALE_CHUNK_ELEMENTS, unit, norm));
    return fm_tally_sum(&runs);
}

static int FM(normalize_rows)(real *y, const real *x, size_t rows, size_t n, int norm, double least)
{
    int bad = 0;
    if (!y) /* as one run */
        n *= rows, rows = 1;
    for (; rows; rows--, x += n) {
        vec most, scale, unit = v_set1(1);
        double length, sum;
        for (double in = 1;; in = 0x1p-600, unit = v_set1((real)in)) {
            vec top = v_set1(0);
            if (n > SCALE_CHUNK_ELEMENTS)
                sum = FM(norm_runs)(&most, x, n, unit, norm);
            else
                sum = FM(norm_run)(&top, x, n, unit, norm), most = top;
            length = norm == 1 ? sum : norm == 2 ? sqrt(sum) : v_max_lane(most);
            scale = v_set1(length < (real)least * in ? (real)1 : (real)length);
            if (sizeof(real) == 4 || in < 1 || length < INFINITY)
                break; /* else once more in a unit in which doubles do not overflow */
        }
        bad |= !(length < INFINITY && sum == sum); /* of a NaN that no maximum sees, the sum knows */
        if (y) {
            FM_VECTORS(n)
                PUT(y, v_div(v_mul(AT(x), unit), scale));
            y += n;
        }
    }
    return bad;
}
