/* GELU and its gradient, x Phi(x) with the normal distribution Phi, or with the logistic function in its place.
 *
 * All is computed for a = |x| from the lower tail Q(a) = Phi(-a), which keeps its relative accuracy where 1 - erf
 * would leave none: y = x - a Q for x >= 0 and -a Q otherwise, y' = 1 - H or H with H = Q - a phi(a).
 * Q = e^(-a^2/2) M(a) with the square in two parts, since e^(-a^2/2) takes its error times a^2; the power of two
 * is multiplied in last, so that a tiny y is rounded once. The tanh form is x sigmoid(2u) exactly:
 * 1 + tanh(u) = 2 / (1 + e^(-2u)); its Q is e^(-2u) / (1 + e^(-2u)).
 */

#define GELU_END (sizeof(real) == 4 ? 15.0f : 39.0)      /* from here on the tails are 0 */
#define GELU_TANH_END (sizeof(real) == 4 ? 11.0f : 22.0)

/* e^(-a^2/2) = (1 + the result) 2^n */
FM_INLINE vec FM(gauss_parts)(vec *n, vec a)
{
    const vec h = v_mul(a, v_set1((real)-0.5)), t = v_mul(a, h);
    return v_exp_parts(n, t, v_fma(a, h, v_sub(v_set1(0), t)));
}

FM_INLINE vec FM(gelu)(vec x, int tanh)
{
    const vec zero = v_set1(0), one = v_set1(1), a = v_max(x, v_sub(zero, x));
    vec n, low, tail;
    if (tanh) {
        const vec b = v_min(v_set1((real)GELU_TANH_END), a), t = v_tanh_exponent(b, &low);
        const vec p = v_add(one, v_exp_parts(&n, t, low));
        tail = v_div(v_mul(b, p), v_add(one, v_scale2(p, n)));
    } else {
        const vec b = v_min(v_set1((real)GELU_END), a), e = FM(gauss_parts)(&n, b), m = v_mul(b, v_mills(b));
        tail = v_fma(m, e, m);
    }
    /* 0 x: -infinity gives NaN, as infinity times 0 */
    return v_sub(v_if_lt(x, zero, v_mul(x, zero), x), v_scale2(tail, n));
}

FM_INLINE vec FM(gelu_slope)(vec x, int tanh)
{
    const vec zero = v_set1(0), one = v_set1(1), a = v_max(x, v_sub(zero, x));
    vec n, low, h;
    if (tanh) {
        const vec b = v_min(v_set1((real)GELU_TANH_END), a), t = v_tanh_exponent(b, &low);
        const vec p = v_add(one, v_exp_parts(&n, t, low)), upper = v_div(one, v_add(one, v_scale2(p, n)));
        const vec du = v_fma(v_mul(b, b), v_set1((real)0x1.b6676bf7450f0p-3), v_set1((real)0x1.9884533d43651p+0));
        h = v_mul(v_mul(p, upper), v_fnma(v_mul(b, upper), du, one));
    } else {
        const vec b = v_min(v_set1((real)GELU_END), a), e = FM(gauss_parts)(&n, b);
        const vec d = v_fnma(b, v_set1((real)0x1.9884533d43651p-2), v_mills(b));
        h = v_fma(d, e, d);
    }
    h = v_fma(x, zero, v_scale2(h, n)); /* infinity gives NaN, as infinity times 0 */
    return v_if_lt(x, zero, h, v_sub(one, h));
}

/* y[i] = value, one copy of it for whole vectors, for the part before y's boundary and for the tail */
#define GELU_RUN(y, value)                                                                                   \
    size_t i_ = 0, k_ = stream ? (64 - ((uintptr_t)(y)&63)) % 64 / sizeof(real) : 0;                         \
    for (k_ = k_ ? k_ : LANES; i_ < n; i_ += k_, k_ = LANES) {                                               \
        if (k_ > n - i_)                                                                                     \
            k_ = n - i_;                                                                                     \
        const vec v_ = value;                                                                                \
        if (k_ < LANES || !stream)                                                                           \
            PUT(y, v_);                                                                                      \
        else                                                                                                 \
            v_stream((y) + i_, v_);                                                                          \
    }                                                                                                        \
    if (stream)                                                                                              \
        fm_stream_end();

static void FM(gelu_run)(real *y, const real *x, size_t n, int tanh, int stream)
{
    if (tanh) {
        GELU_RUN(y, FM(gelu)(AT(x), 1))
    } else {
        GELU_RUN(y, FM(gelu)(AT(x), 0))
    }
}

static void FM(gelu_backward_run)(real *dx, const real *g, const real *x, size_t n, int tanh, int stream)
{
    if (tanh) {
        GELU_RUN(dx, v_mul(AT(g), FM(gelu_slope)(AT(x), 1)))
    } else {
        GELU_RUN(dx, v_mul(AT(g), FM(gelu_slope)(AT(x), 0)))
    }
}
