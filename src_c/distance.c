/* Sums over pairs of distributions: all in double, also of floats, so that what is left when they cancel has digits.
 *
 * log(p / q) is taken from both mantissas at once: with p and q scaled by powers of two to within sqrt(2) of each
 * other, p - q is exact and log(p / q) = 2 atanh((p - q) / (p + q)): one division, no rounded quotient, 0 where p = q.
 */

/* log(p / q), p and q positive and finite. */
FM_INLINE v64 FM(log_ratio)(v64 p, v64 q)
{
    const v64 zero = v64_set1(0), one = v64_set1(1), least = v64_set1(0x1p-1022), up = v64_set1(0x1p54);
    const v64 root2 = v64_set1(0x1.6a09e667f3bcdp+0), half = v64_set1(0.5), far = v64_set1(54);
    const v64 pn = v64_if_lt(p, least, v64_mul(p, up), p), qn = v64_if_lt(q, least, v64_mul(q, up), q);
    v64 e = v64_sub(v64_exponent(pn), v64_exponent(qn)), a = v64_mantissa(pn);
    const v64 b = v64_mantissa(qn), above = v64_mul(b, root2);
    e = v64_add(e, v64_sub(v64_if_lt(q, least, far, zero), v64_if_lt(p, least, far, zero)));
    e = v64_add(e, v64_if_lt(above, a, one, zero));
    a = v64_if_lt(above, a, v64_mul(a, half), a);
    const v64 below = v64_mul(a, root2);
    e = v64_sub(e, v64_if_lt(below, b, one, zero));
    a = v64_if_lt(below, b, v64_add(a, a), a);
    const v64 t = v64_div(v64_sub(a, b), v64_add(a, b));
    const v64 low = v64_fma(t, v64_atanh_rest(v64_mul(t, t)), v64_mul(e, v64_set1(0x1.ef35793c76730p-45)));
    return v64_fma(e, v64_set1(0x1.62e42fefa3800p-1), v64_add(v64_add(t, t), low));
}

/* p log(p / q) as SciPy's rel_entr: 0 where p = 0, infinite where q = 0 or one is negative; NaN stays. */
FM_INLINE v64 FM(relative_entropy)(v64 p, v64 q)
{
    const v64 zero = v64_set1(0), inf = v64_set1(INFINITY);
    const v64 bad = v64_if_eq(p, zero, v64_if_lt(q, zero, inf, zero), inf);
    const v64 other = v64_fma(zero, v64_add(p, q), bad);
    return v64_if_lt(zero, p, v64_if_lt(zero, q, v64_mul(p, FM(log_ratio)(p, q)), other), other);
}

/* The next 8 numbers of x, zeros past the end. */
#define FM_EIGHT(x) v_wide_lo(k < LANES ? v_load_n((x) + i, k, 0) : v_load((x) + i))

#define CHUNK_TERMS 512 /* that are added before they join the rest */

static void FM(difference_sums)(double *sums, const real *p, const real *q, size_t n, double a, double b)
{
    const v64 va = v64_set1(a), vb = v64_set1(b), zero = v64_set1(0);
    fm_tally masses = {0, 0}, masses_q = masses, gaps = masses;
    for (size_t from = 0; from < n; from += CHUNK_TERMS) {
        const size_t to = n - from < CHUNK_TERMS ? n : from + CHUNK_TERMS;
        v64 mass = zero, mass_q = zero, gap = zero;
        for (size_t i = from; i < to; i += 8) {
            const size_t k = to - i < 8 ? to - i : 8;
            const v64 x = FM_EIGHT(p), y = FM_EIGHT(q), d = v64_sub(v64_mul(x, va), v64_mul(y, vb));
            mass = v64_add(mass, x);
            mass_q = v64_add(mass_q, y);
            gap = v64_add(gap, v64_max(v64_sub(zero, d), d));
        }
        fm_tally_add(&masses, v64_sum(mass));
        fm_tally_add(&masses_q, v64_sum(mass_q));
        fm_tally_add(&gaps, v64_sum(gap));
    }
    sums[0] = fm_tally_sum(&masses);
    sums[1] = fm_tally_sum(&masses_q);
    sums[2] = fm_tally_sum(&gaps);
}

static void FM(entropy_sums)(double *sums, const real *p, const real *q, size_t n, double a, double b, int middle)
{
    const v64 va = v64_set1(a), vb = v64_set1(b), zero = v64_set1(0), half = v64_set1(0.5);
    fm_tally masses = {0, 0}, masses_q = masses, entropies = masses;
    for (size_t from = 0; from < n; from += CHUNK_TERMS) {
        const size_t to = n - from < CHUNK_TERMS ? n : from + CHUNK_TERMS;
        v64 mass = zero, mass_q = zero, entropy = zero;
        for (size_t i = from; i < to; i += 8) {
            const size_t k = to - i < 8 ? to - i : 8;
            v64 x = v64_mul(FM_EIGHT(p), va), y = q ? v64_mul(FM_EIGHT(q), vb) : vb;
            mass = v64_add(mass, x);
            mass_q = v64_add(mass_q, y);
            /* Both to the middle between them, one after the other in the same code. */
            const v64 mean = middle ? v64_mul(half, v64_add(x, y)) : y;
            for (int side = 0; side <= middle; side++, x = y)
                entropy = v64_add(entropy, FM(relative_entropy)(x, mean));
        }
        fm_tally_add(&masses, v64_sum(mass));
        fm_tally_add(&masses_q, v64_sum(mass_q));
        fm_tally_add(&entropies, v64_sum(entropy));
    }
    sums[0] = fm_tally_sum(&masses);
    sums[1] = fm_tally_sum(&masses_q);
    sums[2] = fm_tally_sum(&entropies);
}
