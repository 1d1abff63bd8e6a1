/* Prints a hash of what one target's primitives leave behind on fixed inputs, a line for each call.
 *
 * tests/test_bits.py builds it for x86-64-v3 and, with a cross compiler, for aarch64, runs the latter in an
 * emulator and compares the lines: NEON must give the bits of AVX2.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

static void before(void) {}

static void after(const char *name, int bits, size_t n, int variant, const void *room, size_t bytes)
{
    uint64_t hash = 1469598103934665603ULL;
    for (const uint64_t *word = room; bytes; bytes -= sizeof *word)
        hash = (hash ^ *word++) * 1099511628211ULL, hash ^= hash >> 29;
    printf("%s_%d n %zu variant %d: %016llx\n", name, bits, n, variant, (unsigned long long)hash);
}

#define FM_BITS 32
#include "calls.c"
#undef FM_BITS
#define FM_BITS 64
#include "calls.c"
#undef FM_BITS

extern const fm_target BITS_TARGET;

int main(void)
{
    const size_t lengths[] = {1, 2, 7, 10, 16, 33, 67, 1000};
    const fm_table32 *f32 = BITS_TARGET.f32;
    const fm_table64 *f64 = BITS_TARGET.f64;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        const size_t n = lengths[i];
        fill_32(0);
        call_family_32(f32, n), call_unary_32(f32, n), call_norms_32(f32, n), call_products_32(f32, n);
        call_others_32(f32, n);
        fill_64(0);
        call_family_64(f64, n), call_unary_64(f64, n), call_norms_64(f64, n), call_products_64(f64, n);
        call_others_64(f64, n);
    }
    return !calls_all_made();
}
