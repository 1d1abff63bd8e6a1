/* Probabilities of the classes that samples are of, clipped, and whether their rows are distributions. Two neighbours
 * at a time: what is checked is their bits, because numbers of [0, 1] are those whose bits are not above those of 1.
 * Rows of 10 doubles, AMD Zen 5: 4.2 -> 2.0 ns each. (-0 counts as outside: who asks looks again.)
 */
#ifndef FM_PICK_H
#define FM_PICK_H

#include "labels.h"
#include <math.h>
#include <string.h>

typedef struct {
    size_t outside; /* rows with a probability that is not in [0, 1] */
    size_t uneven;  /* rows that do not sum to 1 */
} fm_faults;

typedef double fm_two __attribute__((vector_size(16)));
typedef float fm_two_32 __attribute__((vector_size(8)));
typedef uint64_t fm_bits __attribute__((vector_size(16)));

static inline fm_two fm_two_at(const char *p, int single)
{
    fm_two x;
    fm_two_32 narrow;
    if (!single) {
        memcpy(&x, p, sizeof x);
        return x;
    }
    memcpy(&narrow, p, sizeof narrow);
    return __builtin_convertvector(narrow, fm_two);
}

static inline double fm_one_at(const char *p, int single)
{
    double x;
    float narrow;
    if (!single) {
        memcpy(&x, p, sizeof x);
        return x;
    }
    memcpy(&narrow, p, sizeof narrow);
    return narrow;
}

static inline double fm_clip(double x, double eps) { return x < eps ? eps : x > 1 - eps ? 1 - eps : x; }

/* own (OUT), label (IN): rows, of int64; p (IN): (rows, n) of floats where single, else of doubles. Of a row whose
 * label is no class, own is eps. */
static inline __attribute__((always_inline)) fm_faults fm_pick(double *own, const char *p, const int64_t *label,
                                                               size_t rows, size_t n, double tolerance, double eps,
                                                               fm_labels *rule, const int single)
{
    const size_t size = single ? sizeof(float) : sizeof(double);
    const fm_two one = {1, 1};
    const fm_bits most = (fm_bits)one;
    fm_faults faults = {0, 0};
    for (size_t i = 0; i < rows; i++, p += n * size) {
        fm_two sum = {0, 0};
        fm_bits beyond = {0, 0}, bits;
        size_t j = 0;
        for (; j + 2 <= n; j += 2) {
            const fm_two x = fm_two_at(p + j * size, single);
            sum += x;
            bits = (fm_bits)x;
            beyond |= bits | (most - bits);
        }
        if (j < n) {
            const fm_two x = {fm_one_at(p + j * size, single), 0};
            sum += x;
            bits = (fm_bits)x;
            beyond |= bits | (most - bits);
        }
        faults.outside += (beyond[0] | beyond[1]) >> 63;
        faults.uneven += !(fabs(sum[0] + sum[1] - 1) <= tolerance);
        const size_t place = fm_class(label + i, n, rule);
        own[i] = fm_clip(place == FM_NO_CLASS ? 0 : fm_one_at(p + place * size, single), eps);
    }
    return faults;
}

/* The same of one probability a row, that of class 1 of 2. */
static inline __attribute__((always_inline)) fm_faults fm_pick_second(double *own, const char *p, const int64_t *label,
                                                                      size_t rows, double eps, fm_labels *rule,
                                                                      const int single)
{
    const size_t size = single ? sizeof(float) : sizeof(double);
    fm_faults faults = {0, 0};
    for (size_t i = 0; i < rows; i++, p += size) {
        const double x = fm_one_at(p, single), rest = single ? (double)(1.0f - (float)x) : 1 - x;
        faults.outside += !(x >= 0 && x <= 1);
        own[i] = fm_clip(fm_class(label + i, 2, rule) == 1 ? x : rest, eps);
    }
    return faults;
}

static inline fm_faults fm_pick_rows(double *own, const void *p, const int64_t *label, size_t rows, size_t n,
                                     double tolerance, double eps, fm_labels *rule, int single)
{
    if (n == 1)
        return single ? fm_pick_second(own, p, label, rows, eps, rule, 1)
                      : fm_pick_second(own, p, label, rows, eps, rule, 0);
    return single ? fm_pick(own, p, label, rows, n, tolerance, eps, rule, 1)
                  : fm_pick(own, p, label, rows, n, tolerance, eps, rule, 0);
}

#endif
