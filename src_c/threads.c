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
 */
#include "clock.h"
#include "crew.h"
#include "environment.h"
#include "threads.h"

#ifndef _WIN32
#include <pthread.h>
#endif

static __thread int local_threads;
static int forked_without_runtime;

int fm_local_threads(void) { return local_threads; }
void fm_set_local_threads(int n) { local_threads = n; }
int fm_openmp_usable(void) { return !forked_without_runtime; }

enum { AWAKE = 40000, WAKING = 120000, LONG_ENOUGH = 250000 }; /* nanoseconds */

static __thread double started, last_end, busy; /* busy: in the calls in quick succession so far */
static __thread double last_region;
static __thread int opened; /* a region, since the last fm_team_done */

int fm_team_pays(double nanoseconds)
{
    started = fm_now();
    if (started - last_end > AWAKE)
        busy = 0;
    return nanoseconds >= LONG_ENOUGH || busy >= WAKING;
}

void fm_team_done(void)
{
    if (opened) {
        last_region = fm_now();
        opened = 0;
    }
    if (started) {
        last_end = fm_now();
        busy += last_end - started;
        started = 0;
    }
}

enum { PATIENCE = 300 }; /* pauses before the CPU is offered to another thread, which may be the one waited for */

static void wait_a_little(int spins)
{
    if (spins % PATIENCE)
        fm_pause();
    else if (!fm_crew_help())
        fm_yield();
}

void fm_phase_await(fm_phase *phase, int tiles)
{
    for (int spins = 1; __atomic_load_n(&phase->done, __ATOMIC_ACQUIRE) < tiles; spins++)
        wait_a_little(spins);
}

#ifdef _OPENMP
#include <omp.h>

#ifdef _WIN32

void fm_threads_install(void) {} /* there is no fork */
const char *fm_openmp_name(void) { return "libomp"; }

#else

extern int omp_pause_resource_all(omp_pause_resource_t) __attribute__((weak));
extern void kmp_set_blocktime(int) __attribute__((weak));

static void before_fork(void)
{
    if (omp_pause_resource_all && !kmp_set_blocktime)
        omp_pause_resource_all(omp_pause_hard);
}
static void in_child(void)
{
    forked_without_runtime = !omp_pause_resource_all && !kmp_set_blocktime;
    fm_crew_forget();
}

void fm_threads_install(void) { pthread_atfork(before_fork, NULL, in_child); }

const char *fm_openmp_name(void) { return kmp_set_blocktime ? "libomp" : "libgomp"; }

#endif

int fm_openmp_max_threads(void) { return omp_get_max_threads(); }
static int this_thread(void) { return omp_get_thread_num(); }

#else

void fm_threads_install(void) {}
const char *fm_openmp_name(void) { return "none"; }
int fm_openmp_max_threads(void) { return 1; }
static int this_thread(void) { return 0; }

#endif

int fm_open_region(int threads, int in_any_case)
{
    if (!fm_crew_ready(threads, (started ? started : fm_now()) - last_region) && !in_any_case)
        return 1;
    opened = 1;
    return threads;
}

static ptrdiff_t range_start(const fm_work *work, ptrdiff_t range)
{
    const ptrdiff_t each = work->blocks / work->ranges, rest = work->blocks % work->ranges;
    return range * each + (range < rest ? range : rest);
}

static __thread ptrdiff_t blocks_done; /* by this thread, of the work that it is at: told when it finds no more */

static ptrdiff_t take_block(fm_work *work)
{
    const int thread = this_thread();
    for (int k = 0; k < work->ranges; k++) {
        const int r = (thread + k) % work->ranges;
        const ptrdiff_t end = range_start(work, r + 1);
        if (__atomic_load_n(&work->range[r].next, __ATOMIC_RELAXED) >= end)
            continue;
        const ptrdiff_t i = __atomic_fetch_add(&work->range[r].next, 1, __ATOMIC_RELAXED);
        if (i < end) {
            blocks_done++;
            return i;
        }
    }
    __atomic_fetch_add(&work->done, blocks_done, __ATOMIC_RELEASE);
    blocks_done = 0;
    return -1;
}

enum { FLUSHING = FM_CREW_PLACES + 1 };

void fm_share_work(fm_work *work, ptrdiff_t blocks, int threads)
{
    work->blocks = blocks;
    work->done = 0;
    work->caller = threads > 1 ? fm_crew_place() | (fm_environment_flushes() ? FLUSHING : 0) : 0;
    work->ranges = threads < FM_RANGES ? threads : FM_RANGES;
    for (int r = 0; r < work->ranges; r++)
        work->range[r].next = range_start(work, r);
}

static __thread fm_environment own; /* a worker's mode outside the region: other libraries use the same workers */

ptrdiff_t fm_join_region(fm_work *work)
{
    if (this_thread() > 0) {
        own = fm_environment_get();
        fm_switch(work->caller & FLUSHING ? FM_FLUSH : FM_FULL);
        fm_crew_join(work->caller & FM_CREW_PLACES);
    }
    return take_block(work);
}

ptrdiff_t fm_next_block(fm_work *work) { return take_block(work); }

ptrdiff_t fm_next_work(fm_work *work, fm_work *next)
{
    for (int spins = 1; __atomic_load_n(&work->done, __ATOMIC_ACQUIRE) < work->blocks; spins++)
        wait_a_little(spins);
    return take_block(next);
}

void fm_leave_region(void)
{
    if (this_thread() == 0) {
        fm_crew_await();
    } else {
        fm_switch(own);
        fm_crew_leave();
    }
}
