/* Baseline x86-64: four 128-bit registers hold a logical vector; no FMA, so fma rounds twice. */
#include <emmintrin.h>

#define FM_PARTS 4
typedef __m128 n32;
typedef __m128d n64;

#define FM_NATIVE(B, S)                                                                                              \
    FM_INLINE n##B n##B##_add(n##B a, n##B b) { return _mm_add_##S(a, b); }                                          \
    FM_INLINE n##B n##B##_sub(n##B a, n##B b) { return _mm_sub_##S(a, b); }                                          \
    FM_INLINE n##B n##B##_mul(n##B a, n##B b) { return _mm_mul_##S(a, b); }                                          \
    FM_INLINE n##B n##B##_div(n##B a, n##B b) { return _mm_div_##S(a, b); }                                          \
    FM_INLINE n##B n##B##_fma(n##B a, n##B b, n##B c) { return _mm_add_##S(_mm_mul_##S(a, b), c); }                  \
    FM_INLINE n##B n##B##_fnma(n##B a, n##B b, n##B c) { return _mm_sub_##S(c, _mm_mul_##S(a, b)); }                 \
    FM_INLINE n##B n##B##_sqrt(n##B a) { return _mm_sqrt_##S(a); }                                                   \
    FM_INLINE n##B n##B##_max(n##B a, n##B b) { return _mm_max_##S(a, b); }                                          \
    FM_INLINE n##B n##B##_min(n##B a, n##B b) { return _mm_min_##S(a, b); }                                          \
    FM_INLINE n##B n##B##_choose(n##B m, n##B x, n##B y)                                                             \
    {                                                                                                                \
        return _mm_or_##S(_mm_and_##S(m, x), _mm_andnot_##S(m, y));                                                  \
    }                                                                                                                \
    FM_INLINE n##B n##B##_if_lt(n##B a, n##B b, n##B x, n##B y) { return n##B##_choose(_mm_cmplt_##S(a, b), x, y); } \
    FM_INLINE n##B n##B##_if_eq(n##B a, n##B b, n##B x, n##B y) { return n##B##_choose(_mm_cmpeq_##S(a, b), x, y); } \
    FM_INLINE n##B n##B##_unless_lt(n##B a, n##B b, n##B x) { return _mm_andnot_##S(_mm_cmplt_##S(a, b), x); }       \
    FM_INLINE n##B n##B##_abs(n##B a) { return _mm_andnot_##S(n##B##_set1(-0.0), a); }                               \
    FM_INLINE n##B n##B##_copysign(n##B a, n##B b)                                                                   \
    {                                                                                                                \
        return _mm_or_##S(_mm_and_##S(b, n##B##_set1(-0.0)), n##B##_abs(a));                                         \
    }                                                                                                                \
    FM_INLINE int n##B##_any_lt(n##B a, n##B b) { return _mm_movemask_##S(_mm_cmplt_##S(a, b)); }                    \
    FM_INLINE int n##B##_count_eq(n##B a, n##B b)                                                                    \
    {                                                                                                                \
        return __builtin_popcount((unsigned)_mm_movemask_##S(_mm_cmpeq_##S(a, b)));                                  \
    }
FM_INLINE n32 n32_set1(float x) { return _mm_set1_ps(x); }
FM_INLINE n64 n64_set1(double x) { return _mm_set1_pd(x); }
FM_NATIVE(32, ps)
FM_NATIVE(64, pd)
#undef FM_NATIVE

FM_INLINE n32 n32_pick(const n32 *table, n32 shifted)
{
    const float *entry = (const float *)table;
    int32_t i[4];
    _mm_storeu_si128((__m128i *)i, _mm_castps_si128(shifted));
    return _mm_setr_ps(entry[i[0] & 15], entry[i[1] & 15], entry[i[2] & 15], entry[i[3] & 15]);
}
FM_INLINE n32 n32_load(const float *x) { return _mm_loadu_ps(x); }
FM_INLINE n64 n64_load(const double *x) { return _mm_loadu_pd(x); }
FM_INLINE void n32_store(float *y, n32 a) { _mm_storeu_ps(y, a); }
FM_INLINE void n64_store(double *y, n64 a) { _mm_storeu_pd(y, a); }
FM_INLINE void n32_stream(float *y, n32 a) { _mm_stream_ps(y, a); }
FM_INLINE void n64_stream(double *y, n64 a) { _mm_stream_pd(y, a); }
FM_INLINE void fm_stream_end(void) { _mm_sfence(); }

FM_INLINE n32 n32_power(n32 shifted) { return _mm_castsi128_ps(_mm_slli_epi32(_mm_castps_si128(shifted), 23)); }
FM_INLINE n64 n64_power(n64 shifted) { return _mm_castsi128_pd(_mm_slli_epi64(_mm_castpd_si128(shifted), 52)); }
/* 2^n, n in the low bits of `shifted` (a whole number plus 1.5 2^23 or 1.5 2^52) */
FM_INLINE n32 n32_pow2(n32 shifted)
{
    return _mm_castsi128_ps(_mm_add_epi32(_mm_slli_epi32(_mm_castps_si128(shifted), 23), _mm_set1_epi32(127 << 23)));
}
FM_INLINE n64 n64_pow2(n64 shifted)
{
    return _mm_castsi128_pd(
        _mm_add_epi64(_mm_slli_epi64(_mm_castpd_si128(shifted), 52), _mm_set1_epi64x(1023LL << 52)));
}

FM_INLINE n32 n32_pieces(const float *x, size_t step) { return (void)step, n32_load(x); }
FM_INLINE n64 n64_pieces(const double *x, size_t step) { return (void)step, n64_load(x); }
#define n32_piece(a, i) (a)
#define n64_piece(a, i) (a)
#define n32_put_piece n32_store
#define n64_put_piece n64_store
FM_INLINE n32 n32_zip_lo(n32 a, n32 b) { return _mm_unpacklo_ps(a, b); }
FM_INLINE n32 n32_zip_hi(n32 a, n32 b) { return _mm_unpackhi_ps(a, b); }
FM_INLINE n64 n64_zip_lo(n64 a, n64 b) { return _mm_unpacklo_pd(a, b); }
FM_INLINE n64 n64_zip_hi(n64 a, n64 b) { return _mm_unpackhi_pd(a, b); }
FM_INLINE n32 n32_zip2_lo(n32 a, n32 b) { return _mm_movelh_ps(a, b); }
FM_INLINE n32 n32_zip2_hi(n32 a, n32 b) { return _mm_movehl_ps(b, a); }

FM_INLINE float n32_first(n32 a) { return _mm_cvtss_f32(a); }
FM_INLINE double n64_first(n64 a) { return _mm_cvtsd_f64(a); }
FM_INLINE float n32_sum(n32 c)
{
    c = _mm_add_ps(c, _mm_movehl_ps(c, c));
    return _mm_cvtss_f32(_mm_add_ss(c, _mm_shuffle_ps(c, c, 1)));
}
FM_INLINE double n64_sum(n64 c) { return _mm_cvtsd_f64(_mm_add_sd(c, _mm_unpackhi_pd(c, c))); }
FM_INLINE float n32_max_lane(n32 c)
{
    c = _mm_max_ps(c, _mm_movehl_ps(c, c));
    return _mm_cvtss_f32(_mm_max_ss(c, _mm_shuffle_ps(c, c, 1)));
}
FM_INLINE double n64_max_lane(n64 c) { return _mm_cvtsd_f64(_mm_max_sd(c, _mm_unpackhi_pd(c, c))); }

FM_INLINE n64 n64_load_wide(const float *x)
{
    return _mm_cvtps_pd(_mm_castsi128_ps(_mm_loadl_epi64((const __m128i *)x)));
}
FM_INLINE n64 n32_wide_lo(n32 a) { return _mm_cvtps_pd(a); }
FM_INLINE n64 n32_wide_hi(n32 a) { return _mm_cvtps_pd(_mm_movehl_ps(a, a)); }
FM_INLINE n32 n32_narrow(n64 lo, n64 hi) { return _mm_movelh_ps(_mm_cvtpd_ps(lo), _mm_cvtpd_ps(hi)); }

FM_INLINE n32 n32_exponent(n32 a)
{
    return _mm_cvtepi32_ps(_mm_sub_epi32(_mm_srli_epi32(_mm_castps_si128(a), 23), _mm_set1_epi32(127)));
}
FM_INLINE n32 n32_mantissa(n32 a)
{
    const n32 fraction = _mm_castsi128_ps(_mm_set1_epi32(0x007FFFFF));
    return _mm_or_ps(_mm_and_ps(a, fraction), n32_set1(1.0f));
}
FM_INLINE n64 n64_exponent(n64 a)
{
    const __m128i biased = _mm_srli_epi64(_mm_castpd_si128(a), 52);
    const n64 shifted = _mm_or_pd(_mm_castsi128_pd(biased), n64_set1(0x1p52));
    return n64_sub(shifted, n64_set1(0x1p52 + 1023));
}
FM_INLINE n64 n64_mantissa(n64 a)
{
    const n64 fraction = _mm_castsi128_pd(_mm_set1_epi64x(0x000FFFFFFFFFFFFFLL));
    return _mm_or_pd(_mm_and_pd(a, fraction), n64_set1(1.0));
}

typedef __m128i nw;
#define FM_WORD_LANES {0, 4, 8, 12, 16, 20, 24, 28}
FM_INLINE nw nw_set1(uint64_t x) { return _mm_set1_epi64x((long long)x); }
FM_INLINE nw nw_load(const uint64_t *x) { return _mm_loadu_si128((const __m128i *)x); }
FM_INLINE void nw_store(uint32_t *y, nw a) { _mm_storeu_si128((__m128i *)y, a); }
FM_INLINE nw nw_add(nw a, nw b) { return _mm_add_epi64(a, b); }
FM_INLINE nw nw_mul(nw a, nw b) { return _mm_mul_epu32(a, b); }
FM_INLINE nw nw_xor3(nw a, nw b, nw c) { return _mm_xor_si128(_mm_xor_si128(b, c), a); }
FM_INLINE nw nw_shr2(nw a) { return _mm_srli_epi64(a, 2); }
FM_INLINE nw nw_shr32(nw a) { return _mm_srli_epi64(a, 32); }
FM_INLINE nw nw_pair(nw a, nw b) { return _mm_unpacklo_epi32(_mm_shuffle_epi32(a, 0xE8), _mm_shuffle_epi32(b, 0xE8)); }
FM_INLINE nw nw_zip_lo(nw a, nw b) { return _mm_unpacklo_epi64(a, b); }
FM_INLINE nw nw_zip_hi(nw a, nw b) { return _mm_unpackhi_epi64(a, b); }
/* Only signed comparison: both sides move by half the range. */
FM_INLINE nw nw_lt(nw u, nw t)
{
    const nw half = _mm_set1_epi32(INT32_MIN);
    return _mm_cmpgt_epi32(_mm_xor_si128(t, half), _mm_xor_si128(u, half));
}
FM_INLINE n32 n32_keep_ge(nw u, nw t, n32 a) { return _mm_andnot_ps(_mm_castsi128_ps(nw_lt(u, t)), a); }
FM_INLINE n64 n64_keep_ge_lo(nw u, nw t, n64 a)
{
    return _mm_andnot_pd(_mm_castsi128_pd(_mm_shuffle_epi32(nw_lt(u, t), 0x50)), a);
}
FM_INLINE n64 n64_keep_ge_hi(nw u, nw t, n64 a)
{
    return _mm_andnot_pd(_mm_castsi128_pd(_mm_shuffle_epi32(nw_lt(u, t), 0xFA)), a);
}
FM_ALWAYS_INLINE unsigned nw_ge_bits(nw u, nw t)
{
    return 15 ^ (unsigned)_mm_movemask_ps(_mm_castsi128_ps(nw_lt(u, t)));
}
FM_INLINE nw nw_has(nw bits, nw lane) { return _mm_cmpeq_epi32(_mm_and_si128(bits, lane), lane); }
FM_INLINE n32 n32_keep_bits(nw bits, nw lane, n32 a) { return _mm_and_ps(_mm_castsi128_ps(nw_has(bits, lane)), a); }
FM_INLINE n64 n64_keep_bits(nw bits, nw lane, n64 a) { return _mm_and_pd(_mm_castsi128_pd(nw_has(bits, lane)), a); }

/* dst[j * to + i] = src[i * from + j] for a square of v32_square floats or v64_square doubles a side. */
#define v32_square 4
#define v64_square 2
FM_INLINE void v32_transpose(float *dst, ptrdiff_t to, const float *src, ptrdiff_t from)
{
    n32 a = n32_load(src), b = n32_load(src + from), c = n32_load(src + 2 * from), d = n32_load(src + 3 * from);
    _MM_TRANSPOSE4_PS(a, b, c, d);
    n32_store(dst, a);
    n32_store(dst + to, b);
    n32_store(dst + 2 * to, c);
    n32_store(dst + 3 * to, d);
}
FM_INLINE void v64_transpose(double *dst, ptrdiff_t to, const double *src, ptrdiff_t from)
{
    const n64 a = n64_load(src), b = n64_load(src + from);
    n64_store(dst, _mm_unpacklo_pd(a, b));
    n64_store(dst + to, _mm_unpackhi_pd(a, b));
}
