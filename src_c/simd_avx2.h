/* x86-64-v3: two 256-bit registers hold a logical vector. */
#include <immintrin.h>

#define FM_PARTS 2
#define FM_NATIVE_TAILS
#include "simd_square.h"
typedef __m256 n32;
typedef __m256d n64;

#define FM_NATIVE(B, S)                                                                                           \
    FM_INLINE n##B n##B##_add(n##B a, n##B b) { return _mm256_add_##S(a, b); }                                    \
    FM_INLINE n##B n##B##_sub(n##B a, n##B b) { return _mm256_sub_##S(a, b); }                                    \
    FM_INLINE n##B n##B##_mul(n##B a, n##B b) { return _mm256_mul_##S(a, b); }                                    \
    FM_INLINE n##B n##B##_div(n##B a, n##B b) { return _mm256_div_##S(a, b); }                                    \
    FM_INLINE n##B n##B##_fma(n##B a, n##B b, n##B c) { return _mm256_fmadd_##S(a, b, c); }                       \
    FM_INLINE n##B n##B##_fnma(n##B a, n##B b, n##B c) { return _mm256_fnmadd_##S(a, b, c); }                     \
    FM_INLINE n##B n##B##_sqrt(n##B a) { return _mm256_sqrt_##S(a); }                                             \
    FM_INLINE n##B n##B##_max(n##B a, n##B b) { return _mm256_max_##S(a, b); }                                    \
    FM_INLINE n##B n##B##_min(n##B a, n##B b) { return _mm256_min_##S(a, b); }                                    \
    FM_INLINE n##B n##B##_if_lt(n##B a, n##B b, n##B x, n##B y)                                                   \
    {                                                                                                             \
        return _mm256_blendv_##S(y, x, _mm256_cmp_##S(a, b, _CMP_LT_OQ));                                         \
    }                                                                                                             \
    FM_INLINE n##B n##B##_if_eq(n##B a, n##B b, n##B x, n##B y)                                                   \
    {                                                                                                             \
        return _mm256_blendv_##S(y, x, _mm256_cmp_##S(a, b, _CMP_EQ_OQ));                                         \
    }                                                                                                             \
    FM_INLINE n##B n##B##_unless_lt(n##B a, n##B b, n##B x)                                                       \
    {                                                                                                             \
        return _mm256_andnot_##S(_mm256_cmp_##S(a, b, _CMP_LT_OQ), x);                                            \
    }                                                                                                             \
    FM_INLINE n##B n##B##_abs(n##B a) { return _mm256_andnot_##S(n##B##_set1(-0.0), a); }                         \
    FM_INLINE n##B n##B##_copysign(n##B a, n##B b)                                                                \
    {                                                                                                             \
        return _mm256_or_##S(_mm256_and_##S(b, n##B##_set1(-0.0)), n##B##_abs(a));                                \
    }                                                                                                             \
    FM_INLINE int n##B##_any_lt(n##B a, n##B b) { return _mm256_movemask_##S(_mm256_cmp_##S(a, b, _CMP_LT_OQ)); } \
    FM_INLINE int n##B##_count_eq(n##B a, n##B b)                                                                 \
    {                                                                                                             \
        return __builtin_popcount((unsigned)_mm256_movemask_##S(_mm256_cmp_##S(a, b, _CMP_EQ_OQ)));               \
    }
FM_INLINE n32 n32_set1(float x) { return _mm256_set1_ps(x); }
FM_INLINE n64 n64_set1(double x) { return _mm256_set1_pd(x); }
FM_NATIVE(32, ps)
FM_NATIVE(64, pd)
#undef FM_NATIVE

/* The permutation reads three bits of the number; the fourth, made the sign, chooses the half. */
FM_INLINE n32 n32_pick(const n32 *table, n32 shifted)
{
    const __m256i i = _mm256_castps_si256(shifted);
    return _mm256_blendv_ps(_mm256_permutevar8x32_ps(table[0], i), _mm256_permutevar8x32_ps(table[1], i),
                            _mm256_castsi256_ps(_mm256_slli_epi32(i, 28)));
}
FM_INLINE n32 n32_load(const float *x) { return _mm256_loadu_ps(x); }
FM_INLINE n64 n64_load(const double *x) { return _mm256_loadu_pd(x); }
FM_INLINE void n32_store(float *y, n32 a) { _mm256_storeu_ps(y, a); }
FM_INLINE void n64_store(double *y, n64 a) { _mm256_storeu_pd(y, a); }
FM_INLINE void n32_stream(float *y, n32 a) { _mm256_stream_ps(y, a); }
FM_INLINE void n64_stream(double *y, n64 a) { _mm256_stream_pd(y, a); }
FM_INLINE void fm_stream_end(void) { _mm_sfence(); }

static const int32_t fm_first_lanes[16] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};
FM_INLINE __m256i n32_mask(size_t n) { return _mm256_loadu_si256((const __m256i *)(fm_first_lanes + 8 - n)); }
FM_INLINE __m256i n64_mask(size_t n) { return _mm256_loadu_si256((const __m256i *)(fm_first_lanes + 8 - 2 * n)); }

FM_INLINE n32 n32_load_n(const float *x, size_t n, float fill)
{
    const __m256i m = n32_mask(n);
    return _mm256_blendv_ps(_mm256_set1_ps(fill), _mm256_maskload_ps(x, m), _mm256_castsi256_ps(m));
}
FM_INLINE n64 n64_load_n(const double *x, size_t n, double fill)
{
    const __m256i m = n64_mask(n);
    return _mm256_blendv_pd(_mm256_set1_pd(fill), _mm256_maskload_pd(x, m), _mm256_castsi256_pd(m));
}
FM_INLINE void n32_store_n(float *y, size_t n, n32 a) { _mm256_maskstore_ps(y, n32_mask(n), a); }
FM_INLINE void n64_store_n(double *y, size_t n, n64 a) { _mm256_maskstore_pd(y, n64_mask(n), a); }
FM_INLINE n32 n32_keep_n(n32 a, size_t n) { return _mm256_and_ps(a, _mm256_castsi256_ps(n32_mask(n))); }
FM_INLINE n64 n64_keep_n(n64 a, size_t n) { return _mm256_and_pd(a, _mm256_castsi256_pd(n64_mask(n))); }

FM_INLINE n32 n32_power(n32 shifted)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(shifted), 23));
}
FM_INLINE n64 n64_power(n64 shifted)
{
    return _mm256_castsi256_pd(_mm256_slli_epi64(_mm256_castpd_si256(shifted), 52));
}
/* 2^n, n in the low bits of `shifted` (a whole number plus 1.5 2^23 or 1.5 2^52) */
FM_INLINE n32 n32_pow2(n32 shifted)
{
    return _mm256_castsi256_ps(
        _mm256_add_epi32(_mm256_slli_epi32(_mm256_castps_si256(shifted), 23), _mm256_set1_epi32(127 << 23)));
}
FM_INLINE n64 n64_pow2(n64 shifted)
{
    return _mm256_castsi256_pd(
        _mm256_add_epi64(_mm256_slli_epi64(_mm256_castpd_si256(shifted), 52), _mm256_set1_epi64x(1023LL << 52)));
}

/* Two pieces of 128 bits, `step` apart, and one of them */
FM_INLINE n32 n32_pieces(const float *x, size_t step)
{
    return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(x)), _mm_loadu_ps(x + step), 1);
}
FM_INLINE n64 n64_pieces(const double *x, size_t step)
{
    return _mm256_insertf128_pd(_mm256_castpd128_pd256(_mm_loadu_pd(x)), _mm_loadu_pd(x + step), 1);
}
#define n32_piece(a, i) _mm256_extractf128_ps(a, i)
#define n64_piece(a, i) _mm256_extractf128_pd(a, i)
#define n32_put_piece _mm_storeu_ps
#define n64_put_piece _mm_storeu_pd
FM_INLINE n32 n32_zip_lo(n32 a, n32 b) { return _mm256_unpacklo_ps(a, b); }
FM_INLINE n32 n32_zip_hi(n32 a, n32 b) { return _mm256_unpackhi_ps(a, b); }
FM_INLINE n64 n64_zip_lo(n64 a, n64 b) { return _mm256_unpacklo_pd(a, b); }
FM_INLINE n64 n64_zip_hi(n64 a, n64 b) { return _mm256_unpackhi_pd(a, b); }
FM_INLINE n32 n32_zip2_lo(n32 a, n32 b) { return _mm256_shuffle_ps(a, b, 0x44); }
FM_INLINE n32 n32_zip2_hi(n32 a, n32 b) { return _mm256_shuffle_ps(a, b, 0xEE); }

FM_INLINE float n32_first(n32 a) { return _mm256_cvtss_f32(a); }
FM_INLINE double n64_first(n64 a) { return _mm256_cvtsd_f64(a); }

FM_INLINE float n32_sum(n32 a)
{
    __m128 c = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    c = _mm_add_ps(c, _mm_movehl_ps(c, c));
    return _mm_cvtss_f32(_mm_add_ss(c, _mm_movehdup_ps(c)));
}
FM_INLINE double n64_sum(n64 a)
{
    __m128d c = _mm_add_pd(_mm256_castpd256_pd128(a), _mm256_extractf128_pd(a, 1));
    return _mm_cvtsd_f64(_mm_add_sd(c, _mm_unpackhi_pd(c, c)));
}
FM_INLINE float n32_max_lane(n32 a)
{
    __m128 c = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    c = _mm_max_ps(c, _mm_movehl_ps(c, c));
    return _mm_cvtss_f32(_mm_max_ss(c, _mm_movehdup_ps(c)));
}
FM_INLINE double n64_max_lane(n64 a)
{
    __m128d c = _mm_max_pd(_mm256_castpd256_pd128(a), _mm256_extractf128_pd(a, 1));
    return _mm_cvtsd_f64(_mm_max_sd(c, _mm_unpackhi_pd(c, c)));
}

FM_INLINE n64 n64_load_wide(const float *x) { return _mm256_cvtps_pd(_mm_loadu_ps(x)); }
FM_INLINE n64 n32_wide_lo(n32 a) { return _mm256_cvtps_pd(_mm256_castps256_ps128(a)); }
FM_INLINE n64 n32_wide_hi(n32 a) { return _mm256_cvtps_pd(_mm256_extractf128_ps(a, 1)); }
FM_INLINE n32 n32_narrow(n64 lo, n64 hi) { return _mm256_set_m128(_mm256_cvtpd_ps(hi), _mm256_cvtpd_ps(lo)); }

FM_INLINE n32 n32_exponent(n32 a)
{
    return _mm256_cvtepi32_ps(_mm256_sub_epi32(_mm256_srli_epi32(_mm256_castps_si256(a), 23), _mm256_set1_epi32(127)));
}
FM_INLINE n32 n32_mantissa(n32 a)
{
    const n32 fraction = _mm256_castsi256_ps(_mm256_set1_epi32(0x007FFFFF));
    return _mm256_or_ps(_mm256_and_ps(a, fraction), n32_set1(1.0f));
}
FM_INLINE n64 n64_exponent(n64 a)
{
    const __m256i biased = _mm256_srli_epi64(_mm256_castpd_si256(a), 52);
    const n64 shifted = _mm256_or_pd(_mm256_castsi256_pd(biased), n64_set1(0x1p52));
    return n64_sub(shifted, n64_set1(0x1p52 + 1023));
}
FM_INLINE n64 n64_mantissa(n64 a)
{
    const n64 fraction = _mm256_castsi256_pd(_mm256_set1_epi64x(0x000FFFFFFFFFFFFFLL));
    return _mm256_or_pd(_mm256_and_pd(a, fraction), n64_set1(1.0));
}

typedef __m256i nw;
#define FM_WORD_LANES {0, 8, 4, 12, 16, 24, 20, 28}
FM_INLINE nw nw_set1(uint64_t x) { return _mm256_set1_epi64x((long long)x); }
FM_INLINE nw nw_load(const uint64_t *x) { return _mm256_loadu_si256((const __m256i *)x); }
FM_INLINE void nw_store(uint32_t *y, nw a) { _mm256_storeu_si256((__m256i *)y, a); }
FM_INLINE nw nw_add(nw a, nw b) { return _mm256_add_epi64(a, b); }
FM_INLINE nw nw_mul(nw a, nw b) { return _mm256_mul_epu32(a, b); }
FM_INLINE nw nw_xor3(nw a, nw b, nw c) { return _mm256_xor_si256(_mm256_xor_si256(b, c), a); }
FM_INLINE nw nw_shr2(nw a) { return _mm256_srli_epi64(a, 2); }
FM_INLINE nw nw_shr32(nw a) { return _mm256_srli_epi64(a, 32); }
FM_INLINE nw nw_pair(nw a, nw b) { return _mm256_blend_epi32(a, _mm256_slli_epi64(b, 32), 0xAA); }
FM_INLINE nw nw_zip_lo(nw a, nw b) { return _mm256_unpacklo_epi64(a, b); }
FM_INLINE nw nw_zip_hi(nw a, nw b) { return _mm256_unpackhi_epi64(a, b); }
FM_INLINE nw nw_ge(nw u, nw t) { return _mm256_cmpeq_epi32(_mm256_max_epu32(u, t), u); }
FM_INLINE n32 n32_keep_ge(nw u, nw t, n32 a) { return _mm256_and_ps(_mm256_castsi256_ps(nw_ge(u, t)), a); }
FM_INLINE n64 n64_keep_ge_lo(nw u, nw t, n64 a)
{
    const nw keep = _mm256_cvtepi32_epi64(_mm256_castsi256_si128(nw_ge(u, t)));
    return _mm256_and_pd(_mm256_castsi256_pd(keep), a);
}
FM_INLINE n64 n64_keep_ge_hi(nw u, nw t, n64 a)
{
    const nw keep = _mm256_cvtepi32_epi64(_mm256_extracti128_si256(nw_ge(u, t), 1));
    return _mm256_and_pd(_mm256_castsi256_pd(keep), a);
}
FM_ALWAYS_INLINE unsigned nw_ge_bits(nw u, nw t)
{
    return (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(nw_ge(u, t)));
}
FM_INLINE nw nw_has(nw bits, nw lane) { return _mm256_cmpeq_epi32(_mm256_and_si256(bits, lane), lane); }
FM_INLINE n32 n32_keep_bits(nw bits, nw lane, n32 a)
{
    return _mm256_and_ps(_mm256_castsi256_ps(nw_has(bits, lane)), a);
}
FM_INLINE n64 n64_keep_bits(nw bits, nw lane, n64 a)
{
    return _mm256_and_pd(_mm256_castsi256_pd(nw_has(bits, lane)), a);
}
