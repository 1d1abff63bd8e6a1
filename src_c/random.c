/* Dropout: draw, compare and choose in one pass. Who wants the gradient without another draw has a bit written down for
 * each element (1/32 of the bytes of a mask that is multiplied by). */

/* Some words of a run, and 16 beyond them that may be loaded along. */
#define FM_SOME_WORDS (FM_DRAWS_WORDS + 16)

/* Elements from which on x is asked for before it is needed: while a draw fills the processor's window it sees no load
 * to come, and a run from memory waits for each (1e7 floats 2.1 ms with it, 9 to 17 without; in cache the same). */
#define DROPOUT_AHEAD (4096 / sizeof(real))

/* y[i] = scale x[i] where words[i] >= limit, else 0, for i < n <= 16; which i those are goes to kept as bits, where
 * that is given. */
FM_ALWAYS_INLINE void FM(dropout_16)(real *y, uint8_t *kept, const real *x, size_t n, vw words, vw limit, vec factor,
                                     int stream)
{
    size_t i_ = 0, k_ = n < LANES ? n : LANES;
#if FM_BITS == 32
    FM_RUN_PUT(y, stream, v32_keep_ge(words, limit, v_mul(AT(x), factor)));
#else
    FM_RUN_PUT(y, stream, v64_keep_ge_lo(words, limit, v_mul(AT(x), factor)));
    i_ = LANES, k_ = n - k_;
    if (k_)
        FM_RUN_PUT(y, stream, v64_keep_ge_hi(words, limit, v_mul(AT(x), factor)));
#endif
    if (kept) {
        const uint16_t bits = (uint16_t)vw_ge(words, limit);
        memcpy(kept, &bits, n > 8 ? 2 : 1);
    }
}

static void FM(dropout_run)(real *y, uint8_t *kept, const real *x, size_t n, uint64_t seed, uint64_t offset,
                            uint64_t threshold, double scale, int stream)
{
    const vec factor = v_set1(scale);
    if (kept && (threshold > UINT32_MAX || threshold == 0))
        memset(kept, threshold ? 0 : 255, (n + 7) / 8);
    if (threshold > UINT32_MAX) {
        memset(y, 0, n * sizeof(real));
        return;
    }
    if (threshold == 0) {
        FM_ROW_STORE(y, n, stream, v_mul(AT(x), factor))
        return;
    }
    const fm_philox_key key = fm_philox_seed(seed);
    const vw limit = vw_set1(threshold << 32 | threshold);
    uint32_t room[FM_SOME_WORDS];
    /* Past the caches go whole draws from y's boundary on, and bits begin with a byte. */
    const size_t head = FM_TO_LINE(y);
    stream = stream && (offset + head) % 4 == 0 && (!kept || head % 8 == 0);
    for (size_t some; n; y += some, x += some, offset += some, n -= some) {
        const size_t before = stream && (uintptr_t)y % 64 && head < n ? head : 0;
        if (n > DROPOUT_AHEAD)
            for (size_t i = 0; i < FM_DRAWS_WORDS; i += LANES)
                __builtin_prefetch(x + DROPOUT_AHEAD + i);
        const uint32_t *words = fm_philox_some(room, &some, &key, offset, before ? before : n);
        size_t i = 0;
#define FM_DROPOUT(n, stream)                                                                             \
    FM(dropout_16)(y + i, kept, x + i, n, vw_load((const uint64_t *)(words + i)), limit, factor, stream); \
    kept += kept ? 2 : 0;
        if (stream && !before)
            for (; i + 16 <= some; i += 16) {
                FM_DROPOUT(16, 1)
            }
        for (; i + 16 <= some; i += 16) {
            FM_DROPOUT(16, 0)
        }
        if (i < some) {
            FM_DROPOUT(some - i, 0)
            kept -= kept && some - i <= 8;
        }
#undef FM_DROPOUT
    }
    if (stream)
        fm_stream_end();
}

/* The bits from element i on: of 16 elements and more. */
FM_INLINE unsigned FM(bits_at)(const uint8_t *bits, size_t i)
{
    uint32_t four;
    memcpy(&four, bits + i / 8, sizeof four);
    return four >> i % 8;
}

/* x is asked for ahead here, too: 1e7 floats 1.9 ms with it, 3.1 without, with stores past the caches or not. */
static void FM(dropout_kept_run)(real *y, const uint8_t *kept, const real *x, size_t n, double scale, int stream)
{
    const vec factor = v_set1(scale);
    FM_ROW_STORE(y, n, stream,
                 (__builtin_prefetch(x + i_ + DROPOUT_AHEAD), v_keep_bits(FM(bits_at)(kept, i_), v_mul(AT(x), factor))))
}

static void FM(dropout_mask_run)(uint8_t *kept, size_t n, uint64_t seed, uint64_t offset, uint64_t threshold)
{
    if (threshold > UINT32_MAX) {
        memset(kept, 0, n);
        return;
    }
    const uint32_t limit = (uint32_t)threshold;
    const fm_philox_key key = fm_philox_seed(seed);
    uint32_t room[FM_SOME_WORDS];
    for (size_t i = 0, k; i < n; i += k) {
        const uint32_t *words = fm_philox_some(room, &k, &key, offset + i, n - i);
        if (k == FM_DRAWS_WORDS) /* a length known to the compiler: vectors */
            for (size_t j = 0; j < FM_DRAWS_WORDS; j++)
                kept[i + j] = words[j] >= limit;
        else
            for (size_t j = 0; j < k; j++)
                kept[i + j] = words[j] >= limit;
    }
}

static void FM(philox_run)(uint32_t *words, size_t n, uint64_t seed, uint64_t offset)
{
    const fm_philox_key key = fm_philox_seed(seed);
    uint32_t room[FM_SOME_WORDS];
    for (size_t i = 0, k; i < n; i += k) {
        const uint32_t *some = fm_philox_some(room, &k, &key, offset + i, n - i);
        memcpy(words + i, some, k * sizeof *words);
    }
}
