/* Losses of one term an element, summed, with the gradient in the same pass.
 *
 * A loss is one case of loss_point: a vector of terms and of their slopes by x. The loop around it is compiled for the
 * commonest loss and for all together, where the jump to the case costs up to a quarter more.
 *
 * Terms are rounded to real, as reduction "none" returns them, and added in double, chunk by chunk. A chunk has eight
 * lanes, of which term i of a float vector joins lane i mod 8. The chunks' lanes are added lane by lane, then by one
 * tree. Lanes follow the place in the run and not the address, so the bits do not depend on how memory is aligned.
 * Streaming stores need a 64-byte boundary, so they go through a small buffer in the first cache.
 */

/* A loss's own parameter beside the run's elements: a number for each (period 0), or a repeating table. */
typedef struct {
    const real *x;
    size_t period, at, step;
} FM(factor);

FM_INLINE FM(factor) FM(factor_run)(const real *x, size_t period, size_t start)
{
    return (FM(factor)){x, period, period ? start % period : 0, period ? LANES % period : 0};
}

FM_INLINE vec FM(factor_next)(FM(factor) *b, size_t k)
{
    const real *x = b->x + b->at;
    if (b->period == 0) {
        b->x += LANES;
        return k < LANES ? v_load_n(x, k, 0) : v_load(x);
    }
    b->at += b->step;
    if (b->at >= b->period)
        b->at -= b->period;
    return v_load(x);
}

typedef struct {
    vec loss, slope;
} FM(point);

/* log(cosh(d)) and tanh(d). With m = e^-2|d| - 1: tanh |d| = -m / (2 + m) = r. The loss is -log(1 - r^2) / 2 near 0,
 * where the other form cancels, and |d| + log(1 + e^-2|d|) - log 2 beyond. */
FM_INLINE FM(point) FM(log_cosh_point)(vec d)
{
    const vec zero = v_set1(0), one = v_set1(1), half = v_set1((real)0.5), a = v_abs(d), split = v_set1((real)0.6);
    const vec least = v_set1(sizeof(real) == 4 ? -64 : -128); /* so small an e beside 1 is nothing */
    const vec held = v_min(v_set1(sizeof(real) == 4 ? 56 : 378), a);
    vec k;
    const vec e1 = v_exp_parts(&k, v_sub(zero, v_add(held, held)), zero), e = v_scale1(one, v_max(least, k));
    const vec m = v_fma(e1, e, v_sub(e, one)), r = v_div(v_sub(zero, m), v_add(v_set1(2), m));
    const vec f = v_if_lt(a, split, v_sub(zero, v_mul(r, r)), v_fma(e1, e, e)), log = v_log_near1(zero, f, zero);
    const vec ln2 = v_set1((real)0x1.62e42fefa39efp-1);
    const vec ln2_low = v_set1(sizeof(real) == 4 ? (real)-0x1.05c610p-29 : (real)0x1.abc9e3b39803fp-56);
    const vec large = v_add(v_sub(a, ln2), v_sub(log, ln2_low));
    return (FM(point)){v_if_lt(a, split, v_mul(half, v_abs(log)), large), v_copysign(r, d)};
}

/* The terms and slopes of one vector; a and b are the loss's own parameters, as fm.h lists them. */
FM_INLINE FM(point) FM(loss_point)(int kind, vec x, vec t, vec a, vec b)
{
    const vec zero = v_set1(0), one = v_set1(1), half = v_set1((real)0.5), d = v_sub(x, t);
    FM(point) p;
    switch (kind) {
    case FM_LOSS_MSE:
        p.loss = v_mul(d, d);
        p.slope = v_add(d, d);
        break;
    case FM_LOSS_L1:
        p.loss = v_abs(d);
        p.slope = v_if_lt(zero, d, one, v_if_lt(d, zero, v_set1(-1), v_add(d, zero))); /* NaN stays, -0 does not */
        break;
    case FM_LOSS_HUBER:
        p.slope = v_max(v_sub(zero, a), v_min(a, d));
        p.loss = v_mul(v_abs(p.slope), v_fnma(half, v_abs(p.slope), v_abs(d)));
        break;
    case FM_LOSS_LOG_COSH:
        p = FM(log_cosh_point)(d);
        break;
    case FM_LOSS_BCE: {
        /* With s = log(1 + e^-|x|): log(1 + e^x) = max(x, 0) + s and log(1 + e^-x) = max(-x, 0) + s, two terms that
         * are never negative, each with its part of the target. Nothing cancels. */
        const vec minus = v_sub(zero, x), e = v_exp(v_min(x, minus)), u = v_add(one, e);
        const vec r = v_div(one, u), q = v_mul(e, r); /* sigmoid(|x|) and sigmoid(-|x|) */
        /* log(u) and what rounding took from u = 1 + e <= 2. */
        const vec root2 = v_set1((real)1.4142135623730951), above = v_sub(u, one);
        const vec f = v_if_lt(root2, u, v_sub(v_mul(u, half), one), above);
        const vec s = v_log_near1(v_if_lt(root2, u, one, zero), f, v_mul(v_sub(e, above), r));
        const vec on = v_mul(v_mul(t, b), a), off = v_mul(v_sub(one, t), a);
        p.loss = v_fma(on, v_add(v_max(zero, minus), s), v_mul(off, v_add(v_max(zero, x), s)));
        p.slope = v_fnma(on, v_if_lt(x, zero, r, q), v_mul(off, v_if_lt(x, zero, q, r)));
        break;
    }
    case FM_LOSS_KL:
    case FM_LOSS_KL_LOG: { /* where the target is 0, x = -inf costs nothing, and NaN stays */
        const vec w = kind == FM_LOSS_KL ? t : v_exp(t), most = v_set1(FM_LARGEST);
        const vec finite = v_max(v_sub(zero, most), v_min(most, x));
        const vec log = kind == FM_LOSS_KL ? v_log(t) : t;
        p.loss = v_mul(w, v_if_eq(w, zero, v_abs(finite), v_sub(log, x)));
        p.slope = v_sub(zero, w);
        break;
    }
    default:
        __builtin_trap(); /* a kind that has no case yet */
    }
    return p;
}

#define LOSS_CHUNK_ELEMENTS (4096 / sizeof(real)) /* elements: 64 vectors */
FM_INLINE double FM(loss_loop)(int kind, real *dx, real *loss, const real *x, const real *t, const real *a,
                               size_t a_period, const real *b, size_t b_period, size_t start, size_t n, real scale,
                               int stream)
{
    real ones[1 + LANES];
    for (size_t i = 0; i < 1 + LANES; i++)
        ones[i] = 1;
    FM(factor) as = FM(factor_run)(a ? a : ones, a ? a_period : 1, start);
    FM(factor) bs = FM(factor_run)(b ? b : ones, b ? b_period : 1, start);
    const vec vscale = v_set1(scale);
    real slopes[LOSS_CHUNK_ELEMENTS];
    v64 total = v64_set1(0);
    for (size_t from = 0; from < n; from += LOSS_CHUNK_ELEMENTS) {
        const size_t m = n - from < LOSS_CHUNK_ELEMENTS ? n - from : LOSS_CHUNK_ELEMENTS;
        real *d = dx && !stream ? dx + from : slopes;
        v64 part = v64_set1(0);
        FM_VECTORS(m) {
            const vec pa = FM(factor_next)(&as, k_), pb = FM(factor_next)(&bs, k_);
            FM(point) p = FM(loss_point)(kind, AT(x + from), AT(t + from), pa, pb);
            if (dx)
                PUT(d, v_mul(p.slope, vscale));
            if (loss)
                PUT(loss + from, p.loss);
            if (k_ < LANES)
                p.loss = v_keep_n(p.loss, k_);
            part = v64_add(part, v_folded(p.loss));
        }
        total = v64_add(total, part);
        if (dx && stream)
            FM_ROW_STORE(dx + from, m, 1, AT(slopes))
    }
    return v64_sum(total);
}

static double FM(loss_run)(int kind, real *dx, real *loss, const real *x, const real *t, const real *a, size_t a_period,
                           const real *b, size_t b_period, size_t start, size_t n, double scale, int stream)
{
    if (kind == FM_LOSS_MSE)
        return FM(loss_loop)(FM_LOSS_MSE, dx, loss, x, t, a, a_period, b, b_period, start, n, scale, stream);
    return FM(loss_loop)(kind, dx, loss, x, t, a, a_period, b, b_period, start, n, scale, stream);
}

/* The same order for terms that a training step has stored. */
static double FM(loss_sum)(const real *terms, size_t n)
{
    v64 total = v64_set1(0);
    for (size_t from = 0; from < n; from += LOSS_CHUNK_ELEMENTS) {
        const size_t m = n - from < LOSS_CHUNK_ELEMENTS ? n - from : LOSS_CHUNK_ELEMENTS;
        v64 part = v64_set1(0);
        FM_VECTORS(m)
            part = v64_add(part, v_folded(AT(terms + from)));
        total = v64_add(total, part);
    }
    return v64_sum(total);
}
