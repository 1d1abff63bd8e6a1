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

/* y = g where x > 0, elsewhere slope g: forward with g = x, and the gradient. */
static void FM(leaky_relu)(real *y, const real *g, const real *x, size_t n, real slope, int stream)
{
    const vec zero = v_set1(0), factor = v_set1(slope);
    FM_ROW_STORE(y, n, stream, v_if_lt(zero, AT(x), AT(g), v_mul(AT(g), factor)))
}

/* The gradient through a rectifier, and through a dropout behind it, by their common result. */
static void FM(keep_run)(real *dx, const real *g, const real *y, size_t n, double scale)
{
    const vec zero = v_set1(0), factor = v_set1(scale);
    FM_ROW_STORE(dx, n, 0, v_if_eq(AT(y), zero, zero, v_mul(AT(g), factor)))
}
