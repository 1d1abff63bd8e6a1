/* Dropout: draw, compare and choose in one pass; no mask is stored.
 *
 * Blocks of Philox are four words, so a run starts with the few elements up to a multiple of four (or up to
 * the boundary that stores past the caches need) and then goes on FM_DRAW_WORDS at a time.
 */

/* k elements from a part of one draw, offset mod 4 + k <= FM_DRAW_WORDS. */
FM_INLINE void FM(dropout_part)(real *y, const real *x, size_t k, const fm_philox_key *key, uint64_t offset,
                                uint32_t threshold, real scale)
{
    uint32_t words[FM_DRAW_WORDS];
    vw first, second;
    fm_philox_draw(&first, &second, key, offset & ~(uint64_t)3);
    vw_store(words, first);
    vw_store(words + FM_DRAW_WORDS / 2, second);
    for (size_t i = 0; i < k; i++) {
        const real scaled = x[i] * scale;
        y[i] = words[offset % 4 + i] >= threshold ? scaled : 0;
    }
}

/* The scaled vectors of one draw, zeros where dropped, by PUT = v_store or v_stream. */
#if FM_BITS == 32
#define FM_DROPOUT_DRAW(PUT)                                             \
    PUT(y + i, v32_keep_ge(first, limit, v_mul(v_load(x + i), factor))); \
    PUT(y + i + 16, v32_keep_ge(second, limit, v_mul(v_load(x + i + 16), factor)));
#else
#define FM_DROPOUT_DRAW(PUT)                                                           \
    PUT(y + i, v64_keep_ge_lo(first, limit, v_mul(v_load(x + i), factor)));            \
    PUT(y + i + 8, v64_keep_ge_hi(first, limit, v_mul(v_load(x + i + 8), factor)));    \
    PUT(y + i + 16, v64_keep_ge_lo(second, limit, v_mul(v_load(x + i + 16), factor))); \
    PUT(y + i + 24, v64_keep_ge_hi(second, limit, v_mul(v_load(x + i + 24), factor)));
#endif

static void FM(dropout_run)(real *y, const real *x, size_t n, uint64_t seed, uint64_t offset, uint64_t threshold,
                            double scale, int stream)
{
    const vec factor = v_set1(scale);
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
    const size_t boundary = (64 - ((uintptr_t)y & 63)) % 64 / sizeof(real);
    size_t i = (size_t)(-offset & 3);
    if (stream && ((offset + boundary) & 3) == 0)
        i = boundary;
    else
        stream = 0;
    i = i < n ? i : n;
    if (i)
        FM(dropout_part)(y, x, i, &key, offset, (uint32_t)threshold, scale);
    vw first, second;
    if (stream) {
        for (; i + FM_DRAW_WORDS <= n; i += FM_DRAW_WORDS) {
            fm_philox_draw(&first, &second, &key, offset + i);
            FM_DROPOUT_DRAW(v_stream)
        }
        fm_stream_end();
    }
    for (; i + FM_DRAW_WORDS <= n; i += FM_DRAW_WORDS) {
        fm_philox_draw(&first, &second, &key, offset + i);
        FM_DROPOUT_DRAW(v_store)
    }
    if (i < n)
        FM(dropout_part)(y + i, x + i, n - i, &key, offset + i, (uint32_t)threshold, scale);
}
#undef FM_DROPOUT_DRAW

static void FM(dropout_mask_run)(uint8_t *kept, size_t n, uint64_t seed, uint64_t offset, uint64_t threshold)
{
    if (threshold > UINT32_MAX) {
        memset(kept, 0, n);
        return;
    }
    const uint32_t limit = (uint32_t)threshold;
    const fm_philox_key key = fm_philox_seed(seed);
    uint32_t words[FM_DRAW_WORDS];
    size_t i = 0;
    while (i < n) {
        const size_t skip = (offset + i) % 4, room = FM_DRAW_WORDS - skip, k = n - i < room ? n - i : room;
        vw first, second;
        fm_philox_draw(&first, &second, &key, offset + i - skip);
        vw_store(words, first);
        vw_store(words + FM_DRAW_WORDS / 2, second);
        if (k == FM_DRAW_WORDS) /* a length known to the compiler: vectors */
            for (size_t j = 0; j < FM_DRAW_WORDS; j++)
                kept[i + j] = words[j] >= limit;
        else
            for (size_t j = 0; j < k; j++)
                kept[i + j] = words[skip + j] >= limit;
        i += k;
    }
}

static void FM(philox_run)(uint32_t *words, size_t n, uint64_t seed, uint64_t offset)
{
    const fm_philox_key key = fm_philox_seed(seed);
    uint32_t drawn[FM_DRAW_WORDS];
    size_t i = 0;
    while (i < n) {
        const size_t skip = (offset + i) % 4, room = FM_DRAW_WORDS - skip, k = n - i < room ? n - i : room;
        uint32_t *place = k == FM_DRAW_WORDS ? words + i : drawn;
        vw first, second;
        fm_philox_draw(&first, &second, &key, offset + i - skip);
        vw_store(place, first);
        vw_store(place + FM_DRAW_WORDS / 2, second);
        if (place == drawn)
            memcpy(words + i, drawn + skip, k * sizeof *words);
        i += k;
    }
}
