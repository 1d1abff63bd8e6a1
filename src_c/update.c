/* Optimizer updates: one pass over parameter, gradient and state. */

/* SGD's rates as vectors, and what is in force. */
typedef struct {
    vec lr, momentum, damp, decay, sign;
    int has_decay, has_velocity, nesterov; /* without decay p must not be read into g: 0 times infinity is NaN */
} FM(sgd_rates);

FM_INLINE FM(sgd_rates)
    FM(sgd_rates_of)(double lr, double momentum, double damp, double decay, double sign, int nesterov, int has_velocity)
{
    return (FM(sgd_rates)){
        v_set1(lr),   v_set1(momentum), v_set1(damp), v_set1(decay),
        v_set1(sign), (real)decay != 0, has_velocity, nesterov,
    };
}

/* w after a step with the gradient g; u is the velocity. What is in force is asked in the loops: they wait for memory.
 */
FM_INLINE vec FM(sgd_one)(vec w, vec g, vec *u, const FM(sgd_rates) *rates)
{
    vec d = v_mul(g, rates->sign);
    if (rates->has_decay)
        d = v_fma(rates->decay, w, d);
    if (rates->has_velocity) {
        *u = v_fma(rates->momentum, *u, v_mul(rates->damp, d));
        d = rates->nesterov ? v_fma(rates->momentum, *u, d) : *u;
    }
    return v_fnma(rates->lr, d, w);
}

static void FM(sgd_run)(real *p, real *v, const real *g, size_t n, double lr, double momentum, double damp,
                        double decay, double sign, int nesterov)
{
    const FM(sgd_rates) rates = FM(sgd_rates_of)(lr, momentum, damp, decay, sign, nesterov, v != NULL);
    FM_EACH(FM_HEAD(p, n), n, {
        vec u = v ? AT(v) : v_set1(0);
        const vec w = FM(sgd_one)(AT(p), AT(g), &u, &rates);
        if (v)
            PUT(v, u);
        PUT(p, w);
    })
}

/* m + weight (d - m), or (1 - weight) m + weight d, whichever rounds less: with weight 1 m is d. */
FM_INLINE vec FM(average)(vec m, vec d, real weight)
{
    return weight < (real)0.5 ? v_fma(v_set1(weight), v_sub(d, m), m)
                              : v_fma(v_set1(weight), d, v_mul(v_set1(1 - weight), m));
}

static void FM(adam_run)(real *p, real *m, real *v, real *top, const real *g, size_t n, double rate, double weight1,
                         double beta2, double weight2, double inv_root, double eps, double decay, double keep,
                         double sign)
{
    const int has_decay = (real)decay != 0;
    const vec vrate = v_set1(rate), vbeta2 = v_set1(beta2), vweight2 = v_set1(weight2), vroot = v_set1(inv_root),
              veps = v_set1(eps), vdecay = v_set1(decay), vkeep = v_set1(keep), vsign = v_set1(sign);
    FM_EACH(FM_HEAD(p, n), n, {
        const vec w = AT(p);
        vec d = v_mul(AT(g), vsign);
        if (has_decay)
            d = v_fma(vdecay, w, d);
        const vec first = FM(average)(AT(m), d, weight1);
        vec second = v_fma(v_mul(vweight2, d), d, v_mul(vbeta2, AT(v)));
        PUT(m, first);
        PUT(v, second);
        if (top) {
            const vec before = AT(top);
            second = v_if_eq(before, before, v_max(before, second), before); /* NaN where either is */
            PUT(top, second);
        }
        PUT(p, v_fnma(vrate, v_div(first, v_fma(v_sqrt(second), vroot, veps)), v_mul(w, vkeep)));
    })
}

static void FM(lion_run)(real *p, real *m, const real *g, size_t n, double lr, double weight1, double weight2,
                         double keep, double sign)
{
    const vec zero = v_set1(0), one = v_set1(1), vlr = v_set1(lr), vkeep = v_set1(keep), vsign = v_set1(sign);
    FM_EACH(FM_HEAD(p, n), n, {
        const vec w = AT(p), before = AT(m), d = v_mul(AT(g), vsign), c = FM(average)(before, d, weight1);
        const vec u = v_if_lt(zero, c, one, v_if_lt(c, zero, v_set1(-1), c)); /* NaN stays */
        PUT(m, FM(average)(before, d, weight2));
        PUT(p, v_fnma(vlr, u, v_mul(w, vkeep)));
    })
}

static void FM(rms_run)(real *p, real *s, real *m, real *b, const real *g, size_t n, double rate, double keep,
                        double weight, double eps, double decay, double momentum, double sign)
{
    const int has_decay = (real)decay != 0;
    const vec vrate = v_set1(rate), vkeep = v_set1(keep), vweight = v_set1(weight), veps = v_set1(eps),
              vdecay = v_set1(decay), vmomentum = v_set1(momentum), vsign = v_set1(sign);
    /* What the roundings of s and m leave of s - m^2 where the gradients hardly vary: no variance is below it. */
    const vec vnoise = v_set1(sizeof(real) == 4 ? (real)0x1p-20 : (real)0x1p-49);
    FM_EACH(FM_HEAD(p, n), n, {
        const vec w = AT(p);
        vec d = v_mul(AT(g), vsign);
        if (has_decay)
            d = v_fma(vdecay, w, d);
        vec second = v_fma(v_mul(vweight, d), d, v_mul(vkeep, AT(s)));
        PUT(s, second);
        if (m) {
            const vec first = FM(average)(AT(m), d, weight);
            PUT(m, first);
            second = v_max(v_mul(vnoise, second), v_fnma(first, first, second)); /* NaN stays */
        }
        d = v_div(d, v_add(v_sqrt(second), veps));
        if (b) {
            d = v_fma(vmomentum, AT(b), d);
            PUT(b, d);
        }
        PUT(p, v_fnma(vrate, d, w));
    })
}

static int FM(unscale_run)(real *x, size_t n, double factor)
{
    const vec vfactor = v_set1(factor), zero = v_set1(0);
    vec seen = zero; /* 0 times infinity is NaN */
    FM_EACH(FM_HEAD(x, n), n, {
        const vec a = AT(x);
        seen = v_fma(a, zero, seen);
        PUT(x, v_mul(a, vfactor));
    })
    return v_sum(seen) == 0;
}

/* Sixteen elements as two vectors of doubles. */
#if FM_BITS == 32
#define FM_WIDE(low, high, x, n)                                         \
    const v32 both_##low = (n) < 16 ? v32_load_n(x, n, 0) : v32_load(x); \
    const v64 low = v32_wide_lo(both_##low), high = v32_wide_hi(both_##low);
#else
#define FM_WIDE(low, high, x, n)                                 \
    const v64 low = (n) < 8 ? v64_load_n(x, n, 0) : v64_load(x); \
    const v64 high = (n) >= 16 ? v64_load((x) + 8) : (n) > 8 ? v64_load_n((x) + 8, (n) - 8, 0) : v64_set1(0);
#endif
/* Of up to SQUARES_CHUNK_ELEMENTS elements, 64 in each of 32 lanes. Asking for x ahead, across its pages: 1e7 floats
 * take 1.3 ms, where they took 3.3. */
#define SQUARES_CHUNK_ELEMENTS 2048
#define SQUARES_AHEAD (4096 / sizeof(real))
FM_INLINE double FM(square_run)(const real *x, size_t n)
{
    v64 a = v64_set1(0), b = a, c = a, d = a;
    size_t i = 0;
    for (; i + 32 <= n; i += 32) {
        for (size_t j = 0; j < 32; j += 64 / sizeof(real))
            __builtin_prefetch(x + i + SQUARES_AHEAD + j);
        FM_WIDE(p, q, x + i, 16)
        FM_WIDE(r, s, x + i + 16, 16)
        a = v64_fma(p, p, a);
        b = v64_fma(q, q, b);
        c = v64_fma(r, r, c);
        d = v64_fma(s, s, d);
    }
    for (; i < n; i += 16) {
        FM_WIDE(p, q, x + i, n - i)
        a = v64_fma(p, p, a);
        b = v64_fma(q, q, b);
    }
    return v64_sum(v64_add(v64_add(a, c), v64_add(b, d)));
}

static double FM(square_sum)(const real *x, size_t n)
{
    fm_tally runs = {0, 0};
    size_t i = 0;
    for (; n - i > SQUARES_CHUNK_ELEMENTS; i += SQUARES_CHUNK_ELEMENTS)
        fm_tally_add(&runs, FM(square_run)(x + i, SQUARES_CHUNK_ELEMENTS));
    const double sum = fm_tally_last(&runs, FM(square_run)(x + i, n - i), i);
    double inv_rms;
    if (sizeof(real) == 8 && n && !(sum - sum == 0 && sum > FM_NEAR)) {
        const double norm = FM(norm_far)(NULL, &inv_rms, x, 1, n, n, sum, 0);
        return norm - norm == 0 ? -norm : sum;
    }
    return sum;
}
#undef FM_WIDE

static void FM(scale_run)(real *x, size_t n, double factor)
{
    const vec vfactor = v_set1(factor);
    FM_ROW_STORE(x, n, 0, v_mul(AT(x), vfactor))
}

static void FM(clip_run)(real *x, size_t n, double most)
{
    const vec low = v_set1(-most), high = v_set1(most);
    FM_ROW_STORE(x, n, 0, v_min(high, v_max(low, AT(x)))) /* NaN stays */
}

static void FM(clear_lines)(void *y, size_t bytes)
{
    for (size_t i = 0; i < bytes / sizeof(real); i += LANES)
        v_stream((real *)y + i, v_set1(0));
    fm_stream_end();
}
