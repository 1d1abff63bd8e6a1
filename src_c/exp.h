/* exp, log and log1p over logical vectors.
 *
 * exp(x) = 2^n e^r with n = round(x / ln 2) and |r| <= ln 2 / 2 (ln 2 in two parts, so that r is exact enough);
 * e^r = 1 + (r + r^2 q(r)) with q the minimax polynomial of (e^r - 1 - r) / r^2. Max error 1 ulp, denormal
 * results included; exp(-inf) = 0, exp(NaN) = NaN.
 *
 * log1p follows the scheme of W. Kahan as in FDLIBM's s_log1p.c: u = 1 + s, the rounding error of u is put
 * back as c / u, log(u) = e ln 2 + f - (f^2/2 - t (f^2/2 + R(t^2))), t = f / (2 + f), with R the minimax
 * polynomial of 2 atanh(t) / t - 2. Rows take it in double for both precisions, a vector of rows at a time. The
 * library's own logarithm must not depend on the system's libm.
 *
 * tools/fit_polynomials.py makes the coefficients and constants.
 */
#ifndef FM_EXP_H
#define FM_EXP_H

#include "simd.h"

/* (e^r - 1 - r) / r^2 for |r| <= ln 2 / 2, a little more allowed */
FM_INLINE v32 v32_exp_rest(v32 r)
{
    const v32 z = v32_mul(r, r), high = v32_fma(v32_set1(0x1.6b8306p-10f), r, v32_set1(0x1.123068p-7f));
    const v32 low = v32_fma(v32_set1(0x1.555678p-5f), r, v32_set1(0x1.5554a2p-3f));
    return v32_fma(v32_fma(high, z, low), r, v32_set1(0.5f));
}

FM_INLINE v64 v64_exp_rest(v64 r)
{
    v64 q = v64_fma(v64_set1(0x1.1f8b4e34e2489p-29), r, v64_set1(0x1.af4dea17e3fc2p-26));
    q = v64_fma(q, r, v64_set1(0x1.27e4ccccc090bp-22));
    q = v64_fma(q, r, v64_set1(0x1.71de023141a2ep-19));
    q = v64_fma(q, r, v64_set1(0x1.a01a01acfb531p-16));
    q = v64_fma(q, r, v64_set1(0x1.a01a01abe81ccp-13));
    q = v64_fma(q, r, v64_set1(0x1.6c16c16c151fbp-10));
    q = v64_fma(q, r, v64_set1(0x1.11111111100dbp-7));
    q = v64_fma(q, r, v64_set1(0x1.5555555555558p-5));
    q = v64_fma(q, r, v64_set1(0x1.5555555555557p-3));
    return v64_fma(q, r, v64_set1(0.5));
}

/* With n = round(x / ln 2): e^x as (1 + the result) 2^n; e^(x + low) likewise, low being the rounding error of x, which
 * a large x needs. */
#define FM_EXP_PARTS(B, MAGIC, LOG2E, LN2, LN2_LOW)                                                 \
    FM_INLINE v##B v##B##_exp_split(v##B *n, v##B x)                                                \
    {                                                                                               \
        const v##B magic = v##B##_set1(MAGIC);                                                      \
        *n = v##B##_sub(v##B##_fma(x, v##B##_set1(LOG2E), magic), magic);                           \
        const v##B r = v##B##_fnma(*n, v##B##_set1(LN2_LOW), v##B##_fnma(*n, v##B##_set1(LN2), x)); \
        return v##B##_fma(v##B##_mul(r, r), v##B##_exp_rest(r), r);                                 \
    }                                                                                               \
    FM_INLINE v##B v##B##_exp_parts(v##B *n, v##B x, v##B low)                                      \
    {                                                                                               \
        const v##B magic = v##B##_set1(MAGIC);                                                      \
        *n = v##B##_sub(v##B##_fma(x, v##B##_set1(LOG2E), magic), magic);                           \
        low = v##B##_fnma(*n, v##B##_set1(LN2_LOW), low);                                           \
        const v##B r = v##B##_add(v##B##_fnma(*n, v##B##_set1(LN2), x), low);                       \
        return v##B##_fma(v##B##_mul(r, r), v##B##_exp_rest(r), r);                                 \
    }
FM_EXP_PARTS(32, 0x1.8p23f, 0x1.715476p+0f, 0x1.62e4p-1f, 0x1.7f7d1cp-20f)
FM_EXP_PARTS(64, 0x1.8p52, 0x1.71547652b82fep+0, 0x1.62e42fefa3800p-1, 0x1.ef35793c76730p-45)

/* e^x as (the result + *low) 2^n, the result rounded once: 1 + (x - n ln 2) keeps what rounding takes from it. */
FM_INLINE v32 v32_exp_pair(v32 *n, v32 *low, v32 x)
{
    const v32 magic = v32_set1(0x1.8p23f), one = v32_set1(1), ln2_low = v32_set1(0x1.7f7d1cp-20f);
    *n = v32_sub(v32_fma(x, v32_set1(0x1.715476p+0f), magic), magic);
    const v32 exact = v32_fnma(*n, v32_set1(0x1.62e4p-1f), x), r = v32_fnma(*n, ln2_low, exact);
    const v32 sum = v32_add(one, exact);
    v32 rest = v32_fnma(*n, ln2_low, v32_add(v32_sub(one, sum), exact));
    rest = v32_fma(v32_mul(r, r), v32_exp_rest(r), rest);
    const v32 e = v32_add(sum, rest);
    *low = v32_add(v32_sub(sum, e), rest);
    return e;
}

FM_INLINE v32 v32_exp(v32 x)
{
    v32 n;
    const v32 p = v32_exp_split(&n, v32_min(v32_set1(89.0f), v32_max(v32_set1(-112.0f), x)));
    return v32_scale2(v32_add(p, v32_set1(1.0f)), n);
}
FM_INLINE v64 v64_exp(v64 x)
{
    v64 n;
    const v64 p = v64_exp_split(&n, v64_min(v64_set1(710.0), v64_max(v64_set1(-755.0), x)));
    return v64_scale2(v64_add(p, v64_set1(1.0)), n);
}

/* The exponentials of entries x <= max relative to one power of two near e^max: e^x 2^-n0, which is between 0.7
 * 2^FM_RAISE and 1.5 2^FM_RAISE for max. No difference x - max is taken, whose rounding alone would be worth 64 ulp of
 * the result 80 below the maximum. Raised, every exponential that counts is a normal number, so that nothing underflows
 * on the way to a result; v_lowered takes the raise away. What is further down is taken for `floor`, whose power is 0.
 * Where |max| is large the origin is the maximum itself: there the difference is exact for every entry that counts. NaN
 * in x or max, and an infinite max, give NaN.
 *
 * v_scaled_parts gives such an exponential as power (1 + main + rest), whose parts are exact but for rest's last
 * digits, v_scaled as one number within 1.2 units in 2^24 (2^53); sums take the parts. */
#define FM_RAISE_32 27
#define FM_RAISE_64 58
#define FM_SCALED_EXP(B, FAR, MAGIC, BIAS, LN2, LN2_LOW)                                                               \
    typedef struct {                                                                                                   \
        v##B origin, floor, shift;                                                                                     \
    } scale##B;                                                                                                        \
    typedef struct {                                                                                                   \
        v##B power, main, rest;                                                                                        \
    } exp##B;                                                                                                          \
    FM_INLINE scale##B v##B##_scale(v##B max)                                                                          \
    {                                                                                                                  \
        const v##B zero = v##B##_set1(0), magic = v##B##_set1(MAGIC);                                                  \
        scale##B s;                                                                                                    \
        s.origin = v##B##_if_lt(v##B##_max(max, v##B##_sub(zero, max)), v##B##_set1(FAR), zero, max);                  \
        const v##B z = v##B##_fma(v##B##_sub(max, s.origin), v##B##_set1(0x1.71547652b82fep+0), magic);                \
        s.shift = v##B##_sub(z, v##B##_set1(MAGIC + (FM_RAISE_##B + BIAS)));                                           \
        s.floor = v##B##_mul(s.shift, v##B##_set1(0x1.62e42fefa39efp-1));                                              \
        return s;                                                                                                      \
    }                                                                                                                  \
    FM_INLINE exp##B v##B##_scaled_parts(v##B x, scale##B s)                                                           \
    {                                                                                                                  \
        const v##B magic = v##B##_set1(MAGIC), d = v##B##_max(s.floor, v##B##_sub(x, s.origin));                       \
        const v##B z = v##B##_fma(d, v##B##_set1(0x1.71547652b82fep+0), magic), n = v##B##_sub(z, magic);              \
        const v##B main = v##B##_fnma(n, v##B##_set1(LN2), d), left = v##B##_mul(n, v##B##_set1(-LN2_LOW));            \
        const v##B r = v##B##_add(main, left);                                                                         \
        return (exp##B){v##B##_power(v##B##_sub(z, s.shift)), main,                                                    \
                        v##B##_fma(v##B##_mul(r, r), v##B##_exp_rest(r), left)};                                       \
    }                                                                                                                  \
    FM_ALWAYS_INLINE v##B v##B##_joined(exp##B e) { return v##B##_fma(v##B##_add(e.main, e.rest), e.power, e.power); } \
    FM_INLINE v##B v##B##_scaled(v##B x, scale##B s) { return v##B##_joined(v##B##_scaled_parts(x, s)); }              \
    FM_INLINE v##B v##B##_lowered(v##B y) { return v##B##_mul(y, v##B##_set1(1.0f / (1LL << FM_RAISE_##B))); }
FM_SCALED_EXP(32, 256.0f, 0x1.8p23f, 127, 0x1.62e4p-1f, 0x1.7f7d1cp-20f)
FM_SCALED_EXP(64, 2048.0, 0x1.8p52, 1023, 0x1.62e42fefa3800p-1, 0x1.ef35793c76730p-45)

/* 2 atanh(t) / t - 2, z being t^2, |t| < 0.172. */
FM_INLINE v64 v64_atanh_rest(v64 z)
{
    v64 r = v64_fma(v64_set1(0x1.0c113563c87d8p-3), z, v64_set1(0x1.0fbd3cf8b5474p-3));
    r = v64_fma(r, z, v64_set1(0x1.3b1c42c0f431cp-3));
    r = v64_fma(r, z, v64_set1(0x1.745cf8c29479cp-3));
    r = v64_fma(r, z, v64_set1(0x1.c71c7201ff809p-3));
    r = v64_fma(r, z, v64_set1(0x1.2492492476690p-2));
    r = v64_fma(r, z, v64_set1(0x1.9999999999a3ap-2));
    r = v64_fma(r, z, v64_set1(0x1.5555555555555p-1));
    return v64_mul(r, z);
}

/* e ln 2 + log(1 + f) + c for sqrt(1/2) <= 1 + f <= sqrt(2), c small beside the rest or the rest 0. */
FM_INLINE v64 v64_log_near1(v64 e, v64 f, v64 c)
{
    const v64 t = v64_div(f, v64_add(f, v64_set1(2.0)));
    const v64 r = v64_atanh_rest(v64_mul(t, t));
    const v64 hfsq = v64_mul(v64_set1(0.5), v64_mul(f, f));
    const v64 low = v64_add(v64_fma(e, v64_set1(0x1.ef35793c76730p-45), c), v64_mul(t, v64_add(hfsq, r)));
    return v64_fma(e, v64_set1(0x1.62e42fefa3800p-1), v64_add(v64_sub(f, hfsq), low));
}
/* The same in float: 2 atanh(t) / t - 2 to t^8 is exact enough. */
FM_INLINE v32 v32_log_near1(v32 e, v32 f, v32 c)
{
    const v32 t = v32_div(f, v32_add(f, v32_set1(2.0f)));
    const v32 z = v32_mul(t, t);
    v32 r = v32_fma(v32_set1(0x1.c71c72p-3f), z, v32_set1(0x1.24924ap-2f));
    r = v32_fma(r, z, v32_set1(0x1.99999ap-2f));
    r = v32_fma(r, z, v32_set1(0x1.555556p-1f));
    const v32 hfsq = v32_mul(v32_set1(0.5f), v32_mul(f, f));
    const v32 low = v32_fma(t, v32_fma(r, z, hfsq), v32_fma(e, v32_set1(0x1.7f7d1cp-20f), c));
    return v32_fma(e, v32_set1(0x1.62e4p-1f), v32_sub(f, v32_sub(hfsq, low)));
}
/* The same as the result + *low, e >= 0. */
FM_INLINE v32 v32_log_near1_pair(v32 e, v32 f, v32 c, v32 *low)
{
    const v32 t = v32_div(f, v32_add(f, v32_set1(2.0f))), z = v32_mul(t, t);
    v32 r = v32_fma(v32_set1(0x1.c71c72p-3f), z, v32_set1(0x1.24924ap-2f));
    r = v32_fma(r, z, v32_set1(0x1.99999ap-2f));
    r = v32_fma(r, z, v32_set1(0x1.555556p-1f));
    const v32 half = v32_mul(v32_set1(0.5f), f), hfsq = v32_mul(half, f);
    const v32 small = v32_fma(t, v32_fma(r, z, hfsq), v32_fma(e, v32_set1(0x1.7f7d1cp-20f), c));
    const v32 whole = v32_mul(e, v32_set1(0x1.62e4p-1f)), high = v32_add(whole, f);
    const v32 rest = v32_add(v32_sub(f, v32_sub(high, whole)), v32_fnma(half, f, small)), sum = v32_add(high, rest);
    *low = v32_sub(rest, v32_sub(sum, high));
    return sum;
}

/* log(x) for any x: -inf at 0, NaN below, denormals included. Max error 1.5 ulp. */
#define FM_LOG(B, LEAST, UP, SHIFT, ROOT2)                                                         \
    FM_INLINE v##B v##B##_log(v##B x)                                                              \
    {                                                                                              \
        const v##B zero = v##B##_set1(0), one = v##B##_set1(1), least = v##B##_set1(LEAST);        \
        const v##B root2 = v##B##_set1(ROOT2), inf = v##B##_set1(INFINITY);                        \
        const v##B y = v##B##_if_lt(x, least, v##B##_mul(x, v##B##_set1(UP)), x);                  \
        v##B e = v##B##_sub(v##B##_exponent(y), v##B##_if_lt(x, least, v##B##_set1(SHIFT), zero)); \
        v##B m = v##B##_mantissa(y);                                                               \
        e = v##B##_if_lt(root2, m, v##B##_add(e, one), e);                                         \
        m = v##B##_if_lt(root2, m, v##B##_mul(m, v##B##_set1(0.5)), m);                            \
        const v##B r = v##B##_log_near1(e, v##B##_sub(m, one), zero);                              \
        const v##B other = v##B##_if_eq(x, zero, v##B##_sub(zero, inf), v##B##_set1(NAN));         \
        return v##B##_if_lt(zero, x, v##B##_if_lt(x, inf, r, x), other);                           \
    }
FM_LOG(32, 0x1p-126f, 0x1p24f, 24, 0x1.6a09e6p+0f)
FM_LOG(64, 0x1p-1022, 0x1p54, 54, 0x1.6a09e667f3bcdp+0)

/* log(u) + c / u for u >= 1, u finite; NaN and infinity in c give NaN. */
FM_INLINE v64 v64_log_above1(v64 u, v64 c)
{
    const v64 one = v64_set1(1.0), root2 = v64_set1(0x1.6a09e667f3bcdp+0);
    v64 e = v64_exponent(u), m = v64_mantissa(u);
    e = v64_if_lt(root2, m, v64_add(e, one), e);
    m = v64_if_lt(root2, m, v64_mul(m, v64_set1(0.5)), m);
    return v64_log_near1(e, v64_sub(m, one), v64_div(c, u));
}

/* log(1 + s) for s >= 0. */
FM_INLINE v64 v64_log1p(v64 s)
{
    const v64 one = v64_set1(1.0), u = v64_add(one, s);
    const v64 big = v64_sub(one, v64_sub(u, s)), small = v64_sub(s, v64_sub(u, one));
    return v64_log_above1(u, v64_if_lt(s, one, small, big));
}

/* log(count + s), count a whole number >= 1, without losing a small s: log(count) + log1p(s / count). */
FM_INLINE v64 v64_log_sum(v64 count, v64 s)
{
    if (v64_max_lane(count) == 1.0) /* no ties: the same bits without the first half */
        return v64_log1p(s);
    return v64_add(v64_log1p(v64_sub(count, v64_set1(1.0))), v64_log1p(v64_div(s, count)));
}
/* log(count + s + s_low) as the result + *low, a lane each, where columns need it for every vector. */
FM_INLINE v64 v64_log_sum_pair(v64 count, v64 s, v64 s_low, v64 *low)
{
    *low = v64_set1(0);
    return v64_log_sum(count, v64_add(s, s_low));
}
/* In float the logarithm itself has two parts: within 0.3 ulp. */
FM_INLINE v32 v32_log_sum_pair(v32 count, v32 s, v32 s_low, v32 *low)
{
    const v32 one = v32_set1(1.0f), root2 = v32_set1(0x1.6a09e6p+0f);
    const v32 u = v32_add(count, s);
    const v32 c = v32_if_lt(s, count, v32_sub(s, v32_sub(u, count)), v32_sub(count, v32_sub(u, s)));
    v32 e = v32_exponent(u), m = v32_mantissa(u);
    e = v32_if_lt(root2, m, v32_add(e, one), e);
    m = v32_if_lt(root2, m, v32_mul(m, v32_set1(0.5f)), m);
    const v32 inverse = v32_div(one, u), log = v32_log_near1_pair(e, v32_sub(m, one), v32_mul(c, inverse), low);
    *low = v32_fma(s_low, inverse, *low);
    return log;
}

#endif
