/* The functions of one precision, for capi.c, which includes this with FM_BITS and real defined. */
#define FM(name) CAT(name##_, FM_BITS)
#define TABLE CAT(primitives, FM_BITS)

static void FM(softmax_rows)(void *y, const void *x, size_t rows, size_t n, int stream)
{
    IN_MODE(FM_FULL);
    TABLE->softmax_rows(y, x, rows, n, stream);
}

static void FM(log_softmax_rows)(void *y, const void *x, size_t rows, size_t n, int stream)
{
    IN_MODE(FM_FULL);
    TABLE->log_softmax_rows(y, x, rows, n, stream);
}

static void FM(softmax_backward_rows)(void *dx, const void *g, const void *y, size_t rows, size_t n, int stream)
{
    IN_MODE(FM_FULL);
    TABLE->softmax_backward_rows(dx, g, y, rows, n, stream);
}

static void FM(log_softmax_backward_rows)(void *dx, const void *g, const void *y, size_t rows, size_t n, int stream)
{
    IN_MODE(FM_FULL);
    TABLE->log_softmax_backward_rows(dx, g, y, rows, n, stream);
}

static void FM(logsumexp_rows)(void *lse, const void *x, size_t rows, size_t n)
{
    IN_MODE(FM_FULL);
    TABLE->logsumexp_rows(lse, x, rows, n);
}

static double FM(sum)(const void *x, size_t n)
{
    IN_MODE(FM_FULL);
    return TABLE->loss_sum(x, n);
}

static double FM(norm)(const void *x, size_t n)
{
    IN_MODE(FM_FULL);
    const double squares = TABLE->square_sum(x, n);
    return squares < 0 ? -squares : sqrt(squares);
}

static void FM(column_sums)(void *sum, const void *x, size_t n, ptrdiff_t stride, size_t width)
{
    IN_MODE(FM_FLUSH);
    TABLE->column_sums(sum, x, n, stride, width);
}

static void FM(relu)(void *y, const void *x, size_t n, int stream)
{
    IN_MODE(FM_FULL);
    TABLE->relu_run(y, x, n, stream);
}

static void FM(relu_backward)(void *dx, const void *g, const void *x, size_t n, int stream)
{
    IN_MODE(FM_FLUSH);
    TABLE->relu_backward_run(dx, g, x, n, stream);
}

static void FM(curve)(int f, void *y, const void *x, size_t n, double a, double b, int stream)
{
    IN_MODE(FM_FULL);
    TABLE->unary_run(f, y, x, n, a, b, stream);
}

static void FM(curve_backward)(int f, void *dx, const void *g, const void *x, size_t n, double a, double b, int stream)
{
    IN_MODE(FM_FULL);
    TABLE->unary_backward_run(f, dx, g, x, n, a, b, stream);
}

static void FM(dropout)(void *y, const void *x, size_t n, double p, uint64_t seed, uint64_t offset, int stream)
{
    IN_MODE(FM_FLUSH);
    const volatile double dropped = p; /* read in the mode just entered, so the quotient is rounded in it */
    const double scale = dropped < 1 ? 1 / (1 - dropped) : 0;
    TABLE->dropout_run(y, NULL, x, n, seed, offset, threshold_of(p), scale, stream);
}

static void FM(uniform)(void *y, size_t n, uint64_t seed, uint64_t offset)
{
    IN_MODE(FM_FULL);
    enum { EACH = sizeof(real) / 4, AT_ONCE = UNIFORM_WORDS / EACH };
    uint32_t drawn[UNIFORM_WORDS];
    for (size_t start = 0; start < n; start += AT_ONCE) {
        const size_t count = n - start < AT_ONCE ? n - start : AT_ONCE;
        real *const to = (real *)y + start;
        TABLE->philox_run(drawn, count * EACH, seed, offset + start * EACH);
        for (size_t i = 0; i < count; i++)
#if FM_BITS == 32
            to[i] = (float)(as_double(drawn[i] >> 8) * 0x1p-24);
#else
            to[i] = as_double((uint64_t)(drawn[2 * i] >> 5) << 26 | drawn[2 * i + 1] >> 6) * 0x1p-53;
#endif
    }
}

static void FM(sgd)(void *p, void *v, const void *g, size_t n, double lr, double momentum, double dampening,
                    double decay, int nesterov)
{
    IN_MODE(FM_FLUSH);
    const volatile double damped = dampening;
    TABLE->sgd_run(p, v, g, n, lr, momentum, 1 - damped, decay, 1, nesterov);
}

static void FM(adamw)(void *p, void *m, void *v, const void *g, size_t n, double rate, double beta1, double beta2,
                      double inv_root, double eps, double keep)
{
    IN_MODE(FM_FLUSH);
    const volatile double first = beta1, second = beta2;
    TABLE->adam_run(p, m, v, NULL, g, n, rate, 1 - first, beta2, 1 - second, inv_root, eps, 0, keep, 1);
}

static const fastml_table FM(table) = {
    .softmax_rows = FM(softmax_rows),
    .log_softmax_rows = FM(log_softmax_rows),
    .softmax_backward_rows = FM(softmax_backward_rows),
    .log_softmax_backward_rows = FM(log_softmax_backward_rows),
    .logsumexp_rows = FM(logsumexp_rows),
    .sum = FM(sum),
    .norm = FM(norm),
    .column_sums = FM(column_sums),
    .relu = FM(relu),
    .relu_backward = FM(relu_backward),
    .curve = FM(curve),
    .curve_backward = FM(curve_backward),
    .dropout = FM(dropout),
    .uniform = FM(uniform),
    .sgd = FM(sgd),
    .adamw = FM(adamw),
};

#undef FM
#undef TABLE
