/* The only chooser: which targets this build has and which of them this CPU runs. Compiled without target
 * flags, so that the import works on any processor of the architecture. */
#include "dispatch.h"

#include <stdio.h>
#include <time.h>

#ifdef __clang__
const char *const fm_compiler = __VERSION__;
#else
const char *const fm_compiler = "gcc " __VERSION__;
#endif

/* What one core can reach, from the kernel; sysconf adds up all of a socket's caches on some processors. */
size_t fm_cache_bytes(void)
{
    size_t bytes = 0;
    FILE *file = fopen("/sys/devices/system/cpu/cpu0/cache/index3/size", "r");
    if (file) {
        char unit = 0;
        if (fscanf(file, "%zu%c", &bytes, &unit) == 2)
            bytes <<= unit == 'K' ? 10 : unit == 'M' ? 20 : 0;
        fclose(file);
    }
    return bytes ? bytes : (size_t)8 << 20;
}

double fm_pause_nanoseconds(void)
{
    double best = 1e9;
    for (int round = 0; round < 5; round++) {
        struct timespec a, b;
        clock_gettime(CLOCK_MONOTONIC, &a);
        for (int i = 0; i < 100; i++) {
#if defined(__x86_64__)
            __builtin_ia32_pause();
#else
            __asm__ volatile("yield" ::: "memory");
#endif
        }
        clock_gettime(CLOCK_MONOTONIC, &b);
        const double each = ((b.tv_sec - a.tv_sec) * 1e9 + (b.tv_nsec - a.tv_nsec)) / 100;
        best = each < best ? each : best;
    }
    return best;
}

#if defined(__x86_64__)

extern const fm_target fm_target_v4, fm_target_v3, fm_target_baseline;

static int runs_v3(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
}
static int runs_v4(void)
{
    return runs_v3() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
}
static int runs_always(void) { return 1; }

const fm_choice fm_choices[] = {
    {"v4", &fm_target_v4, runs_v4},
    {"v3", &fm_target_v3, runs_v3},
    {"baseline", &fm_target_baseline, runs_always},
    {NULL, NULL, NULL},
};

#elif defined(__aarch64__)

extern const fm_target fm_target_neon;
static int runs_always(void) { return 1; }

const fm_choice fm_choices[] = {
    {"neon", &fm_target_neon, runs_always},
    {NULL, NULL, NULL},
};

#else
#error "fastml has no SIMD target for this processor"
#endif
