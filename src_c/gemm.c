/* C = act(A B + bias) in steps that stand alone: pack (gemm_pack.c), epilogue and row (gemm_row.c), tile, loop,
 * spans; of few columns gemm_turned.c.
 *
 * k is cut at fixed places. A part, FM_GEMM_PART steps of it, is one chain of FMAs from 0 in the order of k; the parts
 * of a span, FM_GEMM_SPAN steps, are added one after the other, and so are the spans; the bias comes last. No tile, no
 * block and no cut among threads shows in the bits. Blocks of k are whole parts and hand their sum on through C, parts
 * of one block through the tile's own lines of the stack.
 *
 * A panel of B, about FM_GEMM_DEPTH steps of k and one tile wide, meets the rows of A strip by strip. It is packed on
 * the stack, or read in place where its columns are neighbours and either few strips meet it or B stays in L2 and no
 * load straddles two cache lines: that lifts 16 to 64 rows from 85 .. 107 to 115 GFLOP/s of 118, and the gradients'
 * products at batch 128 from 112 to 116. Where columns are neighbours, the first strip packs on its way, with the loads
 * that it does anyway. B of 16 bytes off a line, in place / packed before / packed by the first strip, of the peak:
 * 128 x 128 x 256 0.82 / 0.89 / 0.93, 512 cubed 0.83 / 0.90 / 0.92 and with A transposed 0.76 / 0.88 / 0.90.
 * A strip is read an element at a time, broadcast, so either order of A's memory will do; it is read in place unless
 * the caller hands in scratch, which pays where A is larger than L2. Rejected: sums across the lanes of k, which split
 * the chain by the vector width; panels shared by threads, which need a barrier; masked loads for the last columns in
 * place (2 % on every product); a prefetch in the tile (nothing, or slower).
 */

/* ---- tile: c[rows][width] = a[rows][k] b[k][width], part by part, from c on where the stage is not the first --- */

typedef struct {
    const real *b, *bias; /* bias may be NULL */
    real *before;         /* room for a tile: the sum of the block's parts before this one */
    real *panel;          /* where the first strip leaves the panel of B, packed; NULL: b stays where it is */
    ptrdiff_t a_row, a_col, b_row;
    size_t c_row, width, k;
    int relu, first, last; /* nothing is in C yet; finish with the epilogue */
} FM(gemm_stage);

/* Long because its sums are registers, which no function of its own could take over. */
FM_INLINE void FM(gemm_tile)(const int rows, const int vecs, const int packs, real *c, const real *a,
                             const FM(gemm_stage) *stage)
{
    vec sum[2 * FM_TILE_ROWS][FM_TILE_VECS], v[FM_TILE_VECS];
    const size_t tail = stage->width - (size_t)(vecs - 1) * LANES; /* columns in the last vector */
#define EACH_ROW(i) _Pragma("GCC unroll 16") for (int i = 0; i < rows; i++)
#define EACH_VEC(j) _Pragma("GCC unroll 8") for (int j = 0; j < vecs; j++)
#define WHOLE(j) (j + 1 < vecs || tail == LANES)
    const ptrdiff_t a_row = stage->a_row, a_col = stage->a_col, b_row = stage->b_row;
    /* From row 4, 8 and 12 on: fewer strides to keep in registers. */
    const real *b = stage->b, *fourth = a + 4 * a_row, *eighth = a + 8 * a_row, *twelfth = a + 12 * a_row;
    real *panel = stage->panel;
    size_t left = stage->k, k = left < FM_GEMM_PART ? left : FM_GEMM_PART;
    for (int later = 0;; later = 1) {
        left -= k;
        EACH_ROW(i)
            EACH_VEC(j)
                sum[i][j] = v_set1(0);
        for (; k; k--, a += a_col, fourth += a_col, eighth += a_col, twelfth += a_col, b += b_row) {
            EACH_VEC(j)
                v[j] = v_load(b + (size_t)j * LANES);
            if (packs)
                EACH_VEC(j)
                    v_store(panel + (size_t)j * LANES, v[j]);
            panel += packs * vecs * LANES;
            EACH_ROW(i) {
                const vec x = v_set1((i < 4 ? a : i < 8 ? fourth : i < 12 ? eighth : twelfth)[i % 4 * a_row]);
                EACH_VEC(j)
                    sum[i][j] = v_fma(x, v[j], sum[i][j]);
            }
        }
        if (later)
            EACH_ROW(i)
                EACH_VEC(j)
                    sum[i][j] = v_add(v_load(stage->before + (i * vecs + j) * (int)LANES), sum[i][j]);
        else if (!stage->first)
            EACH_ROW(i)
                EACH_VEC(j) {
                    const real *at = c + (size_t)i * stage->c_row + (size_t)j * LANES;
                    sum[i][j] = v_add(WHOLE(j) ? v_load(at) : v_load_n(at, tail, 0), sum[i][j]);
                }
        if (!left)
            break;
        EACH_ROW(i)
            EACH_VEC(j)
                v_store(stage->before + (i * vecs + j) * (int)LANES, sum[i][j]);
        k = left < FM_GEMM_PART ? left : FM_GEMM_PART;
    }
    if (stage->last && (stage->bias || stage->relu))
        EACH_VEC(j) {
            vec bias = v_set1(0);
            if (stage->bias)
                bias = WHOLE(j) ? v_load(stage->bias + j * LANES) : v_load_n(stage->bias + j * LANES, tail, 0);
            EACH_ROW(i)
                sum[i][j] = FM(gemm_epilogue)(sum[i][j], bias, stage->relu);
        }
    EACH_ROW(i)
        EACH_VEC(j) {
            real *to = c + (size_t)i * stage->c_row + (size_t)j * LANES;
            if (WHOLE(j))
                v_store(to, sum[i][j]);
            else
                v_store_n(to, tail, sum[i][j]);
        }
#undef EACH_ROW
#undef EACH_VEC
#undef WHOLE
}

/* The same with the number of rows as a value. Kept out of line: inlined among the loops around it, the tile loses
 * its strides to the stack and to vector registers (up to a sixth slower). */
#define GEMM_CASE(rows)                            \
    case rows:                                     \
        FM(gemm_tile)(rows, vecs, 0, c, a, stage); \
        break;
FM_INLINE void FM(gemm_rows)(size_t rows, const int vecs, real *c, const real *a, const FM(gemm_stage) *stage)
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
static __attribute__((noinline)) void FM(gemm_narrow)(size_t rows, real *c, const real *a, const FM(gemm_stage) *stage)
{
#if FM_TILE_VECS > 1
    if (rows == 2 * FM_TILE_ROWS)
        FM(gemm_tile)(2 * FM_TILE_ROWS, 1, 0, c, a, stage);
    else
#endif
        FM(gemm_rows)(rows, 1, c, a, stage);
}
#if FM_TILE_VECS > 1
static __attribute__((noinline)) void FM(gemm_wide)(size_t rows, real *c, const real *a, const FM(gemm_stage) *stage)
{
    FM(gemm_rows)(rows, 2, c, a, stage);
}
#endif
/* A whole tile that packs B into stage->panel. */
static __attribute__((noinline)) void FM(gemm_first)(real *c, const real *a, const FM(gemm_stage) *stage)
{
    FM(gemm_tile)(FM_TILE_ROWS, FM_TILE_VECS, 1, c, a, stage);
}

/* ---- loop ----------------------------------------------------------------------------------------------- */

/* Lines of memory that are asked for ahead, a few with every strip: `lines` of each run, runs `step` elements apart. */
typedef struct {
    const real *at; /* NULL: none */
    ptrdiff_t step;
    size_t lines, runs;
} FM(gemm_ahead);

FM_INLINE void FM(gemm_fetch)(FM(gemm_ahead) *ahead, size_t rows, size_t of)
{
    if (ahead->at)
        for (size_t some = (ahead->runs * rows + of - 1) / of; some; some--, ahead->runs--, ahead->at += ahead->step)
            for (size_t j = 0; j < ahead->lines; j++)
                __builtin_prefetch(ahead->at + j * LANES);
}

/* m rows of A against one panel, strip by strip, packed by gemm_pack_a or not. Where sums go on from C each strip
 * fetches the next one's, 15 % where C is much larger than the caches and k is 100. */
static void FM(gemm_strips)(real *c, const real *a, size_t m, int packed, FM(gemm_stage) *stage, FM(gemm_ahead) *next)
{
    for (size_t rows; m; m -= rows) {
        rows = FM(gemm_strip)(m);
        if (FM_TILE_VECS > 1 && !packed && stage->width <= LANES && rows == FM_TILE_ROWS && m >= 2 * FM_TILE_ROWS)
            rows *= 2;
        FM(gemm_fetch)(next, rows, m);
        if (packed)
            stage->a_col = (ptrdiff_t)rows;
        if (!stage->first)
            for (size_t i = rows; i < m && i < 2 * rows; i++)
                for (size_t j = 0; j < stage->width + LANES; j += LANES)
                    __builtin_prefetch(c + i * stage->c_row + (j < stage->width ? j : stage->width - 1), 1);
        if (FM_TILE_PACKS && stage->panel) {
            FM(gemm_first)(c, a, stage);
            stage->b = stage->panel;
            stage->b_row = PANEL_COLUMNS;
            stage->panel = NULL;
        } else
#if FM_TILE_VECS > 1
            if (stage->width > LANES)
            FM(gemm_wide)(rows, c, a, stage);
        else
#endif
            FM(gemm_narrow)(rows, c, a, stage);
        c += rows * stage->c_row;
        a += packed ? (ptrdiff_t)(rows * stage->k) : (ptrdiff_t)rows * stage->a_row;
    }
}

#define ADD (-1)
/* With gemm's arguments, so that a small product costs a jump and not a second call; ADD instead of relu: c += a b.
 * Long because its loops over rows, k and columns share every cut. */
FM_ONCE void FM(gemm_blocks)(real *c, size_t c_row, const real *a, ptrdiff_t a_row, ptrdiff_t a_col, const real *b,
                             ptrdiff_t b_row, ptrdiff_t b_col, const real *bias, int relu, size_t m, size_t n, size_t k,
                             real *scratch)
{
    if (relu != ADD && FM(gemm_turns)(a_row, m, n, k)) {
        FM(gemm_turned)(c, c_row, a, a_row, a_col, b, b_row, b_col, bias, relu, m, n, k);
        return;
    }
    _Alignas(64) real panel[FM_GEMM_DEEPEST * PANEL_COLUMNS], before[FM_TILE_ROWS * PANEL_COLUMNS], same[PANEL_COLUMNS];
    const int column = n == 1 && c_row == 1 && m > 1; /* C is one run: computed as a row, A's rows are lanes */
    if (column) {
        const real *const swap = a;
        const ptrdiff_t swap_row = a_row, swap_col = a_col;
        a = b, a_row = b_col, a_col = b_row;
        b = swap, b_row = swap_col, b_col = swap_row;
        n = m, m = 1, scratch = NULL;
        for (size_t j = 0; bias && j < PANEL_COLUMNS; j++)
            same[j] = *bias;
    }
    size_t done = 0; /* columns */
    if (m == 1 && b_row == 1 && k >= LANES && relu != ADD)
        for (; n - done >= PANEL_COLUMNS; done += PANEL_COLUMNS)
            FM(gemm_row)(c + done, a, a_col, b + (ptrdiff_t)done * b_col, b_col,
                         !bias    ? NULL
                         : column ? same
                                  : bias + done,
                         relu, k);
    /* No load of B straddles lines, or hardly one (four parts to a vector); in few steps it costs less than to pack. */
    const int whole = !FM_TILE_PACKS || ((uintptr_t)b | (uintptr_t)b_row * sizeof(real)) % (64 / FM_PARTS) == 0;
    const int far = b_col != 1 && b_row == 1 && m >= 128 && n * k > FM_GEMM_FAR / sizeof(real);
    const size_t row_blocks = (m + FM_GEMM_ROWS - 1) / FM_GEMM_ROWS;
    const size_t aim = b_col != 1 && m <= 2 * FM_TILE_ROWS ? FM_GEMM_DEPTH / 2 : FM_GEMM_DEPTH;
    const size_t k_blocks = k > aim ? (k + aim / 2) / aim : 1;
    const size_t parts = (k + FM_GEMM_PART - 1) / FM_GEMM_PART;
    for (size_t row_block = 0, i = 0, rows; row_block < row_blocks; row_block++, i += rows) {
        rows = (m - i) / (row_blocks - row_block);
        /* Where columns are packed and all of A's rows stay in L2, all of k panel by panel: C's panel stays in L1. */
        const int whole_k = k_blocks > 1 && b_col != 1 && rows * k <= FM_GEMM_PACKED / (sizeof(real) / sizeof(float));
        const size_t group = whole_k ? PANEL_COLUMNS : n;
        for (size_t from = done, to; from < n; from = to) {
            to = n - from < group ? n : from + group;
            for (size_t block = 0, p = 0, depth; block < k_blocks; block++, p += depth) {
                const size_t end = (block + 1) * parts / k_blocks * FM_GEMM_PART;
                depth = (end < k ? end : k) - p;
                const real *a_at = a + (ptrdiff_t)i * a_row + (ptrdiff_t)p * a_col;
                const ptrdiff_t span = (ptrdiff_t)(depth * sizeof(real)) * b_row;
                const int near = b_col == 1 && (rows <= FM_GEMM_FEW || (span <= FM_GEMM_NEAR && (whole || depth < 32)));
                real *packed = scratch && whole_k ? scratch + rows * p : scratch;
                if (packed && from == done)
                    FM(gemm_pack_a)(packed, a_at, a_row, a_col, rows, depth);
                FM(gemm_stage) stage = {
                    .before = before,
                    .a_row = packed ? 1 : a_row,
                    .a_col = a_col,
                    .c_row = c_row,
                    .k = depth,
                    .relu = relu > 0,
                    .first = p == 0 && relu != ADD,
                    .last = p + depth == k,
                };
                for (size_t j = from; j < to; j += PANEL_COLUMNS) {
                    const size_t width = to - j < PANEL_COLUMNS ? to - j : PANEL_COLUMNS,
                                 wide = width > LANES ? PANEL_COLUMNS : LANES;
                    const real *b_at = b + (ptrdiff_t)p * b_row + (ptrdiff_t)j * b_col;
                    FM(gemm_ahead) next = {NULL, 0, 0, 0};
                    stage.width = width;
                    stage.bias = !bias ? NULL : column ? same : bias + j;
                    stage.b = b_at;
                    stage.b_row = b_row;
                    if (!near || width < wide) {
                        if (FM_TILE_PACKS && b_col == 1 && width == PANEL_COLUMNS && rows >= 2 * FM_TILE_ROWS)
                            stage.panel = panel;
                        else {
                            FM(gemm_pack_b)(panel, wide, b_at, b_row, b_col, width, depth);
                            stage.b = panel;
                            stage.b_row = (ptrdiff_t)wide;
                        }
                        if (far || (b_col == 1 && (rows > FM_GEMM_FEW || to - j > PANEL_COLUMNS)))
                            next = (FM(gemm_ahead)){
                                .at = j + PANEL_COLUMNS < to ? b_at + (ptrdiff_t)PANEL_COLUMNS * b_col
                                      : p + depth < k ? b_at + (ptrdiff_t)depth * b_row - (ptrdiff_t)(j - from) * b_col
                                      : to < n        ? b + (ptrdiff_t)to * b_col
                                                      : NULL,
                                .step = b_col == 1 ? b_row : b_col,
                                .lines = b_col == 1 ? FM_TILE_VECS : (depth + LANES - 1) / LANES,
                                .runs = b_col == 1 ? depth : PANEL_COLUMNS,
                            };
                    }
                    FM(gemm_strips)(c + i * c_row + j, packed ? packed : a_at, rows, !!packed, &stage, &next);
                }
            }
        }
    }
}
/* ---- spans: c += part, rows of n; and products of more steps than one span ---------------------------------- */

static void FM(gemm_fold)(real *c, size_t c_row, const real *part, size_t part_row, const real *bias, int relu,
                          size_t m, size_t n)
{
    for (; m; m--, c += c_row, part += part_row)
        FM_RUN(c, n, 0) {
            const vec sum = v_add(AT(c), AT(part));
            FM_RUN_PUT(c, 0, bias || relu ? FM(gemm_epilogue)(sum, bias ? AT(bias) : v_set1(0), relu) : sum);
        }
}

/* Blocks of C, each over all of k: as large as there is room for their sums over a span, behind the packed strips in
 * scratch or on the stack. */
#define STACK (256 * PANEL_COLUMNS)
FM_ONCE void FM(gemm_spans)(real *c, size_t c_row, const real *a, ptrdiff_t a_row, ptrdiff_t a_col, const real *b,
                            ptrdiff_t b_row, ptrdiff_t b_col, const real *bias, int relu, size_t m, size_t n, size_t k,
                            real *scratch)
{
    _Alignas(64) real on_stack[STACK];
    real *span = scratch ? scratch + FM_GEMM_PACKED : on_stack;
    const size_t room = scratch ? FM_GEMM_ROOM : STACK, most = scratch ? FM_GEMM_ROWS : 128;
    size_t height = m < most ? m : most, width = room / height / PANEL_COLUMNS * PANEL_COLUMNS;
    if (n < width) {
        width = n;
        height = room / n;
    }
    for (size_t i = 0, rows; i < m; i += rows) {
        rows = m - i < height ? m - i : height;
        for (size_t j = 0, cols; j < n; j += cols) {
            cols = n - j < width ? n - j : width;
            real *to = c + i * c_row + j;
            for (size_t p = 0, depth; p < k; p += depth) {
                depth = k - p < FM_GEMM_SPAN ? k - p : FM_GEMM_SPAN;
                FM(gemm_blocks)(p ? span : to, p ? cols : c_row, a + (ptrdiff_t)i * a_row + (ptrdiff_t)p * a_col, a_row,
                                a_col, b + (ptrdiff_t)p * b_row + (ptrdiff_t)j * b_col, b_row, b_col, NULL, 0, rows,
                                cols, depth, scratch);
                if (p) {
                    const int last = p + depth == k;
                    FM(gemm_fold)(to, c_row, span, cols, last && bias ? bias + j : NULL, last && relu, rows, cols);
                }
            }
        }
    }
}
#undef STACK
#undef PANEL_COLUMNS
#undef native

static void FM(gemm)(real *c, size_t c_row, const real *a, ptrdiff_t a_row, ptrdiff_t a_col, const real *b,
                     ptrdiff_t b_row, ptrdiff_t b_col, const real *bias, int relu, size_t m, size_t n, size_t k,
                     real *scratch)
{
    if (k <= FM_GEMM_SPAN)
        FM(gemm_blocks)(c, c_row, a, a_row, a_col, b, b_row, b_col, bias, relu, m, n, k, scratch);
    else if (m && n)
        FM(gemm_spans)(c, c_row, a, a_row, a_col, b, b_row, b_col, bias, relu, m, n, k, scratch);
}

static void FM(gemm_add)(real *c, size_t c_row, const real *a, ptrdiff_t a_row, ptrdiff_t a_col, const real *b,
                         ptrdiff_t b_row, ptrdiff_t b_col, size_t m, size_t n, size_t k, real *scratch)
{
    FM(gemm_blocks)(c, c_row, a, a_row, a_col, b, b_row, b_col, NULL, ADD, m, n, k, scratch);
}
