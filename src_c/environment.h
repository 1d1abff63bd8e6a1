/* The floating-point environment: rounding, what becomes of denormals, which exceptions trap.
 *
 * It belongs to the kernel, not to the thread: a kernel enters the mode that it was written for and leaves with the
 * thread's own back in force, so no bit depends on who calls (a library built with -ffast-math leaves flush-to-zero set
 * in the thread that loads it). Both modes round to nearest and trap nothing:
 *
 *     FM_FULL    IEEE 754, denormals included
 *     FM_FLUSH   denormal operands and results count as zeros: a vector with one of them is a microcode assist on
 *                Intel's processors
 *
 * docs/numerics.md says which kernel runs in which. Reading the register takes 4 to 5 nanoseconds. Changing it takes as
 * much and more, as it waits for what is under way. So it is read once, on the way in, and changed only where the mode
 * differs. The exceptions' sticky flags are nobody's promise. */
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

typedef unsigned long long fm_environment; /* FPCR; the flags have a register of their own */
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

#define FM_KEPT (~(fm_environment)0) /* no mode */

/* Puts the thread into this mode; returns what fm_restore needs: the mode that it was in, or FM_KEPT where that was it.
 */
static inline fm_environment fm_switch(fm_environment mode)
{
    const fm_environment before = fm_environment_get();
    if (!((before ^ mode) & ~(fm_environment)FM_STICKY))
        return FM_KEPT;
    fm_environment_set(mode);
    return before;
}

/* The end of what began with fm_switch, in the mode that it began with. */
static inline void fm_restore(fm_environment before)
{
    if (before != FM_KEPT)
        fm_environment_set(before);
}

/* From one known mode to another; returns that. */
static inline fm_environment fm_change(fm_environment now, fm_environment mode)
{
    if (now != mode)
        fm_environment_set(mode);
    return mode;
}

static inline int fm_environment_flushes(void)
{
    return ((fm_environment_get() ^ FM_FLUSH) & ~(fm_environment)FM_STICKY) == 0;
}

/* A local variable of this type puts the thread's own mode back wherever its function ends; what changes the mode in
 * between changes it back:
 *     fm_scope scope = fm_switch(FM_FULL); */
static inline void fm_leave(const fm_environment *before) { fm_restore(*before); }
#define fm_scope __attribute__((cleanup(fm_leave))) fm_environment

#endif
