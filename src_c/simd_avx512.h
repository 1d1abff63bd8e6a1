/* x86-64-v4: one 512-bit register holds a logical vector. */
#include <immintrin.h>

#define FM_PARTS 1
#define FM_NATIVE_TAILS
#define FM_NATIVE_SCALE
#include "simd_square.h"
typedef __m512 n32;
typedef __m512d n64;

#define FM_NATIVE(B, S)                                                                                  \
    FM_INLINE n##B n##B##_add(n##B a, n##B b) { return _mm512_add_##S(a, b); }                           \
    FM_INLINE n##B n##B##_sub(n##B a, n##B b) { return _mm512_sub_##S(a, b); }                           \
    FM_INLINE n##B n##B##_mul(n##B a, n##B b) { return _mm512_mul_##S(a, b); }                           \
    FM_INLINE n##B n##B##_div(n##B a, n##B b) { return _mm512_div_##S(a, b); }                           \
    FM_INLINE n##B n##B##_fma(n##B a, n##B b, n##B c) { return _mm512_fmadd_##S(a, b, c); }              \
    FM_INLINE n##B n##B##_fnma(n##B a, n##B b, n##B c) { return _mm512_fnmadd_##S(a, b, c); }            \
    FM_INLINE n##B n##B##_sqrt(n##B a) { return _mm512_sqrt_##S(a); }                                    \
    FM_INLINE n##B n##B##_max(n##B a, n##B b) { return _mm512_max_##S(a, b); }                           \
    FM_INLINE n##B n##B##_min(n##B a, n##B b) { return _mm512_min_##S(a, b); }                           \
    FM_INLINE n##B n##B##_scale1(n##B p, n##B n) { return _mm512_scalef_##S(p, n); }                     \
    FM_INLINE n##B n##B##_scale_any(n##B p, n##B n) { return _mm512_scalef_##S(p, n); }                  \
    FM_INLINE n##B n##B##_if_lt(n##B a, n##B b, n##B x, n##B y)                                          \
    {                                                                                                    \
        return _mm512_mask_blend_##S(_mm512_cmp_##S##_mask(a, b, _CMP_LT_OQ), y, x);                     \
    }                                                                                                    \
    FM_INLINE n##B n##B##_if_eq(n##B a, n##B b, n##B x, n##B y)                                          \
    {                                                                                                    \
        return _mm512_mask_blend_##S(_mm512_cmp_##S##_mask(a, b, _CMP_EQ_OQ), y, x);                     \
    }                                                                                                    \
    FM_INLINE n##B n##B##_unless_lt(n##B a, n##B b, n##B x)                                              \
    {                                                                                                    \
        return _mm512_maskz_mov_##S(_mm512_cmp_##S##_mask(a, b, _CMP_NLT_UQ), x);                        \
    }                                                                                                    \
    FM_INLINE n##B n##B##_abs(n##B a) { return _mm512_abs_##S(a); }                                      \
    FM_INLINE n##B n##B##_copysign(n##B a, n##B b)                                                       \
    {                                                                                                    \
        const n##B sign = n##B##_set1(-0.0);                                                             \
        return _mm512_or_##S(_mm512_and_##S(b, sign), _mm512_andnot_##S(sign, a));                       \
    }                                                                                                    \
    FM_INLINE int n##B##_any_lt(n##B a, n##B b) { return _mm512_cmp_##S##_mask(a, b, _CMP_LT_OQ) != 0; } \
    FM_INLINE int n##B##_count_eq(n##B a, n##B b)                                                        \
    {                                                                                                    \
        return __builtin_popcount((unsigned)_mm512_cmp_##S##_mask(a, b, _CMP_EQ_OQ));                    \
    }
FM_INLINE n32 n32_set1(float x) { return _mm512_set1_ps(x); }
FM_INLINE n64 n64_set1(double x) { return _mm512_set1_pd(x); }
FM_NATIVE(32, ps)
FM_NATIVE(64, pd)
#undef FM_NATIVE

FM_INLINE n32 n32_pick(const n32 *table, n32 shifted)
{
    return _mm512_permutexvar_ps(_mm512_castps_si512(shifted), *table);
}
FM_INLINE n32 n32_load(const float *x) { return _mm512_loadu_ps(x); }
FM_INLINE n64 n64_load(const double *x) { return _mm512_loadu_pd(x); }
FM_INLINE void n32_store(float *y, n32 a) { _mm512_storeu_ps(y, a); }
FM_INLINE void n64_store(double *y, n64 a) { _mm512_storeu_pd(y, a); }
FM_INLINE void n32_stream(float *y, n32 a) { _mm512_stream_ps(y, a); }
FM_INLINE void n64_stream(double *y, n64 a) { _mm512_stream_pd(y, a); }
FM_INLINE void fm_stream_end(void) { _mm_sfence(); }

FM_INLINE n32 n32_load_n(const float *x, size_t n, float fill)
{
    return _mm512_mask_loadu_ps(_mm512_set1_ps(fill), (__mmask16)((1u << n) - 1), x);
}
FM_INLINE n64 n64_load_n(const double *x, size_t n, double fill)
{
    return _mm512_mask_loadu_pd(_mm512_set1_pd(fill), (__mmask8)((1u << n) - 1), x);
}
FM_INLINE void n32_store_n(float *y, size_t n, n32 a) { _mm512_mask_storeu_ps(y, (__mmask16)((1u << n) - 1), a); }
FM_INLINE void n64_store_n(double *y, size_t n, n64 a) { _mm512_mask_storeu_pd(y, (__mmask8)((1u << n) - 1), a); }
FM_INLINE n32 n32_keep_n(n32 a, size_t n) { return _mm512_maskz_mov_ps((__mmask16)((1u << n) - 1), a); }
FM_INLINE n64 n64_keep_n(n64 a, size_t n) { return _mm512_maskz_mov_pd((__mmask8)((1u << n) - 1), a); }

FM_INLINE n32 n32_power(n32 shifted)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_castps_si512(shifted), 23));
}
FM_INLINE n64 n64_power(n64 shifted)
{
    return _mm512_castsi512_pd(_mm512_slli_epi64(_mm512_castpd_si512(shifted), 52));
}

/* Four pieces of 128 bits, `step` apart, and one of them */
FM_INLINE n32 n32_pieces(const float *x, size_t step)
{
    const n32 two = _mm512_insertf32x4(_mm512_castps128_ps512(_mm_loadu_ps(x)), _mm_loadu_ps(x + step), 1);
    return _mm512_insertf32x4(_mm512_insertf32x4(two, _mm_loadu_ps(x + 2 * step), 2), _mm_loadu_ps(x + 3 * step), 3);
}
FM_INLINE n64 n64_pieces(const double *x, size_t step)
{
    const n64 two = _mm512_insertf64x2(_mm512_castpd128_pd512(_mm_loadu_pd(x)), _mm_loadu_pd(x + step), 1);
    return _mm512_insertf64x2(_mm512_insertf64x2(two, _mm_loadu_pd(x + 2 * step), 2), _mm_loadu_pd(x + 3 * step), 3);
}
#define n32_piece(a, i) _mm512_extractf32x4_ps(a, i)
#define n64_piece(a, i) _mm512_extractf64x2_pd(a, i)
#define n32_put_piece _mm_storeu_ps
#define n64_put_piece _mm_storeu_pd
FM_INLINE n32 n32_zip_lo(n32 a, n32 b) { return _mm512_unpacklo_ps(a, b); }
FM_INLINE n32 n32_zip_hi(n32 a, n32 b) { return _mm512_unpackhi_ps(a, b); }
FM_INLINE n64 n64_zip_lo(n64 a, n64 b) { return _mm512_unpacklo_pd(a, b); }
FM_INLINE n64 n64_zip_hi(n64 a, n64 b) { return _mm512_unpackhi_pd(a, b); }
FM_INLINE n32 n32_zip2_lo(n32 a, n32 b) { return _mm512_shuffle_ps(a, b, 0x44); }
FM_INLINE n32 n32_zip2_hi(n32 a, n32 b) { return _mm512_shuffle_ps(a, b, 0xEE); }

FM_INLINE float n32_first(n32 a) { return _mm512_cvtss_f32(a); }
FM_INLINE double n64_first(n64 a) { return _mm512_cvtsd_f64(a); }

FM_INLINE float n32_sum(n32 a)
{
    __m256 b = _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
    __m128 c = _mm_add_ps(_mm256_castps256_ps128(b), _mm256_extractf128_ps(b, 1));
    c = _mm_add_ps(c, _mm_movehl_ps(c, c));
    return _mm_cvtss_f32(_mm_add_ss(c, _mm_movehdup_ps(c)));
}
FM_INLINE double n64_sum(n64 a)
{
    __m256d b = _mm256_add_pd(_mm512_castpd512_pd256(a), _mm512_extractf64x4_pd(a, 1));
    __m128d c = _mm_add_pd(_mm256_castpd256_pd128(b), _mm256_extractf128_pd(b, 1));
    return _mm_cvtsd_f64(_mm_add_sd(c, _mm_unpackhi_pd(c, c)));
}
FM_INLINE float n32_max_lane(n32 a)
{
    __m256 b = _mm256_max_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
    __m128 c = _mm_max_ps(_mm256_castps256_ps128(b), _mm256_extractf128_ps(b, 1));
    c = _mm_max_ps(c, _mm_movehl_ps(c, c));
    return _mm_cvtss_f32(_mm_max_ss(c, _mm_movehdup_ps(c)));
}
FM_INLINE double n64_max_lane(n64 a)
{
    __m256d b = _mm256_max_pd(_mm512_castpd512_pd256(a), _mm512_extractf64x4_pd(a, 1));
    __m128d c = _mm_max_pd(_mm256_castpd256_pd128(b), _mm256_extractf128_pd(b, 1));
    return _mm_cvtsd_f64(_mm_max_sd(c, _mm_unpackhi_pd(c, c)));
}

FM_INLINE n64 n64_load_wide(const float *x) { return _mm512_cvtps_pd(_mm256_loadu_ps(x)); }
FM_INLINE n64 n32_wide_lo(n32 a) { return _mm512_cvtps_pd(_mm512_castps512_ps256(a)); }
FM_INLINE n64 n32_wide_hi(n32 a) { return _mm512_cvtps_pd(_mm512_extractf32x8_ps(a, 1)); }
FM_INLINE n32 n32_narrow(n64 lo, n64 hi)
{
    return _mm512_insertf32x8(_mm512_castps256_ps512(_mm512_cvtpd_ps(lo)), _mm512_cvtpd_ps(hi), 1);
}

FM_INLINE n32 n32_exponent(n32 a) { return _mm512_getexp_ps(a); }
FM_INLINE n32 n32_mantissa(n32 a) { return _mm512_getmant_ps(a, _MM_MANT_NORM_1_2, _MM_MANT_SIGN_src); }
FM_INLINE n64 n64_exponent(n64 a) { return _mm512_getexp_pd(a); }
FM_INLINE n64 n64_mantissa(n64 a) { return _mm512_getmant_pd(a, _MM_MANT_NORM_1_2, _MM_MANT_SIGN_src); }

typedef __m512i nw;
#define FM_WORD_LANES {0, 16, 4, 20, 8, 24, 12, 28}
FM_INLINE nw nw_set1(uint64_t x) { return _mm512_set1_epi64((long long)x); }
FM_INLINE nw nw_load(const uint64_t *x) { return _mm512_loadu_si512(x); }
FM_INLINE void nw_store(uint32_t *y, nw a) { _mm512_storeu_si512(y, a); }
FM_INLINE nw nw_add(nw a, nw b) { return _mm512_add_epi64(a, b); }
FM_INLINE nw nw_mul(nw a, nw b) { return _mm512_mul_epu32(a, b); }
FM_INLINE nw nw_xor3(nw a, nw b, nw c) { return _mm512_ternarylogic_epi64(a, b, c, 0x96); }
FM_INLINE nw nw_shr2(nw a) { return _mm512_srli_epi64(a, 2); }
FM_INLINE nw nw_shr32(nw a) { return _mm512_srli_epi64(a, 32); }
FM_INLINE nw nw_pair(nw a, nw b) { return _mm512_mask_shuffle_epi32(a, 0xAAAA, b, 0xA0); }
FM_INLINE nw nw_zip_lo(nw a, nw b) { return _mm512_unpacklo_epi64(a, b); }
FM_INLINE nw nw_zip_hi(nw a, nw b) { return _mm512_unpackhi_epi64(a, b); }
FM_INLINE n32 n32_keep_ge(nw u, nw t, n32 a) { return _mm512_maskz_mov_ps(_mm512_cmpge_epu32_mask(u, t), a); }
FM_INLINE n64 n64_keep_ge_lo(nw u, nw t, n64 a)
{
    return _mm512_maskz_mov_pd((__mmask8)_mm512_cmpge_epu32_mask(u, t), a);
}
FM_INLINE n64 n64_keep_ge_hi(nw u, nw t, n64 a)
{
    return _mm512_maskz_mov_pd((__mmask8)(_mm512_cmpge_epu32_mask(u, t) >> 8), a);
}
FM_ALWAYS_INLINE unsigned nw_ge_bits(nw u, nw t) { return _mm512_cmpge_epu32_mask(u, t); }
FM_INLINE n32 n32_keep_bits(unsigned bits, n32 a) { return _mm512_maskz_mov_ps((__mmask16)bits, a); }
FM_INLINE n64 n64_keep_bits(unsigned bits, n64 a) { return _mm512_maskz_mov_pd((__mmask8)bits, a); }

/* A square of registers turned: lane j of x[i] becomes lane i of x[j]. */
FM_INLINE void n32_turn(n32 x[16])
{
    n32 y[16];
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) { /* quarters of rows i, i + 4, i + 8 and i + 12 */
        const n32 a = _mm512_shuffle_f32x4(x[i], x[i + 4], 0x44), b = _mm512_shuffle_f32x4(x[i + 8], x[i + 12], 0x44);
        const n32 c = _mm512_shuffle_f32x4(x[i], x[i + 4], 0xEE), d = _mm512_shuffle_f32x4(x[i + 8], x[i + 12], 0xEE);
        y[i] = _mm512_shuffle_f32x4(a, b, 0x88), y[i + 4] = _mm512_shuffle_f32x4(a, b, 0xDD);
        y[i + 8] = _mm512_shuffle_f32x4(c, d, 0x88), y[i + 12] = _mm512_shuffle_f32x4(c, d, 0xDD);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 16; i += 4) {
        const n32 a = _mm512_unpacklo_ps(y[i], y[i + 1]), b = _mm512_unpackhi_ps(y[i], y[i + 1]);
        const n32 c = _mm512_unpacklo_ps(y[i + 2], y[i + 3]), d = _mm512_unpackhi_ps(y[i + 2], y[i + 3]);
        x[i] = _mm512_shuffle_ps(a, c, 0x44), x[i + 1] = _mm512_shuffle_ps(a, c, 0xEE);
        x[i + 2] = _mm512_shuffle_ps(b, d, 0x44), x[i + 3] = _mm512_shuffle_ps(b, d, 0xEE);
    }
}
FM_INLINE void n64_turn(n64 x[8])
{
    n64 y[8];
#pragma GCC unroll 2
    for (int i = 0; i < 2; i++) { /* quarters of rows i, i + 2, i + 4 and i + 6 */
        const n64 a = _mm512_shuffle_f64x2(x[i], x[i + 2], 0x44), b = _mm512_shuffle_f64x2(x[i + 4], x[i + 6], 0x44);
        const n64 c = _mm512_shuffle_f64x2(x[i], x[i + 2], 0xEE), d = _mm512_shuffle_f64x2(x[i + 4], x[i + 6], 0xEE);
        y[i] = _mm512_shuffle_f64x2(a, b, 0x88), y[i + 2] = _mm512_shuffle_f64x2(a, b, 0xDD);
        y[i + 4] = _mm512_shuffle_f64x2(c, d, 0x88), y[i + 6] = _mm512_shuffle_f64x2(c, d, 0xDD);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 8; i += 2) {
        x[i] = _mm512_unpacklo_pd(y[i], y[i + 1]);
        x[i + 1] = _mm512_unpackhi_pd(y[i], y[i + 1]);
    }
}
