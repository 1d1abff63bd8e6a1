/* Workers and their CPUs, under Linux's scheduler.
 *
 * Whoever else has a worker's CPU keeps it for milliseconds, up to a tick of the scheduler: another program, or the
 * threads of another library, which spin. A region that waits for such a worker takes a hundred times as long. So:
 *
 * - Wake-up. After a pause a worker is often woken on the CPU of the thread that calls it, and cannot run until the
 *   scheduler balances the two, milliseconds later: a 0.8 millisecond training step took 2.1 after 50 of sleep, and
 *   the five steps behind it 1.5 to 1.9. Before it wakes workers that sleep, the caller takes its own CPU out of their
 *   affinity masks, and every worker puts its mask back as it joins. A worker that still finds itself beside the caller
 *   takes itself off in the same way.
 * - Help. A caller that is done and still waits looks whether the workers run: their CPU time tells, in 0.2
 *   microseconds. One that does not is put on the caller's CPU, which is free: the caller sleeps until it has left the
 *   region. (What it had not begun, others have taken: threads.h.)
 * - Rest. After that the caller computes alone for as long as another may have the CPU, and until the worker has
 *   reached the runtime's own waiting place: a region that is opened before waits for it there, where no one helps.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "crew.h"

#if defined(__linux__) && defined(_OPENMP)
#include "clock.h"
#include <omp.h>
#include <pthread.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A thread that opens regions, and its workers: which threads they are, and the CPUs that they may use. A worker's
 * record is its own; the crew points to it as long as the worker lives. At its end a worker takes itself out of the
 * crew, and `seats` is held while others' records are used: an id of a thread that ended is never used, as by then
 * it may be another thread's, of another process even. */
enum { CALLERS = 64, WORKERS = 63 };
enum { LATE = 40000, LATE_AWAKENED = 100000 };          /* nanoseconds: waking takes 50 microseconds and more */
enum { AWAKE = 40000, REST = 4000000, DOCKING = 3000 }; /* nanoseconds */

typedef enum { FREE, KEPT_OFF, HELPED } worker_state; /* all CPUs; all but the caller's; on the caller's alone */

typedef struct {
    pid_t thread;
    clockid_t clock; /* of the CPU time that it has had */
    double left;     /* its CPU time when it left the region in which it was HELPED */
    worker_state state;
    cpu_set_t allowed; /* its mask, where it is not FREE */
    struct crew *crew; /* where it sits, if anywhere */
    int seat;
} worker;

typedef struct crew {
    int taken;
    unsigned region; /* the last one opened */
    double rests_until;
    double late; /* how long the caller waits in this region before it helps: a worker that sleeps takes its time */
    pthread_mutex_t seats;
    worker *at[WORKERS];
    struct {
        unsigned region; /* the last one that the thread in this seat has left */
        char apart[60];
    } left[WORKERS];
} crew;

static crew crews[CALLERS];    /* all zero: no worker, mutexes as PTHREAD_MUTEX_INITIALIZER makes them */
static __thread int mine = -1; /* in crews; CALLERS: there was no room */
static __thread worker self;
static __thread crew *joined; /* whose region a worker is in */
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
    pthread_getcpuclockid(pthread_self(), &self.clock);
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

void fm_crew_forget(void)
{
    for (int i = 0; i < CALLERS; i++)
        if (crews[i].taken || crews[i].region)
            memset(&crews[i], 0, sizeof crews[i]);
    memset(&self, 0, sizeof self);
    if (mine >= 0 && mine < CALLERS)
        crews[mine].taken = 1;
}

static double cpu_time(clockid_t clock)
{
    struct timespec t;
    return clock_gettime(clock, &t) ? -1 : t.tv_sec * 1e9 + t.tv_nsec;
}

static worker_state state_of(const worker *w) { return __atomic_load_n(&w->state, __ATOMIC_ACQUIRE); }

/* Called with the seats held: the worker may use these CPUs until it is let go. */
static int confine(worker *w, worker_state state, int cpu)
{
    cpu_set_t some;
    if (state_of(w) == FREE && sched_getaffinity(w->thread, sizeof w->allowed, &w->allowed))
        return 0;
    if (cpu < 0 || !CPU_ISSET(cpu, &w->allowed) || CPU_COUNT(&w->allowed) < 2)
        return 0;
    if (state == HELPED) {
        CPU_ZERO(&some);
        CPU_SET(cpu, &some);
    } else {
        some = w->allowed;
        CPU_CLR(cpu, &some);
    }
    if (sched_setaffinity(w->thread, sizeof some, &some))
        return 0;
    __atomic_store_n(&w->state, state, __ATOMIC_RELEASE);
    return 1;
}

/* Called with the seats held: whether it has reached the runtime's waiting place after help. */
static int is_docked(worker *w)
{
    if (state_of(w) != HELPED)
        return 1;
    if (cpu_time(w->clock) - w->left <= DOCKING)
        return 0;
    __atomic_store_n(&w->state, FREE, __ATOMIC_RELEASE);
    return 1;
}

int fm_crew_ready(int threads, double pause)
{
    const int at = place(), cpu = sched_getcpu();
    crew *c = &crews[at];
    if (omp_in_parallel())
        return 0; /* a region of the caller's own: its threads have the CPUs, and are the crew perhaps */
    if (at == CALLERS)
        return 1;
    c->late = pause < AWAKE ? LATE : LATE_AWAKENED;
    if (pause < AWAKE && !c->rests_until)
        return 1;
    if (c->rests_until && fm_now() < c->rests_until)
        return 0;
    int ready = 1;
    pthread_mutex_lock(&c->seats);
    for (int i = 0; i < threads - 1 && i < WORKERS && ready; i++)
        ready = !c->at[i] || is_docked(c->at[i]);
    for (int i = 0; i < threads - 1 && i < WORKERS && ready; i++)
        if (c->at[i])
            confine(c->at[i], KEPT_OFF, cpu);
    pthread_mutex_unlock(&c->seats);
    c->rests_until = ready ? 0 : fm_now() + REST;
    return ready;
}

int fm_crew_place(void)
{
    const int at = place();
    if (at < CALLERS)
        crews[at].region++;
    return at << 16 | (sched_getcpu() & 0xffff);
}

void fm_crew_join(int caller)
{
    const int i = omp_get_thread_num() - 1, cpu = caller & 0xffff;
    crew *c = &crews[caller >> 16];
    joined = NULL;
    if (c < crews + CALLERS && i < WORKERS) {
        sit_down(c, i);
        joined = c;
        worker_state state = state_of(&self);
        if (state == KEPT_OFF) {
            sched_setaffinity(0, sizeof self.allowed, &self.allowed);
            /* Only now, and not where the caller has helped meanwhile: it takes a FREE worker's mask for its own. */
            __atomic_compare_exchange_n(&self.state, &state, FREE, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
        }
        if (state != FREE)
            return;
    }
    cpu_set_t mask, others;
    if (sched_getcpu() != cpu || sched_getaffinity(0, sizeof mask, &mask) || CPU_COUNT(&mask) < 2)
        return;
    others = mask;
    CPU_CLR(cpu, &others);
    if (sched_setaffinity(0, sizeof others, &others) == 0)
        sched_setaffinity(0, sizeof mask, &mask);
}

void fm_crew_leave(void)
{
    crew *c = joined;
    if (!c)
        return;
    if (state_of(&self) == HELPED)
        self.left = cpu_time(CLOCK_THREAD_CPUTIME_ID);
    __atomic_store_n(&c->left[self.seat].region, c->region, __ATOMIC_RELEASE);
}

static int has_left(const crew *c, int seat)
{
    return __atomic_load_n(&c->left[seat].region, __ATOMIC_ACQUIRE) == c->region;
}

/* Whether a worker does not run: it has had no CPU time for two microseconds. */
static int waits_for_cpu(const worker *w)
{
    const double before = cpu_time(w->clock), start = fm_now();
    while (fm_now() - start < 2000)
        fm_pause();
    return cpu_time(w->clock) == before;
}

int fm_crew_help(void)
{
    const struct timespec moment = {0, 1000};
    int sleeps = 0;
    if (mine < 0 || mine == CALLERS)
        return 0;
    crew *c = &crews[mine];
    const int workers = omp_get_num_threads() - 1;
    for (int i = 0; i < workers && i < WORKERS; i++) {
        if (has_left(c, i))
            continue;
        pthread_mutex_lock(&c->seats);
        worker *w = c->at[i];
        if (!w || state_of(w) == HELPED)
            sleeps = 1;
        else if (waits_for_cpu(w)) {
            confine(w, HELPED, sched_getcpu()); /* fails where both have one CPU alone: sleep is the help then */
            sleeps = 1;
            c->rests_until = fm_now() + REST;
        }
        pthread_mutex_unlock(&c->seats);
    }
    if (sleeps)
        nanosleep(&moment, NULL);
    return sleeps;
}

enum { PATIENCE = 64 }; /* pauses: 1 to 4 microseconds */

void fm_crew_await(void)
{
    if (mine < 0 || mine == CALLERS)
        return;
    crew *c = &crews[mine];
    const int workers = omp_get_num_threads() - 1;
    double start = 0;
    for (int i = 0; i < workers && i < WORKERS; i++)
        for (int spins = 1; !has_left(c, i); spins++)
            if (spins % PATIENCE)
                fm_pause();
            else if (!start)
                start = fm_now();
            else if (fm_now() - start > c->late)
                fm_crew_help();
    if (!c->rests_until)
        return;
    pthread_mutex_lock(&c->seats);
    for (int i = 0; i < workers && i < WORKERS; i++)
        if (c->at[i] && state_of(c->at[i]) == HELPED)
            sched_setaffinity(c->at[i]->thread, sizeof c->at[i]->allowed, &c->at[i]->allowed);
    pthread_mutex_unlock(&c->seats);
}

#else

int fm_crew_ready(int threads, double pause) { return (void)threads, (void)pause, 1; }
int fm_crew_place(void) { return 0; }
void fm_crew_join(int place) { (void)place; }
void fm_crew_leave(void) {}
void fm_crew_await(void) {}
int fm_crew_help(void) { return 0; }
void fm_crew_forget(void) {}

#endif
