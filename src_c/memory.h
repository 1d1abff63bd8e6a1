/* Memory for arrays and for scratch: it begins on a cache line, and what was freed is used again, to a bound.
 *
 * Memory fresh from the system costs 0.05 ns a byte for its first touch in huge pages and 0.4 in small ones, as much
 * as filling it or several times that, and the C library gives blocks of more than 32 MiB back at once. So blocks are
 * kept:
 *
 * - small ones, to SMALL_BYTES: BIN_BLOCKS of each number of lines, 1.1 MiB in all. Only who holds the interpreter's
 *   lock may use these bins; an interpreter without it has none.
 * - middle ones: MIDDLE_KEPT bytes in all.
 * - large ones, from LARGE_BYTES, which begin on a huge page: LARGE_KEPT bytes in all.
 * - on Linux lent ones: what is larger than that, and large ones that had to make room, up to a sixteenth of the
 *   machine's memory and of the address space that the process may have. The system may take all but the first huge
 *   page of each at any time (MADV_FREE, 0.5 us a MiB).
 *
 * Where the system has no more, all but the small ones go back to it, and it is asked once again.
 *
 * Slots are taken and filled by atomic exchange: a fork finds no lock. Under PYTHONMALLOC=malloc nothing is kept and
 * all comes from malloc, so that valgrind and AddressSanitizer see every use of what is freed.
 */
#ifndef FM_MEMORY_H
#define FM_MEMORY_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#ifndef _WIN32
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>
#endif

enum {
    LINE_BYTES = 64,
    SMALL_BYTES = 4096,
    BIN_BLOCKS = 8,
    SLOTS = 64,
    FEW_SLOTS = 16, /* where blocks are less dear than a look at all slots, or no more of them can be kept */
    LARGE_BYTES = 4 << 20,
    HUGE_PAGE_BYTES = 2 << 20,
    MIDDLE_KEPT = 16 << 20,
    LARGE_KEPT = 64 << 20
};

/* Right before the bytes that the caller has. */
typedef struct fm_block {
    void *start;            /* what the system gave */
    size_t mapped;          /* bytes that it mapped for this block alone; 0: it is the C library's */
    size_t room;            /* bytes for the caller */
    struct fm_block *below; /* in its bin */
} fm_block;

typedef struct {
    fm_block *block;
    size_t room; /* of the block, or of one that was here: another thread may be about to change it */
} fm_slot;

typedef struct {
    fm_slot slots[SLOTS];
    unsigned count;     /* of slots in use */
    size_t total, most; /* bytes */
    unsigned turn;      /* whose slot is emptied next */
} fm_store;

static fm_store fm_middle = {.count = FEW_SLOTS, .most = MIDDLE_KEPT};
static fm_store fm_large = {.count = FEW_SLOTS, .most = LARGE_KEPT}, fm_lent = {.count = SLOTS};
static int fm_keeps; /* whether anything is kept */

static inline fm_block *fm_block_of(void *bytes) { return (fm_block *)bytes - 1; }

/* ---- the system ---- */

/* A block in memory that begins at `from`; its bytes begin on the first line that leaves room for it. */
static inline fm_block *fm_block_at(void *from, void *start, size_t mapped, size_t room)
{
    const uintptr_t first = ((uintptr_t)from + sizeof(fm_block) + LINE_BYTES - 1) / LINE_BYTES * LINE_BYTES;
    fm_block *block = fm_block_of((void *)first);
    *block = (fm_block){start, mapped, room, NULL};
    return block;
}

static fm_block *fm_block_new(size_t bytes)
{
    void *start = malloc(bytes + sizeof(fm_block) + LINE_BYTES - 1);
    return start ? fm_block_at(start, start, 0, bytes) : NULL;
}

/* All zero, in huge pages but for a rest of less than half of one. Windows has no mmap; its calloc of so much comes
 * from the system as well, in small pages. */
static fm_block *fm_block_map(size_t bytes)
{
#ifdef _WIN32
    void *start = calloc(1, bytes + sizeof(fm_block) + LINE_BYTES - 1);
    return start ? fm_block_at(start, start, 0, bytes) : NULL;
#else
    const size_t need = (bytes + LINE_BYTES + 4095) / 4096 * 4096, mapped = need + HUGE_PAGE_BYTES;
    char *start = (char *)mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (start == MAP_FAILED)
        return NULL;
    char *from = (char *)(((uintptr_t)start + HUGE_PAGE_BYTES - 1) / HUGE_PAGE_BYTES * HUGE_PAGE_BYTES);
#ifdef MADV_HUGEPAGE
    madvise(from, (need + HUGE_PAGE_BYTES / 2) / HUGE_PAGE_BYTES * HUGE_PAGE_BYTES, MADV_HUGEPAGE);
#endif
    return fm_block_at(from, start, mapped, bytes);
#endif
}

static void fm_block_free(fm_block *block)
{
#ifndef _WIN32
    if (block->mapped) {
        munmap(block->start, block->mapped);
        return;
    }
#endif
    free(block->start);
}

/* ---- what is kept ---- */

static void fm_store_drop(fm_store *store, fm_block *block)
{
    __atomic_fetch_sub(&store->total, block->room, __ATOMIC_RELAXED);
    fm_block_free(block);
}

static inline int fm_fits(size_t room, size_t bytes) { return room >= bytes && room - bytes <= room / 5; }

/* A kept block for so many bytes, at most a quarter larger, or NULL. */
static fm_block *fm_store_take(fm_store *store, size_t bytes)
{
    for (fm_slot *slot = store->slots; slot < store->slots + store->count; slot++) {
        if (!__atomic_load_n(&slot->block, __ATOMIC_RELAXED) ||
            !fm_fits(__atomic_load_n(&slot->room, __ATOMIC_RELAXED), bytes))
            continue;
        fm_block *block = __atomic_exchange_n(&slot->block, NULL, __ATOMIC_ACQUIRE);
        if (block && fm_fits(block->room, bytes)) {
            __atomic_fetch_sub(&store->total, block->room, __ATOMIC_RELAXED);
            return block;
        }
        if (block) /* another thread's, of another size */
            fm_store_drop(store, block);
    }
    return NULL;
}

static fm_slot *fm_store_turn(fm_store *store)
{
    return &store->slots[__atomic_fetch_add(&store->turn, 1, __ATOMIC_RELAXED) % store->count];
}

static void fm_store_give(fm_store *store, fm_block *block);

/* To the system, but that it may stay until the system needs it. Results of 40, 50 and 60 MiB in turns: 2.3 times the
 * time of given ones without it, 1.0 with it. */
static void fm_block_lend(fm_block *block)
{
#ifdef __linux__
    if (block->room <= fm_lent.most && block->mapped) {
        char *next = (char *)block + HUGE_PAGE_BYTES, *end = (char *)block->start + block->mapped;
        next = (char *)((uintptr_t)next / HUGE_PAGE_BYTES * HUGE_PAGE_BYTES);
        madvise(next, end - next, MADV_FREE);
        fm_store_give(&fm_lent, block);
        return;
    }
#endif
    fm_block_free(block);
}

/* A kept block has to make room. */
static void fm_store_evict(fm_store *store, fm_block *block)
{
    __atomic_fetch_sub(&store->total, block->room, __ATOMIC_RELAXED);
    if (store == &fm_large)
        fm_block_lend(block);
    else
        fm_block_free(block);
}

/* Keep a block. Slots are emptied in turn until all is within the bound. */
static void fm_store_give(fm_store *store, fm_block *block)
{
    const size_t room = block->room;
    fm_block *old;
    __atomic_fetch_add(&store->total, room, __ATOMIC_RELAXED);
    for (unsigned i = 0; i < store->count && __atomic_load_n(&store->total, __ATOMIC_RELAXED) > store->most; i++) {
        old = __atomic_exchange_n(&fm_store_turn(store)->block, NULL, __ATOMIC_ACQUIRE);
        if (old)
            fm_store_evict(store, old);
    }
    if (__atomic_load_n(&store->total, __ATOMIC_RELAXED) > store->most) {
        fm_store_evict(store, block);
        return;
    }
    fm_slot *slot = store->slots;
    while (slot < store->slots + store->count && __atomic_load_n(&slot->block, __ATOMIC_RELAXED))
        slot++;
    if (slot == store->slots + store->count)
        slot = fm_store_turn(store);
    __atomic_store_n(&slot->room, room, __ATOMIC_RELAXED);
    old = __atomic_exchange_n(&slot->block, block, __ATOMIC_ACQ_REL);
    if (old)
        fm_store_evict(store, old);
}

static void fm_store_empty(fm_store *store)
{
    for (fm_slot *slot = store->slots; slot < store->slots + store->count; slot++) {
        fm_block *block = __atomic_exchange_n(&slot->block, NULL, __ATOMIC_ACQUIRE);
        if (block)
            fm_store_drop(store, block);
    }
}

/* From the system; *zero as in fm_lines_new. */
static fm_block *fm_block_make(size_t bytes, int *zero)
{
    *zero = fm_keeps && bytes >= LARGE_BYTES;
    fm_block *block = *zero ? fm_block_map(bytes) : fm_block_new(bytes);
    if (block || !fm_keeps)
        return block;
    fm_store_empty(&fm_lent);
    fm_store_empty(&fm_large);
    fm_store_empty(&fm_middle);
    return *zero ? fm_block_map(bytes) : fm_block_new(bytes);
}

/* Memory for so many bytes, or NULL; *zero: it is new, and so all zero. Any thread may call it. */
static void *fm_lines_new(size_t bytes, int *zero)
{
    fm_block *block = NULL;
    *zero = 0;
    if (bytes > SIZE_MAX / 2)
        return NULL;
    bytes = bytes ? bytes : 1;
    if (fm_keeps && bytes >= LARGE_BYTES) {
        block = bytes <= LARGE_KEPT ? fm_store_take(&fm_large, bytes) : NULL;
        block = block ? block : fm_store_take(&fm_lent, bytes);
    } else if (fm_keeps && bytes > SMALL_BYTES)
        block = fm_store_take(&fm_middle, bytes);
    if (!block)
        block = fm_block_make(bytes, zero);
    return block ? block + 1 : NULL;
}

/* What fm_lines_new gave; NULL is nothing. */
static void fm_lines_free(void *bytes)
{
    if (!bytes)
        return;
    fm_block *block = fm_block_of(bytes);
    if (!fm_keeps || block->room <= SMALL_BYTES)
        fm_block_free(block);
    else if (block->room < LARGE_BYTES)
        fm_store_give(&fm_middle, block);
    else if (block->room <= LARGE_KEPT)
        fm_store_give(&fm_large, block);
    else
        fm_block_lend(block);
}

/* ---- with the interpreter's lock ---- */

#ifndef Py_GIL_DISABLED
static struct {
    fm_block *top;
    int count;
} fm_bins[SMALL_BYTES / LINE_BYTES + 1]; /* by lines */
#endif

static inline void *fm_array_new(size_t bytes, int *zero)
{
#ifndef Py_GIL_DISABLED
    if (bytes <= SMALL_BYTES && fm_keeps) {
        const size_t lines = bytes ? (bytes + LINE_BYTES - 1) / LINE_BYTES : 1;
        fm_block *block = fm_bins[lines].top;
        *zero = 0;
        if (block) {
            fm_bins[lines].top = block->below;
            fm_bins[lines].count--;
            return block + 1;
        }
        bytes = lines * LINE_BYTES;
    }
#endif
    return fm_lines_new(bytes, zero);
}

static inline void fm_array_free(void *bytes)
{
#ifndef Py_GIL_DISABLED
    fm_block *block = fm_block_of(bytes);
    const size_t lines = block->room / LINE_BYTES;
    if (block->room <= SMALL_BYTES && fm_keeps && fm_bins[lines].count < BIN_BLOCKS) {
        block->below = fm_bins[lines].top;
        fm_bins[lines].top = block;
        fm_bins[lines].count++;
        return;
    }
#endif
    fm_lines_free(bytes);
}

/* The bytes of an array; -1: more than there can be. */
static inline ptrdiff_t fm_array_bytes(int ndim, const ptrdiff_t *shape, ptrdiff_t size)
{
    int beyond = 0;
    for (int i = 0; i < ndim; i++)
        beyond |= (shape[i] < 0) | __builtin_mul_overflow(size, shape[i], &size);
    return beyond ? -1 : size;
}

/* ---- as NumPy asks an array's handler (NEP 49) ---- */

static void *fm_numpy_new(void *context, size_t bytes)
{
    int zero;
    (void)context;
    return fm_array_new(bytes, &zero);
}

static void *fm_numpy_zeros(void *context, size_t count, size_t bytes)
{
    int zero = 0;
    void *memory = bytes && count > SIZE_MAX / bytes ? NULL : fm_array_new(count * bytes, &zero);
    (void)context;
    return !memory || zero ? memory : memset(memory, 0, count * bytes);
}

static void fm_numpy_free(void *context, void *memory, size_t bytes)
{
    (void)context, (void)bytes; /* what an array has may have changed since: the block knows better */
    fm_array_free(memory);
}

/* Where an array is resized. */
static void *fm_numpy_resize(void *context, void *memory, size_t bytes)
{
    const size_t room = fm_block_of(memory)->room;
    if (bytes <= room && bytes >= room / 2)
        return memory;
    void *moved = fm_numpy_new(context, bytes);
    if (moved) {
        memcpy(moved, memory, bytes < room ? bytes : room);
        fm_array_free(memory);
    }
    return moved;
}

/* The bytes that are kept: small, middle, large and lent blocks. */
static void fm_memory_kept(size_t kept[4])
{
    kept[0] = 0;
#ifndef Py_GIL_DISABLED
    for (size_t lines = 1; lines <= SMALL_BYTES / LINE_BYTES; lines++)
        kept[0] += fm_bins[lines].count * lines * LINE_BYTES;
#endif
    kept[1] = __atomic_load_n(&fm_middle.total, __ATOMIC_RELAXED);
    kept[2] = __atomic_load_n(&fm_large.total, __ATOMIC_RELAXED);
    kept[3] = __atomic_load_n(&fm_lent.total, __ATOMIC_RELAXED);
}

static void fm_memory_begin(int keeps)
{
    fm_keeps = keeps;
#ifdef __linux__
    const long pages = sysconf(_SC_PHYS_PAGES);
    struct rlimit space;
    fm_lent.most = pages > 0 ? (size_t)pages * (size_t)sysconf(_SC_PAGESIZE) / 16 : 0;
    if (getrlimit(RLIMIT_AS, &space) == 0 && space.rlim_cur != RLIM_INFINITY && space.rlim_cur / 16 < fm_lent.most)
        fm_lent.most = (size_t)space.rlim_cur / 16;
#endif
}

#endif
