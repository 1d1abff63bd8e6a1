/* The floating-point environment: rounding, what becomes of denormals, which exceptions trap.
 *
 * It belongs to the kernel, not to the thread: a kernel enters the mode that it was written for and leaves with the
 * thread's own back in force, so no bit depends on who calls (a library built with -ffast-math leaves flush-to-zero set
 * in the thread that loads it). Both modes round to nearest and trap nothing:
 *
 *     FM_FULL    IEEE 754, denormals included
 *     FM_FLUSH   denormal operands and results count as zeros: a vector with one of them is a microcode assist on Intel's
 *                processors
 *
 * docs/numerics.md says which kernel runs in which. Reading the register takes about a nanosecond, changing it 5 to 16
 * (it waits for what is under way), so it is changed only where the mode differs. The exceptions' sticky flags are
 * nobody's promise. */
#ifndef FM_ENVIRONMENT_H
#define FM_ENVIRONMENT_H

#if defined(__x86_64__)

typedef unsigned int fm_environment; /* MXCSR */
enum { FM_FULL = 0x1f80, FM_FLUSH = 0x9fc0, FM_STICKY = 0x3f };

static inline fm_environment fm_environment_get(void)
{
    fm_environment e;
    __asm__ volatile("stmxcsr %0" : "=m"(e)::"memory");
    return e;
}
static inline void fm_environment_set(fm_environment e) { __asm__ volatile("ldmxcsr %0" ::"m"(e) : "memory"); }

#elif defined(__aarch64__)

typedef unsigned long fm_environment; /* FPCR; the flags have a register of their own */
enum { FM_FULL = 0, FM_FLUSH = 1 << 24, FM_STICKY = 0 };

static inline fm_environment fm_environment_get(void)
{
    fm_environment e;
    __asm__ volatile("mrs %0, fpcr" : "=r"(e)::"memory");
    return e;
}
static inline void fm_environment_set(fm_environment e) { __asm__ volatile("msr fpcr, %0" ::"r"(e) : "memory"); }

#else

typedef unsigned int fm_environment;
enum { FM_FULL = 0, FM_FLUSH = 0, FM_STICKY = 0 };
static inline fm_environment fm_environment_get(void) { return 0; }
static inline void fm_environment_set(fm_environment e) { (void)e; }

#endif

/* Puts the thread into this mode; returns what it was in. */
static inline fm_environment fm_switch(fm_environment mode)
{
    const fm_environment before = fm_environment_get();
    if ((before ^ mode) & ~(fm_environment)FM_STICKY)
        fm_environment_set(mode);
    return before;
}

static inline int fm_environment_flushes(void)
{
    return ((fm_environment_get() ^ FM_FLUSH) & ~(fm_environment)FM_STICKY) == 0;
}

/* A local variable of this type holds what the thread was in and puts it back wherever its function ends:
 *     fm_scope scope = fm_switch(FM_FULL); */
static inline void fm_leave(const fm_environment *before) { fm_switch(*before); }
#define fm_scope __attribute__((cleanup(fm_leave))) fm_environment

#endif
