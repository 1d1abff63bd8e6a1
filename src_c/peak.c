/* The ceiling that products are measured against: multiply-adds on registers alone, in as many chains as gemm's
 * register tile has sums. */
#define CHAINS (FM_TILE_ROWS * FM_TILE_VECS)
#define EACH_CHAIN(j) _Pragma("GCC unroll 32") for (int j = 0; j < CHAINS; j++)

static size_t FM(fma_chains)(real *x, size_t n)
{
    const vec half = v_set1((real)0.5), start = v_load(x);
    vec chain[CHAINS], total = v_set1(0);
    EACH_CHAIN(j) /* from different values: equal chains would be one to the compiler */
        chain[j] = v_add(start, v_set1((real)j));
    for (size_t i = 0; i < n; i++)
        EACH_CHAIN(j)
            chain[j] = v_fma(chain[j], half, half);
    EACH_CHAIN(j)
        total = v_add(total, chain[j]);
    v_store(x, total);
    return 2 * n * CHAINS * LANES;
}
#undef EACH_CHAIN
#undef CHAINS
