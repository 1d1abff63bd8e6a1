/* What GELU is made of, over logical vectors: the normal tail's Mills ratio, and the exponent of the tanh form.
 * tools/fit_polynomials.py makes the coefficients and constants. */
#ifndef FM_GELU_H
#define FM_GELU_H

#include "simd.h"

/* M(a) = e^(a^2/2) Phi(-a), 0 <= a <= 15 (float) or 39 (double), Phi the normal distribution: (1 + a) M(a) lies between
 * 0.38 and 0.5 and is a polynomial in q = (a - K) / (a + K). It interpolates at Chebyshev's nodes, in degree 10 (K = 3)
 * and 23 (K = 4). Both are half an ulp off with their rounded coefficients. Rejected: quotients of polynomials in a,
 * where every step of Horner's rule adds its rounding, and (K + a) M(a), which saves a division but varies fivefold (3
 * ulp more). */
FM_INLINE v32 v32_mills(v32 a)
{
    const v32 k = v32_set1(3.0f), q = v32_div(v32_sub(a, k), v32_add(a, k));
    v32 p = v32_fma(v32_set1(0x1.8ea972p-15f), q, v32_set1(0x1.e2705cp-17f));
    p = v32_fma(p, q, v32_set1(-0x1.ebe532p-12f));
    p = v32_fma(p, q, v32_set1(-0x1.66cdaap-12f));
    p = v32_fma(p, q, v32_set1(0x1.87eb02p-9f));
    p = v32_fma(p, q, v32_set1(0x1.2eed8ap-10f));
    p = v32_fma(p, q, v32_set1(-0x1.74592p-6f));
    p = v32_fma(p, q, v32_set1(0x1.71fd06p-5f));
    p = v32_fma(p, q, v32_set1(-0x1.0d3a72p-6f));
    p = v32_fma(p, q, v32_set1(-0x1.8b5faap-4f));
    p = v32_fma(p, q, v32_set1(0x1.f1b89cp-2f));
    return v32_div(p, v32_add(a, v32_set1(1.0f)));
}

FM_INLINE v64 v64_mills(v64 a)
{
    static const double c[] = {
        -0x1.b339ed86cc2a1p-31, -0x1.aa40ad3d8f16fp-30, 0x1.ad6f91f8c34f4p-28,  0x1.2fa6fc9cc9f86p-26,
        -0x1.561b689224eb0p-26, -0x1.dce1f3c1eb6eep-24, 0x1.936d652f68a5bp-30,  0x1.285c60b68ebb3p-21,
        0x1.b2500fcf6560fp-22,  -0x1.5eb2ea415428dp-19, -0x1.cca97befd6715p-19, 0x1.c93deb4650a3fp-17,
        0x1.6484447a3b02fp-16,  -0x1.707ba346b3515p-14, -0x1.8c11b68a6b928p-14, 0x1.6c5382b5034bbp-11,
        -0x1.2b7f5dd621291p-12, -0x1.47d5fc7365d66p-8,  0x1.25dd7205f4c0ap-6,   -0x1.07c3c2582d7aep-5,
        0x1.d4969f10e0611p-6,   0x1.cabd72a60faa8p-7,   -0x1.8c18f2086e34dp-4,  0x1.e361ea6fba141p-2,
    };
    const v64 k = v64_set1(4.0), q = v64_div(v64_sub(a, k), v64_add(a, k));
    v64 p = v64_set1(c[0]);
    for (size_t i = 1; i < sizeof c / sizeof *c; i++)
        p = v64_fma(p, q, v64_set1(c[i]));
    return v64_div(p, v64_add(a, v64_set1(1.0)));
}

/* -2 u(a) with u = sqrt(2 / pi) (a + 0.044715 a^3), a >= 0, as the sum of the result and *low: e^(-2u) takes the
 * error of -2u as it is, and at the far end that is 100 (float) or 700 times relative. */
#define FM_TANH_EXPONENT(B, LINEAR, LINEAR_LOW, CUBIC, CUBIC_LOW)                          \
    FM_INLINE v##B v##B##_tanh_exponent(v##B a, v##B *low)                                 \
    {                                                                                      \
        const v##B k1 = v##B##_set1(LINEAR), k3 = v##B##_set1(CUBIC);                      \
        const v##B s = v##B##_mul(a, a), p = v##B##_mul(k3, s), v = v##B##_add(k1, p);     \
        const v##B s_low = v##B##_fma(a, a, v##B##_sub(v##B##_set1(0), s));                \
        v##B p_low = v##B##_fma(k3, s, v##B##_sub(v##B##_set1(0), p));                     \
        p_low = v##B##_fma(v##B##_set1(CUBIC_LOW), s, v##B##_fma(k3, s_low, p_low));       \
        const v##B part = v##B##_sub(v, p); /* of v, what k1 gave */                       \
        v##B v_low = v##B##_add(v##B##_sub(p, v##B##_sub(v, part)), v##B##_sub(k1, part)); \
        v_low = v##B##_add(v_low, v##B##_add(p_low, v##B##_set1(LINEAR_LOW)));             \
        const v##B t = v##B##_mul(a, v);                                                   \
        *low = v##B##_fma(a, v_low, v##B##_fma(a, v, v##B##_sub(v##B##_set1(0), t)));      \
        return t;                                                                          \
    }
FM_TANH_EXPONENT(32, -0x1.988454p+0f, 0x1.857936p-25f, -0x1.2444f2p-4f, -0x1.49b16ap-29f)
FM_TANH_EXPONENT(64, -0x1.9884533d43651p+0, 0x1.cbc0d30ebfd15p-54, -0x1.2444f2a4d8b4bp-4, 0x1.6c843a29d1c70p-61)

#endif
