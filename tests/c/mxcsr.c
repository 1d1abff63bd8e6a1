/* The sticky flags of MXCSR of this thread, for tests/test_assists.py: both leave them clear. */
#include <immintrin.h>

enum { DENORMAL_OPERAND = 1 << 1, UNDERFLOW_RESULT = 1 << 4, STICKY = 0x3f };

void flags_clear(void) { _mm_setcsr(_mm_getcsr() & ~(unsigned)STICKY); }

/* 1: an operand was denormal; 2: a result was too small to be normal. */
int flags_found(void)
{
    const unsigned state = _mm_getcsr();
    flags_clear();
    return (state & DENORMAL_OPERAND ? 1 : 0) | (state & UNDERFLOW_RESULT ? 2 : 0);
}
