/* All bodies in both precisions and the target's table of them. A target is a file that defines FM_TARGET
 * and includes this one; it is compiled with that target's flags (setup.py). */
#include "dispatch.h"
#include "distance.h"
#include "exp.h"
#include "gelu.h"
#include "gemm.h"
#include "loops.h"
#include "losses.h"
#include "philox.h"
#include "real.h"
#include "simd.h"
#include "sums.h"
#include "unary.h"

/* Prototypes first: bodies may call each other in any order. */
#define FM_PRIMITIVE(result, name, arguments) static result FM(name) arguments;
#define FM_BITS 32
#include "fm.h"
#undef FM_BITS
#define FM_BITS 64
#include "fm.h"
#undef FM_BITS
#undef FM_PRIMITIVE

#define FM_BITS 32
#include "bodies_list.h"
#undef FM_BITS
#define FM_BITS 64
#include "bodies_list.h"
#undef FM_BITS

#define FM_PRIMITIVE(result, name, arguments) .name = FM(name),
#define FM_BITS 32
static const fm_table32 table32 = {
#include "fm.h"
};
#undef FM_BITS
#define FM_BITS 64
static const fm_table64 table64 = {
#include "fm.h"
};
#undef FM_BITS
#undef FM_PRIMITIVE

const fm_target FM_TARGET = {&table32, &table64};
