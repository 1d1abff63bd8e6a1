/* Philox4x32-10: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC 2011).
 *
 * The stream is a contract with the reference and with saved seeds. Element e (mod 2^64) has the word e mod 4
 * of block e / 4; a block's counter is (its low 32 bits, its high 32 bits, 0, 0), the key (seed's low 32 bits,
 * its high 32 bits).
 *
 * Eight blocks go side by side, one word to a 64-bit lane: a product needs one multiply and its high half one
 * shift, and the rubbish in the high halves never reaches a low one. Sixteen words to a vector would need two
 * multiplies and four shuffles for each of these.
 */
#ifndef FM_PHILOX_H
#define FM_PHILOX_H

#include "simd.h"

#define FM_DRAW_WORDS 32 /* words drawn at once */

typedef struct {
    vw k0[10], k1[10];
} fm_philox_key;

FM_INLINE fm_philox_key fm_philox_seed(uint64_t seed)
{
    fm_philox_key key;
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    for (int r = 0; r < 10; r++) {
        key.k0[r] = vw_set1(k0);
        key.k1[r] = vw_set1(k1);
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return key;
}

/* The words of the elements e ... e + 31; e must be a multiple of 4. */
FM_INLINE void fm_philox_draw(vw *first, vw *second, const fm_philox_key *key, uint64_t e)
{
    static const uint64_t lanes[8] = FM_WORD_LANES;
    const vw m0 = vw_set1(0xD2511F53u), m1 = vw_set1(0xCD9E8D57u), zero = vw_set1(0);
    const vw block = vw_shr2(vw_add(vw_set1(e), vw_load(lanes)));
    /* In the first round words 2 and 3 are 0, so their product is too. */
    vw product0 = vw_mul(block, m0), product1;
    vw c0 = vw_xor3(vw_shr32(block), key->k0[0], zero), c1 = zero;
    vw c2 = vw_xor3(vw_shr32(product0), key->k1[0], zero), c3 = product0;
    for (int r = 1; r < 10; r++) {
        product0 = vw_mul(c0, m0);
        product1 = vw_mul(c2, m1);
        c0 = vw_xor3(vw_shr32(product1), c1, key->k0[r]);
        c1 = product1;
        c2 = vw_xor3(vw_shr32(product0), c3, key->k1[r]);
        c3 = product0;
    }
    vw_order(first, second, vw_pair(c0, c1), vw_pair(c2, c3));
}

#endif
