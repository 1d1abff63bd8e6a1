/* exp, log and log1p over logical vectors.
 *
 * exp(x) = 2^n e^r with n = round(x / ln 2) and |r| <= ln 2 / 2 (ln 2 in two parts, so that r is exact enough);
 * e^r = 1 + (r + r^2 q(r)) with q the minimax polynomial of (e^r - 1 - r) / r^2. Max error 1 ulp, denormal
 * results included; exp(-inf) = 0, exp(NaN) = NaN.
 *
 * log1p follows the scheme of W. Kahan as in FDLIBM's s_log1p.c: u = 1 + s, the rounding error of u is put
 * back as c / u, log(u) = e ln 2 + f - (f^2/2 - t (f^2/2 + R(t^2))), t = f / (2 + f), with R the minimax
 * polynomial of 2 atanh(t) / t - 2. The logarithms are computed in double for both precisions: they are
 * taken once a row, and the library's own must not depend on the system's libm.
 */
#ifndef FM_EXP_H
#define FM_EXP_H

#include "simd.h"

/* exp(x + low), low far below x's last place */
FM_INLINE v32 v32_exp_low(v32 x, v32 low)
{
    x = v32_max(v32_set1(-104.0f), x);
    x = v32_min(v32_set1(89.0f), x);
    const v32 magic = v32_set1(0x1.8p23f);
    const v32 n = v32_sub(v32_fma(x, v32_set1(0x1.715476p+0f), magic), magic);
    v32 r = v32_fnma(n, v32_set1(0x1.62e4p-1f), x);
    r = v32_add(v32_fnma(n, v32_set1(0x1.7f7d1cp-20f), r), low);
    v32 q = v32_fma(v32_set1(0x1.6d754cp-10f), r, v32_set1(0x1.120b72p-7f));
    q = v32_fma(q, r, v32_set1(0x1.5554b8p-5f));
    q = v32_fma(q, r, v32_set1(0x1.5554dcp-3f));
    q = v32_fma(q, r, v32_set1(0.5f));
    q = v32_fma(v32_mul(r, r), q, r);
    return v32_scale2(v32_add(q, v32_set1(1.0f)), n);
}

FM_INLINE v64 v64_exp_low(v64 x, v64 low)
{
    x = v64_max(v64_set1(-746.0), x);
    x = v64_min(v64_set1(710.0), x);
    const v64 magic = v64_set1(0x1.8p52);
    const v64 n = v64_sub(v64_fma(x, v64_set1(0x1.71547652b82fep+0), magic), magic);
    v64 r = v64_fnma(n, v64_set1(0x1.62e42fefa3800p-1), x);
    r = v64_add(v64_fnma(n, v64_set1(0x1.ef35793c76730p-45), r), low);
    v64 q = v64_fma(v64_set1(0x1.1f8b4e34e2489p-29), r, v64_set1(0x1.af4dea17e3fc2p-26));
    q = v64_fma(q, r, v64_set1(0x1.27e4ccccc090bp-22));
    q = v64_fma(q, r, v64_set1(0x1.71de023141a2ep-19));
    q = v64_fma(q, r, v64_set1(0x1.a01a01acfb531p-16));
    q = v64_fma(q, r, v64_set1(0x1.a01a01abe81ccp-13));
    q = v64_fma(q, r, v64_set1(0x1.6c16c16c151fbp-10));
    q = v64_fma(q, r, v64_set1(0x1.11111111100dbp-7));
    q = v64_fma(q, r, v64_set1(0x1.5555555555558p-5));
    q = v64_fma(q, r, v64_set1(0x1.5555555555557p-3));
    q = v64_fma(q, r, v64_set1(0.5));
    q = v64_fma(v64_mul(r, r), q, r);
    return v64_scale2(v64_add(q, v64_set1(1.0)), n);
}

FM_INLINE v32 v32_exp(v32 x) { return v32_exp_low(x, v32_set1(0)); }
FM_INLINE v64 v64_exp(v64 x) { return v64_exp_low(x, v64_set1(0)); }

/* exp(x - m) as of the exact difference: what rounding took from it (Knuth's two-sum) is put back. Without
 * that, 80 below the maximum the rounding of the difference alone is worth 64 ulp of the result. */
#define FM_EXP_DIFF(B, TINY)                                                                                 \
    FM_INLINE v##B v##B##_exp_diff(v##B x, v##B m)                                                           \
    {                                                                                                        \
        const v##B d = v##B##_sub(x, m), b = v##B##_sub(d, x);                                               \
        const v##B low = v##B##_sub(v##B##_sub(x, v##B##_sub(d, b)), v##B##_add(m, b));                      \
        return v##B##_exp_low(d, v##B##_if_lt(d, v##B##_set1(TINY), v##B##_set1(0), low));                   \
    }
FM_EXP_DIFF(32, -105.0f)
FM_EXP_DIFF(64, -747.0)

/* log(u) + c / u for u >= 1, u finite; NaN and infinity in c give NaN. */
FM_INLINE v64 v64_log_above1(v64 u, v64 c)
{
    const v64 half = v64_set1(0.5), one = v64_set1(1.0), root2 = v64_set1(0x1.6a09e667f3bcdp+0);
    v64 e = v64_exponent(u), m = v64_mantissa(u);
    e = v64_if_lt(root2, m, v64_add(e, one), e);
    m = v64_if_lt(root2, m, v64_mul(m, half), m);
    const v64 f = v64_sub(m, one);
    const v64 t = v64_div(f, v64_add(f, v64_set1(2.0)));
    const v64 z = v64_mul(t, t);
    v64 r = v64_fma(v64_set1(0x1.0c113563c87d8p-3), z, v64_set1(0x1.0fbd3cf8b5474p-3));
    r = v64_fma(r, z, v64_set1(0x1.3b1c42c0f431cp-3));
    r = v64_fma(r, z, v64_set1(0x1.745cf8c29479cp-3));
    r = v64_fma(r, z, v64_set1(0x1.c71c7201ff809p-3));
    r = v64_fma(r, z, v64_set1(0x1.2492492476690p-2));
    r = v64_fma(r, z, v64_set1(0x1.9999999999a3ap-2));
    r = v64_fma(r, z, v64_set1(0x1.5555555555555p-1));
    r = v64_mul(r, z);
    const v64 hfsq = v64_mul(half, v64_mul(f, f));
    const v64 low = v64_add(v64_fma(e, v64_set1(0x1.ef35793c76730p-45), v64_div(c, u)), v64_mul(t, v64_add(hfsq, r)));
    return v64_fma(e, v64_set1(0x1.62e42fefa3800p-1), v64_add(v64_sub(f, hfsq), low));
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
FM_INLINE v32 v32_log_sum(v32 count, v32 s)
{
    return v32_narrow(v64_log_sum(v32_wide_lo(count), v32_wide_lo(s)), v64_log_sum(v32_wide_hi(count), v32_wide_hi(s)));
}

#endif
