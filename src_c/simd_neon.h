/* aarch64: four 128-bit registers hold a logical vector. max, min and the comparisons are written with
 * selects, because NEON's own fmax spreads NaN where x86 takes the second operand. */
#include <arm_neon.h>

#define FM_PARTS 4
typedef float32x4_t n32;
typedef float64x2_t n64;

#define FM_NATIVE(B, S)                                                                                               \
    FM_INLINE n##B n##B##_add(n##B a, n##B b) { return vaddq_##S(a, b); }                                             \
    FM_INLINE n##B n##B##_sub(n##B a, n##B b) { return vsubq_##S(a, b); }                                             \
    FM_INLINE n##B n##B##_mul(n##B a, n##B b) { return vmulq_##S(a, b); }                                             \
    FM_INLINE n##B n##B##_div(n##B a, n##B b) { return vdivq_##S(a, b); }                                             \
    FM_INLINE n##B n##B##_fma(n##B a, n##B b, n##B c) { return vfmaq_##S(c, a, b); }                                  \
    FM_INLINE n##B n##B##_fnma(n##B a, n##B b, n##B c) { return vfmsq_##S(c, a, b); }                                 \
    FM_INLINE n##B n##B##_sqrt(n##B a) { return vsqrtq_##S(a); }                                                      \
    FM_INLINE n##B n##B##_max(n##B a, n##B b) { return vbslq_##S(vcgtq_##S(a, b), a, b); }                            \
    FM_INLINE n##B n##B##_min(n##B a, n##B b) { return vbslq_##S(vcltq_##S(a, b), a, b); }                            \
    FM_INLINE n##B n##B##_if_lt(n##B a, n##B b, n##B x, n##B y) { return vbslq_##S(vcltq_##S(a, b), x, y); }          \
    FM_INLINE n##B n##B##_if_eq(n##B a, n##B b, n##B x, n##B y) { return vbslq_##S(vceqq_##S(a, b), x, y); }          \
    FM_INLINE n##B n##B##_unless_lt(n##B a, n##B b, n##B x) { return vbslq_##S(vcltq_##S(a, b), n##B##_set1(0), x); } \
    FM_INLINE n##B n##B##_abs(n##B a) { return vabsq_##S(a); }
FM_INLINE n32 n32_set1(float x) { return vdupq_n_f32(x); }
FM_INLINE n64 n64_set1(double x) { return vdupq_n_f64(x); }
FM_NATIVE(32, f32)
FM_NATIVE(64, f64)
#undef FM_NATIVE
FM_INLINE int n32_any_lt(n32 a, n32 b) { return vmaxvq_u32(vcltq_f32(a, b)) != 0; }
FM_INLINE int n64_any_lt(n64 a, n64 b) { return vmaxvq_u32(vreinterpretq_u32_u64(vcltq_f64(a, b))) != 0; }
FM_INLINE n32 n32_copysign(n32 a, n32 b) { return vbslq_f32(vdupq_n_u32(1U << 31), b, a); }
FM_INLINE n64 n64_copysign(n64 a, n64 b) { return vbslq_f64(vdupq_n_u64(1ULL << 63), b, a); }
FM_INLINE n32 n32_pick(const n32 *table, n32 shifted)
{
    const uint32x4_t i = vandq_u32(vreinterpretq_u32_f32(shifted), vdupq_n_u32(15));
    const uint8x16_t byte = vreinterpretq_u8_u32(vmlaq_n_u32(vdupq_n_u32(0x03020100), i, 0x04040404));
    uint8x16x4_t bytes;
    for (int k = 0; k < 4; k++)
        bytes.val[k] = vreinterpretq_u8_f32(table[k]);
    return vreinterpretq_f32_u8(vqtbl4q_u8(bytes, byte));
}
FM_INLINE int n32_count_eq(n32 a, n32 b) { return (int)vaddvq_u32(vshrq_n_u32(vceqq_f32(a, b), 31)); }
FM_INLINE int n64_count_eq(n64 a, n64 b) { return (int)vaddvq_u64(vshrq_n_u64(vceqq_f64(a, b), 63)); }

FM_INLINE n32 n32_load(const float *x) { return vld1q_f32(x); }
FM_INLINE n64 n64_load(const double *x) { return vld1q_f64(x); }
FM_INLINE void n32_store(float *y, n32 a) { vst1q_f32(y, a); }
FM_INLINE void n64_store(double *y, n64 a) { vst1q_f64(y, a); }
/* No 128-bit store past the caches among the intrinsics: aarch64 cores detect streams themselves. */
FM_INLINE void n32_stream(float *y, n32 a) { vst1q_f32(y, a); }
FM_INLINE void n64_stream(double *y, n64 a) { vst1q_f64(y, a); }
FM_INLINE void fm_stream_end(void) {}

FM_INLINE n32 n32_power(n32 shifted) { return vreinterpretq_f32_s32(vshlq_n_s32(vreinterpretq_s32_f32(shifted), 23)); }
FM_INLINE n64 n64_power(n64 shifted) { return vreinterpretq_f64_s64(vshlq_n_s64(vreinterpretq_s64_f64(shifted), 52)); }
/* 2^n, n in the low bits of `shifted` (a whole number plus 1.5 2^23 or 1.5 2^52) */
FM_INLINE n32 n32_pow2(n32 shifted)
{
    return vreinterpretq_f32_s32(vaddq_s32(vshlq_n_s32(vreinterpretq_s32_f32(shifted), 23), vdupq_n_s32(127 << 23)));
}
FM_INLINE n64 n64_pow2(n64 shifted)
{
    return vreinterpretq_f64_s64(vaddq_s64(vshlq_n_s64(vreinterpretq_s64_f64(shifted), 52), vdupq_n_s64(1023LL << 52)));
}

FM_INLINE n32 n32_pieces(const float *x, size_t step) { return (void)step, n32_load(x); }
FM_INLINE n64 n64_pieces(const double *x, size_t step) { return (void)step, n64_load(x); }
#define n32_piece(a, i) (a)
#define n64_piece(a, i) (a)
#define n32_put_piece n32_store
#define n64_put_piece n64_store
FM_INLINE n32 n32_zip_lo(n32 a, n32 b) { return vzip1q_f32(a, b); }
FM_INLINE n32 n32_zip_hi(n32 a, n32 b) { return vzip2q_f32(a, b); }
FM_INLINE n64 n64_zip_lo(n64 a, n64 b) { return vzip1q_f64(a, b); }
FM_INLINE n64 n64_zip_hi(n64 a, n64 b) { return vzip2q_f64(a, b); }
FM_INLINE n32 n32_zip2_lo(n32 a, n32 b) { return vcombine_f32(vget_low_f32(a), vget_low_f32(b)); }
FM_INLINE n32 n32_zip2_hi(n32 a, n32 b) { return vcombine_f32(vget_high_f32(a), vget_high_f32(b)); }

FM_INLINE float n32_first(n32 a) { return vgetq_lane_f32(a, 0); }
FM_INLINE double n64_first(n64 a) { return vgetq_lane_f64(a, 0); }
FM_INLINE float n32_sum(n32 a)
{
    const n32 b = vaddq_f32(a, vextq_f32(a, a, 2));
    return vgetq_lane_f32(b, 0) + vgetq_lane_f32(b, 1);
}
FM_INLINE double n64_sum(n64 a) { return vgetq_lane_f64(a, 0) + vgetq_lane_f64(a, 1); }
FM_INLINE float n32_max_lane(n32 a)
{
    const n32 b = n32_max(a, vextq_f32(a, a, 2));
    const float x = vgetq_lane_f32(b, 0), y = vgetq_lane_f32(b, 1);
    return x > y ? x : y;
}
FM_INLINE double n64_max_lane(n64 a)
{
    const double x = vgetq_lane_f64(a, 0), y = vgetq_lane_f64(a, 1);
    return x > y ? x : y;
}

FM_INLINE n64 n64_load_wide(const float *x) { return vcvt_f64_f32(vld1_f32(x)); }
FM_INLINE n64 n32_wide_lo(n32 a) { return vcvt_f64_f32(vget_low_f32(a)); }
FM_INLINE n64 n32_wide_hi(n32 a) { return vcvt_high_f64_f32(a); }
FM_INLINE n32 n32_narrow(n64 lo, n64 hi) { return vcvt_high_f32_f64(vcvt_f32_f64(lo), hi); }

FM_INLINE n32 n32_exponent(n32 a)
{
    const uint32x4_t biased = vshrq_n_u32(vreinterpretq_u32_f32(a), 23);
    return n32_sub(vcvtq_f32_u32(biased), n32_set1(127));
}
FM_INLINE n32 n32_mantissa(n32 a)
{
    const uint32x4_t fraction = vandq_u32(vreinterpretq_u32_f32(a), vdupq_n_u32(0x007FFFFF));
    return vreinterpretq_f32_u32(vorrq_u32(fraction, vreinterpretq_u32_f32(n32_set1(1.0f))));
}
FM_INLINE n64 n64_exponent(n64 a)
{
    const uint64x2_t biased = vshrq_n_u64(vreinterpretq_u64_f64(a), 52);
    return n64_sub(vcvtq_f64_u64(biased), n64_set1(1023));
}
FM_INLINE n64 n64_mantissa(n64 a)
{
    const uint64x2_t fraction = vandq_u64(vreinterpretq_u64_f64(a), vdupq_n_u64(0x000FFFFFFFFFFFFFULL));
    return vreinterpretq_f64_u64(vorrq_u64(fraction, vreinterpretq_u64_f64(n64_set1(1.0))));
}

typedef uint64x2_t nw;
#define FM_WORD_LANES {0, 4, 8, 12, 16, 20, 24, 28}
FM_INLINE nw nw_set1(uint64_t x) { return vdupq_n_u64(x); }
FM_INLINE nw nw_load(const uint64_t *x) { return vld1q_u64(x); }
FM_INLINE void nw_store(uint32_t *y, nw a) { vst1q_u32(y, vreinterpretq_u32_u64(a)); }
FM_INLINE nw nw_add(nw a, nw b) { return vaddq_u64(a, b); }
FM_INLINE nw nw_mul(nw a, nw b) { return vmull_u32(vmovn_u64(a), vmovn_u64(b)); }
FM_INLINE nw nw_xor3(nw a, nw b, nw c) { return veorq_u64(veorq_u64(b, c), a); }
FM_INLINE nw nw_shr2(nw a) { return vshrq_n_u64(a, 2); }
FM_INLINE nw nw_shr32(nw a) { return vshrq_n_u64(a, 32); }
FM_INLINE nw nw_pair(nw a, nw b)
{
    return vreinterpretq_u64_u32(vtrn1q_u32(vreinterpretq_u32_u64(a), vreinterpretq_u32_u64(b)));
}
FM_INLINE nw nw_zip_lo(nw a, nw b) { return vzip1q_u64(a, b); }
FM_INLINE nw nw_zip_hi(nw a, nw b) { return vzip2q_u64(a, b); }
FM_INLINE uint32x4_t nw_ge(nw u, nw t) { return vcgeq_u32(vreinterpretq_u32_u64(u), vreinterpretq_u32_u64(t)); }
FM_INLINE n32 n32_keep_ge(nw u, nw t, n32 a)
{
    return vreinterpretq_f32_u32(vandq_u32(nw_ge(u, t), vreinterpretq_u32_f32(a)));
}
FM_INLINE n64 n64_keep_ge_lo(nw u, nw t, n64 a)
{
    const uint64x2_t keep = vreinterpretq_u64_s64(vmovl_s32(vreinterpret_s32_u32(vget_low_u32(nw_ge(u, t)))));
    return vreinterpretq_f64_u64(vandq_u64(keep, vreinterpretq_u64_f64(a)));
}
FM_INLINE n64 n64_keep_ge_hi(nw u, nw t, n64 a)
{
    const uint64x2_t keep = vreinterpretq_u64_s64(vmovl_high_s32(vreinterpretq_s32_u32(nw_ge(u, t))));
    return vreinterpretq_f64_u64(vandq_u64(keep, vreinterpretq_u64_f64(a)));
}
FM_ALWAYS_INLINE unsigned nw_ge_bits(nw u, nw t)
{
    static const uint32_t lane[4] = {1, 2, 4, 8};
    return vaddvq_u32(vandq_u32(nw_ge(u, t), vld1q_u32(lane)));
}
FM_INLINE n32 n32_keep_bits(nw bits, nw lane, n32 a)
{
    const uint32x4_t keep = vtstq_u32(vreinterpretq_u32_u64(bits), vreinterpretq_u32_u64(lane));
    return vreinterpretq_f32_u32(vandq_u32(keep, vreinterpretq_u32_f32(a)));
}
FM_INLINE n64 n64_keep_bits(nw bits, nw lane, n64 a)
{
    return vreinterpretq_f64_u64(vandq_u64(vtstq_u64(bits, lane), vreinterpretq_u64_f64(a)));
}

/* dst[j * to + i] = src[i * from + j] for a square of v32_square floats or v64_square doubles a side. */
#define v32_square 4
#define v64_square 2
FM_INLINE void v32_transpose(float *dst, ptrdiff_t to, const float *src, ptrdiff_t from)
{
    const float32x4x2_t ab = vtrnq_f32(vld1q_f32(src), vld1q_f32(src + from));
    const float32x4x2_t cd = vtrnq_f32(vld1q_f32(src + 2 * from), vld1q_f32(src + 3 * from));
    vst1q_f32(dst, vcombine_f32(vget_low_f32(ab.val[0]), vget_low_f32(cd.val[0])));
    vst1q_f32(dst + to, vcombine_f32(vget_low_f32(ab.val[1]), vget_low_f32(cd.val[1])));
    vst1q_f32(dst + 2 * to, vcombine_f32(vget_high_f32(ab.val[0]), vget_high_f32(cd.val[0])));
    vst1q_f32(dst + 3 * to, vcombine_f32(vget_high_f32(ab.val[1]), vget_high_f32(cd.val[1])));
}
FM_INLINE void v64_transpose(double *dst, ptrdiff_t to, const double *src, ptrdiff_t from)
{
    const float64x2_t a = vld1q_f64(src), b = vld1q_f64(src + from);
    vst1q_f64(dst, vzip1q_f64(a, b));
    vst1q_f64(dst + to, vzip2q_f64(a, b));
}
