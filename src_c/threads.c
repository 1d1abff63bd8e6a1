/* Fork, wake-up and bookkeeping around the OpenMP runtime.
 *
 * fork: libgomp keeps its idle workers in a pool that a forked child inherits without the threads in it, so
 * the child's first parallel region hangs (GCC bug 58378). omp_pause_resource_all in a pthread_atfork
 * *prepare* handler gives the pool back before the fork, and parent and child start new ones when they need
 * them. LLVM's libomp handles fork itself and would deadlock in such a handler. Where neither way exists the
 * child runs serially.
 *
 * Whether a team pays: with the workers still spinning from the last region, 3 to 6 microseconds; waking them
 * from sleep takes 50 to 250. So a call on its own goes to the team only if it is long; short calls in quick
 * succession do once they have added up to what the waking costs (the ski-rental rule: never worse than
 * twice the best). The clock changes who computes, never what.
 *
 * Wake-up: after a pause a worker is often woken on the CPU of the thread that calls it, and both then share
 * one core until the scheduler balances them milliseconds later. The worker asks where it is and, if it sits
 * on the caller's CPU, takes itself off by its affinity mask and puts the mask back.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "threads.h"

#include <pthread.h>
#include <sched.h>
#include <time.h>

static __thread int local_threads;
static int forked_without_runtime;

int fm_local_threads(void) { return local_threads; }
void fm_set_local_threads(int n) { local_threads = n; }
int fm_openmp_usable(void) { return !forked_without_runtime; }

enum { AWAKE = 40000, WAKING = 120000, LONG = 250000 }; /* nanoseconds */

static __thread double started, last_end, busy; /* busy: in the calls in quick succession so far */

double fm_clock(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e9 + t.tv_nsec;
}

int fm_team_pays(double nanoseconds)
{
    started = fm_clock();
    if (started - last_end > AWAKE)
        busy = 0;
    return nanoseconds >= LONG || busy >= WAKING;
}

void fm_team_done(void)
{
    if (started) {
        last_end = fm_clock();
        busy += last_end - started;
        started = 0;
    }
}

enum { PATIENCE = 300 }; /* pauses before the CPU is offered to another thread, which may be the one waited for */

void fm_phase_await(fm_phase *phase, int tiles)
{
    for (int spins = 0; __atomic_load_n(&phase->done, __ATOMIC_ACQUIRE) < tiles; spins++) {
        if (spins >= PATIENCE) {
            sched_yield();
            continue;
        }
#if defined(__x86_64__)
        __builtin_ia32_pause();
#else
        __asm__ volatile("yield" ::: "memory");
#endif
    }
}

#ifdef _OPENMP
#include <omp.h>

extern int omp_pause_resource_all(omp_pause_resource_t) __attribute__((weak));
extern void kmp_set_blocktime(int) __attribute__((weak));

static void before_fork(void) { omp_pause_resource_all(omp_pause_hard); }
static void in_child(void) { forked_without_runtime = 1; }

void fm_threads_install(void)
{
    if (kmp_set_blocktime)
        return;
    if (omp_pause_resource_all)
        pthread_atfork(before_fork, NULL, NULL);
    else
        pthread_atfork(NULL, NULL, in_child);
}

const char *fm_openmp_name(void) { return kmp_set_blocktime ? "libomp" : "libgomp"; }
int fm_openmp_max_threads(void) { return omp_get_max_threads(); }

#else

void fm_threads_install(void) {}
const char *fm_openmp_name(void) { return "none"; }
int fm_openmp_max_threads(void) { return 1; }

#endif

#ifdef __linux__

int fm_current_cpu(void) { return sched_getcpu(); }

void fm_leave_cpu(int caller_cpu)
{
#ifdef _OPENMP
    if (omp_get_thread_num() == 0 || caller_cpu < 0 || sched_getcpu() != caller_cpu)
        return;
    cpu_set_t mask, others;
    if (sched_getaffinity(0, sizeof mask, &mask) || CPU_COUNT(&mask) < 2)
        return;
    others = mask;
    CPU_CLR(caller_cpu, &others);
    if (sched_setaffinity(0, sizeof others, &others) == 0)
        sched_setaffinity(0, sizeof mask, &mask);
#else
    (void)caller_cpu;
#endif
}

#else

int fm_current_cpu(void) { return -1; }
void fm_leave_cpu(int caller_cpu) { (void)caller_cpu; }

#endif
