/* Names that a body uses for either precision: FM_BITS is 32 or 64 while bodies.h includes it. "FM" is fastml, and
 * FM(name) pastes the precision: FM(softmax_rows) is softmax_rows_32 or softmax_rows_64. A body written with real,
 * vec and v_* is compiled as float and as double. */
#ifndef FM_REAL_H
#define FM_REAL_H

#include "simd.h"

typedef float fm_real32;
typedef double fm_real64;

#define FM_CAT_(a, b, c) a##b##c
#define FM_CAT(a, b, c) FM_CAT_(a, b, c)
#define FM(name) FM_CAT(name, _, FM_BITS)
#define FM_V(op) FM_CAT(v, FM_BITS, _##op)

#define real FM_CAT(fm_real, FM_BITS, )
#define vec FM_CAT(v, FM_BITS, )
#define LANES (64 / sizeof(real))
/* The smallest normal number, and the largest finite one. */
#define FM_SMALLEST (sizeof(real) == 4 ? 0x1p-126 : 0x1p-1022)
#define FM_LARGEST (sizeof(real) == 4 ? (real)0x1.fffffep127 : (real)0x1.fffffffffffffp1023)

#define v_set1 FM_V(set1)
#define v_load FM_V(load)
#define v_load_n FM_V(load_n)
#define v_load_wide FM_V(load_wide)
#define v_store FM_V(store)
#define v_store_n FM_V(store_n)
#define v_stream FM_V(stream)
#define v_keep_n FM_V(keep_n)
#define v_keep_bits FM_V(keep_bits)
#define v_add FM_V(add)
#define v_sub FM_V(sub)
#define v_mul FM_V(mul)
#define v_div FM_V(div)
#define v_fma FM_V(fma)
#define v_fnma FM_V(fnma)
#define v_sqrt FM_V(sqrt)
#define v_max FM_V(max)
#define v_min FM_V(min)
#define v_if_lt FM_V(if_lt)
#define v_if_eq FM_V(if_eq)
#define v_unless_lt FM_V(unless_lt)
#define v_scale1 FM_V(scale1)
#define v_scale2 FM_V(scale2)
#define v_sum FM_V(sum)
#define v_square FM_V(square)
#define v_transpose FM_V(transpose)
#define v_columns FM_V(columns)
#define v_rows FM_V(rows)
#define v_max_lane FM_V(max_lane)
#define v_count_eq FM_V(count_eq)
#define v_abs FM_V(abs)
#define v_copysign FM_V(copysign)
#define v_held FM_V(held)
#define v_any_lt FM_V(any_lt)
#define v_wide_lo FM_V(wide_lo)
#define v_exp FM_V(exp)
#define v_exp_parts FM_V(exp_parts)
#define v_mills FM_V(mills)
#define v_tanh_exponent FM_V(tanh_exponent)
#define v_scale FM_CAT(scale, FM_BITS, )
#define v_scale_of FM_V(scale)
#define v_scaled FM_V(scaled)
#define v_scaled_parts FM_V(scaled_parts)
#define v_joined FM_V(joined)
#define v_parts FM_CAT(exp, FM_BITS, )
#define v_lowered FM_V(lowered)
#define v_log_sum_pair FM_V(log_sum_pair)
#define v_log FM_V(log)
#define v_log_near1 FM_V(log_near1)
#define v_folded FM_V(folded)

#endif
