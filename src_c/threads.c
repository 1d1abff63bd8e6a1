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
#include "clock.h"
#include "environment.h"
#include "threads.h"

#ifndef _WIN32
#include <pthread.h>
#endif
#ifdef __linux__
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
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

double fm_clock(void) { return fm_now(); }

int fm_team_pays(double nanoseconds)
{
    started = fm_clock();
    if (started - last_end > AWAKE)
        busy = 0;
    return nanoseconds >= LONG_ENOUGH || busy >= WAKING;
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
        if (spins >= PATIENCE)
            fm_yield();
        else
            fm_pause();
    }
}

#ifdef _OPENMP
#include <omp.h>

#ifdef _WIN32

void fm_threads_install(void) {} /* there is no fork */
const char *fm_openmp_name(void) { return "libomp"; }

#else

extern int omp_pause_resource_all(omp_pause_resource_t) __attribute__((weak));
extern void kmp_set_blocktime(int) __attribute__((weak));

static void forget_others(void);
static void before_fork(void)
{
    if (omp_pause_resource_all && !kmp_set_blocktime)
        omp_pause_resource_all(omp_pause_hard);
}
static void in_child(void)
{
    forked_without_runtime = !omp_pause_resource_all && !kmp_set_blocktime;
    forget_others();
}

void fm_threads_install(void) { pthread_atfork(before_fork, NULL, in_child); }

const char *fm_openmp_name(void) { return kmp_set_blocktime ? "libomp" : "libgomp"; }

#endif

int fm_openmp_max_threads(void) { return omp_get_max_threads(); }

#else

void fm_threads_install(void) {}
const char *fm_openmp_name(void) { return "none"; }
int fm_openmp_max_threads(void) { return 1; }

#endif

#if defined(__linux__) && defined(_OPENMP)

/* A thread that opens regions, and its workers: which threads they are, and the CPUs that they may use. A worker's
 * record is its own; the crew points to it as long as the worker lives. At its end a worker takes itself out of the
 * crew, and `seats` is held while others' records are used: an id of a thread that ended is never used, as by then
 * it may be another thread's, of another process even. */
enum { CALLERS = 64, WORKERS = 63 };

typedef struct {
    pid_t thread;
    cpu_set_t allowed; /* set where `kept_off` */
    int kept_off;
    struct crew *crew; /* where it sits, if anywhere */
    int seat;
} worker;

typedef struct crew {
    int taken;
    pthread_mutex_t seats;
    worker *at[WORKERS];
} crew;

static crew crews[CALLERS];    /* all zero: no worker, mutexes as PTHREAD_MUTEX_INITIALIZER makes them */
static __thread int mine = -1; /* in crews; CALLERS: there was no room */
static __thread worker self;
static pthread_key_t leaving, ending;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void leave(void *place) { __atomic_store_n(&((crew *)place)->taken, 0, __ATOMIC_RELEASE); }

static void stand_up(void *record)
{
    worker *w = record;
    crew *c = w->crew;
    if (!c)
        return;
    pthread_mutex_lock(&c->seats);
    if (c->at[w->seat] == w)
        c->at[w->seat] = NULL;
    pthread_mutex_unlock(&c->seats);
    w->crew = NULL;
}

static void sit_down(crew *c, int seat)
{
    if (__atomic_load_n(&c->at[seat], __ATOMIC_RELAXED) == &self)
        return;
    stand_up(&self);
    self.thread = (pid_t)syscall(SYS_gettid);
    self.crew = c;
    self.seat = seat;
    pthread_setspecific(ending, &self);
    pthread_mutex_lock(&c->seats);
    c->at[seat] = &self;
    pthread_mutex_unlock(&c->seats);
}

static void make_keys(void)
{
    pthread_key_create(&leaving, leave);
    pthread_key_create(&ending, stand_up);
}

static int place(void)
{
    if (mine >= 0)
        return mine;
    pthread_once(&once, make_keys);
    for (mine = 0; mine < CALLERS && __atomic_exchange_n(&crews[mine].taken, 1, __ATOMIC_ACQUIRE); mine++)
        ;
    if (mine < CALLERS) {
        pthread_mutex_lock(&crews[mine].seats);
        memset(crews[mine].at, 0, sizeof crews[mine].at);
        pthread_mutex_unlock(&crews[mine].seats);
        pthread_setspecific(leaving, &crews[mine]);
    }
    return mine;
}

/* Of all threads only the one that forked is in the child. */
static void forget_others(void)
{
    memset(crews, 0, sizeof crews);
    memset(&self, 0, sizeof self);
    if (mine >= 0 && mine < CALLERS)
        crews[mine].taken = 1;
}

void fm_open_region(int threads)
{
    opened = 1;
    const int at = place(), cpu = sched_getcpu();
    crew *c = &crews[at];
    if (at == CALLERS || cpu < 0 || (started ? started : fm_clock()) - last_region < AWAKE)
        return;
    pthread_mutex_lock(&c->seats);
    for (int i = 0; i < threads - 1 && i < WORKERS; i++) {
        worker *w = c->at[i];
        cpu_set_t others;
        if (!w || sched_getaffinity(w->thread, sizeof others, &others) || !CPU_ISSET(cpu, &others) ||
            CPU_COUNT(&others) < 2)
            continue;
        w->allowed = others;
        CPU_CLR(cpu, &others);
        w->kept_off = !sched_setaffinity(w->thread, sizeof others, &others);
    }
    pthread_mutex_unlock(&c->seats);
}

static int whereabouts(void) { return place() << 16 | (sched_getcpu() & 0xffff); }

static void keep_apart(int caller)
{
    const int i = omp_get_thread_num() - 1, cpu = caller & 0xffff;
    crew *c = &crews[caller >> 16];
    if (c < crews + CALLERS && i < WORKERS) {
        sit_down(c, i);
        if (self.kept_off) {
            self.kept_off = 0;
            sched_setaffinity(0, sizeof self.allowed, &self.allowed);
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

#if defined(_OPENMP) && !defined(_WIN32)
static void forget_others(void) {}
#endif
void fm_open_region(int threads)
{
    (void)threads;
    opened = 1;
}
#ifdef _OPENMP
static int whereabouts(void) { return 0; }
static void keep_apart(int caller) { (void)caller; }
#endif

#endif

#ifdef _OPENMP

enum { FLUSHING = 1 << 30 };
static __thread fm_environment own; /* a worker's mode outside the region: other libraries use the same workers */

int fm_caller(void) { return whereabouts() | (fm_environment_flushes() ? FLUSHING : 0); }

void fm_join_region(int caller)
{
    if (omp_get_thread_num() == 0)
        return;
    own = fm_environment_get();
    fm_switch(caller & FLUSHING ? FM_FLUSH : FM_FULL);
    keep_apart(caller & ~FLUSHING);
}

void fm_leave_region(void)
{
    if (omp_get_thread_num() != 0)
        fm_switch(own);
}

#else

int fm_caller(void) { return 0; }
void fm_join_region(int caller) { (void)caller; }
void fm_leave_region(void) {}

#endif
