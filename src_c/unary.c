/* Smooth activations and their slopes: GELU, SiLU, sigmoid, tanh, softplus, ELU.
 *
 * unary_exact computes any of them in either precision from e^-a, a = |x|, in forms that do not cancel: the lower tail
 * keeps its relative accuracy where 1 - erf or 1 - sigmoid would leave none, and the power of two is multiplied in
 * last, so that a tiny result is rounded once. Doubles take it as it is.
 *
 * Floats take unary_quick: the function of a is a polynomial of degree 6 in one of 16 pieces, whose coefficients lie in
 * the lanes of seven registers and are permuted into place, without exp or division: 22 instructions a vector instead of
 * 50. Only the far tail, where e^-a falls below what 16 pieces can follow, needs unary_exact, for whole vectors with
 * such a lane; each lane takes the one or the other by its own x, so no bit depends on the neighbours. Rejected: uniform
 * pieces (degree 7 for GELU), 32 pieces of degree 5 (two registers to a coefficient), sharing one curve of e^-a
 * (divisions again).
 *
 * GELU is x Phi(x) with the normal distribution Phi: with Q(a) = Phi(-a) = e^(-a^2/2) M(a), the square in two parts
 * since e^(-a^2/2) takes its error times a^2, y = x - a Q for x >= 0 and -a Q otherwise; y' = 1 - H or H with
 * H = Q - a phi(a). The tanh form is x sigmoid(2u) exactly: 1 + tanh(u) = 2 / (1 + e^(-2u)).
 */

/* y = f(x), or with g (not NULL) g f(x); kind: a function of unary.h or, plus FM_KINDS, its slope. */
static void FM(unary_exact)(int kind, real *y, const real *g, const real *x, size_t n, real alpha, real threshold,
                            int stream)
{
    static const real ends32[] = {15, 11, 112, 112, 56, 112, 112}, ends64[] = {39, 22, 755, 755, 378, 755, 755};
    const vec zero = v_set1(0), one = v_set1(1), scale = v_set1(alpha), limit = v_set1(threshold);
    const vec end = v_set1((sizeof(real) == 4 ? ends32 : ends64)[kind % FM_KINDS]); /* from here on all is constant, e = 0 */
    const vec least = v_set1(sizeof(real) == 4 ? -64 : -128); /* so small an e beside 1 is nothing, and no underflow */
    FM_RUN_STORE(y, n, stream, {
        const vec v = AT(x), a = v_abs(v), b = v_min(end, a);
        vec t = v_sub(zero, b), low = zero, k, r;
        switch (kind) { /* e^(t + low) = (1 + p) 2^k */
        case FM_GELU:
        case FM_GELU + FM_KINDS:
            r = v_mul(b, v_set1((real)-0.5));
            t = v_mul(b, r);
            low = v_fma(b, r, v_sub(zero, t));
            break;
        case FM_GELU_TANH:
        case FM_GELU_TANH + FM_KINDS:
            t = v_tanh_exponent(b, &low);
            break;
        case FM_TANH:
        case FM_TANH + FM_KINDS:
            t = v_add(t, t);
        }
        const vec p = v_exp_parts(&k, t, low), e1 = v_add(one, p), near = v_max(least, k), e = v_scale1(e1, near);
        const vec u = v_add(one, e), tail = v_if_lt(v, zero, k, near); /* the upper side has no tail to underflow */
        switch (kind) {
        case FM_GELU:
            r = v_mul(b, v_mills(b));
            /* 0 x: -infinity gives NaN, as infinity times 0 */
            r = v_sub(v_if_lt(v, zero, v_mul(v, zero), v), v_scale2(v_fma(r, p, r), tail));
            break;
        case FM_GELU_TANH:
        case FM_SILU:
            r = v_scale2(v_mul(v_if_lt(v, zero, b, v), v_div(v_if_lt(v, zero, e1, one), u)), v_if_lt(v, zero, k, zero));
            r = v_if_lt(v, zero, v_fnma(r, one, v_mul(v, zero)), r); /* -0; -infinity gives NaN, as infinity times 0 */
            break;
        case FM_SIGMOID:
        case FM_SOFTPLUS + FM_KINDS:
            r = v_scale2(v_div(v_if_lt(v, zero, e1, one), u), v_if_lt(v, zero, k, zero));
            if (kind != FM_SIGMOID)
                r = v_if_lt(limit, v, one, r);
            break;
        case FM_TANH:
            r = v_scale1(one, near);
            r = v_fma(p, r, v_sub(r, one));
            r = v_copysign(v_div(r, v_add(v_set1(2), r)), v);
            break;
        case FM_SOFTPLUS: {
            /* log(u) and what rounding took from u = 1 + e <= 2 */
            const vec root2 = v_set1((real)1.4142135623730951), above = v_sub(u, one);
            const vec f = v_if_lt(root2, u, v_sub(v_mul(u, v_set1((real)0.5)), one), above);
            r = v_log_near1(v_if_lt(root2, u, one, zero), f, v_div(v_sub(v_scale2(e1, tail), above), u));
            r = v_if_lt(limit, v, v, v_add(v_max(zero, v), r));
            break;
        }
        case FM_ELU:
            r = v_scale1(one, near);
            r = v_if_lt(v, zero, v_mul(scale, v_fma(p, r, v_sub(r, one))), v);
            break;
        case FM_GELU + FM_KINDS:
            r = v_fnma(b, v_set1((real)0x1.9884533d43651p-2), v_mills(b));
            r = v_fma(v, zero, v_scale2(v_fma(r, p, r), tail)); /* infinity gives NaN, as infinity times 0 */
            r = v_if_lt(v, zero, r, v_sub(one, r));
            break;
        case FM_GELU_TANH + FM_KINDS:
        case FM_SILU + FM_KINDS: {
            vec du = one; /* e (u - a du) / u^2, du being the exponent's derivative */
            if (kind != FM_SILU + FM_KINDS)
                du = v_fma(v_mul(b, b), v_set1((real)0x1.b6676bf7450f0p-3), v_set1((real)0x1.9884533d43651p+0));
            r = v_scale2(v_div(v_mul(e1, v_fnma(b, du, u)), v_mul(u, u)), tail);
            r = v_fma(v, zero, r);
            r = v_if_lt(v, zero, r, v_sub(one, r));
            break;
        }
        case FM_ELU + FM_KINDS:
            r = v_if_lt(zero, v, one, v_mul(scale, v_scale2(e1, tail)));
            break;
        default: /* the slopes of sigmoid and tanh */
            r = v_mul(v_set1(kind == FM_TANH + FM_KINDS ? 4 : 1), v_div(e1, v_mul(u, u)));
            r = v_scale2(r, k);
        }
        value_ = g ? v_mul(AT(g), r) : r;
    })
}

#if FM_BITS == 32 && !defined(__OPTIMIZE_SIZE__)

/* How a curve q becomes the function:
 *     TIMES  max(x, 0) - a q      PLUS  max(x, 0) + q     ODD  q with x's sign     ELU        x, below 0 -alpha q
 *     SHARE  1 - q, below 0 q     EVEN  q                                          ELU_SLOPE  1, from 0 down alpha q */
enum { UNARY_TIMES, UNARY_SHARE, UNARY_PLUS, UNARY_EVEN, UNARY_ODD, UNARY_ELU, UNARY_ELU_SLOPE };

/* y, and exact values where beyond > far. */
static __attribute__((noinline)) v32 unary_mend(int kind, v32 y, v32 x, v32 beyond, v32 far, float alpha)
{
    float lanes[16];
    v32_store(lanes, x);
    unary_exact_32(kind, lanes, NULL, lanes, 16, alpha, INFINITY, 0);
    return v32_if_lt(far, beyond, v32_load(lanes), y);
}

/* Of each kind, then of each slope, the form and the curve. */
static const struct { uint8_t form, curve; } unary_ways[] = {
    {UNARY_TIMES, FM_CURVE_GELU}, {UNARY_TIMES, FM_CURVE_GELU_TANH}, {UNARY_TIMES, FM_CURVE_SIGMOID},
    {UNARY_SHARE, FM_CURVE_SIGMOID}, {UNARY_ODD, FM_CURVE_TANH}, {UNARY_PLUS, FM_CURVE_SOFTPLUS},
    {UNARY_ELU, FM_CURVE_ELU},
    {UNARY_SHARE, FM_CURVE_GELU_SLOPE}, {UNARY_SHARE, FM_CURVE_GELU_TANH_SLOPE}, {UNARY_SHARE, FM_CURVE_SILU_SLOPE},
    {UNARY_EVEN, FM_CURVE_SIGMOID_SLOPE}, {UNARY_EVEN, FM_CURVE_TANH_SLOPE}, {UNARY_SHARE, FM_CURVE_SIGMOID},
    {UNARY_ELU_SLOPE, FM_CURVE_ELU_SLOPE},
};

FM_INLINE void unary_quick(int kind, int form, float *y, const float *g, const float *x, size_t n, float alpha, int stream)
{
    const int flat = form == UNARY_ODD || form == UNARY_ELU;
    const fm_curve *f = fm_curves + unary_ways[kind].curve;
    const v32 zero = v32_set1(0), one = v32_set1(1), scale = v32_set1(form == UNARY_ELU ? -alpha : alpha);
    const v32 origin = v32_set1(f->origin), far = v32_set1(f->far), end = v32_set1(flat ? f->far : INFINITY);
    const v32 c0 = v32_load(f->c[0]), c1 = v32_load(f->c[1]), c2 = v32_load(f->c[2]), c3 = v32_load(f->c[3]);
    const v32 c4 = v32_load(f->c[4]), c5 = v32_load(f->c[5]), c6 = v32_load(f->c[6]);
    FM_RUN_STORE(y, n, stream, {
        const v32 v = AT(x);
        v32 a = v32_abs(v), r;
        if (flat)
            a = v32_min(end, a);
        const v32 i = v32_sub(origin, a), t = v32_sub(a, v32_sub(origin, i));
        v32 q = v32_fma(v32_pick(c6, i), t, v32_pick(c5, i)), beyond = a;
        q = v32_fma(q, t, v32_pick(c4, i));
        q = v32_fma(q, t, v32_pick(c3, i));
        q = v32_fma(q, t, v32_pick(c2, i));
        q = v32_fma(q, t, v32_pick(c1, i));
        q = v32_fma(q, t, v32_pick(c0, i));
        switch (form) {
        case UNARY_TIMES:
            r = v32_fnma(a, q, v32_max(zero, v));
            break;
        case UNARY_SHARE:
            r = v32_if_lt(v, zero, q, v32_sub(one, q));
            break;
        case UNARY_PLUS:
            r = v32_add(v32_max(zero, v), q);
            break;
        case UNARY_ODD:
            r = v32_copysign(q, v);
            break;
        case UNARY_ELU:
            r = v32_if_lt(v, zero, v32_mul(scale, q), v);
            break;
        case UNARY_ELU_SLOPE:
            r = v32_if_lt(zero, v, one, v32_mul(scale, q));
            beyond = v32_sub(zero, v);
            break;
        default:
            r = q;
        }
        if (__builtin_expect(v32_any_lt(far, beyond), 0))
            r = unary_mend(kind, r, v, beyond, far, alpha);
        value_ = g ? v32_mul(AT(g), r) : r;
    })
}

/* One loop, with a jump in it, for all forms but GELU's and SiLU's own, which it would slow down by a fifth; the others
 * lose nothing. */
static void unary_32(int kind, float *y, const float *g, const float *x, size_t n, float alpha, float threshold, int stream)
{
    (void)threshold;
    if (unary_ways[kind].form == UNARY_TIMES)
        unary_quick(kind, UNARY_TIMES, y, NULL, x, n, alpha, stream);
    else
        unary_quick(kind, unary_ways[kind].form, y, g, x, n, alpha, stream);
}

#else
static void FM(unary)(int kind, real *y, const real *g, const real *x, size_t n, real alpha, real threshold, int stream)
{
    FM(unary_exact)(kind, y, g, x, n, alpha, threshold, stream);
}
#endif

/* Softplus of z + low = beta x: the function moves by low times its slope, which for a tiny result is the result. */
static void FM(softplus)(int kind, real *y, const real *g, const real *x, size_t n, real beta, real threshold, int stream)
{
    real z[FM_RUN], r[FM_RUN];
    const vec b = v_set1(beta), zero = v_set1(0), one = v_set1(1), limit = v_set1(threshold);
    for (size_t from = 0; from < n; from += FM_RUN) {
        const size_t m = n - from < FM_RUN ? n - from : FM_RUN;
        FM_ROW_STORE(z, m, 0, v_mul(b, AT(x + from)))
        FM(unary)(kind, r, NULL, z, m, 1, INFINITY, 0);
        FM_RUN_STORE(y + from, m, stream, {
            const vec v = AT(x + from), s = AT(z), low = v_fma(b, v, v_sub(zero, s));
            vec f = AT(r);
            f = v_if_lt(s, zero, v_if_eq(f, zero, f, v_fma(f, low, f)), f); /* at -infinity low is NaN */
            f = kind == FM_SOFTPLUS ? v_if_lt(limit, s, v, v_div(f, b)) : v_if_lt(limit, s, one, f);
            value_ = g ? v_mul(AT(g + from), f) : f;
        })
    }
}

static void FM(unary_any)(int kind, real *y, const real *g, const real *x, size_t n, real alpha, real threshold, int stream)
{
    /* from 17 on a float is its own softplus */
    if (kind % FM_KINDS == FM_SOFTPLUS && (alpha != 1 || (sizeof(real) == 4 && threshold < 18)))
        FM(softplus)(kind, y, g, x, n, alpha, threshold, stream);
    else
        FM(unary)(kind, y, g, x, n, alpha, threshold, stream);
}

static void FM(unary_run)(int kind, real *y, const real *x, size_t n, real alpha, real threshold, int stream)
{
    if (kind == FM_LEAKY_RELU)
        FM(leaky_relu)(y, x, x, n, alpha, stream);
    else
        FM(unary_any)(kind, y, NULL, x, n, alpha, threshold, stream);
}

static void FM(unary_backward_run)(int kind, real *dx, const real *g, const real *x, size_t n, real alpha, real threshold,
                                   int stream)
{
    if (kind == FM_LEAKY_RELU)
        FM(leaky_relu)(dx, g, x, n, alpha, stream);
    else
        FM(unary_any)(kind + FM_KINDS, dx, g, x, n, alpha, threshold, stream);
}
