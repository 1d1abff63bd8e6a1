/* Prints the primitives of one target that underflow or read a denormal although every input is of normal size.
 *
 * Results below the normal range, and operands there, cost Intel's processors a microcode assist a vector. A caller has
 * only asked for those of entries whose own result is that small: not for the padding of a tail, nor for an entry whose
 * result is 0. The processor's sticky flags tell. tests/test_bits.py builds and runs this for every x86-64 target.
 */
#include <stddef.h>
#include <stdio.h>

#include <immintrin.h>

enum { UNDERFLOW_FLAG = 1 << 4, DENORMAL_FLAG = 1 << 1, FLAGS = 0x3f };

static void before(void) { _mm_setcsr(_mm_getcsr() & ~(unsigned)FLAGS); }

static void after(const char *name, int bits, size_t n, int variant, const void *room, size_t bytes)
{
    const unsigned state = _mm_getcsr();
    (void)room, (void)bytes;
    if (state & (UNDERFLOW_FLAG | DENORMAL_FLAG))
        printf("%s_%d n %zu variant %d:%s%s\n", name, bits, n, variant, state & UNDERFLOW_FLAG ? " underflow" : "",
               state & DENORMAL_FLAG ? " denormal operand" : "");
}

#define FM_BITS 32
#include "calls.c"
#include "flags_cases.c"
#undef FM_BITS
#define FM_BITS 64
#include "calls.c"
#include "flags_cases.c"
#undef FM_BITS

extern const fm_target BITS_TARGET;

int main(void)
{
    call_cases_32(BITS_TARGET.f32);
    call_cases_64(BITS_TARGET.f64);
    return !calls_all_made();
}
