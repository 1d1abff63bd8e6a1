/* Sizes that the loops of gemm.c and the cut into tiles share, per precision (LANES is a vector). */
#ifndef FM_GEMM_H
#define FM_GEMM_H

/* The register tile: FM_TILE_ROWS rows by FM_TILE_VECS vectors of sums, one broadcast and one row of vectors.
 * 32 registers hold 8 x 2 of 512 bits (6 x 1 of four 128-bit ones on NEON), 16 hold 6 x 1 of two 256-bit ones. */
#if FM_PARTS == 1
#define FM_TILE_ROWS 8
#define FM_TILE_VECS 2
#elif FM_PARTS == 2 || defined(__aarch64__)
#define FM_TILE_ROWS 6
#define FM_TILE_VECS 1
#else
#define FM_TILE_ROWS 2
#define FM_TILE_VECS 1
#endif

/* Steps of k per packed panel. */
#define FM_TILE_DEPTH 256

/* Rows of A that meet a panel before it is packed again. */
#define FM_BLOCK_ROWS 512

#endif
