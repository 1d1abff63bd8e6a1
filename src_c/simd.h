/* The logical vectors and their operations; the only file with intrinsics.
 *
 * v32 holds 16 floats and v64 holds 8 doubles on every target: a struct of native registers (one 512-bit,
 * two 256-bit or four 128-bit ones). The width is the same everywhere, every multiply-add is one explicit
 * FMA and every fold across lanes is one fixed tree, so AVX-512, AVX2 + FMA and NEON give the same bits.
 * Baseline x86-64 has no FMA instruction: there fma rounds twice and results may differ in the last place.
 *
 * A target defines its native operations (n32_*, n64_*); the lifted ones (v32_*, v64_*) are made from them
 * below. Rejected: GCC's vector extension with one 64-byte type, which AVX2 lowers through the stack (five
 * times slower), and arrays indexed by a loop, which older compilers keep in memory.
 */
#ifndef FM_SIMD_H
#define FM_SIMD_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A target compiled for size (setup.py: the baseline, four registers to a vector) calls what the others inline, but for
 * a few instructions of the innermost loops. */
#define FM_ALWAYS_INLINE static inline __attribute__((always_inline, unused))
#ifdef __OPTIMIZE_SIZE__
#define FM_INLINE static inline __attribute__((unused))
#else
#define FM_INLINE FM_ALWAYS_INLINE
#endif
/* One function for all calls: gcc makes copies for those whose arguments it knows. */
#ifdef __clang__
#define FM_ONCE static __attribute__((noinline))
#else
#define FM_ONCE static __attribute__((noinline, noclone))
#endif

#if defined(__AVX512F__) && defined(__AVX512DQ__) && defined(__AVX512BW__) && defined(__AVX512VL__)
#include "simd_avx512.h"
#elif defined(__AVX2__) && defined(__FMA__)
#include "simd_avx2.h"
#elif defined(__aarch64__)
#include "simd_neon.h"
#elif defined(__x86_64__)
#include "simd_sse2.h"
#else
#error "fastml has no SIMD target for this processor"
#endif

#ifndef FM_NATIVE_SCALE
FM_INLINE n32 n32_scale1(n32 p, n32 n) { return n32_mul(p, n32_pow2(n32_add(n, n32_set1(0x1.8p23f)))); }
FM_INLINE n64 n64_scale1(n64 p, n64 n) { return n64_mul(p, n64_pow2(n64_add(n, n64_set1(0x1.8p52)))); }
/* In two exact-or-once-rounded steps: n = a + b, each a power within the exponent's range. */
FM_INLINE n32 n32_scale_any(n32 p, n32 n)
{
    const n32 magic = n32_set1(0x1.8p23f);
    const n32 a = n32_fma(n, n32_set1(0.5f), magic);
    const n32 b = n32_add(n32_sub(n, n32_sub(a, magic)), magic);
    return n32_mul(n32_mul(p, n32_pow2(a)), n32_pow2(b));
}
FM_INLINE n64 n64_scale_any(n64 p, n64 n)
{
    const n64 magic = n64_set1(0x1.8p52);
    const n64 a = n64_fma(n, n64_set1(0.5), magic);
    const n64 b = n64_add(n64_sub(n, n64_sub(a, magic)), magic);
    return n64_mul(n64_mul(p, n64_pow2(a)), n64_pow2(b));
}
#endif
/* Lanes so far down that nothing is left of them are set to 0 first: to round them to 0 is an underflow, which costs an
 * Intel processor a microcode assist a vector. */
FM_INLINE n32 n32_scale2(n32 p, n32 n) { return n32_scale_any(n32_unless_lt(n, n32_set1(-160), p), n); }
FM_INLINE n64 n64_scale2(n64 p, n64 n) { return n64_scale_any(n64_unless_lt(n, n64_set1(-1088), p), n); }

/* clang-format off */
typedef struct { n32 p[FM_PARTS]; } v32;
typedef struct { n64 p[FM_PARTS]; } v64;

#if FM_PARTS == 1
#define FM_MAP0(f, x) {{f(x)}}
#define FM_MAP1(f, a) {{f(a.p[0])}}
#define FM_MAP2(f, a, b) {{f(a.p[0], b.p[0])}}
#define FM_MAP3(f, a, b, c) {{f(a.p[0], b.p[0], c.p[0])}}
#define FM_MAP4(f, a, b, c, d) {{f(a.p[0], b.p[0], c.p[0], d.p[0])}}
#define FM_LOAD(f, x, w) {{f(x)}}
#define FM_STORE(f, x, w, a) f(x, a.p[0])
#elif FM_PARTS == 2
#define FM_MAP0(f, x) {{f(x), f(x)}}
#define FM_MAP1(f, a) {{f(a.p[0]), f(a.p[1])}}
#define FM_MAP2(f, a, b) {{f(a.p[0], b.p[0]), f(a.p[1], b.p[1])}}
#define FM_MAP3(f, a, b, c) {{f(a.p[0], b.p[0], c.p[0]), f(a.p[1], b.p[1], c.p[1])}}
#define FM_MAP4(f, a, b, c, d) {{f(a.p[0], b.p[0], c.p[0], d.p[0]), f(a.p[1], b.p[1], c.p[1], d.p[1])}}
#define FM_LOAD(f, x, w) {{f(x), f((x) + (w))}}
#define FM_STORE(f, x, w, a) (f(x, a.p[0]), f((x) + (w), a.p[1]))
#else
#define FM_MAP0(f, x) {{f(x), f(x), f(x), f(x)}}
#define FM_MAP1(f, a) {{f(a.p[0]), f(a.p[1]), f(a.p[2]), f(a.p[3])}}
#define FM_MAP2(f, a, b) {{f(a.p[0], b.p[0]), f(a.p[1], b.p[1]), f(a.p[2], b.p[2]), f(a.p[3], b.p[3])}}
#define FM_MAP3(f, a, b, c)                                                                                  \
    {{f(a.p[0], b.p[0], c.p[0]), f(a.p[1], b.p[1], c.p[1]), f(a.p[2], b.p[2], c.p[2]),                       \
      f(a.p[3], b.p[3], c.p[3])}}
#define FM_MAP4(f, a, b, c, d)                                                                               \
    {{f(a.p[0], b.p[0], c.p[0], d.p[0]), f(a.p[1], b.p[1], c.p[1], d.p[1]),                                  \
      f(a.p[2], b.p[2], c.p[2], d.p[2]), f(a.p[3], b.p[3], c.p[3], d.p[3])}}
#define FM_LOAD(f, x, w) {{f(x), f((x) + (w)), f((x) + 2 * (w)), f((x) + 3 * (w))}}
#define FM_STORE(f, x, w, a)                                                                                 \
    (f(x, a.p[0]), f((x) + (w), a.p[1]), f((x) + 2 * (w), a.p[2]), f((x) + 3 * (w), a.p[3]))
#endif

#define FM_LIFT(B, T)                                                                                        \
    FM_INLINE v##B v##B##_set1(T x) { return (v##B)FM_MAP0(n##B##_set1, x); }                                \
    FM_INLINE v##B v##B##_load(const T *x) { return (v##B)FM_LOAD(n##B##_load, x, 64 / sizeof(T) / FM_PARTS); } \
    FM_INLINE void v##B##_store(T *y, v##B a) { FM_STORE(n##B##_store, y, 64 / sizeof(T) / FM_PARTS, a); }   \
    /* Past the caches: y on a 64-byte boundary, an sfence (fm_stream_end) before others read. */           \
    FM_INLINE void v##B##_stream(T *y, v##B a) { FM_STORE(n##B##_stream, y, 64 / sizeof(T) / FM_PARTS, a); } \
    FM_INLINE v##B v##B##_add(v##B a, v##B b) { return (v##B)FM_MAP2(n##B##_add, a, b); }                    \
    FM_INLINE v##B v##B##_sub(v##B a, v##B b) { return (v##B)FM_MAP2(n##B##_sub, a, b); }                    \
    FM_INLINE v##B v##B##_mul(v##B a, v##B b) { return (v##B)FM_MAP2(n##B##_mul, a, b); }                    \
    FM_INLINE v##B v##B##_div(v##B a, v##B b) { return (v##B)FM_MAP2(n##B##_div, a, b); }                    \
    /* a * b + c, rounded once */                                                                            \
    FM_INLINE v##B v##B##_fma(v##B a, v##B b, v##B c) { return (v##B)FM_MAP3(n##B##_fma, a, b, c); }         \
    /* c - a * b, rounded once */                                                                            \
    FM_INLINE v##B v##B##_fnma(v##B a, v##B b, v##B c) { return (v##B)FM_MAP3(n##B##_fnma, a, b, c); }       \
    FM_INLINE v##B v##B##_sqrt(v##B a) { return (v##B)FM_MAP1(n##B##_sqrt, a); }                             \
    /* a > b ? a : b: where either is NaN, b (and likewise min) */                                           \
    FM_INLINE v##B v##B##_max(v##B a, v##B b) { return (v##B)FM_MAP2(n##B##_max, a, b); }                    \
    FM_INLINE v##B v##B##_min(v##B a, v##B b) { return (v##B)FM_MAP2(n##B##_min, a, b); }                    \
    /* a < b ? x : y and a == b ? x : y, lane by lane; NaN compares false */                                 \
    FM_INLINE v##B v##B##_if_lt(v##B a, v##B b, v##B x, v##B y) { return (v##B)FM_MAP4(n##B##_if_lt, a, b, x, y); } \
    FM_INLINE v##B v##B##_if_eq(v##B a, v##B b, v##B x, v##B y) { return (v##B)FM_MAP4(n##B##_if_eq, a, b, x, y); } \
    FM_INLINE v##B v##B##_abs(v##B a) { return (v##B)FM_MAP1(n##B##_abs, a); }                               \
    /* |a| with the sign of b */                                                                             \
    FM_INLINE v##B v##B##_copysign(v##B a, v##B b) { return (v##B)FM_MAP2(n##B##_copysign, a, b); }          \
    /* a < b ? 0 : x; NaN compares false */                                                                  \
    FM_INLINE v##B v##B##_unless_lt(v##B a, v##B b, v##B x) { return (v##B)FM_MAP3(n##B##_unless_lt, a, b, x); } \
    /* 2^(n - 127) (double: 2^(n - 1023)) for n > 0, 0 for n = 0; n in the low bits of a whole number plus 1.5 2^23   \
     * (double: 2^52) */                                                                                     \
    FM_INLINE v##B v##B##_power(v##B a) { return (v##B)FM_MAP1(n##B##_power, a); }                           \
    /* p * 2^n, n a whole number: where the power and the result are normal numbers */                       \
    FM_INLINE v##B v##B##_scale1(v##B p, v##B n) { return (v##B)FM_MAP2(n##B##_scale1, p, n); }               \
    /* the same anywhere, rounded once, |p| < 512; no underflow where n < -160 (double: -1088), which gives 0 */ \
    FM_INLINE v##B v##B##_scale2(v##B p, v##B n) { return (v##B)FM_MAP2(n##B##_scale2, p, n); }

/* clang-format on */
FM_LIFT(32, float)
FM_LIFT(64, double)

/* Lane sums and maxima: lane i with lane i + half, half after half. */
FM_INLINE float v32_first(v32 a) { return n32_first(a.p[0]); }
FM_INLINE double v64_first(v64 a) { return n64_first(a.p[0]); }
#if FM_PARTS == 1
#define FM_FOLD(f, a) (a.p[0])
#elif FM_PARTS == 2
#define FM_FOLD(f, a) f(a.p[0], a.p[1])
#else
#define FM_FOLD(f, a) f(f(a.p[0], a.p[2]), f(a.p[1], a.p[3]))
#endif
FM_INLINE float v32_sum(v32 a) { return n32_sum(FM_FOLD(n32_add, a)); }
FM_INLINE double v64_sum(v64 a) { return n64_sum(FM_FOLD(n64_add, a)); }
FM_INLINE float v32_max_lane(v32 a) { return n32_max_lane(FM_FOLD(n32_max, a)); }
FM_INLINE double v64_max_lane(v64 a) { return n64_max_lane(FM_FOLD(n64_max, a)); }

/* How many lanes of a and b are equal. */
#if FM_PARTS == 1
#define FM_COUNT(f, a, b) f(a.p[0], b.p[0])
#elif FM_PARTS == 2
#define FM_COUNT(f, a, b) (f(a.p[0], b.p[0]) + f(a.p[1], b.p[1]))
#else
#define FM_COUNT(f, a, b) (f(a.p[0], b.p[0]) + f(a.p[1], b.p[1]) + f(a.p[2], b.p[2]) + f(a.p[3], b.p[3]))
#endif
FM_INLINE int v32_count_eq(v32 a, v32 b) { return FM_COUNT(n32_count_eq, a, b); }
FM_INLINE int v64_count_eq(v64 a, v64 b) { return FM_COUNT(n64_count_eq, a, b); }
/* Whether a < b in any lane. */
FM_INLINE int v32_any_lt(v32 a, v32 b) { return FM_COUNT(n32_any_lt, a, b); }
FM_INLINE int v64_any_lt(v64 a, v64 b) { return FM_COUNT(n64_any_lt, a, b); }

/* Lane by lane the entry of the table whose number stands in the low four bits of `shifted` (a whole number plus
 * 1.5 2^23). */
#define FM_PICK(i) n32_pick(table.p, i)
FM_INLINE v32 v32_pick(v32 table, v32 shifted) { return (v32)FM_MAP1(FM_PICK, shifted); }

/* The first n lanes (n < lanes): load with the rest filled, store, keep with the rest zero. */
#ifndef FM_NATIVE_TAILS
#define FM_TAILS(B, T)                                                                            \
    /* y[i] = x[i] for i < n < lanes: the first registers and the last ones, which may overlap */ \
    FM_INLINE void v##B##_copy_n(T *y, const T *x, size_t n)                                      \
    {                                                                                             \
        const size_t step = 16 / sizeof(T);                                                       \
        if (n >= step) {                                                                          \
            n##B##_store(y, n##B##_load(x));                                                      \
            if (n > 2 * step) {                                                                   \
                n##B##_store(y + step, n##B##_load(x + step));                                    \
                n##B##_store(y + n - 2 * step, n##B##_load(x + n - 2 * step));                    \
            }                                                                                     \
            n##B##_store(y + n - step, n##B##_load(x + n - step));                                \
        } else if (n > 0) {                                                                       \
            y[0] = x[0];                                                                          \
            y[n / 2] = x[n / 2];                                                                  \
            y[n - 1] = x[n - 1];                                                                  \
        }                                                                                         \
    }                                                                                             \
    FM_INLINE v##B v##B##_load_n(const T *x, size_t n, T fill)                                    \
    {                                                                                             \
        v##B a = v##B##_set1(fill);                                                               \
        v##B##_copy_n((T *)&a, x, n);                                                             \
        return a;                                                                                 \
    }                                                                                             \
    FM_INLINE void v##B##_store_n(T *y, size_t n, v##B a) { v##B##_copy_n(y, (const T *)&a, n); } \
    FM_INLINE v##B v##B##_keep_n(v##B a, size_t n)                                                \
    {                                                                                             \
        T lanes[64 / sizeof(T)];                                                                  \
        v##B##_store(lanes, a);                                                                   \
        return v##B##_load_n(lanes, n, 0);                                                        \
    }
FM_TAILS(32, float)
FM_TAILS(64, double)
#elif FM_PARTS == 1
FM_INLINE v32 v32_load_n(const float *x, size_t n, float fill) { return (v32){{n32_load_n(x, n, fill)}}; }
FM_INLINE v64 v64_load_n(const double *x, size_t n, double fill) { return (v64){{n64_load_n(x, n, fill)}}; }
FM_INLINE void v32_store_n(float *y, size_t n, v32 a) { n32_store_n(y, n, a.p[0]); }
FM_INLINE void v64_store_n(double *y, size_t n, v64 a) { n64_store_n(y, n, a.p[0]); }
FM_INLINE v32 v32_keep_n(v32 a, size_t n) { return (v32){{n32_keep_n(a.p[0], n)}}; }
FM_INLINE v64 v64_keep_n(v64 a, size_t n) { return (v64){{n64_keep_n(a.p[0], n)}}; }
#else
#define FM_TAILS(B, T, W)                                                                 \
    FM_INLINE v##B v##B##_load_n(const T *x, size_t n, T fill)                            \
    {                                                                                     \
        const size_t lo = n < W ? n : W;                                                  \
        return (v##B){{n##B##_load_n(x, lo, fill), n##B##_load_n(x + lo, n - lo, fill)}}; \
    }                                                                                     \
    FM_INLINE void v##B##_store_n(T *y, size_t n, v##B a)                                 \
    {                                                                                     \
        const size_t lo = n < W ? n : W;                                                  \
        n##B##_store_n(y, lo, a.p[0]);                                                    \
        n##B##_store_n(y + lo, n - lo, a.p[1]);                                           \
    }                                                                                     \
    FM_INLINE v##B v##B##_keep_n(v##B a, size_t n)                                        \
    {                                                                                     \
        const size_t lo = n < W ? n : W;                                                  \
        return (v##B){{n##B##_keep_n(a.p[0], lo), n##B##_keep_n(a.p[1], n - lo)}};        \
    }
FM_TAILS(32, float, 8)
FM_TAILS(64, double, 4)
#endif

/* 8 floats as doubles; 16 as 2 x 8, and back (rounded to nearest). */
FM_INLINE v64 v32_load_wide(const float *x) { return (v64)FM_LOAD(n64_load_wide, x, 8 / FM_PARTS); }
FM_INLINE v64 v64_load_wide(const double *x) { return v64_load(x); }
#if FM_PARTS == 1
FM_INLINE v64 v32_wide_lo(v32 a) { return (v64){{n32_wide_lo(a.p[0])}}; }
FM_INLINE v64 v32_wide_hi(v32 a) { return (v64){{n32_wide_hi(a.p[0])}}; }
FM_INLINE v32 v32_narrow(v64 lo, v64 hi) { return (v32){{n32_narrow(lo.p[0], hi.p[0])}}; }
#elif FM_PARTS == 2
FM_INLINE v64 v32_wide_lo(v32 a) { return (v64){{n32_wide_lo(a.p[0]), n32_wide_hi(a.p[0])}}; }
FM_INLINE v64 v32_wide_hi(v32 a) { return (v64){{n32_wide_lo(a.p[1]), n32_wide_hi(a.p[1])}}; }
FM_INLINE v32 v32_narrow(v64 lo, v64 hi) { return (v32){{n32_narrow(lo.p[0], lo.p[1]), n32_narrow(hi.p[0], hi.p[1])}}; }
#else
FM_INLINE v64 v32_wide_lo(v32 a)
{
    return (v64){{n32_wide_lo(a.p[0]), n32_wide_hi(a.p[0]), n32_wide_lo(a.p[1]), n32_wide_hi(a.p[1])}};
}
FM_INLINE v64 v32_wide_hi(v32 a)
{
    return (v64){{n32_wide_lo(a.p[2]), n32_wide_hi(a.p[2]), n32_wide_lo(a.p[3]), n32_wide_hi(a.p[3])}};
}
FM_INLINE v32 v32_narrow(v64 lo, v64 hi)
{
    return (v32){{n32_narrow(lo.p[0], lo.p[1]), n32_narrow(lo.p[2], lo.p[3]), n32_narrow(hi.p[0], hi.p[1]),
                  n32_narrow(hi.p[2], hi.p[3])}};
}
#endif

FM_INLINE v64 v64_wide_lo(v64 a) { return a; } /* 8 doubles are wide already */

/* 8 doubles to be summed: those of a float vector are lane i plus lane i + 8. */
FM_INLINE v64 v32_folded(v32 a) { return v64_add(v32_wide_lo(a), v32_wide_hi(a)); }
FM_INLINE v64 v64_folded(v64 a) { return a; }

/* x = m * 2^e with 1 <= m < 2, for positive normal x: e as a real, and m. */
FM_INLINE v32 v32_exponent(v32 a) { return (v32)FM_MAP1(n32_exponent, a); }
FM_INLINE v32 v32_mantissa(v32 a) { return (v32)FM_MAP1(n32_mantissa, a); }
FM_INLINE v64 v64_exponent(v64 a) { return (v64)FM_MAP1(n64_exponent, a); }
FM_INLINE v64 v64_mantissa(v64 a) { return (v64)FM_MAP1(n64_mantissa, a); }

/* vw: 16 words of 32 bits, or 8 lanes of 64 bits whose high halves a multiply ignores. FM_WORD_LANES names
 * the first element of each lane's block of four words, so that vw_order leaves the words in element order. */
typedef struct {
    nw p[FM_PARTS];
} vw;

FM_INLINE vw vw_set1(uint64_t x) { return (vw)FM_MAP0(nw_set1, x); }
FM_INLINE vw vw_load(const uint64_t *x) { return (vw)FM_LOAD(nw_load, x, 8 / FM_PARTS); }
FM_INLINE void vw_store(uint32_t *y, vw a) { FM_STORE(nw_store, y, 16 / FM_PARTS, a); }
FM_INLINE vw vw_add(vw a, vw b) { return (vw)FM_MAP2(nw_add, a, b); }
/* The products of the low halves, in full */
FM_INLINE vw vw_mul(vw a, vw b) { return (vw)FM_MAP2(nw_mul, a, b); }
FM_INLINE vw vw_xor3(vw a, vw b, vw c) { return (vw)FM_MAP3(nw_xor3, a, b, c); }
FM_INLINE vw vw_shr2(vw a) { return (vw)FM_MAP1(nw_shr2, a); }
FM_INLINE vw vw_shr32(vw a) { return (vw)FM_MAP1(nw_shr32, a); }
/* The low halves of a and b as the low and high half of a lane */
FM_INLINE vw vw_pair(vw a, vw b) { return (vw)FM_MAP2(nw_pair, a, b); }

/* Words 0 and 1 (a) and 2 and 3 (b) of 8 blocks as two times 16 words in element order; and, lane by lane,
 * u >= t ? a : +0 (unsigned), for 8 doubles by the first or the last 8 words of u. */
#if FM_PARTS == 1
FM_INLINE void vw_order(vw *first, vw *second, vw a, vw b)
{
    first->p[0] = nw_zip_lo(a.p[0], b.p[0]);
    second->p[0] = nw_zip_hi(a.p[0], b.p[0]);
}
FM_INLINE v64 v64_keep_ge_lo(vw u, vw t, v64 a) { return (v64){{n64_keep_ge_lo(u.p[0], t.p[0], a.p[0])}}; }
FM_INLINE v64 v64_keep_ge_hi(vw u, vw t, v64 a) { return (v64){{n64_keep_ge_hi(u.p[0], t.p[0], a.p[0])}}; }
#elif FM_PARTS == 2
FM_INLINE void vw_order(vw *first, vw *second, vw a, vw b)
{
    *first = (vw){{nw_zip_lo(a.p[0], b.p[0]), nw_zip_hi(a.p[0], b.p[0])}};
    *second = (vw){{nw_zip_lo(a.p[1], b.p[1]), nw_zip_hi(a.p[1], b.p[1])}};
}
FM_INLINE v64 v64_keep_ge_lo(vw u, vw t, v64 a)
{
    return (v64){{n64_keep_ge_lo(u.p[0], t.p[0], a.p[0]), n64_keep_ge_hi(u.p[0], t.p[0], a.p[1])}};
}
FM_INLINE v64 v64_keep_ge_hi(vw u, vw t, v64 a)
{
    return (v64){{n64_keep_ge_lo(u.p[1], t.p[1], a.p[0]), n64_keep_ge_hi(u.p[1], t.p[1], a.p[1])}};
}
#else
FM_INLINE void vw_order(vw *first, vw *second, vw a, vw b)
{
    *first = (vw){
        {nw_zip_lo(a.p[0], b.p[0]), nw_zip_hi(a.p[0], b.p[0]), nw_zip_lo(a.p[1], b.p[1]), nw_zip_hi(a.p[1], b.p[1])}};
    *second = (vw){
        {nw_zip_lo(a.p[2], b.p[2]), nw_zip_hi(a.p[2], b.p[2]), nw_zip_lo(a.p[3], b.p[3]), nw_zip_hi(a.p[3], b.p[3])}};
}
FM_INLINE v64 v64_keep_ge_lo(vw u, vw t, v64 a)
{
    return (v64){{n64_keep_ge_lo(u.p[0], t.p[0], a.p[0]), n64_keep_ge_hi(u.p[0], t.p[0], a.p[1]),
                  n64_keep_ge_lo(u.p[1], t.p[1], a.p[2]), n64_keep_ge_hi(u.p[1], t.p[1], a.p[3])}};
}
FM_INLINE v64 v64_keep_ge_hi(vw u, vw t, v64 a)
{
    return (v64){{n64_keep_ge_lo(u.p[2], t.p[2], a.p[0]), n64_keep_ge_hi(u.p[2], t.p[2], a.p[1]),
                  n64_keep_ge_lo(u.p[3], t.p[3], a.p[2]), n64_keep_ge_hi(u.p[3], t.p[3], a.p[3])}};
}
#endif
FM_INLINE v32 v32_keep_ge(vw u, vw t, v32 a) { return (v32)FM_MAP3(n32_keep_ge, u, t, a); }

/* u >= t of 16 words as bits; and, lane by lane, a where the lane's bit is set, else +0. */
#if FM_PARTS == 1
FM_ALWAYS_INLINE unsigned vw_ge(vw u, vw t) { return nw_ge_bits(u.p[0], t.p[0]); }
FM_INLINE v32 v32_keep_bits(unsigned bits, v32 a) { return (v32){{n32_keep_bits(bits, a.p[0])}}; }
FM_INLINE v64 v64_keep_bits(unsigned bits, v64 a) { return (v64){{n64_keep_bits(bits, a.p[0])}}; }
#else
#if FM_PARTS == 2
FM_ALWAYS_INLINE unsigned vw_ge(vw u, vw t) { return nw_ge_bits(u.p[0], t.p[0]) | nw_ge_bits(u.p[1], t.p[1]) << 8; }
#else
FM_ALWAYS_INLINE unsigned vw_ge(vw u, vw t)
{
    return nw_ge_bits(u.p[0], t.p[0]) | nw_ge_bits(u.p[1], t.p[1]) << 4 | nw_ge_bits(u.p[2], t.p[2]) << 8 |
           nw_ge_bits(u.p[3], t.p[3]) << 12;
}
#endif
#define FM_TWICE(b) ((b) | (uint64_t)(b) << 32)
FM_INLINE v32 v32_keep_bits(unsigned bits, v32 a)
{
    static const uint32_t lanes[16] = {1 << 0, 1 << 1, 1 << 2,  1 << 3,  1 << 4,  1 << 5,  1 << 6,  1 << 7,
                                       1 << 8, 1 << 9, 1 << 10, 1 << 11, 1 << 12, 1 << 13, 1 << 14, 1 << 15};
    const vw all = vw_set1(FM_TWICE(bits)), lane = vw_load((const uint64_t *)lanes);
    return (v32)FM_MAP3(n32_keep_bits, all, lane, a);
}
FM_INLINE v64 v64_keep_bits(unsigned bits, v64 a)
{
    static const uint64_t lanes[8] = {FM_TWICE(1),  FM_TWICE(2),  FM_TWICE(4),  FM_TWICE(8),
                                      FM_TWICE(16), FM_TWICE(32), FM_TWICE(64), FM_TWICE(128)};
    const vw all = vw_set1(FM_TWICE(bits)), lane = vw_load(lanes);
    return (v64)FM_MAP3(n64_keep_bits, all, lane, a);
}
#endif

/* v in a register: gcc reads memory anew for each use of a vector that can be taken from there, and a read across a
 * line costs as two. A narrower vector seldom lies across one. */
#if FM_PARTS == 1
#define FM_HELD(v) __asm__("" : "+v"((v).p[0]))
#else
#define FM_HELD(v) (void)(v)
#endif
FM_INLINE v32 v32_held(v32 v)
{
    FM_HELD(v);
    return v;
}
FM_INLINE v64 v64_held(v64 v)
{
    FM_HELD(v);
    return v;
}

#include "simd_turn.h"

#endif
