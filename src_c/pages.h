/* Memory for large results that does not fault page by page.
 *
 * Memory fresh from the system costs 0.08 to 0.4 ns a byte for its first touch, several times what filling it
 * takes: 40 MB of zeros with 10000 ones took 3.2 ms in new huge pages and 14 in new small ones, 0.35 to 0.7 in pages
 * that are there. The C library gives blocks of more than 32 MiB back at once. So the last large block that is
 * freed is kept for the next result, if it has at most PAGES_KEPT bytes; one block for the whole process. (Handing it
 * to the system by MADV_FREE meanwhile costs 0.2 ms on two threads.) Blocks begin on a huge page and ask for them.
 * Windows has no mmap; what its calloc gives of this size comes from the system as well, in small pages.
 */
#ifndef FM_PAGES_H
#define FM_PAGES_H

#include <stddef.h>
#include <stdint.h>
#ifdef _WIN32
#include <stdlib.h>
#else
#include <sys/mman.h>
#endif

enum { PAGES_HUGE = 2 << 20, PAGES_KEPT = 64 << 20, PAGES_HEAD = 64 };

/* At the start of a block; the caller's bytes begin PAGES_HEAD after it. */
typedef struct {
    void *mapped;
    size_t whole, room; /* bytes mapped, bytes for the caller */
} fm_pages;

static fm_pages *fm_pages_kept;

static inline void fm_pages_unmap(fm_pages *block)
{
    if (!block)
        return;
#ifdef _WIN32
    free(block->mapped);
#else
    munmap(block->mapped, block->whole);
#endif
}

static inline void fm_pages_free(void *memory)
{
    fm_pages *block = memory ? (fm_pages *)((char *)memory - PAGES_HEAD) : NULL;
    if (block && block->room <= PAGES_KEPT)
        block = __atomic_exchange_n(&fm_pages_kept, block, __ATOMIC_ACQ_REL);
    fm_pages_unmap(block);
}

/* Memory for so many bytes, 64-byte aligned, or NULL; *zero: it is new, and so all zero. */
static inline void *fm_pages_new(size_t bytes, int *zero)
{
    fm_pages *block = __atomic_exchange_n(&fm_pages_kept, NULL, __ATOMIC_ACQ_REL);
    *zero = 0;
    if (block && (block->room < bytes || block->room / 4 > bytes)) {
        fm_pages_unmap(block);
        block = NULL;
    }
    if (!block) {
        if (bytes > SIZE_MAX / 2)
            return NULL;
        const size_t need = (bytes + PAGES_HEAD + PAGES_HUGE - 1) / PAGES_HUGE * PAGES_HUGE, whole = need + PAGES_HUGE;
#ifdef _WIN32
        char *mapped = (char *)calloc(1, whole);
        if (!mapped)
            return NULL;
#else
        char *mapped = (char *)mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (mapped == MAP_FAILED)
            return NULL;
#endif
        block = (fm_pages *)(((uintptr_t)mapped + PAGES_HUGE - 1) / PAGES_HUGE * PAGES_HUGE);
#ifdef MADV_HUGEPAGE
        madvise(block, need, MADV_HUGEPAGE);
#endif
        *block = (fm_pages){mapped, whole, need - PAGES_HEAD};
        *zero = 1;
    }
    return (char *)block + PAGES_HEAD;
}

#endif
