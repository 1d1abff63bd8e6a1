/* The C interface for other extensions (fastml/capi/fastml.h), made from the chosen tables. */
#ifndef FM_CAPI_H
#define FM_CAPI_H

#include "dispatch.h"

/* What the capsule holds. team: how many threads, a region being opened; threads: the same where the caller has a
 * region of its own. */
void *fm_capi(const fm_table *f32, const fm_table *f64, size_t cache_bytes, int (*team)(double nanoseconds),
              int (*threads)(double nanoseconds));

#endif
