/* The sizes that gemm.c and its callers share. */
#ifndef FM_GEMM_H
#define FM_GEMM_H

/* Steps of k in a chain, and in the chains whose sums are added in a row: where products are cut, for every shape. */
#define FM_GEMM_PART 64
#define FM_GEMM_SPAN (64 * FM_GEMM_PART)
/* Steps of k in a panel of B, and the most of them: k / FM_GEMM_DEPTH, rounded, is the number of blocks, so that 300
 * goes through C once (512 x 5000 x 300 gains a tenth). 32 KiB of 32 floats or 16 doubles a step, read from L1 or L2
 * in a stream. 128, 192, 320 and 400 were slower or no faster at 512 and 1024 cubed; half of it, which leaves L1 room
 * for the columns, is better by a tenth where at most two strips meet a panel of them. */
#define FM_GEMM_DEPTH 256
#define FM_GEMM_DEEPEST (FM_GEMM_DEPTH * 3 / 2)
/* Bytes of a step of the widest panel: callers cut the columns of C at multiples of it. */
#define FM_GEMM_PANEL 128
/* Rows of A that meet a panel before the next is packed: 512 KiB of A stay in L2. */
#define FM_GEMM_ROWS 512
/* B is read in place by at most so many rows of A, or where a block of its rows spans at most so many bytes and no load
 * straddles lines: they stay in L2, also with power-of-two strides. With 128 rows and a larger B both ways are equal,
 * with 512 packing wins. A narrow tile asks for the rows' pages twice as often (256 x 784 x 128 in place: a tenth
 * slower). */
#define FM_GEMM_FEW 64
#define FM_GEMM_NEAR ((256 << 10) * FM_TILE_VECS)
/* Bytes of B from where on the next panel's columns are fetched ahead, by 128 rows of A and more: it comes from memory.
 * From the caches it costs 1 to 2 %. */
#define FM_GEMM_FAR (4 << 20)
/* Columns of C, at most, of which the rows may be made the lanes. */
#define FM_GEMM_TURNED 24
/* Elements of the scratch: where gemm packs A, and the sums of a span where k is longer. */
#define FM_GEMM_PACKED (FM_GEMM_ROWS * FM_GEMM_DEEPEST)
#define FM_GEMM_ROOM (FM_GEMM_ROWS * 512)
#define FM_GEMM_SCRATCH (FM_GEMM_PACKED + FM_GEMM_ROOM)

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
/* Loads of 32 bytes and more straddle cache lines where B lies by 16: a tile of its own packs while it multiplies. */
#define FM_TILE_PACKS (FM_PARTS < 4)
#endif

#endif
