/* Calls every primitive of fm.h, with valid arguments on fixed inputs. bits.c and flags.c look at what is left behind.
 *
 * A program includes this file once for each precision (FM_BITS), after it has defined
 *     before()                                    in front of each call,
 *     after(name, bits, n, variant, room, bytes)  behind it, room being all that the primitives read and write.
 * calls_all_made() then says whether a primitive was left out: one that is added to fm.h needs a call here.
 */
#ifndef CALLS_C
#define CALLS_C
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "dispatch.h"
#include "distance.h"
#include "losses.h"
#include "real.h"
#include "unary.h"

enum { ROWS = 17, LONGEST = 1024, N = ROWS * LONGEST };

static int64_t label[N];
static fm_labels rule;

#define FM_PRIMITIVE(result, name, arguments) #name,
static const char *const primitives[] = {
#include "fm.h"
};
#undef FM_PRIMITIVE
enum { PRIMITIVES = sizeof primitives / sizeof *primitives };
static int called[PRIMITIVES];

static void call_made(const char *name)
{
    for (int i = 0; i < PRIMITIVES; i++)
        called[i] |= !strcmp(name, primitives[i]);
}

static int calls_all_made(void)
{
    int all = 1;
    for (int i = 0; i < PRIMITIVES; i++)
        if (!called[i]) {
            printf("%s: tests/c/calls.c has no call of it\n", primitives[i]);
            all = 0;
        }
    return all;
}

/* Numbers between -8 and 8 that are not tiny, exact in both precisions, the same everywhere. */
static double next(uint64_t *state)
{
    *state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
    return ((double)(*state >> 44) - (1 << 19) + 0.5) / (1 << 16);
}

#define table FM_CAT(fm_table, FM_BITS, )
#define room FM(room_of)
/* One call, and one whose result counts too; n is the caller's. */
#define CALL(name, variant, ...) \
    (before(), fm->name(__VA_ARGS__), after(#name, FM_BITS, n, variant, &room, sizeof room), call_made(#name))
#define VALUE(name, variant, ...)                                                                                 \
    (before(), room.value = (double)fm->name(__VA_ARGS__), after(#name, FM_BITS, n, variant, &room, sizeof room), \
     call_made(#name))
#endif

/* x and g: anything; p and q: between 0 and 1; w: about 1; y, z, m and the rest: results. */
static struct {
    _Alignas(64) real x[N], g[N], p[N], q[N], w[N], y[N], z[N], m[N];
    real mean[N], inv[N], dw[LONGEST], db[LONGEST], table3[3 * (LONGEST + 16)];
    double origin[LONGEST], sum[LONGEST], dot[LONGEST], wide[N], value;
    uint8_t kept[LONGEST];
    uint32_t words[LONGEST];
} room;

/* far: what every third x is, where it is not 0. */
static void FM(fill)(real far)
{
    uint64_t seed = 1;
    memset(&room, 0, sizeof room);
    for (int i = 0; i < N; i++) {
        room.x[i] = (real)next(&seed), room.g[i] = (real)next(&seed), room.w[i] = (real)(next(&seed) / 32 + 1);
        room.p[i] = (real)(next(&seed) / 16.5 + 0.5), room.q[i] = (real)(next(&seed) / 16.5 + 0.5), label[i] = 0;
        if (far != 0 && i % 3 == 1)
            room.x[i] = far;
    }
}

/* The softmax family and the losses on it. */
static void FM(call_family)(const table *fm, size_t n)
{
    real *x = room.x, *g = room.g, *y = room.y, *z = room.z, *q = room.q, *w = room.w;
    for (int stream = 0; stream < 2; stream++) {
        CALL(softmax_rows, stream, y, x, ROWS, n, stream);
        CALL(softmax_backward_rows, stream, z, g, y, ROWS, n, stream);
        CALL(log_softmax_rows, stream, y, x, ROWS, n, stream);
        CALL(log_softmax_backward_rows, stream, z, g, y, ROWS, n, stream);
        for (int v = 0; v < 16; v++) {
            const double smoothing = v & 1 ? 0.125 : 0, z_loss = v & 2 ? 0.25 : 0;
            const real *weight = v & 4 ? w : NULL;
            real *dx = v & 8 ? NULL : z;
            VALUE(cross_entropy_rows, v, dx, y, x, label, weight, ROWS, n, &rule, smoothing, z_loss, (double)n, 0.125,
                  stream);
            VALUE(cross_entropy_soft_rows, v, dx, y, x, q, weight, ROWS, n, smoothing, z_loss, 0.125, stream);
            VALUE(cross_entropy_cols, v, dx, y, x, label, weight, ROWS, n, n, &rule, smoothing, z_loss, ROWS, 0.125);
            VALUE(cross_entropy_soft_cols, v, dx, y, x, q, weight, ROWS, n, n, smoothing, z_loss, 0.125);
        }
    }
    CALL(logsumexp_rows, 0, y, x, ROWS, n);
    CALL(softmax_cols, 0, y, x, ROWS, n, n);
    CALL(softmax_backward_cols, 0, z, g, y, ROWS, n, n);
    CALL(log_softmax_cols, 0, y, x, ROWS, n, n);
    CALL(log_softmax_backward_cols, 0, z, g, y, ROWS, n, n);
    CALL(logsumexp_cols, 0, y, x, ROWS, n, n);
}

/* Every kind of unary_run, with options where it has some, and the loss that is made of them. */
static void FM(call_unary)(const table *fm, size_t n)
{
    for (int kind = 0; kind < FM_UNARY_KINDS; kind++)
        for (int other = 0; other < 2; other++) {
            const double alpha = other ? 0.75 : 1;
            CALL(unary_run, 2 * kind + other, kind, room.y, room.x, n, alpha, 20, other);
            CALL(unary_backward_run, 2 * kind + other, kind, room.z, room.g, room.x, n, alpha, 20, other);
        }
    VALUE(loss_run, FM_LOSS_BCE, FM_LOSS_BCE, room.z, room.y, room.x, room.p, NULL, 0, NULL, 0, 0, n, 0.125, 0);
}

static void FM(call_norms)(const table *fm, size_t n)
{
    real *x = room.x, *g = room.g, *p = room.p, *q = room.q, *y = room.y, *z = room.z, *w = room.w;
    real *mean = room.mean, *inv = room.inv, *dw = room.dw, *db = room.db;
    double *sum = room.sum, *dot = room.dot;
    CALL(layer_norm_rows, 0, y, mean, inv, x, w, g, ROWS, n, n, n, 1e-5, 0);
    CALL(layer_norm_backward_rows, 0, z, dw, db, g, x, w, mean, inv, ROWS, n, n, n, n, 0);
    CALL(layer_norm_rows, 1, y, NULL, inv, x, w, NULL, ROWS, n, n, n, 1e-5, 1);
    CALL(layer_norm_backward_rows, 1, z, dw, db, g, x, w, NULL, inv, ROWS, n, n, n, n, 1);
    CALL(group_norm_rows, 0, y, mean, inv, x, w, g, ROWS, 1, 1, n, n, n, 1, 1e-5, 0, NULL);
    CALL(group_norm_backward_rows, 0, z, sum, dot, g, x, w, mean, inv, ROWS, 1, 1, n, n, n, n, 1, 0, NULL);
    CALL(moments_cols, 0, sum, dot, x, room.origin, ROWS, n, n);
    CALL(moments_merge, 0, sum, dot, ROWS, room.wide, room.wide, ROWS, n);
    CALL(norm_coefficients, 0, mean, inv, z, dw, db, sum, dot, ROWS, 1e-5, w, g, n);
    for (int v = 0; v < 3; v++) { /* near, neither, stream */
        CALL(norm_cols, v, y, x, ROWS, n, n, mean, dw, db, v == 0, v == 2);
        CALL(norm_backward_cols, v, z, g, x, ROWS, n, n, n, mean, w, db, dw, p, q, v == 0, v == 2);
    }
    CALL(norm_sums_cols, 0, sum, dot, g, x, ROWS, n, n, n, mean, inv, 1);
    CALL(moments_rows, 0, sum, dot, x, (double)x[0], ROWS, n, n);
    CALL(norm_rows, 0, y, x, ROWS, n, n, 0.5, 2, 1, 0);
    CALL(norm_sums_rows, 0, sum, dot, g, x, ROWS, n, n, n, 0.5, 2);
    CALL(norm_running, 0, mean, sum, ROWS, 0.125, n);
    CALL(norm_backward_coefficients, 0, dw, db, mean, inv, z, y, sum, dot, ROWS, w, p, n);
    CALL(norm_backward_rows, 0, z, g, x, ROWS, n, n, n, 0.5, 2, 0.25, 0.125, 2, 0.25, 0);
    VALUE(norm_far, 0, sum, dot, x, ROWS, n, n, 0, 1e-5);
    CALL(sums_gain, 0, sum, x, n);
    CALL(sums_join, 0, y, sum, 1, n, n);
}

static void FM(call_products)(const table *fm, size_t n)
{
    real *x = room.x, *g = room.g, *y = room.y, *w = room.w;
    const size_t k = LONGEST / 8, m = ROWS < n ? ROWS : n; /* two parts of a chain */
    CALL(gemm, 0, y, n, g, 10, 1, x, (ptrdiff_t)n, 1, w, 0, ROWS, n, 10, NULL);
    CALL(gemm, 1, y, m, g, k, 1, x, 1, k, w, 1, ROWS, m, k, NULL);
    CALL(gemm, 2, y, m, g, 1, ROWS, x, 1, k, NULL, 0, ROWS, m, k, NULL);
    CALL(gemm_add, 0, y, n, g, 10, 1, x, (ptrdiff_t)n, 1, ROWS, n, 10, NULL);
    CALL(gemm_fold, 0, y, n, x, n, w, 0, ROWS, n);
    CALL(column_sums, 0, y, x, ROWS, (ptrdiff_t)n, n);
    CALL(column_sums, 1, y, x, N / n, (ptrdiff_t)n, n);
}

/* Losses, updates, draws, scaling and distances. */
static void FM(call_others)(const table *fm, size_t n)
{
    real *x = room.x, *g = room.g, *p = room.p, *q = room.q, *y = room.y, *z = room.z, *m = room.m, *w = room.w;
    for (int kind = 0; kind < FM_LOSS_KINDS; kind++) {
        VALUE(loss_run, kind, kind, z, y, x, p, NULL, 0, NULL, 0, 0, n, 0.125, 0);
        VALUE(loss_run, kind + FM_LOSS_KINDS, kind, z, y, x, p, w, 0, w, 0, 0, n, 0.125, 1);
    }
    VALUE(loss_sum, 0, p, n);
    for (int v = 0; v < 4; v++) {
        const real *weight = v & 1 ? w : NULL, *target = v & 2 ? q : NULL;
        VALUE(nll_rows, v, z, y, x, label, target, weight, ROWS, n, &rule, 0.125, 0.125, 0);
        VALUE(nll_cols, v, z, y, x, label, target, weight, ROWS, n, n, &rule, 0.125, 0.125);
    }
    VALUE(label_weights, 0, room.sum, label, w, ROWS, n, &rule);
    CALL(relu_run, 0, y, x, n, 0);
    CALL(relu_backward_run, 0, y, g, x, n, 0);
    CALL(result_backward_run, 0, z, g, p, n, 0, 0);
    CALL(result_backward_run, 1, z, g, p, n, -1, 0);
    CALL(keep_run, 0, z, g, y, n, 1.25);
    CALL(dropout_run, 0, y, NULL, x, n, 7, 3, 1 << 30, 1.25, 0);
    CALL(dropout_run, 1, y, room.kept, x, n, 7, 3, 1 << 30, 1.25, 0);
    CALL(dropout_kept_run, 0, y, room.kept, x, n, 1.25, 0);
    CALL(dropout_mask_run, 0, room.kept, n, 7, 3, 1 << 30);
    CALL(philox_run, 0, room.words, n, 7, 3);
    CALL(widen_rows, 0, room.wide, x, ROWS, n, n);
    CALL(extremes_cols, 0, y, z, x, ROWS, n, n);
    const size_t period = n < 67 ? n : 67, length = period + LANES;
    for (size_t i = 0; i < length; i++)
        room.table3[i] = 1, room.table3[length + i] = 0, room.table3[2 * length + i] = 3;
    VALUE(scale_elements, 0, y, x, n, room.table3, period, -1, 1, 0, 0);
    for (int norm = 0; norm < 3; norm++)
        VALUE(normalize_rows, norm, y, x, ROWS, n, norm, 1e-6);
    for (int kind = FM_GAPS; kind <= FM_ENTROPIES; kind++) {
        for (int row = 0; kind >= FM_VARIATION && row < ROWS; row++)
            room.sum[3 * row] = 3 + row, room.sum[3 * row + 1] = 17 - row;
        CALL(pair_sums, kind, room.sum, p, kind == FM_MASSES || kind == FM_ENTROPIES ? NULL : q, ROWS, n, kind);
    }
    CALL(shift_sums, 0, room.sum, ROWS);
    VALUE(square_sum, 0, x, n);
    VALUE(fma_chains, 0, m, n);
    CALL(clear_lines, 0, m, n / LANES * 64);
    for (size_t i = 0; i < n; i++)
        y[i] = x[i], z[i] = p[i], m[i] = q[i];
    CALL(scale_run, 0, y, n, 0.75);
    VALUE(unscale_run, 0, y, n, 1.25);
    CALL(clip_run, 0, y, n, 2);
    CALL(sgd_run, 0, y, z, g, n, 0.01, 0.9, 1, 0.01, 1, 1);
    CALL(gemm_sgd, 0, y, z, g, 1, ROWS, x, (ptrdiff_t)n, ROWS, n, ROWS, 0.01, 0.9, 1, 0.01, 1, 1);
    CALL(gemm_sgd, 1, y, NULL, g, ROWS, 1, x, (ptrdiff_t)n, ROWS, n, ROWS, 0.01, 0, 1, 0, -1, 0);
    CALL(adam_run, 0, y, z, m, NULL, g, n, 0.01, 0.1, 0.999, 0.001, 1, 1e-8, 0.01, 1, 1);
    CALL(lion_run, 0, y, m, g, n, 0.01, 0.1, 0.01, 0.999, 1);
    CALL(rms_run, 0, y, m, NULL, NULL, g, n, 0.01, 0.9, 0.1, 1e-8, 0, 0, 1);
}
