/* Prints the primitives of one target that underflow or read a denormal although every input is of normal size.
 *
 * Results below the normal range, and operands there, cost Intel's processors a microcode assist a vector. The only ones that a
 * caller has asked for are those of entries whose own result is that small: not the padding of a tail, not an entry whose
 * result is 0. The processor's sticky flags tell; tests/test_bits.py builds and runs this for every x86-64 target.
 */
#include <math.h>
#include <stdio.h>

#include <immintrin.h>

#include "dispatch.h"
#include "losses.h"
#include "unary.h"

extern const fm_target BITS_TARGET;

enum { N = 1 << 10, LENGTHS = 67, ROWS = 9, UNDERFLOW_FLAG = 1 << 4, DENORMAL_FLAG = 1 << 1 };

static int64_t label[N];
static fm_labels rule;

/* Numbers between -8 and 8 that are not tiny, exact in both precisions. */
static double next(uint64_t *state)
{
    *state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
    return ((double)(*state >> 44) - (1 << 19) + 0.5) / (1 << 16);
}

static void flags(const char *name, int bits, size_t n, int variant)
{
    const unsigned state = _mm_getcsr();
    if (state & (UNDERFLOW_FLAG | DENORMAL_FLAG))
        printf("%s %d n %zu variant %d:%s%s\n", name, bits, n, variant, state & UNDERFLOW_FLAG ? " underflow" : "",
               state & DENORMAL_FLAG ? " denormal operand" : "");
    _mm_setcsr(state & ~0x3Fu);
}

#define RUN(name, variant, ...) (_mm_setcsr(_mm_getcsr() & ~0x3Fu), fm->name(__VA_ARGS__), flags(#name, bits, n, variant))

#define FLAGS(B, T)                                                                                          \
    static T x##B[N], g##B[N], p##B[N], q##B[N], y##B[N], z##B[N], m##B[N], w##B[N];                         \
    static void fill##B(T far)                                                                               \
    {                                                                                                        \
        uint64_t seed = 1;                                                                                   \
        for (int i = 0; i < N; i++) {                                                                        \
            x##B[i] = (T)next(&seed), g##B[i] = (T)next(&seed), w##B[i] = (T)(next(&seed) / 32 + 1);         \
            p##B[i] = (T)(next(&seed) / 16.5 + 0.5), q##B[i] = (T)(next(&seed) / 16.5 + 0.5), label[i] = 0;  \
            if (far != 0 && i % 3 == 1)                                                                      \
                x##B[i] = far;                                                                               \
        }                                                                                                    \
    }                                                                                                        \
    /* the softmax family and the losses on it; far entries have a result of 0 */                            \
    static void family##B(const fm_table##B *fm, size_t n)                                                   \
    {                                                                                                        \
        const int bits = B;                                                                                  \
        T *x = x##B, *g = g##B, *y = y##B, *z = z##B, *q = q##B, *w = w##B;                                   \
        for (int stream = 0; stream < 2; stream++) {                                                         \
            RUN(softmax_rows, stream, y, x, ROWS, n, stream);                                                \
            RUN(softmax_backward_rows, stream, z, g, y, ROWS, n, stream);                                    \
            RUN(log_softmax_rows, stream, y, x, ROWS, n, stream);                                            \
            RUN(log_softmax_backward_rows, stream, z, g, y, ROWS, n, stream);                                \
            for (int v = 0; v < 8; v++) {                                                                    \
                const double smoothing = v & 1 ? 0.125 : 0, z_loss = v & 2 ? 0.25 : 0;                       \
                const T *weight = v & 4 ? w : NULL;                                                          \
                RUN(cross_entropy_rows, v, z, y, x, label, weight, ROWS, n, &rule, smoothing, z_loss, n, 0.125, stream); \
                RUN(cross_entropy_rows, v + 8, NULL, y, x, label, weight, ROWS, n, &rule, smoothing, z_loss, n, 0.125, stream); \
                RUN(cross_entropy_soft_rows, v, z, y, x, q, weight, ROWS, n, smoothing, z_loss, 0.125, stream); \
                RUN(cross_entropy_cols, v, z, y, x, label, weight, ROWS, n, n, &rule, smoothing, z_loss, ROWS, 0.125); \
                RUN(cross_entropy_cols, v + 8, NULL, y, x, label, weight, ROWS, n, n, &rule, smoothing, z_loss, ROWS, 0.125); \
                RUN(cross_entropy_soft_cols, v, z, y, x, q, weight, ROWS, n, n, smoothing, z_loss, 0.125);   \
            }                                                                                                \
        }                                                                                                    \
        RUN(logsumexp_rows, 0, y, x, ROWS, n);                                                               \
        RUN(softmax_cols, 0, y, x, ROWS, n, n);                                                              \
        RUN(softmax_backward_cols, 0, z, g, y, ROWS, n, n);                                                  \
        RUN(log_softmax_cols, 0, y, x, ROWS, n, n);                                                          \
        RUN(log_softmax_backward_cols, 0, z, g, y, ROWS, n, n);                                              \
        RUN(logsumexp_cols, 0, y, x, ROWS, n, n);                                                            \
    }                                                                                                        \
    static void elements##B(const fm_table##B *fm, size_t n)                                                 \
    {                                                                                                        \
        const int bits = B;                                                                                  \
        T *x = x##B, *g = g##B, *y = y##B, *z = z##B;                                                         \
        for (int kind = 0; kind < FM_KINDS; kind++)                                                          \
            for (int other = 0; other < (kind >= FM_SOFTPLUS ? 2 : 1); other++) {                            \
                RUN(unary_run, 2 * kind + other, kind, y, x, n, other ? (T)0.75 : 1, 20, 0);                 \
                RUN(unary_backward_run, 2 * kind + other, kind, z, g, x, n, other ? (T)0.75 : 1, 20, 0);     \
            }                                                                                                \
        RUN(loss_run, FM_LOSS_BCE, FM_LOSS_BCE, z, y, x, p##B, NULL, 0, NULL, 0, 0, n, (T)0.125, 0);         \
    }                                                                                                        \
    /* 1 - e^-x and the like, e^-x being denormal; the slope of sigmoid alone is as small */                 \
    static void upper##B(const fm_table##B *fm, size_t n)                                                    \
    {                                                                                                        \
        const int bits = B;                                                                                  \
        for (int kind = 0; kind < FM_KINDS; kind++) {                                                        \
            RUN(unary_run, kind, kind, y##B, x##B, n, 1, 1e4, 0);                                           \
            if (kind != FM_SIGMOID)                                                                          \
                RUN(unary_backward_run, kind, kind, z##B, g##B, x##B, n, 1, 1e4, 0);                        \
        }                                                                                                    \
    }                                                                                                        \
    static void others##B(const fm_table##B *fm, size_t n)                                                   \
    {                                                                                                        \
        const int bits = B;                                                                                  \
        T *x = x##B, *g = g##B, *p = p##B, *q = q##B, *y = y##B, *z = z##B, *m = m##B, *w = w##B;             \
        T mean[ROWS * LENGTHS], inv[ROWS * LENGTHS], db[LENGTHS], dw[LENGTHS], table[3 * (LENGTHS + 16)];    \
        double sum[LENGTHS], dot[LENGTHS], wide[ROWS * LENGTHS];                                             \
        for (int kind = FM_LOSS_MSE; kind <= FM_LOSS_KL_LOG; kind++) {                                       \
            RUN(loss_run, kind, kind, z, y, x, p, NULL, 0, NULL, 0, 0, n, (T)0.125, 0);                      \
            RUN(loss_run, kind + 16, kind, z, y, x, p, w, 0, w, 0, 0, n, (T)0.125, 1);                       \
        }                                                                                                    \
        for (int v = 0; v < 4; v++) {                                                                        \
            const T *weight = v & 1 ? w : NULL, *target = v & 2 ? q : NULL;                                  \
            RUN(nll_rows, v, z, y, x, label, target, weight, ROWS, n, &rule, 0.125, 0.125, 0);                \
            RUN(nll_cols, v, z, y, x, label, target, weight, ROWS, n, n, &rule, 0.125, 0.125);                \
        }                                                                                                    \
        RUN(relu_run, 0, y, x, n, 0);                                                                        \
        RUN(relu_backward_run, 0, y, g, x, n, 0);                                                            \
        RUN(unary_run, FM_LEAKY_RELU, FM_LEAKY_RELU, y, x, n, (T)0.1, 0, 0);                                 \
        RUN(dropout_run, 0, y, x, n, 7, 3, 1 << 30, (T)1.25, 0);                                             \
        RUN(layer_norm_rows, 0, y, mean, inv, x, w, g, ROWS, n, n, n, 1e-5, 0);                              \
        RUN(layer_norm_backward_rows, 0, z, dw, db, g, x, w, mean, inv, ROWS, n, n, n, n, 0);                \
        RUN(layer_norm_rows, 1, y, NULL, inv, x, w, NULL, ROWS, n, n, n, 1e-5, 0);                           \
        RUN(layer_norm_backward_rows, 1, z, dw, db, g, x, w, NULL, inv, ROWS, n, n, n, n, 0);              \
        RUN(group_norm_rows, 0, y, mean, inv, x, w, g, ROWS, 1, 1, n, n, n, 1, 1e-5, 0, NULL);               \
        RUN(group_norm_backward_rows, 0, z, sum, dot, g, x, w, mean, inv, ROWS, 1, 1, n, n, n, n, 1, 0, NULL); \
        RUN(moments_cols, 0, sum, dot, x, x, ROWS, n, n);                                                    \
        RUN(norm_coefficients, 0, mean, inv, z, dw, db, sum, dot, ROWS, 1e-5, w, g, n);                      \
        RUN(norm_cols, 0, y, x, ROWS, n, n, mean, dw, db, 1, 0);                                             \
        RUN(norm_sums_cols, 0, sum, dot, g, x, ROWS, n, n, n, mean, inv, 1);                                 \
        RUN(moments_rows, 0, sum, dot, x, x[0], ROWS, n, n);                                                 \
        RUN(norm_rows, 0, y, x, ROWS, n, n, (T)0.5, 2, 1, 0);                                                \
        RUN(norm_sums_rows, 0, sum, dot, g, x, ROWS, n, n, n, (T)0.5, 2);                                    \
        RUN(keep_run, 0, z, g, y, n, (T)1.25);                                                               \
        RUN(moments_merge, 0, sum, dot, ROWS, sum, dot, ROWS, n);                                            \
        RUN(norm_running, 0, mean, sum, ROWS, 0.125, n);                                                     \
        RUN(norm_backward_coefficients, 0, dw, db, mean, inv, z, y, sum, dot, ROWS, w, p, n);                \
        RUN(norm_backward_cols, 0, z, g, x, ROWS, n, n, n, mean, w, db, dw, p, q, 1, 0);                     \
        RUN(norm_backward_rows, 0, z, g, x, ROWS, n, n, n, (T)0.5, 2, (T)0.25, (T)0.125, 2, (T)0.25, 0);     \
        RUN(sums_gain, 0, sum, x, n);                                                                        \
        RUN(sums_join, 0, y, sum, 1, n, n);                                                                  \
        RUN(square_sum, 0, x, n);                                                                            \
        RUN(column_sums, 0, y, x, ROWS, n, n);                                                               \
        RUN(gemm, 0, y, n, g, 10, 1, x, n, 1, w, 0, ROWS, n, 10, NULL);                                      \
        RUN(gemm_add, 0, y, n, g, 10, 1, x, n, 1, ROWS, n, 10, NULL);                                        \
        RUN(gemm_fold, 0, y, n, x, n, w, 0, ROWS, n);                                                        \
        RUN(widen_rows, 0, wide, x, ROWS, n, n);                                                             \
        RUN(extremes_cols, 0, y, z, x, ROWS, n, n);                                                          \
        RUN(loss_sum, 0, p, n);                                                                              \
        RUN(label_weights, 0, sum, label, w, ROWS, n, &rule);                                                \
        for (size_t i = 0; i < LENGTHS + 16; i++)                                                            \
            table[i] = 1, table[LENGTHS + 16 + i] = 0, table[2 * (LENGTHS + 16) + i] = 3;                    \
        RUN(scale_elements, 0, y, x, n, table, LENGTHS, -1, 1, 0, 0);                                        \
        for (int norm = 0; norm < 3; norm++)                                                                 \
            RUN(normalize_rows, norm, y, x, ROWS, n, norm, (T)1e-6);                                         \
        RUN(difference_sums, 0, sum, p, q, n, 0.5, 0.25);                                                    \
        RUN(entropy_sums, 0, sum, p, q, n, 0.5, 0.25, 0);                                                    \
        RUN(entropy_sums, 1, sum, p, q, n, 0.5, 0.25, 1);                                                    \
        RUN(entropy_sums, 2, sum, p, NULL, n, 0.5, 0.25, 0);                                                 \
        for (size_t i = 0; i < n; i++)                                                                       \
            y[i] = x[i], z[i] = p[i], m[i] = q[i];                                                           \
        RUN(scale_run, 0, y, n, (T)0.75);                                                                    \
        RUN(unscale_run, 0, y, n, (T)1.25);                                                                  \
        RUN(clip_run, 0, y, n, 2);                                                                           \
        RUN(sgd_run, 0, y, z, g, n, (T)0.01, (T)0.9, 1, (T)0.01, 1, 1);                                      \
        RUN(adam_run, 0, y, z, m, NULL, g, n, (T)0.01, (T)0.1, (T)0.999, (T)0.001, 1, (T)1e-8, (T)0.01, 1, 1); \
        RUN(rms_run, 0, y, m, NULL, NULL, g, n, (T)0.01, (T)0.9, (T)0.1, (T)1e-8, 0, 0, 1);                  \
    }                                                                                                        \
    static void run##B(const fm_table##B *fm)                                                                \
    {                                                                                                        \
        for (size_t n = 1; n <= LENGTHS; n++) {                                                              \
            fill##B(0);                                                                                      \
            family##B(fm, n), elements##B(fm, n), others##B(fm, n);                                          \
            fill##B(B == 32 ? 95 : 720), upper##B(fm, n);                                                    \
            const T far[] = {-INFINITY, (T)-1e30, -3000};                                                    \
            for (int i = 0; i < 3; i++) /* masked logits */                                                  \
                fill##B(far[i]), family##B(fm, n);                                                           \
            const T wide[] = {3000, -3000, (T)1e30, (T)-1e30};                                               \
            for (int i = 0; i < 4; i++) /* where the functions are constant */                               \
                fill##B(wide[i]), elements##B(fm, n);                                                        \
        }                                                                                                    \
    }

FLAGS(32, float)
FLAGS(64, double)

int main(void)
{
    run32(BITS_TARGET.f32);
    run64(BITS_TARGET.f64);
    return 0;
}
