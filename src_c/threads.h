/* The team of threads: what Cython needs beside OpenMP's own pragmas. */
#ifndef FM_THREADS_H
#define FM_THREADS_H

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
/* A clock that only goes forward, in nanoseconds. */
double fm_clock(void);
/* Before a region of so many threads: workers that sleep are kept off the caller's CPU. */
void fm_open_region(int threads);
/* Who calls, where it runs and in which mode (environment.h): what every thread of the region tells fm_join_region,
 * first thing inside; and last, the worker's own mode is put back. */
int fm_caller(void);
void fm_join_region(int caller);
void fm_leave_region(void);
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
