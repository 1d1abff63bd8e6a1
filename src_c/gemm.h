/* The sizes that gemm.c and its callers share. */
#ifndef FM_GEMM_H
#define FM_GEMM_H

/* Steps of k in a packed panel of B: 32 KiB of 32 floats or 16 doubles a step, read from L1 or L2 in a stream.
 * 128, 192, 320 and 400 were slower or no faster at 512 and 1024 cubed. */
#define FM_GEMM_DEPTH 256
/* Bytes of a step of the widest panel: callers cut the columns of C at multiples of it. */
#define FM_GEMM_PANEL 128
/* Rows of A that meet a panel before the next is packed: 512 KiB of A stay in L2. */
#define FM_GEMM_ROWS 512
/* Elements of the scratch in which gemm packs A. */
#define FM_GEMM_SCRATCH (FM_GEMM_ROWS * (FM_GEMM_DEPTH + 16))

/* The register tile: FM_TILE_ROWS rows by FM_TILE_VECS vectors of sums. 32 registers hold 8 x 2 of 512 bits, or
 * 6 x 1 in four parts of 128; 16 hold 6 x 1 in two parts of 256, or 2 x 1 in four of 128. */
#ifdef FM_PARTS
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
#endif

#endif
