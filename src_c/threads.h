/* The team of threads: what Cython needs beside OpenMP's own pragmas. */
#ifndef FM_THREADS_H
#define FM_THREADS_H

#include <stddef.h>

/* Once, at import: makes forked children safe. */
void fm_threads_install(void);
/* "libgomp", "libomp" or "none". */
const char *fm_openmp_name(void);
/* OpenMP's own limit, which OMP_NUM_THREADS, threadpoolctl and the CPU affinity set; 1 without OpenMP. */
int fm_openmp_max_threads(void);
/* Whether this process may open a parallel region: not in a child that a runtime cannot serve. */
int fm_openmp_usable(void);
/* Whether work that takes one thread this long should go to the team, given what came before; and the end of
 * that work, by whom ever it was done. */
int fm_team_pays(double nanoseconds);
void fm_team_done(void);
/* Before a region of so many threads: how many it shall have, this many, or one where they would wait for CPUs (and
 * where nobody asked for this many in any case). */
int fm_open_region(int threads, int in_any_case);

/* The blocks of a region's work, and who computes which. Every thread of the team has a range of them, the same one at
 * each call on as much work, as part of the data may still lie in its core's cache. It takes them one by one, and then
 * what is left of the others' ranges: a thread that comes late, or not at all, holds nobody up. Which thread computes
 * a block changes no bit of it. */
enum { FM_RANGES = 64 };
typedef struct {
    ptrdiff_t blocks;
    int ranges;
    int caller;     /* who calls, where it runs, and in which mode (environment.h) */
    char apart[48]; /* lines of the cache */
    ptrdiff_t done;
    char end[56];
    struct {
        ptrdiff_t next;
        char apart[56];
    } range[FM_RANGES];
} fm_work;

/* By the caller, before the region. */
void fm_share_work(fm_work *work, ptrdiff_t blocks, int threads);
/* By every thread of the region, first thing inside: its first block, or -1. A worker takes the caller's mode over. */
ptrdiff_t fm_join_region(fm_work *work);
/* The block is done: the thread's next one, or -1 where none is left. */
ptrdiff_t fm_next_block(fm_work *work);
/* There was none left: once the others are done too, the first block of what comes next. */
ptrdiff_t fm_next_work(fm_work *work, fm_work *next);
/* Last: the caller waits for the workers; a worker's own mode is put back. */
void fm_leave_region(void);
/* *total += n, by any number of threads. */
static inline void fm_add(ptrdiff_t *total, ptrdiff_t n) { __atomic_fetch_add(total, n, __ATOMIC_RELAXED); }

/* Set and read the thread's own number of threads (0: none set), as num_threads() uses it. */
int fm_local_threads(void);
void fm_set_local_threads(int n);

/* A phase of a program: its tiles are taken one by one by whoever is free, and it is over once all are done. A
 * thread that comes late, or not at all, holds nobody up: the others take its tiles. */
typedef struct {
    int next;
    char apart[60]; /* two lines of the cache */
    int done;
    char end[60];
} fm_phase;

static inline int fm_phase_take(fm_phase *phase) { return __atomic_fetch_add(&phase->next, 1, __ATOMIC_RELAXED); }
static inline void fm_phase_finish(fm_phase *phase) { __atomic_fetch_add(&phase->done, 1, __ATOMIC_RELEASE); }
/* Waits until `tiles` of them are done. */
void fm_phase_await(fm_phase *phase, int tiles);

#endif
