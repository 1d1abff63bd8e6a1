/* Prints a hash of the results of one target's primitives on fixed inputs, a line each.
 *
 * tests/test_bits.py builds it for x86-64-v3 and, with a cross compiler, for aarch64, runs the latter in an
 * emulator and compares the lines: NEON must give the bits of AVX2.
 */
#include <stdio.h>
#include <string.h>

#include "dispatch.h"
#include "unary.h"

extern const fm_target BITS_TARGET;

enum { N = 1 << 16 };

static uint64_t hash(const void *p, size_t bytes)
{
    uint64_t h = 1469598103934665603ULL;
    for (const unsigned char *c = p; bytes--; c++)
        h = (h ^ *c) * 1099511628211ULL;
    return h;
}

/* Numbers of about normal size and spread, exact in both precisions, the same everywhere. */
static double next(uint64_t *state)
{
    *state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
    return ((double)(*state >> 44) - (1 << 19)) / (1 << 16);
}

#define BITS(B, T)                                                                                           \
    static T x##B[N], g##B[N], y##B[N], w##B[N], small##B[8][256];                                           \
    static double sum##B[256], m2##B[256];                                                                   \
    static void show##B(const char *name)                                                                    \
    {                                                                                                        \
        printf("%s %d %016llx\n", name, B, (unsigned long long)hash(y##B, sizeof y##B));                     \
        memset(y##B, 0, sizeof y##B);                                                                        \
    }                                                                                                        \
    static void run##B(const fm_table##B *fm)                                                                \
    {                                                                                                        \
        uint64_t seed = 1;                                                                                   \
        for (int i = 0; i < N; i++) {                                                                        \
            x##B[i] = (T)next(&seed);                                                                        \
            g##B[i] = (T)(next(&seed) / 8);                                                                  \
        }                                                                                                    \
        const size_t lengths[] = {1, 7, 10, 16, 33, 1000};                                                   \
        for (int i = 0; i < 6; i++) {                                                                        \
            const size_t n = lengths[i], rows = N / n;                                                       \
            fm->log_softmax_rows(y##B, x##B, rows, n, 0), show##B("log_softmax_rows");                       \
            fm->log_softmax_backward_rows(y##B, g##B, x##B, rows, n, 0), show##B("log_softmax_backward_rows"); \
            fm->logsumexp_rows(y##B, x##B, rows, n), show##B("logsumexp_rows");                              \
            fm->softmax_rows(y##B, x##B, rows, n, 0), memcpy(w##B, y##B, sizeof w##B), show##B("softmax_rows"); \
            fm->softmax_backward_rows(y##B, g##B, w##B, rows, n, 0), show##B("softmax_backward_rows");       \
            fm->softmax_cols(y##B, x##B, rows, n, n), memcpy(w##B, y##B, sizeof w##B), show##B("softmax_cols"); \
            fm->softmax_backward_cols(y##B, g##B, w##B, rows, n, n), show##B("softmax_backward_cols");       \
            fm->log_softmax_cols(y##B, x##B, rows, n, n), show##B("log_softmax_cols");                       \
            fm->logsumexp_cols(y##B, x##B, rows, n, n), show##B("logsumexp_cols");                           \
            fm->relu_run(y##B, x##B, n, 0), show##B("relu");                                                 \
            for (int i = 0; i <= FM_KINDS; i++) {                                                            \
                const int kind = i < FM_KINDS ? i : FM_LEAKY_RELU;                                           \
                fm->unary_run(kind, y##B, x##B, n, (T)0.75, 5, 0), show##B("unary");                         \
                fm->unary_backward_run(kind, y##B, g##B, x##B, n, 1, 9, 0), show##B("unary_backward");       \
            }                                                                                                \
            fm->dropout_run(y##B, x##B, n, 7, 3, 1 << 30, (T)1.25, 0), show##B("dropout");                   \
            fm->gemm(y##B, n, x##B, 50, 1, g##B, 1, 50, g##B, 1, 60, n, 50, NULL), show##B("gemm");          \
            fm->column_sums(y##B, x##B, rows, n, n < 256 ? n : 256), show##B("column_sums");                 \
        }                                                                                                    \
        fm->moments_cols(sum##B, m2##B, x##B, x##B, 256, 256, 256);                                          \
        fm->norm_coefficients(small##B[0], small##B[1], small##B[4], small##B[2], small##B[3], sum##B, m2##B, 256, \
                              1e-5, g##B, x##B, 256);                                                        \
        fm->norm_cols(y##B, x##B, 256, 256, 256, small##B[0], small##B[2], small##B[3], 1, 0), show##B("norm_cols"); \
        fm->norm_sums_cols(sum##B, m2##B, g##B, x##B, 256, 256, 256, 256, small##B[0], small##B[1], 1);              \
        memcpy(y##B, sum##B, sizeof sum##B), memcpy(y##B + 1024, m2##B, sizeof m2##B), show##B("norm_sums_cols"); \
        fm->norm_backward_cols(y##B, g##B, x##B, 256, 256, 256, 256, small##B[0], small##B[1], small##B[2],       \
                               small##B[3], small##B[1], small##B[0], 1, 0), show##B("norm_backward_cols");     \
        fm->layer_norm_rows(y##B, small##B[0], small##B[1], x##B, g##B, x##B, 60, 1000, 1000, 1001, 1e-5, 0);   \
        show##B("layer_norm_rows");                                                                          \
        fm->layer_norm_backward_rows(y##B, w##B, w##B + 1000, g##B, x##B, x##B, small##B[0], small##B[1], 33, 1000, \
                                     1000, 1000, 1001, 0), show##B("layer_norm_backward_rows");                 \
        memcpy(y##B, w##B, 2000 * sizeof(T)), show##B("layer_norm_backward_rows sums");                      \
        fm->moments_rows(sum##B, m2##B, x##B, x##B[0], 60, 1000, 1001);                                      \
        memcpy(y##B, sum##B, 8), memcpy(y##B + 8, m2##B, 8), show##B("moments_rows");                        \
    }

BITS(32, float)
BITS(64, double)

int main(void)
{
    run32(BITS_TARGET.f32);
    run64(BITS_TARGET.f64);
    return 0;
}
