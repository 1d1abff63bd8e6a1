/* Sums over pairs of distributions: all in double, also of floats, so that what is left when they cancel has digits.
 *
 * log(p / q) is taken from both mantissas at once: with p and q scaled by powers of two to within sqrt(2) of each
 * other, p - q is exact and log(p / q) = 2 atanh((p - q) / (p + q)): one division, no rounded quotient, 0 where p = q.
 *
 * A vector's logarithm is a chain of some hundred cycles, of which a processor's window holds about five: the sums go
 * span by span through two loops of half the chain (KL of 256x512 floats on Zen 5: 94 us in one loop, 76 in two).
 * Rejected: two vectors' chains side by side in one loop, 91.
 */

#if FM_BITS == 32 /* what follows is of doubles alone: once for both precisions */

/* A pair, and log(p / q) as e ln 2 + 2 atanh(t). */
typedef struct {
    v64 p, q, t, e;
} fm_log_parts;

/* e + log2 of the power of two between p and q, positive normal numbers, and t. */
FM_INLINE fm_log_parts v64_log_parts(v64 p, v64 q, v64 e)
{
    const v64 one = v64_set1(1), root2 = v64_set1(0x1.6a09e667f3bcdp+0), half = v64_set1(0.5);
    v64 a = v64_mantissa(p);
    const v64 b = v64_mantissa(q), above = v64_mul(b, root2);
    e = v64_add(e, v64_sub(v64_exponent(p), v64_exponent(q)));
    e = v64_if_lt(above, a, v64_add(e, one), e);
    a = v64_if_lt(above, a, v64_mul(a, half), a);
    const v64 below = v64_mul(a, root2);
    e = v64_if_lt(below, b, v64_sub(e, one), e);
    a = v64_if_lt(below, b, v64_add(a, a), a);
    return (fm_log_parts){p, q, v64_div(v64_sub(a, b), v64_add(a, b)), e};
}

FM_INLINE v64 v64_log_joined(fm_log_parts x)
{
    const v64 low = v64_fma(x.t, v64_atanh_rest(v64_mul(x.t, x.t)), v64_mul(x.e, v64_set1(0x1.ef35793c76730p-45)));
    return v64_fma(x.e, v64_set1(0x1.62e42fefa3800p-1), v64_add(v64_add(x.t, x.t), low));
}

/* p log(p / q) of any numbers: 0 where p = 0, infinite where q = 0 or one is negative, as SciPy's rel_entr. */
FM_INLINE v64 v64_relative_entropy(v64 p, v64 q)
{
    const v64 zero = v64_set1(0), inf = v64_set1(INFINITY), least = v64_set1(0x1p-1022), up = v64_set1(0x1p54);
    const v64 far = v64_set1(54), e = v64_sub(v64_if_lt(q, least, far, zero), v64_if_lt(p, least, far, zero));
    const v64 pn = v64_if_lt(p, least, v64_mul(p, up), p), qn = v64_if_lt(q, least, v64_mul(q, up), q);
    const v64 bad = v64_if_eq(p, zero, v64_if_lt(q, zero, inf, zero), inf), other = v64_fma(zero, v64_add(p, q), bad);
    const v64 term = v64_mul(p, v64_log_joined(v64_log_parts(pn, qn, e)));
    return v64_if_lt(zero, p, v64_if_lt(zero, q, term, other), other);
}

/* The parts of p log(p / q); *least (INOUT): below the normal numbers where they are wrong: where p is denormal or q
 * negative, or where q is denormal or 0 and p is not 0. */
FM_INLINE fm_log_parts v64_entropy_parts(v64 p, v64 q, v64 *least)
{
    const v64 zero = v64_set1(0), one = v64_set1(1), smallest = v64_set1(0x1p-1022);
    *least = v64_min(*least, v64_if_eq(p, zero, v64_copysign(one, q), v64_min(p, q)));
    fm_log_parts x = v64_log_parts(v64_max(smallest, p), v64_max(smallest, q), zero);
    x.p = p, x.q = q;
    return x;
}

/* The sum and all terms, as above or, out of line, of any numbers. */
FM_INLINE v64 v64_add_terms(v64 sum, const fm_log_parts *x, size_t count)
{
    for (size_t i = 0; i < count; i++)
        sum = v64_add(sum, v64_mul(x[i].p, v64_log_joined(x[i])));
    return sum;
}
static __attribute__((noinline, cold)) void v64_add_any_terms(v64 *sum, const fm_log_parts *x, size_t count)
{
    for (size_t i = 0; i < count; i++)
        *sum = v64_add(*sum, v64_relative_entropy(x[i].p, x[i].q));
}
#endif

/* The next k numbers of x in double, zeros past the end. */
#define FM_EIGHT(x, k) ((k) < 8 ? v_wide_lo(v_load_n(x, k, 0)) : v_load_wide(x))

#define CHUNK_TERMS 512 /* that are added before they join the rest */
#define SPAN_TERMS 256

/* A row's sums: of p, of q and of |a p - b q|. kind, a constant: FM_GAPS, FM_MASSES, FM_VARIATION (the last alone). */
FM_INLINE void FM(gap_sums)(double *sums, const real *p, const real *q, size_t n, double a, double b, int kind)
{
    const v64 va = v64_set1(a), vb = v64_set1(b), zero = v64_set1(0);
    fm_tally masses = {0, 0}, masses_q = masses, gaps = masses;
    for (size_t from = 0; from < n; from += CHUNK_TERMS) {
        const size_t to = n - from < CHUNK_TERMS ? n : from + CHUNK_TERMS;
        v64 mass = zero, mass_q = zero, gap = zero;
        for (size_t i = from; i < to; i += 8) {
            const size_t k = to - i < 8 ? to - i : 8;
            const v64 x = FM_EIGHT(p + i, k);
            mass = v64_add(mass, x);
            if (kind == FM_MASSES)
                continue;
            const v64 y = FM_EIGHT(q + i, k), d = v64_sub(v64_mul(x, va), v64_mul(y, vb));
            mass_q = v64_add(mass_q, y);
            gap = v64_add(gap, v64_max(v64_sub(zero, d), d));
        }
        fm_tally_add(&masses, v64_sum(mass));
        fm_tally_add(&masses_q, v64_sum(mass_q));
        fm_tally_add(&gaps, v64_sum(gap));
    }
    if (kind != FM_VARIATION)
        sums[0] = fm_tally_sum(&masses), sums[1] = fm_tally_sum(&masses_q);
    sums[2] = fm_tally_sum(&gaps);
}

/* The same with entropies. */
FM_INLINE void FM(entropy_sums)(double *sums, const real *p, const real *q, size_t n, double a, double b, int kind)
{
    const v64 va = v64_set1(a), vb = v64_set1(b), zero = v64_set1(0);
    fm_log_parts parts[(SPAN_TERMS / 8) << (kind == FM_DIVERGENCES)];
    fm_tally masses = {0, 0}, masses_q = masses, entropies = masses;
    for (size_t from = 0; from < n; from += CHUNK_TERMS) {
        const size_t to = n - from < CHUNK_TERMS ? n : from + CHUNK_TERMS;
        v64 mass = zero, mass_q = zero, entropy = zero, y = vb;
        for (size_t i = from; i < to;) {
            const size_t end = to - i < SPAN_TERMS ? to : i + SPAN_TERMS;
            v64 least = v64_set1(1);
            size_t count = 0;
            for (; i < end; i += 8) {
                const size_t k = end - i < 8 ? end - i : 8;
                v64 x = FM_EIGHT(p + i, k);
                if (kind != FM_ENTROPIES)
                    y = FM_EIGHT(q + i, k);
                if (kind == FM_DIVERGENCES) {
                    x = v64_mul(x, va), y = v64_mul(y, vb);
                    const v64 mean = v64_mul(v64_set1(0.5), v64_add(x, y));
                    parts[count++] = v64_entropy_parts(x, mean, &least);
                    parts[count++] = v64_entropy_parts(y, mean, &least);
                    continue;
                }
                parts[count++] = v64_entropy_parts(x, y, &least);
                if (kind == FM_RELATIVE_ENTROPY)
                    mass = v64_add(mass, x), mass_q = v64_add(mass_q, y);
            }
            if (v64_any_lt(least, v64_set1(0x1p-1022)))
                v64_add_any_terms(&entropy, parts, count);
            else
                entropy = v64_add_terms(entropy, parts, count);
        }
        fm_tally_add(&masses, v64_sum(mass));
        fm_tally_add(&masses_q, v64_sum(mass_q));
        fm_tally_add(&entropies, v64_sum(entropy));
    }
    if (kind == FM_RELATIVE_ENTROPY)
        sums[0] = fm_tally_sum(&masses), sums[1] = fm_tally_sum(&masses_q);
    sums[2] = fm_tally_sum(&entropies);
}

static void FM(pair_sums)(double *sums, const real *p, const real *q, size_t rows, size_t n, int kind)
{
    const size_t step = q ? n : 0;
    for (; rows; rows--, p += n, q += step, sums += 3) {
        if (kind == FM_GAPS)
            FM(gap_sums)(sums, p, q, n, 1, 1, FM_GAPS);
        else if (kind == FM_MASSES)
            FM(gap_sums)(sums, p, q, n, 1, 1, FM_MASSES);
        else if (kind == FM_RELATIVE_ENTROPY)
            FM(entropy_sums)(sums, p, q, n, 1, 1, FM_RELATIVE_ENTROPY);
        else if (kind == FM_VARIATION)
            FM(gap_sums)(sums, p, q, n, 1 / sums[0], 1 / sums[1], FM_VARIATION);
        else if (kind == FM_DIVERGENCES)
            FM(entropy_sums)(sums, p, q, n, FM_WHOLE / sums[0], FM_WHOLE / sums[1], FM_DIVERGENCES);
        else
            FM(entropy_sums)(sums, p, q, n, 1, sums[0], FM_ENTROPIES);
    }
}

static void FM(shift_sums)(double *sums, size_t rows)
{
#if FM_BITS == 32
    shift_sums_64(sums, rows);
#else
    for (size_t i = 0; i < rows; i += 8, sums += 24) {
        const size_t k = rows - i < 8 ? rows - i : 8;
        double p[8] = {0}, q[8] = {0}, shift[8];
        for (size_t j = 0; j < k; j++)
            p[j] = sums[3 * j], q[j] = sums[3 * j + 1];
        v64_store(shift, v64_relative_entropy(v64_load(p), v64_load(q)));
        for (size_t j = 0; j < k; j++)
            sums[3 * j + 2] -= shift[j];
    }
#endif
}
