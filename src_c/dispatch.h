/* The tables of chosen primitives, one per precision, as fm.h lists them.
 *
 * Cython sees one type for both, fm_table, whose elements are untyped, and calls a function of `const float *` through
 * a pointer to one of `const void *`. C leaves that undefined; every ABI that we build for passes pointers alike.
 */
#ifndef FM_DISPATCH_H
#define FM_DISPATCH_H

#include <stddef.h>
#include <stdint.h>

#include "labels.h"

#define FM_PRIMITIVE(result, name, arguments) result(*name) arguments;
#define real float
typedef struct {
#include "fm.h"
} fm_table32;
#undef real
#define real double
typedef struct {
#include "fm.h"
} fm_table64;
#undef real
#define real void
typedef struct {
#include "fm.h"
} fm_table;
#undef real
#undef FM_PRIMITIVE
_Static_assert(sizeof(fm_table) == sizeof(fm_table32) && sizeof(fm_table) == sizeof(fm_table64), "one list");

typedef struct {
    const fm_table32 *f32;
    const fm_table64 *f64;
} fm_target;

/* The targets of this build, best first, up to a NULL name; `runs` says whether this CPU can execute it. */
typedef struct {
    const char *name;
    const fm_target *target;
    int (*runs)(void);
} fm_choice;

extern const fm_choice fm_choices[];

/* How long one spin-wait instruction takes: 13 to 50 ns, by the processor. */
double fm_pause_nanoseconds(void);

/* The compiler that built this. */
extern const char *const fm_compiler;

/* The size of the last-level cache in bytes. */
size_t fm_cache_bytes(void);

#endif
