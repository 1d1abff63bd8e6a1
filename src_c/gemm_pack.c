/* Parts of A and B in the order in which gemm.c's tile reads them. */

/* Columns of a panel of B, which a register tile is wide. */
#define PANEL_COLUMNS (FM_TILE_VECS * LANES)

#if FM_PARTS == 1
#define native FM_CAT(n, FM_BITS, )
/* line[p] = b(p, 0 .. LANES) for LANES steps, each column one run. By whole lines: 8 rows by a transposed 784 x 256
 * take a sixth less time than with v_transpose, 128 rows 1.4 %. */
FM_INLINE void FM(gemm_square)(native *line, const real *b, ptrdiff_t b_col)
{
#pragma GCC unroll 16
    for (size_t j = 0; j < LANES; j++)
        line[j] = FM_CAT(n, FM_BITS, _load)(b + (ptrdiff_t)j * b_col);
    FM_CAT(n, FM_BITS, _turn)(line);
}
#endif

/* panel[p][j] = b(p, j) for k steps of p and `width` <= PANEL_COLUMNS columns, zeros up to a whole vector. */
static void FM(gemm_pack_b)(real *panel, size_t wide, const real *b, ptrdiff_t b_row, ptrdiff_t b_col, size_t width,
                            size_t k)
{
    size_t j = 0;
    if (b_col == 1 && wide <= LANES) {
        for (size_t p = 0; p < k; p++, b += b_row, panel += LANES)
            v_store(panel, v_load_n(b, width, 0));
        return;
    }
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
    if (width < wide)
        for (size_t p = 0; p < k; p++)
            v_store(panel + p * wide + width / LANES * LANES, v_set1(0));
#if FM_PARTS == 1
    if (b_row == 1 && k >= LANES)
        for (; j + LANES <= width; j += LANES)
            for (size_t p = 0, q; p < k; p += LANES) { /* the last square reaches back */
                native line[LANES];
                q = p + LANES <= k ? p : k - LANES;
                FM(gemm_square)(line, b + (ptrdiff_t)j * b_col + (ptrdiff_t)q, b_col);
#pragma GCC unroll 16
                for (size_t i = 0; i < LANES; i++)
                    v_store(panel + (q + i) * wide + j, (vec){{line[i]}});
            }
#endif
    if (b_row == 1 && width >= v_square && k >= v_square)
        for (size_t i; j < width; j = i + v_square) { /* the last squares reach back into those before */
            i = j + v_square <= width ? j : width - v_square;
            for (size_t p = 0, q; p < k; p += v_square) {
                q = p + v_square <= k ? p : k - v_square;
                v_transpose(panel + q * wide + i, (ptrdiff_t)wide, b + (ptrdiff_t)i * b_col + (ptrdiff_t)q, b_col);
            }
        }
    for (; j < width; j++)
        for (size_t p = 0; p < k; p++)
            panel[p * wide + j] = b[(ptrdiff_t)p * b_row + (ptrdiff_t)j * b_col];
}

/* The rows of the first strip of m: whole tiles, the last two alike. */
FM_INLINE size_t FM(gemm_strip)(size_t m)
{
    return m >= 2 * FM_TILE_ROWS ? FM_TILE_ROWS : m > FM_TILE_ROWS ? m / 2 : m;
}

/* The strips of gemm_strips one after the other, each packed[k][rows]. Asking for the next strip's lines is 4 % of a
 * product of 256 x 32000 x 512. */
static void FM(gemm_pack_a)(real *packed, const real *a, ptrdiff_t a_row, ptrdiff_t a_col, size_t m, size_t k)
{
    for (size_t rows; m; m -= rows, a += (ptrdiff_t)rows * a_row) {
        rows = FM(gemm_strip)(m);
        size_t p = 0;
        if (a_row == 1 && rows == FM_TILE_ROWS)
            for (; p < k; p++, packed += FM_TILE_ROWS)
                memcpy(packed, a + (ptrdiff_t)p * a_col, FM_TILE_ROWS * sizeof(real));
        if (a_col == 1 && rows % v_square == 0)
            for (; p + v_square <= k; p += v_square, packed += rows * v_square)
                for (size_t i = 0; i < rows; i += v_square) {
                    const real *from = a + (ptrdiff_t)i * a_row + (ptrdiff_t)p;
                    if (p % LANES == 0)
                        for (size_t q = 0; q < v_square; q++)
                            __builtin_prefetch(from + (ptrdiff_t)(rows + q) * a_row);
                    v_transpose(packed + i, (ptrdiff_t)rows, from, a_row);
                }
        for (; p < k; p++, packed += rows)
            for (size_t i = 0; i < rows; i++)
                packed[i] = a[(ptrdiff_t)i * a_row + (ptrdiff_t)p * a_col];
    }
}
