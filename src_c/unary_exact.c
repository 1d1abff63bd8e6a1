/* The functions of unary.c and their slopes from e^-a, a = |x|, in forms that do not cancel.
 *
 * The lower tail keeps its relative accuracy where 1 - erf or 1 - sigmoid would leave none. The power of two is
 * multiplied in last, so that a tiny result is rounded once. Doubles take it as it is. Floats need it where code is
 * compiled for size.
 *
 * GELU is x Phi(x) with the normal distribution Phi. With Q(a) = Phi(-a) = e^(-a^2/2) M(a), y = x - a Q for x >= 0 and
 * -a Q otherwise. The square is in two parts, since e^(-a^2/2) takes its error times a^2. The slope is 1 - H or H with
 * H = Q - a phi(a). The tanh form is x sigmoid(2u) exactly: 1 + tanh(u) = 2 / (1 + e^(-2u)).
 */

/* The slope of a kind is a function as well, with a number of its own. */
#ifndef UNARY_SLOPE
#define UNARY_SLOPE(kind) (FM_UNARY_KINDS + (kind))
#endif

/* From here on e^-a is 0. */
#define UNARY_END(single, twice) (sizeof(real) == 4 ? single : twice)
static const real FM(unary_end)[FM_UNARY_KINDS] = {
    [FM_GELU] = UNARY_END(15, 39),      [FM_GELU_TANH] = UNARY_END(11, 22), [FM_SILU] = UNARY_END(112, 755),
    [FM_SIGMOID] = UNARY_END(112, 755), [FM_TANH] = UNARY_END(56, 378),     [FM_SOFTPLUS] = UNARY_END(112, 755),
    [FM_ELU] = UNARY_END(112, 755),
};
#undef UNARY_END

#if FM_BITS == 64 || defined(__OPTIMIZE_SIZE__)

/* y = f(x), or with g (not NULL) g f(x); kind: a function of unary.h or its UNARY_SLOPE.
 * Long because each kind and slope is a case. */
static void FM(unary_exact)(int kind, real *y, const real *g, const real *x, size_t n, real alpha, real threshold,
                            int stream)
{
    const vec zero = v_set1(0), one = v_set1(1), scale = v_set1(alpha), limit = v_set1(threshold);
    const vec end = v_set1(FM(unary_end)[kind % FM_UNARY_KINDS]);
    const vec least = v_set1(sizeof(real) == 4 ? -64 : -128); /* so small an e beside 1 is nothing, and no underflow */
    FM_RUN(y, n, stream) {
        const vec v = AT(x), a = v_abs(v), b = v_min(end, a);
        vec t = v_sub(zero, b), low = zero, k, r;
        switch (kind) { /* e^(t + low) = (1 + p) 2^k */
        case FM_GELU:
        case UNARY_SLOPE(FM_GELU):
            r = v_mul(b, v_set1((real)-0.5));
            t = v_mul(b, r);
            low = v_fma(b, r, v_sub(zero, t));
            break;
        case FM_GELU_TANH:
        case UNARY_SLOPE(FM_GELU_TANH):
            t = v_tanh_exponent(b, &low);
            break;
        case FM_TANH:
        case UNARY_SLOPE(FM_TANH):
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
        case UNARY_SLOPE(FM_SOFTPLUS):
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
        case UNARY_SLOPE(FM_GELU):
            r = v_fnma(b, v_set1((real)0x1.9884533d43651p-2), v_mills(b));
            r = v_fma(v, zero, v_scale2(v_fma(r, p, r), tail)); /* infinity gives NaN, as infinity times 0 */
            r = v_if_lt(v, zero, r, v_sub(one, r));
            break;
        case UNARY_SLOPE(FM_GELU_TANH):
        case UNARY_SLOPE(FM_SILU): {
            vec du = one; /* e (u - a du) / u^2, du being the exponent's derivative */
            if (kind != UNARY_SLOPE(FM_SILU))
                du = v_fma(v_mul(b, b), v_set1((real)0x1.b6676bf7450f0p-3), v_set1((real)0x1.9884533d43651p+0));
            r = v_scale2(v_div(v_mul(e1, v_fnma(b, du, u)), v_mul(u, u)), tail);
            r = v_fma(v, zero, r);
            r = v_if_lt(v, zero, r, v_sub(one, r));
            break;
        }
        case UNARY_SLOPE(FM_ELU):
            r = v_if_lt(zero, v, one, v_mul(scale, v_scale2(e1, tail)));
            break;
        case UNARY_SLOPE(FM_SIGMOID):
        case UNARY_SLOPE(FM_TANH):
            r = v_mul(v_set1(kind == UNARY_SLOPE(FM_TANH) ? 4 : 1), v_div(e1, v_mul(u, u)));
            r = v_scale2(r, k);
            break;
        default:
            __builtin_trap(); /* a kind that has no case yet */
        }
        FM_RUN_PUT(y, stream, g ? v_mul(AT(g), r) : r);
    }
    if (stream)
        fm_stream_end();
}

#endif
