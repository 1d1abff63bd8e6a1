/* Class labels lie in memory that another thread of Python may write at any time. So each use of a label is one load,
 * and what is compared with the number of classes is the very value that is then used: a label that changes between
 * the check of a call and its work makes no access outside, but a sample that does not count and a mark.
 */
#ifndef FM_LABELS_H
#define FM_LABELS_H

#include <stddef.h>
#include <stdint.h>

#define FM_NO_CLASS SIZE_MAX

typedef struct {
    int64_t ignored; /* the label of samples that do not count */
    int ignores;     /* whether there is such a label */
    int changed;     /* OUT: set to 1 where a label was neither a class nor ignored */
} fm_labels;

static inline int64_t fm_label(const int64_t *label) { return __atomic_load_n(label, __ATOMIC_RELAXED); }

/* The class of a label among n; FM_NO_CLASS where the sample does not count. */
static inline size_t fm_class(const int64_t *label, size_t n, fm_labels *rule)
{
    const int64_t k = fm_label(label);
    if (rule->ignores && k == rule->ignored)
        return FM_NO_CLASS;
    if ((uint64_t)k < n)
        return (size_t)k;
    __atomic_store_n(&rule->changed, 1, __ATOMIC_RELAXED);
    return FM_NO_CLASS;
}

#endif
