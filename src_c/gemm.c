/* C = act(A B + bias) in pieces that stand alone: pack, epilogue, tile, loop; and the sums of columns.
 *
 * Every element of C is one chain of FMAs in the order of k, from 0 over all of k, then the bias is added: no
 * tile, no block and no cut among threads shows in the bits. Blocks of k hand the chain on through C itself.
 *
 * A panel of B, FM_GEMM_DEPTH steps of k and one tile wide, is packed on the stack and meets the rows of A strip
 * by strip. A strip is read an element at a time, broadcast, so either order of A's memory will do; it is read
 * in place unless the caller hands in scratch, which pays where A is larger than L2. Rejected: sums across the
 * lanes of k, which split the chain by the vector width; panels shared by threads, which need a barrier.
 */

#define PANEL (FM_TILE_VECS * LANES)
#define PITCH (FM_GEMM_DEPTH + LANES) /* no power of two: rows in different cache sets */

/* ---- pack: panel[p][j] = b(p, j) for k steps of p and `width` <= PANEL columns, zeros up to a whole vector -- */

static void FM(gemm_pack_b)(real *panel, size_t wide, const real *b, ptrdiff_t b_row, ptrdiff_t b_col, size_t width,
                            size_t k)
{
    size_t j = 0;
    if (b_col == 1) {
        for (size_t p = 0; p < k; p++) {
            const real *row = b + (ptrdiff_t)p * b_row;
            for (j = 0; j + LANES <= width; j += LANES)
                v_store(panel + p * wide + j, v_load(row + j));
            if (j < width)
                v_store(panel + p * wide + j, v_load_n(row + j, width - j, 0));
        }
        return;
    }
    if (b_row == 1)
        for (; j + v_square <= width; j += v_square) {
            const real *column = b + (ptrdiff_t)j * b_col;
            size_t p = 0;
            for (; p + v_square <= k; p += v_square)
                v_transpose(panel + p * wide + j, (ptrdiff_t)wide, column + p, b_col);
            for (; p < k; p++)
                for (size_t i = 0; i < v_square; i++)
                    panel[p * wide + j + i] = column[(ptrdiff_t)i * b_col + (ptrdiff_t)p];
        }
    for (; j < width; j++)
        for (size_t p = 0; p < k; p++)
            panel[p * wide + j] = b[(ptrdiff_t)p * b_row + (ptrdiff_t)j * b_col];
    for (; j < wide; j++)
        for (size_t p = 0; p < k; p++)
            panel[p * wide + j] = 0;
}

/* The strips of gemm_strips one after the other: [rows][PITCH] where rows of A are contiguous, else [k][rows]. */
static void FM(gemm_pack_a)(real *packed, const real *a, ptrdiff_t a_row, ptrdiff_t a_col, size_t m, size_t k)
{
    for (size_t strips = (m + FM_TILE_ROWS - 1) / FM_TILE_ROWS, rows; strips; strips--, m -= rows) {
        rows = m / strips;
        if (a_col == 1)
            for (size_t i = 0; i < rows; i++, packed += PITCH)
                memcpy(packed, a + (ptrdiff_t)i * a_row, k * sizeof(real));
        else if (a_row == 1 && rows == FM_TILE_ROWS)
            for (size_t p = 0; p < k; p++, packed += FM_TILE_ROWS)
                memcpy(packed, a + (ptrdiff_t)p * a_col, FM_TILE_ROWS * sizeof(real));
        else
            for (size_t p = 0; p < k; p++, packed += rows)
                for (size_t i = 0; i < rows; i++)
                    packed[i] = a[(ptrdiff_t)i * a_row + (ptrdiff_t)p * a_col];
        a += (ptrdiff_t)rows * a_row;
    }
}

/* ---- epilogue: what happens to finished sums before they are stored ----------------------------------- */

FM_INLINE vec FM(gemm_epilogue)(vec sum, vec bias, int relu)
{
    const vec y = v_add(sum, bias);
    return relu ? v_max(v_set1(0), y) : y;
}

/* ---- tile: c[rows][width] = a[rows][k] b[k][width], or c + that where the stage is not the first ---------- */

typedef struct {
    const real *bias; /* NULL: none */
    int relu;
    int first, last; /* start from 0 (else from C); finish with the epilogue */
} FM(gemm_stage);

FM_INLINE void FM(gemm_tile)(const int rows, const int vecs, real *c, size_t c_row, size_t width, const real *a,
                             ptrdiff_t a_row, ptrdiff_t a_col, const real *b, ptrdiff_t b_row, size_t k,
                             const FM(gemm_stage) * stage)
{
    vec sum[FM_TILE_ROWS][FM_TILE_VECS], v[FM_TILE_VECS];
    const size_t tail = width - (size_t)(vecs - 1) * LANES; /* columns in the last vector */
#define ROWS_ _Pragma("GCC unroll 8") for (int i = 0; i < rows; i++)
#define VECS_ _Pragma("GCC unroll 8") for (int j = 0; j < vecs; j++)
#define WHOLE_ (j + 1 < vecs || tail == LANES)
    if (stage->first)
        ROWS_ VECS_ sum[i][j] = v_set1(0);
    else
        ROWS_ VECS_ {
            const real *from = c + (size_t)i * c_row + (size_t)j * LANES;
            sum[i][j] = WHOLE_ ? v_load(from) : v_load_n(from, tail, 0);
        }
    for (; k; k--, a += a_col, b += b_row) {
        VECS_ v[j] = v_load(b + (size_t)j * LANES);
        ROWS_ {
            const vec x = v_set1(a[i * a_row]);
            VECS_ sum[i][j] = v_fma(x, v[j], sum[i][j]);
        }
    }
    if (stage->last && (stage->bias || stage->relu))
        VECS_ {
            vec bias = v_set1(0);
            if (stage->bias)
                bias = WHOLE_ ? v_load(stage->bias + j * LANES) : v_load_n(stage->bias + j * LANES, tail, 0);
            ROWS_ sum[i][j] = FM(gemm_epilogue)(sum[i][j], bias, stage->relu);
        }
    ROWS_ VECS_ {
        real *to = c + (size_t)i * c_row + (size_t)j * LANES;
        if (WHOLE_)
            v_store(to, sum[i][j]);
        else
            v_store_n(to, tail, sum[i][j]);
    }
#undef ROWS_
#undef VECS_
#undef WHOLE_
}

/* The same with the number of rows as a value. */
#define GEMM_CASE(rows)                                                                                      \
    case rows:                                                                                               \
        FM(gemm_tile)(rows, vecs, c, c_row, width, a, a_row, a_col, b, b_row, k, stage);                     \
        break;
FM_INLINE void FM(gemm_rows)(size_t rows, const int vecs, real *c, size_t c_row, size_t width, const real *a,
                             ptrdiff_t a_row, ptrdiff_t a_col, const real *b, ptrdiff_t b_row, size_t k,
                             const FM(gemm_stage) * stage)
{
    switch (rows) {
        GEMM_CASE(1)
        GEMM_CASE(2)
#if FM_TILE_ROWS > 2
        GEMM_CASE(3)
        GEMM_CASE(4)
        GEMM_CASE(5)
        GEMM_CASE(6)
#endif
#if FM_TILE_ROWS > 6
        GEMM_CASE(7)
        GEMM_CASE(8)
#endif
    }
}
#undef GEMM_CASE

/* ---- loop ----------------------------------------------------------------------------------------------- */

/* m rows of A against one panel, cut evenly into strips of at most FM_TILE_ROWS; packed: strips of gemm_pack_a. */
static void FM(gemm_strips)(real *c, size_t c_row, size_t m, size_t width, const real *a, ptrdiff_t a_row,
                            ptrdiff_t a_col, const real *packed, const real *b, ptrdiff_t b_row, size_t k,
                            const FM(gemm_stage) * stage)
{
    for (size_t strips = (m + FM_TILE_ROWS - 1) / FM_TILE_ROWS; strips; strips--) {
        const size_t rows = m / strips;
        if (packed) {
            a = packed;
            a_row = a_col == 1 ? (ptrdiff_t)PITCH : 1;
            packed += a_col == 1 ? rows * PITCH : rows * k;
        }
        const ptrdiff_t step = packed && a_col != 1 ? (ptrdiff_t)rows : a_col;
#if FM_TILE_VECS > 1
        if (width > LANES)
            FM(gemm_rows)(rows, 2, c, c_row, width, a, a_row, step, b, b_row, k, stage);
        else
#endif
            FM(gemm_rows)(rows, 1, c, c_row, width, a, a_row, step, b, b_row, k, stage);
        c += rows * c_row;
        a += (ptrdiff_t)rows * a_row;
        m -= rows;
    }
}

static void FM(gemm)(real *c, size_t c_row, const real *a, ptrdiff_t a_row, ptrdiff_t a_col, const real *b,
                     ptrdiff_t b_row, ptrdiff_t b_col, const real *bias, int relu, size_t m, size_t n, size_t k,
                     real *scratch)
{
    _Alignas(64) real panel[FM_GEMM_DEPTH * PANEL];
    const size_t row_blocks = (m + FM_GEMM_ROWS - 1) / FM_GEMM_ROWS;
    const size_t k_blocks = k ? (k + FM_GEMM_DEPTH - 1) / FM_GEMM_DEPTH : 1;
    for (size_t row_block = 0, i = 0, rows; row_block < row_blocks; row_block++, i += rows) {
        rows = (m - i) / (row_blocks - row_block);
        for (size_t block = 0, p = 0, depth; block < k_blocks; block++, p += depth) {
            depth = (k - p) / (k_blocks - block);
            const real *a_at = a + (ptrdiff_t)i * a_row + (ptrdiff_t)p * a_col;
            if (scratch)
                FM(gemm_pack_a)(scratch, a_at, a_row, a_col, rows, depth);
            for (size_t j = 0; j < n; j += PANEL) {
                const size_t width = n - j < PANEL ? n - j : PANEL, wide = width > LANES ? PANEL : LANES;
                const FM(gemm_stage) stage = {bias ? bias + j : NULL, relu, block == 0, block + 1 == k_blocks};
                const real *b_at = b + (ptrdiff_t)p * b_row + (ptrdiff_t)j * b_col;
                const int in_place = rows <= FM_TILE_ROWS && b_col == 1 && width == wide; /* read only once */
                if (!in_place)
                    FM(gemm_pack_b)(panel, wide, b_at, b_row, b_col, width, depth);
                FM(gemm_strips)(c + i * c_row + j, c_row, rows, width, a_at, a_row, a_col, scratch,
                                in_place ? b_at : panel, in_place ? b_row : (ptrdiff_t)wide, depth, &stage);
            }
        }
    }
}
#undef PANEL
#undef PITCH

/* ---- sums of columns ------------------------------------------------------------------------------------ */

#define SUM_RUN 64 /* rows added in the lanes before they go to the double total */
static void FM(column_sums)(real *sum, const real *x, size_t n, ptrdiff_t stride, size_t width)
{
    FM_PANELS(width)
    {
        vec run[FM_PANEL];
        real lanes[FM_PANEL * LANES];
        double total[FM_PANEL * LANES] = {0};
        for (size_t from = 0; from < n; from += SUM_RUN) {
            const size_t to = n - from < SUM_RUN ? n : from + SUM_RUN;
            FM_PANEL_EACH(run[j] = v_set1(0);)
            for (size_t i = from; i < to; i++)
                FM_PANEL_EACH(run[j] = v_add(run[j], AT(x + (ptrdiff_t)i * stride));)
            FM_PANEL_EACH(v_store(lanes + j * LANES, run[j]);)
            for (size_t j = 0; j < w; j++)
                total[j] += lanes[j];
        }
        for (size_t j = 0; j < w; j++)
            sum[at_ + j] = (real)total[j];
    }
}
#undef SUM_RUN
