/* Sets and reads the floating-point mode of the calling thread and of the OpenMP workers, for tests/modes.py. */
#include <omp.h>

#if defined(__x86_64__)
static unsigned long get(void)
{
    unsigned int e;
    __asm__ volatile("stmxcsr %0" : "=m"(e));
    return e & ~0x3fu; /* without the sticky flags */
}
static void set(unsigned long mode)
{
    const unsigned int e = (unsigned int)mode;
    __asm__ volatile("ldmxcsr %0" ::"m"(e));
}
#else
static unsigned long get(void)
{
    unsigned long e;
    __asm__ volatile("mrs %0, fpcr" : "=r"(e));
    return e;
}
static void set(unsigned long mode) { __asm__ volatile("msr fpcr, %0" ::"r"(mode)); }
#endif

unsigned long get_mode(void) { return get(); }

/* This thread's mode, and that of the workers of its team. */
void set_modes(unsigned long mine, unsigned long workers, int threads)
{
#pragma omp parallel num_threads(threads)
    set(omp_get_thread_num() ? workers : mine);
}

/* Whether all are still in these. */
int modes_are(unsigned long mine, unsigned long workers, int threads)
{
    int wrong = 0;
#pragma omp parallel num_threads(threads) reduction(+ : wrong)
    wrong += get() != (omp_get_thread_num() ? workers : mine);
    return wrong == 0;
}
