/* Smooth activations and their slopes: GELU, SiLU, sigmoid, tanh, softplus, ELU.
 *
 * Doubles take unary_exact. Floats take unary_quick: the function of a = |x| is a polynomial of degree 6 in each of 16
 * pieces. Its coefficients lie in the lanes of registers and are permuted into place, without exp or division. A piece
 * is expanded about a point where the curve is very nearly a float (tools/fit_curves.py), so that c0 has no error. What
 * remains is the last rounding and a part of the one before it: less than 1 ulp, slopes included. Curves that begin in
 * 0 are a + t (c1 + ...) in their first piece, where c0 is infinity and min(a, c0) is what is added.
 *
 * Only the far tail, where e^-a falls below what 16 pieces can follow, needs unary_far, for whole vectors with such a
 * lane. Each lane takes the one or the other by its own x, so no bit depends on the neighbours.
 *
 * Rejected: pieces of a power of two in width (0.6 ulp by the polynomial alone), 32 pieces of degree 5 (two registers
 * to a coefficient), c0 in two parts (as dear as a center), sharing one curve of e^-a (divisions again).
 */

#if FM_BITS == 64 || defined(__OPTIMIZE_SIZE__)

static void FM(unary)(int kind, real *y, const real *g, const real *x, size_t n, real alpha, real threshold, int stream)
{
    FM(unary_exact)(kind, y, g, x, n, alpha, threshold, stream);
}

#else

/* How a curve q becomes the function:
 *     TIMES  max(x, 0) - q / 2    PLUS  max(x, 0) + q     ODD  q with x's sign     ELU        x, below 0 -alpha q
 *     SHARE  1 - q, below 0 q     EVEN  q                                          ELU_SLOPE  1, from 0 down alpha q */
enum { UNARY_NONE, UNARY_TIMES, UNARY_MIRROR, UNARY_PLUS, UNARY_EVEN, UNARY_ODD, UNARY_ELU, UNARY_ELU_SLOPE };

/* The form and the curve of each kind and slope; UNARY_NONE where there is none. */
static const struct {
    uint8_t form, curve;
} unary_ways[2 * FM_UNARY_KINDS] = {
    [FM_GELU] = {UNARY_TIMES, FM_CURVE_GELU},
    [FM_GELU_TANH] = {UNARY_TIMES, FM_CURVE_GELU_TANH},
    [FM_SILU] = {UNARY_TIMES, FM_CURVE_SILU},
    [FM_SIGMOID] = {UNARY_MIRROR, FM_CURVE_SIGMOID},
    [FM_TANH] = {UNARY_ODD, FM_CURVE_TANH},
    [FM_SOFTPLUS] = {UNARY_PLUS, FM_CURVE_SOFTPLUS},
    [FM_ELU] = {UNARY_ELU, FM_CURVE_ELU},
    [UNARY_SLOPE(FM_GELU)] = {UNARY_MIRROR, FM_CURVE_GELU_SLOPE},
    [UNARY_SLOPE(FM_GELU_TANH)] = {UNARY_MIRROR, FM_CURVE_GELU_TANH_SLOPE},
    [UNARY_SLOPE(FM_SILU)] = {UNARY_MIRROR, FM_CURVE_SILU_SLOPE},
    [UNARY_SLOPE(FM_SIGMOID)] = {UNARY_EVEN, FM_CURVE_SIGMOID_SLOPE},
    [UNARY_SLOPE(FM_TANH)] = {UNARY_EVEN, FM_CURVE_TANH_SLOPE},
    [UNARY_SLOPE(FM_SOFTPLUS)] = {UNARY_MIRROR, FM_CURVE_SIGMOID},
    [UNARY_SLOPE(FM_ELU)] = {UNARY_ELU_SLOPE, FM_CURVE_ELU_SLOPE},
};

/* y, and the function of x where beyond > far: there e = e^-a is so small that 1 / (1 + e) is 1 - e, and the curve e
 * times a factor. Both are carried in two parts up to the last multiply-add.
 * Long because each kind and slope is a case. */
static __attribute__((noinline)) v32 unary_far(int kind, v32 y, v32 x, v32 beyond, v32 far, float alpha)
{
    const v32 zero = v32_set1(0), one = v32_set1(1);
    const v32 b = v32_min(v32_set1(unary_end_32[kind % FM_UNARY_KINDS]), v32_abs(x));
    v32 t = v32_sub(zero, b), low = zero, factor = one, rest, k, e1_low;
    switch (kind) { /* e = e^(t + low) */
    case FM_GELU:
    case UNARY_SLOPE(FM_GELU):
        t = v32_mul(b, v32_mul(b, v32_set1(-0.5f)));
        low = v32_fma(b, v32_mul(b, v32_set1(-0.5f)), v32_sub(zero, t));
        break;
    case FM_GELU_TANH:
    case UNARY_SLOPE(FM_GELU_TANH):
        t = v32_tanh_exponent(b, &low);
        break;
    case UNARY_SLOPE(FM_TANH):
        t = v32_add(t, t);
    }
    const v32 e1 = v32_exp_pair(&k, &e1_low, t), near = v32_max(v32_set1(-64), k), e = v32_scale1(e1, near);
    e1_low = v32_fma(e1, low, e1_low);
    switch (kind) { /* the curve is (factor + rest) e */
    case FM_SILU:
    case FM_GELU_TANH:
        factor = b;
        rest = v32_mul(b, v32_sub(zero, e));
        break;
    case FM_SOFTPLUS:
        rest = v32_mul(v32_set1(-0.5f), e);
        break;
    case FM_GELU:
    case UNARY_SLOPE(FM_GELU): {
        /* a M(a) - 1 / sqrt(2 pi) over 1 / a^2 for a >= 4.75 (tools/fit_polynomials.py) */
        const v32 c = v32_set1(0x1.988454p-2f), c_low = v32_set1(-0x1.857936p-27f), s = v32_div(one, v32_mul(b, b));
        rest = v32_fma(v32_set1(0x1.ea8dd8p+9f), s, v32_set1(-0x1.f8e6c4p+7f));
        rest = v32_fma(rest, s, v32_set1(0x1.37de3ep+5f));
        rest = v32_fma(rest, s, v32_set1(-0x1.7c9a3ep+2f));
        rest = v32_fma(rest, s, v32_set1(0x1.325404p+0f));
        rest = v32_fma(rest, s, v32_set1(-0x1.988430p-2f));
        rest = v32_fma(rest, s, c_low);
        factor = c;
        if (kind != FM_GELU) { /* M(a) - a / sqrt(2 pi) */
            factor = v32_sub(zero, v32_mul(b, c));
            rest = v32_div(v32_add(c, rest), b);
            rest = v32_sub(rest, v32_add(v32_fma(b, c, factor), v32_mul(b, c_low)));
        }
        break;
    }
    case UNARY_SLOPE(FM_GELU_TANH): { /* 1 - d + (2 d - 1) e, d = a (2u)' */
        const v32 k1 = v32_set1(0x1.988454p+0f), k3 = v32_set1(0x1.b6676cp-3f), s = v32_mul(b, b), p = v32_mul(s, k3);
        const v32 du = v32_add(p, k1), d = v32_mul(b, du);
        v32 du_low = v32_fma(v32_fma(b, b, v32_sub(zero, s)), k3, v32_fma(s, k3, v32_sub(zero, p)));
        du_low = v32_add(v32_add(du_low, v32_set1(-0x1.857936p-25f)), v32_sub(k1, v32_sub(du, p)));
        factor = v32_sub(one, d);
        rest = v32_sub(v32_fnma(b, du, d), v32_fma(b, du_low, v32_add(v32_add(factor, d), v32_set1(-1))));
        rest = v32_fma(v32_fma(v32_set1(2), d, v32_set1(-1)), e, rest);
        break;
    }
    case UNARY_SLOPE(FM_SILU):
        factor = v32_sub(one, b);
        rest = v32_mul(v32_fma(v32_set1(2), b, v32_set1(-1)), e);
        break;
    case UNARY_SLOPE(FM_SIGMOID):
        rest = v32_mul(v32_set1(-2), e);
        break;
    case UNARY_SLOPE(FM_TANH):
        factor = v32_set1(4);
        rest = v32_mul(v32_set1(-8), e);
        break;
    case UNARY_SLOPE(FM_ELU):
        rest = zero;
        break;
    case FM_SIGMOID:
    case UNARY_SLOPE(FM_SOFTPLUS):
        rest = v32_sub(zero, e);
        break;
    default:
        __builtin_trap(); /* its form never comes here, or the kind has no case yet */
    }
    v32 r = v32_fma(factor, e1, v32_fma(v32_add(factor, rest), e1_low, v32_mul(rest, e1)));
    const int form = unary_ways[kind].form;
    /* the upper side has no tail to underflow */
    r = v32_scale2(r, form == UNARY_EVEN ? k : v32_if_lt(x, zero, k, near));
    switch (form) {
    case UNARY_TIMES: /* -0; -infinity gives NaN, as infinity times 0 */
        r = v32_sub(v32_if_lt(x, zero, v32_mul(x, zero), x), r);
        break;
    case UNARY_MIRROR:
        r = v32_if_lt(x, zero, r, v32_sub(one, r));
        if (kind != FM_SIGMOID && kind != UNARY_SLOPE(FM_SOFTPLUS))
            r = v32_fma(x, zero, r); /* infinity gives NaN, as infinity times 0 */
        break;
    case UNARY_PLUS:
        r = v32_add(v32_max(zero, x), r);
        break;
    case UNARY_ELU_SLOPE:
        r = v32_mul(v32_set1(alpha), r);
    }
    return v32_if_lt(far, beyond, r, y);
}

/* n is a multiple of 16: a loop that also minds tails is a tenth slower.
 * Long because each form is a case. */
FM_INLINE void unary_quick(int kind, int form, float *y, const float *g, const float *x, size_t n, float alpha,
                           int stream)
{
    const int flat = form == UNARY_ODD || form == UNARY_ELU;
    const fm_curve *f = fm_curves + unary_ways[kind].curve;
    const v32 zero = v32_set1(0), one = v32_set1(1), half = v32_set1(0.5f);
    const v32 weight = v32_set1(form == UNARY_ELU ? -alpha : alpha);
    const v32 scale = v32_set1(f->scale), origin = v32_set1(f->origin), far = v32_set1(f->far);
    const v32 center = v32_load(f->center), c0 = v32_load(f->c[0]), c1 = v32_load(f->c[1]), c2 = v32_load(f->c[2]);
    const v32 c3 = v32_load(f->c[3]), c4 = v32_load(f->c[4]), c5 = v32_load(f->c[5]), c6 = v32_load(f->c[6]);
    for (size_t j = 0; j < n; j += 16) {
        const v32 v = v32_load(x + j);
        v32 a = v32_abs(v), r;
        if (flat)
            a = v32_min(far, a);
        const v32 beyond = form == UNARY_ELU_SLOPE ? v32_sub(zero, v) : a;
        const int outside = flat ? 0 : v32_any_lt(far, beyond);
        const v32 i = v32_fnma(a, scale, origin), z = v32_pick(center, i), t = v32_sub(a, z);
        v32 q = v32_fma(v32_pick(c6, i), t, v32_pick(c5, i)), first = v32_pick(c0, i);
        q = v32_fma(q, t, v32_pick(c4, i));
        q = v32_fma(q, t, v32_pick(c3, i));
        q = v32_fma(q, t, v32_pick(c2, i));
        q = v32_fma(q, t, v32_pick(c1, i));
        if (flat || form == UNARY_TIMES) /* a itself in the first piece */
            first = v32_min(a, first);
        if (form == UNARY_PLUS) { /* x = z + t joins c0 and c1, to be rounded once with the curve */
            const v32 line = v32_unless_lt(v, zero, one);
            q = v32_add(q, line);
            first = v32_fma(z, line, first);
        }
        q = v32_fma(q, t, first);
        switch (form) {
        case UNARY_TIMES:
            r = v32_fnma(half, q, v32_max(zero, v));
            break;
        case UNARY_MIRROR:
            r = v32_if_lt(v, zero, q, v32_sub(one, q));
            break;
        case UNARY_ODD:
            r = v32_copysign(q, v);
            break;
        case UNARY_ELU:
            r = v32_if_lt(v, zero, v32_mul(weight, q), v);
            break;
        case UNARY_ELU_SLOPE:
            r = v32_if_lt(zero, v, one, v32_mul(weight, q));
            break;
        default:
            r = q;
        }
        if (__builtin_expect(outside, 0))
            r = unary_far(kind, r, v, beyond, far, alpha);
        if (g)
            r = v32_mul(v32_load(g + j), r);
        if (stream)
            v32_stream(y + j, r);
        else
            v32_store(y + j, r);
    }
    if (stream)
        fm_stream_end();
}

/* A loop for each form: with a jump in it, one for all is up to a third slower. */
static void unary_whole(int kind, float *y, const float *g, const float *x, size_t n, float alpha, int stream)
{
    switch (unary_ways[kind].form) {
    case UNARY_TIMES:
        unary_quick(kind, UNARY_TIMES, y, NULL, x, n, alpha, stream);
        break;
    case UNARY_MIRROR:
        unary_quick(kind, UNARY_MIRROR, y, g, x, n, alpha, stream);
        break;
    case UNARY_PLUS:
        unary_quick(kind, UNARY_PLUS, y, NULL, x, n, alpha, stream);
        break;
    case UNARY_EVEN:
        unary_quick(kind, UNARY_EVEN, y, g, x, n, alpha, stream);
        break;
    case UNARY_ODD:
        unary_quick(kind, UNARY_ODD, y, NULL, x, n, alpha, stream);
        break;
    case UNARY_ELU:
        unary_quick(kind, UNARY_ELU, y, NULL, x, n, alpha, stream);
        break;
    default:
        unary_quick(kind, UNARY_ELU_SLOPE, y, g, x, n, alpha, stream);
    }
}

static void unary_few(int kind, float *y, const float *g, const float *x, size_t n, float alpha)
{
    float lanes[16], slopes[16];
    v32_store(lanes, v32_load_n(x, n, 0));
    v32_store(slopes, g ? v32_load_n(g, n, 0) : v32_set1(0));
    unary_whole(kind, lanes, g ? slopes : NULL, lanes, 16, alpha, 0);
    v32_store_n(y, n, v32_load(lanes));
}

/* Long runs begin with y's next 64-byte boundary, as in loops.h. */
static void unary_32(int kind, float *y, const float *g, const float *x, size_t n, float alpha, float threshold,
                     int stream)
{
    (void)threshold;
    if (unary_ways[kind].form == UNARY_NONE)
        __builtin_trap(); /* a kind without a way */
    size_t head = stream || n >= 512 ? (64 - ((uintptr_t)y & 63)) % 64 / sizeof(float) : 0;
    if (head > n)
        head = n;
    const size_t whole = (n - head) / 16 * 16, rest = head + whole;
    if (head)
        unary_few(kind, y, g, x, head, alpha);
    if (whole)
        unary_whole(kind, y + head, g ? g + head : NULL, x + head, whole, alpha, stream);
    if (rest < n)
        unary_few(kind, y + rest, g ? g + rest : NULL, x + rest, n - rest, alpha);
}

#endif

/* Softplus of z + low = beta x: the function moves by low times its slope, which for a tiny result is the result. */
static void FM(softplus)(int kind, real *y, const real *g, const real *x, size_t n, real beta, real threshold,
                         int stream)
{
    real z[FM_RUN_ELEMENTS], r[FM_RUN_ELEMENTS];
    const vec b = v_set1(beta), zero = v_set1(0), one = v_set1(1), limit = v_set1(threshold);
    for (size_t from = 0; from < n; from += FM_RUN_ELEMENTS) {
        const size_t m = n - from < FM_RUN_ELEMENTS ? n - from : FM_RUN_ELEMENTS;
        FM_ROW_STORE(z, m, 0, v_mul(b, AT(x + from)))
        FM(unary)(kind, r, NULL, z, m, 1, INFINITY, 0);
        FM_RUN(y + from, m, stream) {
            const vec v = AT(x + from), s = AT(z), low = v_fma(b, v, v_sub(zero, s));
            vec f = AT(r);
            f = v_if_lt(s, zero, v_if_eq(f, zero, f, v_fma(f, low, f)), f); /* at -infinity low is NaN */
            f = kind == FM_SOFTPLUS ? v_if_lt(limit, s, v, v_div(f, b)) : v_if_lt(limit, s, one, f);
            FM_RUN_PUT(y + from, stream, g ? v_mul(AT(g + from), f) : f);
        }
    }
    if (stream)
        fm_stream_end();
}

static void FM(unary_any)(int kind, real *y, const real *g, const real *x, size_t n, real alpha, real threshold,
                          int stream)
{
    /* from 17 on a float is its own softplus */
    if (kind % FM_UNARY_KINDS == FM_SOFTPLUS && (alpha != 1 || (sizeof(real) == 4 && threshold < 18)))
        FM(softplus)(kind, y, g, x, n, alpha, threshold, stream);
    else
        FM(unary)(kind, y, g, x, n, alpha, threshold, stream);
}

static void FM(unary_run)(int kind, real *y, const real *x, size_t n, double alpha, double threshold, int stream)
{
    if (kind == FM_LEAKY_RELU)
        FM(leaky_relu)(y, x, n, alpha, stream);
    else if (kind == FM_HARD_SWISH)
        FM(hard_swish)(y, x, n, stream);
    else
        FM(unary_any)(kind, y, NULL, x, n, alpha, threshold, stream);
}

static void FM(unary_backward_run)(int kind, real *dx, const real *g, const real *x, size_t n, double alpha,
                                   double threshold, int stream)
{
    if (kind == FM_LEAKY_RELU)
        FM(leaky_relu_backward)(dx, g, x, n, alpha, stream);
    else if (kind == FM_HARD_SWISH)
        FM(hard_swish_backward)(dx, g, x, n, stream);
    else
        FM(unary_any)(UNARY_SLOPE(kind), dx, g, x, n, alpha, threshold, stream);
}
