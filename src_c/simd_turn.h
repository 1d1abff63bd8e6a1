/* Rows turned into columns: of a vector of neighbouring rows, n elements apart, 128 bits each are columns c[0], c[1]
 * (float: to c[3]), a row a lane. v_columns reads them, v_rows writes them, row after row. */
#if FM_PARTS == 1
#define FM_EACH_PART(f) f(0)
#define FM_EACH_PIECE(f) f(0) f(1) f(2) f(3)
#elif FM_PARTS == 2
#define FM_EACH_PART(f) f(0) f(1)
#define FM_EACH_PIECE(f) f(0) f(1)
#else
#define FM_EACH_PART(f) f(0) f(1) f(2) f(3)
#define FM_EACH_PIECE(f) f(0)
#endif
FM_INLINE void n32_turn4(n32 a[4])
{
    const n32 ab = n32_zip_lo(a[0], a[1]), AB = n32_zip_hi(a[0], a[1]);
    const n32 cd = n32_zip_lo(a[2], a[3]), CD = n32_zip_hi(a[2], a[3]);
    a[0] = n32_zip2_lo(ab, cd), a[1] = n32_zip2_hi(ab, cd), a[2] = n32_zip2_lo(AB, CD), a[3] = n32_zip2_hi(AB, CD);
}
FM_INLINE void v32_columns(v32 *c, const float *x, size_t n){
#define FM_PART(i)                                                                                   \
    {                                                                                                \
        const float *at = x + 16 / FM_PARTS * (i) * n;                                               \
        n32 a[4] = {n32_pieces(at, 4 * n), n32_pieces(at + n, 4 * n), n32_pieces(at + 2 * n, 4 * n), \
                    n32_pieces(at + 3 * n, 4 * n)};                                                  \
        n32_turn4(a);                                                                                \
        c[0].p[i] = a[0], c[1].p[i] = a[1], c[2].p[i] = a[2], c[3].p[i] = a[3];                      \
    }
    FM_EACH_PART(FM_PART)
#undef FM_PART
} FM_INLINE void v64_columns(v64 *c, const double *x, size_t n){
#define FM_PART(i)                                                          \
    {                                                                       \
        const double *at = x + 8 / FM_PARTS * (i) * n;                      \
        const n64 a = n64_pieces(at, 2 * n), b = n64_pieces(at + n, 2 * n); \
        c[0].p[i] = n64_zip_lo(a, b), c[1].p[i] = n64_zip_hi(a, b);         \
    }
    FM_EACH_PART(FM_PART)
#undef FM_PART
} FM_INLINE void v32_rows(float *y, size_t n, const v32 *c)
{
#define FM_PUT_PIECE(j)                           \
    n32_put_piece(y, n32_piece(a[0], j));         \
    n32_put_piece(y + n, n32_piece(a[1], j));     \
    n32_put_piece(y + 2 * n, n32_piece(a[2], j)); \
    n32_put_piece(y + 3 * n, n32_piece(a[3], j)); \
    y += 4 * n;
#define FM_PART(i)                                               \
    {                                                            \
        n32 a[4] = {c[0].p[i], c[1].p[i], c[2].p[i], c[3].p[i]}; \
        n32_turn4(a);                                            \
        FM_EACH_PIECE(FM_PUT_PIECE)                              \
    }
    FM_EACH_PART(FM_PART)
#undef FM_PART
#undef FM_PUT_PIECE
}
FM_INLINE void v64_rows(double *y, size_t n, const v64 *c)
{
#define FM_PUT_PIECE(j)                    \
    n64_put_piece(y, n64_piece(a, j));     \
    n64_put_piece(y + n, n64_piece(b, j)); \
    y += 2 * n;
#define FM_PART(i)                                                                            \
    {                                                                                         \
        const n64 a = n64_zip_lo(c[0].p[i], c[1].p[i]), b = n64_zip_hi(c[0].p[i], c[1].p[i]); \
        FM_EACH_PIECE(FM_PUT_PIECE)                                                           \
    }
    FM_EACH_PART(FM_PART)
#undef FM_PART
#undef FM_PUT_PIECE
}
