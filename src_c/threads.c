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
 * Wake-up: after a pause a worker is often woken on the CPU of the thread that calls it, and cannot run until the
 * scheduler balances the two, milliseconds later: a 0.8 millisecond training step took 2.1 after 50 of sleep, and
 * the five steps behind it 1.5 to 1.9. So before it wakes workers that sleep, the caller takes its own CPU out
 * of their affinity masks, and every worker puts its mask back as it joins. A worker that
 * still finds itself beside the caller takes itself off in the same way.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "threads.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <time.h>

#ifdef __linux__
#include <sys/syscall.h>
#include <unistd.h>
#endif

static __thread int local_threads;
static int forked_without_runtime;

int fm_local_threads(void) { return local_threads; }
void fm_set_local_threads(int n) { local_threads = n; }
int fm_openmp_usable(void) { return !forked_without_runtime; }

enum { AWAKE = 40000, WAKING = 120000, LONG = 250000 }; /* nanoseconds */

static __thread double started, last_end, busy; /* busy: in the calls in quick succession so far */
static __thread double last_region;
static __thread int opened; /* a region, since the last fm_team_done */

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
    if (opened) {
        last_region = fm_clock();
        opened = 0;
    }
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

static void forget_workers(void);
static void before_fork(void)
{
    omp_pause_resource_all(omp_pause_hard);
    forget_workers();
}
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

#if defined(__linux__) && defined(_OPENMP)

/* A thread that opens regions, and its workers: which threads they are, and the CPUs that they may use. */
enum { CALLERS = 64, WORKERS = 63 };

typedef struct {
    int taken;
    pid_t process; /* a forked child's table holds the parent's threads */
    pid_t worker[WORKERS];
    cpu_set_t allowed[WORKERS]; /* set where `kept_off` */
    int kept_off[WORKERS];
} crew;

static crew crews[CALLERS];
static __thread int mine = -1; /* in crews; CALLERS: there was no room */
static pthread_key_t leaving;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void forget_workers(void)
{
    for (int i = 0; i < CALLERS; i++)
        memset(crews[i].worker, 0, sizeof crews[i].worker);
}
static void leave(void *place) { __atomic_store_n(&((crew *)place)->taken, 0, __ATOMIC_RELEASE); }
static void make_key(void) { pthread_key_create(&leaving, leave); }

static int place(void)
{
    if (mine >= 0)
        return mine;
    pthread_once(&once, make_key);
    for (mine = 0; mine < CALLERS && __atomic_exchange_n(&crews[mine].taken, 1, __ATOMIC_ACQUIRE); mine++)
        ;
    if (mine < CALLERS) {
        memset(crews[mine].worker, 0, sizeof crews[mine].worker);
        pthread_setspecific(leaving, &crews[mine]);
    }
    return mine;
}

void fm_open_region(int threads)
{
    opened = 1;
    const int at = place(), cpu = sched_getcpu();
    crew *c = &crews[at];
    if (at == CALLERS || cpu < 0 || (started ? started : fm_clock()) - last_region < AWAKE)
        return;
    if (c->process != getpid()) {
        c->process = getpid();
        memset(c->worker, 0, sizeof c->worker);
    }
    for (int i = 0; i < threads - 1 && i < WORKERS; i++) {
        cpu_set_t others;
        if (!c->worker[i] || sched_getaffinity(c->worker[i], sizeof others, &others) || !CPU_ISSET(cpu, &others) ||
            CPU_COUNT(&others) < 2)
            continue;
        c->allowed[i] = others;
        CPU_CLR(cpu, &others);
        c->kept_off[i] = !sched_setaffinity(c->worker[i], sizeof others, &others);
    }
}

int fm_caller(void) { return place() << 16 | (sched_getcpu() & 0xffff); }

void fm_join_region(int caller)
{
    const int i = omp_get_thread_num() - 1, cpu = caller & 0xffff;
    crew *c = &crews[caller >> 16];
    if (i < 0)
        return;
    if (c < crews + CALLERS && i < WORKERS) {
        if (!c->worker[i])
            c->worker[i] = (pid_t)syscall(SYS_gettid);
        if (c->kept_off[i]) {
            c->kept_off[i] = 0;
            sched_setaffinity(0, sizeof c->allowed[i], &c->allowed[i]);
            return;
        }
    }
    cpu_set_t mask, others;
    if (sched_getcpu() != cpu || sched_getaffinity(0, sizeof mask, &mask) || CPU_COUNT(&mask) < 2)
        return;
    others = mask;
    CPU_CLR(cpu, &others);
    if (sched_setaffinity(0, sizeof others, &others) == 0)
        sched_setaffinity(0, sizeof mask, &mask);
}

#else

#ifdef _OPENMP
static void forget_workers(void) {}
#endif
void fm_open_region(int threads)
{
    (void)threads;
    opened = 1;
}
int fm_caller(void) { return -1; }
void fm_join_region(int caller) { (void)caller; }

#endif
