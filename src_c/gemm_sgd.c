/* SGD's step with a weight's gradient, strip by strip of the product: the gradient is never whole anywhere.
 *
 * What the next strip changes is fetched while this one is multiplied, so the update does not wait for memory. Rejected
 * (784-2048-1024-10): to fetch a panel ahead in one go of 32 lines (evicted from L1, and more than there may be misses:
 * 13.7 ms a step, where two goes of 16 take 13.0).
 */
#define PANEL_COLUMNS (FM_TILE_VECS * LANES)
#define SGD_ROWS 128 /* of the parameter, which share a panel of B */

/* Fetches the lines of PANEL_COLUMNS elements in each of so many rows, by their last elements: where the first lie in
 * a line of the panel before, that is here already. */
FM_INLINE void FM(sgd_fetch)(const real *x, ptrdiff_t row, size_t rows)
{
    for (; rows; rows--, x += row)
        for (size_t j = LANES - 1; j < PANEL_COLUMNS; j += LANES)
            __builtin_prefetch(x + j);
}

/* sgd_run on rows of p and v, n elements apart; those of g are PANEL_COLUMNS apart. */
FM_INLINE void FM(sgd_block)(real *p, real *v, const real *g, size_t n, size_t rows, size_t width,
                             const FM(sgd_rates) *rates)
{
    for (; rows; rows--, p += n, v = v ? v + n : v, g += PANEL_COLUMNS)
        FM_VECTORS(width) {
            vec u = v ? AT(v) : v_set1(0);
            const vec w = FM(sgd_one)(AT(p), AT(g), &u, rates);
            if (v)
                PUT(v, u);
            PUT(p, w);
        }
}

/* Rows of p and v against a panel of B: PANEL_COLUMNS columns and k <= FM_GEMM_DEEPEST. more: so many follow. */
static void FM(sgd_panel)(real *p, real *v, const real *a, size_t n, size_t rows, FM(gemm_stage) *stage, int more,
                          const FM(sgd_rates) *rates)
{
    _Alignas(64) real g[FM_TILE_ROWS * PANEL_COLUMNS];
    const real *b = stage->b + PANEL_COLUMNS;
    const ptrdiff_t b_row = stage->b_row;
    size_t lines = stage->k;
    for (size_t left = rows, some; left; left -= some) {
        some = FM(gemm_strip)(left);
        const int within = left > some; /* the next strip is below this one, or else the next panel's first */
        const size_t then = within ? FM(gemm_strip)(left - some) : more ? FM(gemm_strip)(rows) : 0;
        const ptrdiff_t far =
            within ? (ptrdiff_t)(some * n) : (ptrdiff_t)PANEL_COLUMNS - (ptrdiff_t)((rows - left) * n);
        FM(sgd_fetch)(p + far, (ptrdiff_t)n, then);
        if (FM_TILE_PACKS && stage->panel) {
            FM(gemm_first)(g, a, stage);
            stage->b = stage->panel;
            stage->b_row = PANEL_COLUMNS;
            stage->panel = NULL;
        } else
#if FM_TILE_VECS > 1
            FM(gemm_wide)(some, g, a, stage);
#else
            FM(gemm_narrow)(some, g, a, stage);
#endif
        if (v)
            FM(sgd_fetch)(v + far, (ptrdiff_t)n, then);
        FM(sgd_block)(p, v, g, n, some, PANEL_COLUMNS, rates);
        if (more) {
            const size_t part = lines * some / left;
            FM(sgd_fetch)(b, b_row, part);
            lines -= part;
            b += (ptrdiff_t)part * b_row;
        }
        a += (ptrdiff_t)some * stage->a_row;
        p += some * n;
        v = v ? v + some * n : v;
    }
}

static void FM(gemm_sgd)(real *p, real *v, const real *a, ptrdiff_t a_row, ptrdiff_t a_col, const real *b,
                         ptrdiff_t b_row, size_t m, size_t n, size_t k, double lr, double momentum, double damp,
                         double decay, double sign, int nesterov)
{
    _Alignas(64) real g[SGD_ROWS * PANEL_COLUMNS], panel[FM_GEMM_DEEPEST * PANEL_COLUMNS];
    const int whole = ((uintptr_t)b | (uintptr_t)b_row * sizeof(real)) % (64 / FM_PARTS) == 0; /* as in gemm_blocks */
    const FM(sgd_rates) rates = FM(sgd_rates_of)(lr, momentum, damp, decay, sign, nesterov, v != NULL);
    for (size_t i = 0, rows; i < m; i += rows, a += (ptrdiff_t)rows * a_row) {
        rows = m - i < SGD_ROWS ? m - i : SGD_ROWS;
        for (size_t j = 0, width; j < n; j += width) {
            real *at = p + i * n + j, *v_at = v ? v + i * n + j : v;
            width = n - j < PANEL_COLUMNS ? n - j : PANEL_COLUMNS;
            if (k <= FM_GEMM_DEEPEST && width == PANEL_COLUMNS) {
                FM(gemm_stage) stage = {.b = b + j,
                                        .before = g,
                                        .panel = whole || k < 32 || rows < 2 * FM_TILE_ROWS ? NULL : panel,
                                        .a_row = a_row,
                                        .a_col = a_col,
                                        .b_row = b_row,
                                        .c_row = PANEL_COLUMNS,
                                        .width = width,
                                        .k = k,
                                        .first = 1,
                                        .last = 1};
                FM(sgd_panel)(at, v_at, a, n, rows, &stage, n - j >= 2 * PANEL_COLUMNS, &rates);
            } else {
                FM(gemm)(g, PANEL_COLUMNS, a, a_row, a_col, b + j, b_row, 1, NULL, 0, rows, width, k, NULL);
                FM(sgd_block)(at, v_at, g, n, rows, width, &rates);
            }
        }
    }
}
#undef SGD_ROWS
#undef PANEL_COLUMNS
