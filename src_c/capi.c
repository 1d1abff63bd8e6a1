/* The functions of fastml/capi/fastml.h: each enters its mode and calls the chosen target's primitive.
 *
 * They are apart from the table of primitives, so that this may change from one version to the next, and so that a
 * caller's floating-point mode shows in no bit. An empty run takes 7 nanoseconds, 11 where the mode is changed.
 */
#include "capi.h"

#include "../fastml/capi/fastml.h"
#include "environment.h"
#include "threads.h"
#include "unary.h"

#include <math.h>
#include <string.h>

_Static_assert(FASTML_GELU == (int)FM_GELU && FASTML_GELU_TANH == (int)FM_GELU_TANH && FASTML_SILU == (int)FM_SILU &&
                   FASTML_SIGMOID == (int)FM_SIGMOID && FASTML_TANH == (int)FM_TANH &&
                   FASTML_SOFTPLUS == (int)FM_SOFTPLUS && FASTML_ELU == (int)FM_ELU &&
                   FASTML_LEAKY_RELU == (int)FM_LEAKY_RELU && FASTML_HARD_SWISH == (int)FM_HARD_SWISH &&
                   FASTML_CURVES <= (int)FM_UNARY_KINDS,
               "one numbering");

enum { UNIFORM_WORDS = 256 }; /* drawn at once */

static const fm_table *primitives32, *primitives64;
static int (*open_team)(double nanoseconds);

/* The nearest integer to 2^32 p, of two the even one, in any rounding mode. */
static uint64_t threshold_of(double p)
{
    const double exact = p * 4294967296.0;
    const uint64_t below = (uint64_t)exact;
    const double rest = exact - (double)below;
    return below + (rest > 0.5 || (rest == 0.5 && below & 1));
}

/* x < 2^53, exactly. The instruction that converts one number waits for the one before. */
static double as_double(uint64_t x)
{
    const uint64_t high = x >> 26 | 0x4330000000000000, low = (x & 0x3ffffff) | 0x4330000000000000; /* 2^52 and more */
    double h, l;
    memcpy(&h, &high, sizeof h);
    memcpy(&l, &low, sizeof l);
    return (h - 0x1p52) * 0x1p26 + (l - 0x1p52);
}

#define CAT_(a, b) a##b
#define CAT(a, b) CAT_(a, b)
#define IN_MODE(mode) fm_scope scope_ = fm_switch(mode)

#define FM_BITS 32
#define real float
#include "capi_table.h"
#undef FM_BITS
#undef real
#define FM_BITS 64
#define real double
#include "capi_table.h"

static void words(uint32_t *words, size_t n, uint64_t seed, uint64_t offset)
{
    primitives32->philox_run(words, n, seed, offset);
}

static void dropout_mask(unsigned char *kept, size_t n, double p, uint64_t seed, uint64_t offset)
{
    primitives32->dropout_mask_run(kept, n, seed, offset, threshold_of(p));
}

enum { SPANS = 256 }; /* as many blocks of work at most */

static size_t start(ptrdiff_t span, size_t count, size_t spans)
{
    const size_t s = (size_t)span, rest = count % spans;
    return s * (count / spans) + (s < rest ? s : rest);
}

static void parallel_for(void (*body)(void *data, size_t i), void *data, size_t count, double nanoseconds)
{
    const int threads = open_team(nanoseconds);
    const size_t spans = count < SPANS ? count : SPANS;
    fm_work work;
    fm_share_work(&work, (ptrdiff_t)spans, threads);
#ifdef _OPENMP
#pragma omp parallel num_threads(threads)
#endif
    {
        for (ptrdiff_t s = fm_join_region(&work); s >= 0; s = fm_next_block(&work))
            for (size_t i = start(s, count, spans); i < start(s + 1, count, spans); i++)
                body(data, i);
        fm_leave_region();
    }
    fm_team_done();
}

void *fm_capi(const fm_table *f32, const fm_table *f64, size_t cache_bytes, int (*team)(double nanoseconds),
              int (*threads)(double nanoseconds))
{
    static fastml_api api = {
        .abi = FASTML_ABI,
        .size = sizeof(fastml_api),
        .table_size = sizeof(fastml_table),
        .curves = FASTML_CURVES,
        .table32 = &table_32,
        .table64 = &table_64,
        .words = words,
        .dropout_mask = dropout_mask,
        .threads_done = fm_team_done,
        .parallel_for = parallel_for,
    };
    primitives32 = f32;
    primitives64 = f64;
    open_team = team;
    api.cache_bytes = cache_bytes;
    api.threads = threads;
    return &api;
}
