/* fastml's C interface: primitives, random numbers and the thread gate, for extensions in C, C++ and Cython.
 *
 *     if (fastml_import() < 0)                                    in the module's init, in each file with this header
 *         return NULL;
 *     const fastml_table *fm = fastml_table_of(sizeof(float));    NULL of any size but 4 and 8
 *     fm->softmax_rows(y, x, rows, n, 0);
 *
 * Nothing is linked. docs/cython.md has the mathematics, the largest errors and examples. What each function promises,
 * unless its card says otherwise:
 *
 * - No Python: it may be called without the GIL, from any thread and in any floating-point mode, which is left as it
 *   was. One thread; nothing is allocated, nothing checked, nothing fails.
 * - Elements are real: float in the table of size 4, double in that of size 8. Pointers need the alignment of real
 *   only. A run is n contiguous elements; rows are contiguous, one after the other, n >= 1.
 * - An output may be an input itself, but must not overlap it in part, nor another output. rows = 0 or n = 0 of a run
 *   does nothing.
 * - A number is double, rounded to real first. stream = 1 stores the output past the caches, for a result larger than
 *   fastml_cache_bytes(); it shows in no bit.
 * - The bits are those of fastml's own function, the same on AVX2, AVX-512 and NEON (x86-64 without FMA has bits of its
 *   own).
 *
 * fastml_import() compares FASTML_ABI, the sizes of the two structs and the number of curves. Within one FASTML_ABI
 * members and curves are only added, at the ends, so an extension runs with every later fastml of the same number. */
#ifndef FASTML_H
#define FASTML_H

#include <Python.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FASTML_ABI 1

/* The functions of curve() and curve_backward(). a is ELU's alpha, softplus's beta or leaky ReLU's slope, b softplus's
 * threshold, beyond which it is x; the others read neither. */
enum fastml_curve {
    FASTML_GELU = 0,
    FASTML_GELU_TANH = 1,
    FASTML_SILU = 2,
    FASTML_SIGMOID = 3,
    FASTML_TANH = 4,
    FASTML_SOFTPLUS = 5,
    FASTML_ELU = 6,
    FASTML_LEAKY_RELU = 7,
    FASTML_HARD_SWISH = 8,
    FASTML_CURVES = 9 /* how many */
};

typedef struct fastml_table {
    /* y = softmax(x), y = log(softmax(x)), row by row. */
    void (*softmax_rows)(void *y, const void *x, size_t rows, size_t n, int stream);
    void (*log_softmax_rows)(void *y, const void *x, size_t rows, size_t n, int stream);
    /* The gradients by x, g being that by y. */
    void (*softmax_backward_rows)(void *dx, const void *g, const void *y, size_t rows, size_t n, int stream);
    void (*log_softmax_backward_rows)(void *dx, const void *g, const void *y, size_t rows, size_t n, int stream);
    /* lse[row] = log(sum(exp(x))). lse must not overlap x. */
    void (*logsumexp_rows)(void *lse, const void *x, size_t rows, size_t n);
    /* The sum of a run in double; 0 of none. */
    double (*sum)(const void *x, size_t n);
    /* The root of the sum of squares of a run, in double; no square overflows. 0 of none. */
    double (*norm)(const void *x, size_t n);
    /* sum[j] = the sum of x[i stride + j] over i < n, j < width; 0 where n = 0. stride: elements, may be negative. sum
     * must not overlap x. */
    void (*column_sums)(void *sum, const void *x, size_t n, ptrdiff_t stride, size_t width);
    /* y[i] = max(x[i], 0), and dx[i] = x[i] <= 0 ? 0 : g[i]; NaN stays. */
    void (*relu)(void *y, const void *x, size_t n, int stream);
    void (*relu_backward)(void *dx, const void *g, const void *x, size_t n, int stream);
    /* y[i] = f(x[i]), and dx[i] = g[i] f'(x[i]), f being one of fastml_curve. */
    void (*curve)(int f, void *y, const void *x, size_t n, double a, double b, int stream);
    void (*curve_backward)(int f, void *dx, const void *g, const void *x, size_t n, double a, double b, int stream);
    /* y[i] = x[i] / (1 - p) where word offset + i is at least 2^32 p, to the nearest integer; else 0. 0 <= p <= 1. */
    void (*dropout)(void *y, const void *x, size_t n, double p, uint64_t seed, uint64_t offset, int stream);
    /* Uniform in [0, 1): float i of word offset + i, 24 bits; double i of words offset + 2i and the next, 53 bits. */
    void (*uniform)(void *y, size_t n, uint64_t seed, uint64_t offset);
    /* One step of SGD: d = g + decay p, v = momentum v + (1 - dampening) d, p -= lr (nesterov ? d + momentum v : v);
     * with v = NULL p -= lr d. g may be p or v. */
    void (*sgd)(void *p, void *v, const void *g, size_t n, double lr, double momentum, double dampening, double decay,
                int nesterov);
    /* One step of AdamW: m = beta1 m + (1 - beta1) g, v = beta2 v + (1 - beta2) g^2,
     * p = keep p - rate m / (sqrt(v) inv_root + eps), where rate = lr / (1 - beta1^step), keep = 1 - lr decay and
     * inv_root = 1 / sqrt(1 - beta2^step). g may be p, m or v. */
    void (*adamw)(void *p, void *m, void *v, const void *g, size_t n, double rate, double beta1, double beta2,
                  double inv_root, double eps, double keep);
} fastml_table;

typedef struct fastml_api {
    unsigned int abi, size, table_size, curves; /* the fastml that runs: its FASTML_ABI, bytes of structs, curves */
    const fastml_table *table32, *table64;
    size_t cache_bytes;
    void (*words)(uint32_t *words, size_t n, uint64_t seed, uint64_t offset);
    void (*dropout_mask)(unsigned char *kept, size_t n, double p, uint64_t seed, uint64_t offset);
    int (*threads)(double nanoseconds);
    void (*threads_done)(void);
    void (*parallel_for)(void (*body)(void *data, size_t i), void *data, size_t count, double nanoseconds);
} fastml_api;

static const fastml_api *fastml_here; /* of this file, since fastml_import() */

/* Imports fastml and compares the versions. 0, or -1 with an ImportError set. With the GIL. */
static inline int fastml_import(void)
{
    const fastml_api *api;
    PyObject *module = PyImport_ImportModule("fastml.capi");
    if (module == NULL)
        return -1;
    Py_DECREF(module);
    api = (const fastml_api *)PyCapsule_Import("fastml.capi._API", 0);
    if (api == NULL)
        return -1;
    if (api->abi != FASTML_ABI) {
        PyErr_Format(
            PyExc_ImportError,
            "this extension was built for version %d of fastml's C interface, and the fastml that is installed "
            "has version %d: build the extension again",
            FASTML_ABI, (int)api->abi);
        return -1;
    }
    if (api->size < sizeof(fastml_api) || api->table_size < sizeof(fastml_table) || api->curves < FASTML_CURVES) {
        PyErr_SetString(PyExc_ImportError, "this extension was built with a newer fastml than the one that is "
                                           "installed: update fastml, or build the extension again");
        return -1;
    }
    fastml_here = api;
    return 0;
}

/* The functions for elements of so many bytes; NULL of any size but 4 and 8, and before fastml_import(). */
static inline const fastml_table *fastml_table_of(size_t itemsize)
{
    if (fastml_here == NULL)
        return NULL;
    return itemsize == 4 ? fastml_here->table32 : itemsize == 8 ? fastml_here->table64 : NULL;
}

/* The size of the last-level cache. */
static inline size_t fastml_cache_bytes(void) { return fastml_here->cache_bytes; }

/* words[i] = word offset + i (mod 2^64) of Philox4x32-10 with this seed. */
static inline void fastml_words(uint32_t *words, size_t n, uint64_t seed, uint64_t offset)
{
    fastml_here->words(words, n, seed, offset);
}

/* kept[i] = 1 where dropout() with these numbers keeps element i, else 0. */
static inline void fastml_dropout_mask(unsigned char *kept, size_t n, double p, uint64_t seed, uint64_t offset)
{
    fastml_here->dropout_mask(kept, n, p, seed, offset);
}

/* How many threads a region of the caller's own may have, for work that takes one thread so long: 1 where a team would
 * not pay; never more than fastml.get_num_threads(). Behind the region, fastml_threads_done(). */
static inline int fastml_threads(double nanoseconds) { return fastml_here->threads(nanoseconds); }
static inline void fastml_threads_done(void) { fastml_here->threads_done(); }

/* body(data, i) for every i < count, on fastml's own team where the work, which takes one thread so long, is worth it.
 * Not from within a body. */
static inline void fastml_parallel_for(void (*body)(void *data, size_t i), void *data, size_t count, double nanoseconds)
{
    fastml_here->parallel_for(body, data, count, nanoseconds);
}

#ifdef __cplusplus
}
#endif

#endif
