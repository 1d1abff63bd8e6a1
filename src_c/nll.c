/* Cross-entropy of log-probabilities, and the mean's denominator. The loss is sum(q (-x)), q being what cross_entropy.c
 * says. */

/* q of a row, where x are log-probabilities already; without a target the labels' own weights come on top. Columns are
 * plain loops in double: they are rare. */
#define FM_NLL_SMOOTHED(target, weight) v_mul(v_fma(target ? AT(target) : zero, own, share), weight ? AT(weight) : one)

/* Labels alone, nothing stored: one number a row is read. */
static double FM(nll_sum)(const real *x, const int64_t *label, size_t rows, size_t n, fm_labels *rule, size_t most)
{
    fm_tally sum = {0, 0};
    for (size_t r = 0; r < rows;) {
        const size_t end = rows - r < most ? rows : r + most;
        double part = 0;
        for (; r < end; r++, x += n) {
            const size_t k = fm_class(label + r, n, rule);
            part += 0 - (k != FM_NO_CLASS ? (double)x[k] : 0.0);
        }
        fm_tally_add(&sum, part);
    }
    return fm_tally_sum(&sum);
}

static double FM(nll_rows)(real *dx, real *loss, const real *x, const int64_t *label, const real *target,
                           const real *weight, size_t rows, size_t n, fm_labels *rule, double smoothing, double scale,
                           int stream)
{
    const vec zero = v_set1(0), one = v_set1(1), minus = v_set1((real)-scale);
    const vec own = v_set1((real)(1 - smoothing)), share = v_set1((real)(smoothing / (double)n));
    const size_t most = n <= FM_RUN_ELEMENTS ? FM_BLOCK_ROWS : 1;
    if (!target && !weight && !loss && !dx && smoothing == 0)
        return FM(nll_sum)(x, label, rows, n, rule, most);
    const double at_label = 1 - smoothing + smoothing / (double)n;
    fm_tally sum = {0, 0};
    double part = 0; /* of a block */
    size_t left = most;
    for (size_t r = 0; r < rows; r++, x += n) {
        const size_t k = target ? FM_NO_CLASS : fm_class(label + r, n, rule);
        const int labelled = k != FM_NO_CLASS, spread = target || (labelled && smoothing != 0);
        const double w = !labelled ? 0 : weight ? (double)weight[k] : 1;
        double value = 0;
        if (spread)
            FM_ROW_SUM(value, n, v_mul(FM_NLL_SMOOTHED(target, weight), AT(x)))
        if (labelled)
            value += (1 - smoothing) * w * x[k];
        part += 0 - value;
        if (--left == 0 || r + 1 == rows) {
            fm_tally_add(&sum, part);
            part = 0;
            left = most;
        }
        if (loss)
            loss[r] = (real)(0 - value);
        if (dx) {
            FM_ROW_STORE(dx, n, stream, spread ? v_mul(FM_NLL_SMOOTHED(target, weight), minus) : zero)
            if (labelled)
                dx[k] = (real)(-scale * w * at_label);
            dx += n;
        }
        if (target)
            target += n;
    }
    return fm_tally_sum(&sum);
}

__attribute__((cold)) /* compiled for size */
static double FM(nll_cols)(real *dx, real *loss, const real *x, const int64_t *label, const real *target,
                           const real *weight, size_t n, size_t stride, size_t width, fm_labels *rule, double smoothing,
                           double scale)
{
    const double own = 1 - smoothing, share = smoothing / (double)n;
    const int spread = target || smoothing != 0;
    fm_tally sum = {0, 0};
    for (size_t at = 0, w; at < width; at += w) {
        double value[64];
        size_t class[64]; /* without a target */
        w = width - at < 64 ? width - at : 64;
        for (size_t c = 0; c < w; c++)
            value[c] = 0, class[c] = target ? 0 : fm_class(label + at + c, n, rule);
        for (size_t i = 0; i < n && spread; i++) {
            const double wi = weight ? weight[i] : 1;
            const real *here = x + i * stride + at, *t = target ? target + i * stride + at : here;
            for (size_t c = 0; c < w; c++)
                value[c] -= wi * (target ? own * t[c] + share : share) * here[c];
        }
        for (size_t c = 0; c < w; c++) {
            const size_t k = class[c];
            if (k == FM_NO_CLASS)
                value[c] = 0;
            else if (!target)
                value[c] -= own * (weight ? (double)weight[k] : 1) * x[k * stride + at + c];
            fm_tally_add(&sum, value[c]);
            if (loss)
                loss[at + c] = (real)value[c];
        }
        for (size_t i = 0; i < n && dx; i++) {
            const double wi = spread ? scale * (weight ? weight[i] : 1) : 0;
            const real *t = target ? target + i * stride + at : x;
            for (size_t c = 0; c < w; c++)
                dx[i * stride + at + c] =
                    class[c] != FM_NO_CLASS ? (real)(0 - wi * (target ? own * t[c] + share : share)) : 0;
        }
        for (size_t c = 0; c < w && dx && !target; c++)
            if (class[c] != FM_NO_CLASS) {
                const size_t k = class[c];
                dx[k * stride + at + c] = (real)(0 - scale * (weight ? (double)weight[k] : 1) * (own + share));
            }
    }
    return fm_tally_sum(&sum);
}

/* The mean's denominator; the same for either precision of the weights. */
static size_t FM(label_weights)(double *total, const int64_t *label, const real *weight, size_t count, size_t n,
                                fm_labels *rule)
{
    size_t counted = 0, wrong = 0;
    if (rule->ignores) {
        const int64_t skip = rule->ignored;
        for (size_t i = 0; i < count; i++) {
            const size_t kept = label[i] != skip;
            counted += kept;
            wrong |= kept & ((uint64_t)label[i] >= (uint64_t)n);
        }
    } else {
        counted = count;
        for (size_t i = 0; i < count; i++)
            wrong |= (uint64_t)label[i] >= (uint64_t)n;
    }
    if (wrong)
        for (size_t i = 0; i < count; i++)
            if (!(rule->ignores && label[i] == rule->ignored) && (uint64_t)label[i] >= (uint64_t)n)
                return i;
    *total = (double)counted;
    if (weight) {
        fm_tally sum = {0, 0};
        for (size_t from = 0; from < count; from += FM_RUN_ELEMENTS) {
            const size_t to = count - from < FM_RUN_ELEMENTS ? count : from + FM_RUN_ELEMENTS;
            double part[8] = {0};
            for (size_t i = from; i < to; i++) {
                const size_t k = fm_class(label + i, n, rule);
                part[i % 8] += k == FM_NO_CLASS ? 0 : weight[k];
            }
            fm_tally_add(&sum, v64_sum(v64_load(part)));
        }
        *total = fm_tally_sum(&sum);
    }
    return count;
}
