/* The loops that the bodies share, as macros over an expression: element-wise and summing along a row, and
 * over a panel of neighbouring columns.
 *
 * Sums run in fixed lanes for FM_RUN_ELEMENTS elements, are folded by one tree and added run by run in double, so the
 * error does not grow with n and the bits do not depend on the target.
 */
#ifndef FM_LOOPS_H
#define FM_LOOPS_H

#define FM_APART static __attribute__((noinline))
#define FM_RUN_ELEMENTS 512
#define FM_NEAR 0x1p-900   /* below it, a mean of squares of doubles may have lost digits */
#define FM_BLOCK_ROWS 8    /* rows whose logarithms are taken together: one vector of doubles */
#define FM_PANEL_VECTORS 8 /* vectors side by side in a panel of columns: 512 bytes of each row */

/* ---- along a run ----------------------------------------------------------------------------------------
 * A loop's place is i_, and k_ says how many elements its vector has: LANES, or fewer at an end. FM_VECTORS and FM_RUN
 * take a body in braces and have one copy of it, for bodies that take a while. FM_EACH and those after it take the body
 * as their last argument and write it down more than once, so that nothing is asked within whole vectors. Rejected: one
 * copy everywhere (panels' sums a third slower, sgd a fourth, norm_cols and norm_sums_cols half; src_c a sixth
 * smaller), and FM_EACH in norm_sums_cols (AVX2: a fifth slower). */

/* The vector of x at the loop's place, zeros past the end; and its store. */
#define AT(x) (k_ < LANES ? v_load_n((x) + i_, k_, 0) : v_load((x) + i_))
#define PUT(y, v) (k_ < LANES ? v_store_n((y) + i_, k_, v) : v_store((y) + i_, v))

/* Elements before y's next 64-byte boundary: NumPy's arrays lie 16 bytes off one, and every access would cross a line.
 */
#define FM_TO_LINE(y) ((64 - ((uintptr_t)(y) & 63)) % 64 / sizeof(real))
/* The same where a run of n is long enough to gain by it. */
#define FM_HEAD(y, n) ((n) >= 32 * LANES ? FM_TO_LINE(y) : 0)

/* The vectors of n elements. */
#define FM_VECTORS(n) for (size_t i_ = 0, k_; k_ = (n) - i_, i_ < (n); i_ += LANES)

/* The same, long runs beginning with y's next boundary; FM_RUN_PUT stores there, past the caches where stream is set,
 * and fm_stream_end() follows the loop then. */
#define FM_RUN(y, n, stream)                                                                   \
    for (size_t i_ = 0, k_ = stream ? FM_TO_LINE(y) : FM_HEAD(y, n), first_ = k_ ? k_ : LANES; \
         k_ = first_ < (n) - i_ ? first_ : (n) - i_, i_ < (n); i_ += k_, first_ = LANES)
#define FM_RUN_PUT(y, stream, v) \
    (k_ < LANES ? v_store_n((y) + i_, k_, v) : stream ? v_stream((y) + i_, v) : v_store((y) + i_, v))

/* For the vectors of n elements, the first of `head` elements: one copy for both ends and one for whole vectors. */
#define FM_EACH(head, n, ...)                            \
    for (size_t i_ = 0, end_ = head;; end_ = (n) - i_) { \
        if (end_) {                                      \
            const size_t k_ = end_ % LANES;              \
            __VA_ARGS__                                  \
            i_ += k_;                                    \
        }                                                \
        for (; i_ + LANES <= (n); i_ += LANES) {         \
            const size_t k_ = LANES;                     \
            __VA_ARGS__                                  \
        }                                                \
        if (i_ == (n))                                   \
            break;                                       \
    }

/* The same with a copy for each end. */
#define FM_EACH_APART(head, n, ...)              \
    {                                            \
        size_t i_ = head;                        \
        if (i_) {                                \
            const size_t k_ = i_;                \
            i_ = 0;                              \
            __VA_ARGS__                          \
            i_ = k_;                             \
        }                                        \
        for (; i_ + LANES <= (n); i_ += LANES) { \
            const size_t k_ = LANES;             \
            __VA_ARGS__                          \
        }                                        \
        if (i_ < (n)) {                          \
            const size_t k_ = (n) - i_;          \
            __VA_ARGS__                          \
        }                                        \
    }

/* y[i] = value for i < n, value being written with AT(); past the caches where stream is set. Long runs begin with y's
 * next 64-byte boundary. */
#define FM_ROW_STORE(y, n, stream, value)                                       \
    {                                                                           \
        size_t i_ = 0;                                                          \
        if (stream || (n) >= 32 * LANES) {                                      \
            const size_t k_ = (64 - ((uintptr_t)(y) & 63)) % 64 / sizeof(real); \
            if (k_ && k_ < (n)) {                                               \
                v_store_n((y), k_, value);                                      \
                i_ = k_;                                                        \
            }                                                                   \
        }                                                                       \
        if (stream) {                                                           \
            for (; i_ + LANES <= (n); i_ += LANES) {                            \
                const size_t k_ = LANES;                                        \
                (void)k_;                                                       \
                v_stream((y) + i_, value);                                      \
            }                                                                   \
            fm_stream_end();                                                    \
        }                                                                       \
        for (; i_ + LANES <= (n); i_ += LANES) {                                \
            const size_t k_ = LANES;                                            \
            (void)k_;                                                           \
            v_store((y) + i_, value);                                           \
        }                                                                       \
        if (i_ < (n)) {                                                         \
            const size_t k_ = (n) - i_;                                         \
            v_store_n((y) + i_, k_, value);                                     \
        }                                                                       \
    }

/* The double sum of `value` (written with AT()) over n elements, run by run. */
#define FM_ROW_SUM(total, n, value)                                                       \
    for (size_t from_ = 0; from_ < (n); from_ += FM_RUN_ELEMENTS) {                       \
        const size_t to_ = (n) - from_ < FM_RUN_ELEMENTS ? (n) : from_ + FM_RUN_ELEMENTS; \
        vec a_ = v_set1(0), b_ = v_set1(0);                                               \
        size_t i_ = from_;                                                                \
        for (; i_ + 2 * LANES <= to_; i_ += LANES) {                                      \
            const size_t k_ = LANES;                                                      \
            a_ = v_add(a_, value);                                                        \
            i_ += LANES;                                                                  \
            b_ = v_add(b_, value);                                                        \
        }                                                                                 \
        if (i_ + LANES <= to_) {                                                          \
            const size_t k_ = LANES;                                                      \
            a_ = v_add(a_, value);                                                        \
            i_ += LANES;                                                                  \
        }                                                                                 \
        if (i_ < to_) {                                                                   \
            const size_t k_ = to_ - i_;                                                   \
            b_ = v_add(b_, v_keep_n(value, k_));                                          \
        }                                                                                 \
        total += v_sum(v_add(a_, b_));                                                    \
    }

/* Column panels: at_ runs over the first column of each, w counts its columns. */
#define FM_PANELS(width)                                                                                         \
    for (size_t at_ = 0, w = 0;                                                                                  \
         w = (width) - at_ < FM_PANEL_VECTORS * LANES ? (width) - at_ : FM_PANEL_VECTORS * LANES, at_ < (width); \
         at_ += FM_PANEL_VECTORS * LANES)
/* For the vectors of one panel: j counts them, c is the column, AT() loads there. */
#define FM_PANEL_EACH(...)                               \
    {                                                    \
        size_t j = 0, i_ = at_;                          \
        for (; (j + 1) * LANES <= w; j++, i_ += LANES) { \
            const size_t k_ = LANES;                     \
            (void)k_;                                    \
            __VA_ARGS__                                  \
        }                                                \
        if (j * LANES < w) {                             \
            const size_t k_ = w - j * LANES;             \
            (void)k_;                                    \
            __VA_ARGS__                                  \
        }                                                \
    }

/* The vectors of a panel one after the other, for a body in braces that neither loads nor stores columns: it sees
 * columns beyond the panel too. */
#define FM_PANEL_WHOLE(j) for (size_t j = 0; j * LANES < w; j++)

/* Down the n entries of each of a panel's columns: `body` sees column j, entry i, and AT(x + i * stride).
 * Block by block of entries, so that what belongs to a column stays in registers and the block in the first cache;
 * `before` and `after` bracket a column's block. */
#define FM_BLOCK_ENTRIES 16
#define FM_SETTLE_ENTRIES 64 /* entries after which what rounding took from a column's sum joins it */
#define FM_COLS_EACH(n, before, body, after)                                                                    \
    for (size_t block_ = 0, end_;                                                                               \
         end_ = (n) - block_ < FM_BLOCK_ENTRIES ? (n) : block_ + FM_BLOCK_ENTRIES, block_ < (n); block_ = end_) \
    FM_PANEL_EACH(before for (size_t i = block_; i < end_; i++){body} after)
/* Short columns are worked on in a compact copy: entries 4096 bytes apart all compete for the same few lines of
 * the first cache. A panel of x (at_, w) becomes src, `step` apart, and e the place for what is made of it: the
 * copy itself, or y where the columns are long. */
#define FM_COPY_ENTRIES 32
#define FM_COLS_COPY(src, e, step, x, y, n, stride)                              \
    vec copy_[FM_COPY_ENTRIES * FM_PANEL_VECTORS];                               \
    const real *src = x;                                                         \
    real *e = y;                                                                 \
    size_t step = stride;                                                        \
    if ((n) <= FM_COPY_ENTRIES) {                                                \
        for (size_t i = 0; i < (n); i++)                                         \
            FM_PANEL_EACH(copy_[i * FM_PANEL_VECTORS + j] = AT(x + i * stride);) \
        src = e = (real *)((uintptr_t)copy_ - at_ * sizeof(real));               \
        step = FM_PANEL_VECTORS * LANES;                                         \
    }
/* The sum of `term` down each column into sum[j], what rounding took from it into low[j]: four entries at a time;
 * `before` as above, `also` for each entry. */
#define FM_COLS_SUMS(n, sum, low, before, also, term)                                                \
    {                                                                                                \
        FM_PANEL_EACH(sum[j] = low[j] = v_set1(0);)                                                  \
        FM_COLS_EACH(                                                                                \
            n, const vec zero_ = v_set1(0); vec a_ = zero_; before, also a_ = v_add(a_, term);       \
            if (i % 4 == 3) {                                                                        \
                sum[j] = FM(gain)(sum[j], a_, &low[j]);                                              \
                a_ = zero_;                                                                          \
            },                                                                                       \
            sum[j] = FM(gain)(sum[j], a_, &low[j]);                                                  \
            if (end_ < (n) && end_ % FM_SETTLE_ENTRIES == 0) sum[j] = FM(settled)(sum[j], &low[j]);) \
    }
/* The same as one number; infinite where the sum is. */
#define FM_COLS_SUM(n, sum, before, also, term)                                      \
    {                                                                                \
        vec low_[FM_PANEL_VECTORS];                                                  \
        FM_COLS_SUMS(n, sum, low_, before, also, term)                               \
        FM_PANEL_EACH(const vec all_ = v_add(sum[j], low_[j]);                       \
                      sum[j] = v_if_eq(v_sub(all_, all_), v_set1(0), all_, sum[j]);) \
    }

#endif
