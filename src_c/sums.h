/* What the sums here and in Cython share.
 *
 * A tally is a sum of doubles that keeps what rounding takes from it. It joins the sums of runs, blocks and chunks, so
 * that the error does not grow with their number. The remainder of each addition is exact (Knuth, The Art of Computer
 * Programming 2, 4.2.2, theorem B). Infinite terms leave none.
 */
#ifndef FM_SUMS_H
#define FM_SUMS_H

#include <math.h>
#include <stddef.h>

typedef struct {
    double total, lost;
} fm_tally; /* {0, 0} to begin with */

static inline void fm_tally_add(fm_tally *t, double x)
{
    const double sum = t->total + x, added = sum - t->total;
    t->lost += (t->total - (sum - added)) + (x - added);
    t->total = sum;
}

static inline double fm_tally_sum(const fm_tally *t) { return t->lost - t->lost == 0 ? t->total + t->lost : t->total; }

/* The sum with a last term x, which a short run has alone: any_before is 0 then. */
static inline double fm_tally_last(fm_tally *t, double x, size_t any_before)
{
    if (!any_before)
        return x;
    fm_tally_add(t, x);
    return fm_tally_sum(t);
}

/* The sum of x[0], x[step], ..., n of them. */
static inline double fm_tally_of(const double *x, size_t n, size_t step)
{
    fm_tally sum = {0, 0};
    for (; n; n--, x += step)
        fm_tally_add(&sum, *x);
    return fm_tally_sum(&sum);
}

/* What the sums of a column are relative to, by three of its numbers: the first where the others are close to it, so
 * that a large mean costs no digit; else, and where it is not finite, 0, or sums had no more digits than an outlier. */
static inline double fm_origin(double first, double middle, double last)
{
    const double near = fabs(first) / 4;
    return first - first == 0 && fabs(middle - first) <= near && fabs(last - first) <= near ? first : 0;
}

#endif
