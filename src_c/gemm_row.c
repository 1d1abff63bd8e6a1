/* How gemm.c's sums end, and one row of A by B: c = act(a[k] b[k][PANEL_COLUMNS] + bias), each column of b one run of
 * k >= LANES.
 *
 * Lines of b are transposed while those before them are multiplied: packed as a panel they would wait for the chain of
 * sums to end, and the chain for them (1 x 784 x 256: 27 us, so 17). With 32 registers of a line each they are turned
 * where they are multiplied (12.1 us, so 7.0); else a few steps are written down. Rejected: squares of quarters of a
 * line, put together by the loads (half the shuffles, and a fifth slower than whole lines).
 */

/* What happens to finished sums before they are stored. */
FM_INLINE vec FM(gemm_epilogue)(vec sum, vec bias, int relu)
{
    const vec y = v_add(sum, bias);
    return relu ? v_max(v_set1(0), y) : y;
}

#define EACH_VEC(j) _Pragma("GCC unroll 2") for (int j = 0; j < FM_TILE_VECS; j++)
FM_INLINE void FM(gemm_row_end)(real *c, vec *sum, const real *bias, int relu)
{
    if (bias || relu)
        EACH_VEC(j)
            sum[j] = FM(gemm_epilogue)(sum[j], bias ? v_load(bias + j * LANES) : v_set1(0), relu);
    EACH_VEC(j)
        v_store(c + j * LANES, sum[j]);
}

#if FM_PARTS == 1
static __attribute__((noinline)) void FM(gemm_row)(real *c, const real *a, ptrdiff_t a_col, const real *b,
                                                   ptrdiff_t b_col, const real *bias, int relu, size_t k)
{
    vec part[FM_TILE_VECS], sum[FM_TILE_VECS];
    EACH_VEC(j)
        sum[j] = part[j] = v_set1(0);
    for (size_t p = 0, end; p < k; p = end) {
        end = p + LANES < k ? p + LANES : k;
        const size_t from = end - LANES, skip = p - from; /* the last square reaches back */
        const real *x = a + (ptrdiff_t)from * a_col;
        EACH_VEC(j) {
            native line[LANES];
            FM(gemm_square)(line, b + (ptrdiff_t)(j * (int)LANES) * b_col + (ptrdiff_t)from, b_col);
#pragma GCC unroll 16
            for (size_t q = 0; q < LANES; q++)
                if (q >= skip)
                    part[j] = v_fma(v_set1(x[(ptrdiff_t)q * a_col]), (vec){{line[q]}}, part[j]);
        }
        if (end % FM_GEMM_PART == 0 || end == k)
            EACH_VEC(j) {
                sum[j] = end <= FM_GEMM_PART ? part[j] : v_add(sum[j], part[j]);
                part[j] = v_set1(0);
            }
    }
    FM(gemm_row_end)(c, sum, bias, relu);
}
#else
static __attribute__((noinline)) void FM(gemm_row)(real *c, const real *a, ptrdiff_t a_col, const real *b,
                                                   ptrdiff_t b_col, const real *bias, int relu, size_t k)
{
    _Alignas(64) real steps[2][LANES * PANEL_COLUMNS];
    vec part[FM_TILE_VECS], sum[FM_TILE_VECS];
    EACH_VEC(j)
        sum[j] = part[j] = v_set1(0);
    for (size_t p = 0, packed = 0, turn = 0; p < k; turn ^= 1, packed += LANES) {
        if (packed < k) {
            const size_t from = packed + LANES <= k ? packed : k - LANES; /* the last step reaches back */
#pragma GCC unroll 1
            for (size_t j = 0; j < PANEL_COLUMNS; j += v_square)
#pragma GCC unroll 1
                for (size_t q = 0; q < LANES; q += v_square)
                    v_transpose(steps[turn] + q * PANEL_COLUMNS + j, PANEL_COLUMNS,
                                b + (ptrdiff_t)j * b_col + (ptrdiff_t)(from + q), b_col);
        }
        if (packed) {
            const size_t end = packed < k ? packed : k;
            const real *step = steps[turn ^ 1] + (LANES - (end - p)) * PANEL_COLUMNS;
#pragma GCC unroll 4
            for (; p < end; p++, a += a_col, step += PANEL_COLUMNS) {
                const vec x = v_set1(*a);
                EACH_VEC(j)
                    part[j] = v_fma(x, v_load(step + j * LANES), part[j]);
            }
            if (p % FM_GEMM_PART == 0 || p == k)
                EACH_VEC(j) {
                    sum[j] = p <= FM_GEMM_PART ? part[j] : v_add(sum[j], part[j]);
                    part[j] = v_set1(0);
                }
        }
    }
    FM(gemm_row_end)(c, sum, bias, relu);
}
#endif
#undef EACH_VEC
