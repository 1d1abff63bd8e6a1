/* The only chooser: which targets this build has and which of them this CPU runs. Compiled without target
 * flags, so that the import works on any processor of the architecture. */
#include "clock.h"
#include "dispatch.h"

#include <stdio.h>

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
        const double begin = fm_now();
        for (int i = 0; i < 100; i++)
            fm_pause();
        const double each = (fm_now() - begin) / 100;
        best = each < best ? each : best;
    }
    return best;
}

#if defined(__x86_64__)

extern const fm_target fm_target_v4, fm_target_v3, fm_target_baseline;

/* The bits that CPUID sets (Intel's manual, volume 2A), and those of XCR0: registers that the system saves for a
 * thread. Asked here, as the compilers' own question needs their runtime library: clang-cl does not link it, and zig's
 * has no answer on Windows. */
static const unsigned FMA = 1u << 12, OSXSAVE = 1u << 27, AVX = 1u << 28; /* leaf 1, ecx */
static const unsigned AVX2 = 1u << 5, BMI2 = 1u << 8;                     /* leaf 7, ebx */
static const unsigned AVX512F = 1u << 16, AVX512DQ = 1u << 17, AVX512BW = 1u << 30, AVX512VL = 1u << 31;
#ifdef __APPLE__
static const unsigned YMM_SAVED = 0x06, ZMM_SAVED = 0x06; /* the others are added at a thread's first use of them */
#else
static const unsigned YMM_SAVED = 0x06, ZMM_SAVED = 0xe6;
#endif

typedef struct {
    unsigned a, b, c, d;
} registers;

static registers cpuid(unsigned leaf)
{
    registers r;
    __asm__("cpuid" : "=a"(r.a), "=b"(r.b), "=c"(r.c), "=d"(r.d) : "a"(leaf), "c"(0));
    return r;
}

static int has(unsigned leaf7, unsigned saved)
{
    const unsigned leaf1 = FMA | OSXSAVE | AVX;
    if (cpuid(0).a < 7 || (cpuid(1).c & leaf1) != leaf1)
        return 0;
    registers xcr0 = {0};
    __asm__("xgetbv" : "=a"(xcr0.a), "=d"(xcr0.d) : "c"(0));
    return (xcr0.a & saved) == saved && (cpuid(7).b & leaf7) == leaf7;
}

static int runs_v3(void) { return has(AVX2 | BMI2, YMM_SAVED); }
static int runs_v4(void) { return has(AVX2 | BMI2 | AVX512F | AVX512DQ | AVX512BW | AVX512VL, ZMM_SAVED); }
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
