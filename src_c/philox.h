/* Philox4x32-10: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC 2011).
 *
 * The stream is a contract with the reference and with saved seeds. Element e (mod 2^64) has the word e mod 4
 * of block e / 4; a block's counter is (its low 32 bits, its high 32 bits, 0, 0), the key (seed's low 32 bits,
 * its high 32 bits).
 *
 * Eight blocks go side by side, one word to a 64-bit lane: a product needs one multiply and its high half one
 * shift, and the rubbish in the high halves never reaches a low one. Sixteen words to a vector would need two
 * multiplies and four shuffles for each of these.
 *
 * A round waits for a product and then for its shift, so one draw leaves most of the ports idle, and the scheduler is
 * full before the next draw's rounds come in. Four draws in step take 0.70 of dropout's time (Zen 5, AVX-512; AVX2
 * 0.83, or 0.73 with all rounds written down, 3 KB). Rejected: two draws (0.86), six (0.60, but runs of 256 and less
 * would fall back on single ones), a shuffle in the place of the shift (level).
 */
#ifndef FM_PHILOX_H
#define FM_PHILOX_H

#include "simd.h"

#define FM_DRAW_WORDS 32                   /* words of one draw */
#define FM_DRAWS_WORDS (4 * FM_DRAW_WORDS) /* of four side by side */

typedef struct {
    uint64_t k0[10], k1[10];
} fm_philox_key;

FM_INLINE fm_philox_key fm_philox_seed(uint64_t seed)
{
    fm_philox_key key;
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    for (int r = 0; r < 10; r++) {
        key.k0[r] = k0;
        key.k1[r] = k1;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return key;
}

/* Eight blocks between two rounds. */
typedef struct {
    vw c0, c1, c2, c3;
} fm_philox_state;

/* The first round for the elements e ... e + 31: words 2 and 3 are 0, so their product is too. */
FM_ALWAYS_INLINE fm_philox_state fm_philox_start(const fm_philox_key *key, uint64_t e)
{
    static const uint64_t lanes[8] = FM_WORD_LANES;
    const vw zero = vw_set1(0), block = vw_shr2(vw_add(vw_set1(e), vw_load(lanes)));
    const vw product0 = vw_mul(block, vw_set1(0xD2511F53u));
    return (fm_philox_state){vw_xor3(vw_shr32(block), vw_set1(key->k0[0]), zero), zero,
                             vw_xor3(vw_shr32(product0), vw_set1(key->k1[0]), zero), product0};
}

FM_ALWAYS_INLINE fm_philox_state fm_philox_round(fm_philox_state s, vw k0, vw k1)
{
    const vw product0 = vw_mul(s.c0, vw_set1(0xD2511F53u)), product1 = vw_mul(s.c2, vw_set1(0xCD9E8D57u));
    return (fm_philox_state){vw_xor3(vw_shr32(product1), s.c1, k0), product1, vw_xor3(vw_shr32(product0), s.c3, k1),
                             product0};
}

FM_ALWAYS_INLINE void fm_philox_store(uint32_t *words, fm_philox_state s)
{
    vw first, second;
    vw_order(&first, &second, vw_pair(s.c0, s.c1), vw_pair(s.c2, s.c3));
    vw_store(words, first);
    vw_store(words + FM_DRAW_WORDS / 2, second);
}

/* The words of the elements e ... e + 31; e must be a multiple of 4. One copy for all who draw. */
static __attribute__((noinline)) void fm_philox_draw(uint32_t *words, const fm_philox_key *key, uint64_t e)
{
    fm_philox_state a = fm_philox_start(key, e);
    for (int r = 1; r < 10; r++)
        a = fm_philox_round(a, vw_set1(key->k0[r]), vw_set1(key->k1[r]));
    fm_philox_store(words, a);
}

/* The same for e ... e + 127. */
#if FM_PARTS > 2 /* enough is in flight, and four draws would be twice the registers */
FM_INLINE void fm_philox_draws(uint32_t *words, const fm_philox_key *key, uint64_t e)
{
    for (int k = 0; k < FM_DRAWS_WORDS; k += FM_DRAW_WORDS)
        fm_philox_draw(words + k, key, e + k);
}
#else
static __attribute__((noinline)) void fm_philox_draws(uint32_t *words, const fm_philox_key *key, uint64_t e)
{
    fm_philox_state a = fm_philox_start(key, e), b = fm_philox_start(key, e + FM_DRAW_WORDS);
    fm_philox_state c = fm_philox_start(key, e + 2 * FM_DRAW_WORDS), d = fm_philox_start(key, e + 3 * FM_DRAW_WORDS);
    for (int r = 1; r < 10; r++) {
        const vw k0 = vw_set1(key->k0[r]), k1 = vw_set1(key->k1[r]);
        a = fm_philox_round(a, k0, k1);
        b = fm_philox_round(b, k0, k1);
        c = fm_philox_round(c, k0, k1);
        d = fm_philox_round(d, k0, k1);
    }
    fm_philox_store(words, a);
    fm_philox_store(words + FM_DRAW_WORDS, b);
    fm_philox_store(words + 2 * FM_DRAW_WORDS, c);
    fm_philox_store(words + 3 * FM_DRAW_WORDS, d);
}
#endif

/* Words for some of n >= 1 elements from e on, whose number goes to `count`: of all of them, or a multiple of 8 that is
 * also one of 16 where e is one of 4. `words` has room for a draw of four; the first element's word. */
FM_INLINE const uint32_t *fm_philox_some(uint32_t *words, size_t *count, const fm_philox_key *key, uint64_t e, size_t n)
{
    const size_t skip = e % 4;
    size_t drawn = FM_DRAW_WORDS;
    if (skip + n > 2 * FM_DRAW_WORDS) {
        drawn = FM_DRAWS_WORDS;
        fm_philox_draws(words, key, e - skip);
    } else {
        fm_philox_draw(words, key, e - skip);
    }
    *count = skip + n <= drawn ? n : (drawn - skip) / 8 * 8;
    return words + skip;
}

#endif
