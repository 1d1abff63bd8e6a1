/* Products of few columns: the rows of C are lanes. gemm.c asks gemm_turns where it has all arguments at hand: asked
 * before, they go through the stack once more, 3 to 9 % of the smallest products. */

#define TURNED_ROWS (8 * LANES) /* of C in a go */

/* Few columns: the rows of C are lanes, some of them at a time, and are turned at the end. 128 x 784 x 2 0.4 of its
 * time, 32 x 1000 x 17 with A transposed a half. */
static __attribute__((noinline)) void FM(gemm_turned)(real *c, size_t c_row, const real *a, ptrdiff_t a_row,
                                                      ptrdiff_t a_col, const real *b, ptrdiff_t b_row, ptrdiff_t b_col,
                                                      const real *bias, int relu, size_t m, size_t n, size_t k)
{
    _Alignas(64) real turned[FM_GEMM_TURNED * TURNED_ROWS];
    for (size_t i = 0, rows; i < m; i += rows) {
        rows = m - i < TURNED_ROWS ? m - i : TURNED_ROWS;
        FM(gemm)(turned, TURNED_ROWS, b, b_col, b_row, a + (ptrdiff_t)i * a_row, a_col, a_row, NULL, 0, n, rows, k,
                 NULL);
        for (size_t j = 0; j < n; j++) {
            real *x = turned + j * TURNED_ROWS, *to = c + i * c_row + j;
            if (bias || relu)
                FM_RUN(x, rows, 0)
                    FM_RUN_PUT(x, 0, FM(gemm_epilogue)(AT(x), v_set1(bias ? bias[j] : 0), relu));
            for (size_t q = 0; q < rows; q++)
                to[q * c_row] = x[q];
        }
    }
}
#undef TURNED_ROWS

/* Whether that takes three quarters of the vectors at most: a third of one a row to turn what lies the wrong way, and
 * an eighth of a step an element of C at the end. */
FM_INLINE int FM(gemm_turns)(ptrdiff_t a_row, size_t m, size_t n, size_t k)
{
#ifdef __OPTIMIZE_SIZE__
    return 0;
#endif
    if (n < 2 || n > FM_GEMM_TURNED || m < LANES || m <= n || k < 8 * n)
        return 0;
    const size_t straight = m * ((n + LANES - 1) / LANES), turned = n * ((m + LANES - 1) / LANES);
    return 4 * (turned + (a_row == 1 ? 0 : m / 3)) < 3 * straight;
}
