/* Activations and their gradients, element by element: nothing but memory. */

/* max(0, x) with the operands in the order that passes NaN and -0 on. */
static void FM(relu_run)(real *y, const real *x, size_t n, int stream)
{
    const vec zero = v_set1(0);
    FM_ROW_STORE(y, n, stream, v_max(zero, AT(x)))
}

static void FM(relu_backward_run)(real *dx, const real *g, const real *x, size_t n, int stream)
{
    real one = 1;
    /* times 1, which the compiler cannot leave out: where denormals count as zeros, so does g */
    __asm__("" : "+m"(one));
    const vec zero = v_set1(0), factor = v_set1(one);
    FM_ROW_STORE(dx, n, stream, v_if_eq(v_max(zero, AT(x)), zero, zero, v_mul(AT(g), factor)))
}

/* y = g where x > 0, elsewhere slope g. */
FM_INLINE vec FM(leak)(vec g, vec x, vec slope) { return v_if_lt(v_set1(0), x, g, v_mul(g, slope)); }
/* With g = x, which is read once: 1e5 floats 16 bytes off y's lines 4.1 us, read three times 6.1. */
FM_INLINE vec FM(leak_of)(vec x, vec slope)
{
    x = v_held(x);
    return FM(leak)(x, x, slope);
}

static void FM(leaky_relu)(real *y, const real *x, size_t n, real slope, int stream)
{
    const vec factor = v_set1(slope);
    FM_ROW_STORE(y, n, stream, FM(leak_of)(AT(x), factor))
}

static void FM(leaky_relu_backward)(real *dx, const real *g, const real *x, size_t n, real slope, int stream)
{
    const vec factor = v_set1(slope);
    FM_ROW_STORE(dx, n, stream, FM(leak)(v_held(AT(g)), AT(x), factor))
}

/* x r / 6 with r = x + 3 held within 0 .. 6. Between them, the sum, the product and 1/6 are carried in two parts, so
 * that the result is rounded once: r falls to 0 with x near -3, and no digit may be lost there. */
FM_INLINE vec FM(hard_swish_of)(vec v)
{
    const vec three = v_set1(3), minus = v_set1(-3), sixth = v_set1((real)1 / 6);
    const vec rest = v_set1(sizeof(real) == 4 ? -0x1.555556p-28f : (real)0x1.5555555555555p-57);
    const vec r = v_add(three, v), r_low = v_sub(v, v_sub(r, three)), p = v_mul(v, r);
    const vec less = v_fnma(v, r_low, v_fnma(v, r, p)); /* what p has too much */
    const vec inner = v_fma(p, sixth, v_fma(p, rest, v_mul(less, v_set1((real)-1 / 6))));
    /* -0 stays, -infinity gives NaN, as infinity times 0 */
    const vec outer = v_if_lt(minus, v, v_copysign(inner, v), v_mul(v, v_set1(0)));
    return v_if_lt(v, three, outer, v);
}

static void FM(hard_swish)(real *y, const real *x, size_t n, int stream)
{
    const size_t first = stream ? FM_TO_LINE(y) : FM_HEAD(y, n), head = first < n ? first : n;
    FM_EACH(head, n, FM_RUN_PUT(y, stream, FM(hard_swish_of)(AT(x)));)
    if (stream)
        fm_stream_end();
}

/* 0 up to -3, 1 from 3 on, (x + 3/2) / 3 between, again with two parts of each. */
FM_INLINE vec FM(hard_swish_slope)(vec x)
{
    const vec zero = v_set1(0), three = v_set1(3), minus = v_set1(-3), third = v_set1((real)1 / 3);
    const vec rest = v_set1(sizeof(real) == 4 ? -0x1.555556p-27f : (real)0x1.5555555555555p-56);
    const vec middle = v_set1((real)1.5), two = v_set1(2);
    const vec w = v_max(minus, v_min(three, x)); /* NaN stays */
    const vec s = v_add(middle, w), low = v_sub(w, v_sub(s, middle));
    const vec inner = v_fma(s, third, v_fma(s, rest, v_mul(low, third)));
    return v_if_lt(w, three, v_if_lt(minus, w, inner, zero), v_sub(w, two));
}

static void FM(hard_swish_backward)(real *dx, const real *g, const real *x, size_t n, int stream)
{
    FM_RUN(dx, n, stream)
        FM_RUN_PUT(dx, stream, v_mul(AT(g), FM(hard_swish_slope)(AT(x))));
    if (stream)
        fm_stream_end();
}

/* 1 - y is exact where it is small. Rejected: an fma, as y - y y or 1 - y y: it rounds once less, but without an FMA it
 * cancels, and the two subtractions hide behind the loads. */
FM_INLINE vec FM(result_slope)(vec y, vec one, vec least)
{
    y = v_held(y);
    return v_mul(v_sub(one, y), v_sub(y, least));
}

static void FM(result_backward_run)(real *dx, const real *g, const real *y, size_t n, double low, int stream)
{
    const vec one = v_set1(1), least = v_set1(low);
    FM_ROW_STORE(dx, n, stream, v_mul(AT(g), FM(result_slope)(AT(y), one, least)))
}

/* The gradient through a rectifier, and through a dropout behind it, by their common result. */
static void FM(keep_run)(real *dx, const real *g, const real *y, size_t n, double scale)
{
    const vec zero = v_set1(0), factor = v_set1(scale);
    FM_ROW_STORE(dx, n, 0, v_if_eq(AT(y), zero, zero, v_mul(AT(g), factor)))
}
