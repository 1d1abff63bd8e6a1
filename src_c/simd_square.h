/* AVX: dst[j * to + i] = src[i * from + j] for a square of v32_square floats or v64_square doubles a side. The
 * 512-bit target uses it as well: halves of a row loaded into place cost no shuffle, two stages remain. */
#define v32_square 8
#define v64_square 4

FM_INLINE void v32_transpose(float *dst, ptrdiff_t to, const float *src, ptrdiff_t from){
#define FM_PAIR(i, j)                                                                  \
    _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(src + (i) * from + (j))), \
                         _mm_loadu_ps(src + ((i) + 4) * from + (j)), 1)
#define FM_HALF(j)                                                                               \
    {                                                                                            \
        const __m256 a = FM_PAIR(0, j), b = FM_PAIR(1, j), c = FM_PAIR(2, j), d = FM_PAIR(3, j); \
        const __m256 ab = _mm256_unpacklo_ps(a, b), AB = _mm256_unpackhi_ps(a, b);               \
        const __m256 cd = _mm256_unpacklo_ps(c, d), CD = _mm256_unpackhi_ps(c, d);               \
        _mm256_storeu_ps(dst + (j) * to, _mm256_shuffle_ps(ab, cd, 0x44));                       \
        _mm256_storeu_ps(dst + ((j) + 1) * to, _mm256_shuffle_ps(ab, cd, 0xEE));                 \
        _mm256_storeu_ps(dst + ((j) + 2) * to, _mm256_shuffle_ps(AB, CD, 0x44));                 \
        _mm256_storeu_ps(dst + ((j) + 3) * to, _mm256_shuffle_ps(AB, CD, 0xEE));                 \
    }
    FM_HALF(0) FM_HALF(4)
#undef FM_HALF
#undef FM_PAIR
}

FM_INLINE void v64_transpose(double *dst, ptrdiff_t to, const double *src, ptrdiff_t from)
{
#define FM_PAIR(i, j)                                                                  \
    _mm256_insertf128_pd(_mm256_castpd128_pd256(_mm_loadu_pd(src + (i) * from + (j))), \
                         _mm_loadu_pd(src + ((i) + 2) * from + (j)), 1)
#define FM_HALF(j)                                                        \
    {                                                                     \
        const __m256d a = FM_PAIR(0, j), b = FM_PAIR(1, j);               \
        _mm256_storeu_pd(dst + (j) * to, _mm256_unpacklo_pd(a, b));       \
        _mm256_storeu_pd(dst + ((j) + 1) * to, _mm256_unpackhi_pd(a, b)); \
    }
    FM_HALF(0)
    FM_HALF(2)
#undef FM_HALF
#undef FM_PAIR
}
